//! From records to terms: which followed which, what is known of each, and what is only inferred.
//!
//! Pure. Each record tells of its own term alone; what became of a leader that left no last word shows only in the one
//! that came after it. Tokens give the order, never times: those come from the servers' clocks, which may jump.
//!
//! What a record says of a moment is late by the way of its requests, as long as a short term lasts; never early. So
//! of two times for one moment the earlier is nearer, and no term is shown to end before it began.

use crate::history::{Found, How};
use elector::Token;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Records that are read; more are not kept.
pub(super) const KEPT: usize = 50;
/// A record is not later than this when the servers answer; terms that overlap by more were seen by two clocks.
const LATEST: Duration = Duration::from_secs(5);

/// One term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) token: Token,
    /// Who led, where it is known.
    pub(super) id: Option<String>,
    pub(super) session: Option<i64>,
    pub(super) from: Option<SystemTime>,
    pub(super) until: Option<SystemTime>,
    pub(super) led: Option<Duration>,
    pub(super) containment: Option<String>,
    pub(super) end: End,
    /// How long nobody led then, where somebody led afterwards.
    pub(super) nobody_led: Option<Duration>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// It leads.
    Leads,
    /// Somebody who was there wrote it down.
    Told { how: How, detail: String },
    /// It left no last word, neither itself nor by the process beside it: the times are inferred, too.
    Inferred,
    /// Seen ahead by the one that followed; it wrote nothing, as contenders of other libraries do.
    NotRecorded,
    /// What is written there is no record of this version's.
    Unreadable,
}

/// All terms that are known, the newest first; `leader` is the present one.
pub(super) fn terms(records: impl Iterator<Item = Found>, leader: Option<(Token, &str)>) -> Vec<Term> {
    let mut known = BTreeMap::new();
    let mut timeouts = BTreeMap::new();
    let mut seen_ahead = Vec::new();
    for found in records {
        if let Some(told) = &found.told {
            timeouts.insert(found.token, told.timeout);
            seen_ahead.extend(told.behind.clone());
        }
        known.insert(found.token, recorded(found));
    }
    // Of as many as are kept the oldest came after one that has been forgotten.
    let oldest = known.keys().next().copied().filter(|_| known.len() >= KEPT);
    for behind in seen_ahead {
        let token: Option<Token> = behind.token.parse().ok();
        if let Some(token) = token.filter(|token| oldest.is_none_or(|oldest| *token > oldest)) {
            known.entry(token).or_insert_with(|| unrecorded(token, Some(behind.id), End::NotRecorded));
        }
    }
    if let Some((token, id)) = leader {
        let term = known.entry(token).or_insert_with(|| unrecorded(token, Some(id.to_owned()), End::Leads));
        // One that wrote its ending is on its way out of the queue.
        if !matches!(term.end, End::Told { .. }) {
            term.end = End::Leads;
        }
    }
    let mut terms: Vec<Term> = known.into_values().rev().collect();
    for at in 0..terms.len() {
        let next = at.checked_sub(1).and_then(|next| terms[next].from);
        let timeout = timeouts.get(&terms[at].token).copied();
        follow(&mut terms[at], next, timeout);
    }
    terms
}

fn recorded(found: Found) -> Term {
    let (token, mut from, mut until) = (found.token, found.began(), found.over());
    let Some(told) = found.told else { return unrecorded(token, None, End::Unreadable) };
    // Measured where it led, else between two moments of the servers'.
    let measured = told.ended.as_ref().and_then(|ended| ended.led);
    if let (Some(began), Some(over)) = (from, until) {
        from = over.checked_sub(measured.unwrap_or_default()).map(|early| early.min(began)).or(from);
        until = measured.and_then(|led| from?.checked_add(led)).or(until);
    }
    let between = || Some(until?.duration_since(from?).unwrap_or_default());
    Term {
        token,
        id: Some(told.id),
        session: Some(told.session),
        from,
        until,
        led: measured.or_else(between),
        containment: told.containment,
        end: told.ended.map_or(End::Inferred, |ended| End::Told { how: ended.how, detail: ended.detail }),
        nobody_led: None,
    }
}

fn unrecorded(token: Token, id: Option<String>, end: End) -> Term {
    Term {
        token,
        id,
        session: None,
        from: None,
        until: None,
        led: None,
        containment: None,
        end,
        nobody_led: None,
    }
}

