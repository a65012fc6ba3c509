//! Who waits for what.
//!
//! Invariant: the tables by path and the sets by connection say the same, so a connection that closes
//! leaves nothing behind. One-shot watches are sets: asking twice gives one event, and an event uses them
//! up. Used by the state only; whether a watcher may hear of an event is not decided here.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use zk_wire::EventKind;

use super::ConnectionId;

/// Kinds of watches. Recursive ones have their place here when they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One-shot: the node's data and whether it is there.
    Data = 0,
    /// One-shot: the list of children, and the node's end.
    Child = 1,
    /// Both of these, until taken back.
    Persistent = 2,
}

const MODES: usize = 3;

/// Bytes that a watch takes beside its path: its places in the two tables.
pub const WATCH_OVERHEAD: usize = 256;

/// Bytes that the watches of a connection, or of all of them, may take at most. Each takes
/// [`WATCH_OVERHEAD`], and its path; in all a path counts once, however many watch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchLimits {
    /// Of one connection.
    pub per_connection: usize,
    /// Of all connections.
    pub total: usize,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self { per_connection: 16 << 20, total: 32 << 20 }
    }
}

/// The watches take as much as they may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

#[derive(Debug, Default)]
pub(crate) struct Watches {
    watchers: [HashMap<Arc<str>, BTreeSet<ConnectionId>>; MODES],
    paths: HashMap<ConnectionId, Own>,
    count: usize,
    /// What all take.
    bytes: usize,
    limits: WatchLimits,
}

/// The watches of one connection.
#[derive(Debug, Default)]
struct Own {
    paths: [HashSet<Arc<str>>; MODES],
    /// What they take.
    bytes: usize,
}

impl Own {
    /// Takes one out; whether it was there.
    fn remove(&mut self, mode: Mode, path: &str) -> bool {
        let was_there = self.paths[mode as usize].remove(path);
        if was_there {
            self.bytes -= WATCH_OVERHEAD + path.len();
        }
        was_there
    }
}

