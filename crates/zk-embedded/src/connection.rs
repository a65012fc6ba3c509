//! One connection: its bytes in and out, its frames, and pings.
//!
//! Invariant: frames reach the pipeline in the order in which they came, and every frame counts as a sign
//! of life when it arrives, not when it is dealt with. Pings are answered here, so that a slow disk costs
//! nobody a session. Nothing is allocated for a length before there is room for it, and whoever waits for
//! that room goes on being answered.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use zk_wire::{ConnectRequest, RequestHeader, frame, op, xid};

use crate::config::Ended;
use crate::link::{Link, Phase};
use crate::shared::{BUDGET_UNIT, Guest, Message, Shared};
use crate::words;

/// A connection that has not said hello after so long is closed.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// A long frame has to be complete after so long: it takes from a budget that all share...
const LONG_FRAME_LIMIT: Duration = Duration::from_secs(30);
/// ...and after so long when others wait for it.
const LONG_FRAME_WHEN_SCARCE: Duration = Duration::from_millis(500);
/// So often it is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Frames longer than this, in bytes, take from the budget.
const LONG_FRAME: usize = 8 << 10;
/// The longest first frame, in bytes; an honest one has 45.
const HANDSHAKE_FRAME: usize = 1 << 10;
/// The last bytes of a connection have to be read by the client within so long.
const ENDING_LIMIT: Duration = Duration::from_secs(5);
/// Bytes read at a time, but of a long frame.
const CHUNK: usize = 4 << 10;
/// Bytes of a frame's length, before it.
const LENGTH_PREFIX: usize = 4;

/// Serves one connection to its end.
pub(crate) async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: String,
    guest: Guest,
    shared: Arc<Shared>,
) {
    let mut inbox = BytesMut::new();
    let hello = match timeout(HANDSHAKE_LIMIT, greet(&mut stream, &mut inbox, &shared)).await {
        Ok(Ok(Some(hello))) => hello,
        Ok(Ok(None) | Err(Trouble::Gone)) => return,
        Ok(Err(Trouble::Ended(why))) => return shared.notices().ended(&peer, why),
        Err(_) => return shared.notices().ended(&peer, Ended::Late),
    };
    let link = Arc::new(Link::new(shared.new_connection(), peer));
    link.hear(shared.elapsed());
    link.received.fetch_add(1, Ordering::Relaxed);
    let opened = Message::Opened { link: Arc::clone(&link), address: guest.address, handshake: hello };
    if shared.queue.send(opened).await.is_err() {
        return;
    }
    let mut connection = Connection {
        stream,
        link,
        shared,
        inbox,
        short_inbox: BytesMut::new(),
        long: Long::None,
        at_end: false,
    };
    if let Err(Trouble::Ended(why)) = connection.run().await {
        connection.shared.notices().ended(&connection.link.peer, why);
    }
    connection.finish().await;
}

/// Why there is nothing more to do.
enum Trouble {
    /// The client closed the connection, or it broke.
    Gone,
    /// We close it, for a reason worth telling.
    Ended(Ended),
}

impl From<io::Error> for Trouble {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Reads the first frame. A four-letter word in its place is answered, and that was all.
async fn greet(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    inbox: &mut BytesMut,
    shared: &Shared,
) -> Result<Option<ConnectRequest>, Trouble> {
    loop {
        if let Some(first) = inbox.first_chunk::<4>() {
            if let Some(answer) = words::answer(first, shared).await {
                return Ok(words::tell(stream, &answer).await.map(|()| None)?);
            }
            let foreign = words::foreign(first).map(|what| Trouble::Ended(Ended::Foreign(what)));
            let broken =
                || foreign.unwrap_or(Trouble::Ended(Ended::Foreign("its first frame is no handshake")));
            match frame::take_frame(inbox, HANDSHAKE_FRAME) {
                Err(_) => return Err(broken()),
                Ok(None) => {}
                Ok(Some(first)) => return ConnectRequest::decode(&first).map(Some).map_err(|_| broken()),
            }
        }
        inbox.reserve(CHUNK);
        if stream.read_buf(inbox).await? == 0 {
            return Err(Trouble::Gone);
        }
    }
}

/// The long frame that is next, if it is one.
enum Long {
    None,
    /// It waits for its part of the budget, since then.
    Waiting(Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>, Instant),
    /// It has its part, and is on its way in since then.
    Coming(OwnedSemaphorePermit, Instant),
}

impl Long {
    /// Pending unless it waits and need not any more.
    fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        let Self::Waiting(budget, _) = self else { return Poll::Pending };
        let permit = ready!(budget.as_mut().poll(context)).map_err(|_| Trouble::Gone)?;
        *self = Self::Coming(permit, Instant::now());
        Poll::Ready(Ok(()))
    }
}

