//! The election among sequential znodes: the lowest live one leads.
//!
//! Every lower contender was created before us, so a list that shows our own znode shows all lower
//! ones that still live, and that set only shrinks. Who has seen it whole need never list again: a
//! hand-over costs the delete and its notification, nothing more.
//!
//! The seven steps, and where each stands:
//!
//! 1. *Created* (`Queue::created`, in `enrol`): list.
//! 2. *Listed* (`Queue::listed`): remove our own duplicates; watch our own znode and the two
//!    nearest ahead, the nearest so that we are told of its end before anybody else.
//! 3. *Gone* (`Queue::changed`): drop it; list again only if what remains may be incomplete.
//! 4. *Entitled* (`Queue::decide`): lead at once with a live deadline, else probe until an
//!    acknowledgement yields one.
//! 5. *Connection lost* (`Queue::detached`, `Queue::restored`, `Queue::unanswered`): nothing
//!    is verified until a probe on the new connection succeeds.
//! 6. *Own znode gone, session ended* (`Queue::gone`, `Queue::session_ended`): out; a new
//!    znode is a new term.
//! 7. *Audit* (`Queue::pursue`, `Queue::audited`): rarely, look whether the list still says
//!    what we believe.
//!
//! These steps were model-checked, and each clause answers a counterexample:
//! `docs/decisions/0007-the-seven-steps.md` tells which. Do not simplify one away.

mod enrol;
mod own;

use std::collections::BTreeSet;
use std::time::Duration;

use elector_teeth::{Tooth, bites};

use crate::contender::{self, Contender};
use crate::error::{Error, Lost, Warning};
use crate::layout::{Family, Layout};
use crate::message::{Answer, Change, Output, Refusal, Request, RequestId};
use crate::moment::Moment;
use crate::pulse::jittered;
use crate::tenure::{Goal, Tenure, Term, refused};
use enrol::Step;
use own::{Own, Watch};

/// After a znode of ours was gone before any list showed it, twice or more in a row, the next one is
/// made after so many times this.
const VANISHED_PAUSE: Duration = Duration::from_millis(100);
const VANISHED_MOST: u32 = 50;

/// One candidate's place in the queue, or its way there.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Queue {
    layout: Layout,
    place: Place,
    /// The names, up to their numbers, of the creates sent in this session, each with a guid of its
    /// own: whatever bears one is ours, also when it comes late.
    stems: Vec<String>,
    /// A create of this session was never answered.
    ambiguous: bool,
    /// Znodes that bear one of our guids though another session owns them.
    disowned: BTreeSet<String>,
    /// Duplicates of ours whose delete was sent in this session: one without an answer may come late.
    doomed: BTreeSet<String>,
    warned: Vec<Family>,
    seen: Option<Seen>,
    was_near: bool,
    /// How often in a row our znode was gone before a list showed it; then it is made anew more slowly.
    vanished: u32,
    enrol_at: Option<Moment>,
    /// Whether this session may read those ahead is known.
    reads_others: bool,
}

/// The newest list without a foreign family.
#[derive(Debug, Clone, Copy, Hash)]
struct Seen {
    at: Moment,
    /// No contender in it but our own.
    alone: bool,
}

#[derive(Debug, Clone, Hash)]
enum Place {
    /// No znode, no request that could make one.
    Out,
    /// On the way to a znode.
    Enrolling(Step),
    /// In the queue.
    Enrolled(Box<Own>),
}

impl Queue {
    pub(crate) fn new(layout: Layout) -> Queue {
        Queue {
            layout,
            place: Place::Out,
            stems: Vec::new(),
            ambiguous: false,
            disowned: BTreeSet::new(),
            doomed: BTreeSet::new(),
            warned: Vec::new(),
            seen: None,
            was_near: false,
            vanished: 0,
            enrol_at: None,
            reads_others: false,
        }
    }

    // What the frame asks.

    /// Complete, and at most one ahead: the leader, and the second in line.
    pub(crate) fn is_near(&self) -> bool {
        matches!(&self.place, Place::Enrolled(own) if own.is_near())
    }

    /// The third in line pings at the probes' period, so that it has ground to build on when it
    /// becomes second.
    pub(crate) fn ping_every(&self, tenure: &Tenure) -> Option<Duration> {
        match &self.place {
            Place::Enrolled(own) if own.complete => Some(tenure.timing().probe_every),
            _ => None,
        }
    }

    pub(crate) fn position(&self) -> Option<(usize, usize)> {
        match &self.place {
            Place::Enrolled(own) => own.position,
            _ => None,
        }
    }

    pub(crate) fn nearest_ahead(&self) -> Option<&str> {
        match &self.place {
            Place::Enrolled(own) => own.ahead.first().map(|c| c.name.as_str()),
            _ => None,
        }
    }

