//! The one-shot watches that the server should have, and the frames that set them again.
//!
//! Purpose: after a reconnect no change may go unnoticed. Invariant: a watch is remembered from the moment
//! the server has it until it fires or is taken back, and `known_at` is a zxid up to which every change to
//! a remembered watch has been told; setting the watches again with it makes the server tell the rest.
//! Remembering too much costs a superfluous event, remembering too little a missed one, so in doubt a
//! watch is kept. Paths here are the server's. Used by the session only.

use std::collections::BTreeSet;

use elector_teeth::{Tooth, bites};
use zk_wire::{EventKind, Request, WatchKind};

use crate::config::{MAX_RESTORE_FRAME, MAX_WATCH_BYTES};

/// What a remembered path costs besides its own bytes.
const ENTRY: usize = 32;
/// Bytes of a setWatches frame without paths: header, zxid and three counts.
const EMPTY_FRAME: usize = 28;
/// Bytes of a path's length field.
const PATH_PREFIX: usize = 4;

/// The three kinds of one-shot watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchSet {
    Data,
    Exist,
    Child,
}

const ALL: [WatchSet; 3] = [WatchSet::Data, WatchSet::Exist, WatchSet::Child];

#[derive(Debug, Default)]
pub(crate) struct Watches {
    sets: [BTreeSet<String>; 3],
    bytes: usize,
    known_at: i64,
    /// Answers to setWatches that are outstanding: until they come, `known_at` must stay where it is.
    pins: usize,
}

impl Watches {
    /// Whether so many more bytes of paths can be remembered.
    pub(crate) fn has_room(&self, paths: usize, path_bytes: usize) -> bool {
        self.bytes + paths * ENTRY + path_bytes <= MAX_WATCH_BYTES
    }

    pub(crate) fn len(&self) -> usize {
        self.sets.iter().map(BTreeSet::len).sum()
    }

    pub(crate) fn add(&mut self, set: WatchSet, path: &str) {
        if self.sets[set as usize].insert(path.to_owned()) {
            self.bytes += path.len() + ENTRY;
        }
    }

    fn remove(&mut self, set: WatchSet, path: &str) -> bool {
        let found = self.sets[set as usize].remove(path);
        if found {
            self.bytes -= path.len() + ENTRY;
        }
        found
    }

    /// An event came: forgets what it used up, and tells whether there was anything.
    pub(crate) fn fire(&mut self, kind: EventKind, path: &str) -> bool {
        let used: &[WatchSet] = match kind {
            EventKind::Created | EventKind::DataChanged => &[WatchSet::Data, WatchSet::Exist],
            EventKind::Deleted => &ALL,
            EventKind::ChildrenChanged => &[WatchSet::Child],
            EventKind::None | EventKind::Unknown(_) => &[],
        };
        // No short circuit: one event uses up the watches of all its kinds.
        used.iter().fold(false, |any, set| self.remove(*set, path) | any)
    }

    /// Watches were taken back.
    pub(crate) fn forget(&mut self, kind: WatchKind, path: &str) {
        let sets: &[WatchSet] = match kind {
            WatchKind::Children => &[WatchSet::Child],
            WatchKind::Data => &[WatchSet::Data, WatchSet::Exist],
            WatchKind::Any => &ALL,
            WatchKind::Persistent | WatchKind::Recursive | WatchKind::Unknown(_) => &[],
        };
        for set in sets {
            self.remove(*set, path);
        }
    }

    /// A setWatches with this zxid goes out: what happened after it may not have been told yet.
    pub(crate) fn pin(&mut self, relative_zxid: i64) {
        self.pins += 1;
        self.known_at = self.known_at.min(relative_zxid);
    }

    /// A setWatches was answered: all events that it caused came before.
    pub(crate) fn unpin(&mut self) {
        self.pins = self.pins.saturating_sub(1);
    }

    /// A reply came: every event up to its zxid came before it.
    pub(crate) fn seen(&mut self, zxid: i64) {
        if self.pins == 0 {
            self.known_at = self.known_at.max(zxid);
        }
    }

