//! What must hold at every moment, and what becomes of it when it does not.
//!
//! Always: nobody's evidence of leading outlives its znode, except where somebody meddled with the znode; no
//! two hold evidence at one time with the same exception; tokens rise, and each is one at which a znode was made; who
//! begins to lead has evidence. In the end: whoever leaves in peace takes its znodes away.

use std::collections::{BTreeMap, BTreeSet};

use super::{Service, World};
use crate::MS;
use crate::plan::{Fault, Rules, Trouble};
use crate::program::ELECTION;
use crate::record::{Sight, What};
use crate::service::{Cause, Conn};

/// Where nothing else is wrong, a leader whose znode was taken stops within this.
const CALM_NOTICE: u64 = 500 * MS;
/// Nothing else is wrong if nothing was for so long before.
const CALM_BEFORE: u64 = 4_000 * MS;

/// After so long a client has heard that its session was taken back, or is gone.
const SETTLED: u64 = 100 * MS;

#[derive(Debug, Default)]
pub(crate) struct Check {
    pub(super) violation: Option<String>,
    /// Znodes that somebody else has done away with, and when.
    meddled: BTreeMap<i64, u64>,
    /// Znodes that are gone, by whatever cause.
    ended: BTreeSet<i64>,
    /// Znodes of those who leave in peace: it is they who take them away, and not time.
    leaving: BTreeSet<i64>,
    /// Terms that nobody was found to act for once.
    lapsed: BTreeSet<i64>,
    /// When the embedded server last started.
    restarted_at: u64,
    highest: i64,
    tokens: BTreeSet<i64>,
    led: BTreeSet<usize>,
    /// Pairs that believe at one time, by rules that allow it, and since when.
    both: Vec<(usize, usize, u64)>,
    overlap: u64,
    overlaps: u32,
}

impl Check {
    /// What was wrong, how many led, and for how long and how often two did.
    pub(super) fn into_verdict(self) -> (Option<String>, usize, (u64, u32)) {
        (self.violation, self.led.len(), (self.overlap, self.overlaps))
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
        // Whoever goes by a flag cannot act on it while it stands still; a lease is judged also then.
        if self.plan.rules != Rules::Ours && member.paused_until > self.now {
            return None;
        }
        member.clock.set(member.face.at(self.now));
        program.believes()
    }

    /// Looks at all who were told to lead: an end is an end, and nobody acts for long whose znode was taken.
    pub(super) fn sample(&mut self) {
        if self.plan.rules != Rules::Ours {
            return;
        }
        for who in 0..self.members.len() {
            let told = self.members[who].term;
            let Some(token) = self.belief(who) else {
                self.check.lapsed.extend(told);
                continue;
            };
            if told != Some(token) {
                self.violated(format!("c{who} would act for term {token}, which its application has left"));
            }
            if self.check.lapsed.contains(&token) {
                self.violated(format!("c{who} would act again for term {token}, which was over"));
            }
            if let Some(taken) = self.check.meddled.get(&token).copied() {
                let since = self.now - taken;
                let lease = self.plan.asked_ms.max(self.plan.timeout_ms) * MS * 102 / 100 + 300 * MS;
                if since > lease * 2 || (since > self.notice(who, taken) && self.is_calm(taken)) {
                    let ms = since / MS;
                    self.violated(format!("c{who} acts for term {token} {ms} ms after its znode was taken"));
                }
            }
        }
    }

    /// How soon a leader has to hear of what happened at `since`: whoever was hung up on has to connect first.
    fn notice(&self, who: usize, since: u64) -> u64 {
        let wires = &self.members[who].wires;
        let connected = |conn| self.wires.get(conn).is_some_and(|wire| wire.opened + CALM_BEFORE < since);
        if !wires.is_empty() && wires.iter().all(connected) { CALM_NOTICE } else { 3 * CALM_NOTICE }
    }

    /// Whether nothing has kept the contender from hearing of what happened at `since`.
    fn is_calm(&self, since: u64) -> bool {
        let from = since.saturating_sub(CALM_BEFORE);
        let meddles = |what: &Trouble| {
            matches!(
                what,
                Trouble::DeleteLowest
                    | Trouble::DeleteAny
                    | Trouble::Wipe
                    | Trouble::Scribble
                    | Trouble::ForgeClose { .. }
            )
        };
        let disturbs = |fault: &Fault| fault.at <= self.now && fault.at + fault.lasts >= from;
        let disturbed = self.plan.faults.iter().any(|fault| disturbs(fault) && !meddles(&fault.what));
        let served = match &self.service {
            Service::Ensemble(ensemble) => ensemble.leader().is_some(),
            Service::Lone(lone) => lone.is_listening() && self.check.restarted_at < from,
        };
        !disturbed && served
    }

