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

/// Watches that a connection, or all of them, may have at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchLimits {
    /// Of one connection.
    pub per_connection: usize,
    /// Of all connections.
    pub total: usize,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self { per_connection: 200_000, total: 1_000_000 }
    }
}

/// There are as many watches as there may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

#[derive(Debug, Default)]
pub(crate) struct Watches {
    watchers: [HashMap<Arc<str>, BTreeSet<ConnectionId>>; MODES],
    paths: HashMap<ConnectionId, [HashSet<Arc<str>>; MODES]>,
    count: usize,
    limits: WatchLimits,
}

impl Watches {
    pub(crate) fn new(limits: WatchLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub(crate) fn add(&mut self, connection: ConnectionId, mode: Mode, path: &str) -> Result<(), TooMany> {
        if self.has(connection, mode, path) {
            return Ok(());
        }
        let paths = self.paths.entry(connection).or_default();
        let own: usize = paths.iter().map(HashSet::len).sum();
        if own >= self.limits.per_connection || self.count >= self.limits.total {
            return Err(TooMany);
        }
        let table = &mut self.watchers[mode as usize];
        let shared = table.get_key_value(path).map_or_else(|| Arc::from(path), |(path, _)| Arc::clone(path));
        paths[mode as usize].insert(Arc::clone(&shared));
        table.entry(shared).or_default().insert(connection);
        self.count += 1;
        Ok(())
    }

    pub(crate) fn has(&self, connection: ConnectionId, mode: Mode, path: &str) -> bool {
        self.paths.get(&connection).is_some_and(|paths| paths[mode as usize].contains(path))
    }

    /// Takes one watch back; whether it was there.
    pub(crate) fn remove(&mut self, connection: ConnectionId, mode: Mode, path: &str) -> bool {
        let Some(paths) = self.paths.get_mut(&connection) else { return false };
        if !paths[mode as usize].remove(path) {
            return false;
        }
        self.forget(connection, mode, path);
        true
    }

    /// The connection is gone.
    pub(crate) fn close(&mut self, connection: ConnectionId) {
        let Some(paths) = self.paths.remove(&connection) else { return };
        for (mode, paths) in [Mode::Data, Mode::Child, Mode::Persistent].into_iter().zip(paths) {
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
            for connection in self.watchers[*mode as usize].remove(path).unwrap_or_default() {
                if let Some(paths) = self.paths.get_mut(&connection) {
                    paths[*mode as usize].remove(path);
                }
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
            }
        }
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
        assert_eq!(watches.count(), 0);
        assert!(watches.paths.is_empty() && watches.watchers.iter().all(HashMap::is_empty));
    }

    #[test]
    fn limits_hold() {
        let mut watches = Watches::new(WatchLimits { per_connection: 2, total: 3 });
        watches.add(ME, Mode::Data, "/a").unwrap();
        watches.add(ME, Mode::Child, "/a").unwrap();
        assert_eq!(watches.add(ME, Mode::Data, "/b"), Err(TooMany));
        watches.add(YOU, Mode::Data, "/a").unwrap();
        assert_eq!(watches.add(YOU, Mode::Data, "/b"), Err(TooMany));
        assert!(watches.remove(ME, Mode::Data, "/a") && !watches.remove(ME, Mode::Data, "/a"));
        assert_eq!(watches.add(YOU, Mode::Data, "/b"), Ok(()));
    }
}
