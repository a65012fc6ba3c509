//! More connections than an honest client makes.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use zk_embedded::testing::TestServer;
use zk_embedded::{Config, Listener, Notice, Notices, Server};
use zk_wire::CreateMode;

use crate::client::{Client, LIMIT, create, exists};

const LONG: Duration = Duration::from_secs(30);

/// From another address of this machine than the crowd.
fn from_elsewhere(address: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0))).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream
}

/// S15: 10 000 idle connections and 100 half-open ones from one address. Those beyond the limit are closed,
/// and honest clients are served meanwhile, whether they were there before or come from elsewhere.
#[test]
fn a_crowd_keeps_no_honest_client_out() {
    const IDLE: usize = 10_000;
    const HALF_OPEN: usize = 100;
    // This end of all, and the other end of those that are let in.
    let files = (IDLE + HALF_OPEN + 2_000) as u64;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < files) {
        let maximum = limit.maximum.map(|most| most.max(files));
        setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum })
            .expect("12 100 open files are allowed here: raise the hard limit (ulimit -Hn)");
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::start(Config::default(), vec![Listener::Tcp(listener)]).unwrap();
    let mut before = Client::connect(address, LONG);
    before.call(&create("/a", CreateMode::Persistent)).1.unwrap();

    let mut crowd: Vec<TcpStream> = (0..HALF_OPEN)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(&[0, 0]).unwrap();
            stream
        })
        .collect();
    for number in 0..IDLE {
        crowd.push(TcpStream::connect(address).unwrap());
        if number % 1000 == 0 {
            assert!(before.call(&exists("/a", false)).1.is_ok(), "after {number} connections");
        }
    }
    let mut elsewhere = Client::over(from_elsewhere(address));
    assert_eq!(elsewhere.stream.peer_addr().unwrap().ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert!(elsewhere.handshake(0, &[0; 16], LONG, 0).is_some(), "somebody from elsewhere is kept out");
    assert!(elsewhere.call(&exists("/a", false)).1.is_ok());
    assert!(Client::plain(address).is_hung_up(), "another one of the crowd's address is too many");
    drop(crowd);
    // There is room again as soon as the server has noticed.
    let end = Instant::now() + LIMIT;
    while Client::plain(address).handshake(0, &[0; 16], LONG, 0).is_none() {
        assert!(Instant::now() < end, "there is no room again");
    }
    server.stop();
}

/// W17: connections by the thousand, each gone at once.
#[test]
fn a_storm_of_connections_passes() {
    let server = TestServer::start().unwrap();
    let mut honest = Client::connect(server.address(), LONG);
    for number in 0..10_000 {
        drop(TcpStream::connect(server.address()).unwrap());
        if number % 1000 == 0 {
            assert!(honest.call(&exists("/", false)).1.is_ok());
        }
    }
    Client::connect(server.address(), LONG).call(&exists("/", false)).1.unwrap();
}

/// As many sessions as there may be: those who look after the server hear of it, once.
#[test]
fn it_is_said_once_that_clients_are_turned_away() {
    let (tell, told) = std::sync::mpsc::channel();
    let notices = Notices::new(move |notice| {
        if matches!(notice, Notice::Full(_)) {
            let _ = tell.send(notice.to_string());
        }
    });
    let server = TestServer::builder().notices(notices).limits(|limits| limits.sessions = 2).start().unwrap();
    let mut clients: Vec<Client> = (0..6).map(|_| Client::plain(server.address())).collect();
    let got_in = clients.iter_mut().filter_map(|client| client.handshake(0, &[0; 16], LONG, 0)).count();
    assert_eq!(got_in, 2);
    drop(server);
    assert_eq!(told.iter().collect::<Vec<_>>(), ["clients are turned away: too many sessions"]);
}
