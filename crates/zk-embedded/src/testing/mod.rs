//! A server inside a test: up in milliseconds, with the faults that a test wants to stage.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use zk_embedded::testing::TestServer;
//!
//! let mut server = TestServer::start()?;
//! let servers = server.connect_string();       // 127.0.0.1:43817
//! // ... connect any ZooKeeper client to it, do something ...
//! server.cut();                                // all connections break; clients come back by themselves
//! server.kill();                               // nobody answers any more
//! server.restart()?;                           // the same server again: tree and sessions are still there
//! # assert!(servers.starts_with("127.0.0.1:"));
//! # Ok(())
//! # }
//! ```
//!
//! `tests/kit.rs` beside this crate's sources has whole tests to copy, in `#[tokio::test]` and without a
//! runtime: sessions that expire, cuts, restarts, a server that stands still.
//!
//! Several servers may run in one process. Each has threads of its own, so tests need no runtime for it, and
//! a test that blocks its runtime does not slow the server down. Faults act between the clients and the
//! server, on bytes: the server itself is the one that runs elsewhere, with nothing staged inside.

mod relay;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket};

use self::relay::{Faults, Relay};
use crate::accept::{self, Local};
use crate::config::{Config, Notices, Storage};
use crate::server::{Acceptor, Server, StartError};
use crate::state::{Limits, State};

/// The shortest session timeout that a test server grants unless told otherwise: tests are in a hurry.
pub const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);
/// The longest session timeout that a test server grants unless told otherwise.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(40);
/// How often a test server looks for containers without children.
const CONTAINER_CHECK: Duration = Duration::from_millis(500);
/// How long a restart waits for its port, which another process may have borrowed for a moment.
const PORT_LIMIT: Duration = Duration::from_secs(5);
const BACKLOG: u32 = 1024;

/// A ZooKeeper server on a free port of 127.0.0.1, and on a unix socket if asked. Dropped, it is gone.
pub struct TestServer {
    builder: Builder,
    address: SocketAddr,
    /// Bound, but not listening: keeps the port for us while the server is down.
    _reservation: TcpSocket,
    faults: Arc<Faults>,
    /// `None` while it is down.
    server: Option<Server>,
    /// What a server without a journal had when it went down.
    kept: Option<State>,
    frozen: Option<std::sync::mpsc::Sender<()>>,
}

/// How a [`TestServer`] is set up; see [`TestServer::builder`].
#[derive(Debug, Clone)]
pub struct Builder {
    config: Config,
    socket: Option<PathBuf>,
}

impl Builder {
    /// Session timeouts are taken into this range, instead of 100 ms to 40 s.
    #[must_use]
    pub fn session_timeouts(mut self, shortest: Duration, longest: Duration) -> Self {
        self.config.limits.min_timeout_ms = millis(shortest);
        self.config.limits.max_timeout_ms = millis(longest);
        self
    }

    /// How often containers without children are looked for, instead of each half second.
    #[must_use]
    pub fn container_check(mut self, every: Duration) -> Self {
        self.config.container_check = every;
        self
    }

    /// Keeps a journal in this directory, instead of all in memory.
    #[must_use]
    pub fn data_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.config.storage = Some(Storage::new(directory));
        self
    }

    /// Serves this unix socket as well, with the same faults. Each start puts it there anew; nobody removes
    /// it, as nobody does when a server dies.
    #[must_use]
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = Some(path.into());
        self
    }

    /// A credential `user:password` that passes every access check.
    #[must_use]
    pub fn superuser(mut self, credential: &str) -> Self {
        self.config.limits.superuser = Some(crate::state::digest_id(credential));
        self
    }

    /// The bounds of what the server keeps.
    #[must_use]
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.config.limits);
        self
    }

    /// Hears what the server has to say.
    #[must_use]
    pub fn notices(mut self, notices: Notices) -> Self {
        self.config.notices = notices;
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    /// As [`Server::start`]; also if there is no free port.
    pub fn start(self) -> Result<TestServer, StartError> {
        let reservation = reserve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let mut server = TestServer {
            builder: self,
            address: reservation.local_addr()?,
            _reservation: reservation,
            faults: Arc::default(),
            server: None,
            kept: None,
            frozen: None,
        };
        server.launch()?;
        Ok(server)
    }
}

impl TestServer {
    /// Starts a server that keeps all in memory and grants session timeouts from 100 ms to 40 s.
    ///
    /// # Errors
    /// There is no free port, or the system has no threads or descriptors left.
    pub fn start() -> Result<Self, StartError> {
        Self::builder().start()
    }