    pub(crate) fn own_name(&self) -> Option<&str> {
        match &self.place {
            Place::Enrolled(own) => Some(&own.name),
            _ => None,
        }
    }

    // Replies.

    pub(crate) fn replied(
        &mut self,
        tenure: &mut Tenure,
        now: Moment,
        id: RequestId,
        request: Request,
        outcome: Result<Answer, Refusal>,
    ) {
        match (request, outcome) {
            (Request::Create { .. }, Ok(Answer::Created { name, czxid, owner })) => {
                self.created(tenure, &name, czxid, owner);
            }
            (Request::Create { .. }, Err(refusal)) => self.create_refused(tenure, refusal),
            (Request::List { audit }, Ok(Answer::Listed(children))) => {
                if audit {
                    self.audited(tenure, now, &children);
                } else {
                    self.listed(tenure, now, &children);
                }
            }
            (Request::List { .. }, Err(refusal)) => self.list_refused(tenure, refusal),
            (Request::Sync, Ok(_) | Err(Refusal::NoNode)) => self.advance(&Step::Sync, Step::Survey),
            (Request::EnsureParents, Ok(_) | Err(Refusal::NoNode)) => {
                self.advance(&Step::Parents, Step::Survey)
            }
            (Request::Read { name, .. }, outcome) if matches!(self.place, Place::Enrolling(_)) => {
                self.claimed(tenure, name, outcome);
            }
            (Request::Read { .. }, outcome) => self.read_ahead(tenure, outcome),
            (Request::Watch { .. }, Ok(_)) => {
                if let Place::Enrolled(own) = &mut self.place
                    && own.watch == Watch::Asked(id)
                {
                    own.watch = Watch::Set;
                }
            }
            (Request::Probe { name }, outcome) => self.probed(tenure, &name, outcome),
            (Request::Delete { name }, outcome) => self.deleted(tenure, &name, outcome),
            (Request::EnsureParents, Err(refusal)) => refused(tenure, "create the election path", refusal),
            (Request::Sync, Err(refusal)) => refused(tenure, "sync the election path", refusal),
            (Request::Watch { .. }, Err(refusal)) => refused(tenure, "watch the contenders", refusal),
            (request, Ok(answer)) => {
                debug_assert!(false, "{answer:?} does not answer {request:?}");
            }
        }
    }

    fn list_refused(&mut self, tenure: &mut Tenure, refusal: Refusal) {
        match (&mut self.place, refusal) {
            // The parent is gone, and our znode with it.
            (Place::Enrolled(_), Refusal::NoNode) => self.gone(tenure),
            (Place::Enrolling(step), Refusal::NoNode) => *step = Step::Parents,
            (_, Refusal::NoNode) => {}
            (_, other) => refused(tenure, "list the contenders", other),
        }
    }

    /// Step 2, and the survey before enrolling.
    fn listed(&mut self, tenure: &mut Tenure, now: Moment, children: &[String]) {
        let contenders = match contender::queue(children) {
            Ok(contenders) => contenders,
            Err(error) => return tenure.fail(error),
        };
        let foreign = contender::foreign(&contenders, self.layout);
        let alone = contenders.iter().all(|c| self.is_ours(&c.name));
        self.seen = foreign.is_empty().then_some(Seen { at: now, alone });
        match &self.place {
            Place::Enrolling(Step::Survey) => self.surveyed(tenure, &contenders, &foreign),
            Place::Enrolled(own) if !own.delete_sent => {
                self.warn_of_foreigners(tenure, foreign);
                self.place_in(tenure, now, &contenders);
            }
            _ => {}
        }
    }

    fn warn_of_foreigners(&mut self, tenure: &mut Tenure, foreign: Vec<(Family, String)>) {
        for (family, example) in foreign {
            if !self.warned.contains(&family) {
                self.warned.push(family);
                tenure.emit(Output::Warn(Warning::ForeignAppeared { family, example }));
            }
        }
    }

    fn place_in(&mut self, tenure: &mut Tenure, now: Moment, contenders: &[Contender]) {
        let ours: BTreeSet<String> =
            contenders.iter().filter(|c| self.is_ours(&c.name)).map(|c| c.name.clone()).collect();
        let Place::Enrolled(own) = &mut self.place else { return };
        if !ours.contains(&own.name) {
            return self.gone(tenure);
        }
        if let Some(twin) = contenders.iter().find(|c| c.sequence == own.sequence && c.name != own.name) {
            let name = twin.name.clone();
            return tenure.fail(Error::Tie { name });
        }
        // More than one of ours: keep the lowest that this session owns, delete the others first.
        let lowest = contenders.iter().find(|c| ours.contains(&c.name)).filter(|c| c.sequence < own.sequence);
        if let (Some(lower), Term::None) = (lowest, tenure.term) {
            return self.claim(tenure, lower.name.clone());
        }
        self.vanished = 0;
        own.extras = ours.into_iter().filter(|name| *name != own.name).collect();
        self.doomed.extend(own.extras.iter().cloned());
        own.see(contenders);
        own.plan_audit(tenure, now, self.ambiguous);
    }

