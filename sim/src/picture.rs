//! A world as a picture: a lane for each contender, what the store knows, and the faults.
//!
//! What a person should see at a glance: two green bars one above the other, or a green bar that goes on behind the
//! end of its znode below.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::plan::Plan;
use crate::record::What;
use crate::story;
use crate::world::Outcome;

/// Pixels of a second, of a lane, and beside the lanes.
const SECOND_WIDTH: f64 = 18.0;
const LANE: f64 = 34.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 40.0;

struct Canvas {
    svg: String,
}

impl Canvas {
    fn bar(&mut self, lane: f64, from: u64, to: u64, height: f64, color: &str, words: &str) {
        let (x, end) = (x(from), x(to));
        let y = TOP + lane * LANE;
        let width = (end - x).max(1.0);
        let words = escape(words);
        let _ = writeln!(
            self.svg,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{color}"><title>{words}</title></rect>"#
        );
    }

    fn text(&mut self, x: f64, y: f64, words: &str) {
        let _ = writeln!(self.svg, r#"<text x="{x:.1}" y="{y:.1}">{}</text>"#, escape(words));
    }
}

fn x(at: u64) -> f64 {
    LEFT + at as f64 / 1e9 * SECOND_WIDTH
}

fn escape(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;")
}

/// An SVG of a world whose record was kept.
pub fn draw(plan: &Plan, outcome: &Outcome) -> String {
    let entries = outcome.record.entries();
    let end = entries.last().map_or(0, |entry| entry.at);
    let lanes = plan.contenders as f64;
    let mut canvas = Canvas { svg: String::new() };
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
    let title = outcome.violation.clone().unwrap_or_else(|| "nothing was wrong".to_owned());
    canvas.text(8.0, 16.0, &format!("{}: {title}", story::head(plan)));
    let (width, height) = (x(end) + 20.0, TOP + (lanes + 4.2) * LANE);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{}</svg>\n",
        canvas.svg
    )
}

/// A term, and in pale what was left of its lease when it ended.
fn term(canvas: &mut Canvas, who: u8, from: u64, to: u64, deadline: Option<u64>, token: u64) {
    let lane = f64::from(who);
    if let Some(deadline) = deadline.filter(|deadline| *deadline > to) {
        canvas.bar(lane, to, deadline, 20.0, "#d8efd8", "the lease that was left");
    }
    canvas.bar(lane, from, to, 20.0, "#228833", &format!("c{who} leads, token {token}"));
}
