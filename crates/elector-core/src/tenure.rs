//! What every layout's election has in common: the application's wish, the session and its lease,
//! requests under way, and the term with its one-way end.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use elector_teeth::{Tooth, bites};

use crate::error::{Error, Lost, Warning};
use crate::layout::Guid;
use crate::lease::{Deadlines, Lease, Margins, Timing};
use crate::message::{OnDisconnect, Output, Refusal, Request, RequestId};
use crate::moment::Moment;
use crate::pulse::Pulse;
use crate::token::Token;

/// The connection was taken over so often within one session timeout: somebody else has our session.
const MOVES: usize = 3;

// The codes by which a server speaks of the session or of itself: the next connection tells more.
const CONNECTION_LOSS: i32 = -4;
const OPERATION_TIMEOUT: i32 = -7;
const SESSION_EXPIRED: i32 = -112;
const SESSION_MOVED: i32 = -118;
const THROTTLED: i32 = -127;

/// Where a candidate's random numbers come from: the operating system, or a simulator's seed.
pub struct Entropy(Box<dyn Source>);

/// A source that can be cloned inside its box.
trait Source: Send {
    fn draw(&mut self) -> u64;
    fn boxed(&self) -> Box<dyn Source>;
}

impl<F: FnMut() -> u64 + Clone + Send + 'static> Source for F {
    fn draw(&mut self) -> u64 {
        self()
    }

    fn boxed(&self) -> Box<dyn Source> {
        Box::new(self.clone())
    }
}

impl Entropy {
    /// Random numbers from `source`, which must not give two processes the same ones.
    pub fn new(source: impl FnMut() -> u64 + Clone + Send + 'static) -> Entropy {
        Entropy(Box::new(source))
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    pub(crate) fn guid(&mut self) -> Guid {
        Guid::from_random(u128::from(self.draw()) << 64 | u128::from(self.draw()))
    }
}

impl Clone for Entropy {
    fn clone(&self) -> Entropy {
        Entropy(self.0.boxed())
    }
}

/// Its numbers are of the future, and no part of what a candidate is.
impl Hash for Entropy {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}

/// What the application wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Goal {
    /// Nothing.
    Rest,
    /// To lead, or to go on leading.
    Contend,
    /// To leave nothing behind.
    Leave,
    /// A term was lost; until the application has stopped its work we keep still.
    Stopped,
}

/// The one term that the present znode may have. It moves downwards only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Term {
    /// None yet.
    None,
    /// We lead, while the lease lasts.
    Leading(Token),
    /// The work is being stopped: its lease counts from here, whatever is acknowledged later.
    Stopping(Token, Moment),
    /// It is over; the znode waits for its deletion.
    Over,
}

#[derive(Debug, Clone, Copy, Hash)]
struct Link {
    number: u64,
    restored: bool,
}

#[derive(Debug, Clone, Hash)]
pub(crate) struct Tenure {
    pub(crate) goal: Goal,
    pub(crate) term: Term,
    pub(crate) session: Option<i64>,
    pub(crate) lease: Lease,
    pub(crate) pulse: Pulse,
    pub(crate) entropy: Entropy,
    on_disconnect: OnDisconnect,
    link: Option<Link>,
    closing: bool,
    /// The session must be closed before anything else is made in it, once no work of ours is on.
    pub(crate) tainted: bool,
    /// When the session was taken back from somebody else, it seems.
    moves: VecDeque<Moment>,
    /// The token of our newest term, in whatever session; 0 before the first.
    newest_term: i64,
    asked: BTreeMap<RequestId, Request>,
    last_id: u64,
    outputs: VecDeque<Output>,
}

impl Tenure {
    pub(crate) fn new(
        asked: Duration,
        margins: Margins,
        on_disconnect: OnDisconnect,
        entropy: Entropy,
    ) -> Tenure {
        Tenure {
            goal: Goal::Rest,
            term: Term::None,
            session: None,
            lease: Lease::new(asked, margins),
            pulse: Pulse::default(),
            entropy,
            on_disconnect,
            link: None,
            closing: false,
            tainted: false,
            moves: VecDeque::new(),
            newest_term: 0,
            asked: BTreeMap::new(),
            last_id: 0,
            outputs: VecDeque::new(),
        }
    }

    // Outputs and requests.

