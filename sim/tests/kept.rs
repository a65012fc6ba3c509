//! Worlds that once went wrong, each with the faults that it took and what it showed. All of them must hold.
//!
//! To keep one: `elector-sim seed N --keep` prints the shortest plan that still goes wrong. What a seed stands for
//! changes with the simulator, so the faults are kept, and of the seed only who contends and every chance.

use elector_sim::plan::{Fault, Plan, Trouble};
use elector_sim::{play, story};

struct Kept {
    seed: u64,
    /// When, for how long, and what.
    faults: &'static [(u64, u64, Trouble)],
}

impl Kept {
    fn holds(&self) {
        let mut plan = Plan::of(self.seed);
        let fault = |(at, lasts, what): &(u64, u64, Trouble)| Fault { at: *at, lasts: *lasts, what: *what };
        plan.faults = self.faults.iter().map(fault).collect();
        let outcome = play(&plan, true);
        assert!(outcome.violation.is_none(), "{}", story::tell(&plan, &outcome));
    }
}

/// These went wrong while the simulator was made, when their numbers stood for other worlds. They cost little.
#[test]
fn the_first_seeds_that_went_wrong() {
    for seed in [3_787, 6_718, 23_961] {
        let plan = Plan::of(seed);
        let outcome = play(&plan, true);
        assert!(outcome.violation.is_none(), "{}", story::tell(&plan, &outcome));
    }
}

/// A create that was overtaken by its candidate's re-attachment makes a second znode, behind the first. Whoever
/// waits far behind finds it only when it comes near: a check that asked for less than that was wrong.
#[test]
fn a_second_znode_may_stay_behind_the_first_of_one_who_waits() {
    let faults = &[
        (3_341_364_436, 19_633_609, Trouble::DeleteAny),
        (5_151_462_241, 17_701_129_529, Trouble::CutServer { server: 1 }),
        (6_676_213_909, 12_547_263_102, Trouble::FreezeAndCrash),
        (17_526_224_806, 2_220_188, Trouble::CrashServer { server: 1 }),
        (27_705_908_577, 5_208_670, Trouble::CutServer { server: 2 }),
        (31_561_083_415, 1_700_861_552, Trouble::CrashServer { server: 2 }),
        (36_093_764_763, 3_170_503_149, Trouble::CutServer { server: 2 }),
        (38_915_283_588, 111_023_959, Trouble::BreakAtCreate { who: 1 }),
        (55_259_784_416, 2_668_150_835, Trouble::Vanish { who: 1 }),
        (56_065_262_720, 246_577_334, Trouble::CutServer { server: 0 }),
        (57_890_750_073, 1_107_666_913, Trouble::Flap { who: 1 }),
    ];
    Kept { seed: 5_123, faults }.holds();
}

/// With AttachedAtReceipt c2 would act for 160 ms longer than its znode is there: the answer to its re-attachment
/// came 467 ms late, and its server lost its peers right after the first proof.
#[test]
fn a_re_attachment_counts_from_its_sending() {
    let faults = &[
        (11_937_413_669, 1_702_310_335, Trouble::Lossy { who: 2 }),
        (21_058_193_393, 6_911_228_662, Trouble::LateAttachment { by: 467_137_574, answers: 1 }),
    ];
    Kept { seed: 43, faults }.holds();
}

/// With ReattachmentBelieved c2 would act for 896 ms longer than its znode is there: a quorum leader that had lost
/// its peers took the session back.
#[test]
fn a_re_attachment_alone_proves_nothing() {
    let faults = &[
        (6_604_700_525, 506_078, Trouble::DeleteLowest),
        (15_934_139_776, 11_109_864_218, Trouble::StrandAtQuorumLeader),
    ];
    Kept { seed: 7, faults }.holds();
}

/// With BlindRetry nobody leads: c0 forgets a create that was on its way as its connection broke.
#[test]
fn a_create_that_was_on_its_way_is_looked_for() {
    let faults = &[
        (45_296_993_695, 41_268_110, Trouble::BreakAtCreate { who: 0 }),
        (48_371_782_444, 20_259_914, Trouble::FlipBit),
        (56_670_250_066, 4_418_833, Trouble::Leave { who: 0 }),
    ];
    Kept { seed: 2, faults }.holds();
}
