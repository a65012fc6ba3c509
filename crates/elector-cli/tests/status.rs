//! `elector status`: who leads, who waits, for people and for scripts.

mod common;

use common::{Elector, LONG, SHORT, number_after, shared_server};
use rustix::process::Signal;
use zk_ensemble::{Kind, Onlooker};

fn status(servers: &str, options: &str) -> common::Output {
    Elector::new("status").words("-z").word(servers).words(options).output()
}

fn json(servers: &str, election: &str) -> (Option<i32>, serde_json::Value) {
    let output = status(servers, &format!("--json {election}"));
    let value = serde_json::from_str(&output.stdout);
    (output.code, value.unwrap_or_else(|error| panic!("{error}: {}{}", output.stdout, output.stderr)))
}

#[test]
fn the_queue_is_shown_in_its_order() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let contender =
        |id: &str| Elector::run(&servers, id, SHORT).word("/queue").script("exec sleep 1000").start();
    let mut leader = contender("web2:4711");
    let token = number_after(&leader.wait_for("leading with token"), "token");
    let mut second = contender("web3:399");
    second.wait_for("waiting, 2nd of 2");

    let output = status(&servers, "/queue");
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert!(lines[0].starts_with(&format!("/queue: led by web2:4711, token {token}")), "{}", lines[0]);
    assert!(lines[1].starts_with(&format!("  1st  web2:4711  {token} ")), "{}", output.stdout);
    assert!(lines[2].starts_with("  2nd  web3:399   "), "{}", output.stdout);
    assert!(
        lines[3].starts_with(&format!("1 server given, read from {servers} after a sync, ")),
        "{}",
        lines[3]
    );
    assert!(lines[3].contains(" ms ago; layout latch"), "{}", lines[3]);

    let (code, value) = json(&servers, "/queue");
    assert_eq!(code, Some(0));
    assert_eq!((&value["schema"], &value["state"]), (&1.into(), &"led".into()));
    assert_eq!((&value["scope"], &value["layout"]), (&"ensemble".into(), &"latch".into()));
    assert_eq!(value["leader"]["token"], token.to_string());
    assert_eq!(value["contenders"][1]["id"], "web3:399");
    assert_eq!(value["contenders"][1]["position"], 1);
    assert_eq!(value["read"]["synced"], true);

    leader.signal(Signal::TERM);
    second.wait_for("leading with token");
    second.signal(Signal::TERM);
    assert_eq!((leader.end(LONG), second.end(LONG)), (Some(0), Some(0)));
    let (code, value) = json(&servers, "/queue");
    assert_eq!(
        (code, &value["state"], &value["leader"]),
        (Some(3), &"vacant".into(), &serde_json::Value::Null)
    );
    assert_eq!(value["warnings"].as_array().map(Vec::len), Some(0), "{value}");
}

#[test]
fn a_path_that_is_not_there_is_vacant_with_a_warning() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let output = status(&servers, "/no/such/path");
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert!(output.stdout.starts_with("/no/such/path: nobody leads"), "{}", output.stdout);
    assert!(output.stderr.contains("no such path"), "{}", output.stderr);
    let (code, value) = json(&servers, "/no/such/path");
    assert_eq!((code, value["warnings"].as_array().map(Vec::len)), (Some(3), Some(1)));
    // Looking leaves nothing behind.
    let mut onlooker = Onlooker::connect(server.servers()[0].address()).expect("a session");
    assert!(onlooker.exists("/no").expect("an answer").is_none());
    onlooker.close().expect("closed");
}

#[test]
fn a_single_znode_and_foreign_families_are_shown() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut onlooker = Onlooker::connect(server.servers()[0].address()).expect("a session");
    onlooker.create("/single", b"their name", Kind::Ephemeral).expect("created");
    let (code, value) = json(&servers, "/single");
    assert_eq!(
        (code, &value["layout"], &value["leader"]["id"]),
        (Some(0), &"single".into(), &"their name".into())
    );

    onlooker.create("/mixed", b"", Kind::Persistent).expect("created");
    let latch = "/mixed/_c_0f8fad5b-d9cb-469f-a165-70867728950e-latch-";
    onlooker.create(latch, &vec![b'x'; 500_000], Kind::EphemeralSequential).expect("created");
    onlooker
        .create("/mixed/0f8fad5bd9cb469fa16570867728950e__lock__", b"", Kind::EphemeralSequential)
        .expect("created");
    onlooker.create("/mixed/notes", b"", Kind::Persistent).expect("created");
    let (code, value) = json(&servers, "/mixed");
    assert_eq!((code, value["contenders"].as_array().map(Vec::len)), (Some(0), Some(2)), "{value}");
    assert_eq!(value["layout"], serde_json::Value::Null);
    assert_eq!(value["warnings"].as_array().map(Vec::len), Some(1), "{value}");
    assert!(value["leader"]["id"].as_str().is_some_and(|id| id.len() < 1000));
    onlooker.close().expect("closed");
}

/// A znode that somebody made persistent goes on leading when its maker is dead.
#[test]
fn contenders_that_never_go_by_themselves_are_warned_of() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut onlooker = Onlooker::connect(server.servers()[0].address()).expect("a session");
    onlooker.create("/stuck", b"", Kind::Persistent).expect("created");
    let latch = "/stuck/_c_0f8fad5b-d9cb-469f-a165-70867728950e-latch-";
    onlooker.create(latch, b"old cron job", Kind::PersistentSequential).expect("created");
    let (code, value) = json(&servers, "/stuck");
    assert_eq!((code, &value["leader"]["id"]), (Some(0), &"old cron job".into()), "{value}");
    let warning = value["warnings"][0].as_str().expect("a warning");
    assert_eq!(warning, "old cron job's znode is not ephemeral: it never goes by itself");

    let output = status(&servers, "/stuck");
    assert!(output.stderr.contains(&format!("warning: {warning}")), "{}", output.stderr);
    onlooker.close().expect("closed");
}

#[test]
fn what_may_not_be_read_is_a_refusal() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let output = status(&server.connect_string(), "/zookeeper");
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stderr.contains("reserved"), "{}", output.stderr);
    for path in ["billing", "/a//b"] {
        let output = status(&server.connect_string(), path);
        assert_eq!(output.code, Some(2), "{}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    }
}
