//! The one thread that changes anything: takes what is queued, applies it, syncs, and only then lets it out.
//!
//! Invariant: no reply, event or read leaves before all records made so far are on disk. A journal that
//! fails ends the pipeline without another word to anybody. Sessions end only after everything that had
//! arrived was heard, and time in which nobody could be heard counts for nobody. That is the edge's time, not
//! this thread's: while a sync takes long, the edge goes on hearing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use elector_teeth::{Tooth, bites};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use zk_wire::{ReplyHeader, Request, WatchEvent, frame};

use crate::config::{Ended, Notice};
use crate::journal::{Journal, JournalError};
use crate::link::{Delivery, Link, Parcel, Phase, UNSENT, UNSENT_IN_ALL};
use crate::shared::{Control, Message, Shared, Word};
use crate::snapshotter::{SnapshotError, Snapshotter};
use crate::state::{ConnectionId, Effects, Farewell, Output, PASSWORD, State};
use crate::words::{Latency, Report};

/// Messages that make up one turn, and so one sync, at most.
const GROUP: usize = 1000;
/// Bytes of answers after which a turn ends.
const GROUP_BYTES: usize = 4 << 20;
/// Bytes of requests after which a turn ends: the first one's answer waits for the last one.
const GROUP_INPUT: usize = 1 << 20;
/// A client that has read nothing for less than this may be about to read.
const PATIENCE: Duration = Duration::from_millis(100);
/// Events with longer paths, in bytes, are not copied for everybody who is told.
const SHARED_EVENT: usize = 1 << 10;
/// How long a sweep waits, so that everything that has arrived is read. After a turn that took longer it waits
/// as long as that took: those who waited for its answers are to have a chance to say something.
const SWEEP: Duration = Duration::from_millis(3);
/// But no longer than this, which is what a slow disk may add to the end of a session.
const LONGEST_SWEEP: Duration = Duration::from_millis(250);
/// After the sleep of a sweep, so many times all other tasks come first.
const SWEEP_ROUNDS: usize = 16;
/// An idle journal sees to it that its directory is still there, so often.
const CHECK_PLACE: Duration = Duration::from_secs(1);

/// Why a server had to end.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The journal failed: what was not acknowledged may or may not be there after the next start.
    #[error("the journal failed: {0}")]
    Journal(#[from] JournalError),
    /// The system has no randomness for a session's password.
    #[error("no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// A thread of the server panicked.
    #[error("a thread of the server panicked")]
    Panicked,
}

pub(crate) struct Pipeline {
    pub(crate) state: State,
    pub(crate) journal: Option<Journal>,
    /// The snapshot that is being made.
    snapshotter: Option<Snapshotter>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: mpsc::Receiver<Message>,
    /// Where the connections run, for sweeps.
    pub(crate) edge: Handle,
    links: HashMap<ConnectionId, Arc<Link>>,
    latency: Latency,
    /// When the containers are looked at next, and the journal's directory.
    next_container_check: Duration,
    next_place_check: Duration,
    sweep: Option<Duration>,
    /// How long the last turn took.
    last_turn: Duration,
    /// Of the edge's pauses, so much was made up for.
    made_up: Duration,
}

/// What one turn has gathered.
#[derive(Default)]
struct Turn {
    effects: Effects,
    deliveries: HashMap<ConnectionId, Delivery>,
    /// Of answers, and of requests.
    bytes: usize,
    input: usize,
    /// The last long event, which may go to others too.
    event: Option<(Arc<WatchEvent>, Parcel)>,
    received: Vec<Duration>,
    /// Answered after the sync, when they are true.
    expired: Vec<(oneshot::Sender<bool>, bool)>,
    words: Vec<(oneshot::Sender<String>, Word)>,
    hold: Option<(oneshot::Sender<()>, std::sync::mpsc::Receiver<()>)>,
    stop: bool,
}

impl Turn {
    fn is_full(&self) -> bool {
        self.bytes > GROUP_BYTES || self.input > GROUP_INPUT
    }

    /// The event as it goes to everybody who is told.
    fn parcel(&mut self, zxid: i64, event: &Arc<WatchEvent>, all: &Arc<AtomicUsize>) -> Parcel {
        match &self.event {
            Some((known, parcel)) if Arc::ptr_eq(known, event) => parcel.clone(),
            _ => {
                let mut frame = BytesMut::new();
                event.encode(zxid, frame::LENGTH_LIMIT, &mut frame).expect(SHORT_ENOUGH);
                let parcel = Parcel::new(frame, all);
                self.bytes += parcel.len();
                self.event = Some((Arc::clone(event), parcel.clone()));
                parcel
            }
        }
    }
}

const SHORT_ENOUGH: &str = "a tree within its limits has no answer of two gigabytes";

