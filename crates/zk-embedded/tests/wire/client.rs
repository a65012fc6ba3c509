//! A client that knows nothing but frames: what it sends is what the test says, bytes if need be.

#![allow(dead_code, unreachable_pub, reason = "each of the tests that share it uses some of it")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use zk_wire::{
    Acl, ConnectRequest, ConnectResponse, CreateMode, ErrorCode, ReplyHeader, Request, Response, Secret,
    WatchEvent, frame, op, perms, xid,
};

/// Nothing that a test waits for takes so long.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buf: BytesMut,
    next_xid: i32,
    pub(crate) session: i64,
    pub(crate) password: Vec<u8>,
    pub(crate) timeout: Duration,
    /// Events in the order in which they came, with their zxid.
    pub(crate) events: Vec<(i64, WatchEvent)>,
}

/// A reply: its header, and the record if there is one.
pub(crate) type Reply = (i64, Result<Response, ErrorCode>);

impl Client {
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self::try_plain(address).unwrap()
    }

    pub(crate) fn try_plain(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self::over(TcpStream::connect(address)?))
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self {
            stream,
            buf: BytesMut::new(),
            next_xid: 1,
            session: 0,
            password: vec![0; 16],
            timeout: Duration::ZERO,
            events: Vec::new(),
        }
    }

    pub(crate) fn connect(address: SocketAddr, timeout: Duration) -> Self {
        let mut client = Self::plain(address);
        assert!(client.handshake(0, &[0; 16], timeout, 0).is_some(), "the server hung up");
        client
    }

    /// The session of another client goes on with this one.
    pub(crate) fn resume(address: SocketAddr, other: &Self) -> Option<Self> {
        let mut client = Self::plain(address);
        client.handshake(other.session, &other.password, other.timeout, 0)?;
        (client.session != 0).then_some(client)
    }

    pub(crate) fn handshake(
        &mut self,
        session: i64,
        password: &[u8],
        timeout: Duration,
        seen: i64,
    ) -> Option<ConnectResponse> {
        let mut out = BytesMut::new();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: seen,
            timeout_ms: i32::try_from(timeout.as_millis()).unwrap(),
            session_id: session,
            password: Secret::from(password),
            read_only: Some(false),
        };
        request.encode(frame::DEFAULT_LIMIT, &mut out).unwrap();
        self.stream.write_all(&out).ok()?;
        let response = ConnectResponse::decode(&self.frame()?).unwrap();
        self.session = response.session_id;
        self.password = response.password.expose().to_vec();
        self.timeout = Duration::from_millis(u64::try_from(response.timeout_ms).unwrap());
        Some(response)
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends without waiting; returns the xid.
    pub(crate) fn send(&mut self, request: &Request) -> i32 {
        let number = match request {
            Request::Ping => xid::PING,
            Request::Auth { .. } => xid::AUTH,
            Request::SetWatches { .. } | Request::SetWatches2 { .. } => xid::SET_WATCHES,
            _ => {
                self.next_xid += 1;
                self.next_xid
            }
        };
        let mut out = BytesMut::new();
        request.encode(number, frame::DEFAULT_LIMIT, &mut out).unwrap();
        self.send_bytes(&out);
        number
    }

    /// Sends and waits for the answer.
    pub(crate) fn call(&mut self, request: &Request) -> Reply {
        let number = self.send(request);
        self.answer(number, request.op()).expect("the server hung up")
    }

    /// The same; `None` if the connection breaks on the way.
    pub(crate) fn try_call(&mut self, request: &Request) -> Option<Reply> {
        let mut out = BytesMut::new();
        self.next_xid += 1;
        request.encode(self.next_xid, frame::DEFAULT_LIMIT, &mut out).unwrap();
        self.stream.write_all(&out).ok()?;
        self.answer(self.next_xid, request.op())
    }

    /// The answer to what was sent, or `None` if the server hangs up.
    pub(crate) fn answer(&mut self, number: i32, op: i32) -> Option<Reply> {
        loop {
            let frame = self.frame()?;
            let (header, body) = ReplyHeader::decode(&frame).unwrap();
            if header.xid == xid::NOTIFICATION {
                self.events.push((header.zxid, WatchEvent::decode(body).unwrap()));
                continue;
            }
            assert_eq!(header.xid, number, "answers come in the order of the requests");
            let outcome = match header.err {
                ErrorCode::Ok => Ok(Response::decode(op, body).unwrap()),
                code => Err(code),
            };
            return Some((header.zxid, outcome));
        }
    }

    /// Whatever arrives next, without its length; `None` if the connection is closed.
    pub(crate) fn frame(&mut self) -> Option<bytes::Bytes> {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(frame) = frame::take_frame(&mut self.buf, frame::LENGTH_LIMIT).unwrap() {
                return Some(frame);
            }
            assert!(Instant::now() < end, "nothing came");
            let mut chunk = [0; 1 << 16];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.buf.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits for events by a question that comes after them.
    pub(crate) fn settle(&mut self) -> Vec<(i64, WatchEvent)> {
        self.call(&Request::Sync { path: "/".into() }).1.unwrap();
        std::mem::take(&mut self.events)
    }

    pub(crate) fn is_hung_up(&mut self) -> bool {
        self.frame().is_none()
    }

    pub(crate) fn close(&mut self) {
        let number = self.send(&Request::Close);
        assert!(matches!(self.answer(number, op::CLOSE), Some((_, Ok(Response::Empty)))));
        assert!(self.is_hung_up());
    }
}

pub(crate) fn create(path: &str, mode: CreateMode) -> Request {
    Request::Create2 {
        path: path.into(),
        data: Some(b"x".to_vec()),
        acl: vec![Acl::anyone(perms::ALL)],
        mode,
    }
}

pub(crate) fn exists(path: &str, watch: bool) -> Request {
    Request::Exists { path: path.into(), watch }
}

pub(crate) fn delete(path: &str) -> Request {
    Request::Delete { path: path.into(), version: -1 }
}

pub(crate) fn set(path: &str, data: &[u8]) -> Request {
    Request::SetData { path: path.into(), data: Some(data.to_vec()), version: -1 }
}
