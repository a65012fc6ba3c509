//! The foreign contenders work by themselves, before they are put beside ours.

use std::time::Duration;

use zk_ensemble::{Ensemble, Onlooker, Peer, require_peers, start_curator_latch, start_go_master};

const LIMIT: Duration = Duration::from_secs(60);
const SESSION: Duration = Duration::from_secs(5);

#[test]
fn two_curator_latches_take_turns() {
    if !require_peers() {
        return;
    }
    let mut ensemble = Ensemble::start(1);
    let connect = ensemble.connect_string();
    let mut first = start_curator_latch(&connect, "/turns", "first", SESSION);
    first.wait_for("LEADING first", LIMIT);
    let mut second = start_curator_latch(&connect, "/turns", "second", SESSION);
    let node = second.wait_for("NODE ", LIMIT).text["NODE ".len()..].to_owned();
    let mut onlooker = Onlooker::connect(ensemble.server(0).address()).unwrap();
    assert_eq!(onlooker.data(&format!("/turns/{node}")).unwrap().unwrap().0, b"second");

    first.send("close").unwrap();
    first.wait_for("LOST first", LIMIT);
    second.wait_for("LEADING second", LIMIT);
    first.send("start").unwrap();
    first.wait_for("NODE ", LIMIT);
    second.process().kill();
    first.wait_for("LEADING first", LIMIT);
    first.send("quit").unwrap();
    assert!(first.wait_for_end(LIMIT).success());
}

#[test]
fn two_plain_go_programs_take_turns() {
    if !require_peers() {
        return;
    }
    let mut ensemble = Ensemble::start(1);
    let connect = ensemble.connect_string();
    let mut first = start_go_master(&connect, "/test04", "/master", "first");
    first.wait_for("LEADING first", LIMIT);
    let mut second = start_go_master(&connect, "/test04", "/master", "second");
    second.wait_for("WAITING second", LIMIT);
    let mut onlooker = Onlooker::connect(ensemble.server(0).address()).unwrap();
    assert_eq!(onlooker.data("/test04/master").unwrap().unwrap().0, b"first");
    first.send("quit").unwrap();
    assert!(first.wait_for_end(LIMIT).success());
    second.wait_for("LEADING second", LIMIT);
}

#[test]
fn two_of_each_lock_recipe_take_turns() {
    let peers = [
        (Peer::CuratorSelector, "-lock-0000000000", true),
        (Peer::CuratorMutex, "-lock-0000000000", false),
        (Peer::GoLock, "-lock-0000000000", false),
        (Peer::KazooJoined, "-lock-0000000000", true),
        (Peer::KazooElection, "__lock__0000000000", true),
        (Peer::KazooLock, "__lock__0000000000", true),
    ];
    if !peers.iter().all(|(peer, ..)| peer.require()) {
        return;
    }
    let mut ensemble = Ensemble::start(1);
    let connect = ensemble.connect_string();
    let mut onlooker = Onlooker::connect(ensemble.server(0).address()).unwrap();
    for (peer, name, tells) in peers {
        let path = format!("/{peer:?}");
        let mut first = peer.start(&connect, &path, "first", SESSION);
        first.wait_for("LEADING first at=", LIMIT);
        let children = onlooker.children(&path).unwrap();
        assert!(children.len() == 1 && children[0].ends_with(name), "{children:?}");
        let mut second = peer.start(&connect, &path, "second", SESSION);
        while onlooker.children(&path).unwrap().len() < 2 {
            std::thread::sleep(Duration::from_millis(20));
        }
        if tells {
            second.send("contenders").unwrap();
            second.wait_for("CONTENDERS first second", LIMIT);
        }
        first.send("close").unwrap();
        second.wait_for("LEADING second at=", LIMIT);
        // Two threads of the peer say these, in either order.
        let mut said = ["LOST first at=", "CLOSED first"].to_vec();
        while let Some(words) = said.first().copied() {
            let line = first.try_wait_for(LIMIT, |line| said.iter().any(|words| line.text.contains(words)));
            let line = line.unwrap_or_else(|| panic!("no {words}:\n{}", first.transcript()));
            said.retain(|words| !line.text.contains(words));
        }
        first.send("start").unwrap();
        while onlooker.children(&path).unwrap().len() < 2 {
            std::thread::sleep(Duration::from_millis(20));
        }
        second.process().kill();
        first.wait_for("LEADING first at=", LIMIT);
        first.send("quit").unwrap();
        assert!(first.wait_for_end(LIMIT).success());
    }
}
