//! A world as a picture: a lane for each contender, what the store knows, and the faults.
//!
//! What a person should see at a glance: two green bars one above the other, or a green bar that goes on behind the
//! end of its znode below.

mod canvas;
pub mod witness;

use std::collections::BTreeMap;

use crate::plan::Plan;
use crate::record::What;
use crate::story;
use crate::world::Outcome;
use canvas::{Canvas, LANE, TOP};

/// Pixels of a second.
const SCALE: f64 = 18.0;

/// An SVG of a world whose record was kept.
pub fn draw(plan: &Plan, outcome: &Outcome) -> String {
    let entries = outcome.record.entries();
    let end = entries.last().map_or(0, |entry| entry.at);
    let lanes = plan.contenders as f64;
    let mut canvas = Canvas::new(0, SCALE);
    let mut terms: BTreeMap<(u8, u64), u64> = BTreeMap::new();
    let mut deadlines: BTreeMap<u8, u64> = BTreeMap::new();
    let mut znodes: BTreeMap<u64, u64> = BTreeMap::new();
    let mut led: BTreeMap<u64, u8> = BTreeMap::new();
    for entry in entries {
        match (entry.what, entry.who) {
            (What::Leads, Some(who)) => {
                terms.insert((who, entry.a), entry.at);
                led.insert(entry.a, who);
            }
            (What::Deadline, Some(who)) => {
                deadlines.insert(who, entry.a);
            }
            (What::Ends, Some(who)) => {
                if let Some(from) = terms.remove(&(who, entry.a)) {
                    term(&mut canvas, who, from, entry.at, deadlines.get(&who).copied(), entry.a);
                }
            }
            (What::Enrolled, _) => {
                znodes.insert(entry.a, entry.at);
            }
            (What::Gone, _) => {
                if let (Some(from), Some(who)) = (znodes.remove(&entry.a), led.get(&entry.a)) {
                    let words = format!("the znode of c{who}, token {}", entry.a);
                    canvas.bar(lanes + f64::from(*who) * 0.4, from, entry.at, 10.0, "#4477aa", &words);
                }
            }
            (What::Violation, _) => {
                canvas.bar(0.0, entry.at, entry.at + 60_000_000, LANE * (lanes + 3.0), "#cc0000", "wrong");
            }
            _ => {}
        }
    }
    for ((who, token), from) in terms {
        term(&mut canvas, who, from, end, deadlines.get(&who).copied(), token);
    }
    for (index, fault) in outcome.faults.iter().enumerate() {
        let row = lanes + 2.2 + (index % 6) as f64 * 0.25;
        let until = (fault.at + fault.lasts.max(150_000_000)).min(end.max(fault.at));
        canvas.bar(row, fault.at, until, 6.0, "#dd8800", &story::fault(fault));
    }
    for who in 0..plan.contenders {
        canvas.text(8.0, TOP + who as f64 * LANE + 16.0, &format!("c{who}"));
    }
    canvas.text(8.0, TOP + lanes * LANE + 10.0, "znodes");
    canvas.text(8.0, TOP + (lanes + 2.2) * LANE + 10.0, "faults");
    let title = match (&outcome.violation, outcome.overlaps) {
        (Some(wrong), _) => wrong.clone(),
        (None, 0) => "nothing was wrong".to_owned(),
        (None, overlaps) => format!("overlaps: {overlaps}"),
    };
    canvas.text(8.0, 16.0, &format!("{}: {title}", story::head(plan)));
    canvas.finish(end, lanes + 4.2)
}

/// A term, and in pale what was left of its lease when it ended.
fn term(canvas: &mut Canvas, who: u8, from: u64, to: u64, deadline: Option<u64>, token: u64) {
    let lane = f64::from(who);
    if let Some(deadline) = deadline.filter(|deadline| *deadline > to) {
        canvas.bar(lane, to, deadline, 20.0, "#d8efd8", "the lease that was left");
    }
    canvas.bar(lane, from, to, 20.0, "#228833", &format!("c{who} leads, token {token}"));
}
