//! The state alone, against the protocol's facts: a file for each part.

mod acls;
mod durability;
mod order;
mod sessions;
mod trees;
mod watching;

use std::net::Ipv4Addr;
use std::time::Duration;

use zk_wire::{
    Acl, ConnectRequest, CreateMode, ErrorCode, EventKind, MultiOp, MultiResult, Request, Response, Secret,
    Stat, perms,
};

use super::{ConnectionId, Effects, Farewell, Limits, Moment, Output, PASSWORD, State, WATCH_OVERHEAD};

/// The zxid before the first one.
const BASE: i64 = 100;

/// A state with a clock and numbered connections.
struct Lab {
    state: State,
    now: Moment,
    next_connection: u64,
    next_xid: i32,
    /// All records so far.
    records: Vec<(i64, Vec<u8>)>,
    /// What came out and was not looked at yet.
    outputs: Vec<(ConnectionId, Output)>,
}

type Outcome = Result<Response, ErrorCode>;

impl Lab {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self {
            state: State::new(limits, BASE),
            now: Moment { wall_ms: 1_800_000_000_000, elapsed: Duration::from_secs(1000) },
            next_connection: 1,
            next_xid: 1,
            records: Vec::new(),
            outputs: Vec::new(),
        }
    }

    fn run(&mut self, call: impl FnOnce(&mut State, Moment, &mut Effects)) {
        let mut effects = Effects::default();
        call(&mut self.state, self.now, &mut effects);
        self.records.extend(effects.records);
        self.outputs.extend(effects.outputs);
    }

    fn wait(&mut self, time: Duration) {
        self.now.elapsed += time;
        self.now.wall_ms += i64::try_from(time.as_millis()).unwrap();
    }

    /// A connection whose handshake went so; its session and password, if it got one.
    fn handshake(&mut self, session: i64, password: &[u8], timeout_ms: i32) -> (ConnectionId, i64, Vec<u8>) {
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let asked = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms,
            session_id: session,
            password: Secret::from(password),
            read_only: Some(false),
        };
        let fresh = [u8::try_from(connection.0).unwrap(); PASSWORD];
        self.run(|state, now, effects| {
            state.open(connection, Ipv4Addr::LOCALHOST.into());
            state.connect(connection, &asked, fresh, now, effects);
        });
        let answer = self.outputs.iter().rev().find_map(|(to, output)| match output {
            Output::Connected(response) if *to == connection => Some(response),
            _ => None,
        });
        let answer = answer.expect("an answer to the handshake");
        (connection, answer.session_id, answer.password.expose().to_vec())
    }

    fn connect(&mut self) -> ConnectionId {
        self.handshake(0, &[], 10_000).0
    }

    fn call(&mut self, connection: ConnectionId, request: Request) -> Outcome {
        self.call_with_zxid(connection, request).1
    }

    /// The reply's zxid, counted from the beginning, and the outcome.
    fn call_with_zxid(&mut self, connection: ConnectionId, request: Request) -> (i64, Outcome) {
        let number = self.next_xid;
        self.next_xid += 1;
        let op = request.op();
        self.run(|state, now, effects| state.request(connection, number, op, Ok(request), now, effects));
        let position = self.outputs.iter().position(|(to, output)| {
            *to == connection && matches!(output, Output::Reply { xid, .. } if *xid == number)
        });
        let (_, reply) = self.outputs.remove(position.expect("an answer"));
        let Output::Reply { zxid, outcome, .. } = reply else { unreachable!() };
        (zxid - BASE, outcome)
    }

    fn create(
        &mut self,
        connection: ConnectionId,
        path: &str,
        mode: CreateMode,
    ) -> Result<String, ErrorCode> {
        match self.call(connection, create(path, mode))? {
            Response::Created2 { path, .. } => Ok(path),
            other => panic!("{other:?}"),
        }
    }

    fn stat(&mut self, connection: ConnectionId, path: &str) -> Result<Stat, ErrorCode> {
        match self.call(connection, exists(path, false))? {
            Response::Stat(mut stat) => {
                for zxid in [&mut stat.czxid, &mut stat.mzxid, &mut stat.pzxid] {
                    *zxid = (*zxid - BASE).max(0);
                }
                Ok(stat)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Events of one connection that were not looked at yet: zxid from the beginning, kind, path.
    fn events(&mut self, connection: ConnectionId) -> Vec<(i64, EventKind, String)> {
        let mut events = Vec::new();
        self.outputs.retain(|(to, output)| match output {
            Output::Event { zxid, event } if *to == connection => {
                let zxid = if *zxid < 0 { *zxid } else { zxid - BASE };
                events.push((zxid, event.kind, event.path.clone()));
                false
            }
            _ => true,
        });
        events
    }

    fn hung_up(&mut self, connection: ConnectionId) -> Option<Farewell> {
        self.outputs.iter().find_map(|(to, output)| match output {
            Output::Hangup(why) if *to == connection => Some(*why),
            _ => None,
        })
    }
}

fn create(path: &str, mode: CreateMode) -> Request {
    create_with(path, mode, vec![Acl::anyone(perms::ALL)])
}

fn create_with(path: &str, mode: CreateMode, acl: Vec<Acl>) -> Request {
    Request::Create2 { path: path.into(), data: Some(b"x".to_vec()), acl, mode }
}

fn create_op(path: &str, mode: CreateMode) -> MultiOp {
    MultiOp::Create2 { path: path.into(), data: None, acl: vec![Acl::anyone(perms::ALL)], mode }
}

fn delete(path: &str) -> Request {
    Request::Delete { path: path.into(), version: -1 }
}

fn delete_op(path: &str) -> MultiOp {
    MultiOp::Delete { path: path.into(), version: -1 }
}

fn exists(path: &str, watch: bool) -> Request {
    Request::Exists { path: path.into(), watch }
}

fn get(path: &str, watch: bool) -> Request {
    Request::GetData { path: path.into(), watch }
}

fn children(path: &str, watch: bool) -> Request {
    Request::GetChildren2 { path: path.into(), watch }
}

fn set(path: &str, data: &[u8]) -> Request {
    Request::SetData { path: path.into(), data: Some(data.to_vec()), version: -1 }
}
