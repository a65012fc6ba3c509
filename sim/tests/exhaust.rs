//! The exhaustive search: that its model of a server says what the embedded server's own state says, that small
//! scopes are searched whole, and that a course can be told again.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use elector_core::{Answer, Change, Layout, Refusal, Request, RequestId};
use elector_sim::exhaust::scope::{Fault, Scope};
use elector_sim::exhaust::server::{Frame, Kind, Packet, Sent, Server};
use elector_sim::exhaust::{Bounds, search, tell};
use fastrand::Rng;
use zk_embedded::state::{ConnectionId, Effects, Limits, Moment, Output, State};
use zk_wire::{
    Acl, ConnectRequest, CreateMode, ErrorCode, EventKind, MultiOp, MultiResult, Response, Secret, perms,
};

const PATH: &str = "/election";
const CONTENDERS: usize = 3;

/// The model and the embedded server's state, told the same.
struct Both {
    model: Server,
    state: State,
    random: Rng,
    /// The real session and connection of each contender, and its session in the model.
    sessions: Vec<(i64, ConnectionId, i64)>,
    connections: u64,
    requests: u64,
    /// The real zxid of each creation that the model knows.
    czxids: BTreeMap<i64, i64>,
    /// How far both were at the same time: the model's zxid and the real one.
    known: Vec<(i64, i64)>,
    stems: Vec<String>,
}

impl Both {
    fn new(seed: u64) -> Both {
        let mut both = Both {
            model: Server::new(CONTENDERS),
            state: State::new(Limits::default(), 1_000),
            random: Rng::with_seed(seed),
            sessions: Vec::new(),
            connections: 0,
            requests: 0,
            czxids: BTreeMap::new(),
            known: vec![(0, 0)],
            stems: Vec::new(),
        };
        for at in 0..CONTENDERS {
            both.sessions.push((0, ConnectionId(0), 0));
            both.begin_session(at);
        }
        both
    }

    fn begin_session(&mut self, at: usize) {
        let connection = self.open();
        let ours = connection.0 as i64;
        self.model.open_session(ours);
        let effects = self.connect(connection, 0);
        let [(_, Output::Connected(answer))] = &effects.outputs[..] else { panic!("{effects:?}") };
        self.sessions[at] = (answer.session_id, connection, ours);
    }

    fn open(&mut self) -> ConnectionId {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        self.state.open(connection, IpAddr::V4(Ipv4Addr::LOCALHOST));
        connection
    }

