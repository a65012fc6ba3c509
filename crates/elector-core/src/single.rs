//! The election of one ephemeral znode: whoever creates the path leads until it is gone.
//!
//! It stands beside the plain programs that create the znode, watch it, and create it again. Its
//! rules differ from the queue's where a path, rather than a znode, is all that a request can name:
//!
//! * a probe passes on anybody's znode, so it proves the session and the quorum only; that the
//!   znode is ours is shown by its watch, and by reading owner and creation zxid after each
//!   reconnect and each write to it;
//! * delete is never sent: one that is late or repeated would remove the successor's znode. We
//!   leave by closing the session, which this candidate has to itself;
//! * whoever left enrols anew only after somebody else's znode was seen, or after a pause, so that
//!   the others get their turn.

use std::time::Duration;

use elector_teeth::{Tooth, bites};

use crate::error::{Error, Lost};
use crate::message::{Answer, Change, Refusal, Request};
use crate::moment::Moment;
use crate::pulse::jittered;
use crate::tenure::{Goal, Tenure, Term, is_of_the_server, refused};

/// The empty name: the election path itself.
const PATH: &str = "";
/// Those who find the znode gone by asking wait up to twice this, so that they do not collide.
const COLLISION: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Default, Hash)]
pub(crate) struct Single {
    place: Place,
    /// A create of this session was never answered.
    ambiguous: bool,
    /// We held the znode and left: not before then, unless somebody else's znode is seen.
    rest_until: Option<Moment>,
    /// We held the znode in the session that ends now.
    leaving: bool,
    /// Something happened to the znode while a read was under way, whose answer may be older.
    stale: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
enum Place {
    #[default]
    Out,
    /// Read the znode: whose is it?
    Looking,
    /// The path above is missing.
    Parents,
    /// The create itself, not before then.
    Creating(Moment),
    /// The connection died before the create's answer.
    Ambiguous,
    /// Somebody else's znode is there, and watched.
    Waiting,
    /// Ours.
    Held(Held),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Held {
    czxid: i64,
    /// A watch is set, and a read on this connection showed owner and creation zxid to be ours.
    confirmed: bool,
    /// A quorum has answered on this connection.
    verified: bool,
}

impl Single {
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.place, Place::Held(_))
    }

    /// Everybody who waits may be next.
    pub(crate) fn ping_every(&self, tenure: &Tenure) -> Option<Duration> {
        matches!(self.place, Place::Waiting | Place::Held(_)).then(|| tenure.timing().probe_every)
    }

    pub(crate) fn position(&self) -> Option<(usize, usize)> {
        match self.place {
            Place::Held(_) => Some((0, 1)),
            Place::Waiting => Some((1, 2)),
            _ => None,
        }
    }

    pub(crate) fn nearest_ahead(&self) -> Option<&str> {
        matches!(self.place, Place::Waiting).then_some(PATH)
    }