struct Connection<S> {
    stream: S,
    link: Arc<Link>,
    shared: Arc<Shared>,
    /// What has come in and is not a whole frame yet, or has to wait.
    inbox: BytesMut,
    /// Takes the inbox's place again after a long frame. It stays where it is: small pieces of memory taken
    /// between large ones, again and again, would leave holes that no long frame fits in.
    short_inbox: BytesMut,
    long: Long,
    /// The client sends nothing more; what it asked for it still gets.
    at_end: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self) -> Result<(), Trouble> {
        let mut ending = None;
        loop {
            let phase = self.link.phase();
            if phase == Phase::Ending || self.at_end {
                let end = *ending.get_or_insert_with(|| Instant::now() + ENDING_LIMIT);
                if Instant::now() >= end {
                    return Ok(());
                }
            }
            match phase {
                Phase::Dropped => return Ok(()),
                Phase::Ending if self.link.unsent() == 0 => return Ok(()),
                Phase::Handshake | Phase::Ending => {}
                Phase::Serving => self.hand_over().await?,
            }
            if self.at_end && self.link.under_way() == 0 && self.link.unsent() == 0 {
                return Ok(());
            }
            self.look_at_long_frame()?;
            let may_read = phase == Phase::Serving
                && !self.at_end
                && !matches!(self.long, Long::Waiting(..))
                && self.link.has_room(&self.shared.unsent);
            self.link.set_held_up(!self.at_end && self.link.is_behind());
            match ending {
                // The time is looked at again above.
                Some(end) => timeout_at(end, self.step(may_read)).await.unwrap_or(Ok(()))?,
                None => self.step(may_read).await?,
            }
            self.link.set_held_up(false);
        }
    }

    /// Waits for whatever comes first: room on the socket, bytes from it, or word from the pipeline.
    async fn step(&mut self, may_read: bool) -> Result<(), Trouble> {
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        let is_long = !matches!(self.long, Long::None);
        if may_read {
            let whole = declared(&self.inbox).filter(|_| is_long).map_or(0, |length| LENGTH_PREFIX + length);
            // Of a long frame exactly what is missing: what came in behind it would be counted for nobody.
            match whole.saturating_sub(self.inbox.len()) {
                0 => self.inbox.reserve(CHUNK),
                missing if self.inbox.capacity() >= whole => self.inbox.reserve(missing),
                _ => {
                    let mut long = BytesMut::with_capacity(whole);
                    long.extend_from_slice(&self.inbox);
                    self.short_inbox = std::mem::replace(&mut self.inbox, long);
                }
            }
        }
        let now = || self.shared.elapsed();
        tokio::select! {
            wrote = poll_fn(|context| self.link.poll_write(Pin::new(&mut writer), now, context)) => wrote?,
            () = self.link.wake.notified() => {}
            granted = poll_fn(|context| self.long.poll_wait(context)) => granted?,
            () = sleep(LOOK), if is_long => {}
            count = reader.read_buf(&mut self.inbox), if may_read => self.at_end = count? == 0,
        }
        Ok(())
    }

    /// A long frame that takes too long ends the connection. While it waits for others, it is not the client
    /// that is silent.
    fn look_at_long_frame(&self) -> Result<(), Trouble> {
        let is_late = match &self.long {
            Long::None => false,
            Long::Waiting(_, since) => {
                self.link.hear(self.shared.elapsed());
                since.elapsed() > LONG_FRAME_LIMIT
            }
            Long::Coming(_, since) => {
                let is_scarce = self.shared.input_budget.available_permits() == 0;
                since.elapsed() > if is_scarce { LONG_FRAME_WHEN_SCARCE } else { LONG_FRAME_LIMIT }
            }
        };
        if is_late { Err(Trouble::Ended(Ended::Late)) } else { Ok(()) }
    }

    /// Hands the frames that are here to the pipeline, as many as may be under way.
    async fn hand_over(&mut self) -> Result<(), Trouble> {
        while self.link.has_room(&self.shared.unsent) {
            if !self.has_budget() {
                return Ok(());
            }
            let frame = match frame::take_frame(&mut self.inbox, self.shared.config.frame_bytes) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(_) => {
                    return Err(Trouble::Ended(Ended::Foreign("a frame too long, or of negative length")));
                }
            };
            let budget = match std::mem::replace(&mut self.long, Long::None) {
                Long::Coming(permit, _) => Some(permit),
                _ => None,
            };
            if budget.is_some() {
                // Neither an idle connection nor its next frame keeps the room of its longest one.
                let behind = std::mem::replace(&mut self.inbox, std::mem::take(&mut self.short_inbox));
                self.inbox.clear();
                self.inbox.extend_from_slice(&behind);
            }
            let received = self.shared.elapsed();
            self.link.hear(received);
            self.link.received.fetch_add(1, Ordering::Relaxed);
            self.shared.received.fetch_add(1, Ordering::Relaxed);
            // Shorter than a header: there is no xid to answer to.
            let Ok((header, body)) = RequestHeader::decode(&frame) else {
                return Err(Trouble::Ended(Ended::Foreign("a frame without a header")));
            };
            if header.op == op::PING && header.xid == xid::PING {
                self.answer_ping();
                continue;
            }
            // A short one by itself: what waits is to take no more than it was counted for.
            let body = if budget.is_some() { frame.slice_ref(body) } else { Bytes::copy_from_slice(body) };
            self.link.begin_request();
            let connection = self.link.id;
            let message = Message::Request { connection, header, body, received, _budget: budget };
            self.link.set_held_up(true);
            let sent = self.shared.queue.send(message).await;
            self.link.set_held_up(false);
            sent.map_err(|_| Trouble::Gone)?;
        }
        Ok(())
    }

    fn answer_ping(&self) {
        let released = self.shared.released.load(Ordering::Acquire);
        self.link.answer_ping(released, self.shared.elapsed(), &self.shared.unsent);
        self.shared.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Before a long frame is read into memory it takes its part of what all connections share. Whether the
    /// frame that is next has its part, or needs none.
    fn has_budget(&mut self) -> bool {
        if matches!(self.long, Long::None)
            && let Some(length) = declared(&self.inbox)
            && (LONG_FRAME + 1..=self.shared.config.frame_bytes).contains(&length)
        {
            let units = u32::try_from(length / BUDGET_UNIT + 1).unwrap_or(u32::MAX);
            let budget = Arc::clone(&self.shared.input_budget).acquire_many_owned(units);
            self.long = Long::Waiting(Box::pin(budget), Instant::now());
        }
        !matches!(self.long, Long::Waiting(..))
    }

    /// Tells the pipeline, which forgets the connection's watches.
    async fn finish(mut self) {
        self.link.set_held_up(false);
        let _ = self.stream.shutdown().await;
        self.link.drop_now();
        // If there is no pipeline any more, there is nobody left who would have to know.
        let _ = self.shared.queue.send(Message::Closed(self.link.id)).await;
    }
}

/// The length of the frame at the beginning of the buffer, as it claims.
fn declared(inbox: &BytesMut) -> Option<usize> {
    inbox.first_chunk::<4>().and_then(|prefix| usize::try_from(i32::from_be_bytes(*prefix)).ok())
}
