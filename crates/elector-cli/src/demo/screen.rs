//! What the demo's screen shows. Pure: a story and a size in, one text with its escapes out.
//!
//! Every row is cut to the screen's width, and the least important rows go first where it is low, so that a narrow
//! or tiny terminal shows less but never breaks.

use super::story::{Blow, IDS, Line, Story, Tone};
use super::words::{self, precise};
use std::net::SocketAddr;
use std::time::Instant;

/// Rows of the event log below which the empty rows go.
const MIN_LOG: usize = 4;
const HELP: &str = "k kill -9 the leader   f freeze it / let it go on   r planned stop   q quit";

/// How a piece of a row looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bold,
    Dim,
    Toned(Tone),
}

type Row = Vec<(Style, String)>;

/// The whole screen, to be written from wherever the cursor is.
pub(super) fn paint(
    story: &Story,
    address: SocketAddr,
    now: Instant,
    size: (usize, usize),
    color: bool,
) -> String {
    let (columns, rows) = size;
    let shown = fit(head(story, address, now), log(story, rows), rows);
    let painted: Vec<String> = shown.iter().map(|row| painted(row, columns, color)).collect();
    // Home first; each row clears its own rest, and the last one what is below.
    format!("\x1b[H{}\x1b[J", painted.join("\x1b[K\r\n"))
}

fn head(story: &Story, address: SocketAddr, now: Instant) -> Vec<Row> {
    let plain = |text: String| (Style::Toned(Tone::Plain), text);
    let title = format!(": three contenders, one leader, and a ZooKeeper at {address}");
    let mut rows = vec![vec![(Style::Bold, "elector demo".to_string()), (Style::Dim, title)], Row::new()];
    for (who, id) in IDS.iter().enumerate() {
        let (tone, words) = words::doing(story, who, now);
        rows.push(vec![(Style::Bold, format!("  {id}  ")), (Style::Toned(tone), words)]);
    }
    let storage = &story.storage;
    rows.push(Row::new());
    rows.push(vec![
        plain(format!("  storage     {} writes taken, ", storage.taken)),
        (
            Style::Toned(if storage.refused > 0 { Tone::Bad } else { Tone::Plain }),
            format!("{} refused", storage.refused),
        ),
        plain(format!("; it takes token {} and higher", storage.highest())),
    ]);
    rows.push(vec![plain(format!("  no leader   {}", times(story)))]);
    rows.push(Row::new());
    rows
}

/// The last time of each kind of hand-over.
fn times(story: &Story) -> String {
    let last = |blow| story.hand_overs.iter().rev().find(|change| change.blow == Some(blow));
    let kinds =
        [(Blow::Kill, "after kill -9"), (Blow::Freeze, "after a freeze"), (Blow::Stop, "when planned")];
    let known: Vec<String> = kinds
        .iter()
        .filter_map(|(blow, name)| Some(format!("{} {name}", precise(last(*blow)?.took))))
        .collect();
    if known.is_empty() { "yet to be seen: press a key".into() } else { known.join(", ") }
}

fn log(story: &Story, rows: usize) -> Vec<Row> {
    let (lines, _) = story.lines_from(0);
    let newest = lines.rev().take(rows);
    let mut log: Vec<Row> = newest
        .map(|line| {
            let at = format!("{:8.2}s  ", line.at.as_secs_f64());
            vec![(Style::Dim, at), (Style::Toned(line.tone), line.text.clone())]
        })
        .collect();
    log.reverse();
    log
}

/// Exactly `rows` rows: the head, as much of the log's end as there is room for, and the help at the bottom.
fn fit(mut head: Vec<Row>, mut log: Vec<Row>, rows: usize) -> Vec<Row> {
    let Some(above) = rows.checked_sub(1) else { return Vec::new() };
    if head.len() + MIN_LOG > above {
        head.retain(|row| !row.is_empty());
    }
    if head.len() > above {
        // The contenders stay longest.
        head.remove(0);
        head.truncate(above);
    }
    log.drain(..log.len().saturating_sub(above - head.len()));
    head.append(&mut log);
    head.resize(above, Row::new());
    head.push(vec![(Style::Bold, HELP.to_string())]);
    head
}

/// One row, a column short of the width, so that no terminal wraps it.
fn painted(row: &Row, columns: usize, color: bool) -> String {
    let mut left = columns.saturating_sub(1);
    let mut text = String::new();
    for (style, piece) in row {
        let cut: String = piece.chars().take(left).collect();
        left -= cut.chars().count();
        text.push_str(&styled(*style, &cut, color));
    }
    text
}

/// One row as it stands in an output without a screen.
pub(super) fn line(line: &Line, color: bool) -> String {
    let at = format!("{:8.3}s  ", line.at.as_secs_f64());
    styled(Style::Dim, &at, color) + &styled(Style::Toned(line.tone), &line.text, color)
}

fn styled(style: Style, text: &str, color: bool) -> String {
    let code = match style {
        Style::Bold => "1",
        Style::Dim => "2",
        Style::Toned(Tone::Plain) => "",
        Style::Toned(Tone::Good) => "32",
        Style::Toned(Tone::Bad) => "31",
        Style::Toned(Tone::Cold) => "36",
    };
    match color && !code.is_empty() && !text.is_empty() {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::heard::Said;
    use super::*;

    fn story() -> Story {
        let now = Instant::now();
        let mut story = Story::new(now);
        story.hear(0, Said::Leading { token: 7 }, now);
        story.hear(0, Said::Wrote { token: 7 }, now);
        for who in [1, 2] {
            story.hear(who, Said::Waiting, now);
        }
        story
    }

    fn rows(size: (usize, usize), color: bool) -> Vec<String> {
        let address = "127.0.0.1:4".parse().expect("an address");
        let text = paint(&story(), address, Instant::now(), size, color);
        let text = text.strip_prefix("\x1b[H").and_then(|text| text.strip_suffix("\x1b[J")).expect("both");
        text.split("\x1b[K\r\n").map(str::to_string).collect()
    }

    #[test]
    fn everything_has_its_place_and_no_colour_means_no_escapes() {
        let rows = rows((100, 24), false);
        assert_eq!(rows.len(), 24);
        assert!(rows[2].starts_with("  web1  LEADS   with token 7, write 1"), "{rows:?}");
        assert_eq!(rows[3], "  web2  waits   2nd in the queue");
        assert_eq!(rows[6], "  storage     1 writes taken, 0 refused; it takes token 7 and higher");
        assert_eq!(rows[23], HELP);
        assert!(rows.iter().all(|row| !row.contains('\x1b')), "{rows:?}");
    }

    #[test]
    fn no_size_breaks_it() {
        for columns in 1..90 {
            for height in 1..30 {
                let rows = rows((columns, height), false);
                assert_eq!(rows.len(), height);
                assert!(rows.iter().all(|row| row.chars().count() < columns), "{columns}x{height}: {rows:?}");
            }
        }
        let low = rows((80, 4), true);
        assert!(low[0].contains("web1") && low[2].contains("web3") && low[3].contains("quit"), "{low:?}");
        assert!(low[0].contains("\x1b[32mLEADS"), "{low:?}");
    }
}
