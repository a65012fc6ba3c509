//! What the pipeline and the task of one connection share.
//!
//! Invariant: the outbox holds whole frames (of the first one what is not written yet), in the order in which
//! they were made, and never more than [`UNSENT`] bytes: who does not read is ended, and holds up nobody. The
//! pipeline never waits for a connection, but for the moment in which its task hands bytes to the system.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWrite;
use tokio::sync::Notify;
use zk_wire::{ErrorCode, ReplyHeader, xid};

use crate::config::Ended;
use crate::state::ConnectionId;

/// Bytes that may wait for one client to read them.
pub(crate) const UNSENT: usize = 16 << 20;
/// Bytes that may wait for all clients together, before those are ended who have read nothing for longest.
pub(crate) const UNSENT_IN_ALL: usize = 20 << 20;
/// With more than this waiting for it, a client's requests have to wait too.
const UNSENT_TO_ASK: usize = 256 << 10;
/// Bytes of answers that the requests under way of one connection may be expected to take.
const EXPECTED_ANSWERS: usize = 8 << 20;
/// Requests of one connection that may be under way, depending on how long its answers are.
const UNDER_WAY: (usize, usize) = (4, 128);
/// How long an answer is taken to be until there was one.
const FIRST_GUESS: usize = 1 << 20;
/// Bytes that a parcel takes beside its content.
const PARCEL_OVERHEAD: usize = 128;
/// Frames that are gathered in one parcel, in bytes, before the next one is begun.
const PARCEL: usize = 64 << 10;

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

/// Whole frames on their way to one client, or to many. They count among what waits for all clients until the
/// last one has them, and once.
#[derive(Debug, Clone)]
pub(crate) struct Parcel(Arc<Charged>);

#[derive(Debug)]
struct Charged {
    bytes: Bytes,
    /// What was added to `all` for it.
    taken: usize,
    all: Arc<AtomicUsize>,
}

impl Parcel {
    /// Counts the memory that `bytes` holds, which is up to twice what is in it.
    pub(crate) fn new(bytes: BytesMut, all: &Arc<AtomicUsize>) -> Self {
        let taken = bytes.capacity() + PARCEL_OVERHEAD;
        all.fetch_add(taken, Ordering::Relaxed);
        Self(Arc::new(Charged { bytes: bytes.freeze(), taken, all: Arc::clone(all) }))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.bytes.len()
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        self.all.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: ConnectionId,
    /// For humans: address and port.
    pub(crate) peer: String,
    /// Wakes the connection's task: there is something in the outbox, or a new phase.
    pub(crate) wake: Notify,
    outbox: Mutex<Outbox>,
    /// When the client was last heard of, in microseconds since the server's origin.
    heard: AtomicU64,
    /// Nothing can come in for now, since the pipeline has enough to do.
    held_up: AtomicBool,
    /// Requests that the pipeline has not answered yet.
    under_way: AtomicUsize,
    expected_answer: AtomicUsize,
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
}

#[derive(Debug)]
struct Outbox {
    parcels: VecDeque<Parcel>,
    /// How much of the first parcel is written.
    written: usize,
    /// Bytes that are not.
    unsent: usize,
    /// When the client last read something, or had read everything.
    waits_since: Duration,
    /// The zxid of what was delivered last.
    zxid: i64,
    phase: Phase,
}

impl Outbox {
    fn push(&mut self, parcel: Parcel, now: Duration) {
        if self.unsent == 0 {
            self.waits_since = now;
        }
        self.unsent += parcel.len();
        self.parcels.push_back(parcel);
    }

