//! Every exit status of the command, in one place.
//!
//! Scripts and service managers act on these numbers, so they are part of the interface: a number is never
//! given a second meaning.

/// The program ended with 0, a planned stop went as planned, or the answer was "led".
pub(crate) const OK: u8 = 0;
/// Usage or configuration: a restart cannot mend it.
pub(crate) const USAGE: u8 = 2;
/// `status`: nobody leads.
pub(crate) const VACANT: u8 = 3;
/// `status`: no answer in time.
pub(crate) const UNKNOWN: u8 = 4;
/// `run --once`: leadership was lost.
pub(crate) const LOST: u8 = 75;
/// `run --wait` or `-n`: not leading by then; `-E` puts another number in its place.
pub(crate) const GAVE_UP: u8 = 124;
/// A failure of elector itself (also when `serve` cannot keep its data any more), or `--connect-timeout` passed.
pub(crate) const FAILURE: u8 = 125;
/// The program is there but cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// The program was not found.
pub(crate) const NOT_FOUND: u8 = 127;

/// The shell's way to tell of an end by a signal.
pub(crate) fn by_signal(number: i32) -> u8 {
    128u8.saturating_add(u8::try_from(number).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_follow_the_shell() {
        assert_eq!(by_signal(9), 137);
        assert_eq!(by_signal(2), 130);
        assert_eq!(by_signal(-1), 128);
        assert_eq!(by_signal(1000), 128);
    }
}
