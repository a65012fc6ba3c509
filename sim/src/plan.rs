//! What a seed stands for: who contends, on what, by which rules, and everything that goes wrong.
//!
//! Invariant: a plan says all that its world needs, so that a part of its faults, played again, is a shorter
//! story about the same contenders.

use crate::random::Random;
use crate::{MS, SECOND};

/// Faults come within the first so many nanoseconds.
pub const TROUBLE: u64 = 60 * SECOND;

/// The stream that draws whether the session timeout is a long one, and how long that is.
const LONG: u64 = 6;
const LONG_MS: u64 = 20_000;

/// Faults of a plan: so many, and less than so many more. A few may never find anybody to hurt; ten must.
const FEWEST: u64 = 20;
const MORE: u64 = 5;
/// For longer nobody is dead and no server without its peers: other faults take somebody whom they find.
const LONGEST: u64 = 12 * SECOND;

/// By which rules the contenders decide that they lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Ours: the whole library.
    Ours,
    /// Those of Curator's LeaderLatch: leads while connected, watches the one before it only.
    Curator,
    /// Those of the plain program with one znode: leads until it is told that the znode is gone.
    OneZnode,
}

/// What they contend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A model of three servers.
    Ensemble,
    /// The embedded server's own state and journal.
    Lone,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "`who` is a contender, `server` a server, `by` a time in nanoseconds")]
pub enum Trouble {
    /// The contender's process stands still.
    Pause { who: usize },
    /// Its clock is moved on, as by a suspend that nobody else noticed.
    Jump { who: usize, by: u64 },
    /// Its process is killed; the system closes its connections.
    Kill { who: usize },
    /// Its host goes without a word.
    Vanish { who: usize },
    /// Its packets do not reach the server.
    CutUp { who: usize, server: usize },
    /// The server's packets do not reach it.
    CutDown { who: usize, server: usize },
    /// It reaches no server at all.
    CutOff { who: usize },
    /// All its connections break.
    Drop { who: usize },
    /// Its connections break again and again.
    Flap { who: usize },
    /// Every packet takes up to so much longer.
    Slow { who: usize, by: u64 },
    /// A third of its packets must be sent again.
    Lossy { who: usize },
    /// It gives its turn, or its place, away.
    Leave { who: usize },
    /// It leaves, ends in good order, and starts again soon.
    Quit { who: usize },
    /// An operator deletes the lowest znode.
    DeleteLowest,
    /// An operator deletes some znode.
    DeleteAny,
    /// An operator deletes the election and all in it.
    Wipe,
    /// Somebody writes into the lowest znode.
    Scribble,
    /// Somebody closes its session.
    ForgeClose { who: usize },
    /// A server cannot reach its peers.
    CutServer { server: usize },
    /// The quorum leader cannot reach its peers.
    CutQuorumLeader,
    /// A server dies.
    CrashServer { server: usize },
    /// All servers die.
    CrashAll,
    /// A follower applies everything later.
    Lag { server: usize, by: u64 },
    /// Whoever leads reaches only the server that carries it, and that one loses its peers.
    Strand,
    /// The packets of whoever leads take long, and then it is stranded.
    StrandLate,
    /// Whoever leads reaches only the quorum leader, which loses its peers.
    StrandAtQuorumLeader,
    /// Whoever leads stands still, and the server that carries it dies.
    FreezeAndCrash,
    /// Whoever leads is cut off from all servers, and the quorum leader dies.
    CutOffAndElect,
    /// A packet of whoever leads is held up for so long, and it is stranded right after one of the next answers.
    LateRequest { by: u64, answers: u32 },
    /// The same, with a packet to whoever leads.
    LateAnswer { by: u64, answers: u32 },
    /// The same, with the answer to a re-attachment.
    LateAttachment { by: u64, answers: u32 },
    /// It is stranded as soon as it has been given so many answers.
    StrandAtAnswer { who: usize, answers: u32 },
    /// What it sends is held up.
    HoldUp { who: usize },
    /// What it is sent is held up.
    HoldDown { who: usize },
    /// Its connection breaks with its next create on the way, which comes late or never.
    BreakAtCreate { who: usize },
    /// The embedded server's process dies, with what it had not synced.
    CrashHost,
    /// The embedded server's process stands still.
    StallHost,
    /// Syncs take longer.
    SlowDisk { by: u64 },
    /// A sync fails.
    FailSync,
    /// The embedded server dies, and a bit on its disk flips.
    FlipBit,
}

