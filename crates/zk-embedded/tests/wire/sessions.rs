//! Handshake, resumption, expiry.

use std::time::{Duration, Instant};

use zk_embedded::testing::TestServer;
use zk_wire::{CreateMode, ErrorCode, Request, Response};

use crate::client::{Client, LIMIT, create, delete, exists};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(400);

#[test]
fn a_new_session_has_a_zxid_and_a_clamped_timeout() {
    let server = TestServer::start().unwrap();
    let mut first = Client::connect(server.address(), Duration::from_secs(3600));
    assert_eq!(first.timeout, Duration::from_secs(40));
    let (before, _) = first.call(&exists("/", false));
    let second = Client::connect(server.address(), Duration::ZERO);
    assert_eq!(second.timeout, Duration::from_millis(100));
    let (after, _) = first.call(&exists("/", false));
    assert_eq!(after, before + 1, "createSession is a transaction");
    assert_ne!(first.session, second.session);
    assert_ne!(first.password, second.password);
    assert_eq!(first.password.len(), 16);
}

#[test]
fn requests_may_come_before_the_handshake_is_answered() {
    let server = TestServer::start().unwrap();
    let mut client = Client::plain(server.address());
    let mut out = bytes::BytesMut::new();
    let hello = zk_wire::ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms: 10_000,
        session_id: 0,
        password: zk_wire::Secret::from(vec![0; 16]),
        read_only: None,
    };
    hello.encode(1000, &mut out).unwrap();
    create("/a", CreateMode::Persistent).encode(5, 10_000, &mut out).unwrap();
    // One byte at a time, as a bad network could deliver it.
    for byte in &out {
        client.send_bytes(std::slice::from_ref(byte));
    }
    let response = client.frame().unwrap();
    assert_eq!(response.len(), 36, "no read-only byte for a client that sent none");
    let (_, outcome) = client.answer(5, zk_wire::op::CREATE2).unwrap();
    assert!(matches!(outcome, Ok(Response::Created2 { path, .. }) if path == "/a"));
}

#[test]
fn a_session_goes_on_over_another_connection() {
    let server = TestServer::start().unwrap();
    let mut old = Client::connect(server.address(), LONG);
    old.call(&create("/mine", CreateMode::Ephemeral)).1.unwrap();
    let mut new = Client::resume(server.address(), &old).expect("the session lives");
    assert_eq!((new.session, &new.password), (old.session, &old.password));
    assert!(old.is_hung_up(), "the old connection is closed without a word");
    assert!(new.call(&exists("/mine", false)).1.is_ok());
    new.close();
    let mut other = Client::connect(server.address(), LONG);
    assert_eq!(other.call(&exists("/mine", false)).1, Err(ErrorCode::NoNode));
}

/// W7.
#[test]
fn who_does_not_know_the_password_neither_gets_nor_disturbs_a_session() {
    let server = TestServer::start().unwrap();
    let mut owner = Client::connect(server.address(), LONG);
    for (session, password) in [
        (owner.session, vec![0; 16]),
        (owner.session, vec![]),
        (owner.session, owner.password[..15].to_vec()),
        (owner.session + 1, owner.password.clone()),
        (-1, owner.password.clone()),
    ] {
        let mut stranger = Client::plain(server.address());
        let response = stranger.handshake(session, &password, LONG, 0).expect("an answer");
        assert_eq!((response.timeout_ms, response.session_id), (0, 0));
        assert_eq!(response.password.expose(), [0; 16]);
        assert!(stranger.is_hung_up());
    }
    assert!(owner.call(&exists("/", false)).1.is_ok());
}

/// W6: a zxid above ours.
#[test]
fn a_client_that_has_seen_more_is_sent_away() {
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    let (zxid, _) = client.call(&exists("/", false));
    assert!(Client::plain(server.address()).handshake(0, &[0; 16], LONG, zxid + 1).is_none());
    assert!(Client::plain(server.address()).handshake(0, &[0; 16], LONG, zxid).is_some());
}

