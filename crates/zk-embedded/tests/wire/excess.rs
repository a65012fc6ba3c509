//! Requests that are whole frames and yet too much, or not what they say.

use std::time::Duration;

use zk_embedded::testing::TestServer;
use zk_wire::{CreateMode, ErrorCode, MultiOp, MultiResult, Request, Response, op};

use crate::client::{Client, create, exists};
use crate::hostile::raw;

const LONG: Duration = Duration::from_secs(30);

/// An operation's header, and a record if it has one.
fn operation(kind: i32, done: bool, record: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.push(done.into());
    bytes.extend_from_slice(&(-1_i32).to_be_bytes());
    bytes.extend_from_slice(record);
    bytes
}

/// `delete /a` as a record.
fn delete_a() -> Vec<u8> {
    let mut bytes = 2_i32.to_be_bytes().to_vec();
    bytes.extend_from_slice(b"/a");
    bytes.extend_from_slice(&(-1_i32).to_be_bytes());
    bytes
}

/// W12: a multi within a multi, one with an unknown operation, one without its end. Nothing of any is done.
#[test]
fn multis_that_are_none_do_nothing() {
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    client.call(&create("/a", CreateMode::Persistent)).1.unwrap();
    let good = operation(op::DELETE, false, &delete_a());
    let end = operation(-1, true, &[]);
    for (number, (what, bad)) in [
        ("nested", [operation(op::MULTI, false, &end), end.clone()].concat()),
        ("unknown", [operation(999, false, &[]), end.clone()].concat()),
        ("without its end", Vec::new()),
    ]
    .into_iter()
    .enumerate()
    {
        let xid = i32::try_from(number).unwrap() + 100;
        client.send_bytes(&raw(xid, op::MULTI, &[good.clone(), bad].concat()));
        let (_, outcome) = client.answer(xid, op::MULTI).expect("an answer");
        assert_eq!(outcome, Err(ErrorCode::MarshallingError), "{what}");
        assert!(client.call(&exists("/a", false)).1.is_ok(), "{what}");
    }
}

/// W12: ten thousand operations, the last of which fails.
#[test]
fn a_multi_of_ten_thousand_is_all_or_none() {
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    client.call(&create("/a", CreateMode::Persistent)).1.unwrap();
    let mut ops = vec![MultiOp::SetData { path: "/a".into(), data: None, version: -1 }; 10_000];
    ops.push(MultiOp::Check { path: "/none".into(), version: -1 });
    let Ok(Response::Multi(results)) = client.call(&Request::Multi(ops)).1 else { panic!("no multi") };
    assert_eq!(results.last(), Some(&MultiResult::Failed(ErrorCode::NoNode)));
    let Ok(Response::Stat(stat)) = client.call(&exists("/a", false)).1 else { panic!("no /a") };
    assert_eq!(stat.version, 0, "none of them was done");
}

/// W13: a path of ten thousand segments, and nodes that are really that deep.
#[test]
fn deep_paths_are_paths() {
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    assert_eq!(client.call(&create(&"/a".repeat(10_000), CreateMode::Persistent)).1, Err(ErrorCode::NoNode));
    for depth in 1..=1000 {
        client.call(&create(&"/a".repeat(depth), CreateMode::Persistent)).1.unwrap();
    }
    assert!(client.call(&exists(&"/a".repeat(1000), false)).1.is_ok());
}

/// W16: tens of thousands of watches set again at once, thrice: in the end too many for one connection, which
/// is closed, and nobody else's affair.
#[test]
fn watches_by_the_ten_thousand_are_bounded() {
    let server = TestServer::start().unwrap();
    let mut honest = Client::connect(server.address(), LONG);
    let mut greedy = Client::connect(server.address(), LONG);
    let zxid = greedy.call(&exists("/", false)).0;
    for round in 0..3 {
        let watches = Request::SetWatches {
            relative_zxid: zxid,
            data: Vec::new(),
            exist: (0..30_000).map(|number| format!("/{round}{number:x}")).collect(),
            child: Vec::new(),
        };
        greedy.send(&watches);
    }
    // The answers to what was within the limit come first.
    while greedy.frame().is_some() {}
    honest.call(&create("/b", CreateMode::Persistent)).1.unwrap();
    assert!(honest.call(&exists("/b", false)).1.is_ok());
}
