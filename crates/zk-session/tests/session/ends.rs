//! How sessions end without being closed: each way is told apart.

use zk_session::wire::{ErrorCode, Request, Response, xid};
use zk_session::{Credential, Happening, NotSent, SessionEnd};

use crate::support::{Manner, SESSION, T, World, get_data, password};

fn end(happening: &Happening) -> Option<SessionEnd> {
    match happening {
        Happening::Ended(end) => Some(*end),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn expired() {
    let (mut world, peer) = World::attached("a").await;
    drop(peer);
    let mut peer = world.peer().await;
    world.during(peer.connect_request()).await;
    world.during(peer.answer_connect(0, 0)).await;
    assert!(!world.session.is_ended());
    assert_eq!(world.find(end).await, SessionEnd::Expired);
    assert!(world.session.is_ended());
    assert_eq!(world.session.submit(get_data("/x", false)), Err(NotSent::Detached));
    // Nothing more happens by itself.
    let quiet = tokio::time::timeout(std::time::Duration::from_secs(60), world.session.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test(start_paused = true)]
async fn after_the_end_a_restart_begins_another_session() {
    let (mut world, mut peer) = World::attached("a").await;
    world.session.submit(get_data("/x", true)).expect("attached");
    let (number, _) = world.during(peer.request()).await;
    world.during(peer.reply(number, 9, crate::support::data(1))).await;
    world.session.restart();
    assert!(world.session.attached().is_some(), "a restart before the end does nothing");
    drop(peer);
    let mut peer = world.peer().await;
    world.during(peer.connect_request()).await;
    world.during(peer.answer_connect(0, 0)).await;
    world.find(end).await;
    world.session.restart();
    let mut peer = world.peer().await;
    let request = world.during(peer.connect_request()).await;
    assert_eq!((request.session_id, request.timeout_ms), (0, 10_000));
    assert_eq!(request.last_zxid_seen, 9, "what was seen stays seen");
    world.during(peer.answer_connect(SESSION + 1, 10_000)).await;
    // The watch went with the old session.
    world.find(|h| matches!(h, Happening::Restored { .. }).then_some(())).await;
    assert_eq!(world.session.session_id(), Some(SESSION + 1));
    assert_eq!(world.session.password(), &password(SESSION + 1));
}

#[tokio::test(start_paused = true)]
async fn replaced() {
    let (mut world, peer) = World::attached("a").await;
    drop(peer);
    let mut peer = world.peer().await;
    world.during(peer.connect_request()).await;
    world.during(peer.answer_connect(0x777, 10_000)).await;
    assert_eq!(world.find(end).await, SessionEnd::Replaced { was: SESSION, now: 0x777 });
}

#[tokio::test(start_paused = true)]
async fn credentials_refused() {
    let mut world = World::with("a,b", |config| {
        config.credentials.push(Credential::new("digest", "user:wrong"));
    });
    let mut peer = world.peer().await;
    world.during(peer.welcome()).await;
    let (number, request) = world.during(peer.request()).await;
    assert_eq!(number, xid::AUTH);
    let Request::Auth { scheme, auth } = request else { panic!("{request:?}") };
    assert_eq!((scheme.as_str(), auth.expose()), ("digest", b"user:wrong".as_slice()));
    let id = world.session.submit(get_data("/x", false)).expect("attached");
    world.during(peer.refuse(xid::AUTH, 0, ErrorCode::AuthFailed)).await;
    assert!(matches!(world.happening().await, Happening::Attached(_)));
    let Happening::Lost { id: lost, .. } = world.happening().await else { panic!() };
    assert_eq!(lost, id);
    assert_eq!(end(&world.happening().await), Some(SessionEnd::AuthFailed));
}

#[tokio::test(start_paused = true)]
async fn restored_comes_after_all_credentials_were_accepted() {
    let mut world = World::with("a", |config| {
        config.credentials.push(Credential::new("digest", "user:one"));
        config.credentials.push(Credential::new("digest", "user:two"));
    });
    let mut peer = world.peer().await;
    world.during(peer.welcome()).await;
    world.during(peer.request()).await;
    world.during(peer.reply(xid::AUTH, 0, Response::Empty)).await;
    world.during(peer.request()).await;
    assert!(matches!(world.happening().await, Happening::Attached(_)));
    world.during(tokio::time::sleep(std::time::Duration::from_millis(10))).await;
    assert!(world.past.is_empty() && !world.session.is_restored());
    world.during(peer.reply(xid::AUTH, 0, Response::Empty)).await;
    assert_eq!(world.happening().await, Happening::Restored { connection: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_credential_too_long_for_any_server_counts_as_refused() {
    let mut world = World::with("a", |config| {
        config.credentials.push(Credential::new("digest", "x".repeat(zk_session::config::MAX_REQUEST)));
    });
    let mut peer = world.peer().await;
    world.during(peer.welcome()).await;
    assert_eq!(world.find(end).await, SessionEnd::AuthFailed);
}

/// As long as nobody has swallowed a request, nothing has renewed the session, and a server that comes back may
/// have it still: restarts of all servers leave it its timeout.
#[tokio::test(start_paused = true)]
async fn however_long_no_server_can_be_reached_the_session_is_asked_for_again() {
    let (mut world, peer) = World::attached("a,b").await;
    for host in ["a", "b"] {
        world.net.set(host, Manner::Refuse);
    }
    drop(peer);
    world.during(tokio::time::sleep(5 * T)).await;
    world.net.set("b", Manner::Accept { pipe: 1 << 16 });
    let mut peer = world.peer().await;
    assert_eq!(world.during(peer.welcome()).await.session_id, SESSION);
}
