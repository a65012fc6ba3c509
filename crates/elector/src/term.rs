//! One term as its holders see it: judged by the clock when asked, never by a flag alone.
//!
//! The driver moves the deadlines; holders read them. Invariant: `safe` falls to zero when the term
//! is over, or when anybody has seen the clock pass it, and never rises from there, so that a late
//! acknowledgement cannot revive it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use elector_core::{Deadlines, Lost, Token};
use elector_teeth::{Tooth, bites};
use tokio::sync::{Notify, watch};

/// The clock's reading since boot, from the session's own clock.
pub(crate) type Now = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Timers may stand still while the machine is suspended, and deadlines move: waiting looks at the
/// clock this often.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What is left of a term in the election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trace {
    /// Its znode, perhaps.
    Some,
    /// Nothing.
    None,
    /// The driver ended before it knew.
    Unknown,
}

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
    trace: watch::Sender<Trace>,
    /// Wakes the driver on release.
    driver: Arc<Notify>,
}

impl Term {
    pub(crate) fn new(token: Token, deadlines: Deadlines, now: Now, driver: Arc<Notify>) -> Arc<Term> {
        let term = Term {
            token,
            now,
            safe: AtomicU64::new(nanos(deadlines.safe.since_origin())),
            term: AtomicU64::new(nanos(deadlines.term.since_origin())),
            phase: watch::Sender::new(Phase::Leading),
            released: AtomicBool::new(false),
            trace: watch::Sender::new(Trace::Some),
            driver,
        };
        Arc::new(term)
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    // The driver's side.

    pub(crate) fn publish(&self, deadlines: Deadlines) {
        if !self.is_safe() && !bites(Tooth::LateAnswerRevives) {
            return self.lost(Lost::NoQuorum); // it ran out before anybody published more
        }
        self.term.store(nanos(deadlines.term.since_origin()), Ordering::Release);
        let safe = nanos(deadlines.safe.since_origin());
        let move_on = |present| (present != 0).then_some(safe);
        let _unless_over = self.safe.fetch_update(Ordering::AcqRel, Ordering::Acquire, move_on);
    }

    /// Whether the lease lasts. Once it was seen to have ended, it has.
    fn is_safe(&self) -> bool {
        if bites(Tooth::LateAnswerRevives) {
            return nanos((self.now)()) < self.safe.load(Ordering::Acquire);
        }
        let over = |safe| (nanos((self.now)()) >= safe).then_some(0);
        self.safe.fetch_update(Ordering::AcqRel, Ordering::Acquire, over).is_err()
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
        self.trace.send_replace(Trace::None);
    }

    /// The driver ends: nobody will tell more of this term.
    pub(crate) fn abandon(&self) {
        self.lost(Lost::Abandoned);
        self.trace.send_if_modified(|trace| {
            let open = *trace == Trace::Some;
            if open {
                *trace = Trace::Unknown;
            }
            open
        });
    }

    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    // The holders' side.

    /// Whether acting for this term is safe at this moment.
    pub(crate) fn check(&self) -> bool {
        (!self.is_released() || bites(Tooth::FenceOutlivesRelease)) && self.is_safe()
    }

    /// What is left until nobody may act for this term.
    pub(crate) fn remaining(&self) -> Duration {
        if !self.check() {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.safe.load(Ordering::Acquire)).saturating_sub((self.now)())
    }

    /// Makes every check false, then lets the driver leave the election.
    pub(crate) fn release(&self) {
        if !self.released.swap(true, Ordering::AcqRel) {
            self.driver.notify_one();
        }
    }

    /// Why work that cannot be stopped in good order must not go on: the lease ends within `early`, or
    /// the term is over, or we were told to stop at once.
    pub(crate) fn must_drop(&self, early: Duration) -> Option<Lost> {
        match self.phase() {
            Phase::Stopping(why @ Lost::Disconnected) | Phase::Lost(why) => Some(why),
            Phase::Leading | Phase::Stopping(_) if self.remaining() <= early => {
                Some(self.why().unwrap_or(Lost::NoQuorum))
            }
            Phase::Leading | Phase::Stopping(_) => None,
        }
    }

    /// Waits until the work must stop. The clock decides, also when the driver is starved.
    pub(crate) async fn ending(&self) -> Lost {
        self.passed(|phase| *phase != Phase::Leading, || self.term.load(Ordering::Acquire)).await
    }

    /// Waits until nobody may act for this term.
    pub(crate) async fn over(&self) -> Lost {
        self.passed(|phase| matches!(phase, Phase::Lost(_)), || self.safe.load(Ordering::Acquire)).await
    }

    /// Waits until [`Term::must_drop`] has something to say.
    pub(crate) async fn dropping(&self, early: Duration) -> Lost {
        let at_once = |phase: &Phase| matches!(phase, Phase::Stopping(Lost::Disconnected) | Phase::Lost(_));
        loop {
            if let Some(why) = self.must_drop(early) {
                return why;
            }
            self.passed(at_once, || self.safe.load(Ordering::Acquire).saturating_sub(nanos(early))).await;
        }
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
                () = tokio::time::sleep(Duration::from_nanos(left).min(LOOK_EVERY)) => {}
                _ = phase.changed() => {}
            }
        }
    }

    /// Waits until nothing of this term is in the election; false if nobody will ever tell.
    pub(crate) async fn gone(&self) -> bool {
        let mut trace = self.trace.subscribe();
        // The sender lives as long as this term.
        let known = trace.wait_for(|trace| *trace != Trace::Some).await;
        known.is_ok_and(|trace| *trace == Trace::None)
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use elector_core::Moment;

    use super::*;

    const EARLY: Duration = Duration::from_millis(250);

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn until(safe: u64) -> Deadlines {
        let at = |n| Moment::from_origin(secs(n));
        Deadlines { term: at(safe - 2), safe: at(safe) }
    }

    /// A term of ten seconds on a clock that only the test moves.
    fn term() -> (Arc<Term>, Arc<Mutex<Duration>>) {
        let clock = Arc::new(Mutex::new(Duration::ZERO));
        let now = Arc::clone(&clock);
        let now = move || *now.lock().unwrap();
        let token = Token::from_czxid(7).unwrap();
        (Term::new(token, until(10), Arc::new(now), Arc::new(Notify::new())), clock)
    }

    #[tokio::test(start_paused = true)]
    async fn once_seen_to_be_over_it_stays_over() {
        let (term, clock) = term();
        assert!(term.check());
        *clock.lock().unwrap() = secs(10);
        assert!(!term.check());
        term.publish(until(20));
        assert!(!term.check(), "a late acknowledgement revived it");
        assert_eq!(term.why(), Some(Lost::NoQuorum));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_ran_out_unseen_is_not_prolonged() {
        let (term, clock) = term();
        *clock.lock().unwrap() = secs(11);
        term.publish(until(20));
        assert!(!term.check());
        assert_eq!(term.over().await, Lost::NoQuorum);
    }

    /// E22: the clock goes on during suspend, the timers do not.
    #[tokio::test(start_paused = true)]
    async fn after_a_suspend_the_end_is_told_soon() {
        let (term, clock) = term();
        let began = tokio::time::Instant::now();
        let (over, ending, dropping) = (term.over(), term.ending(), term.dropping(EARLY));
        let jump = async {
            tokio::time::sleep(secs(1)).await;
            *clock.lock().unwrap() = secs(30);
        };
        tokio::join!(over, ending, dropping, jump);
        assert!(began.elapsed() <= secs(1) + LOOK_EVERY + EARLY, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_end_is_told_when_the_driver_ends() {
        let (term, _clock) = term();
        term.lost(Lost::Deposed);
        term.abandon();
        assert!(!term.gone().await);
        assert_eq!(term.why(), Some(Lost::Deposed), "the first reason stays");
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_cannot_be_asked_to_stop_is_dropped_in_time_or_at_once() {
        let (held, clock) = term();
        held.stopping(Lost::NoQuorum);
        assert_eq!(held.must_drop(EARLY), None, "it has until the lease ends");
        *clock.lock().unwrap() = secs(10) - EARLY;
        assert_eq!(held.must_drop(EARLY), Some(Lost::NoQuorum));
        let (stopped, _clock) = term();
        stopped.stopping(Lost::Disconnected);
        assert_eq!(stopped.must_drop(EARLY), Some(Lost::Disconnected));
    }
}