impl Pipeline {
    pub(crate) fn new(
        state: State,
        journal: Option<Journal>,
        shared: Arc<Shared>,
        queue: mpsc::Receiver<Message>,
        edge: Handle,
    ) -> Self {
        let now = shared.elapsed();
        Self {
            state,
            journal,
            snapshotter: None,
            queue,
            edge,
            links: HashMap::new(),
            latency: Latency::default(),
            next_container_check: now + shared.config.container_check,
            next_place_check: now + CHECK_PLACE,
            sweep: None,
            last_turn: Duration::ZERO,
            made_up: Duration::ZERO,
            shared,
        }
    }

    /// Runs until it is told to stop; the state is then what was acknowledged, and no more.
    pub(crate) async fn run(mut self) -> Result<State, Fatal> {
        loop {
            let began = self.shared.elapsed();
            let planned = self.next_wake(began);
            let first = tokio::select! {
                biased;
                message = self.queue.recv() => message,
                () = tokio::time::sleep(planned.saturating_sub(began)) => None,
            };
            let now = self.shared.elapsed();
            // At once: sessions that begin later have no part in a pause.
            self.make_up_for_pauses();
            let stop = self.turn(first)?;
            self.last_turn = self.shared.elapsed() - now;
            if stop {
                return Ok(self.state);
            }
        }
    }

    fn next_wake(&self, now: Duration) -> Duration {
        let mut wake = self.next_container_check;
        if self.journal.is_some() {
            wake = wake.min(self.next_place_check);
        }
        if let Some(deadline) = self.state.next_deadline() {
            // While a sweep is under way, its message wakes us.
            if self.sweep.is_none() {
                wake = wake.min(deadline);
            }
        }
        wake.max(now)
    }

    /// One group: from taking messages to letting their effects out. Whether it was the last.
    fn turn(&mut self, first: Option<Message>) -> Result<bool, Fatal> {
        let mut turn = Turn::default();
        let mut next = first;
        for _ in 0..GROUP {
            let Some(message) = next.take() else { break };
            self.take(message, &mut turn)?;
            self.gather(&mut turn)?;
            if turn.stop || turn.hold.is_some() || turn.is_full() {
                break;
            }
            next = self.queue.try_recv().ok();
        }
        // A message that was taken out of the queue and not dealt with.
        if let Some(message) = next {
            self.take(message, &mut turn)?;
            self.gather(&mut turn)?;
        }
        self.housekeeping(&mut turn)?;
        self.gather(&mut turn)?;
        if bites(Tooth::AnswersBeforeSync) {
            self.release(&mut turn);
        }
        if let Some(journal) = &mut self.journal {
            journal.sync()?;
        }
        self.release(&mut turn);
        self.store_snapshot()?;
        if let Some((held, until)) = turn.hold {
            let _ = held.send(());
            // An error is the other end dropped: that is what was waited for.
            let began = self.shared.elapsed();
            let _ = until.recv();
            self.make_up_for(self.shared.elapsed() - began);
        }
        Ok(turn.stop)
    }

    fn take(&mut self, message: Message, turn: &mut Turn) -> Result<(), Fatal> {
        let now = self.shared.now();
        match message {
            Message::Opened { link, address, handshake } => {
                let connection = link.id;
                self.links.insert(connection, link);
                self.state.open(connection, address);
                let mut password = [0; PASSWORD];
                if handshake.session_id == 0 {
                    getrandom::fill(&mut password)?;
                }
                self.state.connect(connection, &handshake, password, now, &mut turn.effects);
            }
            Message::Request { connection, header, body, received, _budget } => {
                turn.input += body.len();
                let request = Request::decode(header.op, &body);
                turn.deliveries.entry(connection).or_default().requests += 1;
                turn.received.push(received);
                self.state.touch(connection, received);
                self.state.request(connection, header.xid, header.op, request, now, &mut turn.effects);
            }
            Message::Closed(connection) => {
                self.forget(connection);
                self.links.remove(&connection);
            }
            Message::Swept { asked } => {
                self.sweep = None;
                self.make_up_for_pauses();
                self.hear_all();
                let asked = crate::shared::moment(asked);
                self.state.expire(asked, &mut turn.effects);
            }
            Message::Word { word, answer } => turn.words.push((answer, word)),
            Message::Control(Control::ExpireSession { session, done }) => {
                let was_there = self.state.expire_session(session, now, &mut turn.effects);
                turn.expired.push((done, was_there));
            }
            Message::Control(Control::Hold { held, until }) => turn.hold = Some((held, until)),
            Message::Control(Control::Stop) => turn.stop = true,
        }
        Ok(())
    }

