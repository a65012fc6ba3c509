//! Requests and what becomes of them.

use zk_session::config::MAX_OUTSTANDING;
use zk_session::wire::{ErrorCode, MultiOp, MultiResult, Request, Response};
use zk_session::{Clock, Config, Happening, Lost, NotSent, RequestId};

use crate::support::{Manner, T, World, data, get_data, stat};

fn lost(happening: &Happening) -> Option<(RequestId, Lost)> {
    match happening {
        Happening::Lost { id, how } => Some((*id, *how)),
        _ => None,
    }
}

fn check(path: &str) -> Request {
    Request::Multi(vec![MultiOp::Check { path: path.into(), version: -1 }])
}

fn open() -> Vec<zk_session::wire::Acl> {
    vec![zk_session::wire::Acl::anyone(zk_session::wire::perms::ALL)]
}

#[tokio::test(start_paused = true)]
async fn an_answer_carries_its_times_and_its_zxid() {
    let (mut world, mut peer) = World::attached("a").await;
    let submitted = world.clock.now();
    let id = world.session.submit(check("/x")).expect("attached");
    // The bytes go out later; `sent` must not be later for it.
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    let (xid, request) = world.during(peer.request()).await;
    assert_eq!(request, check("/x"));
    world.during(tokio::time::sleep(std::time::Duration::from_millis(70))).await;
    world.during(peer.reply(xid, 42, Response::Multi(vec![MultiResult::Checked]))).await;
    let answered = world.clock.now();
    let Happening::Reply { id: of, sent, received, zxid, timeout, connection, outcome } =
        world.happening().await
    else {
        panic!()
    };
    assert_eq!((of, sent, zxid, timeout, connection), (id, submitted, 42, T, 1));
    assert!(received >= answered);
    assert_eq!(outcome, Ok(Response::Multi(vec![MultiResult::Checked])));
    assert_eq!(world.session.last_zxid(), 42);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_wait_writes_before_the_session_goes_on() {
    let (mut world, mut peer) = World::attached("a").await;
    let id = world.session.submit(get_data("/x", false)).expect("attached");
    world.session.flush();
    let (xid, request) = peer.request().await; // nobody drives the session
    assert_eq!(request, get_data("/x", false));
    peer.reply(xid, 7, data(1)).await;
    drop(peer);
    // It fails, but what the server said before it hung up counts.
    let late = world.session.submit(get_data("/y", false)).expect("the end is not known yet");
    world.session.flush();
    let told = world.happening().await;
    assert!(matches!(told, Happening::Reply { id: of, outcome: Ok(_), .. } if of == id), "{told:?}");
    assert_eq!(lost(&world.happening().await), Some((late, Lost::NotSent)));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_carries_its_code() {
    let (mut world, mut peer) = World::attached("a").await;
    world.session.submit(get_data("/x", false)).expect("attached");
    let (xid, _) = world.during(peer.request()).await;
    world.during(peer.refuse(xid, 5, ErrorCode::NoNode)).await;
    let Happening::Reply { outcome, .. } = world.happening().await else { panic!() };
    assert_eq!(outcome, Err(ErrorCode::NoNode));
}

#[tokio::test(start_paused = true)]
async fn all_that_came_is_returned_at_once_and_in_order() {
    let (mut world, mut peer) = World::attached("a").await;
    let ids: Vec<_> = (0..300).map(|_| world.session.submit(get_data("/x", false)).expect("room")).collect();
    let mut xids = Vec::new();
    for _ in 0..300 {
        xids.push(world.during(peer.request()).await.0);
    }
    for (n, xid) in xids.into_iter().enumerate() {
        peer.reply(xid, n as i64 + 1, data(1)).await;
    }
    let batch = world.session.next().await;
    let answered: Vec<_> = batch
        .iter()
        .filter_map(|h| match h {
            Happening::Reply { id, .. } => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(answered, ids);
    assert!(!world.session.has_buffered_frames());
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_nothing_is_queued() {
    let mut world = World::new("a");
    assert_eq!(world.session.submit(get_data("/x", false)), Err(NotSent::Detached));
    assert_eq!(world.session.submit_ensure("/x", &open()), Err(NotSent::Detached));
    let mut peer = world.attach().await;
    drop(std::mem::replace(&mut peer, world_end(&mut world).await));
    let (xid, request) = {
        world.session.submit(get_data("/later", false)).expect("attached again");
        world.during(peer.request()).await
    };
    assert_eq!((xid, request), (1, get_data("/later", false)));
}

/// Cuts the present connection and returns the next.
async fn world_end(world: &mut World) -> crate::support::Peer {
    world.session.give_up_connection("test");
    world.attach().await
}

#[tokio::test(start_paused = true)]
async fn not_sent_and_outcome_unknown_are_told_apart_to_the_byte() {
    let mut world = World::new("a");
    // The pipe holds the ConnectRequest, later the first request and half of the second.
    world.net.set("a", Manner::Accept { pipe: 64 });
    let peer = world.attach().await;
    let frame = 4 + 8 + 4 + 20 + 1;
    let ids: Vec<_> =
        (0..4).map(|n| world.session.submit(get_data(&format!("/{n:019}"), false)).expect("room")).collect();
    assert!(frame < 64 && 2 * frame > 64);
    world.during(tokio::time::sleep(std::time::Duration::from_millis(1))).await;
    drop(peer);
    let mut fates = Vec::new();
    for _ in 0..4 {
        fates.push(world.find(lost).await);
    }
    let expected = [Lost::OutcomeUnknown, Lost::OutcomeUnknown, Lost::NotSent, Lost::NotSent];
    assert_eq!(fates, ids.into_iter().zip(expected).collect::<Vec<_>>());
    assert!(matches!(world.happening().await, Happening::Detached { .. }), "losses come first");
}

#[tokio::test(start_paused = true)]
async fn what_was_never_driven_was_never_sent() {
    let (mut world, peer) = World::attached("a").await;
    let id = world.session.submit(get_data("/x", false)).expect("attached");
    world.session.give_up_connection("test");
    assert_eq!(world.happening().await, Happening::Lost { id, how: Lost::NotSent });
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn outstanding_requests_and_unwritten_bytes_are_bounded() {
    let (mut world, peer) = World::attached("a").await;
    for _ in 0..MAX_OUTSTANDING {
        world.session.submit(get_data("/x", false)).expect("room");
    }
    assert_eq!(world.session.submit(get_data("/x", false)), Err(NotSent::Full));
    assert_eq!(world.session.submit_ensure("/x", &open()), Err(NotSent::Full));
    world.session.give_up_connection("test");
    drop(peer);

    let _peer = world.attach().await;
    let set = |bytes| Request::SetData { path: "/x".into(), data: Some(vec![0; bytes]), version: -1 };
    assert!(matches!(world.session.submit(set(1 << 20)), Err(NotSent::TooLarge(_))));
    let taken = (0..100).take_while(|_| world.session.submit(set(1_000_000)).is_ok()).count();
    assert_eq!(taken, 5, "bytes for the socket are bounded");
}

#[tokio::test(start_paused = true)]
async fn what_no_server_could_carry_out_is_refused_at_once() {
    let (mut world, _peer) = World::attached("a").await;
    let session = &mut world.session;
    assert!(matches!(session.submit(get_data("x", false)), Err(NotSent::BadPath(_))));
    assert!(matches!(session.submit(check("/x/../y")), Err(NotSent::BadPath(_))));
    assert!(matches!(session.submit_ensure("/x//y", &open()), Err(NotSent::BadPath(_))));
    for request in [Request::Ping, Request::Close] {
        assert_eq!(session.submit(request), Err(NotSent::Unsupported));
    }
    let auth = Request::Auth { scheme: "digest".into(), auth: b"a:b".to_vec().into() };
    assert_eq!(session.submit(auth), Err(NotSent::Unsupported));
}

#[tokio::test(start_paused = true)]
async fn ensure_makes_the_chroot_and_all_parents() {
    let mut world = World::with("a/chroot/deep", |_: &mut Config| {});
    let mut peer = world.attach().await;
    let mine = vec![zk_session::wire::Acl::anyone(zk_session::wire::perms::READ)];
    let id = world.session.submit_ensure("/x/y", &mine).expect("attached");
    let mut made = Vec::new();
    for n in 0..5 {
        let (xid, request) = world.during(peer.request()).await;
        match request {
            Request::Create { path, acl, .. } => {
                made.push(path.clone());
                assert_eq!(acl, if n == 3 { mine.clone() } else { open() }, "{path}");
                match n {
                    2 => peer.refuse(xid, 6, ErrorCode::NodeExists).await,
                    // A parent that we may not create below, and that has the child all the same.
                    1 => peer.refuse(xid, 6, ErrorCode::NoAuth).await,
                    _ => peer.reply(xid, 5 + n, Response::Created { path }).await,
                }
            }
            Request::Exists { path, watch: false } => {
                assert_eq!((path.as_str(), n), ("/chroot/deep/x/y", 4));
                peer.reply(xid, 9, Response::Stat(stat(7))).await;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(made, ["/chroot", "/chroot/deep", "/chroot/deep/x", "/chroot/deep/x/y"]);
    let Happening::Reply { id: of, outcome, .. } = world.happening().await else { panic!() };
    assert_eq!((of, outcome), (id, Ok(Response::Empty)));
}

#[tokio::test(start_paused = true)]
async fn an_ensure_too_large_is_refused_as_a_whole() {
    let (mut world, mut peer) = World::attached("a").await;
    let long = format!("/parent/{}", "x".repeat(1 << 20));
    assert!(matches!(world.session.submit_ensure(&long, &open()), Err(NotSent::TooLarge(_))));
    let many = format!("/{}", "x".repeat(100_000)).repeat(10);
    assert_eq!(world.session.submit_ensure(&many, &open()), Err(NotSent::Full));
    world.session.submit(get_data("/x", false)).expect("attached");
    assert_eq!(world.during(peer.request()).await.1, get_data("/x", false));
}

#[tokio::test(start_paused = true)]
async fn ensure_tells_what_stood_in_its_way() {
    let (mut world, mut peer) = World::attached("a").await;
    for _ in 0..2 {
        world.session.submit_ensure("/x/y", &open()).expect("attached");
        for code in [ErrorCode::NoAuth, ErrorCode::NoNode, ErrorCode::NoNode] {
            let (xid, _) = world.during(peer.request()).await;
            peer.refuse(xid, 5, code).await;
        }
        let Happening::Reply { outcome, .. } = world.happening().await else { panic!() };
        assert_eq!(outcome, Err(ErrorCode::NoAuth));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_ensure_is_told_once() {
    let (mut world, mut peer) = World::attached("a").await;
    let first = world.session.submit_ensure("/x/y", &open()).expect("attached");
    let (xid, _) = world.during(peer.request()).await;
    world.during(peer.reply(xid, 5, Response::Created { path: "/x".into() })).await;
    world.during(tokio::time::sleep(std::time::Duration::from_millis(1))).await;
    let second = world.session.submit_ensure("/x/y", &open()).expect("attached");
    world.session.give_up_connection("test");
    assert_eq!(world.find(lost).await, (first, Lost::OutcomeUnknown));
    assert_eq!(world.find(lost).await, (second, Lost::NotSent));
    assert!(matches!(world.happening().await, Happening::Detached { .. }));
}

/// What was answered of it may have changed something, though nothing of the rest went out.
#[tokio::test(start_paused = true)]
async fn an_ensure_of_which_the_beginning_was_answered_was_sent() {
    let mut world = World::new("a");
    let parent = format!("/{}", "x".repeat(30));
    // The pipe holds the first request of the row, and nothing of the next.
    let frame = 4 + 8 + (4 + parent.len()) + 4 + (4 + 4 + 4 + 5 + 4 + 6) + 4;
    world.net.set("a", Manner::Accept { pipe: frame });
    let mut peer = world.attach().await;
    let id = world.session.submit_ensure(&format!("{parent}/y"), &open()).expect("attached");
    world.during(tokio::time::sleep(std::time::Duration::from_millis(1))).await;
    // Answered unread, since reading it would let the next one in.
    world.during(peer.reply(1, 5, Response::Created { path: parent })).await;
    world.during(tokio::time::sleep(std::time::Duration::from_millis(1))).await;
    drop(peer);
    assert_eq!(world.find(lost).await, (id, Lost::OutcomeUnknown));
}

#[tokio::test(start_paused = true)]
async fn paths_are_seen_from_the_chroot() {
    let mut world = World::new("a/root");
    let mut peer = world.attach().await;
    world.session.submit(Request::Sync { path: "/x".into() }).expect("attached");
    let (xid, request) = world.during(peer.request()).await;
    assert_eq!(request, Request::Sync { path: "/root/x".into() });
    world.during(peer.reply(xid, 5, Response::Synced { path: "/root/x".into() })).await;
    let Happening::Reply { outcome, .. } = world.happening().await else { panic!() };
    assert_eq!(outcome, Ok(Response::Synced { path: "/x".into() }));
}
