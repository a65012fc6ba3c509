//! The foreign contenders work by themselves, before they are put beside ours.

use std::time::Duration;

use zk_ensemble::{Ensemble, Onlooker, require_peers, start_curator_latch, start_go_master};

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
