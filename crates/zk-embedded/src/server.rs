//! A running server: two threads, and the handle that starts and stops them. A third one is there while a
//! snapshot is made.
//!
//! The edge thread has all sockets; the pipeline thread has the state and the journal. Neither runs on the
//! caller's runtime, so that a busy program does not cost its clients their sessions.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};

use crate::accept::{self, Local};
use crate::config::{Config, Listener, Notice, Storage};
use crate::journal::{self, Journal, OpenError, Recovery};
use crate::pipeline::{Fatal, Pipeline};
use crate::shared::{Control, Message, QUEUE, Shared, moment};
use crate::state::{Effects, Limits, ReplayError, State};

/// A server that did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal could not be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The journal's files are whole, but what stands in them is not what this version writes.
    #[error("record 0x{zxid:x}: {source}")]
    Replay {
        /// Which record; that of the snapshot if it is the snapshot.
        zxid: u64,
        /// What is wrong with it.
        source: ReplayError,
    },
    /// The journal could not be written.
    #[error(transparent)]
    Write(#[from] journal::JournalError),
    /// The system refused a thread, or the sockets cannot be used.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A running server. Dropped, it stops.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    pipeline: Option<JoinHandle<Option<State>>>,
    edge: Option<Edge>,
    failure: watch::Receiver<Option<Arc<Fatal>>>,
}

/// The thread with the sockets; it ends when the sender is dropped.
#[derive(Debug)]
struct Edge {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Starts a server: opens the journal and replays it, then serves. Blocks for as long as the replay takes.
    ///
    /// # Errors
    /// The journal cannot be opened, is damaged, or is in use by another process; or the system has no
    /// threads or descriptors left.
    pub fn start(config: Config, listeners: Vec<Listener>) -> Result<Self, StartError> {
        Self::start_then_bind(config, || Ok(listeners))
    }

    /// Starts a server whose sockets are bound only when the journal's directory is locked and replayed: for
    /// a socket that belongs to whoever has the directory.
    ///
    /// # Errors
    /// As [`Server::start`]; also what `bind` returns. The directory is free again then.
    pub fn start_then_bind(
        config: Config,
        bind: impl FnOnce() -> io::Result<Vec<Listener>>,
    ) -> Result<Self, StartError> {
        Self::start_from(config, None, || bind()?.into_iter().map(acceptor).collect())
    }

    /// The same in a directory that the caller has locked, for those who had to wait for it. The journal is
    /// there, wherever `config.storage` is, and within that storage's limits.
    ///
    /// # Errors
    /// As [`Server::start_then_bind`].
    pub fn start_locked(
        config: Config,
        directory: journal::Directory,
        bind: impl FnOnce() -> io::Result<Vec<Listener>>,
    ) -> Result<Self, StartError> {
        let limits = config.storage.as_ref().map_or_else(journal::Limits::default, |storage| storage.limits);
        let opened = Journal::open_on(Arc::new(directory), limits)?;
        Self::start_on(config, Some(opened), None, || bind()?.into_iter().map(acceptor).collect())
    }

    /// The same with a state to begin with if there is no journal.
    pub(crate) fn start_from(
        config: Config,
        state: Option<State>,
        bind: impl FnOnce() -> io::Result<Vec<Acceptor>>,
    ) -> Result<Self, StartError> {
        let open = |storage: &Storage| Journal::open(&storage.directory, storage.limits);
        let opened = config.storage.as_ref().map(open).transpose()?;
        Self::start_on(config, opened, state, bind)
    }