/// One fault of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When it begins, in nanoseconds.
    pub at: u64,
    /// How long it lasts, where that means anything.
    pub lasts: u64,
    /// What it is.
    pub what: Trouble,
}

/// A world to be played.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "times are in milliseconds; see Builder for what they are")]
pub struct Plan {
    pub seed: u64,
    pub rules: Rules,
    pub place: Place,
    pub single: bool,
    pub contenders: usize,
    pub timeout_ms: u64,
    /// What contenders ask for; the servers grant no more than `timeout_ms`.
    pub asked_ms: u64,
    pub tick_ms: u64,
    pub tick_is_known: bool,
    pub early_ms: u64,
    /// Whether a leader stops when it is disconnected.
    pub stops: bool,
    /// The least timeout that each server grants.
    pub least_ms: [i32; 3],
    pub faults: Vec<Fault>,
}

impl Plan {
    /// What this seed stands for.
    pub fn of(seed: u64) -> Plan {
        let random = &mut Random::new(seed, 1);
        let place = if random.one_in(4) { Place::Lone } else { Place::Ensemble };
        let single = random.one_in(4);
        let contenders = random.pick(&[2, 2, 3, 3, 3, 4, 4, 5]);
        let usual_ms = random.pick(&[4_000, 6_000, 8_000, 10_000]);
        // So long that one percent of it is more than the rest of the margin.
        let timeout_ms = if Random::new(seed, LONG).one_in(16) { LONG_MS } else { usual_ms };
        let early_ms = if timeout_ms < 6_000 || random.one_in(2) { 0 } else { 500 + timeout_ms / 5 };
        // As long as half the timeout, which is the most that is promised for.
        let tick_ms =
            random.pick(&[timeout_ms / 2, timeout_ms / 2, timeout_ms / 3, 1_000]).min(timeout_ms / 2);
        let least_ms = if random.one_in(4) {
            [2, 2, 4].map(|ticks| (ticks * tick_ms) as i32)
        } else {
            [2 * tick_ms as i32; 3]
        };
        let mut plan = Plan {
            seed,
            rules: Rules::Ours,
            place,
            single,
            contenders,
            timeout_ms,
            asked_ms: if random.one_in(8) { timeout_ms * 3 / 2 } else { timeout_ms },
            tick_ms,
            tick_is_known: random.one_in(3),
            early_ms,
            stops: random.one_in(6),
            least_ms,
            faults: Vec::new(),
        };
        let count = FEWEST + random.below(MORE);
        plan.faults = (0..count).map(|_| plan.fault(random)).collect();
        plan.faults.sort_by_key(|fault| fault.at);
        plan
    }

    /// The same contenders and troubles for those who go by other rules, which know ensembles only.
    pub fn by(mut self, rules: Rules) -> Plan {
        self.rules = rules;
        self.single = rules == Rules::OneZnode || (rules == Rules::Ours && self.single);
        self
    }

