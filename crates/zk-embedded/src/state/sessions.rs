//! The sessions: their passwords, timeouts, and when each will have been silent for too long.
//!
//! Invariant: a session ends no earlier than its timeout after the last time it was heard of. Times are
//! durations since a fixed origin of the caller's; deadlines are not part of what is journaled, so after a
//! restart every session begins a full timeout anew. Used by the state only.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use elector_teeth::{Tooth, bites};

use super::change::PASSWORD;
use super::{ConnectionId, Moment};

/// One session.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Session {
    pub(crate) password: [u8; PASSWORD],
    /// The timeout on record, which a restart begins with.
    pub(crate) recorded_ms: i32,
    /// The timeout in force: that of the last handshake.
    timeout: Duration,
    deadline: Duration,
    pub(crate) connection: Option<ConnectionId>,
}

/// All sessions.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sessions {
    all: HashMap<i64, Session>,
    by_deadline: BTreeSet<(Duration, i64)>,
    /// The highest id ever given out.
    last_id: i64,
}

impl Sessions {
    /// An id that was never given out: the clock's, as Apache's server makes them with the server id 0, but
    /// always above the last one.
    pub(crate) fn new_id(&self, now: Moment) -> i64 {
        const CLOCK_BITS: i64 = (1 << 40) - 1;
        const COUNTER_BITS: u32 = 16;
        ((now.wall_ms & CLOCK_BITS) << COUNTER_BITS).max(self.last_id.saturating_add(1))
    }

    pub(crate) fn open(&mut self, id: i64, timeout_ms: i32, password: [u8; PASSWORD]) {
        self.last_id = self.last_id.max(id);
        let session = Session {
            password,
            recorded_ms: timeout_ms,
            timeout: millis(timeout_ms),
            deadline: Duration::MAX,
            connection: None,
        };
        self.all.insert(id, session);
        self.by_deadline.insert((Duration::MAX, id));
    }

    pub(crate) fn close(&mut self, id: i64) -> Option<Session> {
        let session = self.all.remove(&id)?;
        self.by_deadline.remove(&(session.deadline, id));
        Some(session)
    }

