//! Durations as people type them, always with a unit, so that nobody confuses seconds and milliseconds.

use crate::text;
use std::time::Duration;

/// Longest first, so that `ms` is not taken for `m`.
const UNITS: [(&str, f64); 5] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)];
/// What can be written at all is shorter; the rest is no duration.
const MAX_TEXT: usize = 32;

/// Reads `text` as a duration between `least` and `most`. The error is a fragment that states the rule.
pub(crate) fn parse(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let range = || format!("allowed is {} to {}", text::setting(least), text::setting(most));
    let example = "write it like 500ms, 10s, 2m or 1h30m";
    if text.is_empty() {
        return Err(format!("a duration is missing; {example}"));
    }
    if text.len() > MAX_TEXT {
        return Err(format!("not a duration; {example}"));
    }
    if text.starts_with('-') {
        return Err(format!("a duration cannot be negative; {}", range()));
    }
    if text.parse::<f64>().is_ok() {
        return Err(format!("a duration needs a unit; {example}; {}", range()));
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| factor);
        let (Ok(number), Some(factor)) = (number.parse::<f64>(), factor) else {
            return Err(format!("not a duration; {example} (units: ms, s, m, h, d)"));
        };
        seconds += number * factor;
        rest = tail;
    }
    // Whole milliseconds: nothing finer is kept anywhere, and 0.1 has no exact binary form.
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| format!("too long; {}", range()))?;
    let duration = Duration::from_millis(
        u64::try_from((duration + Duration::from_micros(500)).as_millis()).unwrap_or(u64::MAX),
    );
    if duration < least || duration > most {
        return Err(format!("out of range; {}", range()));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Duration, String> {
        parse(text, Duration::from_millis(1), Duration::from_secs(86400))
    }

    #[test]
    fn units_and_sums_are_read() {
        for (text, ms) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1.5s", 1500),
            ("0.1s", 100),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(read(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_rule() {
        for (text, rule) in [
            ("10", "needs a unit"),
            ("1e99", "needs a unit"),
            ("inf", "needs a unit"),
            ("-1", "negative"),
            ("-1s", "negative"),
            ("", "missing"),
            ("10x", "not a duration"),
            ("s", "not a duration"),
            ("1.2.3s", "not a duration"),
            ("10 s", "not a duration"),
            ("25days", "not a duration"),
            ("25d", "allowed is 1ms to 86400s"),
            ("0s", "allowed is 1ms"),
            ("1e99s", "not a duration"),
            ("99999999999999999999999999d", "too long"),
            ("٣s", "not a duration"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(rule), "{text}: {error}");
            assert!(!error.contains('\n'));
        }
        assert!(read(&"9".repeat(10_000)).is_err());
    }
}
