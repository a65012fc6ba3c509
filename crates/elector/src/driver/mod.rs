//! The one task that owns a candidate and its session.
//!
//! Purpose: carry what happens on the session to the [`Candidate`], and what it decides back, one
//! input at a time. Invariant: nobody else touches either; callers hold channels and a [`Term`].
//! It decides nothing about elections.

mod act;
mod ask;
mod happen;
mod names;

use std::collections::BTreeMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use elector_core::{Candidate, Entropy, Input, Layout, Margins, Moment, OnDisconnect, RequestId, Timing};
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use zk_session::wire::Acl;
use zk_session::{Clock, Connector, Credential, Session};

use crate::elector::{Elector, Handles};
use crate::error::{CampaignError, StartError, WriteError};
use crate::estate::Estate;
use crate::leadership::Leadership;
use crate::place::Place;
use crate::role::{Notice, Role};
use crate::term::{LOOK_EVERY, Now, Term};
use crate::write::Write;
use names::Neighbours;

/// Calls that may wait for the driver; a caller beyond that waits, or is told that it is busy.
const MAILBOX: usize = 64;
/// Guarded writes that may be under way: the probes that keep the lease need room beside them.
const WRITES: usize = 256;
/// The bytes of guarded writes that may be under way, unless it is a single one.
const WRITE_BYTES: usize = 1 << 20;
/// Notices that a slow reader may lag behind before it misses the oldest.
const NOTICES: usize = 256;

/// What callers ask of the driver. What a drop asks goes by [`Term`] and by closed channels instead,
/// since a drop cannot wait for room.
pub(crate) enum Command {
    Campaign {
        reply: oneshot::Sender<Result<Leadership, CampaignError>>,
    },
    Write {
        token: elector_core::Token,
        operations: Vec<Write>,
        reply: oneshot::Sender<Result<(), WriteError>>,
    },
    Close {
        done: oneshot::Sender<()>,
    },
}

/// Whether a server was reached.
#[derive(Debug, Clone)]
pub(crate) enum Reach {
    /// Not yet, or not now; with the last failed round.
    Trying(Vec<(String, String)>),
    Attached,
    /// No retry mends this.
    Failed(CampaignError),
}

/// What the candidate is told at its start.
pub(crate) struct Settings {
    pub(crate) place: Place,
    pub(crate) credentials: Vec<Credential>,
    pub(crate) path: Arc<str>,
    pub(crate) id: Arc<str>,
    pub(crate) layout: Layout,
    pub(crate) timeout: Duration,
    pub(crate) margins: Margins,
    /// One server is the whole place: its reads prove what elsewhere takes a quorum.
    pub(crate) alone: bool,
    pub(crate) on_disconnect: OnDisconnect,
    pub(crate) acl: Vec<Acl>,
    /// For the path under which znodes are made, should it be missing.
    pub(crate) path_acl: Vec<Acl>,
    pub(crate) name_neighbours: bool,
}

impl Settings {
    pub(crate) fn timing(&self) -> Timing {
        Timing::new(self.timeout, &self.margins)
    }
}

/// A driver at work: it runs while somebody polls it.
pub(crate) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts a driver and returns the caller's end.
pub(crate) fn start<C: Connector, K: Clock>(
    session: impl FnOnce() -> Session<C, K> + Send + 'static,
    settings: Settings,
    own_thread: bool,
) -> Result<Elector, StartError> {
    let (elector, driver) = assemble(session, settings, Entropy::new(random));
    if own_thread {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StartError::Thread(error.to_string()))?;
        std::thread::Builder::new()
            .name("elector".to_owned())
            .spawn(move || runtime.block_on(driver()))
            .map_err(|error| StartError::Thread(error.to_string()))?;
    } else {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        runtime.spawn(driver());
    }
    Ok(elector)
}

/// The caller's end, and what makes the driver that somebody has to run.
pub(crate) fn assemble<C: Connector, K: Clock>(
    session: impl FnOnce() -> Session<C, K> + Send + 'static,
    settings: Settings,
    entropy: Entropy,
) -> (Elector, impl FnOnce() -> Running + Send + 'static) {
    let (sender, commands) = mpsc::channel(MAILBOX);
    let (role, roles) = watch::channel(Role::Idle);
    let (reach, reached) = watch::channel(Reach::Trying(Vec::new()));
    let notices = broadcast::Sender::new(NOTICES);
    let weak = sender.downgrade();
    let (estate, estates) = watch::channel(None);
    let elector = Elector::new(Handles::new(&settings, sender, roles, reached, notices.clone(), estates));
    let shown = Shown { role, reach, notices, estate };
    let driver = move || -> Running {
        Box::pin(Driver::new(session(), settings, entropy, (commands, weak), shown).run())
    };
    (elector, driver)
}

/// What is shown to everybody outside.
struct Shown {
    role: watch::Sender<Role>,
    reach: watch::Sender<Reach>,
    notices: broadcast::Sender<Notice>,
    estate: watch::Sender<Option<Estate>>,
}

/// What an outstanding request of the session is for.
enum UnderWay {
    Core(RequestId),
    Write { reply: oneshot::Sender<Result<(), WriteError>>, bytes: usize },
    Name(String),
}

