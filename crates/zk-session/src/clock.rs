//! Where times come from.
//!
//! Purpose: every time in this crate is a [`Duration`] since a fixed origin, read from a [`Clock`] that
//! the caller passes in. Invariant: nothing here reads `Instant` or the wall clock; tokio's timers only
//! wake the session, which then asks its clock what time it is. Tests pass a clock that follows paused
//! tokio time.

use std::time::Duration;

use elector_teeth::{Tooth, bites};
use rustix::time::ClockId;

/// A clock that never goes back.
pub trait Clock: Clone + Send + Sync + 'static {
    /// The time since a fixed origin, the same for all clones of this clock.
    fn now(&self) -> Duration;

    /// Ends about `time` later. It only wakes: whoever waits for a moment asks [`Clock::now`] afterwards.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(time)
    }
}

/// CLOCK_BOOTTIME: it goes on during suspend, and no one can set it.
///
/// `Instant` stops while the machine sleeps, and a lease judged by it would outlive the session.
#[derive(Debug, Clone, Copy, Default)]
pub struct BootClock;

impl Clock for BootClock {
    fn now(&self) -> Duration {
        read(ClockId::Boottime)
    }
}

/// CLOCK_MONOTONIC: it stands still during suspend, and no one can set it.
///
/// Only where the server is on this machine and goes by the same clock: then both sleep alike, and no session
/// ends because the lid was closed.
#[derive(Debug, Clone, Copy, Default)]
pub struct MonotonicClock;

impl Clock for MonotonicClock {
    fn now(&self) -> Duration {
        read(ClockId::Monotonic)
    }
}

fn read(clock: ClockId) -> Duration {
    let clock = if bites(Tooth::WallClock) { ClockId::Realtime } else { clock };
    let t = rustix::time::clock_gettime(clock);
    // Time since boot is never negative, and the nanoseconds are below 10^9.
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// Returns when `clock` shows `deadline` or later.
///
/// Timers may run on a clock that stops in suspend, so each wake-up asks the clock again.
pub(crate) async fn sleep_until<K: Clock>(clock: &K, deadline: Duration) {
    while let Some(left) = deadline.checked_sub(clock.now()).filter(|left| !left.is_zero()) {
        clock.sleep(left).await;
    }
}

/// `work` came to no end before its time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TimedOut;

/// Runs `work` until `deadline`, looking at the clock before `work` after each wake-up.
///
/// A result that became ready while the machine slept past the deadline is thus not taken.
pub(crate) async fn before<K: Clock, F: Future>(
    clock: &K,
    deadline: Duration,
    work: F,
) -> Result<F::Output, TimedOut> {
    let mut timer = std::pin::pin!(sleep_until(clock, deadline));
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|cx| {
        if clock.now() >= deadline || timer.as_mut().poll(cx).is_ready() {
            return std::task::Poll::Ready(Err(TimedOut));
        }
        work.as_mut().poll(cx).map(Ok)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_go_forward_and_the_one_that_sleeps_is_never_ahead() {
        let (monotonic, boot) = (MonotonicClock.now(), BootClock.now());
        assert!(monotonic > Duration::ZERO);
        assert!(boot >= monotonic);
        assert!(MonotonicClock.now() >= monotonic && BootClock.now() >= boot);
    }

    /// The wall clock can be set, and then a lease would end early or late.
    #[test]
    fn they_count_from_the_boot_and_not_from_the_wall_clock() {
        let reading = |clock| Duration::try_from(rustix::time::clock_gettime(clock)).expect("after the boot");
        for (id, now) in [
            (ClockId::Boottime, (|| BootClock.now()) as fn() -> Duration),
            (ClockId::Monotonic, || MonotonicClock.now()),
        ] {
            let (before, now, after) = (reading(id), now(), reading(id));
            assert!(before <= now && now <= after, "{before:?} {now:?} {after:?}");
        }
    }
}
