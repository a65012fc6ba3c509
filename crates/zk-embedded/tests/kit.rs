//! The testing kit as a user has it: copy from here. The client is one that the project has nothing to do with.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Duration;

use zk_embedded::testing::TestServer;
use zookeeper_client as zk;

const LIMIT: Duration = Duration::from_secs(20);

/// What the test is about: a worker that is registered for as long as its session lives.
async fn register(server: &TestServer, name: &str) -> zk::Client {
    let connector = zk::Client::connector().with_session_timeout(Duration::from_secs(10));
    let client = connector.connect(&server.connect_string()).await.unwrap();
    let ephemeral = zk::CreateMode::Ephemeral.with_acls(zk::Acls::anyone_all());
    client.create(&format!("/{name}"), b"", &ephemeral).await.unwrap();
    client
}

/// Asks again until the connection is back.
async fn is_registered(client: &zk::Client, name: &str) -> bool {
    loop {
        match client.check_stat(&format!("/{name}")).await {
            // Of a connection that was cut this client tells some ends by the system's own error.
            Err(zk::Error::ConnectionLoss | zk::Error::Custom(_)) => {}
            stat => return stat.unwrap().is_some(),
        }
    }
}

#[tokio::test]
async fn a_worker_survives_cuts_and_restarts() {
    let mut server = TestServer::start().unwrap();
    let worker = register(&server, "worker").await;
    server.cut();
    assert!(is_registered(&worker, "worker").await);
    server.restart().unwrap();
    assert!(is_registered(&worker, "worker").await);
}

#[tokio::test]
async fn a_worker_whose_session_expires_is_gone() {
    let server = TestServer::start().unwrap();
    let worker = register(&server, "worker").await;
    let onlooker = register(&server, "onlooker").await;
    let mut states = worker.state_watcher();
    // Blocks for about a millisecond; the server has threads of its own, so nothing waits for this one.
    assert!(server.expire_session(worker.session_id().0));
    assert!(!is_registered(&onlooker, "worker").await);
    while !states.state().is_terminated() {
        tokio::time::timeout(LIMIT, states.changed()).await.unwrap();
    }
}

#[tokio::test]
async fn a_stopped_server_costs_nobody_the_session() {
    let mut server = TestServer::start().unwrap();
    let worker = register(&server, "worker").await;
    server.freeze();
    let asked = is_registered(&worker, "worker");
    tokio::pin!(asked);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut asked).await.is_err(), "nobody answers");
    server.thaw();
    assert!(tokio::time::timeout(LIMIT, asked).await.unwrap());
}

/// Without a runtime of the test's own, and with two servers, which know nothing of each other.
#[test]
fn two_servers_in_a_plain_test() {
    let servers = [TestServer::start().unwrap(), TestServer::start().unwrap()];
    let worlds = servers.map(|server| {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let worker = register(&server, "worker").await;
                assert!(is_registered(&worker, "worker").await);
            });
        })
    });
    for world in worlds {
        world.join().unwrap();
    }
}