    pub(crate) fn emit(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn ask(&mut self, request: Request) -> RequestId {
        self.last_id += 1;
        let id = RequestId(self.last_id);
        self.asked.insert(id, request.clone());
        self.emit(Output::Send(id, request));
        id
    }

    /// The request that `id` answers, which from now on is no longer under way.
    pub(crate) fn answered(&mut self, id: RequestId) -> Option<Request> {
        self.asked.remove(&id)
    }

    pub(crate) fn under_way(&self, mut which: impl FnMut(&Request) -> bool) -> bool {
        self.asked.values().any(&mut which)
    }

    /// Sends a probe of `name` if one is due.
    pub(crate) fn probe_if_due(&mut self, name: &str, now: Moment) {
        if self.pulse.due(&self.lease, now).is_some_and(|due| due <= now) {
            let id = self.ask(Request::Probe { name: name.to_owned() });
            let random = self.entropy.draw();
            self.pulse.sent(id, &self.lease, now, random);
        }
    }

    // The session and its connection.

    pub(crate) fn timing(&self) -> &Timing {
        self.lease.timing()
    }

    /// The connection on which requests may be sent, if credentials and watches are in force on it.
    pub(crate) fn connection(&self) -> Option<u64> {
        self.link.filter(|link| link.restored && !self.closing).map(|link| link.number)
    }

    pub(crate) fn attach(
        &mut self,
        now: Moment,
        number: u64,
        session: i64,
        timeout: Duration,
        connect_sent: Moment,
        taken_back: bool,
    ) {
        let mut another_timeout = self.session != Some(session);
        if another_timeout {
            self.session = Some(session);
            self.lease.begin_session(timeout);
        }
        if let Some(from) = self.lease.attach(number, connect_sent, timeout) {
            another_timeout = true;
            self.emit(Output::Warn(Warning::TimeoutShrunk { from, to: timeout }));
        }
        self.link = Some(Link { number, restored: false });
        self.pulse.reset();
        if taken_back {
            self.taken_back(now);
        }
        if another_timeout && let Err(error) = self.timing().check() {
            self.fail(error.into());
        }
    }

    pub(crate) fn restored(&mut self, connection: u64) {
        if let Some(link) = self.link.as_mut().filter(|link| link.number == connection) {
            link.restored = true;
        }
    }

    /// The connection is ending: nothing more is asked on it. A request asked now would be forgotten
    /// with the connection, and a watch among them would pass for one that the session sets again.
    pub(crate) fn hang_up(&mut self) {
        self.link = None;
    }

    /// The connection is gone.
    pub(crate) fn detach(&mut self) {
        self.link = None;
        self.lease.detach();
        self.pulse.reset();
        self.asked.clear();
        if self.on_disconnect == OnDisconnect::Stop {
            self.stop(Lost::Disconnected);
        }
    }

    /// The session was taken from us and we took it back. After three times within the session
    /// timeout somebody else uses it: stand down.
    fn taken_back(&mut self, now: Moment) {
        let within = self.timing().timeout;
        self.moves.retain(|moved| now.since(*moved) < within);
        self.moves.push_back(now);
        if self.moves.len() >= MOVES {
            self.emit(Output::Warn(Warning::SessionShared));
            self.lose(Lost::SessionShared);
            self.tainted = true;
        }
    }

    pub(crate) fn end_session(&mut self, why: Lost) {
        self.link = None;
        self.session = None;
        self.closing = false;
        self.tainted = false;
        if !bites(Tooth::SessionEndIgnored) {
            self.lease.begin_session(self.timing().timeout);
        }
        self.pulse.reset();
        self.moves.clear();
        self.asked.clear();
        if bites(Tooth::SessionEndIgnored) {
            return;
        }
        self.lose(why);
    }

    pub(crate) fn close_session(&mut self) {
        if self.session.is_some() && !self.closing {
            self.closing = true;
            self.emit(Output::CloseSession);
        }
    }

    pub(crate) fn closing(&self) -> bool {
        self.closing
    }

    pub(crate) fn give_up_connection(&mut self) {
        self.hang_up();
        self.pulse.reset();
        self.emit(Output::GiveUpConnection);
    }

    /// Looks at the clock, before anything else is looked at.
    pub(crate) fn look_at_clock(&mut self, now: Moment) {
        if let Term::Leading(_) = self.term
            && self.lease.live(now).is_none()
        {
            self.stop(Lost::NoQuorum);
        }
        if let Term::Stopping(_, base) = self.term
            && now >= self.timing().deadlines(base).safe
        {
            self.lose(Lost::NoQuorum);
        }
        if self.pulse.gives_up().is_some_and(|at| at <= now) {
            self.give_up_connection();
        }
    }

    // The term. Each of these moves it downwards or not at all.

    /// A znode of ours was made at `czxid` and may have a term, unless the ensemble's data went back.
    pub(crate) fn begin(&mut self, czxid: i64) {
        self.term = Term::None;
        if czxid <= self.newest_term {
            self.tainted = true;
            self.fail(Error::WentBack { seen: self.newest_term, given: czxid });
        }
    }

    /// The znode made at `czxid` is entitled to lead: do so, if that is wanted, it has had no term yet,
    /// and a live deadline is there. Without one, probes go on until an acknowledgement yields it.
    pub(crate) fn promote(&mut self, now: Moment, czxid: i64) {
        if self.term != Term::None || self.goal != Goal::Contend {
            return;
        }
        if self.lease.live(now).is_none() && !bites(Tooth::PromotionWithoutDeadline) {
            return;
        }
        let Some(token) = Token::from_czxid(czxid) else {
            return refused(self, "number our term", Refusal::Code(0));
        };
        self.term = Term::Leading(token);
        self.newest_term = token.as_i64();
        self.emit(Output::Lead { token });
        self.pulse.hurry();
    }

    /// The work must stop, and be gone by the deadline that is in force now.
    fn stop(&mut self, why: Lost) {
        if let Term::Leading(token) = self.term {
            match self.lease.base() {
                Some(base) => {
                    self.term = Term::Stopping(token, base);
                    let leaves = self.goal == Goal::Leave || bites(Tooth::ZnodeBeforeWork);
                    self.goal = if leaves { Goal::Leave } else { Goal::Stopped };
                    self.emit(Output::Stopping { token, why });
                }
                None => self.lose(why),
            }
        }
    }

    /// The term is over at once.
    pub(crate) fn lose(&mut self, why: Lost) {
        if let Term::Leading(token) | Term::Stopping(token, _) = self.term {
            self.term = Term::Over;
            self.goal = if self.goal == Goal::Leave { Goal::Leave } else { Goal::Stopped };
            self.emit(Output::Lost { token, why });
        }
    }

    /// The application has stopped its work, or never began.
    pub(crate) fn withdraw(&mut self) {
        if matches!(self.term, Term::Leading(_) | Term::Stopping(..)) {
            self.term = Term::Over;
        }
        self.goal = Goal::Leave;
    }

    /// No retry mends this: a term is lost, and everything of ours is taken away.
    pub(crate) fn fail(&mut self, error: Error) {
        self.lose(Lost::Refused);
        self.emit(Output::Fail(error));
        if self.goal != Goal::Stopped {
            self.goal = Goal::Leave;
        }
    }

    /// Nothing of ours is left: done, or ready to begin anew.
    pub(crate) fn left(&mut self) {
        self.goal = Goal::Rest;
        self.term = Term::None;
        self.emit(Output::Left);
    }

    /// The deadlines that bind the work now; none when nothing leads.
    pub(crate) fn deadlines(&self) -> Option<Deadlines> {
        match self.term {
            Term::Leading(_) => self.lease.deadlines(),
            // A timeout that shrinks meanwhile moves them down; nothing moves them up.
            Term::Stopping(_, base) => Some(self.timing().deadlines(base)),
            Term::None | Term::Over => None,
        }
    }

    /// The next moment at which [`Tenure::look_at_clock`] would do something.
    pub(crate) fn next_look(&self) -> Option<Moment> {
        let term = match self.term {
            Term::Leading(_) => self.lease.deadlines().map(|d| d.term),
            Term::Stopping(_, base) => Some(self.timing().deadlines(base).safe),
            Term::None | Term::Over => None,
        };
        [term, self.pulse.gives_up()].into_iter().flatten().min()
    }
}

/// A code that says nothing of the request, not even whether it will be carried out.
pub(crate) fn is_of_the_server(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Code(CONNECTION_LOSS | OPERATION_TIMEOUT | SESSION_EXPIRED | SESSION_MOVED | THROTTLED)
    )
}

/// A refusal that waiting does not mend, unless it speaks of the session rather than of the request.
pub(crate) fn refused(tenure: &mut Tenure, action: &'static str, refusal: Refusal) {
    let error = match refusal {
        refusal if is_of_the_server(refusal) => return tenure.give_up_connection(),
        Refusal::NoAuth => Error::NoPermission { action },
        Refusal::InvalidAcl => Error::InvalidAcl,
        Refusal::NoChildrenForEphemerals => Error::PathIsEphemeral,
        Refusal::NoNode => Error::Refused { action, code: -101 },
        Refusal::NodeExists => Error::Refused { action, code: -110 },
        Refusal::Code(code) => Error::Refused { action, code },
    };
    tenure.fail(error);
}
