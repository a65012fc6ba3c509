//! The first frame, as it should be and as it should not.

use std::net::Shutdown;
use std::time::Duration;

use bytes::BytesMut;
use zk_embedded::testing::TestServer;
use zk_wire::{ConnectRequest, ConnectResponse, Secret, frame, op};

use crate::client::{Client, exists};

const LONG: Duration = Duration::from_secs(30);

fn request() -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms: 30_000,
        session_id: 0,
        password: Secret::from(&[0; 16][..]),
        read_only: Some(false),
    }
}

fn encoded(request: &ConnectRequest) -> Vec<u8> {
    let mut out = BytesMut::new();
    request.encode(frame::LENGTH_LIMIT, &mut out).unwrap();
    out.to_vec()
}

/// What the server answers to these first bytes, if anything.
fn answer(server: &TestServer, bytes: &[u8]) -> Option<(usize, ConnectResponse)> {
    let mut client = Client::plain(server.address());
    client.send_bytes(bytes);
    let frame = client.frame()?;
    Some((frame.len(), ConnectResponse::decode(&frame).unwrap()))
}

/// W5: what comes first is a request, or a handshake that ends early.
#[test]
fn who_does_not_begin_with_a_handshake_is_closed() {
    let server = TestServer::start().unwrap();
    let mut first = BytesMut::new();
    exists("/", false).encode(1, frame::DEFAULT_LIMIT, &mut first).unwrap();
    assert!(answer(&server, &first).is_none(), "a request first");
    let mut short = encoded(&request());
    short.truncate(30);
    short[..4].copy_from_slice(&26_u32.to_be_bytes());
    assert!(answer(&server, &short).is_none(), "a handshake that ends early");
    assert!(answer(&server, &[0, 0, 0, 0]).is_none(), "a frame of nothing");
}

/// W6: timeouts are clamped, whatever is asked.
#[test]
fn any_timeout_is_taken_into_the_range() {
    let builder = TestServer::builder().session_timeouts(Duration::from_secs(4), Duration::from_secs(40));
    let server = builder.start().unwrap();
    for (asked, granted) in [(-1, 4000), (0, 4000), (i32::MIN, 4000), (5000, 5000), (i32::MAX, 40_000)] {
        let (_, response) =
            answer(&server, &encoded(&ConnectRequest { timeout_ms: asked, ..request() })).unwrap();
        assert_eq!(response.timeout_ms, granted, "asked for {asked}");
    }
}

/// W6: other protocol versions and old clients are served; passwords of any length are no matter for a new
/// session, but a first frame longer than any handshake is closed.
#[test]
fn odd_handshakes_are_served_or_closed() {
    let server = TestServer::start().unwrap();
    let (_, response) =
        answer(&server, &encoded(&ConnectRequest { protocol_version: 1, ..request() })).unwrap();
    assert_eq!(response.protocol_version, 0);
    let (length, _) = answer(&server, &encoded(&ConnectRequest { read_only: None, ..request() })).unwrap();
    assert_eq!(length, 36, "who did not send the last byte does not get it");
    assert_eq!(answer(&server, &encoded(&request())).unwrap().0, 37);
    for bytes in [0, 15, 17] {
        let password = Secret::from(vec![1; bytes].as_slice());
        let (_, response) = answer(&server, &encoded(&ConnectRequest { password, ..request() })).unwrap();
        assert_ne!(response.session_id, 0, "a password of {bytes} bytes");
    }
    let mut client = Client::plain(server.address());
    let long = ConnectRequest { password: Secret::from(vec![1; 1 << 20].as_slice()), ..request() };
    // The server may close while this is still on its way.
    let _ = std::io::Write::write_all(&mut client.stream, &encoded(&long));
    let mut byte = [0];
    assert!(!matches!(std::io::Read::read(&mut client.stream, &mut byte), Ok(1)), "a password of 1 MB");
}

/// W17: a handshake and a request that come byte by byte, from a client that then closes its side.
#[test]
fn single_bytes_and_half_closed_connections_are_served() {
    let server = TestServer::start().unwrap();
    let mut client = Client::plain(server.address());
    let mut bytes = BytesMut::from(encoded(&request()).as_slice());
    exists("/", false).encode(7, frame::DEFAULT_LIMIT, &mut bytes).unwrap();
    for byte in bytes {
        client.send_bytes(&[byte]);
    }
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert!(ConnectResponse::decode(&client.frame().unwrap()).unwrap().session_id != 0);
    assert!(client.answer(7, op::EXISTS).expect("an answer").1.is_ok());
    assert!(client.is_hung_up());
}

/// W3: a TLS hello on the plain port.
#[test]
fn a_tls_hello_is_recognised() {
    let (tell, told) = std::sync::mpsc::channel();
    let notices = zk_embedded::Notices::new(move |notice| {
        let _ = tell.send(notice.to_string());
    });
    let server = TestServer::builder().notices(notices).start().unwrap();
    assert!(answer(&server, &[0x16, 0x03, 0x01, 0x00, 0xf0, 0x01]).is_none());
    let said = told.recv_timeout(LONG).unwrap();
    assert!(said.contains("TLS"), "{said}");
}
