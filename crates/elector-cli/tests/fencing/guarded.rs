//! ZooKeeper as the store, written through the library.

use std::time::Duration;

use elector::{Elector, Lost};
use zk_ensemble::Onlooker;

use crate::common::LONG;
use crate::relay::Relay;
use crate::stale::{NEW, OLD};
use crate::zookeeper::{NO_NODE, last_invoice, server};

// The example's `main` is not run here.
#[allow(dead_code)]
#[path = "../../../../examples/fencing/guarded_write.rs"]
mod guarded_write;

async fn candidate(servers: &str) -> Elector {
    // So long that the old leader's session lives on while its write is late: only the check can refuse it.
    let builder = Elector::builder(servers, "/billing").session_timeout(Duration::from_secs(30));
    builder.connect().await.expect("a server is up")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_write_of_a_deposed_leader_is_refused_though_its_session_lives() {
    if !zk_ensemble::require() {
        return;
    }
    let server = server();
    let address = server.servers()[0].address();
    let relay = Relay::start(address, "/last-invoice");
    let old = candidate(&format!("127.0.0.1:{}", relay.port())).await;
    let leadership = old.campaign().await.expect("nobody else is there");
    let first = leadership.token();
    let late = tokio::spawn(async move {
        let written = guarded_write::note(&leadership, OLD.parse().expect("a number")).await;
        (written, leadership.lost().await)
    });
    tokio::task::block_in_place(|| relay.wait_until_it_holds());

    let new = candidate(&server.connect_string()).await;
    let campaign = new.campaign();
    let mut operator = Onlooker::connect(address).expect("it serves");
    let names = operator.children("/billing").expect("a list");
    let znodes = names.iter().map(|name| format!("/billing/{name}"));
    for znode in znodes {
        if operator.exists(&znode).expect("answered").is_some_and(|stat| stat.czxid == first.as_i64()) {
            operator.delete(&znode).expect("it is there");
        }
    }
    let leadership = tokio::time::timeout(LONG, campaign).await.expect("in time").expect("it leads");
    assert!(leadership.token() > first);
    guarded_write::note(&leadership, NEW.parse().expect("a number")).await.expect("it leads");

    tokio::task::block_in_place(|| relay.deliver(NO_NODE));
    let (written, lost) = late.await.expect("no panic");
    assert!(written.is_err());
    assert_eq!(lost, Lost::Deposed);
    assert_eq!(last_invoice(&server), NEW);
}
