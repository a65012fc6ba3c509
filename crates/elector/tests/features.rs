//! The optional features, each as its users meet it. Run with `--all-features`.

#[cfg(feature = "serde")]
#[test]
fn a_token_is_written_as_a_decimal_string() {
    let token: elector::Token = "9223372036854775807".parse().unwrap();
    let text = serde_json::to_string(&token).unwrap();
    assert_eq!(text, "\"9223372036854775807\"");
    assert_eq!(serde_json::from_str::<elector::Token>(&text).unwrap(), token);
    assert!(serde_json::from_str::<elector::Token>("\"-1\"").is_err());
    assert!(serde_json::from_str::<elector::Token>("7").is_err());
}

#[cfg(feature = "blocking")]
#[test]
fn threads_contend_and_hand_over() {
    use elector::blocking::Elector;
    use std::time::Duration;

    if !zk_ensemble::require() {
        return;
    }
    let ensemble = zk_ensemble::Ensemble::start(1);
    let servers = ensemble.connect_string();
    let contender = |id: &str| {
        let builder = elector::Elector::builder(&servers, "/threads").id(id);
        Elector::connect(builder.connect_timeout(Duration::from_secs(10))).unwrap()
    };
    let (first, second) = (contender("first"), contender("second"));
    let leadership = first.campaign().unwrap();
    assert!(leadership.check());
    assert!(second.campaign_within(Duration::from_millis(500)).unwrap().is_none());
    let fence = leadership.fence();
    let next = std::thread::spawn(move || second.campaign().map(|won| (won.token(), won.check())));
    leadership.resign().unwrap();
    assert!(!fence.check());
    let (token, checked) = next.join().unwrap().unwrap();
    assert!(checked && token > fence.token());
    first.close();
}