    /// The requests that set everything again on a new connection, each below [`MAX_RESTORE_FRAME`] unless
    /// a single path is longer. Pins once for each.
    pub(crate) fn restore(&mut self) -> Vec<Request> {
        let mut frames = Vec::new();
        let mut lists: [Vec<String>; 3] = Default::default();
        let mut size = EMPTY_FRAME;
        if bites(Tooth::WatchesForgotten) {
            return frames;
        }
        for (list, set) in ALL.into_iter().enumerate() {
            for path in &self.sets[set as usize] {
                let cost = path.len() + PATH_PREFIX;
                if size > EMPTY_FRAME && size + cost >= MAX_RESTORE_FRAME {
                    frames.push(self.frame(std::mem::take(&mut lists)));
                    size = EMPTY_FRAME;
                }
                lists[list].push(path.clone());
                size += cost;
            }
        }
        if size > EMPTY_FRAME {
            frames.push(self.frame(lists));
        }
        self.pins = frames.len();
        frames
    }

    fn frame(&self, [data, exist, child]: [Vec<String>; 3]) -> Request {
        Request::SetWatches { relative_zxid: self.known_at, data, exist, child }
    }

    /// Forgets all: the session is another one.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_uses_up_what_it_concerns() {
        let mut watches = Watches::default();
        for set in ALL {
            watches.add(set, "/a");
        }
        assert!(watches.fire(EventKind::ChildrenChanged, "/a"));
        assert!(!watches.fire(EventKind::ChildrenChanged, "/a"));
        assert!(watches.fire(EventKind::DataChanged, "/a"));
        assert_eq!((watches.len(), watches.bytes), (0, 0));
        for set in ALL {
            watches.add(set, "/a");
        }
        assert!(!watches.fire(EventKind::Deleted, "/b"));
        assert!(watches.fire(EventKind::Deleted, "/a"));
        assert_eq!((watches.len(), watches.bytes), (0, 0));
    }

    #[test]
    fn frames_stay_below_the_limit_and_hold_everything_once() {
        let mut watches = Watches::default();
        let path = |n: usize| format!("/election/{n:0>200}");
        for n in 0..3000 {
            watches.add(ALL[n % 3], &path(n));
        }
        watches.seen(42);
        let frames = watches.restore();
        assert!(frames.len() > 1);
        let mut seen = Vec::new();
        for frame in &frames {
            let mut buf = bytes::BytesMut::new();
            frame.encode(-8, MAX_RESTORE_FRAME, &mut buf).expect("below the limit");
            let Request::SetWatches { relative_zxid, data, exist, child } = frame else { panic!() };
            assert_eq!(*relative_zxid, 42);
            seen.extend(data.iter().chain(exist).chain(child).cloned());
        }
        seen.sort();
        let mut expected: Vec<_> = (0..3000).map(path).collect();
        expected.sort();
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_an_unanswered_set_watches_would_have_told_is_asked_again() {
        let mut watches = Watches::default();
        watches.seen(100);
        watches.add(WatchSet::Data, "/a");
        watches.pin(90);
        watches.seen(110); // A reply from before the setWatches: says nothing of what it will tell.
        assert!(matches!(watches.restore()[..], [Request::SetWatches { relative_zxid: 90, .. }]));
        watches.seen(120);
        assert!(matches!(watches.restore()[..], [Request::SetWatches { relative_zxid: 90, .. }]));
        watches.unpin();
        watches.seen(120);
        assert!(matches!(watches.restore()[..], [Request::SetWatches { relative_zxid: 120, .. }]));
    }

    #[test]
    fn until_the_last_frame_is_answered_nothing_counts_as_told() {
        let mut watches = Watches::default();
        for n in 0..3000 {
            watches.add(WatchSet::Data, &format!("/election/{n:0>200}"));
        }
        watches.seen(42);
        let frames = watches.restore().len();
        assert!(frames > 1);
        watches.unpin();
        watches.seen(200); // the answer to the first frame: the others' events are still to come
        assert!(matches!(watches.restore()[0], Request::SetWatches { relative_zxid: 42, .. }));
        for _ in 0..frames {
            watches.unpin();
        }
        watches.seen(200);
        assert!(matches!(watches.restore()[0], Request::SetWatches { relative_zxid: 200, .. }));
    }
}
