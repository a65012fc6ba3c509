//! A path that carries requests but no answers must not keep a session alive.

use std::time::Duration;

use zk_session::wire::EventKind;
use zk_session::{Clock, DetachCause, Happening, Pace, SessionEnd};

use crate::support::{SESSION, T, World, get_data};

#[tokio::test(start_paused = true)]
async fn no_ping_goes_while_an_answer_is_outstanding() {
    let (mut world, mut peer) = World::attached("a").await;
    world.session.set_pace(Pace { ping_every: Some(Duration::from_millis(200)), ..Pace::default() });
    world.session.submit(get_data("/x", false)).expect("attached");
    world.during(peer.request()).await;
    let second = world.during(tokio::time::timeout(T / 2, peer.any_request())).await;
    assert!(second.is_err(), "{second:?}");
}

/// Simulated seed 906466: a server that told of changes, but never answered, had its client wait until the session
/// was over, since nothing was sent that would have kept it.
#[tokio::test(start_paused = true)]
async fn events_do_not_make_up_for_an_answer_that_never_comes() {
    let (mut world, mut peer) = World::attached("a,b").await;
    world.session.submit(get_data("/x", true)).expect("attached");
    world.during(peer.request()).await;
    let asked = world.clock.now();
    let tells = async {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            peer.event(EventKind::DataChanged, "/x").await;
        }
    };
    let moved = async {
        loop {
            for happening in world.session.next().await {
                if let Happening::Detached { cause, .. } = happening {
                    return cause;
                }
            }
        }
    };
    let cause = tokio::select! {
        cause = moved => cause,
        () = tells => panic!("still waiting after 14 s"),
    };
    assert!(matches!(cause, DetachCause::Unanswered(_)), "{cause:?}");
    let took = world.clock.now() - asked;
    assert!(
        took >= T * 2 / 3 && took < T * 2 / 3 + Duration::from_millis(2),
        "{took:?}: a third is for another server"
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_hears_nothing_is_given_up_when_it_could_be_over() {
    let (mut world, mut peer) = World::attached("a,b").await;
    world.during(peer.any_request()).await;
    drop(peer);
    let began = world.clock.now();
    let mut arrivals = world.take_arrivals();
    // Every connect request arrives, and none is answered.
    let swallow = async {
        let mut peers = Vec::new();
        while let Some(peer) = arrivals.recv().await {
            peers.push(peer);
        }
    };
    let ended = async {
        loop {
            for happening in world.session.next().await {
                if let Happening::Ended(end) = happening {
                    return end;
                }
            }
        }
    };
    let end = tokio::select! {
        end = ended => end,
        () = swallow => panic!("the session was dropped"),
    };
    assert_eq!(end, SessionEnd::Unheard);
    let took = world.clock.now() - began;
    // Heard at 0, detached at T/3; the attempt at which T has passed may take its own limit.
    let heard = T / 3;
    assert!(took + heard >= T && took + heard < T + T / 3 + Duration::from_secs(1), "{took:?}");
    world.session.restart();
    assert_ne!(world.session.session_id(), Some(SESSION));
}
