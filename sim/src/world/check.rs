//! What must hold at every moment, and what becomes of it when it does not.
//!
//! Always: nobody's evidence of leading outlives its znode, except where somebody meddled with the znode; no
//! two hold evidence at one time with the same exception; tokens rise; who begins to lead has evidence.

use std::collections::BTreeSet;

use super::{Outcome, Service, World};
use crate::MS;
use crate::plan::Rules;
use crate::program::ELECTION;
use crate::record::{Record, What};
use crate::service::Cause;

#[derive(Debug, Default)]
pub(crate) struct Check {
    pub(super) violation: Option<String>,
    /// Znodes that somebody else has done away with.
    meddled: BTreeSet<i64>,
    highest: i64,
    tokens: BTreeSet<i64>,
    led: BTreeSet<usize>,
    /// Pairs that believe at one time, by rules that allow it, and since when.
    both: Vec<(usize, usize, u64)>,
    overlap: u64,
    overlaps: u32,
}

impl Check {
    pub(super) fn into_outcome(self, record: Record, contenders: usize) -> Outcome {
        let Check { violation, overlap, overlaps, led, .. } = self;
        Outcome { violation, record, overlap, overlaps, led: led.len(), contenders }
    }

    /// It does not believe any more, or is gone.
    pub(super) fn stops(&mut self, now: u64, who: usize) {
        let ended = self.both.extract_if(.., |(a, b, _)| *a == who || *b == who);
        self.overlap += ended.map(|(_, _, since)| now - since).sum::<u64>();
    }
}

impl World {
    pub(super) fn violated(&mut self, what: String) {
        if self.check.violation.is_none() {
            self.record.note(self.now, None, What::Violation, 0, 0);
            self.check.violation = Some(what);
        }
    }

    /// The term that a contender would act for now.
    pub(super) fn belief(&self, who: usize) -> Option<i64> {
        let member = &self.members[who];
        let program = member.program.as_ref()?;
        member.term?;
        // Whoever goes by a flag cannot act on it while it stands still; a lease is judged also then.
        if self.plan.rules != Rules::Ours && member.paused_until > self.now {
            return None;
        }
        member.clock.set(member.face.at(self.now));
        program.believes()
    }

    pub(super) fn leads(&mut self, who: usize, token: i64) {
        self.check.led.insert(who);
        let ours = self.plan.rules == Rules::Ours;
        if ours && self.belief(who) != Some(token) {
            self.violated(format!("c{who} was told to lead for term {token} without a live deadline"));
        }
        // What an operator deleted may be found out late; until then a lower one may begin.
        let meddled = self.check.meddled.contains(&token) || self.check.meddled.contains(&self.check.highest);
        if ours && token <= self.check.highest && !meddled {
            self.violated(format!("c{who} leads for term {token} after {}", self.check.highest));
        }
        if ours && !self.check.tokens.insert(token) {
            self.violated(format!("term {token} began twice"));
        }
        self.check.highest = self.check.highest.max(token);
        for other in 0..self.members.len() {
            let Some(theirs) = self.belief(other).filter(|_| other != who) else { continue };
            if self.check.meddled.contains(&theirs) || self.check.meddled.contains(&token) {
                continue;
            }
            if ours {
                let ms = (self.now / MS) as f64 / 1_000.0;
                self.violated(format!(
                    "at {ms:.3} s c{who} leads for term {token} while c{other} would still act for term {theirs}"
                ));
            } else {
                self.check.overlaps += 1;
                self.check.both.push((who, other, self.now));
                self.record.note(self.now, Some(who), What::Violation, other as u64, 0);
            }
        }
    }

    /// The quorum has done away with a znode.
    pub(super) fn znode_gone(&mut self, czxid: i64, cause: Cause) {
        if cause == Cause::Meddled {
            self.check.meddled.insert(czxid);
            return;
        }
        if self.plan.rules != Rules::Ours {
            return;
        }
        for who in 0..self.members.len() {
            if self.belief(who) == Some(czxid) && !self.check.meddled.contains(&czxid) {
                let left = self.members[who].program.as_ref().and_then(|program| program.remaining());
                let left = left.unwrap_or(0) as f64 / 1e6;
                self.violated(format!(
                    "c{who} would act for term {czxid} for {left:.0} ms after its znode is gone"
                ));
            }
        }
    }

    /// Znodes of contenders that are there now.
    pub(super) fn znodes_of_contenders(&self) -> usize {
        match &self.service {
            Service::Ensemble(ensemble) => {
                let tree = ensemble.tree();
                let itself = tree.node(ELECTION).is_some_and(|node| node.owner != 0);
                tree.children(ELECTION).count() + usize::from(itself)
            }
            Service::Lone(lone) => lone.znodes().count(),
        }
    }
}
