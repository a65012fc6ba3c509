//! A new session where one of the servers says nothing, over real sockets: the next server is asked soon.

use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use zk_embedded::testing::TestServer;
use zk_session::{Attachment, BootClock, Config, Happening, Session, TcpConnector};

/// A bound on patience, not on speed.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a connection is given to come about on this machine before it counts as dropped.
const DROPPED_AFTER: Duration = Duration::from_millis(300);
/// More connections than a listener's shortest queue holds.
const MANY: usize = 8;

/// What was said of `mute`, which is asked first, and the connection that came about all the same.
async fn connect_past(mute: &TcpListener, server: &TestServer) -> (String, Attachment) {
    let first = mute.local_addr().expect("it listens").to_string();
    let servers = format!("{first},{}", server.connect_string());
    let mut config = Config::new(servers.parse().expect("a connect string"));
    config.first = Some(first.clone());
    let mut session = Session::new(config, TcpConnector, BootClock);
    let mut said = None;
    let connecting = async {
        loop {
            for happening in session.next().await {
                match happening {
                    Happening::Unreachable { server, error } if server == first => said = Some(error),
                    Happening::Attached(attachment) => return attachment,
                    _ => {}
                }
            }
        }
    };
    let attachment = tokio::time::timeout(LIMIT, connecting).await.expect("another server answers");
    (said.expect("it was asked first"), attachment)
}

/// As one that is stopped: the kernel takes the connection, and nobody reads.
#[tokio::test]
async fn a_server_that_takes_connections_and_never_answers() {
    let server = TestServer::start().expect("a server");
    let mute = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (said, attachment) = connect_past(&mute, &server).await;
    assert_eq!(said, "no answer to the connect request within 1000ms");
    assert_eq!(attachment.server, server.connect_string());
}

/// As one behind a firewall that drops what comes: a full queue of connections makes the kernel do so.
#[tokio::test]
async fn a_server_that_is_not_even_heard_of() {
    let server = TestServer::start().expect("a server");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let mute = socket.listen(0).expect("it listens");
    let address = mute.local_addr().expect("it listens");
    let mut queue = Vec::new();
    while let Ok(taken) = tokio::time::timeout(DROPPED_AFTER, TcpStream::connect(address)).await {
        queue.push(taken.expect("taken or dropped"));
        assert!(queue.len() < MANY, "this kernel drops nothing");
    }
    let (said, attachment) = connect_past(&mute, &server).await;
    assert_eq!(said, "no connection within 1000ms");
    assert_eq!(attachment.server, server.connect_string());
}
