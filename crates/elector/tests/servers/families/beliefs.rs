//! Who believed to lead, and when: the checker of these tests.

use std::fmt;
use std::time::Duration;

use zk_ensemble::{LineProcess, monotonic_time};

/// A time in which somebody's work ran, on CLOCK_MONOTONIC, the same for all programs.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) who: String,
    pub(super) from: Duration,
    /// None while it runs.
    pub(super) to: Option<Duration>,
}

impl Term {
    /// One that begins now.
    pub(super) fn begin(who: &str) -> Term {
        Term { who: who.to_owned(), from: monotonic_time(), to: None }
    }

    pub(super) fn end(&mut self) {
        self.to.get_or_insert_with(monotonic_time);
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.to.map_or_else(|| "now".to_owned(), |to| format!("{:.6}", to.as_secs_f64()));
        write!(f, "{:>16} {:.6} to {to}", self.who, self.from.as_secs_f64())
    }
}

/// The terms that a peer told of.
pub(super) fn told(peer: &LineProcess) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    for line in peer.lines() {
        let Some((what, at)) = line.text.split_once(" at=") else { continue };
        let at = Duration::from_nanos(at.parse().expect("nanoseconds"));
        match (what.split_once(' '), terms.last_mut()) {
            (Some(("LEADING", who)), _) => terms.push(Term { who: who.to_owned(), from: at, to: None }),
            (Some(("LOST", _)), Some(term)) => term.to = Some(at),
            _ => panic!("not understood: {}", line.text),
        }
    }
    terms
}

/// All terms in their order, after a check that no two of them overlap.
pub(super) fn one_after_the_other(mut terms: Vec<Term>) -> Vec<Term> {
    terms.sort_by_key(|term| term.from);
    if let Some([one, other]) = overlap(&terms) {
        panic!("two leaders:\n{one}\n{other}");
    }
    terms
}

/// Two neighbours of which the later began before the earlier had ended.
fn overlap(ordered: &[Term]) -> Option<&[Term; 2]> {
    ordered.array_windows().find(|[one, other]| one.to.is_none_or(|to| to >= other.from))
}

#[test]
fn the_checker_sees_an_overlap() {
    let term = |from, to: Option<u64>| Term {
        who: "x".to_owned(),
        from: Duration::from_millis(from),
        to: to.map(Duration::from_millis),
    };
    assert!(overlap(&[term(10, Some(20)), term(30, Some(40)), term(50, None)]).is_none());
    assert!(overlap(&[term(10, Some(21)), term(20, None)]).is_some());
    assert!(overlap(&[term(10, None), term(20, Some(30))]).is_some());
}
