//! `run`: many seeds, on some threads; and whether they were worth it.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use elector_sim::plan::Plan;
use elector_sim::{Tally, play};

use super::seed;

/// Below so many seeds nothing is said of what should have been seen.
const ENOUGH: u64 = 1_000;

pub(super) fn run(seeds: Range<u64>, threads: u64) -> ExitCode {
    let began = Instant::now();
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let (tally, wrong) = (Mutex::new(Tally::default()), Mutex::new(None::<u64>));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = Tally::default();
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let plan = Plan::of(seed);
                    let outcome = play(&plan, false);
                    own.add(&plan, &outcome);
                    if outcome.violation.is_some() {
                        stop.store(true, Ordering::Relaxed);
                        let mut wrong = wrong.lock().expect("nobody panics with it");
                        *wrong = Some(wrong.map_or(seed, |other| other.min(seed)));
                    }
                }
                tally.lock().expect("nobody panics with it").join(&own);
            });
        }
    });
    let tally = tally.into_inner().expect("nobody panics with it");
    let took = began.elapsed().as_secs_f64();
    println!("{tally}");
    println!("{} runs in {took:.1} s, {:.0} a second", tally.runs, tally.runs as f64 / took);
    if let Some(wrong) = wrong.into_inner().expect("nobody panics with it") {
        println!("\nseed {wrong} goes wrong; again: cargo run --release -p elector-sim -- seed {wrong}\n");
        return seed::tell(wrong, false, false);
    }
    let unseen = tally.unseen();
    if tally.runs >= ENOUGH && !unseen.is_empty() {
        println!("never seen, so these runs prove little: {}", unseen.join(", "));
        return ExitCode::FAILURE;
    }
    println!("no violation in seeds {}..{}", seeds.start, seeds.end);
    ExitCode::SUCCESS
}