    fn start_on(
        config: Config,
        opened: Option<(Journal, Recovery)>,
        state: Option<State>,
        bind: impl FnOnce() -> io::Result<Vec<Acceptor>>,
    ) -> Result<Self, StartError> {
        let origin = Instant::now();
        let (mut state, mut journal) = match opened {
            Some((journal, recovery)) => (recover(&config, recovery)?, Some(journal)),
            None => (state.unwrap_or_else(|| fresh(&config)), None),
        };
        begin(&config, &mut state, journal.as_mut(), origin)?;
        let acceptors = bind()?;

        let (queue, messages) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::new(config, queue, state.last_zxid(), origin));
        let (tell, failure) = watch::channel(None);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let pipeline = Pipeline::new(state, journal, Arc::clone(&shared), messages, runtime.handle().clone());
        let (stop, stopped) = oneshot::channel();
        let edge_shared = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("zk-edge".to_owned())
            .spawn(move || run_edge(&runtime, acceptors, &edge_shared, stopped))?;
        // From here on the edge is stopped if anything fails.
        let mut server = Self { shared, pipeline: None, edge: Some(Edge { stop, thread }), failure };
        let clock = Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new()
            .name("zk-pipeline".to_owned())
            .spawn(move || run_pipeline(&clock, pipeline, &tell))?;
        server.pipeline = Some(thread);
        Ok(server)
    }

    /// Waits until the server has ended by itself, and says why. It never ends by itself but when it cannot
    /// keep its promises any more; the process should end then.
    ///
    /// Cancel safe.
    pub async fn failed(&self) -> Arc<Fatal> {
        let mut failure = self.failure.clone();
        let seen = failure.wait_for(Option::is_some).await;
        seen.ok().and_then(|why| why.clone()).unwrap_or_else(|| Arc::new(Fatal::Panicked))
    }

    /// How many connections there may be at a time: as many as were configured, or fewer if the process may
    /// not open so many files.
    #[must_use]
    pub fn room(&self) -> usize {
        self.shared.room()
    }

    /// Ends a session as if its client had been silent for too long; whether there was such a session.
    /// Returns when the end is on disk.
    ///
    /// Blocks; in an async context call it through `spawn_blocking`.
    #[must_use]
    pub fn expire_session(&self, session: i64) -> bool {
        let (done, expired) = oneshot::channel();
        self.control(Control::ExpireSession { session, done });
        block_on(expired).unwrap_or(false)
    }

    /// Lets the server stand still, as SIGSTOP would, until what is returned is dropped.
    pub(crate) fn hold(&self) -> std::sync::mpsc::Sender<()> {
        let (release, until) = std::sync::mpsc::channel();
        let (held, is_held) = oneshot::channel();
        self.control(Control::Hold { held, until });
        let _ = block_on(is_held);
        release
    }

    /// Stops the server: what was acknowledged is on disk, and the connections are closed. The journal's
    /// directory is free when this returns. Dropping the server does the same.
    pub fn stop(mut self) {
        self.end();
    }

    /// Stops the server and returns its state, if it has not failed.
    pub(crate) fn end(&mut self) -> Option<State> {
        // The connections first: nobody is to be told of a stop by its effects.
        if let Some(Edge { stop, thread }) = self.edge.take() {
            drop(stop);
            let _ = thread.join();
        }
        let pipeline = self.pipeline.take()?;
        self.control(Control::Stop);
        pipeline.join().ok().flatten()
    }

    /// A pipeline that is gone needs no telling.
    fn control(&self, control: Control) {
        let mut message = Message::Control(control);
        // The queue may be full; the pipeline empties it in no time, or is gone.
        while let Err(mpsc::error::TrySendError::Full(back)) = self.shared.queue.try_send(message) {
            message = back;
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts accepting, on the edge's runtime.
pub(crate) type Acceptor = Box<dyn FnOnce(Arc<Shared>) -> io::Result<()> + Send>;

fn acceptor(listener: Listener) -> io::Result<Acceptor> {
    Ok(match listener {
        Listener::Tcp(listener) => {
            listener.set_nonblocking(true)?;
            Box::new(move |shared| {
                tokio::spawn(accept::serve(TcpListener::from_std(listener)?, shared));
                Ok(())
            })
        }
        Listener::Unix(listener) => {
            listener.set_nonblocking(true)?;
            Box::new(move |shared| {
                let listener = Local(UnixListener::from_std(listener)?, AtomicU64::new(1));
                tokio::spawn(accept::serve(listener, shared));
                Ok(())
            })
        }
    })
}

/// The state of a directory that was never used. Its zxids begin at the time in seconds, so that they lie above
/// those that an earlier directory in its place has given out, unless that had more than one a second: clients
/// that saw those do not come back else. A finer time would lie above the zxids of Apache's ensembles, which
/// begin at 2^32, and tokens would fall on moving to one.
fn fresh(config: &Config) -> State {
    State::new(config.limits.clone(), moment(std::time::Duration::ZERO).wall_ms / 1000)
}

fn recover(config: &Config, recovery: Recovery) -> Result<State, StartError> {
    if let Some(cut) = recovery.cut {
        config.notices.tell(Notice::Cut(cut));
    }
    for damage in recovery.damaged_snapshots {
        config.notices.tell(Notice::DamagedSnapshot(damage));
    }
    let state = replay(recovery.snapshot, recovery.records, &config.limits)?;
    Ok(state.unwrap_or_else(|| fresh(config)))
}

/// The state that a snapshot and the records after it give; `None` if there is neither.
pub(crate) fn replay(
    snapshot: Option<(u64, Vec<u8>)>,
    records: impl Iterator<Item = Result<(u64, Vec<u8>), OpenError>>,
    limits: &Limits,
) -> Result<Option<State>, StartError> {
    let mut state = None;
    if let Some((zxid, content)) = snapshot {
        let decoded = State::from_snapshot(&content, limits.clone());
        state = Some(decoded.map_err(|source| StartError::Replay { zxid, source })?);
    }
    for record in records {
        let (zxid, record) = record?;
        let number = i64::try_from(zxid).unwrap_or(i64::MAX);
        // The first record of all says where a fresh state had begun.
        let state = state.get_or_insert_with(|| State::new(limits.clone(), number - 1));
        state.replay(number, &record).map_err(|source| StartError::Replay { zxid, source })?;
    }
    Ok(state)
}

/// What has to be done before anybody is served.
fn begin(
    config: &Config,
    state: &mut State,
    journal: Option<&mut Journal>,
    origin: Instant,
) -> Result<(), StartError> {
    let now = moment(origin.elapsed());
    let mut effects = Effects::default();
    if let Some(boot) = &config.boot {
        state.begin_boot(boot, now, &mut effects);
    }
    state.revive(now);
    if let Some(journal) = journal {
        for (zxid, record) in effects.records {
            journal.append(u64::try_from(zxid).expect("zxids begin above 0 and rise"), &record)?;
        }
        journal.sync()?;
    }
    Ok(())
}

fn run_edge(
    runtime: &Runtime,
    acceptors: Vec<Acceptor>,
    shared: &Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        for accept in acceptors {
            if let Err(error) = accept(Arc::clone(shared)) {
                shared.notices().tell(Notice::NoAccept(error));
            }
        }
        // Ends by the other end being dropped, or by the pipeline's failure.
        tokio::select! {
            _ = stopped => {}
            () = shared.queue.closed() => {}
            () = shared.watch_pauses() => {}
        }
    });
}

fn run_pipeline(
    clock: &Runtime,
    pipeline: Pipeline,
    tell: &watch::Sender<Option<Arc<Fatal>>>,
) -> Option<State> {
    match clock.block_on(pipeline.run()) {
        Ok(state) => Some(state),
        Err(fatal) => {
            tell.send_replace(Some(Arc::new(fatal)));
            None
        }
    }
}

/// Waits on a thread that may belong to a runtime, which tokio's own blocking receive does not allow.
fn block_on<T>(answer: oneshot::Receiver<T>) -> Option<T> {
    let mut answer = answer;
    loop {
        match answer.try_recv() {
            Ok(value) => return Some(value),
            Err(oneshot::error::TryRecvError::Closed) => return None,
            Err(oneshot::error::TryRecvError::Empty) => {
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
        }
    }
}