    /// It is over, and what waits is given back at once.
    fn drop_all(&mut self) {
        self.phase = Phase::Dropped;
        self.parcels = VecDeque::new();
        self.unsent = 0;
    }
}

/// What a turn of the pipeline has for one connection.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    parcels: Vec<Parcel>,
    /// Whole frames behind those.
    open: BytesMut,
    /// Bytes of all of them.
    pub(crate) bytes: usize,
    /// How many frames.
    pub(crate) frames: u64,
    /// Requests that were dealt with.
    pub(crate) requests: usize,
    /// The longest frame.
    longest: usize,
    /// The phase that begins with these frames, if it is a new one.
    pub(crate) phase: Option<Phase>,
}

impl Delivery {
    /// Adds a frame that `write` appends; its length.
    pub(crate) fn add(&mut self, all: &Arc<AtomicUsize>, write: impl FnOnce(&mut BytesMut)) -> usize {
        let before = self.open.len();
        write(&mut self.open);
        let length = self.open.len() - before;
        self.count(length);
        if self.open.len() >= PARCEL {
            self.seal(all);
        }
        length
    }

    /// Adds a frame that others are sent too.
    pub(crate) fn share(&mut self, all: &Arc<AtomicUsize>, parcel: Parcel) {
        self.seal(all);
        self.count(parcel.len());
        self.parcels.push(parcel);
    }

    fn count(&mut self, length: usize) {
        self.bytes += length;
        self.frames += 1;
        self.longest = self.longest.max(length);
    }

    fn seal(&mut self, all: &Arc<AtomicUsize>) {
        if !self.open.is_empty() {
            self.parcels.push(Parcel::new(std::mem::take(&mut self.open), all));
        }
    }
}

