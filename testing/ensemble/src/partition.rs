//! The links between the servers, so that one can be cut off from its peers while clients still reach it.
//!
//! Every Java machine is told to make its outgoing connections through a SOCKS relay of its own; a server makes
//! none but those to its peers. So all servers keep the same, true list of members, and a server that calls a peer
//! back at the address that the peer announced (as ZooKeeper's elections do) is relayed too, which a list with
//! relayed addresses would not achieve. Invariant: every byte between servers `a` and `b` passes the control of
//! the pair (`a`, `b`) or of (`b`, `a`), whoever connected.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::link::{Control, gave_up};
use crate::ports::Port;

/// How long a peer on this machine may take to accept a connection, and a client to say where it wants to go.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How often a connection that waits for the end of a partition looks whether its maker gave up.
const GIVE_UP_CHECK: Duration = Duration::from_millis(100);

/// The relays of all servers.
pub(crate) struct PeerLinks {
    relays: Vec<Relay>,
    shared: Arc<Links>,
}

/// What the relays know in common.
struct Links {
    /// The ports of each server that its peers connect to.
    ports: Vec<[u16; 2]>,
    /// One control for each ordered pair, at `from * size + to`.
    controls: Vec<Control>,
    isolated: Mutex<Vec<bool>>,
}

/// The outgoing relay of one server.
struct Relay {
    port: Port,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl PeerLinks {
    pub(crate) fn new(ports: Vec<[u16; 2]>) -> Self {
        let size = ports.len();
        let controls = (0..size * size).map(|_| Control::default()).collect();
        let shared = Arc::new(Links { ports, controls, isolated: Mutex::new(vec![false; size]) });
        let relays = (0..size).map(|from| Relay::start(from, &shared)).collect();
        Self { relays, shared }
    }

    /// What makes the server `index` use its relay. The list of hosts to reach without it must be empty: left out,
    /// it holds all of loopback.
    pub(crate) fn java_arguments(&self, index: usize) -> Vec<String> {
        vec![
            "-DsocksProxyHost=127.0.0.1".into(),
            format!("-DsocksProxyPort={}", self.relays[index].port.number()),
            "-DsocksNonProxyHosts=".into(),
        ]
    }

    pub(crate) fn isolate(&self, index: usize) {
        self.set_isolated(index, true);
    }

    pub(crate) fn heal(&self, index: usize) {
        self.set_isolated(index, false);
    }

    fn set_isolated(&self, index: usize, value: bool) {
        let mut isolated = self.shared.isolated.lock().unwrap_or_else(PoisonError::into_inner);
        isolated[index] = value;
        let size = isolated.len();
        for (pair, control) in self.shared.controls.iter().enumerate() {
            if isolated[pair / size] || isolated[pair % size] {
                control.blackhole();
            } else {
                control.heal();
            }
        }
    }
}

impl Drop for PeerLinks {
    fn drop(&mut self) {
        for relay in &mut self.relays {
            relay.over.store(true, Ordering::SeqCst);
            let _ = TcpStream::connect_timeout(&relay.address(), CONNECT_LIMIT);
            let _ = relay.thread.take().map(JoinHandle::join);
        }
        for control in &self.shared.controls {
            control.heal();
            control.cut();
        }
    }
}

impl fmt::Debug for PeerLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerLinks").field("isolated", &self.shared.isolated).finish_non_exhaustive()
    }
}

impl Relay {
    fn start(from: usize, links: &Arc<Links>) -> Self {
        let port = Port::reserve();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number()))
            .expect("the port is reserved for this relay");
        let over = Arc::new(AtomicBool::new(false));
        let (flag, links) = (over.clone(), links.clone());
        let thread = std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if flag.load(Ordering::SeqCst) {
                    return;
                }
                let (links, flag) = (links.clone(), flag.clone());
                // A failure shows to the server as a closed connection, which is all that it needs to know.
                std::thread::spawn(move || links.serve(from, client, &flag));
            }
        });
        Self { port, over, thread: Some(thread) }
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }
}

impl Links {
    fn serve(&self, from: usize, mut client: TcpStream, over: &AtomicBool) -> io::Result<()> {
        client.set_read_timeout(Some(CONNECT_LIMIT))?;
        let target = read_socks_target(&mut client)?;
        client.set_read_timeout(None)?;
        let to = self.ports.iter().position(|ports| ports.contains(&target.port()));
        let to =
            to.ok_or_else(|| io::Error::other(format!("server {from} connects to a stranger, {target}")))?;
        let control = &self.controls[from * self.ports.len() + to];
        let admission = control.admit();
        while control.is_held() {
            if gave_up(&client) || over.load(Ordering::SeqCst) {
                return Ok(());
            }
            control.wait_for_change(GIVE_UP_CHECK);
        }
        let server = match TcpStream::connect_timeout(&target, CONNECT_LIMIT) {
            Ok(server) => server,
            Err(error) => {
                client.write_all(&socks_answer(SOCKS_REFUSED))?;
                return Err(error);
            }
        };
        client.write_all(&socks_answer(SOCKS_GRANTED))?;
        control.relay(&admission, client, server, false)
    }
}

const SOCKS_VERSION: u8 = 5;
const SOCKS_NO_PASSWORD: u8 = 0;
const SOCKS_CONNECT: u8 = 1;
const SOCKS_IPV4: u8 = 1;
const SOCKS_GRANTED: u8 = 0;
const SOCKS_REFUSED: u8 = 5;

/// The server's half of a SOCKS 5 greeting (RFC 1928) for an IPv4 address, the only kind that we configure.
fn read_socks_target(client: &mut TcpStream) -> io::Result<SocketAddr> {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting)?;
    let mut methods = vec![0; usize::from(greeting[1])];
    client.read_exact(&mut methods)?;
    client.write_all(&[SOCKS_VERSION, SOCKS_NO_PASSWORD])?;
    let mut request = [0; 10];
    client.read_exact(&mut request)?;
    let [version, command, _, kind, a, b, c, d, high, low] = request;
    if (greeting[0], version, command, kind) != (SOCKS_VERSION, SOCKS_VERSION, SOCKS_CONNECT, SOCKS_IPV4) {
        return Err(io::Error::other("no SOCKS 5 request to connect to an IPv4 address"));
    }
    Ok((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into())
}

fn socks_answer(code: u8) -> [u8; 10] {
    [SOCKS_VERSION, code, 0, SOCKS_IPV4, 127, 0, 0, 1, 0, 0]
}
