//! What pictures are made of: bars on lanes over a line of time, with words that a pointer shows.

use std::fmt::Write as _;

/// Pixels of a lane, and beside and above the lanes.
pub(super) const LANE: f64 = 34.0;
const LEFT: f64 = 70.0;
pub(super) const TOP: f64 = 40.0;

pub(super) struct Canvas {
    svg: String,
    /// What lies at the left, in nanoseconds, and pixels of a second.
    origin: u64,
    scale: f64,
}

impl Canvas {
    pub(super) fn new(origin: u64, scale: f64) -> Canvas {
        Canvas { svg: String::new(), origin, scale }
    }

    pub(super) fn bar(&mut self, lane: f64, from: u64, to: u64, height: f64, color: &str, words: &str) {
        let (x, end) = (self.x(from), self.x(to));
        let y = TOP + lane * LANE;
        let width = (end - x).max(1.0);
        let words = escape(words);
        let _ = writeln!(
            self.svg,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{color}"><title>{words}</title></rect>"#
        );
    }

    pub(super) fn text(&mut self, x: f64, y: f64, words: &str) {
        let _ = writeln!(self.svg, r#"<text x="{x:.1}" y="{y:.1}">{}</text>"#, escape(words));
    }

    pub(super) fn x(&self, at: u64) -> f64 {
        LEFT + at.saturating_sub(self.origin) as f64 / 1e9 * self.scale
    }

    /// The whole picture, up to this time and with so many lanes.
    pub(super) fn finish(self, end: u64, lanes: f64) -> String {
        let (width, height) = (self.x(end) + 20.0, TOP + lanes * LANE);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{}</svg>\n",
            self.svg
        )
    }
}

fn escape(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;")
}
