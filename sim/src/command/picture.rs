//! `picture`: one seed as an SVG.

use std::process::ExitCode;

use elector_sim::plan::{Place, Plan, Rules};
use elector_sim::{picture, play};

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
