//! What many runs have seen, and what they should have.

use std::collections::BTreeMap;
use std::fmt;

use crate::plan::{Place, Plan, Trouble};
use crate::record::{RoleKind, What};
use crate::world::Outcome;

/// Sums over runs.
#[derive(Debug, Default)]
pub struct Tally {
    /// Runs played.
    pub runs: u64,
    faults: u64,
    seen: BTreeMap<&'static str, u64>,
    fired: BTreeMap<&'static str, u64>,
    all_led: u64,
    hash: u64,
}

/// What every large number of runs must show.
const STATES: [(&str, What); 12] = [
    ("terms", What::Leads),
    ("stopped in time", What::ToldToStop),
    ("terms ended", What::Ends),
    ("sessions over", What::SessionOver),
    ("znodes made", What::Enrolled),
    ("znodes gone", What::Gone),
    ("connections", What::Connects),
    ("connections broken with a create on the way", What::BrokenAtCreate),
    ("leaders stranded right after an answer", What::Stranded),
    ("quorum leaders deposed unawares", What::Deposed),
    ("quorum leaders elected", What::QuorumLeader),
    ("servers restarted from disk", What::HostStarted),
];

/// Every state that a candidate shows.
const ROLES: [(&str, RoleKind); 6] = [
    ("times idle again", RoleKind::Idle),
    ("times enrolling", RoleKind::Enrolling),
    ("times waiting", RoleKind::Waiting),
    ("times leading", RoleKind::Leading),
    ("times leading without a connection", RoleKind::Suspended),
    ("times stopping", RoleKind::Stopping),
];

impl Tally {
    /// Counts one run in.
    pub fn add(&mut self, plan: &Plan, outcome: &Outcome) {
        self.runs += 1;
        // In any order.
        self.hash = self.hash.wrapping_add(outcome.record.hash());
        self.faults += u64::from(outcome.record.count(What::FaultBegins));
        for (name, what) in STATES {
            *self.seen.entry(name).or_default() += u64::from(outcome.record.count(what));
        }
        for (name, role) in ROLES {
            *self.seen.entry(name).or_default() += u64::from(outcome.record.count_role(role as u64));
        }
        for fault in &outcome.faults {
            *self.fired.entry(kind(&fault.what)).or_default() += 1;
        }
        self.all_led += u64::from(outcome.led == outcome.contenders);
        let place =
            if plan.place == Place::Lone { "runs on the embedded server" } else { "runs on an ensemble" };
        *self.seen.entry(place).or_default() += 1;
        let layout = if plan.single { "runs with one znode" } else { "runs with sequential znodes" };
        *self.seen.entry(layout).or_default() += 1;
    }

    /// Counts another's runs in.
    pub fn join(&mut self, other: &Tally) {
        self.runs += other.runs;
        self.hash = self.hash.wrapping_add(other.hash);
        self.faults += other.faults;
        self.all_led += other.all_led;
        for (name, count) in &other.seen {
            *self.seen.entry(name).or_default() += count;
        }
        for (name, count) in &other.fired {
            *self.fired.entry(name).or_default() += count;
        }
    }

    /// What should have been seen in a large number of runs, and was not.
    pub fn unseen(&self) -> Vec<String> {
        let states = STATES.iter().map(|(name, _)| (*name, &self.seen));
        let roles = ROLES.iter().map(|(name, _)| (*name, &self.seen));
        let faults = KINDS.iter().map(|name| (*name, &self.fired));
        let missing = states
            .chain(roles)
            .chain(faults)
            .filter(|(name, of)| of.get(name).is_none_or(|count| *count == 0));
        let mut unseen: Vec<String> = missing.map(|(name, _)| name.to_owned()).collect();
        if self.all_led == 0 {
            unseen.push("a run in which every contender leads".to_owned());
        }
        unseen
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = |count: u64| count as f64 / self.runs.max(1) as f64;
        writeln!(f, "faults a run: {:.1}; every contender led in {} runs", each(self.faults), self.all_led)?;
        for (name, count) in &self.seen {
            writeln!(f, "{name}: {count}")?;
        }
        let fired = self.fired.iter().map(|(name, count)| format!("{name} {count}"));
        writeln!(f, "faults: {}", fired.collect::<Vec<_>>().join(", "))?;
        write!(f, "hash of all: {:016x}", self.hash)
    }
}

/// Every kind of fault, those included that only misfortunes become.
const KINDS: [&str; 39] = [
    "Pause",
    "Jump",
    "Kill",
    "Vanish",
    "CutUp",
    "CutDown",
    "CutOff",
    "Drop",
    "Flap",
    "Slow",
    "Lossy",
    "Leave",
    "DeleteLowest",
    "DeleteAny",
    "Wipe",
    "Scribble",
    "ForgeClose",
    "CutServer",
    "CutQuorumLeader",
    "CrashServer",
    "CrashAll",
    "Lag",
    "CrashHost",
    "StallHost",
    "SlowDisk",
    "FailSync",
    "FlipBit",
    "Strand",
    "StrandLate",
    "StrandAtQuorumLeader",
    "FreezeAndCrash",
    "CutOffAndElect",
    "LateRequest",
    "LateAnswer",
    "LateAttachment",
    "StrandAtAnswer",
    "HoldUp",
    "HoldDown",
    "BreakAtCreate",
];

/// The variant's name.
fn kind(what: &Trouble) -> &'static str {
    let whole = format!("{what:?}");
    let name = whole.split(' ').next().unwrap_or_default();
    KINDS.into_iter().find(|kind| *kind == name).expect("every kind is listed")
}
