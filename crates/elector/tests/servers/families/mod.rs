//! One election with Curator's LeaderSelector and InterProcessMutex, Go's Lock and kazoo, in the layouts
//! `lock` and `kazoo`. Each of their programs stops its work when its library tells that the connection is
//! gone, as the library's documentation asks; where that is not enough, a test says so.

mod beliefs;
mod faults;
mod mixed;
mod turns;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use elector::{Elector, Layout};
use zk_ensemble::{Ensemble, Peer};

use crate::support::{builder, children};

/// The servers' tick in these tests: short, so that dead sessions end soon.
const TICK: Duration = Duration::from_millis(500);
/// A peer starts in this time, and a dead session ends in it.
const PEER: Duration = Duration::from_secs(20);

fn servers() -> Ensemble {
    Ensemble::builder(1).tick_time(TICK).start()
}

async fn ours(servers: &str, path: &str, id: &str, layout: Layout) -> Elector {
    builder(servers, path, id).layout(layout).connect().await.expect("a server is up")
}

/// The layout that is safe beside this peer.
fn layout(peer: Peer) -> Layout {
    match peer {
        Peer::CuratorSelector | Peer::CuratorMutex | Peer::GoLock | Peer::KazooJoined => Layout::Lock,
        Peer::KazooElection | Peer::KazooLock => Layout::Kazoo,
    }
}

/// Waits until so many contend at `path`.
async fn until_contending(server: SocketAddr, path: &str, count: usize) {
    let end = Instant::now() + PEER;
    while children(server, path).len() != count {
        assert!(Instant::now() < end, "not {count} but {:?}", children(server, path));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
