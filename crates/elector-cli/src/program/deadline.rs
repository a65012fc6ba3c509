//! The instant after which the program must not live, as one atomic word on CLOCK_BOOTTIME.
//!
//! Invariant: within one term the word only grows, so that whoever reads an old value acts too early and never
//! too late. The supervisor writes it, the keeper alone acts on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The time since boot, suspends included: the only clock that deadlines are judged by.
pub(crate) fn boot_now() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(t.tv_sec).unwrap_or(0), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// One term's deadline, in nanoseconds since boot. A new word begins in the past: no deadline, no program.
#[derive(Debug, Default)]
pub(crate) struct DeadlineWord(AtomicU64);

impl DeadlineWord {
    /// Moves the deadline to `at` (since boot), if that is later than it was.
    pub(crate) fn extend(&self, at: Duration) {
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_max(at, Ordering::SeqCst);
    }

    /// The deadline, since boot.
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
    fn a_new_word_has_passed_and_an_older_deadline_changes_nothing() {
        let word = DeadlineWord::default();
        assert!(word.passed(boot_now()));
        word.extend(Duration::from_secs(20));
        word.extend(Duration::from_secs(10));
        assert_eq!(word.get(), Duration::from_secs(20));
        assert!(!word.passed(Duration::from_millis(19_999)));
        assert!(word.passed(Duration::from_secs(20)));
    }

    #[test]
    fn a_deadline_beyond_the_word_does_not_wrap() {
        let word = DeadlineWord::default();
        word.extend(Duration::MAX);
        assert!(!word.passed(Duration::from_secs(1 << 33)));
    }
}
