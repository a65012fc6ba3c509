//! Watches over several connections.

use zk_session::wire::{ErrorCode, EventKind, Request, Response, WatchEvent, WatchKind, xid};
use zk_session::{Config, Credential, Happening, NotSent};

use crate::support::{Peer, World, data, get_data, stat};

fn seen(happening: &Happening) -> Option<(EventKind, String, bool)> {
    match happening {
        Happening::Event { event, restoring, .. } => Some((event.kind, event.path.clone(), *restoring)),
        _ => None,
    }
}

/// Submits a read and answers it.
async fn read(world: &mut World, peer: &mut Peer, request: Request, zxid: i64) {
    world.session.submit(request).expect("attached");
    let (number, request) = world.during(peer.request()).await;
    match request {
        Request::GetData { .. } => peer.reply(number, zxid, data(1)).await,
        Request::Exists { .. } => peer.refuse(number, zxid, ErrorCode::NoNode).await,
        Request::GetChildren2 { .. } => {
            peer.reply(number, zxid, Response::Children2 { names: vec![], stat: stat(1) }).await;
        }
        Request::RemoveWatches { .. } => peer.reply(number, zxid, Response::Empty).await,
        other => panic!("{other:?}"),
    }
    world.find(|h| matches!(h, Happening::Reply { .. }).then_some(())).await;
}

fn children(path: &str) -> Request {
    Request::GetChildren2 { path: path.into(), watch: true }
}

fn exists(path: &str) -> Request {
    Request::Exists { path: path.into(), watch: true }
}

/// Lets the session move to the next server and returns that with the setWatches that it got.
async fn move_on(world: &mut World) -> (Peer, Option<Request>) {
    world.session.give_up_connection("test");
    let mut peer = world.peer().await;
    world.during(peer.welcome()).await;
    // What comes first tells whether there was anything to set again.
    world.during(tokio::time::sleep(std::time::Duration::from_millis(1))).await;
    if world.session.is_restored() {
        return (peer, None);
    }
    let (number, request) = world.during(peer.request()).await;
    assert_eq!(number, xid::SET_WATCHES);
    (peer, Some(request))
}

