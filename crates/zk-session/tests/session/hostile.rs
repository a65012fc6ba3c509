//! Servers that answer nonsense: a clean disconnect, bounded memory, nothing believed.

use bytes::{BufMut, BytesMut};
use zk_session::wire::{ErrorCode, EventKind, ReplyHeader, Response, xid};
use zk_session::{DetachCause, Happening, SessionEnd};

use crate::support::{Peer, SESSION, World, data, event, get_data};

/// Waits for the connection to be given up for `part` of a reason; everything before is returned.
async fn given_up(world: &mut World, part: &str) -> Vec<Happening> {
    let mut before = Vec::new();
    loop {
        match world.happening().await {
            Happening::Detached { cause: DetachCause::Protocol(why), .. } => {
                assert!(why.contains(part), "{why}");
                return before;
            }
            Happening::Detached { cause, .. } => panic!("{cause}"),
            other => before.push(other),
        }
    }
}

/// After nonsense the session goes on elsewhere as if nothing had been.
async fn goes_on(world: &mut World) {
    let peer = world.attach().await;
    assert_eq!(world.session.session_id(), Some(SESSION));
    drop(peer);
}

/// Attaches, sends `bytes`, and sees the connection given up.
async fn nonsense(bytes: &[u8], part: &str) -> Vec<Happening> {
    let (mut world, mut peer) = World::attached("a,b").await;
    world.session.submit(get_data("/x", true)).expect("attached");
    world.during(peer.request()).await;
    world.during(peer.raw(bytes)).await;
    let before = given_up(&mut world, part).await;
    goes_on(&mut world).await;
    before
}

fn header(xid: i32, zxid: i64, err: ErrorCode) -> BytesMut {
    let mut out = BytesMut::new();
    ReplyHeader { xid, zxid, err }.encode(&mut out);
    out
}

