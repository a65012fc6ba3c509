//! Our znode in the queue: what we know of it and of those ahead, and what that knowledge lacks.
//!
//! Invariant: `ahead` holds the nearest of those that were lower in the newest list that showed our
//! znode, less those that are known gone; `complete` says that there were no others.

use std::collections::BTreeSet;
use std::time::Duration;

use elector_teeth::{Tooth, bites};

use crate::contender::Contender;
use crate::message::{Request, RequestId};
use crate::moment::Moment;
use crate::pulse::jittered;
use crate::tenure::{Goal, Tenure, Term};

/// So many of the nearest lower contenders are remembered, and all of them are watched. To remember more
/// would spare a list where one goes in the middle of the queue, but at its head, where they go one after
/// the other, those remembered would be gone long ago, and found so one request after the other.
pub(super) const WATCHED: usize = 2;
/// Audits come once in this time to twice it.
const AUDIT_EVERY: Duration = Duration::from_secs(300);
/// The same, once a create of this session was never answered: it may still arrive.
const AUDIT_SOON: Duration = Duration::from_secs(5);

/// Our znode and what we know of those ahead.
#[derive(Debug, Clone, Hash)]
pub(super) struct Own {
    pub(super) name: String,
    pub(super) sequence: u32,
    pub(super) czxid: i64,
    /// At most [`WATCHED`] lower contenders, the nearest first.
    pub(super) ahead: Vec<Contender>,
    /// There were no lower ones besides `ahead`.
    pub(super) complete: bool,
    /// The connection on which our znode was shown to exist, by a quorum.
    pub(super) verified: Option<u64>,
    pub(super) watch: Watch,
    /// The znodes ahead on which a watch is set or under way.
    pub(super) watching: BTreeSet<String>,
    /// Our own duplicates, to be deleted before anything else counts.
    pub(super) extras: BTreeSet<String>,
    pub(super) list_wanted: bool,
    /// Nobody else is expected in the list.
    expects_nobody: bool,
    pub(super) delete_sent: bool,
    pub(super) audit_at: Option<Moment>,
    pub(super) audit_every: Duration,
    /// Lower contenders and all contenders, at the last look.
    pub(super) position: Option<(usize, usize)>,
}

/// The watch on our own znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Watch {
    Unset,
    Asked(RequestId),
    Set,
    /// The connection is gone; the session sets it again on the next one.
    Lapsed,
}

impl Own {
    pub(super) fn new(
        name: String,
        sequence: u32,
        czxid: i64,
        verified: Option<u64>,
        expects_nobody: bool,
    ) -> Own {
        Own {
            name,
            sequence,
            czxid,
            ahead: Vec::new(),
            complete: false,
            verified,
            watch: Watch::Unset,
            watching: BTreeSet::new(),
            extras: BTreeSet::new(),
            list_wanted: true,
            expects_nobody,
            delete_sent: false,
            audit_at: None,
            audit_every: AUDIT_EVERY,
            position: None,
        }
    }

    pub(super) fn is_near(&self) -> bool {
        self.complete && self.ahead.len() <= 1
    }

    /// Believes a list that shows our znode.
    pub(super) fn see(&mut self, contenders: &[Contender]) {
        let lower = || {
            contenders.iter().rev().filter(|c| c.sequence < self.sequence && !self.extras.contains(&c.name))
        };
        let count = lower().count();
        let ahead = lower().take(WATCHED).cloned().collect();
        self.ahead = ahead;
        self.complete = count <= WATCHED || bites(Tooth::CutListIsComplete);
        self.position = Some((count, contenders.len() - self.extras.len()));
        self.list_wanted = false;
        let Own { watching, ahead, .. } = self;
        watching.retain(|name| ahead.iter().any(|c| c.name == *name));
    }

    pub(super) fn drop_gone(&mut self, name: &str) {
        let before = self.ahead.len();
        self.ahead.retain(|c| c.name != name);
        if self.ahead.len() == before {
            return;
        }
        if let Some((ahead, all)) = &mut self.position {
            *ahead = ahead.saturating_sub(1);
            *all = all.saturating_sub(1);
        }
        if !self.complete && !bites(Tooth::NoListWhenCut) {
            self.list_wanted = true;
        }
    }

    /// Contending or leading; otherwise we keep still until we are told to leave.
    pub(super) fn may_act(&self, tenure: &Tenure) -> bool {
        tenure.goal == Goal::Contend
            && matches!(tenure.term, Term::None | Term::Leading(_))
            && !self.delete_sent
    }

    pub(super) fn pursue(&mut self, tenure: &mut Tenure, connection: u64, now: Moment) {
        if !self.may_act(tenure) {
            return;
        }
        for name in &self.extras {
            if !tenure
                .under_way(|request| matches!(request, Request::Delete { name: other } if other == name))
            {
                tenure.ask(Request::Delete { name: name.clone() });
            }
        }
        if self.list_wanted {
            if !tenure.under_way(|request| matches!(request, Request::List { audit: false })) {
                tenure.ask(Request::List { audit: false });
            }
            // Who expects to be alone need not wait for the list to watch what it alone will watch; everybody
            // else watches all in one frame.
            if self.expects_nobody && self.ahead.is_empty() {
                self.watch(tenure);
            }
            return;
        }
        self.watch(tenure);
        if self.is_near() {
            tenure.probe_if_due(&self.name, now);
        }
        self.audit(tenure, connection, now);
    }

    pub(super) fn read_ahead(&self, tenure: &mut Tenure) {
        let reading = tenure.under_way(|request| matches!(request, Request::Read { .. }));
        if let Some(nearest) = self.ahead.first()
            && self.may_act(tenure)
            && !self.list_wanted
            && !reading
        {
            tenure.ask(Request::Read { name: nearest.name.clone(), watch: false });
        }
    }

    /// Watches our own znode and the two nearest ahead, in one frame that also tells of those that
    /// went since the list.
    fn watch(&mut self, tenure: &mut Tenure) {
        let Own { ahead, watching, .. } = self;
        let mut unwatched = |c: &Contender| watching.insert(c.name.clone()).then(|| c.name.clone());
        let nearest = ahead.first().and_then(&mut unwatched);
        let mut others: Vec<String> = ahead.iter().skip(1).filter_map(unwatched).collect();
        if self.watch == Watch::Unset && bites(Tooth::OwnWatchMissing) {
            self.watch = Watch::Set;
        }
        let own = self.watch == Watch::Unset;
        if own {
            others.push(self.name.clone());
        }
        if nearest.is_some() || !others.is_empty() {
            let id = tenure.ask(Request::Watch { nearest, others });
            if own {
                self.watch = Watch::Asked(id);
            }
        }
    }

    /// The next audit, sooner if a create that was never answered may still arrive.
    pub(super) fn plan_audit(&mut self, tenure: &mut Tenure, now: Moment, ambiguous: bool) {
        self.audit_every = if ambiguous { AUDIT_SOON } else { AUDIT_EVERY };
        self.audit_at = Some(now + jittered(self.audit_every, tenure.entropy.draw()));
    }

    fn audit(&mut self, tenure: &mut Tenure, connection: u64, now: Moment) {
        let verified = self.verified == Some(connection) || bites(Tooth::StaleListBelieved);
        let due = self.audit_at.is_some_and(|at| at <= now) && verified;
        if due && !tenure.under_way(|request| matches!(request, Request::List { .. })) {
            // Not asked again if its answer is lost: the next one will do.
            self.audit_at = Some(now + jittered(self.audit_every, tenure.entropy.draw()));
            tenure.ask(Request::List { audit: true });
        }
    }
}
