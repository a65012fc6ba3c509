//! How a byte stream to a server comes about.
//!
//! Purpose: keep sockets out of the session, so that tests drive it over in-memory streams, and TLS can
//! come as another connector. Invariant: a connector keeps no state of a session, and looks names up
//! anew at each call. Limits on time are the session's business.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

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
