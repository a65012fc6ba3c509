//! One session over several connections.

use std::time::Duration;

use zk_session::wire::{EventKind, Response, xid};
use zk_session::{Attachment, Clock, DetachCause, Happening, Pace, Urgency};

use crate::support::{Manner, SESSION, T, World, data, get_data, password};

fn attachment(happening: &Happening) -> Option<Attachment> {
    match happening {
        Happening::Attached(attachment) => Some(attachment.clone()),
        _ => None,
    }
}

fn cause(happening: &Happening) -> Option<DetachCause> {
    match happening {
        Happening::Detached { cause, .. } => Some(cause.clone()),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn another_server_takes_the_same_session() {
    let (mut world, mut first) = World::attached("a,b,c").await;
    world.session.submit(get_data("/x", false)).expect("attached");
    let (xid, _) = world.during(first.request()).await;
    world.during(first.reply(xid, 77, data(1))).await;
    world.find(|h| matches!(h, Happening::Reply { .. }).then_some(())).await;
    let address = first.address.clone();
    world.net.set(&address, Manner::Refuse);
    drop(first);
    assert_eq!(world.find(cause).await, DetachCause::Closed);
    let mut second = world.peer().await;
    assert_ne!(second.address, address);
    let request = world.during(second.welcome()).await;
    assert_eq!((request.session_id, request.last_zxid_seen), (SESSION, 77));
    assert_eq!(request.password, password(SESSION));
    let attached = world.find(attachment).await;
    assert!(attached.resumed);
    assert_eq!((attached.session, attached.connection), (SESSION, 2));
}

#[tokio::test(start_paused = true)]
async fn the_server_given_up_comes_last() {
    let (mut world, first) = World::attached("a,b,c").await;
    for manner in ["a", "b", "c"].into_iter().filter(|host| *host != first.address) {
        world.net.set(manner, Manner::Refuse);
    }
    world.session.give_up_connection("no acknowledgement");
    assert_eq!(world.find(cause).await, DetachCause::GivenUp("no acknowledgement".into()));
    let again = world.peer().await;
    assert_eq!(again.address, first.address);
    let tried: Vec<_> = world.net.attempts().into_iter().map(|(_, address)| address).collect();
    assert_eq!(tried.len(), 4);
    assert!(!tried[1..3].contains(&first.address), "{tried:?}");
}

#[tokio::test(start_paused = true)]
async fn a_re_attachment_asks_for_the_smallest_timeout_so_far() {
    let mut world = World::new("a,b");
    let mut asked = Vec::new();
    for granted in [8_000, 4_000, 9_000, 6_000] {
        let mut peer = world.peer().await;
        asked.push(world.during(peer.connect_request()).await.timeout_ms);
        world.during(peer.answer_connect(SESSION, granted)).await;
        let attached = world.find(attachment).await;
        assert_eq!(attached.timeout.as_millis(), granted as u128);
        assert!(attached.smallest_timeout <= attached.timeout);
    }
    assert_eq!(asked, [10_000, 8_000, 4_000, 4_000]);
    assert_eq!(world.session.smallest_timeout(), Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_noticed() {
    let (mut world, peer) = World::attached("a,b").await;
    let begun = world.clock.now();
    let DetachCause::Silent(silent) = world.find(cause).await else { panic!() };
    for time in [silent, world.clock.now() - begun] {
        assert!(time >= T * 2 / 3 && time <= T * 2 / 3 + Duration::from_millis(2), "{time:?}");
    }
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn pings_keep_an_idle_session() {
    let (mut world, mut peer) = World::attached("a").await;
    let hour = tokio::time::sleep(Duration::from_secs(600));
    world
        .during(async {
            tokio::select! {
                () = peer.answer_pings() => panic!("hung up"),
                () = hour => {}
            }
        })
        .await;
    let mut last = None;
    let mut pongs = 0;
    while let Some(happening) = world.past.pop_front() {
        let Happening::Pong { sent, received, .. } = happening else { panic!("{happening:?}") };
        assert!(received >= sent);
        if let Some(last) = last {
            assert!(sent - last <= T / 3 + Duration::from_millis(2), "{:?}", sent - last);
        }
        last = Some(sent);
        pongs += 1;
    }
    assert!(pongs >= 179, "{pongs}");
}

/// A lease may count from a ping's sending, and never from its answer.
#[tokio::test(start_paused = true)]
async fn a_pings_answer_carries_its_times() {
    let (mut world, mut peer) = World::attached("a").await;
    let (number, _) = world.during(peer.any_request()).await;
    assert_eq!(number, xid::PING);
    let arrived = world.clock.now();
    world.during(tokio::time::sleep(Duration::from_millis(70))).await;
    world.during(peer.reply(number, 0, Response::Empty)).await;
    let answered = world.clock.now();
    let Happening::Pong { sent, received, .. } = world.happening().await else { panic!() };
    assert!(sent <= arrived && received >= answered, "{sent:?} {received:?}");
}

#[tokio::test(start_paused = true)]
async fn pings_come_at_the_pace_that_was_set_and_only_when_idle() {
    let (mut world, mut peer) = World::attached("a").await;
    world.session.set_pace(Pace { ping_every: Some(Duration::from_millis(200)), ..Pace::default() });
    let begun = world.clock.now();
    let (number, _) = world.during(peer.any_request()).await;
    assert_eq!(number, xid::PING);
    assert!(world.clock.now() - begun <= Duration::from_millis(202));
    world.during(peer.reply(number, 0, Response::Empty)).await;
    for _ in 0..10 {
        world.during(tokio::time::sleep(Duration::from_millis(150))).await;
        world.session.submit(get_data("/x", false)).expect("attached");
        let (number, _) = world.during(peer.any_request()).await;
        assert!(number > 0, "a ping although requests went out");
        world.during(peer.reply(number, 5, data(1))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_suspend_the_clock_is_looked_at_before_the_socket() {
    let (mut world, mut peer) = World::attached("a,b").await;
    world.session.submit(get_data("/x", false)).expect("attached");
    let (number, _) = world.during(peer.request()).await;
    // The answer lies in the socket when the machine wakes up, long after the session may have ended.
    peer.reply(number, 5, data(1)).await;
    world.clock.suspend(Duration::from_secs(60));
    assert!(matches!(world.happening().await, Happening::Lost { .. }));
    assert_eq!(cause(&world.happening().await), Some(DetachCause::Silent(Duration::from_secs(60))));
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_wakes_the_session_after_a_suspend_is_not_believed_either() {
    let (mut world, mut peer) = World::attached("a,b").await;
    world.session.submit(get_data("/x", false)).expect("attached");
    let (number, _) = world.during(peer.request()).await;
    let clock = world.clock.clone();
    world
        .during(async {
            // The session waits by now; its timer is far from due when the answer wakes it.
            tokio::time::sleep(Duration::from_millis(1)).await;
            clock.suspend(Duration::from_secs(60));
            peer.reply(number, 5, data(1)).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        })
        .await;
    assert!(matches!(world.happening().await, Happening::Lost { .. }));
    assert!(matches!(cause(&world.happening().await), Some(DetachCause::Silent(_))));
}

/// E19.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_behind_is_named_as_such() {
    let (mut world, mut peer) = World::attached("a,b").await;
    world.session.submit(get_data("/x", false)).expect("attached");
    let (number, _) = world.during(peer.request()).await;
    world.during(peer.reply(number, 0x5_0000_0042, data(1))).await;
    drop(peer);
    let mut behind = world.peer().await;
    world.during(behind.connect_request()).await;
    drop(behind);
    let error = world
        .find(|h| match h {
            Happening::Unreachable { error, .. } => Some(error.clone()),
            _ => None,
        })
        .await;
    assert!(error.contains("closed without an answer"), "{error}");
    assert!(error.contains("0x500000042"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_hurried_re_attachment_keeps_its_limits_short() {
    let (mut world, peer) = World::attached("a,b").await;
    let until = world.clock.now() + Duration::from_secs(2);
    world.session.set_pace(Pace { ping_every: None, urgency: Urgency::Until(until) });
    drop(peer);
    let mut swallower = world.peer().await;
    world.during(swallower.connect_request()).await;
    let begun = world.clock.now();
    let next = world.peer().await;
    assert_ne!(next.address, swallower.address);
    // A quarter of two seconds, and a wait of at most 40 ms in the second round.
    assert!(world.clock.now() - begun <= Duration::from_millis(545));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drops_every_connection_is_not_hammered() {
    let mut world = World::new("a");
    let begun = world.clock.now();
    for _ in 0..20 {
        drop(world.attach().await);
    }
    assert!(world.clock.now() - begun >= Duration::from_millis(500) * 19);
}

/// Two users of one session take it from each other while the servers are well: that is told apart from
/// servers that end by asking the one that hung up once more.
#[tokio::test(start_paused = true)]
async fn a_server_that_closes_a_young_connection_is_asked_once_more() {
    let (mut world, first) = World::attached("a,b,c").await;
    let address = first.address.clone();
    drop(first);
    world.find(cause).await;
    let mut again = world.peer().await;
    assert_eq!(again.address, address);
    world.during(again.welcome()).await;
    assert!(world.find(attachment).await.taken_back);
    drop(again);
    let mut elsewhere = world.peer().await;
    assert_ne!(elsewhere.address, address, "it would never get away from a server that only hangs up");
    world.during(elsewhere.welcome()).await;
    assert!(!world.find(attachment).await.taken_back);
    drop(elsewhere);
    let mut third = world.peer().await;
    world.during(third.welcome()).await;
    assert!(world.find(attachment).await.taken_back);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_ended_takes_nothing_back() {
    let (mut world, first) = World::attached("a,b,c").await;
    world.net.set(&first.address, Manner::Refuse);
    drop(first);
    let mut next = world.peer().await;
    world.during(next.welcome()).await;
    assert!(!world.find(attachment).await.taken_back);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_held_for_long_and_is_closed_raises_no_suspicion_and_is_no_failure() {
    let (mut world, mut first) = World::attached("a,b,c").await;
    world
        .during(async {
            tokio::select! {
                () = first.answer_pings() => panic!("hung up"),
                () = tokio::time::sleep(3 * T) => {}
            }
        })
        .await;
    world.past.clear();
    let address = first.address.clone();
    drop(first);
    let mut next = world.peer().await;
    assert_ne!(next.address, address);
    world.during(next.welcome()).await;
    assert!(!world.find(attachment).await.taken_back);

    let (mut world, mut only) = World::attached("a").await;
    world
        .during(async {
            tokio::select! {
                () = only.answer_pings() => panic!("hung up"),
                () = tokio::time::sleep(3 * T) => {}
            }
        })
        .await;
    world.past.clear();
    drop(only);
    world.peer().await;
    assert!(!world.past.iter().any(|h| matches!(h, Happening::RoundFailed { .. })), "{:?}", world.past);
}

#[tokio::test(start_paused = true)]
async fn what_came_with_the_answer_to_the_connect_request_is_told_at_once() {
    let mut world = World::new("a");
    let mut peer = world.peer().await;
    world.during(peer.connect_request()).await;
    // Both lie in the socket before the client reads.
    peer.answer_connect(SESSION, 10_000).await;
    peer.event(EventKind::DataChanged, "/x").await;
    let begun = world.clock.now();
    world.find(|h| matches!(h, Happening::Event { .. }).then_some(())).await;
    assert!(world.clock.now() - begun < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn however_slow_a_pace_was_set_the_session_is_kept() {
    let (mut world, mut peer) = World::attached("a").await;
    world.session.set_pace(Pace { ping_every: Some(10 * T), ..Pace::default() });
    let begun = world.clock.now();
    assert_eq!(world.during(peer.any_request()).await.0, xid::PING);
    assert!(world.clock.now() - begun <= T / 3 + Duration::from_millis(2));
}