impl Link {
    pub(crate) fn new(id: ConnectionId, peer: String) -> Self {
        let outbox = Outbox {
            parcels: VecDeque::new(),
            written: 0,
            unsent: 0,
            waits_since: Duration::ZERO,
            zxid: 0,
            phase: Phase::Handshake,
        };
        Self {
            id,
            peer,
            wake: Notify::new(),
            outbox: Mutex::new(outbox),
            heard: AtomicU64::new(0),
            held_up: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            expected_answer: AtomicUsize::new(FIRST_GUESS),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }

    /// There was a sign of life.
    pub(crate) fn hear(&self, elapsed: Duration) {
        self.heard.store(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// When there last was one.
    pub(crate) fn heard(&self) -> Duration {
        Duration::from_micros(self.heard.load(Ordering::Acquire))
    }

    /// Whether another request may be handed to the pipeline, while so much waits for all clients.
    pub(crate) fn has_room(&self, all: &AtomicUsize) -> bool {
        let may_ask = || match self.unsent() {
            0 => true,
            unsent => unsent < UNSENT_TO_ASK && all.load(Ordering::Relaxed) < UNSENT_IN_ALL / 2,
        };
        !self.is_behind() && may_ask()
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

    /// Bytes that the client has to read.
    pub(crate) fn unsent(&self) -> usize {
        self.outbox().unsent
    }

    /// Since when the client has read nothing of what waits for it; `None` if nothing does.
    pub(crate) fn waits_since(&self) -> Option<Duration> {
        let outbox = self.outbox();
        (outbox.unsent > 0).then_some(outbox.waits_since)
    }

    pub(crate) fn phase(&self) -> Phase {
        self.outbox().phase
    }

    /// Puts frames, the last of which is as new as `zxid`, into the outbox. Fails if too much waits there.
    pub(crate) fn deliver(
        &self,
        mut delivery: Delivery,
        zxid: i64,
        now: Duration,
        all: &Arc<AtomicUsize>,
    ) -> Result<(), Ended> {
        delivery.seal(all);
        let (requests, longest) = (delivery.requests, delivery.longest);
        self.sent.fetch_add(delivery.frames, Ordering::Relaxed);
        let outcome = self.put(delivery, zxid, now);
        if requests > 0 {
            let before = self.expected_answer.load(Ordering::Relaxed);
            self.expected_answer.store(longest.max(before / 2), Ordering::Relaxed);
            self.under_way.fetch_sub(requests, Ordering::AcqRel);
        }
        self.wake.notify_one();
        outcome
    }

    fn put(&self, delivery: Delivery, zxid: i64, now: Duration) -> Result<(), Ended> {
        let mut outbox = self.outbox();
        if outbox.phase == Phase::Dropped {
            return Ok(());
        }
        let waiting = outbox.unsent + delivery.bytes;
        if waiting > UNSENT {
            outbox.drop_all();
            return Err(Ended::Slow(waiting));
        }
        for parcel in delivery.parcels {
            outbox.push(parcel, now);
        }
        outbox.zxid = zxid;
        outbox.phase = delivery.phase.unwrap_or(outbox.phase);
        Ok(())
    }

    /// Puts the answer to a ping behind all that was delivered. Its zxid is `released`, unless the client is
    /// about to see a later one.
    pub(crate) fn answer_ping(&self, released: i64, now: Duration, all: &Arc<AtomicUsize>) {
        let mut outbox = self.outbox();
        if outbox.phase == Phase::Dropped {
            return;
        }
        let mut frame = BytesMut::new();
        let zxid = released.max(outbox.zxid);
        ReplyHeader { xid: xid::PING, zxid, err: ErrorCode::Ok }.encode(&mut frame);
        outbox.push(Parcel::new(frame, all), now);
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// It is over at once.
    pub(crate) fn drop_now(&self) {
        self.outbox().drop_all();
        self.wake.notify_one();
    }

    /// Writes what the system takes of the outbox; pending as well if there is nothing.
    pub(crate) fn poll_write(
        &self,
        writer: Pin<&mut impl AsyncWrite>,
        now: impl FnOnce() -> Duration,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut guard = self.outbox();
        let outbox = &mut *guard;
        let Some(first) = outbox.parcels.front() else { return Poll::Pending };
        let count = ready!(writer.poll_write(context, &first.0.bytes[outbox.written..]))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        outbox.written += count;
        outbox.unsent -= count;
        outbox.waits_since = now();
        if outbox.written == first.len() {
            outbox.parcels.pop_front();
            outbox.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().expect("nobody panics while holding it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_ping_comes_after_what_it_tells_of() {
        let all = Arc::new(AtomicUsize::new(0));
        let link = Link::new(ConnectionId(1), String::new());
        let mut delivery = Delivery::default();
        delivery.add(&all, |frame| frame.extend_from_slice(b"event"));
        link.deliver(delivery, 7, Duration::ZERO, &all).unwrap();
        link.answer_ping(5, Duration::ZERO, &all);
        link.answer_ping(8, Duration::ZERO, &all);
        let outbox = link.outbox();
        let zxids = outbox.parcels.iter().skip(1).map(|parcel| parcel.0.bytes[8..16].to_vec());
        assert_eq!(&outbox.parcels[0].0.bytes[..], b"event");
        assert_eq!(zxids.collect::<Vec<_>>(), [7_i64.to_be_bytes(), 8_i64.to_be_bytes()]);
    }

    #[test]
    fn what_waits_for_many_counts_once_until_the_last_one_has_it() {
        let all = Arc::new(AtomicUsize::new(0));
        let links = [1, 2].map(|number| Link::new(ConnectionId(number), String::new()));
        let parcel = Parcel::new(BytesMut::zeroed(1000), &all);
        for link in &links {
            let mut delivery = Delivery::default();
            delivery.share(&all, parcel.clone());
            link.deliver(delivery, 1, Duration::ZERO, &all).unwrap();
        }
        drop(parcel);
        assert_eq!(all.load(Ordering::Relaxed), 1000 + PARCEL_OVERHEAD);
        links[0].drop_now();
        assert_eq!((links[0].unsent(), links[1].unsent()), (0, 1000));
        assert_eq!(all.load(Ordering::Relaxed), 1000 + PARCEL_OVERHEAD);
        links[1].drop_now();
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }
}