    pub(crate) fn get(&self, id: i64) -> Option<&Session> {
        self.all.get(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// All ids, in order.
    pub(crate) fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.all.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn last_id(&self) -> i64 {
        self.last_id
    }

    pub(crate) fn set_last_id(&mut self, id: i64) {
        self.last_id = id;
    }

    /// Puts a timeout on record; whether the session is there. It is in force as well: a replay sees no
    /// handshake that would say so.
    pub(crate) fn set_recorded(&mut self, id: i64, timeout_ms: i32) -> bool {
        let Some(session) = self.all.get_mut(&id) else { return false };
        session.recorded_ms = timeout_ms;
        session.timeout = millis(timeout_ms);
        true
    }

    /// The session goes on over this connection, with this timeout from now on.
    pub(crate) fn bind(&mut self, id: i64, connection: ConnectionId, timeout_ms: i32, now: Duration) {
        let Some(session) = self.all.get_mut(&id) else { return };
        session.connection = Some(connection);
        session.timeout = millis(timeout_ms);
        let deadline = now.saturating_add(session.timeout);
        self.set_deadline(id, deadline);
    }

    pub(crate) fn unbind(&mut self, id: i64) {
        if let Some(session) = self.all.get_mut(&id) {
            session.connection = None;
        }
    }

    /// The session was heard of at this time.
    pub(crate) fn touch(&mut self, id: i64, at: Duration) {
        let Some(session) = self.all.get(&id) else { return };
        let early = bites(Tooth::ExpiryEarly);
        let timeout = if early { session.timeout * 3 / 4 } else { session.timeout };
        let deadline = at.saturating_add(timeout);
        if early {
            return self.set_deadline(id, deadline);
        }
        if deadline > session.deadline {
            self.set_deadline(id, deadline);
        }
    }

    /// Everybody begins a full timeout, as after a restart.
    pub(crate) fn revive(&mut self, now: Duration) {
        if bites(Tooth::NotRevived) {
            return;
        }
        for id in self.ids() {
            let timeout = self.all[&id].timeout;
            self.set_deadline(id, now.saturating_add(timeout));
        }
    }

    /// The server stood still for so long: nobody could be heard.
    pub(crate) fn extend(&mut self, by: Duration) {
        for id in self.ids() {
            let deadline = self.all[&id].deadline.saturating_add(by);
            self.set_deadline(id, deadline);
        }
    }

    /// When the next session is due.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// Those that are due.
    pub(crate) fn due(&self, now: Duration) -> Vec<i64> {
        self.by_deadline.iter().take_while(|(deadline, _)| *deadline <= now).map(|(_, id)| *id).collect()
    }

    fn set_deadline(&mut self, id: i64, deadline: Duration) {
        let Some(session) = self.all.get_mut(&id) else { return };
        self.by_deadline.remove(&(session.deadline, id));
        session.deadline = deadline;
        self.by_deadline.insert((deadline, id));
    }
}

/// Whether two passwords are the same, in a time that does not tell where they differ.
pub(crate) fn same_password(ours: &[u8; PASSWORD], theirs: &[u8]) -> bool {
    if bites(Tooth::PasswordIgnored) {
        return true;
    }
    theirs.len() == PASSWORD && ours.iter().zip(theirs).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

fn millis(timeout_ms: i32) -> Duration {
    Duration::from_millis(timeout_ms.max(0).unsigned_abs().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn one() -> Sessions {
        let mut sessions = Sessions::default();
        sessions.open(7, 4000, [1; PASSWORD]);
        sessions.bind(7, ConnectionId(1), 4000, seconds(10));
        sessions
    }

    #[test]
    fn a_session_is_due_a_timeout_after_it_was_last_heard_of() {
        let mut sessions = one();
        sessions.touch(7, seconds(11));
        sessions.touch(7, seconds(9));
        assert_eq!(sessions.next_deadline(), Some(seconds(15)));
        assert!(sessions.due(seconds(15) - Duration::from_nanos(1)).is_empty());
        assert_eq!(sessions.due(seconds(15)), [7]);
    }

    #[test]
    fn a_shorter_timeout_holds_at_once() {
        let mut sessions = one();
        sessions.bind(7, ConnectionId(2), 1000, seconds(10));
        assert_eq!(sessions.next_deadline(), Some(seconds(11)));
    }

    #[test]
    fn the_servers_own_pause_does_not_count() {
        let mut sessions = one();
        sessions.extend(seconds(100));
        assert!(sessions.due(seconds(113)).is_empty());
        assert_eq!(sessions.due(seconds(114)), [7]);
    }

    #[test]
    fn after_a_restart_everybody_has_a_full_timeout() {
        let mut sessions = Sessions::default();
        sessions.open(7, 4000, [1; PASSWORD]);
        assert!(sessions.due(seconds(1_000_000)).is_empty(), "nobody is due while the journal is replayed");
        sessions.revive(seconds(20));
        assert_eq!(sessions.next_deadline(), Some(seconds(24)));
    }

    #[test]
    fn ids_rise_also_when_the_clock_does_not() {
        let mut sessions = Sessions::default();
        let now = Moment { wall_ms: 1_800_000_000_000, elapsed: Duration::ZERO };
        let first = sessions.new_id(now);
        sessions.open(first, 1000, [0; PASSWORD]);
        let second = sessions.new_id(Moment { wall_ms: 5, ..now });
        assert!(first > 0 && second == first + 1);
        assert_eq!(first >> 56, 0, "the server id");
    }

    #[test]
    fn passwords_are_compared_whole() {
        assert!(same_password(&[3; PASSWORD], &[3; PASSWORD]));
        assert!(!same_password(&[3; PASSWORD], &[3; PASSWORD - 1]));
        assert!(!same_password(&[3; PASSWORD], &[]));
    }
}