    pub(super) fn leads(&mut self, who: usize, token: i64) {
        self.check.led.insert(who);
        let ours = self.plan.rules == Rules::Ours;
        if ours && self.belief(who) != Some(token) {
            self.violated(format!("c{who} was told to lead for term {token} without a live deadline"));
        }
        // What an operator deleted may be found out late; until then a lower one may begin.
        let meddled =
            self.check.meddled.contains_key(&token) || self.check.meddled.contains_key(&self.check.highest);
        if ours && token <= self.check.highest && !meddled {
            self.violated(format!("c{who} leads for term {token} after {}", self.check.highest));
        }
        if ours && !self.check.tokens.insert(token) {
            self.violated(format!("term {token} began twice"));
        }
        self.check.highest = self.check.highest.max(token);
        if ours {
            let there = |(_, czxid, _): &(String, i64, i64)| *czxid == token;
            if !self.check.ended.contains(&token) && !self.contenders_znodes().iter().any(there) {
                self.violated(format!("c{who} leads for term {token}, at which no znode was made"));
            }
            self.leads_by_its_first(who, token);
        }
        for other in 0..self.members.len() {
            let Some(theirs) = self.belief(other).filter(|_| other != who) else { continue };
            if self.check.meddled.contains_key(&theirs) || self.check.meddled.contains_key(&token) {
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

    /// Whoever begins to lead has no znode ahead of that one. One behind it may come late, of a create that was
    /// never answered; it is found and deleted later.
    fn leads_by_its_first(&mut self, who: usize, token: i64) {
        if let Some(other) = self.siblings(token).into_iter().find(|other| *other < token) {
            self.violated(format!("c{who} leads for term {token} and has a znode ahead of it, {other}"));
        }
    }

    /// The other znodes of the session that made this one.
    pub(super) fn siblings(&self, token: i64) -> Vec<i64> {
        let all = self.contenders_znodes();
        let owner = all.iter().find(|(_, czxid, _)| *czxid == token).map(|(_, _, owner)| *owner);
        let of_it = all.iter().filter(|(_, czxid, session)| Some(*session) == owner && *czxid != token);
        of_it.map(|(_, czxid, _)| *czxid).collect()
    }

    /// The quorum has done away with a znode.
    pub(super) fn znode_gone(&mut self, czxid: i64, cause: Cause) {
        self.check.ended.insert(czxid);
        if cause == Cause::Meddled {
            if (0..self.members.len()).any(|who| self.belief(who) == Some(czxid)) {
                self.record.saw(Sight::LeaderMeddled);
            }
            self.check.meddled.entry(czxid).or_insert(self.now);
            return;
        }
        if self.plan.rules != Rules::Ours {
            return;
        }
        if cause == Cause::Expired && self.check.leaving.contains(&czxid) {
            self.violated(format!("znode {czxid} was left to the end of its session"));
        }
        for who in 0..self.members.len() {
            if self.belief(who) == Some(czxid) && !self.check.meddled.contains_key(&czxid) {
                let left = self.members[who].program.as_ref().and_then(|program| program.remaining());
                let left = left.unwrap_or(0) as f64 / 1e6;
                self.violated(format!(
                    "c{who} would act for term {czxid} for {left:.0} ms after its znode is gone"
                ));
            }
        }
    }

    /// Everybody leaves, and nothing goes wrong any more: whoever has its session takes away what is its own. One
    /// that nobody has answered for so long that its session may be over leaves it to its end, and so may one who
    /// talks to a deposed quorum leader.
    pub(super) fn expects_nothing_to_expire(&mut self) {
        let session_of = |conn: &Conn| match &self.service {
            Service::Ensemble(ensemble) => ensemble.lively_session_of(*conn, self.now),
            Service::Lone(lone) => lone.session_of(*conn),
        };
        let settled =
            |conn: &&Conn| self.wires.get(conn).is_some_and(|wire| wire.opened + SETTLED <= self.now);
        let wires = self.members.iter().flat_map(|member| &member.wires).filter(settled);
        let sessions: BTreeSet<i64> = wires.filter_map(session_of).collect();
        let own = self.contenders_znodes().into_iter().filter(|(_, _, owner)| sessions.contains(owner));
        self.check.leaving = own.map(|(_, czxid, _)| czxid).collect();
    }

    /// A new process has the directory, and these znodes: some of their ends may not have lasted.
    pub(super) fn host_restarted(&mut self, there: &[i64]) {
        self.check.restarted_at = self.now;
        // Numbers that were lost with their records are given again.
        let last = match &self.service {
            Service::Lone(lone) => lone.last_zxid(),
            Service::Ensemble(_) => i64::MAX,
        };
        self.check.meddled.retain(|czxid, _| *czxid <= last && !there.contains(czxid));
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
