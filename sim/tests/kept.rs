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

/// Nobody led in time, by faults of the simulator alone: what a frozen application was to do waited for the planned end
/// of its pause, and three stalls at once gave each session back three times what it had lost.
#[test]
fn a_pause_ends_with_the_trouble_and_counts_once() {
    let faults = &[
        (31_021_470_264, 659_285_962, Trouble::DeleteAny),
        (49_736_555_436, 2_712_480, Trouble::CutQuorumLeader),
        (51_243_428_349, 91_456_077, Trouble::Jump { who: 2, by: 30_897_598_469 }),
        (53_585_921_024, 59_163_560_067, Trouble::Pause { who: 2 }),
    ];
    Kept { seed: 332_232, faults }.holds();
    let faults = &[
        (29_792_777_404, 15_964_474_662, Trouble::StallHost),
        (33_525_354_353, 24_484_879_547, Trouble::StallHost),
        (42_652_080_935, 14_919_106_392, Trouble::StallHost),
    ];
    Kept { seed: 346_070, faults }.holds();
}

/// Whoever leaves through a quorum leader that was deposed cannot take its znode away in time.
#[test]
fn a_deposed_leader_carries_nobodys_farewell() {
    let faults = &[
        (5_080_957_304, 658_532_842, Trouble::CutQuorumLeader),
        (13_194_158_007, 11_422_525_862, Trouble::Pause { who: 1 }),
        (18_284_104_260, 3_931_660_521, Trouble::CutServer { server: 1 }),
        (24_707_695_704, 3_002_423_439, Trouble::Slow { who: 3, by: 400_000_000 }),
        (26_345_438_953, 162_480_383, Trouble::DeleteLowest),
        (26_348_881_098, 271_192_316, Trouble::LateRequest { by: 1_879_089_384, answers: 1 }),
        (26_996_577_967, 16_802_271_251, Trouble::FreezeAndCrash),
        (29_450_698_190, 7_968_667_475, Trouble::CutDown { who: 1, server: 2 }),
        (31_498_409_477, 10_464_238_540, Trouble::Slow { who: 3, by: 2_700_000_000 }),
        (38_043_018_832, 55_206_842, Trouble::CutServer { server: 0 }),
        (38_420_896_450, 18_245_485_501, Trouble::LateAttachment { by: 498_660_073, answers: 4 }),
        (45_612_122_241, 2_610_924_616, Trouble::CrashServer { server: 2 }),
        (51_618_631_299, 107_843_786, Trouble::Leave { who: 2 }),
        (52_783_992_611, 3_922_175, Trouble::CutQuorumLeader),
    ];
    Kept { seed: 437_043, faults }.holds();
}

/// c2 would act for 4.9 s after its znode is gone: two quorum leaders had the same epoch, which no ensemble allows, and
/// nobody heard that the session was alive.
#[test]
fn no_two_quorum_leaders_share_an_epoch() {
    let faults = &[
        (4_005_884_143, 15_895_197_520, Trouble::CutOff { who: 0 }),
        (4_084_779_991, 14_746_206_200, Trouble::CutOffAndElect),
        (6_703_015_915, 119_775_645, Trouble::BreakAtCreate { who: 0 }),
        (7_705_357_474, 189_413_078, Trouble::LateAnswer { by: 1_730_192_160, answers: 2 }),
        (14_235_091_441, 8_380_793_565, Trouble::LateRequest { by: 598_166_518, answers: 1 }),
        (19_275_183_990, 1_303_823, Trouble::CrashServer { server: 0 }),
    ];
    Kept { seed: 844_596, faults }.holds();
}

/// c0 begins to lead between the death of its server and the next start, by answers that were on their way: what was
/// found on the disk while a bit of it was flipped passed for all that there was.
#[test]
fn what_is_tried_on_a_damaged_disk_is_no_news() {
    let faults = &[
        (13_830_489_532, 6_815_845_702, Trouble::CutOff { who: 0 }),
        (16_114_090_647, 311_745_229, Trouble::Leave { who: 0 }),
        (19_292_841_301, 5_451_609_306, Trouble::CutUp { who: 1, server: 0 }),
        (22_777_913_378, 288_645_253, Trouble::Jump { who: 0, by: 7_702_060_481 }),
        (23_639_092_059, 650_448, Trouble::FlipBit),
    ];
    Kept { seed: 872_524, faults }.holds();
}