    fn connect(&mut self, connection: ConnectionId, session_id: i64) -> Effects {
        let asked = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 10_000,
            session_id,
            password: Secret::from([7; 16].as_slice()),
            read_only: None,
        };
        let mut effects = Effects::default();
        self.state.connect(connection, &asked, [7; 16], now(), &mut effects);
        effects
    }

    /// The same connection breaks on both sides, and the session goes on over another one.
    fn reconnect(&mut self, at: usize) {
        let (session, connection, _) = self.sessions[at];
        self.model.disconnect(at);
        self.state.close(connection);
        self.sessions[at].1 = self.open();
        let effects = self.connect(self.sessions[at].1, session);
        assert!(matches!(effects.outputs[..], [(_, Output::Connected(_))]));
    }

    fn ask(&mut self, at: usize, request: Request) {
        self.requests += 1;
        let id = RequestId(self.requests);
        let frames = self.model.take(at, self.sessions[at].2, Packet::Ask(id, request.clone()));
        let mut effects = Effects::default();
        let connection = self.sessions[at].1;
        let real = real(&request);
        self.state.request(connection, 1, real.op(), Ok(real), now(), &mut effects);
        self.compare(frames, effects, &request);
    }

    fn restore(&mut self, at: usize, names: Vec<(Kind, String)>) {
        let (known_at, relative_zxid) = self.known[self.random.usize(..self.known.len())];
        let of = |kind| names.iter().filter(|(is, _)| *is == kind).map(|(_, name)| path(name)).collect();
        let (data, child) = (of(Kind::Data), of(Kind::Child));
        let frames = self.model.take(at, self.sessions[at].2, Packet::Restore { names, known_at });
        let real = zk_wire::Request::SetWatches { relative_zxid, data, exist: Vec::new(), child };
        let mut effects = Effects::default();
        self.state.request(self.sessions[at].1, 1, real.op(), Ok(real), now(), &mut effects);
        self.compare(frames, effects, &Request::Sync);
    }

    /// Somebody else's requests, whose answers nobody compares.
    fn operate(&mut self, requests: Vec<zk_wire::Request>) -> Effects {
        let connection = self.open();
        let mut effects = self.connect(connection, 0);
        for request in requests {
            self.state.request(connection, 1, request.op(), Ok(request), now(), &mut effects);
        }
        let close = zk_wire::Request::Close;
        self.state.request(connection, 1, close.op(), Ok(close), now(), &mut effects);
        effects.outputs.retain(|(to, _)| *to != connection);
        effects
    }

    fn end_session(&mut self, at: usize) {
        let mut frames = Sent::new();
        self.model.disconnect(at);
        self.model.end_session(self.sessions[at].2, &mut frames);
        let mut effects = Effects::default();
        assert!(self.state.expire_session(self.sessions[at].0, now(), &mut effects));
        effects.outputs.retain(|(_, output)| !matches!(output, Output::Hangup(_)));
        self.compare(frames, effects, &Request::Sync);
        self.begin_session(at);
    }

    fn delete(&mut self, name: &str) {
        let mut frames = Sent::new();
        self.model.delete(name, &mut frames);
        let effects = self.operate(vec![zk_wire::Request::Delete { path: path(name), version: -1 }]);
        self.compare(frames, effects, &Request::Sync);
    }

    fn touch(&mut self, name: &str) {
        let mut frames = Sent::new();
        self.model.touch(name, &mut frames);
        let write = zk_wire::Request::SetData { path: path(name), data: None, version: -1 };
        let effects = self.operate(vec![write]);
        self.compare(frames, effects, &Request::Sync);
    }

    fn reap(&mut self) {
        self.model.reap();
        let effects = self.operate(vec![zk_wire::Request::Delete { path: PATH.to_owned(), version: -1 }]);
        self.compare(Sent::new(), effects, &Request::Sync);
    }

    /// Both have told the same, each contender in the same order.
    fn compare(&mut self, frames: Sent, effects: Effects, request: &Request) {
        for at in 0..CONTENDERS {
            let connection = self.sessions[at].1;
            let model = frames.iter().filter(|(to, _)| *to == at).map(|(_, frame)| frame);
            let real = effects.outputs.iter().filter(|(to, _)| *to == connection).map(|(_, output)| output);
            let (model, real): (Vec<_>, Vec<_>) = (model.collect(), real.collect());
            assert_eq!(model.len(), real.len(), "{request:?}: {model:?} is not {real:?}");
            for (frame, output) in model.into_iter().zip(real) {
                self.same(frame, output);
            }
        }
        self.known.push((self.model.zxid(), self.state.last_zxid()));
    }

    fn same(&mut self, frame: &Frame, output: &Output) {
        match (frame, output) {
            (Frame::Event { name, change }, Output::Event { event, .. }) => {
                let kind = match event.kind {
                    EventKind::Deleted => Change::Deleted,
                    EventKind::DataChanged | EventKind::ChildrenChanged => Change::Touched,
                    other => panic!("{other:?} was watched for by nobody"),
                };
                assert_eq!((&path(name), *change), (&event.path, kind));
            }
            (Frame::Restored { .. }, Output::Reply { outcome: Ok(Response::Empty), .. }) => {}
            (Frame::Reply { outcome, .. }, Output::Reply { outcome: real, .. }) => self.agree(outcome, real),
            (frame, output) => panic!("{frame:?} is not {output:?}"),
        }
    }

    fn agree(&mut self, model: &Result<Answer, Refusal>, real: &Result<Response, ErrorCode>) {
        let (model, real) = match (model, real) {
            (Err(Refusal::NoNode), Err(ErrorCode::NoNode)) => return,
            // The row that makes the path goes on at what is there.
            (Ok(Answer::Done), Err(ErrorCode::NodeExists)) => return,
            (Err(Refusal::NoNode), Ok(Response::Multi(results))) => {
                return assert!(matches!(results[..], [MultiResult::Failed(ErrorCode::NoNode)]));
            }
            (Ok(model), Ok(real)) => (model, real),
            (model, real) => panic!("{model:?} is not {real:?}"),
        };
        match (model, real) {
            (Answer::Created { name, czxid, owner }, Response::Created2 { path: made, stat }) => {
                assert_eq!(&path(name), made);
                self.same_znode((*czxid, *owner), (stat.czxid, stat.ephemeral_owner));
            }
            (Answer::Node { czxid, owner }, Response::Data { stat, .. }) => {
                self.same_znode((*czxid, *owner), (stat.czxid, stat.ephemeral_owner));
            }
            (Answer::Listed(model), Response::Children2 { names, .. }) => {
                let mut names = names.clone();
                names.sort();
                assert_eq!(model, &names);
            }
            (Answer::Done, Response::Multi(results)) => {
                assert!(matches!(results[..], [MultiResult::Checked]));
            }
            (Answer::Done, _) => {}
            (model, real) => panic!("{model:?} is not {real:?}"),
        }
    }

    fn same_znode(&mut self, model: (i64, i64), real: (i64, i64)) {
        assert_eq!(*self.czxids.entry(model.0).or_insert(real.0), real.0);
        let rises = self.czxids.values().zip(self.czxids.values().skip(1)).all(|(a, b)| a < b);
        assert!(rises, "creation zxids are in another order: {:?}", self.czxids);
        assert!(self.sessions.iter().any(|(real_id, _, id)| (*id, *real_id) == (model.1, real.1)));
    }

    /// A znode's name: one that is there, or one that was made up.
    fn some_name(&mut self) -> String {
        let there: Vec<String> = self.model.in_order().iter().map(|(name, _)| (*name).to_owned()).collect();
        match self.random.choice(there).filter(|_| self.random.u8(..5) > 0) {
            Some(name) => name,
            None => format!("nobody-{:010}", self.random.u8(..5)),
        }
    }

    fn step(&mut self) {
        let at = self.random.usize(..CONTENDERS);
        let name = self.some_name();
        let is_there = self.model.in_order().iter().any(|(there, _)| **there == name);
        match self.random.u8(..24) {
            0..4 => {
                let stem = format!("stem{}-latch-", self.stems.len());
                self.stems.push(stem.clone());
                self.ask(at, Request::Create { name: stem });
            }
            4..6 => self.ask(at, Request::List { audit: false }),
            6 => self.ask(at, Request::EnsureParents),
            7 => self.ask(at, Request::Sync),
            8..11 => {
                let other = self.some_name();
                let others =
                    if other == name || self.random.bool() { vec![name] } else { vec![name, other.clone()] };
                let nearest = self.random.bool().then_some(other);
                self.ask(at, Request::Watch { nearest, others });
            }
            11..13 => {
                let watch = self.random.bool();
                self.ask(at, Request::Read { name, watch });
            }
            13..15 => self.ask(at, Request::Probe { name }),
            15..18 => self.ask(at, Request::Delete { name }),
            18 => {
                self.reconnect(at);
                let kind = if self.random.bool() { Kind::Data } else { Kind::Child };
                self.restore(at, vec![(kind, name)]);
            }
            19 => self.end_session(at),
            20 if is_there => self.delete(&name),
            21..23 if is_there => self.touch(&name),
            23 if self.model.in_order().is_empty() => self.reap(),
            _ => {}
        }
    }
}

