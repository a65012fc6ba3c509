//! What the pipeline and the task of one connection share.
//!
//! Invariant: the outbox holds whole frames, in the order in which the pipeline made them, and never more
//! than [`UNSENT`] bytes: who does not read is ended, and holds up nobody. The pipeline never waits for a
//! connection.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::Notify;

use crate::config::Ended;
use crate::state::ConnectionId;

/// Bytes that may wait for one client to read them.
pub(crate) const UNSENT: usize = 16 << 20;
/// Bytes that may wait for all clients together...
pub(crate) const UNSENT_IN_ALL: usize = 32 << 20;
/// ...before those for whom more than this waits are ended.
pub(crate) const UNSENT_WHEN_SCARCE: usize = 1 << 20;
/// Bytes of answers that the requests under way of one connection may be expected to take.
const EXPECTED_ANSWERS: usize = 8 << 20;
/// Requests of one connection that may be under way, depending on how long its answers are.
const UNDER_WAY: (usize, usize) = (4, 128);
/// How long an answer is taken to be until there was one.
const FIRST_GUESS: usize = 1 << 20;

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The answer to the handshake is not out: requests have to wait.
    Handshake,
    Serving,
    /// What is in the outbox goes out, then it is over.
    Ending,
    /// It is over at once.
    Dropped,
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: ConnectionId,
    /// For humans: address and port.
    pub(crate) peer: String,
    /// Wakes the connection's task: there is something in the outbox, or a new phase.
    pub(crate) wake: Notify,
    outbox: Mutex<Outbox>,
    /// When a frame last came in, in microseconds since the server's origin.
    heard: AtomicU64,
    /// Nothing can come in for now, since the pipeline has enough to do.
    held_up: AtomicBool,
    /// Requests that the pipeline has not answered yet.
    under_way: AtomicUsize,
    /// Bytes in the outbox and in the task's own buffer.
    unsent: AtomicUsize,
    expected_answer: AtomicUsize,
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
}

#[derive(Debug)]
struct Outbox {
    bytes: BytesMut,
    phase: Phase,
}

/// What a turn of the pipeline has for one connection.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// Whole frames.
    pub(crate) bytes: BytesMut,
    /// How many of them.
    pub(crate) frames: u64,
    /// Requests that were dealt with.
    pub(crate) requests: usize,
    /// The longest frame.
    pub(crate) longest: usize,
    /// The phase that begins with these frames, if it is a new one.
    pub(crate) phase: Option<Phase>,
}

impl Link {
    pub(crate) fn new(id: ConnectionId, peer: String) -> Self {
        Self {
            id,
            peer,
            wake: Notify::new(),
            outbox: Mutex::new(Outbox { bytes: BytesMut::new(), phase: Phase::Handshake }),
            heard: AtomicU64::new(0),
            held_up: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            unsent: AtomicUsize::new(0),
            expected_answer: AtomicUsize::new(FIRST_GUESS),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }

    /// A frame came in.
    pub(crate) fn hear(&self, elapsed: Duration) {
        self.heard.store(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), Ordering::Release);
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    /// When a frame last came in.
    pub(crate) fn heard(&self) -> Duration {
        Duration::from_micros(self.heard.load(Ordering::Acquire))
    }

    /// Whether another request may be handed to the pipeline.
    pub(crate) fn has_room(&self) -> bool {
        !self.is_behind() && self.unsent() < UNSENT_WHEN_SCARCE / 4
    }

    /// Whether the pipeline has as many requests of this connection as it may have.
    pub(crate) fn is_behind(&self) -> bool {
        let expected = self.expected_answer.load(Ordering::Relaxed).max(1);
        let most = (EXPECTED_ANSWERS / expected).clamp(UNDER_WAY.0, UNDER_WAY.1);
        self.under_way() >= most
    }

    /// Says whether the connection's task waits for the pipeline, so that it reads no pings. It must be for
    /// the pipeline only: a client that does not read is not held up, or it would keep its session.
    pub(crate) fn set_held_up(&self, held_up: bool) {
        self.held_up.store(held_up, Ordering::Release);
    }

    pub(crate) fn is_held_up(&self) -> bool {
        self.held_up.load(Ordering::Acquire)
    }

    /// A request is handed to the pipeline.
    pub(crate) fn begin_request(&self) {
        self.under_way.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Acquire)
    }

    pub(crate) fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }

    /// The task has put this much into its own buffer: the answer to a ping.
    pub(crate) fn add_unsent(&self, bytes: usize, all: &AtomicUsize) {
        self.unsent.fetch_add(bytes, Ordering::Relaxed);
        all.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The task has written this much to the socket, or has given it up.
    pub(crate) fn wrote(&self, bytes: usize, all: &AtomicUsize) {
        self.unsent.fetch_sub(bytes, Ordering::Relaxed);
        all.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Puts frames into the outbox, from which the client sees them. Fails if too much waits there already.
    pub(crate) fn deliver(&self, mut delivery: Delivery, all: &AtomicUsize) -> Result<(), Ended> {
        let outcome = self.put(&mut delivery, all);
        self.sent.fetch_add(delivery.frames, Ordering::Relaxed);
        if delivery.requests > 0 {
            let before = self.expected_answer.load(Ordering::Relaxed);
            self.expected_answer.store(delivery.longest.max(before / 2), Ordering::Relaxed);
            self.under_way.fetch_sub(delivery.requests, Ordering::AcqRel);
        }
        self.wake.notify_one();
        outcome
    }

    fn put(&self, delivery: &mut Delivery, all: &AtomicUsize) -> Result<(), Ended> {
        let mut outbox = self.outbox.lock().expect("nobody panics while holding it");
        if outbox.phase == Phase::Dropped {
            return Ok(());
        }
        let waiting = self.unsent() + delivery.bytes.len();
        let scarce = all.load(Ordering::Relaxed) + delivery.bytes.len() > UNSENT_IN_ALL;
        if waiting > UNSENT || scarce && waiting > UNSENT_WHEN_SCARCE {
            outbox.phase = Phase::Dropped;
            return Err(Ended::Slow(waiting));
        }
        self.add_unsent(delivery.bytes.len(), all);
        if outbox.bytes.is_empty() {
            outbox.bytes = std::mem::take(&mut delivery.bytes);
        } else {
            outbox.bytes.extend_from_slice(&delivery.bytes);
        }
        if let Some(phase) = delivery.phase {
            outbox.phase = phase;
        }
        Ok(())
    }

    /// It is over at once.
    pub(crate) fn drop_now(&self) {
        self.outbox.lock().expect("nobody panics while holding it").phase = Phase::Dropped;
        self.wake.notify_one();
    }

    /// Moves what is in the outbox to the end of `out`.
    pub(crate) fn take(&self, out: &mut BytesMut) -> Phase {
        let mut outbox = self.outbox.lock().expect("nobody panics while holding it");
        if out.is_empty() {
            std::mem::swap(out, &mut outbox.bytes);
        } else {
            out.extend_from_slice(&outbox.bytes);
        }
        outbox.bytes = BytesMut::new();
        outbox.phase
    }
}
