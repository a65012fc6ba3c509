//! A contender's clock, and how it differs from true time.
//!
//! Invariant: it never goes back. The world sets it before it lets the contender run or asks it anything, so
//! that all of one moment sees one time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use zk_session::Clock;

/// How a clock turns true time into its own, both in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Face {
    /// What it shows at the beginning of the world.
    origin: u64,
    /// Parts in a million that it runs too fast.
    ppm: i64,
    /// By how much it was moved on since.
    jumped: u64,
}

impl Face {
    pub(crate) fn new(origin: u64, ppm: i64) -> Face {
        Face { origin, ppm, jumped: 0 }
    }

    pub(crate) fn jump(&mut self, by: u64) {
        self.jumped += by;
    }

    /// What it shows at the true time `now`.
    pub(crate) fn at(&self, now: u64) -> u64 {
        self.origin + self.jumped + now.saturating_add_signed(now as i64 / 1_000_000 * self.ppm)
    }

    /// A true time, not before `now`, at which it shows `local` or little more.
    pub(crate) fn when(&self, local: u64, now: u64) -> u64 {
        let left = local.saturating_sub(self.at(now));
        // A microsecond more makes up for what the division loses.
        now + left.saturating_add_signed(-(left as i64 / 1_000_000 * self.ppm)) + left / 5_000 + 1_000
    }
}

#[derive(Debug)]
struct Hands {
    now: AtomicU64,
    /// The earliest time at which somebody wants to be woken.
    due: AtomicU64,
}

/// The clock as the contender holds it.
#[derive(Debug, Clone)]
pub(crate) struct SimClock(Arc<Hands>);

impl SimClock {
    pub(crate) fn new() -> SimClock {
        SimClock(Arc::new(Hands { now: AtomicU64::new(0), due: AtomicU64::new(u64::MAX) }))
    }

    pub(crate) fn set(&self, now: u64) {
        self.0.now.store(now, Ordering::Relaxed);
    }

    /// Forgets who wanted to be woken; whoever still does says so when it is polled.
    pub(crate) fn forget_sleepers(&self) {
        self.0.due.store(u64::MAX, Ordering::Relaxed);
    }

    /// When the first sleeper wants to be woken.
    pub(crate) fn due(&self) -> Option<u64> {
        Some(self.0.due.load(Ordering::Relaxed)).filter(|due| *due != u64::MAX)
    }
}

impl Clock for SimClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.now.load(Ordering::Relaxed))
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        let until = self.0.now.load(Ordering::Relaxed).saturating_add(nanos(time));
        Sleep { clock: Arc::clone(&self.0), until }
    }
}

struct Sleep {
    clock: Arc<Hands>,
    until: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.clock.now.load(Ordering::Relaxed) >= self.until {
            return Poll::Ready(());
        }
        self.clock.due.fetch_min(self.until, Ordering::Relaxed);
        Poll::Pending
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SECOND;

    #[test]
    fn whoever_wakes_then_wakes_in_time_and_hardly_late() {
        for ppm in [-10_000, -123, 0, 10_000] {
            let mut face = Face::new(7 * SECOND, ppm);
            face.jump(SECOND);
            for (now, left) in [(0, 1), (3 * SECOND, 20 * SECOND), (90 * SECOND + 17, 250_000_000)] {
                let local = face.at(now) + left;
                let when = face.when(local, now);
                let late = face.at(when).checked_sub(local).expect("not early");
                assert!(late <= left / 2_000 + 10_000, "{ppm} {left} {late}");
            }
        }
    }
}
