//! The observer on the embedded server, against what was really done there.

use std::time::Duration;

use elector::{ContenderInfo, Elector, Layout, Observer, Sighting, View};
use zk_embedded::testing::TestServer;
use zk_session::wire::{Acl, CreateMode, perms};
use zk_session::{Client, Config};

const LONG: Duration = Duration::from_secs(30);
const STEM: &str = "/seen/_c_8a1d3f6e-1111-4222-8333-444455556666-latch-";

fn observe(server: &TestServer, path: &str) -> Observer {
    Observer::start(server.connect_string(), path, Vec::new()).expect("a sound path")
}

async fn next(observer: &mut Observer) -> Sighting {
    let next = tokio::time::timeout(LONG, observer.changed()).await;
    next.expect("in time").expect("nothing that ends it")
}

async fn next_leader(observer: &mut Observer) -> (ContenderInfo, bool) {
    let mut gap = false;
    loop {
        let sighting = next(observer).await;
        gap |= sighting.gap;
        if let View::Leader(leader) = sighting.view {
            return (leader, gap);
        }
    }
}

async fn client(server: &TestServer) -> Client {
    let config = Config::new(server.connect_string().parse().expect("a connect string"));
    Client::connect_within(config, LONG).await.expect("the server is up")
}

/// Makes a contender's znode and tells its path and token.
async fn enrol(client: &Client) -> (String, u64) {
    let acl = vec![Acl::anyone(perms::ALL)];
    let made = client.create2(STEM, b"somebody", acl, CreateMode::EphemeralSequential).await;
    let (path, stat) = made.expect("made").value;
    (path, stat.czxid.unsigned_abs())
}

#[tokio::test]
async fn a_path_that_comes_later_a_hand_over_and_the_end_are_seen_without_a_gap() {
    let server = TestServer::start().unwrap();
    let mut observer = observe(&server, "/seen");
    let nothing = next(&mut observer).await;
    assert_eq!(nothing.view, View::Vacant { gone: None, exists: false });
    assert_eq!((nothing.gap, nothing.after), (false, None));

    let candidate = async |id: &str| {
        Elector::builder(server.connect_string(), "/seen").id(id).connect().await.expect("the server is up")
    };
    let (first, second) = (candidate("first").await, candidate("second").await);
    let leadership = first.campaign().await.unwrap();
    let token = leadership.token();
    let (leader, gap) = next_leader(&mut observer).await;
    assert_eq!((leader.id.as_str(), leader.token, gap), ("first", token, false));

    let mut campaign = second.campaign();
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut campaign).await.is_err(), "it waits");
    leadership.resign().await.unwrap();
    let vacant = next(&mut observer).await;
    let View::Vacant { gone: Some(gone), exists: true } = vacant.view else { panic!("{vacant:?}") };
    assert_eq!((gone.id.as_str(), vacant.gap), ("first", false));
    let (leader, gap) = next_leader(&mut observer).await;
    let leadership = campaign.await.unwrap();
    assert_eq!((leader.id.as_str(), leader.token, gap), ("second", leadership.token(), false));

    leadership.resign().await.unwrap();
    let end = next(&mut observer).await;
    assert!(matches!(end.view, View::Vacant { gone: Some(_), .. }) && !end.gap, "{end:?}");
    assert_eq!(observer.latest(), Some(&end));
    observer.close().await;
}

/// As fast as the server writes: whoever led is told, or a gap is.
#[tokio::test]
async fn hand_overs_without_a_pause_are_told_or_a_gap_is() {
    let server = TestServer::start().unwrap();
    let client = client(&server).await;
    client.ensure("/seen").await.unwrap();
    let mut observer = observe(&server, "/seen");
    let mut line = vec![enrol(&client).await];
    let (first, _) = next_leader(&mut observer).await;
    assert_eq!(first.token.get(), line[0].1);
    let mut led = vec![line[0].1];
    for _ in 0..500 {
        line.push(enrol(&client).await);
        let (path, _) = line.remove(0);
        client.delete(&path, -1).await.unwrap();
        led.push(line[0].1);
    }
    let (mut before, mut gaps) = (first.token.get(), 0);
    while Some(&before) != led.last() {
        let (leader, gap) = next_leader(&mut observer).await;
        let token = leader.token.get();
        assert!(led.contains(&token), "{token} never led");
        let missed = led.iter().filter(|led| (before + 1..token).contains(led)).count();
        assert!(gap || missed == 0, "{missed} led between {before} and {token}, and no gap is told");
        gaps += usize::from(gap);
        before = token;
    }
    println!("500 hand-overs, {gaps} gaps");
}

#[tokio::test]
async fn the_single_layout_is_seen_too() {
    let server = TestServer::start().unwrap();
    let mut observer = observe(&server, "/one");
    assert!(matches!(next(&mut observer).await.view, View::Vacant { exists: false, .. }));
    let builder = Elector::builder(server.connect_string(), "/one").id("holder").layout(Layout::Single);
    let elector = builder.session_timeout(Duration::from_secs(4)).connect().await.unwrap();
    for _ in 0..2 {
        let leadership = elector.campaign().await.unwrap();
        let (leader, gap) = next_leader(&mut observer).await;
        assert_eq!((leader.id.as_str(), leader.token, gap), ("holder", leadership.token(), false));
        leadership.resign().await.unwrap();
        assert!(matches!(next(&mut observer).await.view, View::Vacant { gone: Some(_), .. }));
    }
}

/// One znode carries one term, so who leads before and after led all the while.
#[tokio::test]
async fn a_server_that_was_away_is_told_and_the_same_leader_is_no_gap() {
    let mut server = TestServer::start().unwrap();
    let client = client(&server).await;
    client.ensure("/seen").await.unwrap();
    let (first, token) = enrol(&client).await;
    let mut observer = observe(&server, "/seen");
    assert_eq!(next_leader(&mut observer).await.0.token.get(), token);

    server.restart().unwrap();
    let lost = next(&mut observer).await;
    assert!(matches!(&lost.view, View::Unknown { why } if why.ends_with(" lost")), "{lost:?}");
    let back = next(&mut observer).await;
    assert!(matches!(&back.view, View::Leader(leader) if leader.token.get() == token), "{back:?}");
    assert!(!back.gap && back.after.is_some());

    client.delete(&first, -1).await.unwrap();
    client.delete("/seen", -1).await.unwrap();
    let end = next(&mut observer).await;
    assert!(matches!(end.view, View::Vacant { gone: Some(_), .. }) && !end.gap, "{end:?}");
}

#[tokio::test]
async fn what_cannot_work_is_said_at_once() {
    let refused = |place: &str, path: &str| Observer::start(place, path, Vec::new()).unwrap_err().to_string();
    assert!(refused("zk1:2181", "/").contains("reserved"));
    assert!(refused("zk1:x", "/seen").contains("zk1:x"));
}

/// Nobody answers: that is told once, and who was tried can be asked for.
#[tokio::test]
async fn an_ensemble_that_is_down_is_unknown() {
    let mut observer = Observer::start("127.0.0.1:1", "/seen", Vec::new()).unwrap();
    let unknown = next(&mut observer).await;
    let View::Unknown { why } = unknown.view else { panic!("{unknown:?}") };
    assert!(why.contains("127.0.0.1:1"), "{why}");
    assert_eq!(observer.tried().len(), 1);
}
