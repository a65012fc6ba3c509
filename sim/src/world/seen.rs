//! Whom a fault finds, and what was done to whom, for the counting: one that finds nobody to hurt is none.

use std::collections::BTreeMap;

use super::{Service, World};
use crate::plan::Trouble;
use crate::record::Sight;

/// Faults that found what they are there for, by their place in the plan, as they were planned.
pub(super) type Fired = BTreeMap<usize, Trouble>;

impl World {
    /// Counts a fault that is about to begin, and what it does to a leader.
    pub(super) fn counts_fault(&mut self, index: usize) {
        let fault = self.plan.faults[index];
        self.fired.entry(index).or_insert(fault.what);
        match fault.what {
            Trouble::Pause { who } if self.lease_of(who).is_some_and(|left| left < fault.lasts) => {
                self.record.saw(Sight::PausedPastLease);
            }
            Trouble::Jump { who, by } if self.lease_of(who).is_some_and(|left| left < by) => {
                self.record.saw(Sight::JumpedPastLease);
            }
            Trouble::Kill { who } | Trouble::Vanish { who } if self.lease_of(who).is_some() => {
                self.record.saw(Sight::LeaderDied);
            }
            _ => {}
        }
    }

    /// What is left of a leader's lease, in nanoseconds of its clock.
    fn lease_of(&self, who: usize) -> Option<u64> {
        self.belief(who)?;
        self.members[who].program.as_ref()?.remaining()
    }

    /// Whether what the fault hurts is there.
    pub(super) fn finds(&self, what: Trouble) -> bool {
        let lives = |who: usize| self.members[who].program.is_some();
        let ensemble = match &self.service {
            Service::Ensemble(ensemble) => Some(ensemble),
            Service::Lone(_) => None,
        };
        match what {
            Trouble::Pause { who }
            | Trouble::Jump { who, .. }
            | Trouble::Kill { who }
            | Trouble::Vanish { who }
            | Trouble::CutUp { who, .. }
            | Trouble::CutDown { who, .. }
            | Trouble::CutOff { who }
            | Trouble::Slow { who, .. }
            | Trouble::Lossy { who }
            | Trouble::Leave { who }
            | Trouble::Quit { who }
            | Trouble::StrandAtAnswer { who, .. }
            | Trouble::HoldUp { who }
            | Trouble::HoldDown { who }
            | Trouble::BreakAtCreate { who } => lives(who),
            Trouble::Drop { who } | Trouble::Flap { who } => !self.members[who].wires.is_empty(),
            Trouble::DeleteLowest | Trouble::DeleteAny | Trouble::Wipe | Trouble::Scribble => {
                self.znodes_of_contenders() > 0
            }
            Trouble::ForgeClose { who } => match ensemble {
                Some(ensemble) => {
                    self.members[who].wires.iter().any(|conn| ensemble.session_of(*conn).is_some())
                }
                None => self.members[who].term.is_some(),
            },
            Trouble::CutServer { server } | Trouble::CrashServer { server } | Trouble::Lag { server, .. } => {
                ensemble.is_some_and(|ensemble| ensemble.is_listening(server))
            }
            Trouble::CrashAll => ensemble.is_some(),
            Trouble::CutQuorumLeader => ensemble.is_some_and(|ensemble| ensemble.leader().is_some()),
            Trouble::Strand
            | Trouble::StrandLate
            | Trouble::StrandAtQuorumLeader
            | Trouble::FreezeAndCrash
            | Trouble::CutOffAndElect
            | Trouble::LateRequest { .. }
            | Trouble::LateAnswer { .. }
            | Trouble::LateAttachment { .. } => self.whoever_leads().is_some(),
            Trouble::CrashHost
            | Trouble::StallHost
            | Trouble::SlowDisk { .. }
            | Trouble::FailSync
            | Trouble::FlipBit => matches!(&self.service, Service::Lone(lone) if lone.is_listening()),
        }
    }
}
