//! The record of a real run with faults as a picture: what the programs wrote down, and what was done to them.
//!
//! A record is what the tests of overlap keep in the folder that `ELECTOR_RECORDS` names: each program's
//! `TOKEN PID NANOSECONDS` every few milliseconds, and the test's own `# NANOSECONDS fault WORDS` and
//! `# NANOSECONDS gone TOKEN`, the latter when the store was seen to have done away with that term's znode. Times
//! are of CLOCK_MONOTONIC. A lane is a term, a contender leading once; where its program wrote nothing for a while,
//! it stood still; red is where two wrote at one time.

use std::collections::BTreeMap;

use super::canvas::{Canvas, LANE, TOP};

/// Whoever writes nothing for so long stands still, in nanoseconds: ten of its steps.
const PAUSE: u64 = 50_000_000;
/// Pixels that all lanes together are wide at most, unless a second would be too narrow to see.
const WIDTH: f64 = 1_300.0;
const NARROWEST: f64 = 4.0;
/// More terms than this share lanes.
const LANES: usize = 24;

#[derive(Debug, Default)]
struct Record {
    /// By token.
    terms: BTreeMap<u64, Term>,
    faults: Vec<(u64, String)>,
    gone: BTreeMap<u64, u64>,
}

/// What the processes of one term wrote.
#[derive(Debug, Default)]
struct Term {
    /// For each process the times without a pause, in their order.
    writes: BTreeMap<u64, Vec<(u64, u64)>>,
}

impl Term {
    fn first(&self) -> u64 {
        self.writes.values().filter_map(|spans| spans.first()).map(|span| span.0).min().unwrap_or(0)
    }

    fn last(&self) -> u64 {
        self.writes.values().filter_map(|spans| spans.last()).map(|span| span.1).max().unwrap_or(0)
    }

    fn wrote(&mut self, pid: u64, at: u64) {
        let spans = self.writes.entry(pid).or_default();
        match spans.last_mut() {
            Some((_, last)) if at.saturating_sub(*last) < PAUSE => *last = at.max(*last),
            _ => spans.push((at, at)),
        }
    }
}

/// An SVG of a record, and how often two terms wrote at one time.
///
/// # Errors
/// When a line, named by its number, is none of a record's, or nobody wrote anything.
pub fn draw(text: &str) -> Result<(String, usize), String> {
    let record = parse(text)?;
    let from = record.terms.values().map(Term::first).min().ok_or("nobody wrote anything")?;
    let from = record.faults.first().map_or(from, |(at, _)| from.min(*at));
    let end =
        record.terms.values().map(Term::last).chain(record.gone.values().copied()).max().unwrap_or(from);
    let scale = (WIDTH / (end.saturating_sub(from) as f64 / 1e9).max(0.001)).max(NARROWEST);
    let mut canvas = Canvas::new(from, scale);
    let lanes = record.terms.len().min(LANES) as f64;
    for (lane, (token, term)) in record.terms.iter().enumerate() {
        let lane = (lane % LANES) as f64;
        canvas.text(8.0, TOP + lane * LANE + 15.0, &format!("…{}", token % 1_000_000));
        draw_term(&mut canvas, lane, *token, term);
        if let Some(gone) = record.gone.get(token) {
            canvas.bar(
                lane + 0.65,
                term.first(),
                *gone,
                5.0,
                "#4477aa",
                &format!("the znode of token {token}"),
            );
        }
    }
    for (at, words) in &record.faults {
        canvas.bar(-0.3, *at, *at, (lanes + 0.3) * LANE, "#dd8800", words);
        canvas.text(canvas.x(*at) + 4.0, TOP + lanes * LANE + 12.0, words);
    }
    let overlaps = mark_overlaps(&mut canvas, &record, lanes);
    let verdict = match overlaps {
        0 => "no overlap".to_owned(),
        count => format!("overlaps: {count}"),
    };
    let seconds = end.saturating_sub(from) as f64 / 1e9;
    canvas.text(8.0, 16.0, &format!("{} terms in {seconds:.1} s: {verdict}", record.terms.len()));
    Ok((canvas.finish(end, TOP + (lanes + 0.8) * LANE), overlaps))
}

