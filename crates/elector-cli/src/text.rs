//! How things are written for people: durations, places in a queue, and text from others made harmless.

use crate::{exit, log};
use std::io::Write;
use std::time::Duration;

/// The longest text from another contender that is shown; the rest is cut off.
const MAX_SHOWN: usize = 255;

/// Text from another contender as it may be printed: every character that could move a cursor, change a colour,
/// end a line or turn the direction of writing is shown by its number, and what is too long is cut.
pub(crate) fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(MAX_SHOWN));
    for (count, character) in text.chars().enumerate() {
        if count == MAX_SHOWN {
            shown.push('…');
            break;
        }
        if character == '\\' {
            shown.push_str("\\\\");
        } else if is_harmless(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}

/// Whether a terminal shows this character as itself and does nothing else with it.
pub(crate) fn is_harmless(character: char) -> bool {
    let formats_text = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !character.is_control() && !formats_text
}

/// A short duration, exact enough to act on: `310ms`, `3.9s`, `2m05s`, `2h03m`, `3d04h`.
pub(crate) fn compact(duration: Duration) -> String {
    let (ms, s) = (duration.as_millis(), duration.as_secs());
    match s {
        0 => format!("{ms}ms"),
        // Cut, not rounded: a remaining time must not look longer than it is.
        1..60 if ms % 1000 < 100 => format!("{s}s"),
        1..60 => format!("{s}.{}s", ms % 1000 / 100),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{:02}h", s / 86400, s % 86400 / 3600),
    }
}

/// A duration in running text: `2 ms`, `10.8 s`, `2m 05s`, `2h 03m`.
pub(crate) fn spaced(duration: Duration) -> String {
    let (ms, s) = (duration.as_millis(), duration.as_secs());
    match s {
        0 => format!("{ms} ms"),
        1..60 => format!("{s}.{} s", ms % 1000 / 100),
        60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        3600..86400 => format!("{}h {:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d {:02}h", s / 86400, s % 86400 / 3600),
    }
}

/// A contender's name as it may be printed; foreign peers may have none.
pub(crate) fn shown_name(id: &str) -> String {
    if id.is_empty() { "(no name)".into() } else { escape(id) }
}

/// That this contender's znode stays when its maker is gone; `more`: said of others like it.
pub(crate) fn never_goes(id: &str, more: &str) -> String {
    format!("{}'s znode is not ephemeral{more}: it never goes by itself", shown_name(id))
}

/// A setting as it could be typed: `10s`, `500ms`.
pub(crate) fn setting(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
}

/// `1st`, `2nd`, `11th`: a place in the queue, counted from 1.
pub(crate) fn ordinal(place: usize) -> String {
    let suffix = match (place % 10, place % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{place}{suffix}")
}

/// A session's number as ZooKeeper's own tools print it.
pub(crate) fn session(id: i64) -> String {
    format!("{id:#x}")
}

/// Writes the answer to standard output; `code` tells what it says, unless it cannot be written.
pub(crate) fn answer(text: &str, code: u8) -> u8 {
    match std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()) {
        Ok(()) => code,
        // A reader that closed early, such as `head`, has what it wanted.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => code,
        Err(error) => {
            log::complain(&format!("the answer cannot be written: {error}"));
            exit::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_drives_a_terminal_gets_through() {
        assert_eq!(escape("web1:812"), "web1:812");
        assert_eq!(escape("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\u{a}c");
        assert_eq!(escape("x\u{202e}y\u{9b}z"), "x\\u{202e}y\\u{9b}z");
        assert_eq!(escape("back\\slash é 漢"), "back\\\\slash é 漢");
        assert!(escape(&"x".repeat(1_000_000)).len() < 300);
    }

    #[test]
    fn durations_are_short_and_never_rounded_up() {
        for (ms, text) in [
            (0, "0ms"),
            (310, "310ms"),
            (2000, "2s"),
            (3999, "3.9s"),
            (59_999, "59.9s"),
            (125_000, "2m05s"),
            (7_380_000, "2h03m"),
            (273_600_000, "3d04h"),
        ] {
            assert_eq!(compact(Duration::from_millis(ms)), text);
        }
        for (ms, text) in [(2, "2 ms"), (10_850, "10.8 s"), (125_000, "2m 05s"), (7_380_000, "2h 03m")] {
            assert_eq!(spaced(Duration::from_millis(ms)), text);
        }
        assert_eq!(setting(Duration::from_millis(1500)), "1500ms");
        assert_eq!(setting(Duration::from_secs(10)), "10s");
    }

    #[test]
    fn places_are_counted_as_people_do() {
        let places: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal).into();
        assert_eq!(places.join(" "), "1st 2nd 3rd 4th 11th 12th 13th 21st 102nd 111th");
    }
}
