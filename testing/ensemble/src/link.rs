//! One relayed TCP connection, and the controls that many of them share.
//!
//! A held direction behaves like a network that drops packets: the connection stays open, nothing arrives, and
//! what was sent meanwhile arrives after the release, as TCP would send it again. The end of the stream waits too.
//! Invariant: bytes of one direction keep their order, and none arrives that was not sent.
//!
//! Each direction has two threads, a reader that stamps the time and a writer that waits, so that a delay does not
//! slow down what follows. Used by [`crate::Proxy`] and by the links between the servers.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::frames::{Frame, Splitter};

/// Chunks of at most [`CHUNK`] bytes that wait in one direction; a full queue holds the sender up, as TCP does.
const QUEUE: usize = 256;
const CHUNK: usize = 64 * 1024;
/// How long the server's side stays open for reading after [`Verdict::CutAfter`], so that no reset overtakes the
/// request on its way into the server.
const LINGER: Duration = Duration::from_secs(2);

/// The two ways through a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server: requests.
    Up,
    /// From the server to the client: replies and events.
    Down,
}

/// What becomes of a frame that a hook has looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Deliver it.
    Pass,
    /// Deliver this body instead.
    Replace(Vec<u8>),
    /// Do not deliver it and close its connection.
    CutBefore,
    /// Deliver it and close its connection at once: its answer is lost.
    CutAfter,
}

type Hook = Arc<Mutex<dyn FnMut(&Frame<'_>) -> Verdict + Send>>;

/// Counts since the relay was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub open: usize,
    /// Bytes delivered to the server.
    pub bytes_up: u64,
    /// Bytes delivered to clients.
    pub bytes_down: u64,
    /// Requests delivered, connect requests and pings included.
    pub requests: u64,
    /// Replies and events delivered.
    pub replies: u64,
}

/// The run-time controls of a relay. Clones control the same relay; hooks may use them.
#[derive(Clone, Default)]
pub struct Control(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lanes: [Lane; 2],
    connections: u64,
    open: BTreeMap<u64, Connection>,
    cuts: u64,
}

/// One direction of all connections of a relay.
#[derive(Default)]
struct Lane {
    held: bool,
    delay: Duration,
    /// Bytes that still pass before everything is cut.
    budget: Option<u64>,
    hook: Option<Hook>,
    bytes: u64,
    frames: u64,
}

struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// The client is cut off already, and what the server still says to it is dropped.
    answers_lost: bool,
}

/// A connection that was accepted before any later cut; see [`Control::admit`].
pub(crate) struct Admission {
    cuts: u64,
}

