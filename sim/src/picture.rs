//! A world as a picture: a lane for each contender, what the store knows, and the faults.
//!
//! What a person should see at a glance: two green bars one above the other, with red over both, or a green bar that
//! goes on behind the end of its znode below.

mod canvas;
pub mod witness;

use std::collections::BTreeMap;

use crate::MS;
use crate::plan::{Plan, Trouble};
use crate::record::What;
use crate::story;
use crate::world::Outcome;
use canvas::{Canvas, LANE, TOP};

/// Pixels of a second.
const SCALE: f64 = 18.0;
/// Pixels of a znode's row.
const ZNODE: f64 = 12.0;
/// What takes no time is drawn as if it took so much.
const INSTANT: u64 = 150 * MS;

const LEADS: &str = "#228833";
const LEASE: &str = "#d8efd8";
const STILL: &str = "#bbbbbb";
const DEAD: &str = "#555555";
const THERE: &str = "#4477aa";
const FAULT: &str = "#dd8800";
const WRONG: &str = "#cc0000";
/// The same that lets through what it covers.
const TWO: &str = "#cc000090";

/// One bar of time, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Span {
    who: u8,
    token: u64,
    from: u64,
    to: u64,
}

/// What the record says of terms, znodes and lives.
#[derive(Debug, Default)]
struct Course {
    terms: Vec<Span>,
    /// When the lease of a term would have ended.
    leases: BTreeMap<u64, u64>,
    /// Those that had a term.
    znodes: Vec<Span>,
    dead: Vec<Span>,
    wrong: Vec<u64>,
    end: u64,
}

impl Course {
    fn of(outcome: &Outcome) -> Course {
        let entries = outcome.record.entries();
        let mut course = Course { end: entries.last().map_or(0, |entry| entry.at), ..Course::default() };
        let (mut leading, mut there, mut died) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut led = BTreeMap::new();
        for entry in entries {
            match (entry.what, entry.who) {
                (What::Leads, Some(who)) => {
                    leading.insert(who, (entry.a, entry.at));
                    led.insert(entry.a, who);
                }
                (What::Deadline, Some(who)) => {
                    if let Some((token, _)) = leading.get(&who) {
                        course.leases.insert(*token, entry.a);
                    }
                }
                (What::Ends, Some(who)) => {
                    if let Some((token, from)) = leading.remove(&who) {
                        course.terms.push(Span { who, token, from, to: entry.at });
                    }
                }
                (What::Died, Some(who)) => drop(died.insert(who, entry.at)),
                (What::Starts, Some(who)) => {
                    if let Some(from) = died.remove(&who) {
                        course.dead.push(Span { who, token: 0, from, to: entry.at });
                    }
                }
                (What::Enrolled, _) => drop(there.insert(entry.a, entry.at)),
                (What::Gone, _) => {
                    if let Some(from) = there.remove(&entry.a) {
                        course.znodes.push(Span { who: 0, token: entry.a, from, to: entry.at });
                    }
                }
                (What::Violation, None) => course.wrong.push(entry.at),
                _ => {}
            }
        }
        let to = course.end;
        course.terms.extend(leading.into_iter().map(|(who, (token, from))| Span { who, token, from, to }));
        course.znodes.extend(there.into_iter().map(|(token, from)| Span { who: 0, token, from, to }));
        // Whoever stands still is told later that its lease has ended, but nobody acts for it after that.
        for term in &mut course.terms {
            term.to = course.leases.get(&term.token).map_or(term.to, |lease| term.to.min(*lease));
        }
        course.znodes.retain(|znode| led.contains_key(&znode.token));
        course.znodes.iter_mut().for_each(|znode| znode.who = led[&znode.token]);
        course
    }

    /// When two led at one time.
    fn overlaps(&self) -> Vec<(u64, u64)> {
        let mut terms = self.terms.clone();
        terms.sort_by_key(|term| term.from);
        let mut overlaps = Vec::new();
        for (at, term) in terms.iter().enumerate() {
            let before = terms[..at].iter().filter(|other| other.to > term.from && other.who != term.who);
            overlaps.extend(before.map(|other| (term.from, other.to.min(term.to))));
        }
        overlaps
    }
}

