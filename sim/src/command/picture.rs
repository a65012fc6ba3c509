//! `picture`: one seed, or the record of a real run, as an SVG.

use std::process::ExitCode;

use elector_sim::plan::{Place, Plan, Rules};
use elector_sim::{picture, play};

/// Draws the record that a test of overlap has kept in this file.
pub(super) fn draw_record(file: &str, out: &str) -> Result<ExitCode, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let (svg, overlaps) = picture::witness::draw(&text).map_err(|error| format!("{file}: {error}"))?;
    std::fs::write(out, svg).map_err(|error| format!("{out}: {error}"))?;
    println!("{out}: {overlaps} overlaps");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn draw(seed: u64, rules: Rules, out: &str) -> Result<ExitCode, String> {
    let mut plan = Plan::of(seed).by(rules);
    if rules != Rules::Ours {
        plan.place = Place::Ensemble;
    }
    let outcome = play(&plan, true);
    std::fs::write(out, picture::draw(&plan, &outcome)).map_err(|error| format!("{out}: {error}"))?;
    println!("{out}: {} overlaps", outcome.overlaps);
    Ok(ExitCode::SUCCESS)
}
