//! Between the clients and a test server: carries bytes, and does what a bad network or a stopped process does.
//!
//! Invariant: bytes are never lost, changed or reordered on a connection that lives; a connection that is
//! cut is cut both ways.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen as start_listening, socket_with};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::accept::Accept;

/// Bytes that are read at a time, and that wait between the relay and the server.
const CHUNK: usize = 64 << 10;
/// Chunks that may be under way in one direction of a connection.
const UNDER_WAY: usize = 1024;

/// What is staged at the moment, and who has to hear of a change.
#[derive(Debug)]
pub(super) struct Faults(watch::Sender<Staged>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Staged {
    frozen: bool,
    refuse: bool,
    /// Counts up with each cut; a connection ends when it is not what it was at its beginning.
    cuts: u64,
    request_delay: Duration,
    answer_delay: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        Self(watch::Sender::new(Staged::default()))
    }
}

impl Faults {
    pub(super) fn freeze(&self) {
        self.0.send_modify(|staged| staged.frozen = true);
    }

    pub(super) fn thaw(&self) {
        self.0.send_modify(|staged| staged.frozen = false);
    }

    pub(super) fn cut(&self) {
        self.0.send_modify(|staged| staged.cuts += 1);
    }

    pub(super) fn refuse(&self, refuse: bool) {
        self.0.send_modify(|staged| staged.refuse = refuse);
    }

    pub(super) fn delay_requests(&self, by: Duration) {
        self.0.send_modify(|staged| staged.request_delay = by);
    }

    pub(super) fn delay_answers(&self, by: Duration) {
        self.0.send_modify(|staged| staged.answer_delay = by);
    }
}

/// A listener whose connections go through here.
pub(super) struct Relay<L> {
    listener: L,
    faults: Arc<Faults>,
}

impl<L: Accept> Relay<L> {
    pub(super) fn new(listener: L, faults: Arc<Faults>) -> Self {
        Self { listener, faults }
    }
}

impl<L: Accept> Accept for Relay<L> {
    type Stream = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, IpAddr, String)> {
        loop {
            let mut staged = self.faults.0.subscribe();
            thawed(&mut staged).await;
            let (stream, address, peer) = self.listener.accept().await?;
            if staged.borrow().refuse {
                continue;
            }
            thawed(&mut staged).await;
            let (ours, theirs) = tokio::io::duplex(CHUNK);
            tokio::spawn(carry(stream, ours, staged));
            return Ok((theirs, address, peer));
        }
    }
}

/// Carries both ways until the server closes or all is cut.
async fn carry(client: impl AsyncRead + AsyncWrite, server: DuplexStream, staged: watch::Receiver<Staged>) {
    let began_with = staged.borrow().cuts;
    let (client_in, client_out) = tokio::io::split(client);
    let (server_in, server_out) = tokio::io::split(server);
    let mut cut = staged.clone();
    // A client that sends nothing more still gets its answers; when the server closes, all is over.
    let at_requests = staged.clone();
    let requests = async {
        flow(client_in, server_out, at_requests, |staged| staged.request_delay).await;
        std::future::pending().await
    };
    tokio::select! {
        () = requests => {}
        () = flow(server_in, client_out, staged, |staged| staged.answer_delay) => {}
        _ = cut.wait_for(|staged| staged.cuts != began_with) => {}
    }
}

/// One direction: what is read is written when its time has come, and in its order.
async fn flow(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    staged: watch::Receiver<Staged>,
    delay: fn(&Staged) -> Duration,
) {
    let (sender, mut waiting) = mpsc::channel::<(Instant, Bytes)>(UNDER_WAY);
    let mut reading = staged.clone();
    let mut writing = staged;
    let read = async move {
        loop {
            thawed(&mut reading).await;
            let mut chunk = BytesMut::with_capacity(CHUNK / 16);
            match from.read_buf(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let due = Instant::now() + delay(&reading.borrow());
            if sender.send((due, chunk.freeze())).await.is_err() {
                return;
            }
        }
    };
    let write = async {
        while let Some((due, chunk)) = waiting.recv().await {
            // The timer goes by milliseconds: it would hold up what is due.
            if Instant::now() < due {
                sleep_until(due).await;
            }
            thawed(&mut writing).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    // When nothing more is read, what is under way is still delivered: the writer ends after the last of it.
    // When nothing can be written, that is the end of both.
    tokio::pin!(read, write);
    tokio::select! {
        () = &mut write => {}
        () = &mut read => write.await,
    }
}

/// Waits until nothing stands still.
async fn thawed(staged: &mut watch::Receiver<Staged>) {
    // An error is the test server being dropped: then nothing matters any more.
    let _ = staged.wait_for(|staged| !staged.frozen).await;
}

/// A listening socket on an address that [`super::TestServer`] has reserved.
pub(super) fn listen(address: SocketAddr, backlog: u32) -> io::Result<std::net::TcpListener> {
    let socket: OwnedFd = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    start_listening(&socket, i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}