impl Connection {
    fn close(&self) {
        // Either side may be closed already.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

impl Control {
    /// Closes all open connections on both sides; new ones are served.
    pub fn cut(&self) {
        let mut state = self.state();
        state.cuts += 1;
        for connection in std::mem::take(&mut state.open).into_values() {
            connection.close();
        }
        drop(state);
        self.0.changed.notify_all();
    }

    /// Lets nothing arrive in this direction until [`Control::release`]. New connections are accepted but silent.
    pub fn hold(&self, direction: Direction) {
        self.state().lanes[direction as usize].held = true;
    }

    /// Holds both directions.
    pub fn blackhole(&self) {
        self.hold(Direction::Up);
        self.hold(Direction::Down);
    }

    /// Delivers what was held in this direction, and goes on.
    pub fn release(&self, direction: Direction) {
        self.state().lanes[direction as usize].held = false;
        self.0.changed.notify_all();
    }

    /// Releases both directions and ends their delays. Hooks and byte limits stay.
    pub fn heal(&self) {
        for direction in [Direction::Up, Direction::Down] {
            self.delay(direction, Duration::ZERO);
            self.release(direction);
        }
    }

    /// Delays all that is sent from now on in this direction.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.state().lanes[direction as usize].delay = delay;
    }

    /// Lets `bytes` more through in this direction, of all connections together, and cuts right after them. Once.
    pub fn cut_after_bytes(&self, direction: Direction, bytes: u64) {
        self.state().lanes[direction as usize].budget = Some(bytes);
    }

    /// Shows every later frame of this direction to `hook` just before it is delivered; replaces an earlier hook.
    pub fn on_frame(&self, direction: Direction, hook: impl FnMut(&Frame<'_>) -> Verdict + Send + 'static) {
        self.state().lanes[direction as usize].hook = Some(Arc::new(Mutex::new(hook)));
    }

    /// Cuts once, right after the first request that `wanted` accepts has been delivered: the server acts on it,
    /// the answer is lost.
    pub fn cut_after_request(&self, mut wanted: impl FnMut(&Frame<'_>) -> bool + Send + 'static) {
        let mut done = false;
        self.on_frame(Direction::Up, move |frame| {
            if done || !wanted(frame) {
                return Verdict::Pass;
            }
            done = true;
            Verdict::CutAfter
        });
    }

    /// Ends the hook of this direction.
    pub fn forget_hook(&self, direction: Direction) {
        self.state().lanes[direction as usize].hook = None;
    }

    /// What has passed so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let state = self.state();
        let [up, down] = &state.lanes;
        Counts {
            connections: state.connections,
            open: state.open.len(),
            bytes_up: up.bytes,
            bytes_down: down.bytes,
            requests: up.frames,
            replies: down.frames,
        }
    }

    /// Whether any direction is held.
    pub(crate) fn is_held(&self) -> bool {
        self.state().lanes.iter().any(|lane| lane.held)
    }

    /// Waits for a change of the controls, at most `limit`.
    pub(crate) fn wait_for_change(&self, limit: Duration) {
        let _ = self.0.changed.wait_timeout(self.state(), limit);
    }

    /// To be called when a client's connection is accepted, so that a cut also ends it while its other half is made.
    pub(crate) fn admit(&self) -> Admission {
        Admission { cuts: self.state().cuts }
    }

    /// Relays between two connected streams until both sides have ended or the connection is cut.
    ///
    /// `framed` says that the stream is ZooKeeper's client protocol: then frames are counted and hooks see them.
    pub(crate) fn relay(
        &self,
        admission: &Admission,
        client: TcpStream,
        server: TcpStream,
        framed: bool,
    ) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let kept =
            Connection { client: client.try_clone()?, server: server.try_clone()?, answers_lost: false };
        let number = {
            let mut state = self.state();
            if state.cuts != admission.cuts {
                return Ok(());
            }
            state.connections += 1;
            let number = state.connections;
            state.open.insert(number, kept);
            number
        };
        let pipe = |direction| Pipe { control: self.clone(), direction, number, framed };
        let up = (client.try_clone()?, server.try_clone()?);
        let upward = std::thread::spawn({
            let pipe = pipe(Direction::Up);
            move || pipe.run(up.0, up.1)
        });
        pipe(Direction::Down).run(server, client);
        let _ = upward.join();
        self.state().open.remove(&number);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Control").field(&self.counts()).finish()
    }
}

/// One direction of one connection.
struct Pipe {
    control: Control,
    direction: Direction,
    number: u64,
    framed: bool,
}

/// Says that a connection is over.
struct Over;

impl Pipe {
    fn run(self, from: TcpStream, to: TcpStream) {
        let (queue, waiting) = sync_channel(QUEUE);
        let control = self.control.clone();
        let direction = self.direction;
        let reader = std::thread::spawn(move || read_all(&control, direction, from, &queue));
        if self.deliver_all(&waiting, &to).is_err() {
            self.close();
        }
        // Without its receiver, and with its stream shut, the reader ends.
        drop(waiting);
        let _ = reader.join();
    }

    fn deliver_all(&self, waiting: &Receiver<(Instant, Vec<u8>)>, to: &TcpStream) -> Result<(), Over> {
        let mut splitter = Splitter::new(self.direction, self.number);
        for (due, chunk) in waiting {
            self.wait_until(due)?;
            if !self.framed {
                self.write(to, &chunk)?;
                continue;
            }
            splitter.push(&chunk);
            while let Some(piece) = splitter.next_piece() {
                self.deliver(to, &piece.bytes, piece.frame().as_ref())?;
            }
        }
        self.wait_until(Instant::now())?;
        to.shutdown(Shutdown::Write).map_err(|_| Over)
    }

