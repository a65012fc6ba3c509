//! `picture`: one seed, or the record of a real run, as an SVG.

use std::path::Path;
use std::process::ExitCode;

use elector_sim::plan::{Place, Plan, Rules};
use elector_sim::{picture, play};

/// Draws the record that a test of overlap has kept in this file.
pub(super) fn draw_record(file: &Path, out: &Path) -> Result<ExitCode, String> {
    let of_it = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| of_it(&error))?;
    let (svg, overlaps) = picture::witness::draw(&text).map_err(|error| of_it(&error))?;
    write(out, &svg, overlaps)
}

pub(super) fn draw(seed: u64, rules: Rules, out: &Path) -> Result<ExitCode, String> {
    let mut plan = Plan::of(seed).by(rules);
    if rules != Rules::Ours {
        plan.place = Place::Ensemble;
    }
    let outcome = play(&plan, true);
    write(out, &picture::draw(&plan, &outcome), outcome.overlaps as usize)
}

fn write(out: &Path, svg: &str, overlaps: usize) -> Result<ExitCode, String> {
    std::fs::write(out, svg).map_err(|error| format!("{}: {error}", out.display()))?;
    println!("{}: {overlaps} overlaps", out.display());
    Ok(ExitCode::SUCCESS)
}