fn only_lost(before: &[Happening]) {
    assert!(matches!(before, [Happening::Lost { .. }]), "{before:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_xid() {
    only_lost(&nonsense(&header(2, 5, ErrorCode::NoNode), "expected 1").await);
    only_lost(&nonsense(&header(-3, 5, ErrorCode::NoNode), "expected 1").await);
    only_lost(&nonsense(&header(xid::SET_WATCHES, 5, ErrorCode::Ok), "expected 1").await);
}

#[tokio::test(start_paused = true)]
async fn answers_to_nothing() {
    only_lost(&nonsense(&header(xid::PING, 5, ErrorCode::Ok), "ping").await);
    only_lost(&nonsense(&header(xid::AUTH, 5, ErrorCode::Ok), "credential").await);
    only_lost(&nonsense(&header(xid::AUTH, 5, ErrorCode::AuthFailed), "credential").await);
    let (mut world, mut peer) = World::attached("a,b").await;
    world.during(peer.raw(&header(1, 5, ErrorCode::Ok))).await;
    assert!(given_up(&mut world, "none was outstanding").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn lengths_that_cannot_be() {
    for length in [i32::MAX, -1, i32::MIN, 0x1603_0100, 0x4745_5420] {
        only_lost(&nonsense(&length.to_be_bytes(), "frame").await);
    }
    for length in [0, 1, 15] {
        let mut bytes = BytesMut::new();
        bytes.put_i32(length);
        bytes.put_bytes(0xff, length as usize);
        only_lost(&nonsense(&bytes, "").await);
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_cannot_be() {
    // The header of a good answer to the getData, then a data length of 2^31-1, of -2, and nothing.
    for body in [[0x7f, 0xff, 0xff, 0xff].as_slice(), &[0xff, 0xff, 0xff, 0xfe], &[]] {
        let mut bytes = BytesMut::new();
        bytes.put_i32(16 + body.len() as i32);
        bytes.put_i32(1);
        bytes.put_i64(5);
        bytes.put_i32(0);
        bytes.put_slice(body);
        only_lost(&nonsense(&bytes, "").await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_huge_frame_is_refused_at_its_length() {
    let (mut world, mut peer) = World::attached("a,b").await;
    let limit = zk_session::config::DEFAULT_REPLY_LIMIT;
    world.during(peer.raw(&(limit as i32 + 1).to_be_bytes())).await;
    given_up(&mut world, "more than the limit").await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_says_it_is_huge() {
    let (mut world, mut peer) = World::attached("a,b").await;
    let list = zk_session::wire::Request::GetChildren2 { path: "/x".into(), watch: false };
    world.session.submit(list).expect("attached");
    let (number, _) = world.during(peer.request()).await;
    let mut bytes = BytesMut::new();
    bytes.put_i32(16 + 4);
    bytes.put_i32(number);
    bytes.put_i64(5);
    bytes.put_i32(0);
    bytes.put_i32(i32::MAX);
    world.during(peer.raw(&bytes)).await;
    only_lost(&given_up(&mut world, "").await);
}

#[tokio::test(start_paused = true)]
async fn a_zxid_that_goes_back() {
    let (mut world, mut peer) = World::attached("a,b").await;
    for zxid in [100, 100, 0, -1, 101, 99] {
        world.session.submit(get_data("/x", false)).expect("attached");
        let (number, _) = world.during(peer.request()).await;
        world.during(peer.reply(number, zxid, data(1))).await;
    }
    let before = given_up(&mut world, "zxid went back from 0x65 to 0x63").await;
    assert_eq!(before.iter().filter(|h| matches!(h, Happening::Reply { .. })).count(), 5);
    assert!(matches!(before.last(), Some(Happening::Lost { .. })));
    assert_eq!(world.session.last_zxid(), 101);
}

#[tokio::test(start_paused = true)]
async fn an_endless_stream_of_events() {
    let (mut world, mut peer) = World::attached("a,b").await;
    let frame = event(EventKind::DataChanged, "/never/watched");
    let flood = async {
        // Hung up on, or a million events are taken without a word.
        for _ in 0..1_000_000 {
            use tokio::io::AsyncWriteExt;
            if peer.stream.write_all(&frame).await.is_err() {
                return true;
            }
        }
        false
    };
    assert!(world.during(flood).await, "the stream was never cut");
    let before = given_up(&mut world, "too many events").await;
    assert!(before.len() <= 1001, "{}", before.len());
}

#[tokio::test(start_paused = true)]
async fn much_at_once_comes_in_bounded_batches_and_says_so() {
    let (mut world, mut peer) = World::attached("a,b").await;
    let long = Response::Data { data: Some(vec![7; 1000]), stat: crate::support::stat(1) };
    for _ in 0..800 {
        world.session.submit(get_data("/x", false)).expect("room");
    }
    for zxid in 1..=800 {
        let (number, _) = world.during(peer.request()).await;
        peer.reply(number, zxid, long.clone()).await;
    }
    let mut all = world.past.len();
    loop {
        let batch = world.session.next().await;
        assert!(batch.len() <= 260, "{}", batch.len());
        all += batch.len();
        if !world.session.has_buffered_frames() {
            break;
        }
    }
    // Nothing waits for anything new to arrive.
    assert_eq!(all, 800);
}

async fn answered(answer: impl AsyncFn(&mut Peer)) -> String {
    let mut world = World::new("a,b");
    let mut peer = world.peer().await;
    world.during(peer.connect_request()).await;
    world.during(answer(&mut peer)).await;
    let error = world
        .find(|h| match h {
            Happening::Unreachable { error, .. } => Some(error.clone()),
            Happening::Attached(_) | Happening::Ended(_) => panic!("{h:?}"),
            _ => None,
        })
        .await;
    assert_eq!(world.session.session_id(), None);
    error
}

#[tokio::test(start_paused = true)]
async fn timeouts_and_ids_that_cannot_be_in_a_new_session() {
    for (session, timeout) in [(SESSION, 0), (SESSION, -1), (0, 10_000), (0, 0), (SESSION, i32::MIN)] {
        let error = answered(async |peer| peer.answer_connect(session, timeout).await).await;
        assert!(error.contains("answered a new session with timeout"), "{error}");
    }
    for timeout in [i32::MAX, 1, 700_000] {
        let error = answered(async |peer| peer.answer_connect(SESSION, timeout).await).await;
        assert!(error.contains("where 10000ms were asked"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_absurd_timeout_at_a_re_attachment_is_not_believed() {
    let (mut world, peer) = World::attached("a,b").await;
    drop(peer);
    let mut peer = world.peer().await;
    world.during(peer.connect_request()).await;
    world.during(peer.answer_connect(SESSION, i32::MAX)).await;
    world.find(|h| matches!(h, Happening::Unreachable { .. }).then_some(())).await;
    goes_on(&mut world).await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_zero_at_a_re_attachment_ends_the_session() {
    let (mut world, peer) = World::attached("a,b").await;
    drop(peer);
    let mut peer = world.peer().await;
    world.during(peer.connect_request()).await;
    world.during(peer.answer_connect(SESSION, 0)).await;
    let end = world
        .find(|h| match h {
            Happening::Ended(end) => Some(*end),
            Happening::Attached(_) => panic!("believed"),
            _ => None,
        })
        .await;
    assert_eq!(end, SessionEnd::Expired);
}

#[tokio::test(start_paused = true)]
async fn handshakes_that_are_none() {
    for bytes in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(),
        &(-1i32).to_be_bytes(),
        &i32::MAX.to_be_bytes(),
        &[0, 0, 0, 2, 1, 1],
    ] {
        let error = answered(async |peer| peer.raw(bytes).await).await;
        assert!(error.contains("not a ZooKeeper server") || error.contains("bad answer"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn frames_may_come_byte_by_byte() {
    let (mut world, mut peer) = World::attached("a").await;
    world.session.submit(get_data("/x", false)).expect("attached");
    let (number, _) = world.during(peer.request()).await;
    let mut bytes = BytesMut::new();
    data(7).encode(number, 5, usize::MAX, &mut bytes).expect("encodes");
    for byte in bytes {
        world.during(peer.raw(&[byte])).await;
    }
    let Happening::Reply { outcome, .. } = world.happening().await else { panic!() };
    assert!(matches!(outcome, Ok(Response::Data { .. })));
}

/// Frames that were right before a few of their bytes were changed, and bytes that never were right.
#[tokio::test(start_paused = true)]
async fn no_bytes_make_it_panic_or_answer_twice() {
    let mut rng = fastrand::Rng::with_seed(0x5eed);
    for _ in 0..500 {
        let (mut world, mut peer) = World::attached("a").await;
        let ids: Vec<_> = (0..3).map(|_| world.session.submit(get_data("/x", true)).expect("room")).collect();
        let mut bytes = BytesMut::new();
        for xid in 1..=3 {
            data(i64::from(xid)).encode(xid, i64::from(xid), usize::MAX, &mut bytes).expect("encodes");
            bytes.extend_from_slice(&event(EventKind::Deleted, "/x"));
        }
        for _ in 0..rng.usize(0..8) {
            let at = rng.usize(..bytes.len());
            bytes[at] = rng.u8(..);
        }
        bytes.truncate(rng.usize(..=bytes.len()));
        for _ in 0..3 {
            world.during(peer.request()).await;
        }
        peer.raw(&bytes).await;
        drop(peer);
        let mut told = Vec::new();
        loop {
            match world.happening().await {
                Happening::Reply { id, .. } | Happening::Lost { id, .. } => told.push(id),
                Happening::Detached { .. } => break,
                Happening::Event { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(told, ids, "each exactly once, in order");
    }
}

/// Went on, the session would trust in watches that no server has.
#[tokio::test(start_paused = true)]
async fn watches_that_are_refused_when_they_are_set_again() {
    let (mut world, mut peer) = World::attached("a,b").await;
    world.session.submit(get_data("/x", true)).expect("attached");
    let (number, _) = world.during(peer.request()).await;
    world.during(peer.reply(number, 5, data(1))).await;
    world.find(|h| matches!(h, Happening::Reply { .. }).then_some(())).await;
    world.session.give_up_connection("test");
    let mut peer = world.peer().await;
    world.during(peer.welcome()).await;
    let (number, _) = world.during(peer.request()).await;
    assert_eq!(number, xid::SET_WATCHES);
    world.past.clear();
    world.during(peer.refuse(number, 6, ErrorCode::MarshallingError)).await;
    assert!(!world.session.is_restored());
    given_up(&mut world, "watches could not be set again").await;
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_neither_taken_nor_refused() {
    let mut world = World::with("a,b", |config| {
        config.credentials.push(zk_session::Credential::new("digest", "user:one"));
    });
    let mut peer = world.peer().await;
    world.during(peer.welcome()).await;
    world.during(peer.request()).await;
    world.during(peer.refuse(xid::AUTH, 0, ErrorCode::MarshallingError)).await;
    given_up(&mut world, "credential answered with").await;
}

#[tokio::test(start_paused = true)]
async fn an_event_about_the_session_is_none_of_the_owners() {
    let (mut world, mut peer) = World::attached("a").await;
    world.during(peer.event(EventKind::None, "/")).await;
    world.during(peer.event(EventKind::DataChanged, "/x")).await;
    let Happening::Event { event, .. } = world.happening().await else { panic!() };
    assert_eq!(event.kind, EventKind::DataChanged);
}
