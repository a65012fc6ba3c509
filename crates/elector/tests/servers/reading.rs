//! An election seen from outside.

use std::time::Duration;

use crate::support::{SOON, builder, candidate, soon, until_waiting};
use elector::{Layout, ReadError, Reader};
use zk_ensemble::{Ensemble, Kind, Onlooker};

#[tokio::test]
async fn a_snapshot_shows_who_leads_and_who_waits() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let servers = ensemble.connect_string();
    let read = async |path: &str| {
        let reader = Reader::connect(&servers, path, Vec::new(), SOON).await.unwrap();
        let seen = soon(reader.snapshot()).await.unwrap();
        reader.close().await;
        seen
    };
    let missing = read("/nothing").await;
    assert!(!missing.exists && missing.contenders.is_empty());

    let first = candidate(&servers, "/seen", "first").await;
    let leadership = soon(first.campaign()).await.unwrap();
    let second = candidate(&servers, "/seen", "second\u{202e}").await;
    let _waiting = second.campaign();
    until_waiting(&second, 1).await;
    let seen = read("/seen").await;
    let ids: Vec<_> = seen.contenders.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["first", "second\u{202e}"]);
    assert_eq!(seen.contenders[0].token, leadership.token());
    assert_eq!((seen.layout, seen.exists), (Some(Layout::Latch), true));
    assert_eq!(seen.server, servers);
    assert!(seen.age < SOON);

    let single = builder(&servers, "/one", "holder").layout(Layout::Single).connect().await.unwrap();
    let held = soon(single.campaign()).await.unwrap();
    let seen = read("/one").await;
    assert_eq!((seen.layout, seen.contenders[0].token), (Some(Layout::Single), held.token()));
    assert!(matches!(Reader::connect(&servers, "/", Vec::new(), SOON).await, Err(ReadError::Path(_))));
}

/// W19: what other participants wrote may be anything.
#[tokio::test]
async fn a_snapshot_takes_what_others_wrote_as_it_is() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let mut stranger = Onlooker::connect(ensemble.servers()[0].address()).unwrap();
    stranger.create("/w19", b"", Kind::Persistent).unwrap();
    let stem = "/w19/_c_8a1d3f6e-1111-4222-8333-444455556666-latch-";
    for data in [&b"\xff\xfe\x1b[31m"[..], &vec![b'x'; 900_000], b""] {
        stranger.create(stem, data, Kind::EphemeralSequential).unwrap();
    }
    let reader = Reader::connect(&ensemble.connect_string(), "/w19", Vec::new(), SOON).await.unwrap();
    let seen = soon(reader.snapshot()).await.unwrap();
    let lengths: Vec<_> = seen.contenders.iter().map(|c| c.id.chars().count()).collect();
    assert_eq!(lengths, [7, 1024, 0]);
}

#[tokio::test]
async fn nobody_there_is_told_within_the_limit() {
    let port = zk_ensemble::Port::reserve();
    let servers = format!("127.0.0.1:{},127.0.0.1:1", port.number());
    let error =
        soon(Reader::connect(&servers, "/x", Vec::new(), Duration::from_millis(300))).await.unwrap_err();
    assert!(matches!(&error, ReadError::Unreachable { tried } if !tried.is_empty()), "{error}");
}