    /// What is due without anybody asking.
    fn housekeeping(&mut self, turn: &mut Turn) -> Result<(), Fatal> {
        let now = self.shared.now();
        if self.sweep.is_none() && self.state.next_deadline().is_some_and(|due| due <= now.elapsed) {
            self.hear_all();
            if self.state.next_deadline().is_some_and(|due| due <= now.elapsed) {
                self.begin_sweep(now.elapsed);
            }
        }
        if now.elapsed >= self.next_container_check {
            self.next_container_check = now.elapsed + self.shared.config.container_check;
            self.state.delete_spent_containers(now, &mut turn.effects);
        }
        if now.elapsed >= self.next_place_check {
            self.next_place_check = now.elapsed + CHECK_PLACE;
            if let Some(journal) = &mut self.journal {
                journal.check_place()?;
            }
        }
        Ok(())
    }

    /// Somebody seems to be due. First everything is to be heard that has arrived meanwhile, on the thread
    /// that reads it; if that thread stands still, nobody's session ends.
    fn begin_sweep(&mut self, asked: Duration) {
        self.sweep = Some(asked);
        let queue = self.shared.queue.clone();
        let wait = self.last_turn.clamp(SWEEP, LONGEST_SWEEP);
        self.edge.spawn(async move {
            tokio::time::sleep(wait).await;
            for _ in 0..SWEEP_ROUNDS {
                tokio::task::yield_now().await;
            }
            let _ = queue.send(Message::Swept { asked }).await;
        });
    }

    /// Whoever waits for this thread cannot be heard, and counts as heard.
    fn hear_all(&mut self) {
        let now = self.shared.elapsed();
        for (connection, link) in &self.links {
            let heard = if link.is_held_up() { now } else { link.heard() };
            self.state.touch(*connection, heard);
        }
    }

    /// The edge, and most often the whole process, may have stood still since the last call.
    fn make_up_for_pauses(&mut self) {
        let paused = self.shared.paused();
        if paused > self.made_up {
            self.make_up_for(paused - self.made_up);
            self.made_up = paused;
        }
    }

    /// For so long nobody could be heard.
    fn make_up_for(&mut self, how_long: Duration) {
        self.hear_all();
        self.state.extend_deadlines(how_long);
    }

    /// Hands records to the journal, and turns outputs into frames.
    fn gather(&mut self, turn: &mut Turn) -> Result<(), Fatal> {
        for (zxid, record) in turn.effects.records.drain(..) {
            if let Some(journal) = &mut self.journal {
                let zxid = u64::try_from(zxid).expect("zxids begin above 0 and rise");
                journal.append(zxid, &record)?;
            }
        }
        for (connection, output) in std::mem::take(&mut turn.effects.outputs) {
            if let (Output::Hangup(why), Some(link)) = (&output, self.links.get(&connection))
                && is_worth_telling(*why)
            {
                if *why == Farewell::TooManySessions {
                    self.shared.tell_full(*why);
                }
                self.shared.notices().ended(&link.peer, *why);
            }
            let all = &self.shared.unsent;
            let mut delivery = turn.deliveries.remove(&connection).unwrap_or_default();
            match output {
                Output::Event { zxid, event } if event.path.len() > SHARED_EVENT => {
                    delivery.share(all, turn.parcel(zxid, &event, all));
                }
                output => turn.bytes += encode(output, &mut delivery, all),
            }
            if delivery.bytes > UNSENT {
                // Whoever is sent so much at once is not going to read it; nothing more is made for it.
                self.forget(connection);
            }
            turn.deliveries.insert(connection, delivery);
        }
        Ok(())
    }

    /// Everything is on disk: out with it.
    fn release(&mut self, turn: &mut Turn) {
        let shared = &self.shared;
        let (zxid, now) = (self.state.last_zxid(), shared.elapsed());
        let mut slow = Vec::new();
        for (connection, delivery) in turn.deliveries.drain() {
            let Some(link) = self.links.get(&connection) else { continue };
            shared.sent.fetch_add(delivery.frames, Ordering::Relaxed);
            if let Err(why) = link.deliver(delivery, zxid, now, &shared.unsent) {
                shared.notices().ended(&link.peer, why);
                slow.push(connection);
            }
        }
        // After the deliveries: no ping's answer may say that a client has what it has not been sent.
        shared.released.store(zxid, Ordering::Release);
        for (done, was_there) in turn.expired.drain(..) {
            let _ = done.send(was_there);
        }
        for received in turn.received.drain(..) {
            self.latency.add(now.saturating_sub(received));
        }
        for connection in slow {
            self.forget(connection);
        }
        turn.event = None;
        self.drop_slowest();
        for (answer, word) in turn.words.drain(..) {
            let _ = answer.send(self.report(word));
        }
    }

