//! One embedded server: the real state and the real journal, on a disk that can fail.
//!
//! It does what the server's pipeline does, in virtual time: it takes what has come, writes it, syncs once,
//! and only then lets answers out. When its process dies, another one opens the directory.
//!
//! Always checked here: whatever was let out is still there after any crash, and the same as it was.

pub(crate) mod disk;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use zk_embedded::journal::{Journal, Limits as JournalLimits};
use zk_embedded::state::{ConnectionId, Effects, Limits, Moment, Output, State};
use zk_wire::{ConnectRequest, Request, RequestHeader};

use crate::ensemble::Later;
use crate::record::{Sight, What};
use crate::service::{Cause, Conn, Down, Sink};
use crate::{MS, SECOND};
use disk::SimDisk;

/// Where a fresh directory's zxids begin.
const FIRST_ZXID: i64 = 1_700_000_000;
/// The connection of an operator's client, and of whoever forges a close.
const OPERATOR: Conn = 1 << 60;
/// Connections by which an operator's clients are numbered on.
const STEP: Conn = 1;

pub(crate) struct Lone {
    disk: SimDisk,
    host: Option<Host>,
    /// Processes that have opened the directory.
    life: u64,
    /// The highest zxid that anybody was shown.
    shown: i64,
    operators: Conn,
    timeouts_ms: (i32, i32),
    /// What was shown before the last sync that wrote anything.
    shown_before: i64,
    /// What the state was at each change that a crash may leave as the last one: a hash of its snapshot.
    states: BTreeMap<i64, u64>,
    /// Syncs take so much longer.
    pub(crate) slow: u64,
    /// The ephemeral znodes, by path: creation zxid and owner.
    znodes: BTreeMap<String, (i64, i64)>,
}

/// The process that has the directory.
struct Host {
    state: State,
    journal: Journal,
    /// Made, but not yet on disk.
    held: Vec<(ConnectionId, Output)>,
    greeted: BTreeMap<Conn, bool>,
    /// The sessions that connections were given.
    given: BTreeMap<Conn, i64>,
    syncing: bool,
    /// It has stood still until then.
    stalled_until: u64,
}

/// What was read from a directory.
struct Found {
    state: State,
    journal: Journal,
    /// A torn end was cut off.
    cut: bool,
    from_snapshot: bool,
}

impl Lone {
    pub(crate) fn new(least_ms: i32, most_ms: i32) -> Lone {
        Lone {
            disk: SimDisk::default(),
            host: None,
            life: 0,
            shown: 0,
            operators: OPERATOR,
            timeouts_ms: (least_ms, most_ms),
            shown_before: 0,
            states: BTreeMap::new(),
            slow: 0,
            znodes: BTreeMap::new(),
        }
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.host.is_some()
    }

    /// The session that a connection was given.
    pub(crate) fn session_of(&self, conn: Conn) -> Option<i64> {
        self.host.as_ref()?.given.get(&conn).copied()
    }

    /// The last change that the present process has.
    pub(crate) fn last_zxid(&self) -> i64 {
        self.host.as_ref().map_or(0, |host| host.state.last_zxid())
    }

