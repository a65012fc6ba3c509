//! The two buffers around a byte stream.
//!
//! Purpose: move bytes, count what was handed to the stream, cut frames out of what came. Invariant: all
//! state changes inside one poll, so a caller that stops waiting loses nothing; `handed` says exactly how
//! many bytes the stream has accepted, which decides between "not sent" and "outcome unknown". Used by the
//! session only.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zk_wire::{FrameError, frame};

use crate::clock::Clock;
use crate::config::MAX_BATCH_BYTES;

/// Bytes asked of the stream at a time.
const READ_SIZE: usize = 16 << 10;

/// Why no more bytes will come.
#[derive(Debug)]
pub(crate) enum LinkEnd {
    Closed,
    Failed(io::Error),
}

#[derive(Debug)]
pub(crate) struct Link<S> {
    stream: S,
    inbox: BytesMut,
    outbox: BytesMut,
    /// Bytes ever put into the outbox.
    queued: u64,
    /// Bytes ever accepted by the stream.
    handed: u64,
    unflushed: bool,
    /// The clock when bytes were last put into the outbox.
    last_queued: Duration,
    /// The clock when bytes last came.
    last_received: Duration,
    /// Reading stopped at its bound, with perhaps more to come at once.
    cut_short: bool,
    end: Option<LinkEnd>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Goes on with a stream whose handshake is done, from which `inbox` was read beyond the answer.
    pub(crate) fn new(stream: S, inbox: BytesMut, received: Duration) -> Self {
        Self {
            stream,
            inbox,
            outbox: BytesMut::new(),
            queued: 0,
            handed: 0,
            unflushed: false,
            last_queued: received,
            last_received: received,
            cut_short: false,
            end: None,
        }
    }

    /// Puts one frame into the outbox; returns the position of its first byte.
    pub(crate) fn queue(
        &mut self,
        now: Duration,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), FrameError>,
    ) -> Result<u64, FrameError> {
        let before = self.outbox.len();
        encode(&mut self.outbox)?;
        let start = self.queued;
        self.queued += (self.outbox.len() - before) as u64;
        self.last_queued = now;
        Ok(start)
    }

    /// Whether any byte at or behind this position was handed to the stream.
    pub(crate) fn was_handed(&self, start: u64) -> bool {
        self.handed > start
    }

    pub(crate) fn unwritten(&self) -> usize {
        self.outbox.len()
    }

    pub(crate) fn last_queued(&self) -> Duration {
        self.last_queued
    }

    pub(crate) fn last_received(&self) -> Duration {
        self.last_received
    }

    pub(crate) fn cut_short(&self) -> bool {
        self.cut_short
    }

    pub(crate) fn take_end(&mut self) -> Option<LinkEnd> {
        self.end.take()
    }

    /// The next complete frame.
    pub(crate) fn take_frame(&mut self, limit: usize) -> Result<Option<Bytes>, FrameError> {
        frame::take_frame(&mut self.inbox, limit)
    }

    /// Writes what can be written and reads what can be read, up to [`MAX_BATCH_BYTES`]. Ready when
    /// anything came, the end included, or when the last call was cut short and nothing more is there.
    ///
    /// Keeps at most that, and one incomplete frame, whose length [`take_frame`](Self::take_frame) judges.
    pub(crate) fn poll<K: Clock>(&mut self, cx: &mut Context<'_>, clock: &K) -> Poll<()> {
        let may_be_empty = std::mem::take(&mut self.cut_short);
        self.hand_over(cx);
        let mut read = 0;
        while read < MAX_BATCH_BYTES {
            match self.read(cx) {
                Poll::Ready(Ok(0)) => {
                    self.end.get_or_insert(LinkEnd::Closed);
                    break;
                }
                Poll::Ready(Ok(n)) => {
                    read += n;
                    self.last_received = clock.now();
                }
                Poll::Ready(Err(error)) => {
                    self.end.get_or_insert(LinkEnd::Failed(error));
                    break;
                }
                Poll::Pending => break,
            }
        }
        self.cut_short = read >= MAX_BATCH_BYTES;
        if read > 0 || self.end.is_some() || may_be_empty { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Writes what can be written at once. Wakes nobody when more can be: the next [`poll`](Self::poll) goes on.
    pub(crate) fn flush(&mut self) {
        self.hand_over(&mut Context::from_waker(Waker::noop()));
    }

    fn hand_over(&mut self, cx: &mut Context<'_>) {
        if self.end.is_none()
            && let Err(error) = self.write(cx)
        {
            // What the server said before it hung up is still to be read.
            self.end = Some(LinkEnd::Failed(error));
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.outbox.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.outbox) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    self.outbox.advance(n);
                    self.handed += n as u64;
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(result) => {
                    result?;
                    self.unflushed = false;
                }
                Poll::Pending => {}
            }
        }
        Ok(())
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut chunk = [0; READ_SIZE];
        let mut buf = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        self.inbox.extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, BufStream, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_collects_what_it_is_given_is_flushed() {
        let (ours, mut theirs) = duplex(64);
        let mut link = Link::new(BufStream::new(ours), BytesMut::new(), Duration::ZERO);
        let frame = |out: &mut BytesMut| {
            out.extend_from_slice(b"frame");
            Ok(())
        };
        link.queue(Duration::ZERO, frame).expect("it fits");
        link.flush();
        let mut got = [0; 5];
        let read = tokio::time::timeout(Duration::from_secs(1), theirs.read_exact(&mut got)).await;
        read.expect("it was flushed").expect("the stream is open");
        assert_eq!(&got, b"frame");
    }
}
