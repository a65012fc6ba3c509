//! Whole clients on the server: the project's own, and one that the project has nothing to do with.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Duration;

use zk_embedded::testing::TestServer;
use zk_session::wire::{Acl, CreateMode, EventKind, MultiOp, Request, perms};
use zk_session::{CallError, Client, ClientEvent, Config, Credential};

/// Nothing that a test waits for takes so long.
const LIMIT: Duration = Duration::from_secs(20);

fn config(server: &TestServer) -> Config {
    let mut config = Config::new(server.connect_string().parse().unwrap());
    config.timeout = Duration::from_secs(5);
    config
}

async fn watched(events: &mut tokio::sync::broadcast::Receiver<ClientEvent>) -> (EventKind, String) {
    loop {
        let event = tokio::time::timeout(LIMIT, events.recv()).await.unwrap().unwrap();
        if let ClientEvent::Watch(event) = event {
            return (event.kind, event.path);
        }
    }
}

/// Asks again when the connection broke on the way.
async fn again<T, F: Future<Output = Result<T, CallError>>>(ask: impl Fn() -> F) -> T {
    loop {
        match ask().await {
            Err(CallError::OutcomeUnknown) => {}
            outcome => return outcome.unwrap(),
        }
    }
}

#[tokio::test]
async fn our_session_keeps_its_watches_and_ephemerals_over_cuts_and_restarts() {
    let mut server = TestServer::start().unwrap();
    let client = Client::connect(config(&server)).await.unwrap();
    let other = Client::connect(config(&server)).await.unwrap();
    client.ensure("/app/queue").await.unwrap();
    let open = || vec![Acl::anyone(perms::ALL)];
    let made = Request::Create2 {
        path: "/app/queue/e-".into(),
        data: None,
        acl: open(),
        mode: CreateMode::EphemeralSequential,
    };
    client.call(made).await.unwrap();
    let mut events = client.events();
    client.get_data("/app", true).await.unwrap();
    client.exists("/app/later", true).await.unwrap_err();
    server.cut();
    again(|| other.set_data("/app", b"1", -1)).await;
    assert_eq!(watched(&mut events).await, (EventKind::DataChanged, "/app".into()));
    server.restart().unwrap();
    again(|| other.sync("/")).await;
    let ops = vec![MultiOp::Create {
        path: "/app/later".into(),
        data: None,
        acl: open(),
        mode: CreateMode::Persistent,
    }];
    other.multi(ops).await.unwrap();
    assert_eq!(watched(&mut events).await, (EventKind::Created, "/app/later".into()));
    let children = other.get_children2("/app/queue", false).await.unwrap();
    assert_eq!(children.value.0, ["e-0000000000"], "the ephemeral is still there");
    client.close().await;
    let children = other.get_children2("/app/queue", false).await.unwrap();
    assert!(children.value.0.is_empty());
}

#[tokio::test]
async fn our_session_learns_of_its_end() {
    let server = TestServer::start().unwrap();
    let mut config = config(&server);
    config.credentials.push(Credential::new("digest", "me:1"));
    let client = Client::connect(config).await.unwrap();
    let who = client.who_am_i().await.unwrap().value;
    assert!(who.contains(&("digest".to_owned(), "me".to_owned())), "{who:?}");
    let mut events = client.events();
    let session = client.attachment().unwrap().session;
    assert!(server.expire_session(session));
    loop {
        if let ClientEvent::Ended(end) = tokio::time::timeout(LIMIT, events.recv()).await.unwrap().unwrap() {
            assert_eq!(end, zk_session::SessionEnd::Expired);
            break;
        }
    }
}

#[tokio::test]
async fn a_foreign_client_does_its_work() {
    use zookeeper_client as zk;
    let mut server = TestServer::builder()
        .session_timeouts(Duration::from_secs(4), Duration::from_secs(40))
        .start()
        .unwrap();
    let connect = zk::Client::connector().with_session_timeout(Duration::from_secs(6));
    let client = connect.connect(&server.connect_string()).await.unwrap();
    let persistent = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
    client.create("/a", b"one", &persistent).await.unwrap();
    let (data, stat, watcher) = client.get_and_watch_data("/a").await.unwrap();
    assert_eq!((data.as_slice(), stat.version), (&b"one"[..], 0));
    client.set_data("/a", b"two", Some(0)).await.unwrap();
    let event = tokio::time::timeout(LIMIT, watcher.changed()).await.unwrap();
    assert_eq!(event.event_type, zk::EventType::NodeDataChanged);
    assert_eq!(client.set_data("/a", b"", Some(0)).await.unwrap_err(), zk::Error::BadVersion);

    let ephemeral = zk::CreateMode::EphemeralSequential.with_acls(zk::Acls::anyone_all());
    let (_, number) = client.create("/a/e-", b"", &ephemeral).await.unwrap();
    assert_eq!(number.into_i64(), 0);
    let container = zk::CreateMode::Container.with_acls(zk::Acls::anyone_all());
    client.create("/c", b"", &container).await.unwrap();
    let mut writer = client.new_multi_writer();
    writer.add_create("/a/m", b"", &persistent).unwrap();
    writer.add_set_data("/a", b"three", None).unwrap();
    assert_eq!(writer.commit().await.unwrap().len(), 2);
    client.auth("digest", b"user:password").await.unwrap();
    let users = client.list_auth_users().await.unwrap();
    assert_eq!(users.len(), 2, "{users:?}");
    let mut persistent_watcher = client.watch("/a", zk::AddWatchMode::Persistent).await.unwrap();

    server.restart().unwrap();
    let (names, _) = loop {
        match client.get_children("/a").await {
            Err(zk::Error::ConnectionLoss) => {}
            outcome => break outcome.unwrap(),
        }
    };
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(client.list_ephemerals("/").await.unwrap(), ["/a/e-0000000000"]);
    client.delete("/a/m", None).await.unwrap();
    let event = tokio::time::timeout(LIMIT, persistent_watcher.changed()).await.unwrap();
    let event = match event.event_type {
        // The client tells of its own reconnection first.
        zk::EventType::Session => tokio::time::timeout(LIMIT, persistent_watcher.changed()).await.unwrap(),
        _ => event,
    };
    assert!(matches!(event.event_type, zk::EventType::NodeChildrenChanged | zk::EventType::Session));

    // What is not there yet is said, and does no harm.
    let recursive = client.watch("/a", zk::AddWatchMode::PersistentRecursive).await;
    assert_eq!(recursive.err(), Some(zk::Error::Unimplemented));
    assert_eq!(client.count_descendants_number("/a").await.unwrap(), 1);
}

#[tokio::test]
async fn a_foreign_clients_lock_goes_from_one_to_the_next() {
    use zookeeper_client as zk;
    let server = TestServer::start().unwrap();
    let client = || async { zk::Client::connect(&server.connect_string()).await.unwrap() };
    let (one, two) = (client().await, client().await);
    let options = || zk::LockOptions::new(zk::Acls::anyone_all());
    let prefix = || zk::LockPrefix::new_curator("/locks", "latch-").unwrap();
    let directory = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
    one.create("/locks", b"", &directory).await.unwrap();
    let held = one.lock(prefix(), b"", options()).await.unwrap();
    let waiting = tokio::spawn(async move {
        let held = two.lock(prefix(), b"", options()).await.unwrap();
        held.lock_path().to_owned()
    });
    tokio::task::yield_now().await;
    drop(held);
    let path = tokio::time::timeout(LIMIT, waiting).await.unwrap().unwrap();
    assert!(path.starts_with("/locks/"), "{path}");
}