    /// The creation zxid and owner of each ephemeral znode.
    pub(crate) fn znodes(&self) -> impl Iterator<Item = (&str, i64, i64)> + '_ {
        self.znodes.iter().map(|(path, (czxid, owner))| (path.as_str(), *czxid, *owner))
    }

    /// What a process finds in the directory: refused, or all that was shown up to `shown`, as it was.
    fn read(&self, shown: i64) -> Result<Found, String> {
        let (min_timeout_ms, max_timeout_ms) = self.timeouts_ms;
        let limits = Limits { min_timeout_ms, max_timeout_ms, ..Limits::default() };
        let disk = Arc::new(self.disk.clone());
        // Segments and snapshots small enough to be met within one run.
        let journal = JournalLimits { segment_bytes: 4 << 10, snapshot_bytes: 4 << 10, snapshot_records: 40 };
        let (journal, recovery) = Journal::open_on(disk, journal).map_err(|error| error.to_string())?;
        let (cut, from_snapshot) = (recovery.cut.is_some(), recovery.snapshot.is_some());
        let mut state = match recovery.snapshot {
            Some((_, bytes)) => State::from_snapshot(&bytes, limits).map_err(|error| format!("{error:?}"))?,
            None => State::new(limits, FIRST_ZXID),
        };
        for record in recovery.records {
            let (zxid, record) = record.map_err(|error| error.to_string())?;
            state.replay(zxid as i64, &record).map_err(|error| format!("{error:?}"))?;
        }
        if state.last_zxid() < shown {
            return Err(format!(
                "an acknowledged write is lost: zxid 0x{shown:x} was shown, 0x{:x} is on disk",
                state.last_zxid()
            ));
        }
        if self.states.get(&state.last_zxid()).is_some_and(|written| *written != hash(&state)) {
            return Err(format!(
                "an acknowledged write reads otherwise, up to zxid 0x{:x}",
                state.last_zxid()
            ));
        }
        Ok(Found { state, journal, cut, from_snapshot })
    }

    /// A process opens the directory and serves.
    pub(crate) fn start(&mut self, sink: &mut Sink<'_>) -> Result<(), String> {
        let Found { mut state, journal, cut, from_snapshot } = self.read(self.shown)?;
        if cut {
            sink.saw(Sight::TailCut);
        }
        if from_snapshot {
            sink.saw(Sight::SnapshotRead);
        }
        // What was lost with its number tells nothing of what will have that number.
        self.states.retain(|zxid, _| *zxid <= state.last_zxid());
        state.revive(moment(sink.now));
        self.life += 1;
        self.host = Some(Host {
            state,
            journal,
            held: Vec::new(),
            greeted: BTreeMap::new(),
            given: BTreeMap::new(),
            syncing: false,
            stalled_until: 0,
        });
        sink.note(What::HostStarted, self.life, 0);
        self.look();
        sink.restarted = Some(self.znodes.values().map(|(czxid, _)| *czxid).collect());
        sink.after(50 * MS, Later::Sweep { life: self.life });
        Ok(())
    }

    /// The process dies, and with it whatever was not synced.
    pub(crate) fn crash(&mut self, sink: &mut Sink<'_>) {
        let Some(host) = self.host.take() else { return };
        for (conn, _) in host.greeted {
            sink.down.push((conn, Down::Hangup));
        }
        self.disk.crash(sink.random).into_iter().for_each(|sight| sink.saw(sight));
        sink.note(What::HostDied, self.life, 0);
        let way = sink.random.ms(20, 1_500);
        sink.after(way, Later::Start { life: self.life });
    }

    /// The next sync of a living process fails.
    pub(crate) fn fail_next_sync(&self) {
        if self.host.is_some() {
            self.disk.fail_next_sync();
        }
    }

    /// The process stands still; what comes meanwhile waits in its sockets. When it goes on it has heard nobody for
    /// that long, and nobody is to lose a session for it.
    pub(crate) fn stall(&mut self, now: u64, until: u64) {
        if let Some(host) = &mut self.host {
            let from = host.stalled_until.max(now);
            host.stalled_until = from.max(until);
            host.state.extend_deadlines(Duration::from_nanos(host.stalled_until - from));
        }
    }

    /// When it goes on, if it stands still.
    pub(crate) fn stalled_until(&self) -> u64 {
        self.host.as_ref().map_or(0, |host| host.stalled_until)
    }

    /// Flips a bit on the disk of a dead process, and reads it: refused, or nothing shown is lost.
    pub(crate) fn flip_a_bit(&mut self, sink: &mut Sink<'_>) -> Result<(), String> {
        self.crash(sink);
        let Some(flip) = self.disk.flip(sink.random) else { return Ok(()) };
        // The newest group cannot be told from a torn write, and is cut off.
        let found = self.read(self.shown_before);
        self.disk.undo(flip);
        match found {
            Err(error) if error.starts_with("an acknowledged") => Err(error),
            Err(_) => {
                sink.saw(Sight::FlipRefused);
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    pub(crate) fn open(&mut self, conn: Conn, sink: &mut Sink<'_>) {
        let Some(host) = &mut self.host else { return sink.down.push((conn, Down::Hangup)) };
        host.state.open(ConnectionId(conn), IpAddr::V4(Ipv4Addr::LOCALHOST));
        host.greeted.insert(conn, false);
    }

    pub(crate) fn closed(&mut self, conn: Conn) {
        if let Some(host) = &mut self.host
            && host.greeted.remove(&conn).is_some()
        {
            host.state.close(ConnectionId(conn));
        }
    }

    pub(crate) fn receive(&mut self, conn: Conn, frame: &[u8], sink: &mut Sink<'_>) {
        let Some(host) = &mut self.host else { return };
        let Some(greeted) = host.greeted.get_mut(&conn) else { return };
        let (id, now) = (ConnectionId(conn), moment(sink.now));
        let mut effects = Effects::default();
        if !std::mem::replace(greeted, true) {
            let Ok(request) = ConnectRequest::decode(frame) else { return };
            let mut password = [0; 16];
            password[..8].copy_from_slice(&sink.random.next().to_be_bytes());
            host.state.connect(id, &request, password, now, &mut effects);
        } else if let Ok((header, body)) = RequestHeader::decode(frame) {
            host.state.touch(id, now.elapsed);
            let request = Request::decode(header.op, body);
            host.state.request(id, header.xid, header.op, request, now, &mut effects);
        }
        self.take(effects, Cause::Asked, sink);
    }

    /// An operator's client asks for this, in a session of its own.
    pub(crate) fn meddle(&mut self, request: Request, sink: &mut Sink<'_>) {
        let Some(host) = &mut self.host else { return };
        self.operators += STEP;
        let id = ConnectionId(self.operators);
        let now = moment(sink.now);
        let mut effects = Effects::default();
        host.state.open(id, IpAddr::V4(Ipv4Addr::LOCALHOST));
        host.state.connect(id, &connect_request(0, 0), [7; 16], now, &mut effects);
        host.state.request(id, 1, request.op(), Ok(request), now, &mut effects);
        host.state.request(id, 2, Request::Close.op(), Ok(Request::Close), now, &mut effects);
        host.state.close(id);
        self.take(effects, Cause::Meddled, sink);
    }

    /// Somebody who does not know the session's password tries to take it, and somebody who may ends it.
    pub(crate) fn end_session(&mut self, session: i64, sink: &mut Sink<'_>) -> Result<(), String> {
        let Some(host) = &mut self.host else { return Ok(()) };
        let mut effects = Effects::default();
        self.operators += STEP;
        let thief = ConnectionId(self.operators);
        host.state.open(thief, IpAddr::V4(Ipv4Addr::LOCALHOST));
        let stolen = connect_request(session, 0);
        host.state.connect(thief, &stolen, [0; 16], moment(sink.now), &mut effects);
        let taken = |output: &Output| matches!(output, Output::Connected(answer) if answer.timeout_ms > 0);
        if effects.outputs.iter().any(|(to, output)| *to == thief && taken(output)) {
            return Err(format!("session 0x{session:x} was given to somebody without its password"));
        }
        host.state.close(thief);
        host.state.expire_session(session, moment(sink.now), &mut effects);
        self.take(effects, Cause::Meddled, sink);
        Ok(())
    }

    pub(crate) fn happen(&mut self, later: Later, sink: &mut Sink<'_>) -> Result<(), String> {
        match later {
            Later::Synced { life } if life == self.life => self.synced(sink),
            Later::Sweep { life } if life == self.life && self.host.is_some() => {
                let mut effects = Effects::default();
                if let Some(host) = &mut self.host {
                    host.state.expire(moment(sink.now), &mut effects);
                }
                self.take(effects, Cause::Expired, sink);
                sink.after(50 * MS, Later::Sweep { life });
            }
            Later::Start { life } if life == self.life && self.host.is_none() => self.start(sink)?,
            _ => {}
        }
        Ok(())
    }

    /// Records go to the journal, everything else waits for the sync.
    fn take(&mut self, effects: Effects, cause: Cause, sink: &mut Sink<'_>) {
        let Some(host) = &mut self.host else { return };
        let wrote = !effects.records.is_empty();
        for (zxid, record) in effects.records {
            if host.journal.append(zxid as u64, &record).is_err() {
                return self.crash(sink);
            }
        }
        host.held.extend(effects.outputs);
        if wrote {
            self.states.insert(host.state.last_zxid(), hash(&host.state));
            self.compare(cause, sink);
        }
        let Some(host) = &mut self.host else { return };
        if !host.syncing && !host.held.is_empty() {
            host.syncing = true;
            let way = if wrote { sink.random.ms(0, 3) + self.slow } else { sink.random.below(MS / 10) };
            sink.after(way, Later::Synced { life: self.life });
        }
    }

    fn synced(&mut self, sink: &mut Sink<'_>) {
        let Some(host) = &mut self.host else { return };
        host.syncing = false;
        if host.journal.sync().is_err() {
            sink.saw(Sight::SyncFailed);
            return self.crash(sink);
        }
        if host.state.last_zxid() > self.shown {
            self.shown_before = std::mem::replace(&mut self.shown, host.state.last_zxid());
            self.states = self.states.split_off(&self.shown_before);
        }
        for (ConnectionId(conn), output) in std::mem::take(&mut host.held) {
            if conn >= OPERATOR {
                continue;
            }
            match output {
                Output::Connected(answer) => {
                    if answer.timeout_ms == 0 {
                        sink.connected(conn, 0, 0);
                    } else {
                        host.given.insert(conn, answer.session_id);
                        sink.greeting(conn, &answer);
                    }
                }
                Output::Reply { xid, zxid, outcome } => sink.reply(conn, xid, zxid, &outcome),
                Output::Event { event, .. } => sink.event(conn, event.kind, &event.path),
                Output::Hangup(_) => {
                    host.greeted.remove(&conn);
                    host.state.close(ConnectionId(conn));
                    sink.down.push((conn, Down::Hangup));
                }
            }
        }
        if host.journal.should_snapshot() {
            let (zxid, bytes) = (host.state.last_zxid(), host.state.snapshot());
            if host.journal.snapshot(zxid as u64, &bytes).is_err() {
                self.crash(sink);
            }
        }
    }

    /// What has changed among the ephemeral znodes since the last look.
    fn compare(&mut self, cause: Cause, sink: &mut Sink<'_>) {
        let before = std::mem::take(&mut self.znodes);
        self.look();
        for (path, (czxid, owner)) in &self.znodes {
            if before.get(path).is_none_or(|(known, _)| known != czxid) {
                sink.note(What::Enrolled, *czxid as u64, *owner as u64);
            }
        }
        for (path, (czxid, _)) in &before {
            if self.znodes.get(path).is_none_or(|(now, _)| now != czxid) {
                sink.note(What::Gone, *czxid as u64, cause as u64);
                sink.gone.push((*czxid, cause));
            }
        }
    }

    fn look(&mut self) {
        let Some(host) = &self.host else { return };
        self.znodes = host
            .state
            .ephemerals()
            .into_iter()
            .map(|(path, czxid, owner)| (path.to_owned(), (czxid, owner)))
            .collect();
    }
}

/// Of all that lasts: tree, sessions, zxid.
fn hash(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&state.snapshot());
    hasher.finish()
}

fn connect_request(session_id: i64, last_zxid_seen: i64) -> ConnectRequest {
    let password = vec![0; 16].into();
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen,
        timeout_ms: 10_000,
        session_id,
        password,
        read_only: None,
    }
}

fn moment(now: u64) -> Moment {
    let wall_ms = 1_790_000_000_000 + (now / MS) as i64;
    Moment { wall_ms, elapsed: Duration::from_nanos(now) + Duration::from_nanos(SECOND) }
}