fn draw_term(canvas: &mut Canvas, lane: f64, token: u64, term: &Term) {
    let height = 20.0 / term.writes.len().max(1) as f64;
    for (row, (pid, spans)) in term.writes.iter().enumerate() {
        let lane = lane + row as f64 * height / LANE;
        for pair in spans.windows(2) {
            let ms = (pair[1].0 - pair[0].1) / 1_000_000;
            canvas.bar(
                lane,
                pair[0].1,
                pair[1].0,
                height,
                "#e8e8e8",
                &format!("process {pid} stood still for {ms} ms"),
            );
        }
        for (first, last) in spans {
            canvas.bar(
                lane,
                *first,
                *last,
                height,
                "#228833",
                &format!("process {pid} acts for token {token}"),
            );
        }
    }
}

/// Draws red where a term began before another's last act, and counts these.
fn mark_overlaps(canvas: &mut Canvas, record: &Record, lanes: f64) -> usize {
    let mut spans: Vec<(u64, u64)> = record.terms.values().map(|term| (term.first(), term.last())).collect();
    spans.sort_unstable();
    let (mut overlaps, mut latest) = (0, 0);
    for (first, last) in spans {
        if first <= latest {
            overlaps += 1;
            canvas.bar(0.0, first, latest.min(last), lanes * LANE, "#cc000080", "two at one time");
        }
        latest = latest.max(last);
    }
    overlaps
}

fn parse(text: &str) -> Result<Record, String> {
    let mut record = Record::default();
    // The last line may be half written.
    for (index, line) in text.split_inclusive('\n').filter(|line| line.ends_with('\n')).enumerate() {
        read(line.trim_end(), &mut record)
            .ok_or_else(|| format!("line {}: not of a record: {line:?}", index + 1))?;
    }
    record.faults.sort();
    Ok(record)
}

fn read(line: &str, record: &mut Record) -> Option<()> {
    if let Some(note) = line.strip_prefix("# ") {
        let (at, note) = note.split_once(' ')?;
        let at = at.parse().ok()?;
        match note.split_once(' ')? {
            ("fault", words) => record.faults.push((at, words.to_owned())),
            ("gone", token) => drop(record.gone.insert(token.parse().ok()?, at)),
            _ => return None,
        }
        return Some(());
    }
    let mut numbers = line.split(' ').map(|word| word.parse::<u64>().ok());
    let (token, pid, at) = (numbers.next()??, numbers.next()??, numbers.next()??);
    record.terms.entry(token).or_default().wrote(pid, at);
    numbers.next().is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_over_is_drawn_without_red_and_an_overlap_with_it() {
        let (svg, overlaps) =
            draw("7 1 1000\n7 1 6000\n# 6500 fault it is <killed>\n# 6900 gone 7\n9 2 7000\n9 2 80").unwrap();
        assert_eq!(overlaps, 0);
        assert!(svg.contains("it is &lt;killed>") && !svg.contains("two at one time<"), "{svg}");
        let (svg, overlaps) = draw("7 1 1000\n9 2 5000\n7 1 6000\n9 2 8000\n").unwrap();
        assert_eq!(overlaps, 1);
        assert!(svg.contains("two at one time"), "{svg}");
    }

    #[test]
    fn whoever_writes_nothing_for_long_stands_still() {
        let (svg, _) = draw("7 1 0\n7 1 40000000\n7 1 900000000\n").unwrap();
        assert!(svg.contains("stood still for 860 ms"), "{svg}");
    }

    #[test]
    fn what_is_no_record_is_refused_by_its_line() {
        for bad in ["1 2\n", "1 2 3 4\n", "a b c\n", "# x fault y\n", "# 5 what else\n", "# 5\n", "1 2 3\n\n"]
        {
            assert!(draw(bad).unwrap_err().contains("line "), "{bad:?}");
        }
        assert_eq!(draw("").unwrap_err(), "nobody wrote anything");
    }
}
