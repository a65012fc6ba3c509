//! The story in words: what a contender is doing, all of it in a sentence, and times that were measured.

use super::contender::SESSION_TIMEOUT;
use super::storage::Storage;
use super::story::{AWAY, Doing, FROZEN, Story, Tone};
use crate::text::ordinal;
use std::time::{Duration, Instant};

/// What it is doing, in words.
pub(super) fn doing(story: &Story, who: usize, now: Instant) -> (Tone, String) {
    let seen = story.seen(who);
    let token = seen.token.unwrap_or_default();
    let place = story.ahead(who);
    let left = |since: Instant, whole| (since + whole).saturating_duration_since(now).as_secs_f64();
    // The session was heard of last a little before the blow.
    let session = |since| format!("its session lives {:.1} s more at most", left(since, SESSION_TIMEOUT));
    match (seen.doing, place) {
        (Doing::Enrolling, _) => (Tone::Plain, "enrols".into()),
        (Doing::Waiting, place) => {
            (Tone::Plain, format!("waits   {} in the queue", ordinal(place.unwrap_or_default() + 1)))
        }
        (Doing::Leading, _) => (Tone::Good, format!("LEADS   with token {token}, write {}", seen.writes)),
        (Doing::Stopping, _) => (Tone::Plain, "stops   its program, then hands over".into()),
        (Doing::Frozen { since }, Some(_)) => {
            (Tone::Cold, format!("frozen  with token {token}; {}", session(since)))
        }
        (Doing::Frozen { since }, None) => {
            (Tone::Cold, format!("frozen  with token {token}; goes on in {:.1} s", left(since, FROZEN)))
        }
        (Doing::Dead { since }, Some(_)) => (Tone::Bad, format!("dead    {}", session(since))),
        (Doing::Dead { since }, None) => (Tone::Bad, format!("dead    back in {:.1} s", left(since, AWAY))),
        (Doing::Away { since }, _) => {
            (Tone::Plain, format!("away    stopped as planned; back in {:.1} s", left(since, AWAY)))
        }
    }
}

/// All of it in a sentence.
pub(super) fn summary(story: &Story) -> String {
    let times: Vec<String> = story.hand_overs.iter().map(|change| precise(change.took)).collect();
    let Storage { taken, refused, .. } = story.storage;
    let nobody =
        if times.is_empty() { String::new() } else { format!("nobody led for {}; ", times.join(", ")) };
    let (changes, plural) = (times.len(), if times.len() == 1 { "" } else { "s" });
    format!(
        "{changes} change{plural} of leader, {nobody}the storage took {taken} writes and refused {refused}"
    )
}

/// A time that was measured: `9 ms`, `3.02 s`.
pub(super) fn precise(took: Duration) -> String {
    match took.as_millis() {
        ms @ 0..1000 => format!("{ms} ms"),
        _ => format!("{:.2} s", took.as_secs_f64()),
    }
}
