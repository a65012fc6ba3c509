//! The way into the queue: who is there already, the create, and what may have become of it.
//!
//! Invariant: each create bears a guid of its own, remembered before it goes out; one without an answer is looked for
//! behind a sync, and only what this session owns is ours. Used by the queue, which is left as `Place::Enrolling`
//! until a znode is known.

use std::time::Duration;

use elector_teeth::{Tooth, bites};

use super::own::Own;
use super::{Place, Queue};
use crate::contender::{self, Contender};
use crate::error::Error;
use crate::layout::Family;
use crate::message::{Answer, Refusal, Request};
use crate::moment::Moment;
use crate::tenure::{Tenure, is_of_the_server, refused};

/// A list is so long as good as the survey before enrolling: a foreign family that came later is warned
/// of by the list after.
const SURVEY_HOLDS: Duration = Duration::from_secs(60);

/// What enrolling waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// A create may be under way from an earlier connection: reach it before looking for it.
    Sync,
    /// See who is there: foreign families, and whatever is ours already.
    Survey,
    /// The election path is missing.
    Parents,
    /// The create itself.
    Create(String),
    /// The connection died before the create's answer.
    Ambiguous,
    /// This znode bears our guid; see whether the session owns it.
    Claim(String),
}

impl Queue {
    /// Where to begin. Nothing of ours can be in the queue when no create is unanswered, so a list that is
    /// not old serves as the survey.
    pub(super) fn first_step(&self, tenure: &mut Tenure, now: Moment) -> Step {
        let surveyed = self.seen.is_some_and(|seen| now.since(seen.at) < SURVEY_HOLDS);
        match (self.ambiguous, surveyed && self.stems.is_empty()) {
            (true, _) => Step::Sync,
            (false, true) => self.new_create(tenure),
            (false, false) => Step::Survey,
        }
    }

    pub(super) fn ask_for(&mut self, tenure: &mut Tenure, step: &Step) {
        let request = match step {
            Step::Sync => Request::Sync,
            Step::Survey => Request::List { audit: false },
            Step::Parents => Request::EnsureParents,
            Step::Create(stem) => Request::Create { name: stem.clone() },
            Step::Claim(name) => Request::Read { name: name.clone(), watch: false },
            Step::Ambiguous => return,
        };
        if tenure.under_way(|other| std::mem::discriminant(other) == std::mem::discriminant(&request)) {
            return;
        }
        if let Step::Create(stem) = step {
            self.stems.push(stem.clone()); // before it goes out
        }
        tenure.ask(request);
    }

    fn new_create(&self, tenure: &mut Tenure) -> Step {
        Step::Create(self.layout.stem(&tenure.entropy.guid()))
    }

    pub(super) fn advance(&mut self, from: &Step, to: Step) {
        if let Place::Enrolling(step) = &mut self.place
            && step == from
        {
            *step = to;
        }
    }

    pub(super) fn surveyed(
        &mut self,
        tenure: &mut Tenure,
        contenders: &[Contender],
        foreign: &[(Family, String)],
    ) {
        if let Some(ours) = contenders.iter().find(|c| self.is_ours(&c.name)) {
            return self.claim(tenure, ours.name.clone());
        }
        if let Some((_, example)) = foreign.first() {
            let fits = contender::layout_of(contenders);
            let families = foreign.iter().map(|(family, _)| *family).collect();
            self.place = Place::Out;
            tenure.fail(Error::Foreign { families, example: example.clone(), fits });
            return;
        }
        self.place = Place::Enrolling(self.new_create(tenure));
    }

    /// Step 1: the acknowledged create2 verifies the znode, on the connection that carried it.
    pub(super) fn created(&mut self, tenure: &mut Tenure, name: &str, czxid: i64, owner: i64) {
        if tenure.session != Some(owner) {
            // A server that replaced our session without a word made a znode for the other one.
            tenure.tainted = true;
            return;
        }
        self.enroll(tenure, name, czxid, tenure.connection());
    }

    pub(super) fn create_refused(&mut self, tenure: &mut Tenure, refusal: Refusal) {
        if is_of_the_server(refusal) {
            self.ambiguous = true;
            self.place = Place::Enrolling(Step::Ambiguous);
            return tenure.give_up_connection();
        }
        self.place = Place::Out;
        match refusal {
            Refusal::NoNode => self.place = Place::Enrolling(Step::Parents),
            other => refused(tenure, "create a znode under the election path", other),
        }
    }

    fn enroll(&mut self, tenure: &mut Tenure, name: &str, czxid: i64, verified: Option<u64>) {
        tenure.begin(czxid);
        match Contender::parse(name) {
            Ok(Some(Contender { name, sequence })) => {
                let alone = self.seen.is_some_and(|seen| seen.alone);
                self.place = Place::Enrolled(Box::new(Own::new(name, sequence, czxid, verified, alone)));
            }
            // The znode is there; closing the session takes it away.
            Ok(None) => {
                tenure.tainted = true;
                refused(tenure, "number our znode", Refusal::Code(0));
            }
            Err(error) => {
                tenure.tainted = true;
                tenure.fail(error);
            }
        }
    }

    /// This znode bears our guid. One that we asked to be deleted is left to the end of the session: the delete
    /// may come late, and would take it from under a leader.
    pub(super) fn claim(&mut self, tenure: &mut Tenure, name: String) {
        tenure.tainted |= self.doomed.contains(&name) && !bites(Tooth::DuplicateClaimed);
        self.place = Place::Enrolling(Step::Claim(name));
    }

    /// A znode that bears our guid was read: ours if the session owns it.
    pub(super) fn claimed(&mut self, tenure: &mut Tenure, name: String, outcome: Result<Answer, Refusal>) {
        let Place::Enrolling(Step::Claim(claiming)) = &self.place else { return };
        if *claiming != name {
            return;
        }
        match outcome {
            // Found by looking, so not verified: a probe must show that it is still there.
            Ok(Answer::Node { czxid, owner })
                if tenure.session == Some(owner) || bites(Tooth::OldSessionTrusted) =>
            {
                self.enroll(tenure, &name, czxid, None);
            }
            Ok(_) => {
                self.disowned.insert(name);
                self.place = Place::Enrolling(Step::Survey);
            }
            Err(Refusal::NoNode) => self.place = Place::Enrolling(Step::Survey),
            Err(refusal) => refused(tenure, "read our own znode", refusal),
        }
    }
}
