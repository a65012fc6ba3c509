//! Evidence of one won term.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use elector_core::{Lost, Token};
use tokio::sync::{mpsc, oneshot};

use crate::driver::Command;
use crate::error::{ResignError, WriteError};
use crate::term::Term;
use crate::write::Write;

/// [`Leadership::guard`] gives up so long before the lease ends: timers lag.
const GUARD_EARLY: Duration = Duration::from_millis(250);

/// Evidence that this candidate won a term, and the means to hold, use and end it.
///
/// It is never un-lost: once [`check`](Self::check) was false because the term ended, it stays
/// false, and a new term needs a new campaign. Dropping it makes every [`Fence`] false and then
/// resigns in the background: drop it only when the work has stopped.
///
/// On connection loss the term goes on while its lease lasts, and no longer.
#[must_use = "dropping a leadership resigns it"]
pub struct Leadership {
    term: Arc<Term>,
    commands: mpsc::Sender<Command>,
    election: Arc<str>,
}

impl Leadership {
    pub(crate) fn new(term: Arc<Term>, commands: mpsc::Sender<Command>, election: Arc<str>) -> Leadership {
        Leadership { term, commands, election }
    }

    /// The term's fencing token. Send it with each write, and let the storage refuse a lower one
    /// than it has seen.
    pub fn token(&self) -> Token {
        self.term.token()
    }

    /// The election's path.
    pub fn election(&self) -> &str {
        &self.election
    }

    /// Whether acting for this term is safe at this moment, judged by the clock when asked. A
    /// starved driver cannot leave a stale yes. Costs one read of the clock.
    pub fn check(&self) -> bool {
        self.term.check()
    }

    /// What is left of the lease at this moment: nobody may act for this term after it. It moves
    /// while the servers answer; zero once the term is over.
    pub fn remaining(&self) -> Duration {
        self.term.remaining()
    }

    /// Waits until the work must stop: [`stop_early`](crate::Builder::stop_early) before the lease
    /// ends, or at once when the term is lost otherwise.
    ///
    /// Cancel safe.
    pub async fn ending(&self) -> Lost {
        self.term.ending().await
    }

    /// Waits until the term is over, by the lease's end or at once by the session's end, the
    /// deletion of the znode and the like. Whatever still acts then is too late.
    ///
    /// Cancel safe.
    pub async fn lost(&self) -> Lost {
        self.term.over().await
    }

    /// Runs `work` while the term lasts; drops it at least 250 ms before the lease ends, or as soon
    /// as the term is lost otherwise, or, with [`OnDisconnect::Stop`](crate::OnDisconnect::Stop), when
    /// the connection is lost. The clock is looked at before each poll of `work`, so that neither a
    /// suspended machine nor a starved runtime lets it go on.
    ///
    /// Dropping a future stops it at its next await: work that blocks, and tasks that it spawned,
    /// go on. Give those a [`Fence`], and the storage the token.
    ///
    /// # Errors
    /// Why the term ended before the work did.
    pub async fn guard<F: Future>(&self, work: F) -> Result<F::Output, Lost> {
        let mut dropping = pin!(self.term.dropping(GUARD_EARLY));
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(why) = dropping.as_mut().poll(cx) {
                return Poll::Ready(Err(why));
            }
            // A timer may be late; the clock is not.
            if let Some(why) = self.term.must_drop(GUARD_EARLY) {
                return Poll::Ready(Err(why));
            }
            work.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// A cheap copy of the evidence for tasks of this term.
    pub fn fence(&self) -> Fence {
        Fence { term: Arc::clone(&self.term) }
    }

    /// Writes into the same ensemble, all or nothing, and only while this term's znode exists: a
    /// stale leader's write fails in the store.
    ///
    /// Cancelling it after its first poll leaves the outcome unknown.
    ///
    /// # Errors
    /// See [`WriteError`]; after a connection loss the outcome may be unknown, and nothing is
    /// written again by itself.
    pub async fn write(&self, operations: Vec<Write>) -> Result<(), WriteError> {
        let gone = || WriteError::NotLeading(self.term.why().unwrap_or(Lost::NoQuorum));
        if !self.check() {
            return Err(gone());
        }
        let (reply, answer) = oneshot::channel();
        let command = Command::Write { token: self.token(), operations, reply };
        if self.commands.send(command).await.is_err() {
            return Err(gone());
        }
        answer.await.unwrap_or(Err(WriteError::OutcomeUnknown))
    }

    /// Ends the term. Call it when the work has stopped: every [`Fence`] is false from here on, and
    /// then the znode is deleted, so that the next in line leads at once.
    ///
    /// Returns when nothing of this term is left in the election, or when its session was given up
    /// unheard and can only end by its timeout. While no server answers it goes on trying; cancelling
    /// it leaves that to the driver.
    ///
    /// # Errors
    /// [`ResignError::Unconfirmed`] if the driver ended first.
    pub async fn resign(self) -> Result<(), ResignError> {
        self.term.release();
        if self.term.gone().await { Ok(()) } else { Err(ResignError::Unconfirmed) }
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.term.release();
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leadership")
            .field("election", &self.election)
            .field("token", &self.token())
            .field("remaining", &self.remaining())
            .finish()
    }
}

/// A cheap copy of a [`Leadership`]'s evidence, for spawned tasks and threads.
///
/// It cannot resign, and is false as soon as its leadership is lost, resigned or dropped.
#[derive(Clone)]
pub struct Fence {
    term: Arc<Term>,
}

impl Fence {
    /// The term's fencing token.
    pub fn token(&self) -> Token {
        self.term.token()
    }

    /// Whether acting for this term is safe at this moment, judged by the clock when asked.
    pub fn check(&self) -> bool {
        self.term.check()
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence").field("token", &self.token()).field("check", &self.check()).finish()
    }
}