/// An SVG of a world whose record was kept.
pub fn draw(plan: &Plan, outcome: &Outcome) -> String {
    let course = Course::of(outcome);
    let mut canvas = Canvas::new(0, SCALE);
    let lanes = plan.contenders as f64;
    for who in 0..plan.contenders {
        canvas.text(8.0, TOP + who as f64 * LANE + 16.0, &format!("c{who}"));
    }
    draw_terms(&mut canvas, &course);
    draw_lives(&mut canvas, outcome, &course);
    let rows = lanes * LANE;
    canvas.text(8.0, TOP + rows + 10.0, "znodes");
    for Span { who, token, from, to } in &course.znodes {
        let lane = lanes + f64::from(*who) * ZNODE / LANE;
        canvas.bar(lane, *from, *to, ZNODE - 3.0, THERE, &format!("the znode of c{who}, token {token}"));
    }
    for (from, to) in course.overlaps() {
        canvas.bar(-0.1, from, to, rows, TWO, "two lead at one time");
    }
    for at in &course.wrong {
        canvas.bar(-0.1, *at, at + 60 * MS, rows + lanes * ZNODE, WRONG, "wrong");
    }
    let below = TOP + rows + lanes * ZNODE + 10.0;
    canvas.text(8.0, below + 10.0, "faults");
    let bottom = canvas.notes(below, FAULT, &faults(outcome, course.end));
    canvas.legend(
        bottom + 18.0,
        &[
            (LEADS, "leads"),
            (LEASE, "what was left of its lease"),
            (STILL, "stands still"),
            (DEAD, "is dead"),
            (THERE, "its znode in the store"),
            (FAULT, "a fault"),
            (WRONG, "two lead"),
        ],
    );
    let title = match (&outcome.violation, outcome.overlaps) {
        (Some(wrong), _) => wrong.clone(),
        (None, 0) => "nothing was wrong".to_owned(),
        (None, overlaps) => format!("overlaps: {overlaps}"),
    };
    canvas.text(8.0, 16.0, &format!("{}: {title}", story::head(plan)));
    canvas.finish(course.end, bottom + 26.0)
}

/// The terms, and in pale what was left of each lease when its term ended.
fn draw_terms(canvas: &mut Canvas, course: &Course) {
    for Span { who, token, from, to } in &course.terms {
        let lane = f64::from(*who);
        if let Some(lease) = course.leases.get(token).filter(|lease| *lease > to) {
            canvas.bar(lane, *to, (*lease).min(course.end), 20.0, LEASE, "the lease that was left");
        }
        canvas.bar(lane, *from, *to, 20.0, LEADS, &format!("c{who} leads, token {token}"));
    }
}

/// Where a process stood still, or was not there, at the foot of its lane.
fn draw_lives(canvas: &mut Canvas, outcome: &Outcome, course: &Course) {
    for fault in &outcome.faults {
        if let Trouble::Pause { who } = fault.what {
            let to = (fault.at + fault.lasts).min(course.end.max(fault.at));
            canvas.bar(who as f64 + 0.42, fault.at, to, 10.0, STILL, &format!("c{who} stands still"));
        }
    }
    for Span { who, from, to, .. } in &course.dead {
        canvas.bar(f64::from(*who) + 0.42, *from, *to, 10.0, DEAD, &format!("c{who} is dead"));
    }
}

fn faults(outcome: &Outcome, end: u64) -> Vec<(u64, u64, String)> {
    let mut faults: Vec<_> = outcome.faults.iter().filter(|fault| fault.at <= end).collect();
    faults.sort_by_key(|fault| fault.at);
    let until = |at: u64, lasts: Option<u64>| (at + lasts.unwrap_or(0).max(INSTANT)).min(end.max(at));
    faults
        .into_iter()
        .map(|fault| (fault.at, until(fault.at, story::lasts(fault)), story::fault(fault)))
        .collect()
}
