//! `seed`: one seed as a story.

use std::process::ExitCode;

use elector_sim::plan::Plan;
use elector_sim::{play, shrink, story};

/// `whole`: all faults, also if fewer are enough; `keep`: also as a test keeps it.
pub(super) fn tell(seed: u64, whole: bool, keep: bool) -> ExitCode {
    let plan = Plan::of(seed);
    let fails = play(&plan, false).violation.is_some();
    let told = if fails && !whole { shrink::shrink(&plan) } else { plan.clone() };
    let outcome = play(&told, true);
    print!("{}", story::tell(&told, &outcome));
    println!("hash {:016x}", outcome.record.hash());
    if told.faults.len() < plan.faults.len() {
        println!(
            "{} of {} faults are enough; all of them: seed {seed} --whole",
            told.faults.len(),
            plan.faults.len()
        );
    }
    if keep {
        print!("{}", story::keep(&told));
    }
    if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
