//! A few candidates and one model ensemble, in random histories that a seed plays again.
//!
//! `ensemble` is the tree with its sessions and watches; `peer` and `turn` are what drives one
//! candidate and the application above it; `world` is time and network, `trouble` the faults.
//! After every happening `check` looks whether all still holds what must always hold.

mod check;
mod ensemble;
mod peer;
mod trouble;
mod turn;
mod world;

use elector_core::Layout;
use proptest::prelude::*;

use world::World;

/// The faults last so long, in milliseconds of true time.
const TROUBLE: u64 = 90_000;
/// Then everything must have come to rest within this.
const REST: u64 = 60_000;

proptest! {
    // A seed does not shrink: the failing one is printed as it is.
    #![proptest_config(ProptestConfig { max_shrink_iters: 0, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_queue_in_random_histories(seed: u64) {
        history(Layout::Latch, seed);
    }

    #[test]
    fn a_single_znode_in_random_histories(seed: u64) {
        history(Layout::Single, seed);
    }
}

/// With so many, most do not know all of those ahead of them.
#[test]
fn a_long_queue_in_random_histories() {
    for seed in 0..8 {
        play(World::of(Layout::Latch, seed, 14));
    }
}

#[test]
fn in_a_calm_world_nobody_is_disturbed() {
    for (seed, layout) in (0..12).flat_map(|seed| [(seed, Layout::Latch), (seed, Layout::Single)]) {
        let mut world = World::new(layout, seed).calm();
        world.run(600_000);
        world.check_that_one_leads();
        assert_eq!((world.terms(), world.lost), (1, 0), "seed {seed}, {layout}");
    }
}

fn history(layout: Layout, seed: u64) {
    play(World::new(layout, seed));
}

fn play(mut world: World) {
    world.run(TROUBLE);
    world.end_of_trouble();
    world.run(REST);
    world.check_that_one_leads();
    world.everybody_withdraws();
    world.run(REST);
    world.check_that_nothing_is_left();
}

/// The histories would prove little if nothing happened in them.
#[test]
fn histories_are_eventful() {
    let (mut terms, mut lost, mut ambiguous) = (0, 0, 0);
    for seed in 0..20 {
        let mut world = World::new(Layout::Latch, seed);
        world.run(TROUBLE);
        terms += world.terms();
        lost += world.lost;
        ambiguous += world.lost_creates;
    }
    assert!(terms > 60 && lost > 20 && ambiguous > 10, "{terms} terms, {lost} lost, {ambiguous} creates");
}

#[test]
fn a_history_is_played_again_by_its_seed() {
    let play = || {
        let mut world = World::new(Layout::Latch, 7);
        world.run(TROUBLE);
        world.trace()
    };
    assert!(play() == play());
}
