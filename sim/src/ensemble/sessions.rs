//! The table of sessions of whoever leads, or takes itself for the leader.
//!
//! Invariant: a session ends only by its quorum leader, a full timeout after the last that this one heard of it; it
//! is taken back by the word of whoever leads its server, and no quorum is asked.

use super::quorum::Quorum;
use super::{Answer, Asker, Change, Ensemble, Later};
use crate::MS;
use crate::record::Sight;
use crate::service::{Cause, Sink};

/// A session in its leader's table.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    /// The timeout in force, in nanoseconds.
    pub(super) timeout: u64,
    pub(super) deadline: u64,
    /// A shorter one that its client may not have heard of yet: it takes force with the first word of that
    /// connection. That such an answer is lost, where the servers' limits differ, the guarantees exclude.
    pub(super) shrinks_to: Option<u64>,
    /// The server that may write for it.
    pub(super) owner: usize,
}

impl Seat {
    /// A full timeout from now.
    pub(super) fn new(timeout: u64, owner: usize, now: u64) -> Seat {
        Seat { timeout, deadline: now + timeout, shrinks_to: None, owner }
    }

    /// Its client was heard through this server.
    fn touch(&mut self, server: usize, now: u64) {
        if self.owner == server {
            self.timeout = self.shrinks_to.take().unwrap_or(self.timeout);
        }
        self.deadline = now + self.timeout;
    }
}
impl Quorum {
    /// Whether it hears of this session's client, so that no deposed leader alone answers that.
    pub(super) fn hears_of(&self, session: i64, now: u64) -> bool {
        self.sessions.get(&session).is_some_and(|seat| seat.deadline >= now + seat.timeout / 2)
    }

    /// A leader, deposed or not, heard from the session itself.
    pub(crate) fn touch(&mut self, server: usize, session: i64, sink: &mut Sink<'_>) {
        match self.deposed.get_mut(&server) {
            Some(deposed) => {
                if let Some(seat) = deposed.sessions.get_mut(&session) {
                    seat.touch(server, sink.now);
                }
            }
            None => self.touch_quietly(server, session, sink),
        }
    }

    pub(crate) fn touch_quietly(&mut self, server: usize, session: i64, sink: &mut Sink<'_>) {
        let epoch = self.epoch;
        if let Some(seat) = self.sessions.get_mut(&session) {
            seat.touch(server, sink.now);
            sink.after(seat.timeout, Later::Expire { session, epoch });
        }
    }
}

impl Ensemble {
    pub(super) fn expire(&mut self, session: i64, epoch: u64, sink: &mut Sink<'_>) {
        if self.quorum.epoch != epoch || self.quorum.leader.is_none() {
            return;
        }
        let due = self.quorum.sessions.get(&session).is_some_and(|seat| seat.deadline <= sink.now);
        if due {
            if self.servers.iter().any(|server| server.touched.contains(&session)) {
                sink.saw(Sight::EndedUnreported);
            }
            self.propose(Change::Close { session }, Answer::Done, None, Cause::Expired, sink);
        }
    }

    /// A session is taken back on the word of the one that this server follows; no quorum is asked.
    pub(super) fn revalidate(&mut self, from: Asker, timeout_ms: i32, sink: &mut Sink<'_>) {
        let Asker { server, conn, session, epoch, .. } = from;
        let reaches = self.reaches_leader(server, epoch);
        let table = match self.quorum.deposed.get_mut(&server) {
            Some(deposed) if deposed.epoch == epoch => {
                if deposed.sessions.contains_key(&session) {
                    sink.saw(Sight::AloneAttach);
                }
                &mut deposed.sessions
            }
            _ if reaches => &mut self.quorum.sessions,
            _ => return,
        };
        let Some(seat) = table.get_mut(&session) else {
            return self.revalidated(conn, session, 0, sink);
        };
        let timeout = timeout_ms as u64 * MS;
        seat.shrinks_to = (timeout < seat.timeout).then_some(timeout);
        seat.timeout = seat.timeout.max(timeout);
        seat.deadline = sink.now + seat.timeout;
        if seat.owner != server && seat.owner != usize::MAX {
            sink.saw(Sight::Moved);
        }
        seat.owner = server;
        // What it was heard of before is no word of this connection.
        self.servers[server].touched.remove(&session);
        sink.after(seat.timeout, Later::Expire { session, epoch });
        self.revalidated(conn, session, timeout_ms, sink);
    }
}
