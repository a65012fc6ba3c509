//! How a session comes about.

use std::time::Duration;

use zk_session::{Happening, Pace, Urgency};

use crate::support::{Manner, SESSION, T, World, password};

#[tokio::test(start_paused = true)]
async fn a_new_session_is_attached_and_restored_at_once() {
    let mut world = World::new("a");
    let before = zk_session::Clock::now(&world.clock);
    let mut peer = world.peer().await;
    let request = world.during(peer.welcome()).await;
    assert_eq!((request.session_id, request.timeout_ms, request.last_zxid_seen), (0, 10_000, 0));
    assert_eq!(request.password.expose(), [0; 16]);
    assert_eq!(request.read_only, Some(false), "a server without a quorum is of no use");
    let Happening::Attached(attachment) = world.happening().await else { panic!() };
    assert_eq!(attachment.server, "a:2181");
    assert_eq!((attachment.session, attachment.timeout), (SESSION, T));
    assert!(!attachment.resumed);
    assert!(attachment.connect_sent >= before && attachment.received >= attachment.connect_sent);
    assert_eq!(world.happening().await, Happening::Restored { connection: 1 });
    assert_eq!(world.session.attached(), Some(&attachment));
    assert_eq!(world.session.session_id(), Some(SESSION));
    assert_eq!(world.session.password(), &password(SESSION));
}

#[tokio::test(start_paused = true)]
async fn every_server_is_tried_and_a_failed_round_names_them_all() {
    let mut world = World::new("a,b,c");
    world.net.set("a", Manner::Refuse);
    world.net.set("b", Manner::Unknown);
    world.net.set("c", Manner::Hang);
    let tried = world
        .find(|h| match h {
            Happening::RoundFailed { tried } => Some(tried.clone()),
            _ => None,
        })
        .await;
    let error = |server: &str| {
        let found = tried.iter().find(|(name, _)| name == server).expect("named");
        found.1.clone()
    };
    assert_eq!(tried.len(), 3);
    assert!(error("a:2181").contains("refused"), "{tried:?}");
    assert!(error("b:2181").contains("no such name"), "{tried:?}");
    assert!(error("c:2181").contains("no connection within 1000ms"), "{tried:?}");
}

#[tokio::test(start_paused = true)]
async fn all_addresses_of_a_name_are_tried() {
    let mut world = World::new("many");
    world.net.set("many-1", Manner::Refuse);
    world.net.set("many-2", Manner::Hang);
    let peer = world.attach().await;
    assert_eq!(peer.address, "many-3");
    let addresses: Vec<_> = world.net.attempts().into_iter().map(|(_, address)| address).collect();
    assert_eq!(addresses, ["many-1", "many-2", "many-3"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_anew_at_each_attempt() {
    let mut world = World::new("a");
    world.net.set("a", Manner::Unknown);
    world.find(|h| matches!(h, Happening::Unreachable { .. }).then_some(())).await;
    world.net.set("a", Manner::Accept { pipe: 4096 });
    world.attach().await;
}

/// How much later the next server may be asked than a limit allows: a tick of the timer.
const TICK: Duration = Duration::from_millis(2);

#[tokio::test(start_paused = true)]
async fn a_server_that_swallows_the_connect_request_holds_a_new_session_up_for_a_second() {
    let mut world = World::new("a,b,c");
    let mut swallower = world.peer().await;
    world.during(swallower.connect_request()).await;
    let begun = zk_session::Clock::now(&world.clock);
    let mut other = world.peer().await;
    assert_ne!(other.address, swallower.address);
    let waited = zk_session::Clock::now(&world.clock) - begun;
    assert!(waited <= Duration::from_secs(1) + TICK, "{waited:?}");
    world.during(other.welcome()).await;
    let error = world
        .find(|h| match h {
            Happening::Unreachable { error, .. } => Some(error.clone()),
            _ => None,
        })
        .await;
    assert!(error.contains("no answer to the connect request within 1000ms"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_behind_a_black_hole_holds_a_new_session_up_for_a_second() {
    let mut world = World::new("a,b");
    world.net.set("a", Manner::Hang);
    world.net.set("b", Manner::Hang);
    let gaps = gaps_over(&mut world, Duration::from_secs(30)).await;
    assert!(gaps.iter().all(|gap| *gap <= Duration::from_secs(1) + TICK), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn an_ensemble_that_is_slow_as_a_whole_is_reached_in_a_later_round() {
    let mut world = World::new("a,b,c");
    let attempts = answering_after(&mut world, T / 4).await;
    // Within 1 s, then 2 s, then a third of T.
    assert_eq!(attempts, 7);
}

#[tokio::test(start_paused = true)]
async fn the_only_server_is_waited_for_at_once() {
    let mut world = World::new("a");
    assert_eq!(answering_after(&mut world, T / 4).await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_address_beside_others_of_its_name_is_not_waited_for_at_once() {
    let mut world = World::new("many");
    assert_eq!(answering_after(&mut world, T / 4).await, 7);
}

/// Lets every server take a session so long after it was asked to; the connections made until one held.
async fn answering_after(world: &mut World, time: Duration) -> usize {
    let mut arrivals = world.take_arrivals();
    tokio::spawn(async move {
        while let Some(mut peer) = arrivals.recv().await {
            tokio::spawn(async move {
                peer.connect_request().await;
                tokio::time::sleep(time).await;
                peer.answer_connect(SESSION, 10_000).await;
                peer.answer_pings().await;
            });
        }
    });
    world.find(|h| matches!(h, Happening::Attached(_)).then_some(())).await;
    world.net.attempts().len()
}

#[tokio::test(start_paused = true)]
async fn without_hurry_attempts_are_at_least_half_a_second_apart() {
    let mut world = World::new("a,b,c");
    for host in ["a", "b", "c"] {
        world.net.set(host, Manner::Refuse);
    }
    let gaps = gaps_over(&mut world, Duration::from_secs(60)).await;
    assert!(gaps.len() >= 55, "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(500)), "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= Duration::from_millis(1002)), "{gaps:?}");
    let shortest = gaps.iter().min();
    let longest = gaps.iter().max();
    assert_ne!(shortest, longest, "no jitter");
}

#[tokio::test(start_paused = true)]
async fn in_a_hurry_attempts_come_quickly_but_never_without_a_pause() {
    let mut world = World::new("a,b");
    world.net.set("a", Manner::Refuse);
    world.net.set("b", Manner::Refuse);
    let until = zk_session::Clock::now(&world.clock) + Duration::from_secs(5);
    world.session.set_pace(Pace { ping_every: None, urgency: Urgency::Until(until) });
    let gaps = gaps_over(&mut world, Duration::from_secs(5)).await;
    assert!(gaps[0] <= Duration::from_millis(22), "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(10)), "{gaps:?}");
    assert!(gaps.iter().rev().skip(2).all(|gap| *gap <= Duration::from_millis(252)), "{gaps:?}");
    let after = gaps_over(&mut world, Duration::from_secs(30)).await;
    assert!(after.iter().skip(1).all(|gap| *gap >= Duration::from_millis(500)), "{after:?}");
}

/// Lets time pass and returns the gaps between the attempts in it.
async fn gaps_over(world: &mut World, time: Duration) -> Vec<Duration> {
    let before = world.net.attempts().len();
    world.during(tokio::time::sleep(time)).await;
    let attempts = world.net.attempts();
    attempts[before..].windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
}
