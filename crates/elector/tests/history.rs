//! What is remembered of past terms: beside the election, bounded, and harmless whatever is there.

use std::time::Duration;

use elector::{Elector, History, HistoryError, Reader, Token};
use zk_embedded::testing::TestServer;
use zk_session::wire::{Acl, CreateMode, perms};
use zk_session::{Client, Config};

const LIMIT: Duration = Duration::from_secs(5);

fn token(number: u64) -> Token {
    (4_294_967_296 + number).to_string().parse().expect("a token")
}

fn history(server: &TestServer) -> History {
    Elector::builder(server.connect_string(), "/billing").history().expect("good options")
}

async fn reader(server: &TestServer) -> Reader {
    Reader::connect(server.connect_string(), "/billing", Vec::new(), LIMIT).await.expect("the server is up")
}

async fn client(server: &TestServer) -> Client {
    let servers = server.connect_string().parse().expect("a list");
    Client::connect(Config::new(servers)).await.expect("the server is up")
}

#[tokio::test]
async fn a_thousand_terms_leave_fifty_records() {
    let server = TestServer::start().unwrap();
    let mut history = history(&server);
    for number in 0..1000 {
        assert_eq!(history.create(token(number), "x").await, Ok(true));
    }
    let seen = reader(&server).await.history(1000).await.expect("readable");
    assert_eq!((seen.len(), seen[0].token, seen[49].token), (50, token(999), token(950)));
    assert_eq!(history.last(2).await.map(|records| records.len()), Ok(2));
    // The election's own path is left alone, and nothing else was made.
    let names = client(&server).await.get_children2("/", false).await.expect("a list").value.0;
    assert_eq!(names.iter().filter(|name| *name != "zookeeper").collect::<Vec<_>>(), ["billing.ctl"]);
}

/// A server that hangs costs whoever finds it first seconds, which the end of a run does not have.
#[tokio::test]
async fn the_server_that_carries_the_election_is_tried_before_one_that_hangs() {
    let server = TestServer::start().unwrap();
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    hanging.set_nonblocking(true).unwrap();
    let both = format!("{},{}", hanging.local_addr().unwrap(), server.connect_string());
    let builder = Elector::builder(&both, "/billing");
    let elector = builder.clone().start().expect("good options");
    elector.connected().await.expect("one of them answers");
    let estate = elector.estate().borrow().clone().expect("it is connected");
    while hanging.accept().is_ok() {}
    for number in 0..8 {
        let mut history = builder.history().expect("good options");
        history.prefer(&estate);
        assert_eq!(history.create(token(number), "x").await, Ok(true));
        assert!(estate.history().get(token(number)).await.unwrap().is_some());
    }
    assert!(hanging.accept().is_err(), "nobody came to the one that hangs");
    elector.close().await;
}

#[tokio::test]
async fn of_two_who_write_at_once_the_second_one_knows() {
    let server = TestServer::start().unwrap();
    let (mut one, mut two) = (history(&server), history(&server));
    assert_eq!(one.create(token(1), "begun").await, Ok(true));
    assert_eq!(two.create(token(1), "other").await, Ok(false));
    let read = one.get(token(1)).await.unwrap().expect("it is there");
    assert_eq!((read.text.as_deref(), read.created), (Some("begun"), read.changed));
    assert_eq!(two.replace(&read, "ended").await, Ok(true));
    assert_eq!(one.replace(&read, "late").await, Ok(false));
    let now = reader(&server).await.record(token(1)).await.unwrap().expect("it is there");
    assert_eq!(now.text.as_deref(), Some("ended"));
    assert!(now.changed >= now.created);
    one.rest().await;
    assert_eq!(one.get(token(2)).await, Ok(None), "after a rest it connects again");
}

#[tokio::test]
async fn what_others_put_there_is_bounded_and_never_taken_for_ours() {
    let server = TestServer::start().unwrap();
    let mut history = history(&server);
    history.create(token(1), "ours").await.unwrap();
    let other = client(&server).await;
    let put = async |name: &str, data: &[u8]| {
        let path = format!("/billing.ctl/history/{name}");
        let acl = vec![Acl::anyone(perms::ALL)];
        other.create2(&path, data, acl, CreateMode::Persistent).await.expect("made");
    };
    put("README", b"not ours").await;
    put("0000000004294967300", &vec![b'x'; 900_000]).await;
    put("0000000004294967301", b"\xff\x00").await;
    let seen = reader(&server).await.history(50).await.expect("readable");
    let texts: Vec<_> = seen.iter().map(|record| record.text.as_deref()).collect();
    assert_eq!(texts, [None, None, Some("ours")]);
    let refused = history.create(token(9), &"x".repeat(5000)).await;
    assert!(matches!(refused, Err(HistoryError::Refused { .. })), "{refused:?}");
}

#[tokio::test]
async fn without_the_right_to_write_it_says_where() {
    let server = TestServer::start().unwrap();
    let other = client(&server).await;
    let read_only = vec![Acl::anyone(perms::READ)];
    other.create2("/billing.ctl", b"", read_only, CreateMode::Persistent).await.expect("made");
    let error = history(&server).create(token(1), "x").await.expect_err("not permitted");
    assert!(!error.is_retryable());
    assert!(error.to_string().starts_with("/billing.ctl/history: "), "{error}");
}

#[tokio::test]
async fn a_list_that_says_who_closes_the_history_to_others() {
    let server = TestServer::start().unwrap();
    let mut history = Elector::builder(server.connect_string(), "/billing")
        .credential("digest", "owner:secret")
        .history()
        .expect("good options");
    history.create(token(1), "x").await.expect("written");
    let refused = self::history(&server).create(token(2), "y").await;
    assert!(matches!(refused, Err(HistoryError::Refused { .. })), "{refused:?}");
    let seen = reader(&server).await.history(5).await.expect("anybody may read");
    assert_eq!(seen.len(), 1);
}