struct Driver<C: Connector, K: Clock> {
    session: Session<C, K>,
    candidate: Candidate,
    settings: Settings,
    now: Now,
    commands: mpsc::Receiver<Command>,
    senders: mpsc::WeakSender<Command>,
    role: watch::Sender<Role>,
    reach: watch::Sender<Reach>,
    notices: broadcast::Sender<Notice>,
    estate: watch::Sender<Option<Estate>>,
    /// Woken when a [`Term`] is released.
    released: Arc<Notify>,
    under_way: BTreeMap<zk_session::RequestId, UnderWay>,
    /// Requests of the candidate that the session did not take: told as unanswered when the
    /// connection's end is.
    unsent: Vec<RequestId>,
    campaign: Option<oneshot::Sender<Result<Leadership, CampaignError>>>,
    term: Option<Arc<Term>>,
    /// A leadership was given to its campaign just now.
    handed_over: bool,
    neighbours: Neighbours,
    /// The candidate is leaving; a new campaign begins when it has left.
    leaving: bool,
    /// No campaign can succeed any more.
    failed: Option<CampaignError>,
    /// Timeouts that were warned of.
    warned: Option<Timing>,
    attached: bool,
    mailbox_open: bool,
    closing: Option<Vec<oneshot::Sender<()>>>,
    finished: bool,
}

impl<C: Connector, K: Clock> Driver<C, K> {
    fn new(
        session: Session<C, K>,
        settings: Settings,
        entropy: Entropy,
        (commands, senders): (mpsc::Receiver<Command>, mpsc::WeakSender<Command>),
        shown: Shown,
    ) -> Driver<C, K> {
        let clock = session.clock().clone();
        let candidate = Candidate::new(
            settings.layout,
            settings.timeout,
            settings.margins,
            settings.on_disconnect,
            entropy,
        );
        Driver {
            session,
            candidate,
            settings,
            now: Arc::new(move || clock.now()),
            commands,
            senders,
            role: shown.role,
            reach: shown.reach,
            notices: shown.notices,
            estate: shown.estate,
            released: Arc::new(Notify::new()),
            under_way: BTreeMap::new(),
            unsent: Vec::new(),
            campaign: None,
            term: None,
            handed_over: false,
            neighbours: Neighbours::default(),
            leaving: false,
            failed: None,
            warned: None,
            attached: false,
            mailbox_open: true,
            closing: None,
            finished: false,
        }
    }

    async fn run(mut self) {
        let clock = self.session.clock().clone();
        while !self.finished {
            if std::mem::take(&mut self.handed_over) {
                // Whoever waited for the leadership goes on before the first probe takes its time.
                tokio::task::yield_now().await;
                self.carry_out();
            }
            // The next in line waits for a delete, and nobody for what is shown outside.
            self.session.flush();
            // One a turn, so that neither callers nor servers keep the others waiting.
            if let Ok(command) = self.commands.try_recv() {
                self.command(command);
            }
            self.publish();
            let wake = self.candidate.next_wake(self.moment());
            let sleep = wake.map(|at| at.since(self.moment()));
            // The timer stands still while the machine is suspended; a term must not.
            let sleep = sleep.map(|time| if self.term.is_some() { time.min(LOOK_EVERY) } else { time });
            let open = self.mailbox_open;
            let Driver { session, commands, released, campaign, .. } = &mut self;
            // In a fixed order, so that a simulated world takes the same course each time. Whatever the session
            // brings looks at the clock too, so the timer may come behind it.
            tokio::select! {
                biased;
                () = released.notified() => self.released(),
                () = withdrawn(campaign) => self.withdraw(),
                batch = session.next() => {
                    for happening in batch {
                        self.happened(happening);
                    }
                    if !self.session.has_buffered_frames() {
                        self.step(Input::Drained);
                    }
                }
                () = after(&clock, sleep) => self.step(Input::Wake),
                command = commands.recv(), if open => match command {
                    Some(command) => self.command(command),
                    None => {
                        self.mailbox_open = false;
                        self.close(None);
                    }
                },
            }
        }
    }

    fn moment(&self) -> Moment {
        Moment::from_origin((self.now)())
    }

    fn notice(&self, notice: Notice) {
        // Nobody may be listening, which is no error.
        let _unheard = self.notices.send(notice);
    }

    fn warn(&self, warning: impl ToString) {
        self.notice(Notice::Warning(warning.to_string()));
    }

    /// Shows the present state to everybody outside.
    fn publish(&mut self) {
        if let (Some(term), Some(deadlines)) = (&self.term, self.candidate.deadlines()) {
            term.publish(deadlines);
        }
        let now = self.moment();
        let pace = self.candidate.pace(now);
        self.session.set_pace(zk_session::Pace {
            ping_every: pace.ping_every,
            urgency: match pace.hurry_until {
                Some(until) => zk_session::Urgency::Until(until.since_origin()),
                // No crowd on one machine needs to be spread out, and its next server is up at once.
                None if self.settings.alone => zk_session::Urgency::Until(Duration::MAX),
                None => zk_session::Urgency::Relaxed,
            },
        });
        self.name_the_nearest();
        let role = self.present_role();
        self.role.send_if_modified(|shown| {
            let changed = *shown != role;
            if changed {
                *shown = role;
            }
            changed
        });
    }
}

impl<C: Connector, K: Clock> Drop for Driver<C, K> {
    fn drop(&mut self) {
        if let Some(term) = &self.term {
            term.abandon();
        }
        self.role.send_replace(Role::Closed);
    }
}

/// Random bits from the operating system: a guid must differ from every other process's.
fn random() -> u64 {
    // Without it no znode could be told from another's; a panic ends the driver, and with it any term.
    getrandom::u64().expect("the operating system gives random numbers")
}

/// Waits until the campaign was dropped by its caller.
async fn withdrawn(campaign: &mut Option<oneshot::Sender<Result<Leadership, CampaignError>>>) {
    match campaign {
        Some(reply) => reply.closed().await,
        None => pending().await,
    }
}

async fn after<K: Clock>(clock: &K, time: Option<Duration>) {
    match time {
        Some(time) => clock.sleep(time).await,
        None => pending().await,
    }
}
