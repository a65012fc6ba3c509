//! The session: what its owner asks of it.
//!
//! Purpose: the state of one session and the calls that change it at once; [`drive`](crate::drive) moves it
//! on, [`inbound`](crate::inbound) reads what servers say. Invariant: no task, no lock and no channel: the
//! owner calls [`next`](Session::next) again and again, and everything happens inside these calls.

use std::time::Duration;

use zk_wire::{Acl, CreateMode, FrameError, Request, Secret, perms, xid};

use crate::attempt::Attempt;
use crate::chroot::Chroot;
use crate::clock::{BootClock, Clock};
use crate::config::{Config, MAX_REQUEST, MAX_UNWRITTEN, Pace};
use crate::connect_string::ConnectString;
use crate::connector::{Connector, TcpConnector};
use crate::happening::{Attachment, DetachCause, Happening, NotSent, RequestId};
use crate::link::Link;
use crate::outstanding::{Effect, Outstanding, Pending, Purpose, Step};
use crate::servers::Servers;
use crate::watches::{WatchSet, Watches};

/// What a create of an ensure has at most besides its path: headers, no data, one entry of an ACL, flags.
const ENSURE_OVERHEAD: usize = 64;

/// One ZooKeeper session, over whatever connections it takes.
///
/// It connects, re-attaches to another server with the same session, keeps itself alive, and sets
/// credentials and watches again after each reconnect, all while its owner awaits [`next`](Self::next).
/// Nothing is queued while no server carries the session: [`submit`](Self::submit) refuses instead.
///
/// Dropping it drops the connection; the session then lives on until its timeout. See
/// [`close`](Self::close).
pub struct Session<C: Connector = TcpConnector, K: Clock = BootClock> {
    pub(crate) config: Config,
    pub(crate) connector: C,
    pub(crate) clock: K,
    pub(crate) chroot: Chroot,
    pub(crate) rng: fastrand::Rng,
    pub(crate) servers: Servers,
    pub(crate) identity: Identity,
    pub(crate) watches: Watches,
    pub(crate) pace: Pace,
    pub(crate) state: State<C::Stream>,
    /// What the next call of [`next`](Self::next) returns.
    pub(crate) ready: Vec<Happening>,
    pub(crate) requests: u64,
    pub(crate) connections: u64,
    pub(crate) closing: bool,
    /// The clock when an attempt to connect last began.
    pub(crate) last_attempt: Option<Duration>,
    /// The next attempt asks the server that has just closed a young connection.
    pub(crate) asks_again: bool,
}

/// What makes the session the same on every server.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// 0 while there is no session.
    pub(crate) id: i64,
    pub(crate) password: Secret,
    /// The smallest timeout negotiated in the session's life.
    pub(crate) smallest: Option<Duration>,
    /// The highest zxid seen, in replies and events; outlives the session.
    pub(crate) last_zxid: i64,
    /// The clock when the last connection ended.
    pub(crate) detached_at: Duration,
    /// The clock when the last connection last received anything.
    pub(crate) heard_at: Duration,
}

pub(crate) enum State<S> {
    /// The next attempt begins at once.
    Idle,
    /// The next attempt begins some time after `since`; `chance` in 0..1 decides when.
    Waiting {
        since: Duration,
        chance: f64,
    },
    Attempting(Attempt<S>),
    Attached(Box<Live<S>>),
    Ended,
}

/// A connection that carries the session.
pub(crate) struct Live<S> {
    pub(crate) link: Link<S>,
    pub(crate) attachment: Attachment,
    pub(crate) outstanding: Outstanding,
    pub(crate) next_xid: i32,
    /// When the ping that waits for its answer was sent.
    pub(crate) ping: Option<Duration>,
    /// Answers to credentials that have not come.
    pub(crate) auths: usize,
    /// Answers to setWatches that have not come.
    pub(crate) restores: usize,
    pub(crate) restored: bool,
    /// No reply in order may carry a lower zxid.
    pub(crate) zxid_floor: i64,
    /// Events that nobody asked for which this connection may still send.
    pub(crate) unasked_left: u32,
    /// When closeSession was sent.
    pub(crate) close_sent: Option<Duration>,
}