    pub(crate) fn replied(
        &mut self,
        tenure: &mut Tenure,
        now: Moment,
        request: Request,
        outcome: Result<Answer, Refusal>,
    ) {
        if matches!(request, Request::Read { .. }) && std::mem::take(&mut self.stale) {
            // Its watch may be used up, and what it says may be over: `pursue` asks again.
            match &mut self.place {
                Place::Held(held) => held.confirmed = false,
                place => *place = Place::Looking,
            }
            return;
        }
        match (request, outcome) {
            (Request::Create { .. }, Ok(Answer::Created { czxid, owner, .. })) => {
                self.found(tenure, now, czxid, owner, true);
            }
            (Request::Create { .. }, Err(Refusal::NodeExists)) => self.place = Place::Looking,
            (Request::Create { .. }, Err(Refusal::NoNode)) => self.place = Place::Parents,
            (Request::Create { .. }, Err(refusal)) if is_of_the_server(refusal) => {
                self.ambiguous = true;
                self.place = Place::Ambiguous;
                tenure.give_up_connection();
            }
            (Request::Create { .. }, Err(refusal)) => {
                self.place = Place::Out;
                refused(tenure, "create the election's znode", refusal);
            }
            (Request::Read { .. }, Ok(Answer::Node { czxid, owner })) => {
                self.found(tenure, now, czxid, owner, false);
            }
            (Request::Read { .. }, Err(Refusal::NoNode)) => self.found_nothing(tenure, now),
            (Request::Read { .. }, Err(refusal)) => refused(tenure, "read the election's znode", refusal),
            (Request::EnsureParents, Ok(_) | Err(Refusal::NoNode)) => {
                if self.place == Place::Parents {
                    self.place = Place::Creating(now);
                }
            }
            (Request::EnsureParents, Err(refusal)) => {
                refused(tenure, "create the election's parents", refusal)
            }
            (Request::Probe { .. }, outcome) => self.probed(tenure, now, outcome),
            (Request::Sync, Err(refusal)) if refusal != Refusal::NoNode => {
                refused(tenure, "sync the election path", refusal);
            }
            (Request::Sync, _) => {}
            (request, outcome) => {
                debug_assert!(false, "{outcome:?} does not answer {request:?}");
            }
        }
    }

    /// A znode is there, by our create or by a read.
    fn found(&mut self, tenure: &mut Tenure, now: Moment, czxid: i64, owner: i64, created: bool) {
        if owner == 0 {
            self.place = Place::Out;
            return tenure.fail(Error::PathIsPersistent);
        }
        if tenure.session != Some(owner) && !bites(Tooth::OwnerNotCompared) {
            // A reader that waits, or a leader whose znode another session has replaced.
            if self.is_held() {
                self.gone(tenure, now);
            }
            self.rest_until = None;
            self.place = Place::Waiting;
            return;
        }
        match &mut self.place {
            Place::Held(held) if held.czxid == czxid => held.confirmed = !created,
            Place::Held(_) => self.gone(tenure, now),
            // A read tells the owner after a lost create reply; only a create's own answer is a
            // quorum's.
            _ => {
                tenure.begin(czxid);
                tenure.pulse.hurry();
                self.leaving = true;
                self.place = Place::Held(Held { czxid, confirmed: !created, verified: created });
            }
        }
    }

    fn found_nothing(&mut self, tenure: &mut Tenure, now: Moment) {
        if self.is_held() {
            return self.gone(tenure, now);
        }
        let pause = now + jittered(COLLISION, tenure.entropy.draw());
        self.place = Place::Creating(self.rest_until.map_or(pause, |rest| rest.max(pause)));
    }

    fn probed(&mut self, tenure: &mut Tenure, now: Moment, outcome: Result<Answer, Refusal>) {
        match (&mut self.place, outcome) {
            (Place::Held(held), Ok(_)) => held.verified = true,
            (Place::Held(_), Err(Refusal::NoNode)) => self.gone(tenure, now),
            (_, Ok(_) | Err(Refusal::NoNode)) => {}
            (_, Err(refusal)) => refused(tenure, "check the election's znode", refusal),
        }
    }

    pub(crate) fn changed(&mut self, tenure: &mut Tenure, now: Moment, change: Change) {
        self.stale |= tenure.under_way(|request| matches!(request, Request::Read { .. }));
        match (&mut self.place, change) {
            (Place::Held(_), Change::Deleted) => self.gone(tenure, now),
            (Place::Held(held), Change::Touched) => held.confirmed = false,
            // The others wake at this moment too; the server decides who was first.
            (Place::Waiting, Change::Deleted) => self.place = Place::Creating(now),
            (Place::Waiting, Change::Touched) => self.place = Place::Looking,
            _ => {}
        }
    }

    /// Our znode is gone, or not ours any more.
    fn gone(&mut self, tenure: &mut Tenure, now: Moment) {
        self.place = Place::Looking;
        // Whoever led leaves by closing the session, also when the znode went before.
        let led = matches!(tenure.term, Term::Leading(_) | Term::Stopping(..));
        self.rest(tenure, now);
        self.leaving = led;
        tenure.lose(Lost::Deposed);
    }

