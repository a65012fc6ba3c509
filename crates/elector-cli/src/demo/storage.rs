//! The storage that the contenders' programs write to: it takes a write with its fencing token, or refuses it.
//!
//! This is all that a storage has to do: remember the highest token that it saw and refuse every lower one. It is
//! why a leader that was asleep, and does not know yet that it was replaced, can do no harm.

use std::time::Instant;

/// Whether a write was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The first write of a new term; when the one before it was taken, if there was one.
    First { last: Option<Instant> },
    /// A further write of the present term.
    Taken,
    /// A higher token was seen before.
    Refused,
}

/// What was written so far.
#[derive(Debug, Default)]
pub(super) struct Storage {
    highest: u64,
    last: Option<Instant>,
    pub(super) taken: u64,
    pub(super) refused: u64,
}

impl Storage {
    /// A write with this token arrives at `at`.
    pub(super) fn write(&mut self, token: u64, at: Instant) -> Verdict {
        if token < self.highest {
            self.refused += 1;
            return Verdict::Refused;
        }
        self.taken += 1;
        let last = self.last.replace(at);
        if token == self.highest {
            return Verdict::Taken;
        }
        self.highest = token;
        Verdict::First { last }
    }

    /// The highest token seen.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_token_is_refused_for_ever() {
        let mut storage = Storage::default();
        let now = Instant::now();
        assert_eq!(storage.write(5, now), Verdict::First { last: None });
        assert_eq!(storage.write(5, now), Verdict::Taken);
        assert_eq!(storage.write(7, now), Verdict::First { last: Some(now) });
        assert_eq!(storage.write(5, now), Verdict::Refused);
        assert_eq!(storage.write(7, now), Verdict::Taken);
        assert_eq!((storage.highest(), storage.taken, storage.refused), (7, 4, 1));
    }
}
