//! How a byte stream to a server comes about.
//!
//! Purpose: keep sockets out of the session, so that tests drive it over in-memory streams, a unix socket
//! serves where there is one server on this machine, and TLS can come as another connector. Invariant: a connector keeps no state of a session, and looks names up
//! anew at each call. Limits on time are the session's business.

use std::fmt::{self, Display};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::connect_string::HostPort;

/// Makes streams to servers.
///
/// The futures are dropped when their time is over; they must not leave anything behind then.
pub trait Connector: Clone + Send + Sync + 'static {
    /// A connected stream.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// One place a name stands for.
    type Address: Clone + Display + Send + Sync + 'static;

    /// All addresses of `host`, looked up now, in the order in which they are to be tried.
    fn addresses(&self, host: &HostPort) -> impl Future<Output = io::Result<Vec<Self::Address>>> + Send;

    /// Connects to one address.
    fn connect(&self, address: &Self::Address) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// What `host` is called in all that the session tells of it.
    fn name(&self, host: &HostPort) -> String {
        host.to_string()
    }
}

/// Plain TCP, with the system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    type Stream = TcpStream;
    type Address = SocketAddr;

    async fn addresses(&self, host: &HostPort) -> io::Result<Vec<SocketAddr>> {
        // A literal address must not wait for a thread of the resolver: under load there may be none free.
        if let Ok(ip) = host.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, host.port)]);
        }
        Ok(tokio::net::lookup_host((host.host.as_str(), host.port)).await?.collect())
    }

    async fn connect(&self, address: &SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        // Frames are small and each is wanted at once.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// The one server of this machine, behind a unix socket.
///
/// The connect string's hosts say nothing here, so there should be one: any name will do. The socket
/// is looked up by its path at each attempt, as another process may have bound it anew.
#[derive(Debug, Clone)]
pub struct UnixConnector {
    socket: Arc<Path>,
}

impl UnixConnector {
    /// Connects to `socket`. The system takes at most 107 bytes; a longer path is reached through an open
    /// directory, as `/proc/self/fd/N/name`.
    pub fn new(socket: impl AsRef<Path>) -> Self {
        Self { socket: Arc::from(socket.as_ref()) }
    }
}

/// A unix socket's path, which may be printed.
#[derive(Debug, Clone)]
pub struct SocketPath(Arc<Path>);

impl Display for SocketPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Connector for UnixConnector {
    type Stream = UnixStream;
    type Address = SocketPath;

    async fn addresses(&self, _host: &HostPort) -> io::Result<Vec<SocketPath>> {
        Ok(vec![SocketPath(Arc::clone(&self.socket))])
    }

    async fn connect(&self, address: &SocketPath) -> io::Result<UnixStream> {
        UnixStream::connect(&address.0).await
    }

    fn name(&self, _host: &HostPort) -> String {
        self.socket.display().to_string()
    }
}
