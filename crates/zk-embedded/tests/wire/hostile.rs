//! Bytes that no client sends, and clients that do not behave.

use std::io::Write;
use std::time::Duration;

use bytes::BytesMut;
use zk_embedded::testing::TestServer;
use zk_wire::{Acl, CreateMode, ErrorCode, Request, Response, frame, op, perms};

use crate::client::{Client, create, delete, exists, set};

const LONG: Duration = Duration::from_secs(30);

/// A frame of any header and body.
pub(crate) fn raw(xid: i32, op: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&i32::try_from(8 + body.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&xid.to_be_bytes());
    frame.extend_from_slice(&op.to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

/// W1, and W2 one byte above the limit.
#[test]
fn lengths_that_lie_close_the_connection() {
    let server = TestServer::start().unwrap();
    for length in [0x7fff_ffff_u32, 0xffff_ffff, 0x8000_0000, 0x10_0000] {
        let mut fresh = Client::plain(server.address());
        fresh.send_bytes(&length.to_be_bytes());
        assert!(fresh.is_hung_up(), "0x{length:x} instead of a handshake");
        let mut client = Client::connect(server.address(), LONG);
        client.send_bytes(&length.to_be_bytes());
        assert!(client.is_hung_up(), "0x{length:x} instead of a request");
    }
}

/// W2: exactly the limit.
#[test]
fn the_longest_frame_is_served() {
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    client.call(&create("/a", CreateMode::Persistent)).1.unwrap();
    let mut out = BytesMut::new();
    set("/a", b"").encode(1, frame::DEFAULT_LIMIT, &mut out).unwrap();
    let overhead = out.len() - 4;
    let request = set("/a", &vec![7; frame::DEFAULT_LIMIT - overhead]);
    assert!(matches!(client.call(&request).1, Ok(Response::Stat(_))));
    let answer = client.call(&Request::GetData { path: "/a".into(), watch: false }).1;
    assert!(matches!(answer, Ok(Response::Data { data: Some(data), .. }) if data.len() > 1_048_000));
}

/// W8, W9 and W10: vectors, lengths and paths that cannot be read.
#[test]
fn what_cannot_be_read_is_answered_and_the_connection_goes_on() {
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    let (before, _) = client.call(&exists("/", false));
    // A read takes no zxid, a write does.
    client.send_bytes(&raw(5, op::EXISTS, &[0, 0]));
    assert_eq!(client.answer(5, op::EXISTS), Some((before, Err(ErrorCode::MarshallingError))));
    client.send_bytes(&raw(6, op::CREATE, &[0, 0]));
    assert_eq!(client.answer(6, op::CREATE), Some((before + 1, Err(ErrorCode::MarshallingError))));
    // A vector of two thousand million items in twelve bytes.
    let mut body = 0_i64.to_be_bytes().to_vec();
    body.extend_from_slice(&i32::MAX.to_be_bytes());
    client.send_bytes(&raw(7, op::SET_WATCHES, &body));
    assert_eq!(client.answer(7, op::SET_WATCHES), Some((before + 1, Err(ErrorCode::MarshallingError))));
    // A path that is not UTF-8.
    let mut body = 2_i32.to_be_bytes().to_vec();
    body.extend_from_slice(&[b'/', 0xff]);
    body.extend_from_slice(&(-1_i32).to_be_bytes());
    let mut list = BytesMut::new();
    create("/", CreateMode::Persistent).encode(0, 1000, &mut list).unwrap();
    body.extend_from_slice(&list[4 + 8 + 4 + 1 + 4 + 1..]);
    client.send_bytes(&raw(8, op::CREATE, &body));
    assert_eq!(client.answer(8, op::CREATE), Some((before + 2, Err(ErrorCode::BadArguments))));
}

/// W11.
#[test]
fn unknown_requests_are_refused_by_name() {
    let server = TestServer::start().unwrap();
    for number in [op::CHECK, -10, 999, -1, 0] {
        let mut client = Client::connect(server.address(), LONG);
        client.send_bytes(&raw(3, number, &[]));
        assert_eq!(client.answer(3, number), Some((-1, Err(ErrorCode::Unimplemented))), "type {number}");
        assert!(client.is_hung_up());
    }
    let mut client = Client::connect(server.address(), LONG);
    for number in [op::RECONFIG, op::CREATE_TTL, op::MULTI_READ, op::SASL] {
        client.send_bytes(&raw(4, number, &[0; 64]));
        let answer = client.answer(4, number);
        assert!(matches!(answer, Some((_, Err(ErrorCode::Unimplemented)))), "type {number}: {answer:?}");
    }
    let recursive = Request::AddWatch { path: "/".into(), mode: 1 };
    assert_eq!(client.call(&recursive).1, Err(ErrorCode::Unimplemented));
    assert!(client.call(&exists("/", false)).1.is_ok(), "the connection goes on");
}

/// Where Apache's server fails over a null (-5), or closes the connection, ours does: it is no empty string.
#[test]
fn nulls_are_refused_where_something_must_be() {
    const NULL: [u8; 4] = [0xff; 4];
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    let ops = [op::DELETE, op::EXISTS, op::GET_DATA, op::GET_CHILDREN, op::GET_CHILDREN2, op::GET_ACL];
    for number in ops.into_iter().chain([op::COUNT_DESCENDANTS, op::CREATE]) {
        client.send_bytes(&raw(1, number, &[&NULL[..], &[0; 16]].concat()));
        let answer = client.answer(1, number);
        assert!(matches!(answer, Some((_, Err(ErrorCode::MarshallingError)))), "type {number}: {answer:?}");
    }
    // A path, no data, one entry for the world.
    let entry = [&[0, 0, 0, 2][..], b"/a", &NULL, &[0, 0, 0, 1, 0, 0, 0, 31, 0, 0, 0, 5], b"world", &NULL];
    client.send_bytes(&raw(2, op::CREATE, &[entry.concat(), vec![0; 4]].concat()));
    let answer = client.answer(2, op::CREATE);
    assert!(matches!(answer, Some((_, Err(ErrorCode::MarshallingError)))), "{answer:?}");
    client.send_bytes(&raw(3, op::DELETE_CONTAINER, &[]));
    assert!(matches!(client.answer(3, op::DELETE_CONTAINER), Some((_, Err(ErrorCode::BadArguments)))));
    assert!(client.call(&exists("/", false)).1.is_ok(), "the connection goes on");
    for credential in [[&[0, 0, 0, 0, 0, 0, 0, 6][..], b"digest", &NULL].concat(), vec![0; 3]] {
        let mut client = Client::connect(server.address(), LONG);
        client.send_bytes(&raw(-4, op::AUTH, &credential));
        assert!(client.is_hung_up());
    }
}

/// W3: HTTP.
#[test]
fn those_who_look_after_the_server_hear_why_a_client_was_sent_away() {
    let (tell, told) = std::sync::mpsc::channel();
    let notices = zk_embedded::Notices::new(move |notice| {
        let _ = tell.send(notice.to_string());
    });
    let server = TestServer::builder().notices(notices).start().unwrap();
    assert!(Client::plain(server.address()).handshake(0, &[0; 16], LONG, i64::MAX).is_none());
    assert!(told.recv().unwrap().contains("client has seen zxid 0x7fffffffffffffff, this server is at 0x"));
    let mut browser = Client::plain(server.address());
    browser.send_bytes(b"GET / HTTP/1.1\r\n\r\n");
    assert!(browser.is_hung_up());
    assert!(told.recv().unwrap().ends_with("it speaks HTTP"));
}

/// W5: a second handshake.
#[test]
fn a_second_handshake_is_out_of_place() {
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    // Read as a request it has xid 0 and type 0: there is no such type.
    client.send_bytes(&raw(0, 0, &[0; 37]));
    assert_eq!(client.answer(0, 0), Some((-1, Err(ErrorCode::Unimplemented))));
    assert!(client.is_hung_up());
}

/// W16: events that are never read.
#[test]
fn a_client_that_does_not_read_is_dropped_and_holds_up_nobody() {
    let server = TestServer::start().unwrap();
    let mut honest = Client::connect(server.address(), LONG);
    honest.call(&create("/a", CreateMode::Persistent)).1.unwrap();
    let mut deaf = Client::connect(server.address(), LONG);
    deaf.call(&Request::AddWatch { path: "/a".into(), mode: 0 }).1.unwrap();
    let path = format!("/a/{}", "x".repeat(900_000));
    let long = Request::AddWatch { path: path.clone(), mode: 0 };
    deaf.call(&long).1.unwrap();
    // Each of these sends the deaf client an event of nearly 1 MB.
    let mut dropped = false;
    for _ in 0..20 {
        honest.call(&create(&path, CreateMode::Persistent)).1.unwrap();
        honest.call(&delete(&path)).1.unwrap();
    }
    let mut chunk = vec![0; 1 << 20];
    while let Ok(count) = std::io::Read::read(&mut deaf.stream, &mut chunk) {
        if count == 0 {
            dropped = true;
            break;
        }
    }
    assert!(dropped || deaf.stream.write_all(&raw(1, op::PING, &[])).is_err());
    assert!(Client::resume(server.address(), &deaf).is_some(), "its session is its own affair");
    assert!(honest.call(&exists("/a", false)).1.is_ok());
}

#[test]
fn many_requests_at_once_are_answered_in_order() {
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    client.call(&create("/p", CreateMode::Persistent)).1.unwrap();
    let mut out = BytesMut::new();
    for number in 0..5000 {
        let request = match number % 3 {
            0 => create("/p/n-", CreateMode::PersistentSequential),
            1 => set("/p", &[1; 10]),
            _ => Request::GetChildren { path: "/p".into(), watch: false },
        };
        request.encode(number, frame::DEFAULT_LIMIT, &mut out).unwrap();
    }
    let mut stream = client.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || stream.write_all(&out).unwrap());
    for number in 0..5000 {
        let op = [op::CREATE2, op::SET_DATA, op::GET_CHILDREN][usize::try_from(number % 3).unwrap()];
        match client.answer(number, op).unwrap().1.unwrap() {
            Response::Created2 { path, .. } => assert_eq!(path, format!("/p/n-{:010}", number / 3)),
            Response::Children { names } => {
                assert_eq!(names.len(), usize::try_from(number / 3 + 1).unwrap());
            }
            _ => {}
        }
    }
    writer.join().unwrap();
}

/// W12: all or none.
#[test]
fn deep_and_wide_multis_stay_within_bounds() {
    let server = TestServer::builder().limits(|limits| limits.nodes = 100).start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    let op = |number: usize| zk_wire::MultiOp::Create {
        path: format!("/n{number}"),
        data: None,
        acl: vec![Acl::anyone(perms::ALL)],
        mode: CreateMode::Persistent,
    };
    let answer = client.call(&Request::Multi((0..200).map(op).collect())).1.unwrap();
    let Response::Multi(results) = answer else { panic!("{answer:?}") };
    let refused = zk_wire::MultiResult::Failed(ErrorCode::QuotaExceeded);
    assert_eq!(results.iter().filter(|result| **result == refused).count(), 1);
    assert!(client.call(&exists("/n0", false)).1.is_err(), "all or none");
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Words that occur in records, in any order.
fn noise(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..random.usize(0..12) {
        match random.usize(0..6) {
            0 => body.extend_from_slice(&random.i32(-3..40).to_be_bytes()),
            1 => body.extend_from_slice(&random.i32(..).to_be_bytes()),
            2 => body.extend_from_slice(&random.i64(..).to_be_bytes()),
            3 => body.extend_from_slice(&[0, 0, 0, 2, b'/', b'a']),
            4 => body.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 31, 0, 0, 0, 5, b'w', b'o', b'r', b'l', b'd']),
            _ => body.push(random.u8(..)),
        }
    }
    body
}

