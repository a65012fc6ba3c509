//! Letting connections in.
//!
//! Invariant: a listener that cannot accept (no file descriptors left, say) waits and tries again; it never
//! ends by itself and never spins.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::Notice;
use crate::connection;
use crate::shared::Shared;

/// How long to wait when no connection can be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Somewhere connections come from.
pub(crate) trait Accept: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection: its stream, its address, and what to call it.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, IpAddr, String)>> + Send;
}

/// Serves every connection that comes; never ends.
pub(crate) async fn serve(mut listener: impl Accept, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, address, peer)) => match shared.admit(address) {
                Ok(guest) => {
                    tokio::spawn(connection::serve(stream, peer, guest, Arc::clone(&shared)));
                }
                Err(why) => {
                    shared.tell_full(why.clone());
                    shared.notices().ended(&peer, why);
                }
            },
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                shared.notices().tell(Notice::NoAccept(error));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A client that was gone before it was accepted says nothing about the next one.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, IpAddr, String)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Frames are small and each is wanted at once; on a broken connection the next read tells.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer.ip().to_canonical(), peer.to_string()))
    }
}

/// A unix socket, and a number for its next client.
pub(crate) struct Local(pub(crate) UnixListener, pub(crate) AtomicU64);

impl Accept for Local {
    type Stream = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, IpAddr, String)> {
        let (stream, _) = self.0.accept().await?;
        let number = self.1.fetch_add(1, Ordering::Relaxed);
        Ok((stream, Ipv4Addr::LOCALHOST.into(), format!("local:{number}")))
    }
}
