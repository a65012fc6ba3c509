//! A timer on the lease's clock, to be polled.

use elector::LeaseClock;
use elector_teeth::{Tooth, bites};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// A timer that is not set, closed on exec.
pub(super) fn create(clock: LeaseClock) -> io::Result<OwnedFd> {
    let clock = match clock {
        LeaseClock::Boot if !bites(Tooth::TimerSleepsToo) => TimerfdClockId::Boottime,
        LeaseClock::Boot | LeaseClock::Monotonic => TimerfdClockId::Monotonic,
    };
    Ok(timerfd_create(clock, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?)
}

/// Makes it readable at `due`; never without it.
pub(super) fn set(timer: &OwnedFd, due: Option<Duration>) -> io::Result<()> {
    // An all-zero value disarms; a due instant is taken to be later than the clock's origin.
    let value = due.map_or(Duration::ZERO, |due| due.max(Duration::from_nanos(1)));
    let spec = Itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(value) };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &spec)?;
    Ok(())
}

/// Makes it unreadable until the next [`set`].
pub(super) fn clear(timer: &OwnedFd) {
    let mut counter = [0u8; 8];
    let _ = rustix::io::read(timer, &mut counter);
}

/// The same duration in the kernel's words.
pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
