//! One connection: its bytes in and out, its frames, and pings.
//!
//! Invariant: frames reach the pipeline in the order in which they came, and every frame counts as a sign
//! of life when it arrives, not when it is dealt with. Pings are answered here, so that a slow disk costs
//! nobody a session. Nothing is allocated for a length before there is room for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};
use zk_wire::{ConnectRequest, ErrorCode, ReplyHeader, Request, RequestHeader, frame, op, xid};

use crate::config::Ended;
use crate::link::{Link, Phase};
use crate::shared::{BUDGET_UNIT, Guest, Message, Shared};
use crate::words;

/// A connection that has not said hello after so long is closed.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// A long frame has to be complete after so long: it takes from a budget that others wait for.
const LONG_FRAME_LIMIT: Duration = Duration::from_secs(30);
/// Frames longer than this, in bytes, take from the budget.
const LONG_FRAME: usize = 64 << 10;
/// The longest first frame, in bytes; an honest one has 45.
const HANDSHAKE_FRAME: usize = 1 << 10;
/// The last bytes of a connection have to be read by the client within so long.
const ENDING_LIMIT: Duration = Duration::from_secs(5);
/// Bytes read at a time.
const CHUNK: usize = 4 << 10;

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
    let opened = Message::Opened { link: Arc::clone(&link), address: guest.address, handshake: hello };
    if shared.queue.send(opened).await.is_err() {
        return;
    }
    let mut connection =
        Connection { stream, link, shared, inbox, out: BytesMut::new(), long: None, at_end: false };
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

struct Connection<S> {
    stream: S,
    link: Arc<Link>,
    shared: Arc<Shared>,
    /// What has come in and is not a whole frame yet, or has to wait.
    inbox: BytesMut,
    /// What goes out. Whole frames, but the first may have gone in part.
    out: BytesMut,
    /// A long frame that is on its way in: what it takes from the budget, and when it has to be here.
    long: Option<(OwnedSemaphorePermit, Instant)>,
    /// The client sends nothing more; what it asked for it still gets.
    at_end: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self) -> Result<(), Trouble> {
        let mut ending = None;
        loop {
            let phase = self.link.take(&mut self.out);
            if phase == Phase::Ending || self.at_end {
                let end = *ending.get_or_insert_with(|| Instant::now() + ENDING_LIMIT);
                if Instant::now() >= end {
                    return Ok(());
                }
            }
            match phase {
                Phase::Dropped => return Ok(()),
                Phase::Ending if self.out.is_empty() => return Ok(()),
                Phase::Handshake | Phase::Ending => {}
                Phase::Serving => self.hand_over().await?,
            }
            if self.at_end && self.out.is_empty() && self.link.under_way() == 0 {
                return Ok(());
            }
            let may_read = phase == Phase::Serving && !self.at_end && self.link.has_room();
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
        let late = self.long.as_ref().map(|(_, late)| *late);
        if may_read {
            let frame_left = self.long.as_ref().map_or(0, |_| declared(&self.inbox).unwrap_or(0));
            self.inbox.reserve(CHUNK.max(frame_left.saturating_sub(self.inbox.len())));
        }
        let read = async {
            match late {
                Some(late) => timeout_at(late, reader.read_buf(&mut self.inbox))
                    .await
                    .map_err(|_| Trouble::Ended(Ended::Late))?
                    .map_err(Trouble::from),
                None => reader.read_buf(&mut self.inbox).await.map_err(Trouble::from),
            }
        };
        tokio::select! {
            wrote = writer.write_buf(&mut self.out), if self.out.has_remaining() => {
                let wrote = wrote?;
                if wrote == 0 {
                    return Err(Trouble::Gone);
                }
                self.link.wrote(wrote, &self.shared.unsent);
            }
            () = self.link.wake.notified() => {}
            count = read, if may_read => self.at_end = count? == 0,
        }
        Ok(())
    }

    /// Hands the frames that are here to the pipeline, as many as may be under way.
    async fn hand_over(&mut self) -> Result<(), Trouble> {
        while self.link.has_room() {
            self.reserve_for_long_frame().await?;
            let frame = match frame::take_frame(&mut self.inbox, self.shared.config.frame_bytes) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(_) => {
                    return Err(Trouble::Ended(Ended::Foreign("a frame too long, or of negative length")));
                }
            };
            let budget = self.long.take().map(|(permit, _)| permit);
            if budget.is_some() && self.inbox.is_empty() {
                // An idle connection does not keep the room of its longest frame.
                self.inbox = BytesMut::new();
            }
            let received = self.shared.elapsed();
            self.link.hear(received);
            self.shared.received.fetch_add(1, Ordering::Relaxed);
            // Shorter than a header: there is no xid to answer to.
            let Ok((header, body)) = RequestHeader::decode(&frame) else {
                return Err(Trouble::Ended(Ended::Foreign("a frame without a header")));
            };
            if header.op == op::PING && header.xid == xid::PING {
                self.answer_ping();
                continue;
            }
            let request = Request::decode(header.op, body);
            self.link.begin_request();
            let connection = self.link.id;
            let message = Message::Request { connection, header, request, received, _budget: budget };
            self.link.set_held_up(true);
            let sent = self.shared.queue.send(message).await;
            self.link.set_held_up(false);
            sent.map_err(|_| Trouble::Gone)?;
        }
        Ok(())
    }

    fn answer_ping(&mut self) {
        let before = self.out.len();
        let zxid = self.shared.released.load(Ordering::Acquire);
        ReplyHeader { xid: xid::PING, zxid, err: ErrorCode::Ok }.encode(&mut self.out);
        self.link.add_unsent(self.out.len() - before, &self.shared.unsent);
        self.link.sent.fetch_add(1, Ordering::Relaxed);
        self.shared.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Before a long frame is read into memory it takes its part of what all connections share.
    async fn reserve_for_long_frame(&mut self) -> Result<(), Trouble> {
        let Some(length) = declared(&self.inbox) else { return Ok(()) };
        if self.long.is_some() || length <= LONG_FRAME || length > self.shared.config.frame_bytes {
            return Ok(());
        }
        let units = u32::try_from(length / BUDGET_UNIT + 1).unwrap_or(u32::MAX);
        let budget = Arc::clone(&self.shared.input_budget);
        let permit = timeout(LONG_FRAME_LIMIT, budget.acquire_many_owned(units)).await;
        let permit = permit.map_err(|_| Trouble::Ended(Ended::Late))?.map_err(|_| Trouble::Gone)?;
        self.long = Some((permit, Instant::now() + LONG_FRAME_LIMIT));
        Ok(())
    }

    /// Tells the pipeline, which forgets the connection's watches.
    async fn finish(mut self) {
        self.link.set_held_up(false);
        let _ = self.stream.shutdown().await;
        self.link.drop_now();
        self.link.take(&mut self.out);
        self.link.wrote(self.link.unsent(), &self.shared.unsent);
        // If there is no pipeline any more, there is nobody left who would have to know.
        let _ = self.shared.queue.send(Message::Closed(self.link.id)).await;
    }
}

/// The length of the frame at the beginning of the buffer, as it claims.
fn declared(inbox: &BytesMut) -> Option<usize> {
    inbox.first_chunk::<4>().and_then(|prefix| usize::try_from(i32::from_be_bytes(*prefix)).ok())
}