fn path(name: &str) -> String {
    if name.is_empty() { PATH.to_owned() } else { format!("{PATH}/{name}") }
}

fn now() -> Moment {
    Moment { wall_ms: 1_790_000_000_000, elapsed: Duration::from_secs(1) }
}

/// The request that the library makes of this one.
fn real(request: &Request) -> zk_wire::Request {
    use zk_wire::Request as Real;
    let anyone = || vec![Acl::anyone(perms::ALL)];
    match request {
        Request::EnsureParents => Real::Create {
            path: PATH.to_owned(),
            data: Some(Vec::new()),
            acl: anyone(),
            mode: CreateMode::Persistent,
        },
        Request::Create { name } => Real::Create2 {
            path: path(name),
            data: Some(Vec::new()),
            acl: anyone(),
            mode: CreateMode::EphemeralSequential,
        },
        Request::List { .. } => Real::GetChildren2 { path: PATH.to_owned(), watch: false },
        Request::Sync => Real::Sync { path: PATH.to_owned() },
        Request::Watch { nearest, others } => Real::SetWatches {
            relative_zxid: i64::MAX,
            data: nearest.iter().map(|name| path(name)).collect(),
            exist: Vec::new(),
            child: others.iter().map(|name| path(name)).collect(),
        },
        Request::Read { name, watch } => Real::GetData { path: path(name), watch: *watch },
        Request::Probe { name } => Real::Multi(vec![MultiOp::Check { path: path(name), version: -1 }]),
        Request::Delete { name } => Real::Delete { path: path(name), version: -1 },
    }
}

#[test]
fn the_model_says_what_the_embedded_server_says() {
    for seed in 0..400 {
        let mut both = Both::new(seed);
        for _ in 0..150 {
            both.step();
        }
    }
}

fn searched(layout: Layout, contenders: usize, settled: usize, faults: &[Fault]) {
    let scope = Scope::new(layout, contenders, settled, faults);
    let found = search(&scope, Bounds::default(), |_, _, _| {});
    if let Some(violation) = found.violation {
        let (lines, _) = tell(&scope, &violation.choices).expect("it is one of its courses");
        panic!("{}\n{}", lines.join("\n"), violation.what);
    }
    assert!(found.complete && found.rests > 0);
}

#[test]
fn small_scopes_are_searched_whole() {
    searched(Layout::Latch, 1, 0, &[Fault::Break, Fault::Delete]);
    searched(Layout::Latch, 2, 2, &[Fault::Break]);
    searched(Layout::Latch, 3, 3, &[Fault::Resign]);
    searched(Layout::Single, 2, 2, &[Fault::Break]);
}

/// It led for a znode whose delete it had sent itself, which then arrived.
#[test]
fn the_course_of_a_late_delete_stays_mended() {
    searched(Layout::Latch, 1, 0, &[Fault::Break, Fault::Break, Fault::Delete]);
}

#[test]
fn a_bound_is_told_and_a_course_is_told_again() {
    let scope = Scope::new(Layout::Latch, 2, 0, &[Fault::Break]);
    let found = search(&scope, Bounds { states: 1_000, ..Bounds::default() }, |_, _, _| {});
    assert!(!found.complete && found.violation.is_none());
    let (lines, wrong) = tell(&scope, &[0, 0, 0]).expect("there is always a first choice");
    assert!(wrong.is_none() && lines.iter().any(|line| line.contains("c0 connects")), "{lines:?}");
    assert!(tell(&scope, &[200]).is_err());
}