    /// Delivers one piece as the hook says; `frame` is `None` for bytes that are no frame.
    fn deliver(&self, to: &TcpStream, bytes: &[u8], frame: Option<&Frame<'_>>) -> Result<(), Over> {
        let hook = self.control.state().lanes[self.direction as usize].hook.clone();
        let verdict = match (hook, frame) {
            // The lock on the state is free here: the hook may use the controls.
            (Some(hook), Some(frame)) => (hook.lock().unwrap_or_else(PoisonError::into_inner))(frame),
            _ => Verdict::Pass,
        };
        // The hook may have held this direction.
        self.wait_until(Instant::now())?;
        if verdict == Verdict::CutBefore {
            return Err(Over);
        }
        // Counted before it is written, so that nobody who has seen its answer finds it missing in the count.
        self.count_frame(frame);
        match verdict {
            Verdict::Replace(body) => {
                let length = i32::try_from(body.len()).map_err(|_| Over)?;
                self.write(to, &[length.to_be_bytes().as_slice(), &body].concat())
            }
            Verdict::CutAfter => {
                self.lose_answers();
                self.write(to, bytes)?;
                self.linger(to);
                Err(Over)
            }
            Verdict::Pass | Verdict::CutBefore => self.write(to, bytes),
        }
    }

    fn count_frame(&self, frame: Option<&Frame<'_>>) {
        self.control.state().lanes[self.direction as usize].frames += u64::from(frame.is_some());
    }

    /// Closes the client's side of a request that is about to be delivered: a fast answer must not slip through.
    fn lose_answers(&self) {
        if self.direction == Direction::Up
            && let Some(connection) = self.control.state().open.get_mut(&self.number)
        {
            connection.answers_lost = true;
            let _ = connection.client.shutdown(Shutdown::Both);
        }
    }

    /// Keeps the server's side open until the server has seen the end of the stream.
    fn linger(&self, to: &TcpStream) {
        if self.direction == Direction::Down {
            return;
        }
        let _ = to.shutdown(Shutdown::Write);
        // The downward reader takes what the server still says; it is over when the server closes.
        let end = Instant::now() + LINGER;
        while Instant::now() < end && self.control.state().open.contains_key(&self.number) && !peer_closed(to)
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Writes as much as the byte limit allows.
    fn write(&self, mut to: &TcpStream, bytes: &[u8]) -> Result<(), Over> {
        let allowed = {
            let mut state = self.control.state();
            if state
                .open
                .get(&self.number)
                .is_none_or(|connection| connection.answers_lost && self.direction == Direction::Down)
            {
                return Ok(());
            }
            let lane = &mut state.lanes[self.direction as usize];
            let allowed = lane.budget.map_or(bytes.len(), |left| bytes.len().min(left as usize));
            lane.budget = lane.budget.map(|left| left - allowed as u64);
            lane.bytes += allowed as u64;
            allowed
        };
        to.write_all(&bytes[..allowed]).map_err(|_| Over)?;
        let spent = {
            let mut state = self.control.state();
            let lane = &mut state.lanes[self.direction as usize];
            lane.budget.take_if(|left| *left == 0).is_some()
        };
        if spent {
            self.control.cut();
            return Err(Over);
        }
        Ok(())
    }

    /// Waits until `due` and while the direction is held.
    fn wait_until(&self, due: Instant) -> Result<(), Over> {
        let mut state = self.control.state();
        loop {
            if !state.open.contains_key(&self.number) {
                return Err(Over);
            }
            let left = due.saturating_duration_since(Instant::now());
            let held = state.lanes[self.direction as usize].held;
            if !held && left.is_zero() {
                return Ok(());
            }
            let wait = if held { Duration::from_secs(1) } else { left };
            let changed = &self.control.0.changed;
            state = changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn close(&self) {
        if let Some(connection) = self.control.state().open.remove(&self.number) {
            connection.close();
        }
        self.control.0.changed.notify_all();
    }
}

fn read_all(control: &Control, lane: Direction, mut from: TcpStream, queue: &SyncSender<(Instant, Vec<u8>)>) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let due = Instant::now() + control.state().lanes[lane as usize].delay;
        if queue.send((due, buffer[..length].to_vec())).is_err() {
            return;
        }
    }
}

/// Whether the other end has closed its side and all that it said has been read.
fn peer_closed(stream: &TcpStream) -> bool {
    use rustix::net::{RecvFlags, recv};
    let mut byte = [0_u8; 1];
    let answer = recv(stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
    !matches!(answer, Ok((1, _)) | Err(rustix::io::Errno::AGAIN))
}

/// Whether a client that waits for its connection to be made has given up.
pub(crate) fn gave_up(client: &TcpStream) -> bool {
    peer_closed(client)
}