impl<C: Connector, K: Clock> Session<C, K> {
    /// A session that does not exist yet; the first [`next`](Self::next) begins to connect.
    pub fn new(config: Config, connector: C, clock: K) -> Self {
        let mut rng = fastrand::Rng::new();
        Self {
            chroot: Chroot::new(config.servers.chroot.as_deref()),
            servers: Servers::new(config.servers.hosts.clone(), config.first.as_deref(), &mut rng),
            config,
            connector,
            clock,
            rng,
            identity: Identity::default(),
            watches: Watches::default(),
            pace: Pace::default(),
            state: State::Idle,
            ready: Vec::new(),
            requests: 0,
            connections: 0,
            closing: false,
            last_attempt: None,
            asks_again: false,
        }
    }

    /// A session that another object had and lost, such as one of a process that died. The first
    /// [`next`](Self::next) begins to re-attach; `config` holds the smallest timeout negotiated in its life.
    ///
    /// The highest zxid that it saw is not known, so what is read may be older than what was read before.
    pub fn resume(config: Config, id: i64, password: Secret, connector: C, clock: K) -> Self {
        let now = clock.now();
        let smallest = Some(config.asked_timeout());
        let identity = Identity { id, password, smallest, last_zxid: 0, detached_at: now, heard_at: now };
        Self { identity, ..Self::new(config, connector, clock) }
    }

    /// The connection that carries the session, if any does.
    pub fn attached(&self) -> Option<&Attachment> {
        self.live().map(|live| &live.attachment)
    }

    /// Whether credentials and watches are in force on the present connection.
    pub fn is_restored(&self) -> bool {
        self.live().is_some_and(|live| live.restored)
    }

    /// The session's id, once there is one.
    pub fn session_id(&self) -> Option<i64> {
        Some(self.identity.id).filter(|id| *id != 0)
    }

    /// Whether the session is over, and no [`restart`](Self::restart) has begun another.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// What it takes to resume or close the session from elsewhere.
    pub fn password(&self) -> &Secret {
        &self.identity.password
    }

    /// The highest zxid seen; it never falls, not even from one session to the next.
    pub fn last_zxid(&self) -> i64 {
        self.identity.last_zxid
    }

    /// The smallest timeout negotiated in the session's life; before that, the one to be asked for.
    pub fn smallest_timeout(&self) -> Duration {
        self.identity.smallest.unwrap_or_else(|| self.config.asked_timeout())
    }

    /// What the session was told about the ensemble.
    pub fn connect_string(&self) -> &ConnectString {
        &self.config.servers
    }

    /// The clock that all times of this session come from.
    pub fn clock(&self) -> &K {
        &self.clock
    }

    /// Whether the last batch ended at its bound, so that more may have arrived already.
    ///
    /// Then the next call of [`next`](Self::next) returns at once, with an empty batch if there was
    /// nothing. Who must not decide on half of what arrived waits until this is false.
    pub fn has_buffered_frames(&self) -> bool {
        !self.ready.is_empty() || self.live().is_some_and(|live| live.link.cut_short())
    }

