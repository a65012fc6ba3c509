//! The instant after which the program must not live, as one atomic word on the lease's clock.
//!
//! The supervisor writes it, the keeper alone acts on it. Within one term it grows as the lease is renewed; it
//! shrinks only if the session timeout does, and is then acted upon within the supervisor's next look.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One term's deadline, in nanoseconds of the lease's clock. A new word begins in the past: no deadline, no program.
#[derive(Debug, Default)]
pub(crate) struct DeadlineWord(AtomicU64);

impl DeadlineWord {
    /// Moves the deadline to `at`.
    pub(crate) fn set(&self, at: Duration) {
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        self.0.store(at, Ordering::SeqCst);
    }

    /// The deadline.
    pub(crate) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }

    /// Whether the deadline has passed at `now`.
    pub(crate) fn passed(&self, now: Duration) -> bool {
        now >= self.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_word_has_passed_and_the_last_deadline_counts() {
        let word = DeadlineWord::default();
        assert!(word.passed(Duration::ZERO));
        word.set(Duration::from_secs(20));
        assert!(!word.passed(Duration::from_millis(19_999)));
        assert!(word.passed(Duration::from_secs(20)));
        word.set(Duration::from_secs(10));
        assert!(word.passed(Duration::from_secs(10)), "a shrunken session timeout");
    }

    #[test]
    fn a_deadline_beyond_the_word_does_not_wrap() {
        let word = DeadlineWord::default();
        word.set(Duration::MAX);
        assert!(!word.passed(Duration::from_secs(1 << 33)));
    }
}
