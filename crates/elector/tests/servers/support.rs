//! What the library's tests with real servers share.

use std::time::Duration;

use elector::{Builder, Elector, Role};
use zk_ensemble::Onlooker;

/// Long enough for any step that is not meant to wait for a session timeout.
pub(crate) const SOON: Duration = Duration::from_secs(5);
/// The session timeout of these tests.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(4);

pub(crate) fn builder(servers: &str, path: &str, id: &str) -> Builder {
    Elector::builder(servers, path).id(id).session_timeout(TIMEOUT)
}

pub(crate) async fn candidate(servers: &str, path: &str, id: &str) -> Elector {
    builder(servers, path, id).connect().await.expect("a server is up")
}

pub(crate) async fn within<F: Future>(limit: Duration, what: F) -> F::Output {
    tokio::time::timeout(limit, what).await.expect("in time")
}

pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    within(SOON, what).await
}

/// Waits until so many are ahead of the elector.
pub(crate) async fn until_waiting(elector: &Elector, expected: usize) {
    let mut roles = elector.role();
    let waiting = roles.wait_for(|role| matches!(role, Role::Waiting { ahead, .. } if *ahead == expected));
    soon(waiting).await.expect("the driver lives");
}

/// The children of the election path, seen from outside.
pub(crate) fn children(server: std::net::SocketAddr, path: &str) -> Vec<String> {
    let mut onlooker = Onlooker::connect(server).expect("the server is up");
    onlooker.children(path).expect("the path is there")
}
