//! The server and its directory: one holder, no word after a failure, boots, unix sockets.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "wire/client.rs"]
mod client;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use zk_embedded::journal::Limits;
use zk_embedded::testing::TestServer;
use zk_embedded::{Config, Fatal, Listener, Server, Storage};
use zk_wire::{CreateMode, ErrorCode};

use crate::client::{Client, create, exists, set};

const LONG: Duration = Duration::from_secs(30);

fn config(directory: &Path) -> Config {
    Config { storage: Some(Storage::new(directory)), ..Config::default() }
}

fn start(config: Config) -> (Server, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (Server::start(config, vec![Listener::Tcp(listener)]).unwrap(), address)
}

/// S10.
#[test]
fn a_second_server_is_told_who_has_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let (first, _) = start(config(&path));
    let refused = Server::start(config(&path), Vec::new()).unwrap_err().to_string();
    assert!(refused.contains(&std::process::id().to_string()), "{refused}");
    first.stop();
    Server::start(config(&path), Vec::new()).expect("it is free again").stop();
}

#[test]
fn sockets_are_bound_by_the_holder_of_the_directory_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let (_first, _) = start(config(&path));
    let mut asked = false;
    let second = Server::start_then_bind(config(&path), || {
        asked = true;
        Ok(Vec::new())
    });
    assert!(second.is_err() && !asked);
}

#[test]
fn a_server_that_cannot_bind_frees_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let refused = Server::start_then_bind(config(&path), || Err(std::io::ErrorKind::AddrInUse.into()));
    assert!(refused.is_err());
    start(config(&path)).0.stop();
}

/// S19.
#[tokio::test]
async fn without_its_directory_the_server_ends_and_acknowledges_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let (server, address) = start(config(&path));
    let mut client = Client::connect(address, LONG);
    client.call(&create("/a", CreateMode::Persistent)).1.unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    let number = client.send(&create("/b", CreateMode::Persistent));
    assert!(client.answer(number, zk_wire::op::CREATE2).is_none(), "hung up without an answer");
    let why = tokio::time::timeout(LONG, server.failed()).await.unwrap();
    assert!(matches!(*why, Fatal::Journal(_)), "{why}");
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody is served any more");
}

#[test]
fn sessions_end_with_the_boot_in_which_they_were_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let boot = |id: &str| Config { boot: Some(id.to_owned()), ..config(&path) };
    let (server, address) = start(boot("one"));
    let mut client = Client::connect(address, LONG);
    client.call(&create("/e", CreateMode::Ephemeral)).1.unwrap();
    client.call(&create("/p", CreateMode::Persistent)).1.unwrap();
    server.stop();
    let (server, address) = start(boot("one"));
    let client = Client::resume(address, &client).expect("the same boot");
    server.stop();
    let (_server, address) = start(boot("two"));
    assert!(Client::resume(address, &client).is_none());
    let mut other = Client::connect(address, LONG);
    assert_eq!(other.call(&exists("/e", false)).1, Err(ErrorCode::NoNode));
    assert!(other.call(&exists("/p", false)).1.is_ok());
}

#[test]
fn a_unix_socket_serves_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let _server = Server::start(Config::default(), vec![Listener::Unix(listener)]).unwrap();
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(b"ruok").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "imok");
}

#[test]
fn a_fresh_directory_begins_above_an_earlier_one() {
    let server = TestServer::start().unwrap();
    let (zxid, _) = Client::connect(server.address(), LONG).call(&exists("/", false));
    assert!(
        zxid > 1_700_000_000,
        "zxids begin at the time in seconds, so that clients of a lost server come back"
    );
}

/// S16: what is written over and over does not fill the disk, nor make the next start long: of many times
/// their size, the log and the snapshots keep to a bound.
#[test]
fn the_log_does_not_grow_beyond_its_limits() {
    const LIMIT: u64 = 64 << 10;
    const DATA: usize = 10_000;
    const WRITES: usize = 600;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let limits = Limits { segment_bytes: LIMIT, snapshot_bytes: LIMIT, snapshot_records: 1_000_000 };
    let storage = Some(Storage { directory: path.clone(), limits });
    let (server, address) = start(Config { storage, ..Config::default() });
    let mut client = Client::connect(address, LONG);
    client.call(&create("/a", CreateMode::Persistent)).1.unwrap();
    let size = || {
        let files = std::fs::read_dir(&path).unwrap().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum::<u64>()
    };
    let mut write = || client.call(&set("/a", &[7; DATA])).1.unwrap();
    for _ in 0..WRITES {
        write();
    }
    assert!(WRITES * DATA > 80 * usize::try_from(LIMIT).unwrap());
    // Three snapshots with the segments from the oldest of them on. On a busy machine a snapshot may take many
    // writes; what was written meanwhile goes with the next ones.
    let end = Instant::now() + LONG;
    while size() > 8 * LIMIT {
        assert!(Instant::now() < end, "{} bytes", size());
        write();
        std::thread::sleep(Duration::from_millis(20));
    }
    server.stop();
    let (_server, address) = start(config(&path));
    let read = zk_wire::Request::GetData { path: "/a".into(), watch: false };
    assert!(Client::resume(address, &client).expect("its session").call(&read).1.is_ok());
}