#[tokio::test(start_paused = true)]
async fn watches_are_set_again_with_what_was_seen_last() {
    let (mut world, mut peer) = World::attached("a,b").await;
    read(&mut world, &mut peer, get_data("/data", true), 10).await;
    read(&mut world, &mut peer, exists("/absent"), 11).await;
    read(&mut world, &mut peer, children("/"), 12).await;
    read(&mut world, &mut peer, get_data("/unwatched", false), 13).await;
    let (mut peer, request) = move_on(&mut world).await;
    let expected = Request::SetWatches {
        relative_zxid: 13,
        data: vec!["/data".into()],
        exist: vec!["/absent".into()],
        child: vec!["/".into()],
    };
    assert_eq!(request, Some(expected));
    // What was missed comes before the answer, and is marked.
    peer.event(EventKind::Deleted, "/data").await;
    peer.reply(xid::SET_WATCHES, 20, Response::Empty).await;
    peer.event(EventKind::Created, "/absent").await;
    assert_eq!(world.find(seen).await, (EventKind::Deleted, "/data".into(), true));
    assert_eq!(world.happening().await, Happening::Restored { connection: 2 });
    assert_eq!(world.find(seen).await, (EventKind::Created, "/absent".into(), false));
    // Both have fired; one is left.
    let (_, request) = move_on(&mut world).await;
    let Some(Request::SetWatches { relative_zxid: 20, data, exist, child }) = request else { panic!() };
    assert_eq!((data.len(), exist.len(), child), (0, 0, vec!["/".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn reads_that_failed_leave_no_watch() {
    let (mut world, mut peer) = World::attached("a,b").await;
    world.session.submit(get_data("/absent", true)).expect("attached");
    let (number, _) = world.during(peer.request()).await;
    world.during(peer.refuse(number, 5, ErrorCode::NoNode)).await;
    world.find(|h| matches!(h, Happening::Reply { .. }).then_some(())).await;
    let (_, request) = move_on(&mut world).await;
    assert_eq!(request, None);
}

#[tokio::test(start_paused = true)]
async fn watches_taken_back_stay_away() {
    let (mut world, mut peer) = World::attached("a,b").await;
    read(&mut world, &mut peer, get_data("/x", true), 5).await;
    let remove = Request::RemoveWatches { path: "/x".into(), kind: WatchKind::Data };
    read(&mut world, &mut peer, remove, 6).await;
    let (_, request) = move_on(&mut world).await;
    assert_eq!(request, None);
}

#[tokio::test(start_paused = true)]
async fn credentials_come_before_watches() {
    let mut world = World::with("a,b", |config: &mut Config| {
        config.credentials.push(Credential::new("digest", "a:b"));
    });
    for connection in 1..=2 {
        let mut peer = world.peer().await;
        world.during(peer.welcome()).await;
        let (number, _) = world.during(peer.request()).await;
        assert_eq!(number, xid::AUTH);
        world.during(peer.reply(xid::AUTH, 0, Response::Empty)).await;
        if connection == 1 {
            read(&mut world, &mut peer, get_data("/x", true), 5).await;
            world.session.give_up_connection("test");
        } else {
            let (number, _) = world.during(peer.request()).await;
            assert_eq!(number, xid::SET_WATCHES);
            world.during(peer.reply(xid::SET_WATCHES, 6, Response::Empty)).await;
            world.find(|h| (*h == Happening::Restored { connection: 2 }).then_some(())).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_watches_are_split_over_frames_and_restored_after_the_last() {
    let (mut world, mut peer) = World::attached("a,b").await;
    let path = |n: usize| format!("/{n:0>1000}");
    for n in 0..300 {
        read(&mut world, &mut peer, get_data(&path(n), true), 5).await;
    }
    let (mut peer, first) = move_on(&mut world).await;
    let mut requests = vec![first.expect("watches")];
    let submitted = world.session.submit(get_data("/own", false)).expect("attached");
    loop {
        let (number, request) = world.during(peer.request()).await;
        if number != xid::SET_WATCHES {
            assert_eq!(request, get_data("/own", false), "the owner's requests come last");
            break;
        }
        requests.push(request);
    }
    assert_eq!(requests.len(), 3);
    let mut paths = Vec::new();
    for request in &requests {
        let mut frame = bytes::BytesMut::new();
        request.encode(xid::SET_WATCHES, 128 << 10, &mut frame).expect("below 128 KiB");
        let Request::SetWatches { data, .. } = request else { panic!() };
        paths.extend(data.iter().cloned());
    }
    assert_eq!(paths, (0..300).map(path).collect::<Vec<_>>());
    for answered in 1..=3 {
        assert!(!world.session.is_restored());
        world.during(peer.reply(xid::SET_WATCHES, 6, Response::Empty)).await;
        world.during(tokio::time::sleep(std::time::Duration::from_millis(1))).await;
        assert_eq!(world.session.is_restored(), answered == 3);
    }
    let number = 1 + requests.len() as i32;
    world.during(peer.reply(number, 6, data(1))).await;
    let id = world
        .find(|h| match h {
            Happening::Reply { id, .. } => Some(*id),
            _ => None,
        })
        .await;
    assert_eq!(id, submitted);
}

#[tokio::test(start_paused = true)]
async fn the_owners_own_set_watches_is_remembered_from_the_start() {
    let (mut world, mut peer) = World::attached("a,b/root").await;
    read(&mut world, &mut peer, get_data("/x", false), 50).await;
    world
        .session
        .submit(Request::SetWatches {
            relative_zxid: 40,
            data: vec!["/ahead".into()],
            exist: vec![],
            child: vec![],
        })
        .expect("attached");
    let (number, _) = world.during(peer.request()).await;
    assert_eq!(number, xid::SET_WATCHES);
    // Never answered: the next server is asked for everything since then.
    let (_, request) = move_on(&mut world).await;
    let Some(Request::SetWatches { relative_zxid, data, .. }) = request else { panic!() };
    assert_eq!((relative_zxid, data), (40, vec!["/root/ahead".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn no_more_is_watched_than_can_be_remembered() {
    let (mut world, mut peer) = World::attached("a").await;
    let path = |n: usize| format!("/{}{n}", "x".repeat(520_000));
    for n in 0..8 {
        read(&mut world, &mut peer, get_data(&path(n), true), 5).await;
    }
    // 4 MB and the little that each entry costs: one more is too many, however it is asked for.
    let watch = |data| Request::SetWatches { relative_zxid: 5, data, exist: vec![], child: vec![] };
    assert_eq!(world.session.submit(get_data(&path(8), true)), Err(NotSent::TooManyWatches));
    assert_eq!(world.session.submit(watch(vec![path(8)])), Err(NotSent::TooManyWatches));
    world.session.submit(get_data(&path(8), false)).expect("no watch, no room");
}

#[tokio::test(start_paused = true)]
async fn an_event_before_its_read_is_answered_is_passed_on() {
    let (mut world, mut peer) = World::attached("a").await;
    world.session.submit(get_data("/x", true)).expect("attached");
    let (number, _) = world.during(peer.request()).await;
    peer.event(EventKind::DataChanged, "/x").await;
    peer.reply(number, 5, data(1)).await;
    assert_eq!(world.find(seen).await, (EventKind::DataChanged, "/x".into(), false));
    assert!(matches!(world.happening().await, Happening::Reply { .. }));
}

#[tokio::test(start_paused = true)]
async fn events_are_seen_from_the_chroot() {
    let mut world = World::new("a/root");
    let mut peer = world.attach().await;
    read(&mut world, &mut peer, children("/"), 5).await;
    // Not ours to see, whatever the server thinks.
    peer.event(EventKind::ChildrenChanged, "/elsewhere").await;
    peer.event(EventKind::ChildrenChanged, "/root").await;
    let event = world
        .find(|h| match h {
            Happening::Event { event, .. } => Some(event.clone()),
            _ => None,
        })
        .await;
    let expected = WatchEvent { kind: EventKind::ChildrenChanged, state: 3, path: "/".into() };
    assert_eq!(event, expected);
}