#[test]
fn noise_harms_nobody() {
    let server = TestServer::start().unwrap();
    let mut honest = Client::connect(server.address(), LONG);
    honest.call(&create("/honest", CreateMode::Persistent)).1.unwrap();
    let before = resident();
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..400 {
        let mut hostile = Client::connect(server.address(), Duration::from_secs(1));
        for _ in 0..50 {
            let op = match random.usize(0..4) {
                0 => random.i32(-12..110),
                1 => op::MULTI,
                _ => *random
                    .choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 18, 100, 101, 105, 106].iter())
                    .unwrap(),
            };
            let body = noise(&mut random);
            if hostile.stream.write_all(&raw(random.i32(-10..10), op, &body)).is_err() {
                break;
            }
        }
        if random.bool() {
            let _ = hostile.stream.write_all(&noise(&mut random));
        }
        if round % 20 == 0 {
            assert!(honest.call(&exists("/honest", false)).1.is_ok(), "round {round}");
        }
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more than before");
}

#[test]
fn claimed_lengths_cost_no_memory() {
    let server = TestServer::start().unwrap();
    let mut honest = Client::connect(server.address(), LONG);
    let before = resident();
    let mut hostile: Vec<Client> = (0..300).map(|_| Client::connect(server.address(), LONG)).collect();
    for client in &mut hostile {
        // As long as a frame may be; all but the last byte of a part of it comes.
        client.send_bytes(&0xf_ffff_u32.to_be_bytes());
        client.send_bytes(&[0; 1000]);
    }
    assert!(honest.call(&exists("/", false)).1.is_ok());
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more than before");
}
