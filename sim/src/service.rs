//! What a simulated service, an ensemble or one server, is told and what it brings about.

use bytes::BytesMut;
use zk_wire::{ConnectResponse, ErrorCode, ReplyHeader, Response, Secret, WatchEvent, frame};

use crate::ensemble::Later;
use crate::random::Random;
use crate::record::{Record, Sight, What};

/// Connections are numbered through the whole world.
pub(crate) type Conn = u64;

/// Something for a connection.
#[derive(Debug)]
pub(crate) enum Down {
    Frame(Vec<u8>),
    /// The server closes it.
    Hangup,
}

/// Why a contender's znode is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The session was silent for too long.
    Expired,
    /// A client asked for it: a delete, or the session's end.
    Asked,
    /// An operator's delete, or a close of the session by somebody else.
    Meddled,
}

/// Where a service puts all that follows from a call.
pub(crate) struct Sink<'a> {
    pub(crate) now: u64,
    pub(crate) random: &'a mut Random,
    pub(crate) record: &'a mut Record,
    pub(crate) down: Vec<(Conn, Down)>,
    pub(crate) later: Vec<(u64, Later)>,
    /// Znodes that the quorum has done away with, by creation zxid.
    pub(crate) gone: Vec<(i64, Cause)>,
    /// A new process has started; these znodes it has, also if their end had been seen but was not on disk.
    pub(crate) restarted: Option<Vec<i64>>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(now: u64, random: &'a mut Random, record: &'a mut Record) -> Sink<'a> {
        Sink { now, random, record, down: Vec::new(), later: Vec::new(), gone: Vec::new(), restarted: None }
    }

    pub(crate) fn after(&mut self, time: u64, later: Later) {
        self.later.push((self.now + time, later));
    }

    pub(crate) fn note(&mut self, what: What, a: u64, b: u64) {
        self.record.note(self.now, None, what, a, b);
    }

    pub(crate) fn saw(&mut self, sight: Sight) {
        self.record.saw(sight);
    }

    pub(crate) fn connected(&mut self, conn: Conn, session: i64, timeout_ms: i32) {
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms,
            session_id: session,
            password: Secret::from(password(session)),
            read_only: Some(false),
        };
        self.frame(conn, |buf| response.encode(frame::LENGTH_LIMIT, buf).is_ok());
    }

    /// A real server's own answer to a handshake.
    pub(crate) fn greeting(&mut self, conn: Conn, answer: &ConnectResponse) {
        self.frame(conn, |buf| answer.encode(frame::LENGTH_LIMIT, buf).is_ok());
    }

    pub(crate) fn reply(&mut self, conn: Conn, xid: i32, zxid: i64, outcome: &Result<Response, ErrorCode>) {
        self.frame(conn, |buf| match outcome {
            Ok(response) => response.encode(xid, zxid, frame::LENGTH_LIMIT, buf).is_ok(),
            Err(err) => {
                ReplyHeader { xid, zxid, err: *err }.encode(buf);
                true
            }
        });
    }

    pub(crate) fn event(&mut self, conn: Conn, kind: zk_wire::EventKind, path: &str) {
        let event = WatchEvent { kind, state: WatchEvent::SYNC_CONNECTED, path: path.to_owned() };
        self.frame(conn, |buf| event.encode(-1, frame::LENGTH_LIMIT, buf).is_ok());
    }

    fn frame(&mut self, conn: Conn, write: impl FnOnce(&mut BytesMut) -> bool) {
        let mut buf = BytesMut::new();
        if write(&mut buf) {
            self.down.push((conn, Down::Frame(buf.into())));
        }
    }
}

/// A session's password in a simulated ensemble, where nobody guesses.
pub(crate) fn password(session: i64) -> Vec<u8> {
    [session.to_be_bytes(), (!session).to_be_bytes()].concat()
}