    /// How often to ping, and how soon a lost connection is wanted back. Takes effect with the next call of
    /// [`next`](Self::next).
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Sends a request, behind all that were submitted before.
    ///
    /// Paths are seen from the chroot. The time that the answer will carry as `sent` is read now; the bytes
    /// go out during the next call of [`flush`](Self::flush) or [`next`](Self::next). Exactly one
    /// [`Reply`](Happening::Reply) or [`Lost`](Happening::Lost) will follow, unless the session is dropped.
    /// Requests of this session are carried out in order, as far as one connection reaches.
    ///
    /// A read with `watch` is remembered once it is answered, a setWatches at once; both are set again after
    /// a reconnect until they fire.
    ///
    /// # Errors
    /// Nothing is sent and nothing queued if no server carries the session, if too much is outstanding, or
    /// if the request cannot be carried out by any server.
    pub fn submit(&mut self, mut request: Request) -> Result<RequestId, NotSent> {
        self.check_open()?;
        self.chroot.request_outward(&mut request)?;
        let effect = self.effect(&request)?;
        let id = RequestId(self.requests);
        let set_watches = match &request {
            Request::SetWatches { relative_zxid, .. } => Some(*relative_zxid),
            _ => None,
        };
        let now = self.clock.now();
        let live = self.room(1)?;
        live.send(now, &request, Purpose::Call { id, effect })?;
        if let (Some(relative), Request::SetWatches { data, exist, child, .. }) = (set_watches, &request) {
            self.watches.pin(relative);
            for (set, paths) in [(WatchSet::Data, data), (WatchSet::Exist, exist), (WatchSet::Child, child)] {
                paths.iter().for_each(|path| self.watches.add(set, path));
            }
        }
        self.requests += 1;
        Ok(id)
    }