/// What the beginning of the term after it tells about this one.
fn follow(term: &mut Term, next: Option<SystemTime>, timeout: Option<Duration>) {
    let Some(next) = next else { return };
    if let (End::Inferred, Some(from), Some(timeout)) = (&term.end, term.from, timeout) {
        // Its session outlived its last sign of life by about the timeout.
        let last_sign = next.checked_sub(timeout).unwrap_or(from).max(from);
        term.until = Some(last_sign);
        term.led = last_sign.duration_since(from).ok();
    }
    // Whoever came after it did not begin before this one's end: the later of the two was written down late.
    let overlap = term.until.and_then(|until| until.duration_since(next).ok());
    if let Some(overlap) = overlap.filter(|overlap| *overlap <= LATEST) {
        term.until = Some(next);
        term.from = term.from.and_then(|from| from.checked_sub(overlap));
    }
    // Two servers' clocks, or one that was set, may still put the end behind the next beginning.
    term.nobody_led = term.until.map(|until| next.duration_since(until).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Behind, Ended, Told};

    fn at(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000 + ms)
    }

    fn token(number: u64) -> Token {
        number.to_string().parse().expect("a token")
    }

    /// What is told 10 ms after the beginning, of a session of 10 s.
    fn begun(id: &str) -> Told {
        Told {
            id: id.into(),
            session: 7,
            timeout: Duration::from_secs(10),
            containment: None,
            began_ago: Duration::from_millis(10),
            behind: None,
            ended: None,
        }
    }

    fn found(number: u64, told: &Told, from: u64, changed: u64) -> Found {
        Found::new(token(number), Some(&told.text()), at(from + 10), at(changed))
    }

    fn behind(id: &str, token: u64) -> Option<Behind> {
        Some(Behind { id: id.into(), token: token.to_string() })
    }

    fn ended(how: How, led: Option<u64>, ago: u64) -> Option<Ended> {
        let led = led.map(Duration::from_millis);
        Some(Ended { how, detail: String::new(), led, ago: Duration::from_millis(ago) })
    }

    #[test]
    fn a_hand_over_is_seen_from_both_sides() {
        let first = Told { ended: ended(How::Resigned, Some(5000), 3), ..begun("a") };
        let records = [found(1, &first, 1000, 6003), found(2, &begun("b"), 6002, 6012)];
        let terms = terms(records.into_iter(), Some((token(2), "b")));
        assert_eq!((terms[0].token, &terms[0].end, terms[0].from), (token(2), &End::Leads, Some(at(6002))));
        assert_eq!((terms[1].until, terms[1].led), (Some(at(6000)), Some(Duration::from_secs(5))));
        assert_eq!(terms[1].nobody_led, Some(Duration::from_millis(2)));
    }

    #[test]
    fn clocks_that_were_set_back_give_no_negative_time() {
        let first = Told { ended: ended(How::Killed, None, 0), ..begun("a") };
        let records = [found(1, &first, 9000, 4000), found(2, &begun("b"), 3000, 3010)];
        let terms = terms(records.into_iter(), None);
        assert_eq!((terms[1].led, terms[1].nobody_led), (Some(Duration::ZERO), Some(Duration::ZERO)));
    }

    /// Both records of such a term are late by about as much as it lasted.
    #[test]
    fn terms_of_a_few_milliseconds_neither_end_before_they_began_nor_overlap() {
        let short = |id: &str, led| Told { ended: ended(How::ProgramEnded, led, 1), ..begun(id) };
        let records = [
            found(1, &short("a", Some(4)), 1030, 1025),
            found(2, &short("b", None), 1020, 1016),
            found(3, &short("c", Some(2)), 1018, 1041),
            found(4, &begun("d"), 1019, 1029),
        ];
        let terms = terms(records.into_iter(), Some((token(4), "d")));
        for (term, next) in terms.iter().skip(1).zip(&terms) {
            let (from, until) = (term.from.expect("it is told"), term.until.expect("it is told"));
            let gap = next.from.expect("it is told").duration_since(until);
            assert_eq!(until.duration_since(from).ok(), term.led, "{term:?}");
            assert_eq!(gap.ok(), term.nobody_led, "{term:?} before {next:?}");
        }
        let led: Vec<_> = terms.iter().map(|term| term.led.map(|led| led.as_millis())).collect();
        assert_eq!(led, [None, Some(2), Some(0), Some(4)]);
    }

    #[test]
    fn a_beginning_that_was_written_down_late_is_known_from_the_end() {
        let late = Told { ended: ended(How::Resigned, Some(3000), 0), ..begun("a") };
        let terms = terms([found(1, &late, 2500, 4000)].into_iter(), None);
        assert_eq!((terms[0].from, terms[0].until), (Some(at(1000)), Some(at(4000))));
    }

    #[test]
    fn who_left_no_last_word_is_inferred_from_the_one_after_it() {
        let records = [found(1, &begun("a"), 1000, 1010), found(2, &begun("b"), 60_500, 60_510)];
        let terms = terms(records.into_iter(), None);
        assert_eq!((&terms[1].end, terms[1].until), (&End::Inferred, Some(at(50_500))));
        assert_eq!(terms[1].nobody_led, Some(Duration::from_secs(10)));
        // Nobody came after the second one: nothing is known but that it does not lead.
        assert_eq!((&terms[0].end, terms[0].until, terms[0].nobody_led), (&End::Inferred, None, None));
    }

    #[test]
    fn a_foreign_leader_between_is_known_from_behind_and_leaves_gaps_unknown() {
        let first = Told { ended: ended(How::Resigned, Some(10), 0), ..begun("a") };
        let third = Told { behind: behind("curator", 5), ..begun("b") };
        let records = [found(2, &first, 1000, 1010), found(9, &third, 9000, 9010)];
        let terms = terms(records.into_iter(), Some((token(12), "kazoo")));
        let tokens: Vec<u64> = terms.iter().map(|term| term.token.get()).collect();
        assert_eq!(tokens, [12, 9, 5, 2]);
        assert_eq!((&terms[0].end, terms[0].from), (&End::Leads, None));
        assert_eq!((&terms[2].end, terms[2].id.as_deref()), (&End::NotRecorded, Some("curator")));
        assert_eq!((terms[1].nobody_led, terms[2].nobody_led, terms[3].nobody_led), (None, None, None));
    }

    #[test]
    fn who_was_ahead_of_the_oldest_that_is_kept_was_forgotten() {
        let told = |number: u64| Told { behind: behind("x", number - 1), ..begun("x") };
        let kept = |count: u64| (0..count).map(|number| found(100 + number, &told(100 + number), 0, 0));
        assert_eq!(terms(kept(KEPT as u64), None).len(), KEPT);
        assert_eq!(terms(kept(3), None).len(), 4);
    }

    #[test]
    fn garbage_is_a_row_and_no_more() {
        let garbage = Found::new(token(3), Some("[\u{1b}"), at(0), at(0));
        let terms = terms([garbage].into_iter(), None);
        assert_eq!((&terms[0].end, &terms[0].id), (&End::Unreadable, &None));
    }
}
