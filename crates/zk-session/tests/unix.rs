//! A session over a unix socket, with a scripted server behind it.

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use zk_session::wire::{ConnectRequest, ConnectResponse, frame};
use zk_session::{Clock, Config, Happening, MonotonicClock, Session, UnixConnector};

/// More than an address of a unix socket can hold.
const LONG_NAME: usize = 120;
const LIMIT: usize = 1 << 20;
const T: Duration = Duration::from_secs(5);

/// Answers one connect request.
async fn serve_one(listener: &UnixListener) {
    let (mut stream, _) = listener.accept().await.expect("a listener accepts");
    let mut inbox = BytesMut::new();
    let request = loop {
        if let Some(request) = frame::take_frame(&mut inbox, LIMIT).expect("a frame") {
            break ConnectRequest::decode(&request).expect("a connect request");
        }
        assert_ne!(stream.read_buf(&mut inbox).await.expect("it is open"), 0);
    };
    let answer = ConnectResponse {
        protocol_version: 0,
        timeout_ms: request.timeout_ms,
        session_id: 7,
        password: vec![1; 16].into(),
        read_only: Some(false),
    };
    let mut out = BytesMut::new();
    answer.encode(LIMIT, &mut out).expect("it is short");
    stream.write_all(&out).await.expect("it is open");
}

/// The first happening that is no failed attempt, and the servers of those that failed.
async fn first(session: &mut Session<UnixConnector, MonotonicClock>) -> (Happening, Vec<String>) {
    let mut failed = Vec::new();
    loop {
        for happening in session.next().await {
            match happening {
                Happening::Unreachable { server, .. } => failed.push(server),
                Happening::RoundFailed { .. } => {}
                other => return (other, failed),
            }
        }
    }
}

fn session(socket: &PathBuf) -> Session<UnixConnector, MonotonicClock> {
    let config = Config { timeout: T, ..Config::new("here".parse().expect("well formed")) };
    Session::new(config, UnixConnector::new(socket), MonotonicClock)
}

#[tokio::test]
async fn a_socket_beyond_the_longest_address_is_reached_through_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("d".repeat(LONG_NAME));
    std::fs::create_dir(&deep).unwrap();
    assert!(UnixListener::bind(deep.join("socket")).is_err(), "it is too long by itself");
    let open = std::fs::File::open(&deep).unwrap();
    let socket = PathBuf::from(format!("/proc/self/fd/{}/socket", open.as_raw_fd()));
    let listener = UnixListener::bind(&socket).unwrap();
    let mut session = session(&socket);
    let before = MonotonicClock.now();
    let ((happening, _), ()) = tokio::join!(first(&mut session), serve_one(&listener));
    let Happening::Attached(attachment) = happening else { panic!("{happening:?}") };
    assert_eq!(attachment.server, socket.display().to_string());
    assert_eq!(attachment.timeout, T);
    assert!(before <= attachment.connect_sent && attachment.received <= MonotonicClock.now());
}

#[tokio::test]
async fn a_socket_that_is_not_there_yet_is_tried_until_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let mut session = session(&socket);
    let late = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        serve_one(&UnixListener::bind(&socket).unwrap()).await;
    };
    let ((happening, failed), ()) = tokio::join!(first(&mut session), late);
    assert!(matches!(happening, Happening::Attached(_)), "{happening:?}");
    assert_eq!(failed[0], socket.display().to_string(), "the socket is named, not the connect string");
}
