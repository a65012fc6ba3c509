//! What many runs have seen, and what they should have.

use std::collections::BTreeMap;
use std::fmt;

use crate::plan::{Place, Plan, Trouble};
use crate::record::{RoleKind, Sight, What};
use crate::world::Outcome;

/// Faults that must have found somebody to hurt in each run.
const FAULTS: usize = 10;

/// Sums over runs.
#[derive(Debug, Default)]
pub struct Tally {
    /// Runs played.
    pub runs: u64,
    faults: u64,
    /// Of the run that had the fewest.
    fewest: Option<usize>,
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
const ROLES: [(&str, RoleKind); 7] = [
    ("times idle again", RoleKind::Idle),
    ("times enrolling", RoleKind::Enrolling),
    ("times waiting", RoleKind::Waiting),
    ("times leading", RoleKind::Leading),
    ("times leading without a connection", RoleKind::Suspended),
    ("times stopping", RoleKind::Stopping),
    ("times closed", RoleKind::Closed),
];

impl Tally {
    /// Counts one run in.
    pub fn add(&mut self, plan: &Plan, outcome: &Outcome) {
        self.runs += 1;
        // In any order.
        self.hash = self.hash.wrapping_add(outcome.record.hash());
        self.faults += outcome.fired.len() as u64;
        self.fewest = fewest(self.fewest, Some(outcome.fired.len()));
        for (name, what) in STATES {
            *self.seen.entry(name).or_default() += u64::from(outcome.record.count(what));
        }
        for (name, role) in ROLES {
            *self.seen.entry(name).or_default() += u64::from(outcome.record.count_role(role as u64));
        }
        for (sight, name) in Sight::ALL {
            *self.seen.entry(name).or_default() += u64::from(outcome.record.sights(sight));
        }
        for what in &outcome.fired {
            *self.fired.entry(kind(what)).or_default() += 1;
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
        self.fewest = fewest(self.fewest, other.fewest);
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
        let sights = Sight::ALL.iter().map(|(_, name)| (*name, &self.seen));
        let missing = states
            .chain(roles)
            .chain(sights)
            .chain(faults)
            .filter(|(name, of)| of.get(name).is_none_or(|count| *count == 0));
        let mut unseen: Vec<String> = missing.map(|(name, _)| name.to_owned()).collect();
        if self.all_led == 0 {
            unseen.push("a run in which every contender leads".to_owned());
        }
        if self.fewest.is_some_and(|fewest| fewest < FAULTS) {
            unseen.push(format!("{FAULTS} faults in each run"));
        }
        unseen
    }
}

fn fewest(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    one.into_iter().chain(other).min()
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = |count: u64| count as f64 / self.runs.max(1) as f64;
        let fewest = self.fewest.unwrap_or(0);
        writeln!(
            f,
            "faults a run: {:.1}, at least {fewest}; every contender led in {} runs",
            each(self.faults),
            self.all_led
        )?;
        for (name, count) in &self.seen {
            writeln!(f, "{name}: {count}")?;
        }
        let fired = self.fired.iter().map(|(name, count)| format!("{name} {count}"));
        writeln!(f, "faults: {}", fired.collect::<Vec<_>>().join(", "))?;
        write!(f, "hash of all: {:016x}", self.hash)
    }
}

/// Every kind of fault, those included that only misfortunes become.
const KINDS: [&str; 40] = [
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
    "Quit",
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
