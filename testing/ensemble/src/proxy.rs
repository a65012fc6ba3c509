//! A relay in front of one server, through which a test's clients connect.
//!
//! Invariant: when it is dropped, its port is closed and so are all its connections. What it can do to them is in
//! [`Control`], which it dereferences to.

use std::fmt;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::link::Control;
use crate::ports::Port;

/// How long a server on this machine may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A TCP relay on a loopback port of its own.
///
/// ```no_run
/// use zk_ensemble::{Direction, Ensemble, Proxy, op};
///
/// let mut ensemble = Ensemble::start(1);
/// let proxy = Proxy::new(ensemble.server(0).address());
/// let servers = proxy.address().to_string();               // what the client under test is given
/// proxy.hold(Direction::Down);                             // replies are lost
/// proxy.heal();
/// proxy.cut_after_request(|frame| frame.is_op(&[op::CREATE2]));   // the create happens, its answer is lost
/// ```
pub struct Proxy {
    port: Port,
    control: Control,
    target: Arc<Mutex<SocketAddr>>,
    acceptor: Mutex<Option<Acceptor>>,
}

/// The thread that owns the listening socket.
struct Acceptor {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Proxy {
    /// Relays from a free loopback port to `target`, unharmed until told otherwise.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn new(target: SocketAddr) -> Self {
        let proxy = Self {
            port: Port::reserve(),
            control: Control::default(),
            target: Arc::new(Mutex::new(target)),
            acceptor: Mutex::new(None),
        };
        proxy.accept_again();
        proxy
    }

    /// Where clients connect to; the same for the proxy's whole life.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// The controls, to be moved into a hook or another thread.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Sends later connections to another server.
    pub fn set_target(&self, target: SocketAddr) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// Closes the port: new connections are refused by the kernel, open ones go on.
    pub fn refuse(&self) {
        let acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(acceptor) = acceptor {
            acceptor.over.store(true, Ordering::SeqCst);
            // A connection of our own wakes the thread, which then closes the socket.
            let _ = TcpStream::connect_timeout(&self.address(), CONNECT_LIMIT);
            let _ = acceptor.thread.join();
        }
    }

    /// Ends [`Proxy::refuse`].
    ///
    /// # Panics
    /// When the port cannot be opened again, which only a stranger to this harness can bring about.
    pub fn accept_again(&self) {
        let mut acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        if acceptor.is_none() {
            let listener = listen(self.address());
            let over = Arc::new(AtomicBool::new(false));
            let (flag, control, target) = (over.clone(), self.control.clone(), self.target.clone());
            let thread = std::thread::spawn(move || accept_all(&listener, &flag, &control, &target));
            *acceptor = Some(Acceptor { over, thread });
        }
    }
}

impl Deref for Proxy {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.refuse();
        self.control.cut();
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address()).field("control", &self.control).finish()
    }
}

/// A process that was being started when the port was closed holds it until it executes its program.
fn listen(address: SocketAddr) -> TcpListener {
    let until = Instant::now() + CONNECT_LIMIT;
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(1));
            }
            bound => return bound.expect("the port is reserved for this proxy"),
        }
    }
}

fn accept_all(listener: &TcpListener, over: &AtomicBool, control: &Control, target: &Mutex<SocketAddr>) {
    for client in listener.incoming().map_while(Result::ok) {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let target = *target.lock().unwrap_or_else(PoisonError::into_inner);
        let (control, admission) = (control.clone(), control.admit());
        std::thread::spawn(move || {
            // A server that is down shows to the client as a connection closed at once.
            if let Ok(server) = TcpStream::connect_timeout(&target, CONNECT_LIMIT) {
                let _ = control.relay(&admission, client, server, true);
            }
        });
    }
}