    fn fault(&self, random: &mut Random) -> Fault {
        if self.place == Place::Ensemble && random.one_in(6) {
            return self.misfortune(random);
        }
        let what =
            if random.one_in(3) { self.trouble_of_servers(random) } else { self.trouble_of_one(random) };
        let at = random.ms(2_000, TROUBLE / MS - 2_000);
        // Short ones, ones near the timeout, and long ones.
        let timeout = self.timeout_ms;
        let lasts = match random.below(4) {
            0 => random.ms(1, 300),
            1 => random.ms(300, timeout / 2),
            2 => random.ms(timeout / 2, timeout * 3 / 2),
            _ => random.ms(timeout, timeout * 3),
        };
        let takes_all = matches!(
            what,
            Trouble::Kill { .. }
                | Trouble::Vanish { .. }
                | Trouble::CutServer { .. }
                | Trouble::CutQuorumLeader
                | Trouble::CrashServer { .. }
                | Trouble::CrashAll
        );
        Fault { at, lasts: if takes_all { lasts.min(LONGEST) } else { lasts }, what }
    }

    /// Two things that go wrong together, to the one whom it hurts most, for as long as it takes.
    fn misfortune(&self, random: &mut Random) -> Fault {
        // As often as all others together.
        let what = if random.one_in(2) { self.late(random) } else { self.at_once(random) };
        let at = random.ms(3_000, TROUBLE / MS - 2_000);
        Fault { at, lasts: random.ms(self.timeout_ms, self.timeout_ms * 5 / 2), what }
    }

    fn at_once(&self, random: &mut Random) -> Trouble {
        random.pick(&[
            Trouble::Strand,
            Trouble::StrandLate,
            Trouble::StrandAtQuorumLeader,
            Trouble::FreezeAndCrash,
            Trouble::CutOffAndElect,
        ])
    }

    /// Something comes late, as late as a leader bears, and then comes the worst moment to be cut off.
    fn late(&self, random: &mut Random) -> Trouble {
        let answers = random.pick(&[1, 1, 1, 2, 2, 3, 4, 5]);
        let by = random.ms(self.timeout_ms / 20, (self.timeout_ms * 9 / 25).min(2_700));
        match random.below(3) {
            0 => Trouble::LateRequest { by, answers },
            1 => Trouble::LateAnswer { by, answers },
            _ => Trouble::LateAttachment { by: by.min(SECOND), answers },
        }
    }

    fn trouble_of_one(&self, random: &mut Random) -> Trouble {
        let who = random.below(self.contenders as u64) as usize;
        let server = random.below(3) as usize;
        match random.below(22) {
            0..=2 => Trouble::Pause { who },
            3 => Trouble::Jump { who, by: random.ms(10, self.timeout_ms * 2) },
            4 => Trouble::Kill { who },
            5 => Trouble::Vanish { who },
            6 => Trouble::CutUp { who, server },
            7 => Trouble::CutDown { who, server },
            8 | 9 => Trouble::CutOff { who },
            10 | 11 => Trouble::Drop { who },
            12 => Trouble::Flap { who },
            13 | 14 => Trouble::Slow { who, by: random.pick(&[5, 50, 400, 2_700]) * MS },
            15 => Trouble::Lossy { who },
            16 | 17 => Trouble::Leave { who },
            18 => Trouble::ForgeClose { who },
            19 => Trouble::BreakAtCreate { who },
            20 => Trouble::Quit { who },
            _ => random.pick(&[Trouble::DeleteLowest, Trouble::DeleteAny, Trouble::Wipe, Trouble::Scribble]),
        }
    }

    fn trouble_of_servers(&self, random: &mut Random) -> Trouble {
        let server = random.below(3) as usize;
        if self.place == Place::Lone {
            return match random.below(8) {
                0..=3 => Trouble::CrashHost,
                4 => Trouble::StallHost,
                5 => Trouble::SlowDisk { by: random.pick(&[20, 300, 3_000]) * MS },
                6 => Trouble::FailSync,
                _ => Trouble::FlipBit,
            };
        }
        match random.below(8) {
            0..=2 => Trouble::CutServer { server },
            3 | 4 => Trouble::CutQuorumLeader,
            5 => Trouble::CrashServer { server },
            6 => Trouble::Lag { server, by: random.pick(&[50, 500, 2_000]) * MS },
            _ => random.pick(&[Trouble::CrashServer { server }, Trouble::CrashAll]),
        }
    }
}
