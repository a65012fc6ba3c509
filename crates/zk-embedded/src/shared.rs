//! What the two threads of a server share: the queue between them, the clock, and counters.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use zk_wire::{ConnectRequest, RequestHeader};

use crate::config::{Config, Ended, Notice, Notices};
use crate::link::Link;
use crate::state::{ConnectionId, Moment};

/// Messages that may wait for the pipeline. Connections wait when there are as many.
pub(crate) const QUEUE: usize = 1024;
/// Bytes of long frames that may be on their way in or in the queue, in [`BUDGET_UNIT`]s.
const INPUT_BUDGET: usize = (12 << 20) / BUDGET_UNIT;
/// The unit of that budget, in bytes.
pub(crate) const BUDGET_UNIT: usize = 1 << 10;

/// That clients are turned away is said so often.
const TELL_FULL: Duration = Duration::from_secs(60);

/// Descriptors that connections leave to the journal and to the rest of the process: a server that could not
/// open its next segment would have to end.
const DESCRIPTORS_LEFT: u64 = 128;

/// The edge looks so often whether it was let run.
const BEAT: Duration = Duration::from_millis(50);
/// Later than planned by more than this is a pause that counts for nobody. Shorter ones cost no client that
/// pings its session: what it sent meanwhile is read before anything ends. If they counted, a busy machine
/// would keep the sessions of the dead.
const PAUSE: Duration = Duration::from_millis(200);

/// What the pipeline is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// A connection whose first frame is here.
    Opened {
        link: Arc<Link>,
        address: IpAddr,
        handshake: ConnectRequest,
    },
    Request {
        connection: ConnectionId,
        header: RequestHeader,
        /// Read when its turn comes: in memory a request takes many times its bytes.
        body: Bytes,
        received: Duration,
        /// Given back when the request is dealt with.
        _budget: Option<OwnedSemaphorePermit>,
    },
    /// A connection is gone.
    Closed(ConnectionId),
    /// Every frame that had arrived when this was asked for has been heard by now.
    Swept {
        asked: Duration,
    },
    Word {
        word: Word,
        answer: oneshot::Sender<String>,
    },
    Control(Control),
}

/// Four-letter words that only the pipeline can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Srvr,
    Stat,
    Mntr,
}

/// What the owner of a server asks for.
#[derive(Debug)]
pub(crate) enum Control {
    ExpireSession {
        session: i64,
        done: oneshot::Sender<bool>,
    },
    /// The pipeline stands still until the other end is dropped.
    Hold {
        held: oneshot::Sender<()>,
        until: std::sync::mpsc::Receiver<()>,
    },
    Stop,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: mpsc::Sender<Message>,
    pub(crate) config: Config,
    origin: Instant,
    /// The last zxid that clients may know of: its record is on disk.
    pub(crate) released: AtomicI64,
    /// Bytes that wait for all clients.
    pub(crate) unsent: Arc<AtomicUsize>,
    pub(crate) input_budget: Arc<Semaphore>,
    /// Frames, for the four-letter words.
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    /// How long the edge has stood still so far, in microseconds.
    paused: AtomicU64,
    next_connection: AtomicU64,
    /// Connections at a time.
    room: usize,
    guests: Mutex<HashMap<IpAddr, usize>>,
    /// When it was last said that clients are turned away.
    full_told: Mutex<Option<Duration>>,
}

impl Shared {
    pub(crate) fn new(config: Config, queue: mpsc::Sender<Message>, released: i64, origin: Instant) -> Self {
        Self {
            queue,
            room: config.connections.min(descriptors()),
            // One frame at least, however long they may be.
            input_budget: Arc::new(Semaphore::new(INPUT_BUDGET.max(config.frame_bytes / BUDGET_UNIT + 1))),
            config,
            origin,
            released: AtomicI64::new(released),
            unsent: Arc::new(AtomicUsize::new(0)),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            paused: AtomicU64::new(0),
            next_connection: AtomicU64::new(1),
            guests: Mutex::new(HashMap::new()),
            full_told: Mutex::new(None),
        }
    }

    /// Since the server's origin; never falls.
    pub(crate) fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(crate) fn now(&self) -> Moment {
        moment(self.elapsed())
    }

    /// How long the edge has stood still so far.
    pub(crate) fn paused(&self) -> Duration {
        Duration::from_micros(self.paused.load(Ordering::Acquire))
    }

    /// Runs on the edge and notices when it was not let run, as when the process is stopped.
    pub(crate) async fn watch_pauses(&self) {
        loop {
            let planned = self.elapsed() + BEAT;
            tokio::time::sleep(BEAT).await;
            let late = self.elapsed().saturating_sub(planned);
            if late > PAUSE {
                self.paused.fetch_add(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::AcqRel);
            }
        }
    }

    pub(crate) fn notices(&self) -> &Notices {
        &self.config.notices
    }

    /// Connections that there may be at a time.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// Somebody was turned away because there are as many as there may be.
    pub(crate) fn tell_full(&self, why: impl Into<Ended>) {
        let now = self.elapsed();
        let mut told = self.full_told.lock().expect("nobody panics while holding it");
        if told.is_none_or(|told| now > told + TELL_FULL) {
            *told = Some(now);
            drop(told);
            self.notices().tell(Notice::Full(why.into()));
        }
    }

    pub(crate) fn new_connection(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// Lets a connection in, if there is room for it.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Guest, Ended> {
        let mut guests = self.guests.lock().expect("nobody panics while holding it");
        let all: usize = guests.values().sum();
        let same = guests.entry(address).or_default();
        if all >= self.room || *same >= self.config.connections_per_address {
            return Err(Ended::TooMany);
        }
        *same += 1;
        Ok(Guest { shared: Arc::clone(self), address })
    }

    /// Connections at the moment, those that ask a four-letter word included.
    pub(crate) fn guests(&self) -> usize {
        self.guests.lock().expect("nobody panics while holding it").values().sum()
    }
}

/// How many connections the process has descriptors for, some left for others.
fn descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(DESCRIPTORS_LEFT).max(limit / 2)).unwrap_or(usize::MAX)
}

/// The wall clock beside the other one.
pub(crate) fn moment(elapsed: Duration) -> Moment {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment { wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX), elapsed }
}

/// A connection's place among those that may be open at a time; given back when dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    shared: Arc<Shared>,
    pub(crate) address: IpAddr,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = self.shared.guests.lock().expect("nobody panics while holding it");
        if let Some(same) = guests.get_mut(&self.address) {
            *same -= 1;
            if *same == 0 {
                guests.remove(&self.address);
            }
        }
    }
}
