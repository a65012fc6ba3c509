//! `peers`: what the same faults do to programs that go by other rules.

use std::ops::Range;
use std::process::ExitCode;

use elector_sim::plan::{Place, Plan, Rules};
use elector_sim::play;
use elector_sim::record::What;

pub(super) fn compare(seeds: Range<u64>) -> ExitCode {
    println!("| rules | runs | terms | overlaps | runs with one | seconds with two leaders |");
    println!("|---|---|---|---|---|---|");
    let mut ours_overlap = false;
    for (name, rules, single) in [
        ("ours, sequential znodes", Rules::Ours, false),
        ("ours, one znode", Rules::Ours, true),
        ("Curator's LeaderLatch", Rules::Curator, false),
        ("plain one-znode program", Rules::OneZnode, true),
    ] {
        let (mut terms, mut overlaps, mut hit, mut time) = (0, 0, 0, 0);
        for seed in seeds.clone() {
            let mut plan = Plan::of(seed);
            (plan.place, plan.single) = (Place::Ensemble, single);
            let outcome = play(&plan.by(rules), false);
            terms += u64::from(outcome.record.count(What::Leads));
            overlaps += u64::from(outcome.overlaps);
            hit += u64::from(outcome.overlaps > 0 || outcome.violation.is_some());
            time += outcome.overlap;
            ours_overlap |= rules == Rules::Ours && outcome.violation.is_some();
        }
        let runs = seeds.end - seeds.start;
        println!("| {name} | {runs} | {terms} | {overlaps} | {hit} | {:.1} |", time as f64 / 1e9);
    }
    if ours_overlap { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
