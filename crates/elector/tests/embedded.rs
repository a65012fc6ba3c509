//! The library on the embedded server: fast, with no ZooKeeper installed. The first test is the README's.

use std::time::Duration;

use elector::{Elector, Lost, Role};
use zk_embedded::testing::TestServer;

#[tokio::test]
async fn one_leads() -> Result<(), Box<dyn std::error::Error>> {
    let server = TestServer::start()?; // a ZooKeeper server in this process, in a millisecond
    let elector = elector::connect(&server.connect_string(), "/billing").await?;
    assert!(elector.campaign().await?.check());
    Ok(())
}

async fn candidate(server: &TestServer, id: &str) -> Elector {
    Elector::builder(server.connect_string(), "/billing").id(id).connect().await.expect("the server is up")
}

#[tokio::test]
async fn an_expired_session_ends_the_term_and_the_next_one_leads() {
    let server = TestServer::start().unwrap();
    let (first, second) = (candidate(&server, "first").await, candidate(&server, "second").await);
    let mut notices = first.notices();
    let leadership = first.campaign().await.unwrap();
    let next = second.campaign();
    second.role().wait_for(|role| matches!(role, Role::Waiting { ahead: 1, .. })).await.unwrap();
    let owner =
        elector::Reader::connect(&server.connect_string(), "/billing", Vec::new(), Duration::from_secs(5))
            .await
            .unwrap()
            .snapshot()
            .await
            .unwrap()
            .contenders[0]
            .session;
    assert!(server.expire_session(owner));
    assert!(matches!(leadership.lost().await, Lost::SessionExpired | Lost::Deposed));
    assert!(next.await.unwrap().token() > leadership.token());
    assert!(notices.try_recv().is_ok());
}

/// E18: all servers there are, at once.
#[tokio::test]
async fn a_restarted_server_costs_no_leadership() {
    let mut server = TestServer::start().unwrap();
    let elector = candidate(&server, "only").await;
    let leadership = elector.campaign().await.unwrap();
    let shown = elector.role().borrow().clone();
    assert_eq!(shown, Role::Leading { token: leadership.token() }, "it is in hand, and the role says so");
    for _ in 0..3 {
        server.restart().unwrap();
        let mut role = elector.role();
        role.wait_for(|role| matches!(role, Role::Leading { .. })).await.unwrap();
        assert!(leadership.check());
    }
}

#[tokio::test]
async fn whoever_has_the_estate_can_close_the_session() {
    let server = TestServer::start().unwrap();
    let (first, second) = (candidate(&server, "first").await, candidate(&server, "second").await);
    let leadership = first.campaign().await.unwrap();
    let next = second.campaign();
    second.role().wait_for(|role| matches!(role, Role::Waiting { ahead: 1, .. })).await.unwrap();
    let written = first.estate().borrow().as_ref().expect("it has a session").to_bytes();
    let estate = elector::Estate::from_bytes(&written).expect("as it was written");
    estate.clone().close().await;
    assert!(next.await.unwrap().token() > leadership.token());
    leadership.lost().await;
    drop(leadership);
    let another = first.estate().wait_for(|estate| estate.is_some()).await.unwrap().clone().unwrap();
    assert_ne!(another.to_bytes(), written, "a new session has its own");
    // A session that is gone is closed.
    estate.close().await;
    first.close().await;
}