    /// The one ahead was read, once in a session: servers tell nobody of a znode's end who may not
    /// read it, and we would wait for ever.
    fn read_ahead(&mut self, tenure: &mut Tenure, outcome: Result<Answer, Refusal>) {
        match outcome {
            Ok(_) => self.reads_others = true,
            Err(Refusal::NoNode) => {}
            Err(refusal) => refused(tenure, "read the contender ahead", refusal),
        }
    }

    /// A probe was answered: what it says of our znode holds on the connection that carried it.
    fn probed(&mut self, tenure: &mut Tenure, name: &str, outcome: Result<Answer, Refusal>) {
        let Place::Enrolled(own) = &mut self.place else { return };
        if own.name != name {
            return;
        }
        match outcome {
            Ok(_) => own.verified = tenure.connection(),
            Err(Refusal::NoNode) => self.gone(tenure),
            Err(refusal) => refused(tenure, "check our own znode", refusal),
        }
    }

    fn deleted(&mut self, tenure: &mut Tenure, name: &str, outcome: Result<Answer, Refusal>) {
        let gone = matches!(outcome, Ok(_) | Err(Refusal::NoNode));
        let Place::Enrolled(own) = &mut self.place else { return };
        if !gone {
            // What we may not delete, the end of the session deletes, once no work of ours is on.
            tenure.tainted = true;
            own.extras.remove(name);
        } else if own.name == name {
            self.gone(tenure);
        } else {
            own.extras.remove(name);
        }
    }

    /// Step 7. A leader believes only a list that was asked for after an acknowledged probe on the
    /// same connection, which `pursue` saw to; on it, a lower contender ends the term at once.
    fn audited(&mut self, tenure: &mut Tenure, now: Moment, children: &[String]) {
        self.listed(tenure, now, children);
        if let Place::Enrolled(own) = &self.place
            && !own.ahead.is_empty()
        {
            tenure.lose(Lost::Overtaken);
        }
    }

    // Events.

    /// Step 3, in any order, early or twice.
    pub(crate) fn changed(&mut self, tenure: &mut Tenure, name: &str, change: Change) {
        let Place::Enrolled(own) = &mut self.place else { return };
        own.watching.remove(name);
        if own.name == name && bites(Tooth::OwnEndIgnored) {
            return;
        }
        match change {
            Change::Deleted if own.name == name => self.gone(tenure),
            Change::Deleted => own.drop_gone(name),
            Change::Touched if own.name == name => own.watch = Watch::Unset,
            Change::Touched => {}
        }
    }

    /// Step 6: out. The next znode is a new one, with a new term.
    fn gone(&mut self, tenure: &mut Tenure) {
        self.vanished = self.vanished.saturating_add(1);
        if !matches!(&self.place, Place::Enrolled(own) if own.delete_sent) {
            self.seen = None; // something happened there that we did not do: look again
        }
        self.place = Place::Out;
        if !self.ambiguous {
            self.stems.clear(); // every create was answered: nothing of ours can come any more
        }
        tenure.lose(Lost::Deposed);
    }

    /// Step 6, by the session's end: nothing sent in it can arrive any more.
    pub(crate) fn session_ended(&mut self) {
        self.place = Place::Out;
        self.stems.clear();
        self.seen = None;
        self.disowned.clear();
        self.doomed.clear();
        self.ambiguous = false;
        self.reads_others = false;
    }

    // Step 5: the connection.

    /// A request's connection ended before its answer. Reads, deletes and probes are asked again by
    /// `pursue`; a create may have happened.
    pub(crate) fn unanswered(&mut self, request: Request, sent: bool) {
        match (&mut self.place, request) {
            (Place::Enrolling(step), Request::Create { .. }) => {
                if bites(Tooth::BlindRetry) {
                    self.stems.clear();
                    *step = Step::Survey;
                    return;
                }
                self.ambiguous |= sent && !bites(Tooth::AmbiguityForgotten);
                *step = if sent { Step::Ambiguous } else { Step::Survey };
            }
            (Place::Enrolled(own), Request::Watch { nearest, others }) if !sent => {
                // The session never registered them, so it will not set them again.
                own.watching.retain(|name| nearest.as_ref() != Some(name) && !others.contains(name));
                if others.contains(&own.name) {
                    own.watch = Watch::Unset;
                }
            }
            _ => {}
        }
    }