#[test]
fn a_silent_session_ends_after_its_timeout_and_not_before() {
    let server = TestServer::start().unwrap();
    let mut onlooker = Client::connect(server.address(), LONG);
    let mut silent = Client::connect(server.address(), SHORT);
    silent.call(&create("/silent", CreateMode::Ephemeral)).1.unwrap();
    let sent = Instant::now();
    silent.call(&Request::Ping).1.unwrap();
    let heard = Instant::now();
    onlooker.call(&exists("/silent", true)).1.unwrap();
    let (number, _) = (onlooker.send(&exists("/silent", true)), ());
    onlooker.answer(number, zk_wire::op::EXISTS);
    let event = onlooker.frame().expect("the event");
    let (told, _) = (Instant::now(), event);
    assert!(told - sent >= SHORT, "ended {:?} after it was heard of", told - sent);
    // A safety bound for busy machines; what the server promises is 100 ms.
    assert!(told - heard < SHORT + LIMIT / 2);
    assert!(silent.is_hung_up(), "an open but silent connection is closed");
    assert!(Client::resume(server.address(), &silent).is_none());
}

#[test]
fn pings_keep_a_session_and_a_shorter_timeout_holds_after_a_resumption() {
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), SHORT);
    for _ in 0..8 {
        std::thread::sleep(SHORT / 4);
        client.call(&Request::Ping).1.unwrap();
    }
    client.timeout = Duration::from_millis(150);
    let resumed = Client::resume(server.address(), &client).unwrap();
    assert_eq!(resumed.timeout, Duration::from_millis(150));
}

#[test]
fn an_expired_session_is_told_on_resumption() {
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    client.call(&create("/e", CreateMode::Ephemeral)).1.unwrap();
    assert!(server.expire_session(client.session));
    assert!(!server.expire_session(client.session));
    assert!(client.is_hung_up());
    assert!(Client::resume(server.address(), &client).is_none());
    let mut other = Client::connect(server.address(), LONG);
    assert_eq!(other.call(&exists("/e", false)).1, Err(ErrorCode::NoNode));
}

#[test]
fn close_deletes_ephemerals_before_it_is_answered() {
    let server = TestServer::start().unwrap();
    let mut onlooker = Client::connect(server.address(), LONG);
    let mut client = Client::connect(server.address(), LONG);
    client.call(&create("/e", CreateMode::Ephemeral)).1.unwrap();
    onlooker.call(&exists("/e", true)).1.unwrap();
    client.close();
    let events = onlooker.settle();
    assert_eq!(events.len(), 1);
    assert_eq!(onlooker.call(&delete("/e")).1, Err(ErrorCode::NoNode));
}

#[test]
fn tree_and_sessions_live_on_over_a_restart() {
    for journal in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let builder = TestServer::builder();
        let builder = if journal { builder.data_dir(directory.path().join("data")) } else { builder };
        let mut server = builder.start().unwrap();
        let mut client = Client::connect(server.address(), LONG);
        client.call(&create("/p", CreateMode::Persistent)).1.unwrap();
        client.call(&create("/p/e-", CreateMode::EphemeralSequential)).1.unwrap();
        client.call(&delete("/p/e-0000000000")).1.unwrap();
        let (zxid, last) = client.call(&create("/p/e-", CreateMode::EphemeralSequential));
        assert!(
            matches!(&last, Ok(Response::Created2 { path, .. }) if path == "/p/e-0000000001"),
            "{last:?}"
        );
        server.restart().unwrap();
        let mut client = Client::resume(server.address(), &client).expect("the session lives on");
        assert!(client.call(&exists("/p/e-0000000001", false)).1.is_ok());
        let (next, outcome) = client.call(&create("/p/e-", CreateMode::EphemeralSequential));
        assert!(matches!(&outcome, Ok(Response::Created2 { path, .. }) if path == "/p/e-0000000002"));
        assert_eq!(next, zxid + 1, "no zxid is used twice, and none is left out");
        client.close();
        let mut client = Client::connect(server.address(), LONG);
        assert_eq!(client.call(&exists("/p/e-0000000001", false)).1, Err(ErrorCode::NoNode));
    }
}