    /// Makes `path`, all its parents and the chroot, where they do not exist, as plain nodes: `path` with the
    /// access control list `acl`, the others open to anybody.
    ///
    /// Many requests, one answer: `Ok(Response::Empty)` if the node is there in the end, whoever made it;
    /// else the code that stood in the way. `sent` is the time of the first request.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_ensure(&mut self, path: &str, acl: &[Acl]) -> Result<RequestId, NotSent> {
        self.check_open()?;
        let path = self.chroot.outward(path)?;
        // The root is always there.
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        let prefixes: Vec<&str> = ends.map(|end| &path[..end]).filter(|prefix| *prefix != "/").collect();
        let id = RequestId(self.requests);
        let now = self.clock.now();
        // All of the row or nothing: what could be refused is looked at before the first is queued.
        let bytes: usize = prefixes.iter().map(|prefix| prefix.len() + ENSURE_OVERHEAD).sum();
        let longest = path.len() + ENSURE_OVERHEAD;
        if longest > MAX_REQUEST {
            return Err(FrameError::TooLong { length: longest, limit: MAX_REQUEST }.into());
        }
        let live = self.room(prefixes.len() + 1)?;
        if live.link.unwritten() + bytes + longest > MAX_UNWRITTEN {
            return Err(NotSent::Full);
        }
        let mut first = true;
        for prefix in prefixes {
            let create = Request::Create {
                path: prefix.to_owned(),
                data: Some(Vec::new()),
                acl: if prefix == path { acl.to_vec() } else { vec![Acl::anyone(perms::ALL)] },
                mode: CreateMode::Persistent,
            };
            live.send(now, &create, Purpose::Ensure { id, step: Step::Create { first } })?;
            first = false;
        }
        let look = Request::Exists { path, watch: false };
        live.send(now, &look, Purpose::Ensure { id, step: Step::Check { first } })?;
        self.requests += 1;
        Ok(id)
    }

    /// Writes what was submitted, as far as the connection takes it at once; [`next`](Self::next) writes
    /// the rest, and tells if the connection failed. For an owner that has other things to do before.
    pub fn flush(&mut self) {
        if let State::Attached(live) = &mut self.state {
            live.link.flush();
        }
    }

    /// Drops the present connection, if there is one, and goes on to the next server; this one comes last.
    pub fn give_up_connection(&mut self, why: impl Into<String>) {
        self.detach(DetachCause::GivenUp(why.into()));
    }

    /// Begins an orderly close: no more requests, then closeSession behind those outstanding, on this
    /// connection or the next, until a server has answered or the session is known to be gone. Then comes
    /// [`Ended`](Happening::Ended) with [`Closed`](crate::SessionEnd::Closed). Takes no longer than the
    /// session can live without a connection, if servers do not answer at all. After
    /// [`Ended`](Happening::Ended) there is nothing to close, and nothing happens.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// After [`Ended`](Happening::Ended): begins another session with the same servers, in the same order.
    /// Watches of the old one are forgotten; the highest zxid seen is not. Does nothing before the end.
    pub fn restart(&mut self) {
        if !matches!(self.state, State::Ended) {
            return;
        }
        let last_zxid = self.identity.last_zxid;
        self.identity = Identity { last_zxid, ..Identity::default() };
        self.watches.clear();
        self.closing = false;
        // Were sessions to end as fast as they begin, the wait keeps the rate bounded.
        self.state = match self.last_attempt {
            Some(since) => State::Waiting { since, chance: self.rng.f64() },
            None => State::Idle,
        };
    }

    pub(crate) fn live(&self) -> Option<&Live<C::Stream>> {
        match &self.state {
            State::Attached(live) => Some(live),
            _ => None,
        }
    }

    fn check_open(&self) -> Result<(), NotSent> {
        match &self.state {
            _ if self.closing => Err(NotSent::Closing),
            State::Attached(_) => Ok(()),
            _ => Err(NotSent::Detached),
        }
    }

    /// The connection, if so many requests more may wait on it.
    fn room(&mut self, requests: usize) -> Result<&mut Live<C::Stream>, NotSent> {
        match &mut self.state {
            State::Attached(live)
                if live.outstanding.has_room(requests) && live.link.unwritten() < MAX_UNWRITTEN =>
            {
                Ok(live)
            }
            State::Attached(_) => Err(NotSent::Full),
            _ => Err(NotSent::Detached),
        }
    }

    /// What the answer to this request, whose paths are the server's, will do to the remembered watches.
    fn effect(&self, request: &Request) -> Result<Effect, NotSent> {
        let watch = |path: &String, present, absent| {
            if self.watches.has_room(1, path.len()) {
                Ok(Effect::Watch { path: path.clone(), present, absent })
            } else {
                Err(NotSent::TooManyWatches)
            }
        };
        match request {
            Request::Exists { path, watch: true } => watch(path, WatchSet::Data, Some(WatchSet::Exist)),
            Request::GetData { path, watch: true } => watch(path, WatchSet::Data, None),
            Request::GetChildren { path, watch: true } | Request::GetChildren2 { path, watch: true } => {
                watch(path, WatchSet::Child, None)
            }
            Request::SetWatches { data, exist, child, .. } => {
                let bytes = data.iter().chain(exist).chain(child).map(String::len).sum();
                if self.watches.has_room(data.len() + exist.len() + child.len(), bytes) {
                    Ok(Effect::SetWatches)
                } else {
                    Err(NotSent::TooManyWatches)
                }
            }
            Request::RemoveWatches { path, kind } => Ok(Effect::Remove { path: path.clone(), kind: *kind }),
            Request::Auth { .. }
            | Request::Ping
            | Request::Close
            | Request::SetWatches2 { .. }
            | Request::AddWatch { .. } => Err(NotSent::Unsupported),
            _ => Ok(Effect::None),
        }
    }
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Live<S> {
    /// Whether no answer is due. While one is, a ping could show nothing that it will not show; and where
    /// requests arrive but no answers come back, pings would keep alive a session that hears nothing.
    pub(crate) fn awaits_nothing(&self) -> bool {
        self.ping.is_none() && self.outstanding.is_empty()
    }

    /// Queues a request that is answered in order.
    pub(crate) fn send(&mut self, now: Duration, request: &Request, purpose: Purpose) -> Result<(), NotSent> {
        let xid = match request {
            Request::SetWatches { .. } => xid::SET_WATCHES,
            _ => self.next_xid,
        };
        let start = self.link.queue(now, |out| request.encode(xid, MAX_REQUEST, out))?;
        // Positive ones only: those below have meanings of their own.
        self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
        self.outstanding.push(Pending { xid, op: request.op(), sent: now, start, purpose });
        Ok(())
    }
}

impl<C: Connector, K: Clock> std::fmt::Debug for Session<C, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("servers", &self.config.servers)
            .field("session", &self.identity.id)
            .field("attached", &self.attached())
            .finish_non_exhaustive()
    }
}