    pub(crate) fn detached(&mut self) {
        if let Place::Enrolled(own) = &mut self.place {
            own.verified = None;
            if own.watch != Watch::Unset {
                own.watch = Watch::Lapsed;
            }
        }
    }

    /// Watches are set again, and what had happened to the znodes meanwhile was told before this.
    pub(crate) fn restored(&mut self) {
        match &mut self.place {
            Place::Enrolled(own) if own.watch == Watch::Lapsed => own.watch = Watch::Set,
            Place::Enrolling(step) if *step == Step::Ambiguous => {
                *step = if bites(Tooth::LookWithoutSync) { Step::Survey } else { Step::Sync };
            }
            _ => {}
        }
    }

    // Step 4: leading.

    /// Entitled with a live deadline: lead, with no read and no write. Entitled without one:
    /// `pursue` probes until an acknowledgement yields one. An acknowledgement by itself makes no
    /// leader, since it may arrive after the session's end.
    pub(crate) fn decide(&mut self, tenure: &mut Tenure, now: Moment) {
        let Place::Enrolled(own) = &self.place else { return };
        let settled =
            own.watch == Watch::Set && own.verified.is_some() && own.verified == tenure.connection();
        let entitled = own.ahead.is_empty()
            && own.complete
            && (settled || bites(Tooth::RestoringActedUpon))
            && own.extras.is_empty()
            && !own.delete_sent;
        if entitled {
            tenure.promote(now, own.czxid);
        }
    }

    // What the present state lacks.

    pub(crate) fn pursue(&mut self, tenure: &mut Tenure, now: Moment) {
        if tenure.goal == Goal::Leave {
            return self.leave(tenure);
        }
        if tenure.tainted && tenure.term == Term::None {
            return tenure.close_session();
        }
        let Some(connection) = tenure.connection() else { return };
        if matches!(self.place, Place::Out) && tenure.goal == Goal::Contend {
            if self.vanished > 1 {
                let random = tenure.entropy.draw();
                let pause = jittered(VANISHED_PAUSE * self.vanished.min(VANISHED_MOST), random);
                if *self.enrol_at.get_or_insert(now + pause) > now {
                    return;
                }
            }
            self.enrol_at = None;
            self.place = Place::Enrolling(self.first_step(tenure, now));
        }
        match &mut self.place {
            Place::Out => {}
            Place::Enrolling(step) if tenure.goal == Goal::Contend => {
                let step = step.clone();
                self.ask_for(tenure, &step);
            }
            Place::Enrolling(_) => {}
            Place::Enrolled(own) => {
                let near = own.is_near();
                if near && !self.was_near {
                    tenure.pulse.hurry();
                }
                self.was_near = near;
                own.pursue(tenure, connection, now);
                if !self.reads_others {
                    own.read_ahead(tenure);
                }
            }
        }
    }

    /// Leaves nothing behind: the znode's delete is answered, or the session is closed.
    fn leave(&mut self, tenure: &mut Tenure) {
        let creating = tenure.under_way(|request| matches!(request, Request::Create { .. }));
        if creating {
            return; // its answer, or the lack of one, decides
        }
        if self.ambiguous || tenure.tainted {
            tenure.close_session();
            return;
        }
        match &mut self.place {
            Place::Enrolled(own) => {
                let deleting = tenure.under_way(|request| matches!(request, Request::Delete { .. }));
                if tenure.connection().is_some() && !deleting {
                    own.delete_sent = true;
                    tenure.ask(Request::Delete { name: own.name.clone() });
                    if bites(Tooth::DeleteUnanswered) {
                        self.place = Place::Out;
                        self.stems.clear();
                        tenure.left();
                    }
                }
            }
            Place::Out | Place::Enrolling(_) => {
                self.place = Place::Out;
                tenure.left();
            }
        }
    }

    /// When `pursue` has something to do by time alone.
    pub(crate) fn next_wake(&self, tenure: &Tenure, now: Moment) -> Option<Moment> {
        tenure.connection()?;
        let Place::Enrolled(own) = &self.place else {
            return self.enrol_at.filter(|_| tenure.goal == Goal::Contend);
        };
        if !own.may_act(tenure) {
            return None;
        }
        let probe = if own.is_near() { tenure.pulse.due(&tenure.lease, now) } else { None };
        // While a list is under way its answer comes first; to be woken for an audit would be in vain.
        let listing = tenure.under_way(|request| matches!(request, Request::List { .. }));
        let audit = own.audit_at.filter(|_| own.verified.is_some() && !listing);
        [probe, audit].into_iter().flatten().min()
    }

    fn is_ours(&self, name: &str) -> bool {
        !self.disowned.contains(name) && self.stems.iter().any(|stem| name.starts_with(stem))
    }
}
