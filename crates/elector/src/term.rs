//! One term as its holders see it: judged by the clock when asked, never by a flag alone.
//!
//! The driver moves the deadlines; holders read them. Invariant: `safe` falls to zero when the term
//! is over and never rises from there, so that a late acknowledgement cannot revive it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use elector_core::{Deadlines, Lost, Token};
use tokio::sync::{Notify, watch};

/// The clock's reading since boot, from the session's own clock.
pub(crate) type Now = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How far a term has come. It moves downwards only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Leading,
    Stopping(Lost),
    Lost(Lost),
}

pub(crate) struct Term {
    token: Token,
    now: Now,
    /// Nanoseconds since boot; 0 once the term is over.
    safe: AtomicU64,
    /// Nanoseconds since boot.
    term: AtomicU64,
    phase: watch::Sender<Phase>,
    released: AtomicBool,
    /// The election holds nothing of this term any more.
    left: watch::Sender<bool>,
    /// Wakes the driver on release.
    driver: Arc<Notify>,
}

impl Term {
    pub(crate) fn new(token: Token, deadlines: Deadlines, now: Now, driver: Arc<Notify>) -> Arc<Term> {
        let term = Term {
            token,
            now,
            safe: AtomicU64::new(0),
            term: AtomicU64::new(0),
            phase: watch::Sender::new(Phase::Leading),
            released: AtomicBool::new(false),
            left: watch::Sender::new(false),
            driver,
        };
        term.publish(deadlines);
        Arc::new(term)
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    // The driver's side.

    pub(crate) fn publish(&self, deadlines: Deadlines) {
        if !matches!(*self.phase.borrow(), Phase::Lost(_)) {
            self.term.store(nanos(deadlines.term.since_origin()), Ordering::Release);
            self.safe.store(nanos(deadlines.safe.since_origin()), Ordering::Release);
        }
    }

    pub(crate) fn stopping(&self, why: Lost) {
        self.phase.send_if_modified(|phase| {
            let first = *phase == Phase::Leading;
            if first {
                *phase = Phase::Stopping(why);
            }
            first
        });
    }

    pub(crate) fn lost(&self, why: Lost) {
        self.safe.store(0, Ordering::Release);
        self.phase.send_if_modified(|phase| {
            let first = !matches!(phase, Phase::Lost(_));
            if first {
                *phase = Phase::Lost(why);
            }
            first
        });
    }

    pub(crate) fn left(&self) {
        self.left.send_replace(true);
    }

    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    // The holders' side.

    /// Whether acting for this term is safe at this moment.
    pub(crate) fn check(&self) -> bool {
        !self.is_released() && nanos((self.now)()) < self.safe.load(Ordering::Acquire)
    }

    /// What is left until nobody may act for this term.
    pub(crate) fn remaining(&self) -> Duration {
        if self.is_released() {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.safe.load(Ordering::Acquire)).saturating_sub((self.now)())
    }

    /// Makes every check false, then lets the driver leave the election.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.driver.notify_one();
    }

    /// Waits until the work must stop. The clock decides, also when the driver is starved.
    pub(crate) async fn ending(&self) -> Lost {
        self.passed(|phase| *phase != Phase::Leading, || self.term.load(Ordering::Acquire)).await
    }

    /// Waits until nobody may act for this term, less `early`.
    pub(crate) async fn over(&self, early: Duration) -> Lost {
        let end = || self.safe.load(Ordering::Acquire).saturating_sub(nanos(early));
        self.passed(|phase| matches!(phase, Phase::Lost(_)), end).await
    }

    /// Waits until `happened`, or until the clock has passed `end`, which moves while it waits.
    async fn passed(&self, happened: impl Fn(&Phase) -> bool, end: impl Fn() -> u64) -> Lost {
        let mut phase = self.phase.subscribe();
        loop {
            let left = end().saturating_sub(nanos((self.now)()));
            {
                let phase = phase.borrow_and_update();
                if left == 0 || happened(&phase) {
                    return match *phase {
                        Phase::Leading => Lost::NoQuorum,
                        Phase::Stopping(why) | Phase::Lost(why) => why,
                    };
                }
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_nanos(left)) => {}
                _ = phase.changed() => {}
            }
        }
    }

    /// Waits until nothing of this term is in the election; false if nobody will ever tell.
    pub(crate) async fn gone(&self) -> bool {
        let mut left = self.left.subscribe();
        let mut phase = self.phase.subscribe();
        loop {
            if *left.borrow_and_update() {
                return true;
            }
            if *phase.borrow_and_update() == Phase::Lost(Lost::Abandoned) {
                return false;
            }
            tokio::select! {
                _ = left.changed() => {}
                _ = phase.changed() => {}
            }
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn why(&self) -> Option<Lost> {
        match self.phase() {
            Phase::Leading => None,
            Phase::Stopping(why) | Phase::Lost(why) => Some(why),
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
