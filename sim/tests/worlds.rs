//! Worlds that must hold, and the world itself: that it repeats, and that it is harsh.

use elector_sim::plan::{Place, Plan, Rules};
use elector_sim::{Tally, play, shrink, story};

fn holds(seed: u64) {
    let plan = Plan::of(seed);
    let outcome = play(&plan, false);
    if outcome.violation.is_some() {
        let short = shrink::shrink(&plan);
        panic!("{}", story::tell(&short, &play(&short, true)));
    }
}

#[test]
fn some_seeds() {
    (0..60).for_each(holds);
}

#[test]
fn a_seed_repeats_and_keeping_its_record_changes_nothing() {
    for seed in 0..12 {
        let plan = Plan::of(seed);
        let hashes = [false, true, false].map(|keep| play(&plan, keep).record.hash());
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "seed {seed}");
    }
}

#[test]
fn every_seed_has_ten_faults_or_more() {
    assert!((0..1_000).all(|seed| Plan::of(seed).faults.len() >= 10));
}

#[test]
fn everything_that_should_be_seen_is_seen() {
    let mut tally = Tally::default();
    for seed in 0..400 {
        let plan = Plan::of(seed);
        tally.add(&plan, &play(&plan, false));
    }
    assert_eq!(tally.unseen(), Vec::<String>::new());
}

/// Where rules that are known to be unsafe show nothing, ours have proved nothing.
#[test]
fn the_plain_one_znode_program_has_two_leaders_here() {
    let overlaps = (0..60).map(|seed| {
        let mut plan = Plan::of(seed).by(Rules::OneZnode);
        plan.place = Place::Ensemble;
        play(&plan, false).overlaps
    });
    assert!(overlaps.sum::<u32>() > 0);
}
