//! Byte streams to servers that do not exist: what a contender writes the world takes away, and it reads what
//! the world has put there.
//!
//! Invariant: nothing here delays or loses anything. That is the network's business.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zk_session::{Connector, HostPort};

/// What a server's address answers to somebody who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reach {
    /// It takes the connection.
    #[default]
    Open,
    /// Nobody listens.
    Refused,
    /// Nothing comes back.
    Silent,
}

/// One contender's side of the network.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    reach: Vec<Reach>,
    /// Connections that the world has not seen yet: the server, and the stream.
    opened: Vec<(usize, Stream)>,
}

/// The world's and the contender's handle of a [`Desk`].
#[derive(Debug, Clone, Default)]
pub(crate) struct SimConnector(Arc<Mutex<Desk>>);

impl SimConnector {
    pub(crate) fn set_reach(&self, reach: impl Iterator<Item = Reach>) {
        let mut desk = lock(&self.0);
        desk.reach.clear();
        desk.reach.extend(reach);
    }

    pub(crate) fn take_opened(&self) -> Vec<(usize, Stream)> {
        std::mem::take(&mut lock(&self.0).opened)
    }
}

/// Hosts are called s0, s1, s2; whatever else, such as a socket's path, is the first.
fn index(host: &HostPort) -> usize {
    host.host.strip_prefix('s').and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl Connector for SimConnector {
    type Stream = Line;
    type Address = usize;

    async fn addresses(&self, host: &HostPort) -> io::Result<Vec<usize>> {
        Ok(vec![index(host)])
    }

    async fn connect(&self, address: &usize) -> io::Result<Line> {
        let server = *address;
        std::future::poll_fn(|_| {
            let mut desk = lock(&self.0);
            match desk.reach.get(server).copied().unwrap_or_default() {
                Reach::Refused => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
                Reach::Silent => Poll::Pending,
                Reach::Open => {
                    let stream = Stream::default();
                    desk.opened.push((server, stream.clone()));
                    Poll::Ready(Ok(Line(stream)))
                }
            }
        })
        .await
    }

    fn name(&self, host: &HostPort) -> String {
        host.host.clone()
    }
}

/// What both ends of a connection share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream(Arc<Mutex<Ends>>);

#[derive(Debug, Default)]
struct Ends {
    written: Vec<u8>,
    readable: Vec<u8>,
    /// The contender has let go of it.
    dropped: bool,
    /// The server's end, or the network's word for it, has come.
    ended: bool,
}

impl Stream {
    /// All that was written since the last call.
    pub(crate) fn take_written(&self) -> Vec<u8> {
        std::mem::take(&mut lock(&self.0).written)
    }

    pub(crate) fn deliver(&self, bytes: &[u8]) {
        lock(&self.0).readable.extend_from_slice(bytes);
    }

    pub(crate) fn end(&self) {
        lock(&self.0).ended = true;
    }

    pub(crate) fn is_dropped(&self) -> bool {
        lock(&self.0).dropped
    }
}

/// The contender's end.
#[derive(Debug)]
pub(crate) struct Line(Stream);

impl Drop for Line {
    fn drop(&mut self) {
        lock(&self.0.0).dropped = true;
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut ends = lock(&self.0.0);
        let length = ends.readable.len().min(buf.remaining());
        if length == 0 {
            return if ends.ended { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        buf.put_slice(&ends.readable[..length]);
        ends.readable.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut ends = lock(&self.0.0);
        if ends.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ends.written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