impl Watches {
    pub(crate) fn new(limits: WatchLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub(crate) fn add(&mut self, connection: ConnectionId, mode: Mode, path: &str) -> Result<(), TooMany> {
        if self.has(connection, mode, path) {
            return Ok(());
        }
        let table = &mut self.watchers[mode as usize];
        let known = table.get_key_value(path).map(|(path, _)| Arc::clone(path));
        let more = WATCH_OVERHEAD + known.as_ref().map_or(path.len(), |_| 0);
        let own = self.paths.entry(connection).or_default();
        let own_bytes = own.bytes + WATCH_OVERHEAD + path.len();
        if own_bytes > self.limits.per_connection || self.bytes + more > self.limits.total {
            return Err(TooMany);
        }
        let shared = known.unwrap_or_else(|| Arc::from(path));
        own.paths[mode as usize].insert(Arc::clone(&shared));
        own.bytes = own_bytes;
        table.entry(shared).or_default().insert(connection);
        self.bytes += more;
        self.count += 1;
        Ok(())
    }

    pub(crate) fn has(&self, connection: ConnectionId, mode: Mode, path: &str) -> bool {
        self.paths.get(&connection).is_some_and(|own| own.paths[mode as usize].contains(path))
    }

    /// Takes one watch back; whether it was there.
    pub(crate) fn remove(&mut self, connection: ConnectionId, mode: Mode, path: &str) -> bool {
        let was_there = self.paths.get_mut(&connection).is_some_and(|own| own.remove(mode, path));
        if was_there {
            self.forget(connection, mode, path);
        }
        was_there
    }

    /// The connection is gone.
    pub(crate) fn close(&mut self, connection: ConnectionId) {
        let Some(own) = self.paths.remove(&connection) else { return };
        for (mode, paths) in [Mode::Data, Mode::Child, Mode::Persistent].into_iter().zip(own.paths) {
            for path in paths {
                self.forget(connection, mode, &path);
            }
        }
    }

    /// Who waited for this; one-shot watches are used up. Everybody is named once, whatever they had asked.
    pub(crate) fn fire(&mut self, kind: EventKind, path: &str) -> BTreeSet<ConnectionId> {
        let used: &[Mode] = match kind {
            EventKind::Created | EventKind::DataChanged => &[Mode::Data],
            EventKind::Deleted => &[Mode::Data, Mode::Child],
            EventKind::ChildrenChanged => &[Mode::Child],
            EventKind::None | EventKind::Unknown(_) => return BTreeSet::new(),
        };
        let mut hear = self.watchers[Mode::Persistent as usize].get(path).cloned().unwrap_or_default();
        for mode in used {
            let Some(watchers) = self.watchers[*mode as usize].remove(path) else { continue };
            self.bytes -= path.len();
            for connection in watchers {
                if let Some(own) = self.paths.get_mut(&connection) {
                    own.remove(*mode, path);
                }
                self.bytes -= WATCH_OVERHEAD;
                self.count -= 1;
                hear.insert(connection);
            }
        }
        hear
    }

    /// All watches there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    fn forget(&mut self, connection: ConnectionId, mode: Mode, path: &str) {
        let table = &mut self.watchers[mode as usize];
        if let Some(watchers) = table.get_mut(path) {
            watchers.remove(&connection);
            if watchers.is_empty() {
                table.remove(path);
                self.bytes -= path.len();
            }
        }
        self.bytes -= WATCH_OVERHEAD;
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: ConnectionId = ConnectionId(1);
    const YOU: ConnectionId = ConnectionId(2);

    #[test]
    fn a_one_shot_watch_fires_once_however_often_it_was_asked_for() {
        let mut watches = Watches::default();
        watches.add(ME, Mode::Data, "/a").unwrap();
        watches.add(ME, Mode::Data, "/a").unwrap();
        watches.add(YOU, Mode::Child, "/a").unwrap();
        assert_eq!(watches.fire(EventKind::DataChanged, "/a"), BTreeSet::from([ME]));
        assert!(watches.fire(EventKind::DataChanged, "/a").is_empty());
        assert_eq!(watches.count(), 1);
    }

    #[test]
    fn a_deletion_is_told_once_and_uses_up_both_kinds() {
        let mut watches = Watches::default();
        watches.add(ME, Mode::Data, "/a").unwrap();
        watches.add(ME, Mode::Child, "/a").unwrap();
        watches.add(ME, Mode::Persistent, "/a").unwrap();
        assert_eq!(watches.fire(EventKind::Deleted, "/a"), BTreeSet::from([ME]));
        assert_eq!(watches.count(), 1, "the persistent one stays");
        assert_eq!(watches.fire(EventKind::Created, "/a"), BTreeSet::from([ME]));
    }

    #[test]
    fn a_closed_connection_leaves_nothing_behind() {
        let mut watches = Watches::default();
        for path in ["/a", "/b", "/c"] {
            watches.add(ME, Mode::Data, path).unwrap();
            watches.add(ME, Mode::Persistent, path).unwrap();
        }
        watches.add(YOU, Mode::Data, "/a").unwrap();
        watches.close(ME);
        watches.close(YOU);
        assert_eq!((watches.count(), watches.bytes), (0, 0));
        assert!(watches.paths.is_empty() && watches.watchers.iter().all(HashMap::is_empty));
    }

    #[test]
    fn limits_hold() {
        const ONE: usize = WATCH_OVERHEAD + 2;
        let mut watches = Watches::new(WatchLimits { per_connection: 2 * ONE, total: 3 * ONE });
        watches.add(ME, Mode::Data, "/a").unwrap();
        watches.add(ME, Mode::Child, "/a").unwrap();
        assert_eq!(watches.add(ME, Mode::Data, "/b"), Err(TooMany));
        watches.add(YOU, Mode::Data, "/a").unwrap();
        assert_eq!(watches.add(YOU, Mode::Data, "/b"), Err(TooMany));
        assert!(watches.remove(ME, Mode::Data, "/a") && !watches.remove(ME, Mode::Data, "/a"));
        assert_eq!(watches.add(YOU, Mode::Data, "/b"), Ok(()));
    }

    #[test]
    fn a_path_counts_once_in_all_and_for_each_who_watches_it() {
        let path = format!("/{}", "x".repeat(1 << 20));
        let mut watches = Watches::new(WatchLimits { per_connection: 2 << 20, total: 3 << 20 });
        for connection in 1..=100 {
            watches.add(ConnectionId(connection), Mode::Data, &path).unwrap();
            watches.add(ConnectionId(connection), Mode::Data, &path).unwrap();
        }
        assert_eq!(watches.add(ME, Mode::Data, &format!("{path}y")), Err(TooMany));
        watches.fire(EventKind::Created, &path);
        assert_eq!(watches.bytes, 0);
        assert_eq!(watches.add(ME, Mode::Data, &format!("{path}y")), Ok(()));
    }
}