    fn rest(&mut self, tenure: &mut Tenure, now: Moment) {
        self.rest_until = Some(now + jittered(tenure.timing().timeout / 2, tenure.entropy.draw()));
        self.leaving = false;
    }

    pub(crate) fn unanswered(&mut self, request: &Request, sent: bool) {
        if matches!(request, Request::Create { .. }) && matches!(self.place, Place::Creating(_)) {
            self.ambiguous |= sent;
            self.place = if sent { Place::Ambiguous } else { Place::Looking };
        }
    }

    pub(crate) fn detached(&mut self) {
        self.stale = false;
        match &mut self.place {
            Place::Held(held) => {
                held.confirmed = false;
                held.verified = false;
            }
            // Its watch may have fired on the lost connection: look again.
            Place::Waiting => self.place = Place::Looking,
            _ => {}
        }
    }

    pub(crate) fn session_ended(&mut self, tenure: &mut Tenure, now: Moment) {
        if self.leaving {
            self.rest(tenure, now);
        }
        self.place = Place::Out;
        self.ambiguous = false;
    }

    pub(crate) fn decide(&mut self, tenure: &mut Tenure, now: Moment) {
        let Place::Held(held) = &self.place else { return };
        let confirmed = held.confirmed || bites(Tooth::ProbeIsOwnership);
        if confirmed && held.verified && tenure.connection().is_some() {
            tenure.promote(now, held.czxid);
        }
    }

    pub(crate) fn pursue(&mut self, tenure: &mut Tenure, now: Moment) {
        if tenure.goal == Goal::Leave {
            return self.leave(tenure);
        }
        if tenure.tainted && tenure.term == Term::None {
            return tenure.close_session();
        }
        if tenure.connection().is_none() || tenure.goal != Goal::Contend {
            return;
        }
        if self.place == Place::Out {
            self.place = Place::Looking;
        }
        match &self.place {
            Place::Ambiguous => {
                // Reach whatever is still on its way before looking at what it did.
                if !bites(Tooth::LookWithoutSync) {
                    tenure.ask(Request::Sync);
                }
                self.place = Place::Looking;
                ask_once(tenure, read());
            }
            Place::Looking => ask_once(tenure, read()),
            Place::Parents => ask_once(tenure, Request::EnsureParents),
            Place::Creating(at) if *at <= now => ask_once(tenure, Request::Create { name: PATH.to_owned() }),
            Place::Held(held) => {
                if !held.confirmed && !bites(Tooth::ProbeIsOwnership) {
                    ask_once(tenure, read());
                }
                tenure.probe_if_due(PATH, now);
            }
            Place::Out | Place::Creating(_) | Place::Waiting => {}
        }
    }

    /// Nothing is deleted by path: what may be ours goes with the session.
    fn leave(&mut self, tenure: &mut Tenure) {
        let creating = tenure.under_way(|request| matches!(request, Request::Create { .. }));
        if creating || self.ambiguous || tenure.tainted || self.leaving {
            tenure.close_session();
        } else {
            self.place = Place::Out;
            tenure.left();
        }
    }

    pub(crate) fn next_wake(&self, tenure: &Tenure, now: Moment) -> Option<Moment> {
        tenure.connection()?;
        if tenure.goal != Goal::Contend {
            return None;
        }
        match &self.place {
            Place::Creating(at) if *at > now => Some(*at),
            Place::Held(_) => tenure.pulse.due(&tenure.lease, now),
            _ => None,
        }
    }
}

fn read() -> Request {
    Request::Read { name: PATH.to_owned(), watch: true }
}

fn ask_once(tenure: &mut Tenure, request: Request) {
    if !tenure.under_way(|other| std::mem::discriminant(other) == std::mem::discriminant(&request)) {
        tenure.ask(request);
    }
}
