//! What pictures are made of: bars on lanes over a line of time, with words beside them or shown by a pointer.

use std::fmt::Write as _;

/// Pixels of a lane, and beside and above the lanes.
pub(super) const LANE: f64 = 34.0;
const LEFT: f64 = 70.0;
pub(super) const TOP: f64 = 40.0;
/// Pixels of a letter of a note: its width at most, and the line that it stands on.
const LETTER: f64 = 5.2;
const NOTE: f64 = 12.0;
/// Distances between the marks of the line of time, in seconds: the first that leaves them apart is taken.
const STEPS: [u64; 6] = [1, 2, 5, 10, 30, 60];
const APART: f64 = 60.0;

pub(super) struct Canvas {
    svg: String,
    /// What lies at the left, in nanoseconds, and pixels of a second.
    origin: u64,
    scale: f64,
    /// The right end of what was drawn.
    widest: f64,
}

impl Canvas {
    pub(super) fn new(origin: u64, scale: f64) -> Canvas {
        Canvas { svg: String::new(), origin, scale, widest: 0.0 }
    }

    pub(super) fn bar(&mut self, lane: f64, from: u64, to: u64, height: f64, color: &str, words: &str) {
        self.block(TOP + lane * LANE, from, to, height, color, words);
    }

    fn block(&mut self, y: f64, from: u64, to: u64, height: f64, color: &str, words: &str) {
        let (x, end) = (self.x(from), self.x(to));
        let width = (end - x).max(1.0);
        self.widest = self.widest.max(x + width);
        let words = escape(words);
        let _ = writeln!(
            self.svg,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{color}"><title>{words}</title></rect>"#
        );
    }

    pub(super) fn text(&mut self, x: f64, y: f64, words: &str) {
        let _ = writeln!(self.svg, r#"<text x="{x:.1}" y="{y:.1}">{}</text>"#, escape(words));
    }

    /// Thin bars from `y` on, each with its words behind it, on as few lines as it takes. Returns where they end.
    pub(super) fn notes(&mut self, y: f64, color: &str, notes: &[(u64, u64, String)]) -> f64 {
        let mut lines: Vec<f64> = Vec::new();
        for (from, to, words) in notes {
            let (x, end) = (self.x(*from), self.x(*to).max(self.x(*from) + 2.0));
            let line = lines.iter().position(|taken| *taken < x).unwrap_or(lines.len());
            lines.resize(lines.len().max(line + 1), 0.0);
            lines[line] = end + words.chars().count() as f64 * LETTER + 8.0;
            self.widest = self.widest.max(lines[line]);
            let y = y + line as f64 * NOTE;
            self.block(y + 2.0, *from, *to, 7.0, color, words);
            let words = escape(words);
            let _ = writeln!(
                self.svg,
                r#"<text x="{:.1}" y="{:.1}" font-size="9">{words}</text>"#,
                end + 3.0,
                y + 9.0
            );
        }
        y + lines.len() as f64 * NOTE
    }

    /// What the colours stand for, in a row at `y`.
    pub(super) fn legend(&mut self, y: f64, colors: &[(&str, &str)]) {
        let mut x = LEFT;
        for (color, words) in colors {
            let _ = writeln!(
                self.svg,
                r#"<rect x="{x:.1}" y="{:.1}" width="16.0" height="9.0" fill="{color}"/><text x="{:.1}" y="{y:.1}" font-size="10">{words}</text>"#,
                y - 9.0,
                x + 20.0
            );
            x += 40.0 + words.chars().count() as f64 * 5.8;
        }
        self.widest = self.widest.max(x);
    }

    pub(super) fn x(&self, at: u64) -> f64 {
        LEFT + at.saturating_sub(self.origin) as f64 / 1e9 * self.scale
    }

    /// The whole picture: up to this time, so many pixels high, with marks of the time behind it.
    pub(super) fn finish(self, end: u64, height: f64) -> String {
        let (width, height) = (self.widest.max(self.x(end)) + 20.0, height + 20.0);
        let mut marks = String::new();
        let step = STEPS.into_iter().find(|step| *step as f64 * self.scale >= APART).unwrap_or(STEPS[5]);
        let seconds = end.saturating_sub(self.origin) / 1_000_000_000;
        for second in (0..=seconds).step_by(step as usize) {
            let x = self.x(self.origin + second * 1_000_000_000);
            let _ = writeln!(
                marks,
                r##"<rect x="{x:.1}" y="28" width="1" height="{:.1}" fill="#e8e8e8"/><text x="{:.1}" y="{:.1}" font-size="10" fill="#888888">{second} s</text>"##,
                height - 44.0,
                x - 8.0,
                height - 4.0
            );
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{marks}{}</svg>\n",
            self.svg
        )
    }
}

fn escape(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;")
}
