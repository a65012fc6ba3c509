//! The instant after which the program must not live, as a word that two processes share.
//!
//! The supervisor writes it, the warden acts on it. It lives in a memory file: unlike a pipe it never fills up while
//! its reader is stopped, and unlike a mapping it takes no unsafe code. A record names its term and carries a check
//! word, so that neither half a record nor another term's can lengthen a program's life. Within one term the deadline
//! grows as the lease is renewed; it shrinks only if the session timeout does, and is then acted upon within the
//! warden's next look.

use super::shared;
use elector::LeaseClock;
use elector_teeth::{Tooth, bites};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Term, deadline, time of writing, check word.
const RECORD: usize = 4 * 8;
/// A record that is written while we read is read again; the writer needs a microsecond.
const TRIES: u32 = 16;
/// So that a record of zeros, which a new file is full of, is none.
const SALT: u64 = 0x9e37_79b9_7f4a_7c15;

/// What the word says, in nanoseconds of the lease's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Record {
    /// The fencing token of the term that the deadline is of.
    token: u64,
    deadline: u64,
    written: u64,
}

impl Record {
    /// The deadline of this term; in the past where the word is about another.
    pub(super) fn deadline(&self, token: u64) -> Duration {
        let ours = self.token == token || bites(Tooth::OtherTermsDeadline);
        if ours { Duration::from_nanos(self.deadline) } else { Duration::ZERO }
    }

    /// When the supervisor last wrote.
    pub(super) fn written(&self) -> Duration {
        Duration::from_nanos(self.written)
    }

    fn check(&self) -> u64 {
        SALT ^ self.token.rotate_left(7) ^ self.deadline.rotate_left(29) ^ self.written.rotate_left(47)
    }

    fn encode(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        for (place, word) in
            bytes.chunks_exact_mut(8).zip([self.token, self.deadline, self.written, self.check()])
        {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; RECORD]) -> Option<Record> {
        let word = |at: usize| bytes.get(at * 8..)?.first_chunk::<8>().map(|word| u64::from_ne_bytes(*word));
        let record = Record { token: word(0)?, deadline: word(1)?, written: word(2)? };
        (word(3)? == record.check()).then_some(record)
    }
}

/// The supervisor's end.
#[derive(Debug)]
pub(super) struct DeadlineWord {
    file: File,
    clock: LeaseClock,
}

impl DeadlineWord {
    /// A word that has passed for every term: no deadline, no program.
    pub(super) fn new(clock: LeaseClock) -> io::Result<DeadlineWord> {
        let word = DeadlineWord { file: shared::memory_file("elector-deadline")?, clock };
        word.set(0, Duration::ZERO);
        Ok(word)
    }

    /// Moves the deadline of the term to `at`. A write that fails leaves the deadline as it was, which errs towards
    /// stopping.
    pub(super) fn set(&self, token: u64, at: Duration) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let record = Record { token, deadline: nanos(at), written: nanos(self.clock.now()) };
        let _ = self.file.write_all_at(&record.encode(), 0);
    }

    /// What the warden is to be given.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The warden's end.
#[derive(Debug)]
pub(super) struct DeadlineView {
    file: File,
    /// The last whole record. It serves where the newest cannot be read, which can only make the end come sooner.
    last: Record,
}

impl DeadlineView {
    pub(super) fn new(file: File) -> DeadlineView {
        DeadlineView { file, last: Record::default() }
    }

    /// The newest record.
    pub(super) fn read(&mut self) -> Record {
        let mut bytes = [0; RECORD];
        for _ in 0..TRIES {
            if self.file.read_exact_at(&mut bytes, 0).is_ok()
                && let Some(record) = Record::decode(&bytes)
            {
                self.last = record;
                break;
            }
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (DeadlineWord, DeadlineView) {
        let word = DeadlineWord::new(LeaseClock::Boot).unwrap();
        let view = DeadlineView::new(word.file.try_clone().unwrap());
        (word, view)
    }

    #[test]
    fn a_new_word_has_passed_and_the_last_deadline_counts() {
        let (word, mut view) = pair();
        assert_eq!(view.read().deadline(7), Duration::ZERO);
        word.set(7, Duration::from_secs(20));
        assert_eq!(view.read().deadline(7), Duration::from_secs(20));
        word.set(7, Duration::from_secs(10));
        assert_eq!(view.read().deadline(7), Duration::from_secs(10), "a shrunken session timeout");
        assert!(view.read().written() <= LeaseClock::Boot.now());
    }

    #[test]
    fn another_terms_deadline_helps_nobody() {
        let (word, mut view) = pair();
        word.set(8, Duration::MAX);
        assert_eq!(view.read().deadline(7), Duration::ZERO);
        assert!(view.read().deadline(8) > Duration::from_secs(1 << 33), "it does not wrap");
    }

    #[test]
    fn half_a_record_changes_nothing() {
        let (word, mut view) = pair();
        word.set(7, Duration::from_secs(20));
        view.read();
        let longer = Record { token: 7, deadline: u64::MAX, written: 1 }.encode();
        for cut in 1..RECORD {
            word.set(7, Duration::from_secs(20));
            word.file.write_all_at(&longer[..cut], 0).unwrap();
            assert_eq!(view.read().deadline(7), Duration::from_secs(20), "{cut}");
        }
        word.file.set_len(0).unwrap();
        assert_eq!(view.read().deadline(7), Duration::from_secs(20), "an empty file");
    }
}
