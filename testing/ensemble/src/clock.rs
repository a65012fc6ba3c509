//! The clocks that tests compare times of several processes on.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CLOCK_BOOTTIME, the clock of the leases: time since boot, suspend included; the same in all processes.
#[must_use]
pub fn boot_time() -> Duration {
    read(ClockId::Boottime)
}

/// CLOCK_MONOTONIC: time since boot without suspend; the same in all processes.
#[must_use]
pub fn monotonic_time() -> Duration {
    read(ClockId::Monotonic)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
