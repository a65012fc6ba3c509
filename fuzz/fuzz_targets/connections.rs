//! A live server: one to three connections send what the input says, with a handshake or without, as it is or
//! in frames of its words; then each must come to its end, and an honest client must still be served.
//!
//! Nothing may panic (on any thread), hang, or grow by more than 64 MiB.

#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use zk_embedded::testing::TestServer;
use zk_wire::frame::{DEFAULT_LIMIT, LENGTH_LIMIT, take_frame};
use zk_wire::{ConnectRequest, ErrorCode, ReplyHeader, Request, Secret};

/// Whatever the server does, it does it in this time.
const LIMIT: Duration = Duration::from_secs(5);
/// What the server may grow by, in bytes, after the first inputs.
const GROWTH: usize = 64 << 20;
/// Inputs until the size is what it is.
const WARM_UP: usize = 200;
/// What the inputs may leave behind in the tree.
const TREE_BYTES: usize = 4 << 20;

struct World {
    server: TestServer,
    honest: Client,
    inputs: usize,
    size: usize,
}

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| {
    let server = TestServer::builder().limits(|limits| {
        limits.bytes = TREE_BYTES;
        limits.nodes = 10_000;
    });
    let server = server.start().expect("a test server starts");
    let honest = Client::connect(server.address());
    Mutex::new(World { server, honest, inputs: 0, size: 0 })
});

fuzz_target!(|data: &[u8]| {
    let Some((shape, data)) = data.split_first() else { return };
    let world = &mut *WORLD.lock().expect("a panic ends the process");
    let count = usize::from(shape % 3) + 1;
    let hostile: Vec<TcpStream> = (0..count)
        .map(|number| {
            let part = &data[data.len() * number / count..data.len() * (number + 1) / count];
            hostile(world.server.address(), shape & (8 << number) != 0, shape & 4 != 0, part)
        })
        .collect();
    for mut stream in hostile {
        drain(&mut stream);
    }
    world.honest.ask();
    world.inputs += 1;
    if world.inputs == WARM_UP {
        world.size = resident();
    } else if world.inputs > WARM_UP && world.inputs.is_multiple_of(WARM_UP) {
        let grown = resident().saturating_sub(world.size);
        assert!(grown < GROWTH, "{grown} bytes more than at the beginning");
    }
});

/// A connection that sends these bytes, after a handshake if it is `greeted`, cut into frames if `framed`.
fn hostile(address: SocketAddr, greeted: bool, framed: bool, bytes: &[u8]) -> TcpStream {
    let mut stream = open(address);
    let mut out = BytesMut::new();
    if greeted {
        handshake(1000).encode(DEFAULT_LIMIT, &mut out).expect("a short frame");
    }
    if framed {
        frames(bytes, &mut out);
    } else {
        out.extend_from_slice(bytes);
    }
    // The server may hang up in the midst of it.
    let _ = stream.write_all(&out);
    let _ = stream.shutdown(Shutdown::Write);
    stream
}

/// Each frame's type and length come from a byte of the input, its body from as many bytes after them.
fn frames(mut bytes: &[u8], out: &mut BytesMut) {
    while let [op, length, rest @ ..] = bytes {
        let (body, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        let frame_length = u32::try_from(8 + body.len()).expect("at most 263");
        out.extend_from_slice(&frame_length.to_be_bytes());
        out.extend_from_slice(&i32::from(*length).to_be_bytes());
        out.extend_from_slice(&i32::from(*op as i8).to_be_bytes());
        out.extend_from_slice(body);
        bytes = rest;
    }
}

/// Reads to the end, which must come.
fn drain(stream: &mut TcpStream) {
    let mut chunk = [0; 1 << 14];
    loop {
        match read(stream, &mut chunk) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), std::io::ErrorKind::ConnectionReset) => return,
            Err(error) => panic!("a connection does not come to its end: {error}"),
        }
    }
}

/// The fuzzer's own timer interrupts.
fn read(stream: &mut TcpStream, chunk: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match stream.read(chunk) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

struct Client {
    stream: TcpStream,
    buf: BytesMut,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let mut client = Self { stream: open(address), buf: BytesMut::new() };
        let mut out = BytesMut::new();
        handshake(40_000).encode(DEFAULT_LIMIT, &mut out).expect("a short frame");
        client.stream.write_all(&out).expect("the server reads");
        client.frame();
        client
    }

    fn ask(&mut self) {
        let mut out = BytesMut::new();
        let request = Request::Exists { path: "/".to_owned(), watch: false };
        request.encode(1, DEFAULT_LIMIT, &mut out).expect("a short frame");
        self.stream.write_all(&out).expect("the server reads");
        let frame = self.frame();
        let (header, _) = ReplyHeader::decode(&frame).expect("a header");
        assert_eq!((header.xid, header.err), (1, ErrorCode::Ok), "an honest client is served");
    }

    fn frame(&mut self) -> bytes::Bytes {
        let mut chunk = [0; 1 << 12];
        loop {
            if let Some(frame) = take_frame(&mut self.buf, LENGTH_LIMIT).expect("a good length") {
                return frame;
            }
            let count = read(&mut self.stream, &mut chunk).expect("an answer in time");
            assert!(count > 0, "the server hung up on an honest client");
            self.buf.extend_from_slice(&chunk[..count]);
        }
    }
}

fn open(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(LIMIT)).expect("a good timeout");
    stream.set_nodelay(true).expect("an open socket");
    stream
}

fn handshake(timeout_ms: i32) -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms,
        session_id: 0,
        password: Secret::from(&[0; 16][..]),
        read_only: Some(false),
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}