    /// More waits for all clients than may: those are ended who have read nothing for longest, or, where
    /// nobody was slow yet, those for whom most waits.
    fn drop_slowest(&mut self) {
        while self.shared.unsent.load(Ordering::Relaxed) > UNSENT_IN_ALL {
            let now = self.shared.elapsed();
            let burden = |link: &Arc<Link>| {
                let waited = now.saturating_sub(link.waits_since()?);
                Some((if waited < PATIENCE { Duration::ZERO } else { waited }, link.unsent()))
            };
            let waiting = self.links.values().filter_map(|link| Some((burden(link)?, link)));
            let Some(((_, unread), slowest)) = waiting.max_by_key(|(burden, _)| *burden) else { return };
            let slowest = Arc::clone(slowest);
            slowest.drop_now();
            self.shared.notices().ended(&slowest.peer, Ended::Slow(unread));
            self.forget(slowest.id);
        }
    }

    /// The state has nothing more to do with this connection; what it sent so far counts for its session.
    fn forget(&mut self, connection: ConnectionId) {
        if let Some(link) = self.links.get(&connection) {
            self.state.touch(connection, link.heard());
        }
        self.state.close(connection);
    }

    /// Has the state stored when that is worth its cost, and notes the outcome of the last time.
    fn store_snapshot(&mut self) -> Result<(), Fatal> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        if let Some(outcome) = self.snapshotter.as_mut().and_then(Snapshotter::finished) {
            self.snapshotter = None;
            let stored = outcome.and_then(|stored| Ok(journal.finish_snapshot(stored)?));
            match stored {
                Err(SnapshotError::Write(error)) if error.is_final() => return Err(error.into()),
                Err(error) => self.shared.notices().tell(Notice::NoSnapshot(error)),
                Ok(()) => {}
            }
        }
        if self.snapshotter.is_none() && journal.should_snapshot() {
            let basis = journal.begin_snapshot()?;
            match Snapshotter::start(basis, self.shared.config.limits.clone()) {
                Ok(started) => self.snapshotter = Some(started),
                Err(error) => self.shared.notices().tell(Notice::NoSnapshot(error)),
            }
        }
        Ok(())
    }

    fn report(&self, word: Word) -> String {
        let mut clients = Vec::new();
        if word == Word::Stat {
            let mut links: Vec<_> = self.links.values().collect();
            links.sort_unstable_by_key(|link| link.id);
            clients.extend(links.into_iter().map(|link| {
                let (received, sent) =
                    (link.received.load(Ordering::Relaxed), link.sent.load(Ordering::Relaxed));
                format!(" /{}[1](queued=0,recved={received},sent={sent})", link.peer)
            }));
        }
        let report = Report {
            latency: &self.latency,
            received: self.shared.received.load(Ordering::Relaxed),
            sent: self.shared.sent.load(Ordering::Relaxed),
            guests: self.shared.guests(),
            outstanding: self.queue.len(),
            zxid: self.shared.released.load(Ordering::Relaxed),
            counts: self.state.counts(),
            uptime: self.shared.elapsed(),
            clients,
        };
        report.word(word)
    }
}

/// What happens to every client in its life is not.
fn is_worth_telling(why: Farewell) -> bool {
    !matches!(why, Farewell::Closed | Farewell::Expired | Farewell::TakenOver | Farewell::NoSession)
}

/// Adds the output's frame, or notes the phase that it begins; the frame's length.
fn encode(output: Output, delivery: &mut Delivery, all: &Arc<AtomicUsize>) -> usize {
    const LIMIT: usize = frame::LENGTH_LIMIT;
    match output {
        Output::Connected(response) => {
            if response.timeout_ms > 0 {
                delivery.phase = Some(Phase::Serving);
            }
            delivery.add(all, |buf| response.encode(LIMIT, buf).expect(SHORT_ENOUGH))
        }
        Output::Reply { xid, zxid, outcome: Ok(response) } => {
            delivery.add(all, |buf| response.encode(xid, zxid, LIMIT, buf).expect(SHORT_ENOUGH))
        }
        Output::Reply { xid, zxid, outcome: Err(err) } => {
            delivery.add(all, |buf| ReplyHeader { xid, zxid, err }.encode(buf))
        }
        Output::Event { zxid, event } => {
            delivery.add(all, |buf| event.encode(zxid, LIMIT, buf).expect(SHORT_ENOUGH))
        }
        Output::Hangup(why) => {
            delivery.phase = Some(match why {
                // Nobody is told anything more: neither on a connection that was replaced, nor at an expiry.
                Farewell::Expired | Farewell::TakenOver => Phase::Dropped,
                _ => Phase::Ending,
            });
            0
        }
    }
}
