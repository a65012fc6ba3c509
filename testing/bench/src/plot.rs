//! The plot: for each scenario the floor above the hand-over, as bars with their medians.

use std::fmt::Write as _;

use crate::report::Scenario;
use crate::sample::Sample;

const WIDTH: f64 = 760.0;
/// Left of the bars, for their labels.
const MARGIN: f64 = 190.0;
/// Right of the bars, for their medians.
const TAIL: f64 = 90.0;
const ROW: f64 = 54.0;
const TOP: f64 = 48.0;
const BAR: f64 = 14.0;

/// An SVG of all scenarios on one linear scale.
pub(crate) fn draw(scenarios: &[Scenario]) -> String {
    let longest = scenarios.iter().map(|s| s.times.ours.percentile(95).max(s.times.floor.percentile(95)));
    let longest = longest.fold(0.1, f64::max);
    let step =
        [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0].into_iter().find(|step| longest / step <= 8.0);
    let step = step.unwrap_or(100.0);
    let scale = (WIDTH - MARGIN - TAIL) / longest;
    let bottom = TOP + ROW * scenarios.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"14\">resign → the next leader has its Leadership, beside a bare \
         delete → notification (ms)</text>\n",
        bottom + 34.0
    );
    let mut tick = 0.0;
    while tick <= longest {
        let x = MARGIN + tick * scale;
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{:.1}</text>",
            bottom + 18.0,
            tick
        );
        tick += step;
    }
    for (row, scenario) in scenarios.iter().enumerate() {
        let y = TOP + ROW * row as f64 + 8.0;
        let servers =
            if scenario.servers == 1 { "1 server".into() } else { format!("{} servers", scenario.servers) };
        let _ = writeln!(
            svg,
            "<text x=\"12\" y=\"{:.1}\">{servers}, {} contenders</text>",
            y + 20.0,
            scenario.contenders
        );
        bar(&mut svg, &scenario.times.floor, y, scale, "#9aa5b1", "floor");
        bar(&mut svg, &scenario.times.ours, y + BAR + 4.0, scale, "#2f6fb3", "hand-over");
    }
    svg.push_str("</svg>\n");
    svg
}

fn bar(svg: &mut String, sample: &Sample, y: f64, scale: f64, colour: &str, name: &str) {
    let at = |percent| MARGIN + sample.percentile(percent) * scale;
    let (from, median, to) = (at(5), at(50), at(95));
    let _ = writeln!(
        svg,
        "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
         <line x1=\"{median:.1}\" y1=\"{:.1}\" x2=\"{median:.1}\" y2=\"{:.1}\" stroke=\"black\" stroke-width=\"2\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#333\">{:.2} {name}</text>",
        to - from,
        y - 1.0,
        y + BAR + 1.0,
        to + 6.0,
        y + BAR - 3.0,
        sample.median(),
    );
}