    /// Begins the set-up of a server.
    #[must_use]
    pub fn builder() -> Builder {
        let config = Config { container_check: CONTAINER_CHECK, ..Config::default() };
        Builder { config, socket: None }.session_timeouts(SHORTEST_TIMEOUT, LONGEST_TIMEOUT)
    }

    /// Where clients connect to: `127.0.0.1:port`. It stays the same over restarts.
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.address.to_string()
    }

    /// The same as an address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets the server die: connections break, new ones are refused. What it has acknowledged it will have
    /// again after [`TestServer::restart`], be it in a journal or in memory. Does nothing if it is down.
    pub fn kill(&mut self) {
        self.frozen = None;
        self.faults.thaw();
        if let Some(mut server) = self.server.take() {
            let state = server.end();
            if self.builder.config.storage.is_none() {
                self.kept = state;
            }
        }
        self.faults.cut();
    }

    /// Brings the server back, after ending it if it is up. Its sessions have a full timeout again.
    ///
    /// # Errors
    /// As [`Server::start`]; also if another process has taken the port.
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.kill();
        self.launch()
    }

    /// Lets the server stand still, as SIGSTOP would: connections stay open and silent, new ones are
    /// accepted by the system and hear nothing, no session ends. Does nothing if it is down.
    pub fn freeze(&mut self) {
        if let Some(server) = &self.server
            && self.frozen.is_none()
        {
            self.faults.freeze();
            self.frozen = Some(server.hold());
        }
    }

    /// Ends [`TestServer::freeze`]. What clients sent meanwhile arrives now.
    pub fn thaw(&mut self) {
        self.frozen = None;
        self.faults.thaw();
    }

    /// Breaks all connections at once. Clients may come back at once, too.
    pub fn cut(&self) {
        self.faults.cut();
    }

    /// Closes new connections as soon as they are accepted, until called with `false`. Those that are open
    /// stay.
    pub fn refuse(&self, refuse: bool) {
        self.faults.refuse(refuse);
    }

    /// From now on everything that the server sends arrives so much later. Zero ends it.
    pub fn delay_answers(&self, by: Duration) {
        self.faults.delay_answers(by);
    }

    /// From now on everything that clients send arrives so much later. Zero ends it.
    pub fn delay_requests(&self, by: Duration) {
        self.faults.delay_requests(by);
    }

    /// Ends a session as if its client had been silent for too long; whether there was such a session. The
    /// client is not told: it learns it when it comes back. Blocks for about a millisecond.
    ///
    /// # Panics
    /// While the server is down or frozen: nobody could end it then.
    pub fn expire_session(&self, session: i64) -> bool {
        assert!(self.frozen.is_none(), "a frozen server ends no session");
        self.server.as_ref().expect("a server that is down ends no session").expire_session(session)
    }

    fn launch(&mut self) -> Result<(), StartError> {
        let mut acceptors = vec![self.on_tcp()?];
        if let Some(socket) = &self.builder.socket {
            acceptors.push(self.on_socket(socket)?);
        }
        let state = self.kept.take().map(|state| {
            // Through the bytes of a snapshot, as a journal would have it.
            State::from_snapshot(&state.snapshot(), self.builder.config.limits.clone())
        });
        let state = state.transpose().map_err(|source| StartError::Replay { zxid: 0, source })?;
        self.server = Some(Server::start_from(self.builder.config.clone(), state, || Ok(acceptors))?);
        Ok(())
    }

    fn on_tcp(&self) -> io::Result<Acceptor> {
        let listener = listen(self.address)?;
        listener.set_nonblocking(true)?;
        let faults = Arc::clone(&self.faults);
        Ok(Box::new(move |shared| {
            let relay = Relay::new(TcpListener::from_std(listener)?, faults);
            tokio::spawn(accept::serve(relay, shared));
            Ok(())
        }))
    }

    fn on_socket(&self, path: &Path) -> io::Result<Acceptor> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        let faults = Arc::clone(&self.faults);
        Ok(Box::new(move |shared| {
            let listener = Local(tokio::net::UnixListener::from_std(listener)?, AtomicU64::new(1));
            tokio::spawn(accept::serve(Relay::new(listener, faults), shared));
            Ok(())
        }))
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServer")
            .field("address", &self.address)
            .field("up", &self.server.is_some())
            .field("frozen", &self.frozen.is_some())
            .finish_non_exhaustive()
    }
}

/// A socket that has the port and lets another one of ours listen on it.
fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Connections of an earlier start may still hold the port for a moment.
fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let end = Instant::now() + PORT_LIMIT;
    loop {
        match relay::listen(address, BACKLOG) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
}

fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}
