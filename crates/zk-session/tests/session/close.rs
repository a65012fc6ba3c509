//! The orderly close.

use std::time::Duration;

use zk_session::wire::{ErrorCode, Request, Response};
use zk_session::{Clock, Happening, NotSent, SessionEnd};

use crate::support::{Manner, SESSION, T, World, data, get_data};

async fn closed(world: &mut World) {
    let end = world
        .find(|h| match h {
            Happening::Ended(end) => Some(*end),
            _ => None,
        })
        .await;
    assert_eq!(end, SessionEnd::Closed);
}

#[tokio::test(start_paused = true)]
async fn what_is_outstanding_is_answered_first() {
    let (mut world, mut peer) = World::attached("a").await;
    let id = world.session.submit(get_data("/x", false)).expect("attached");
    world.session.close();
    assert_eq!(world.session.submit(get_data("/x", false)), Err(NotSent::Closing));
    let (number, _) = world.during(peer.request()).await;
    let (close, request) = world.during(peer.request()).await;
    assert_eq!(request, Request::Close);
    peer.reply(number, 5, data(1)).await;
    peer.reply(close, 6, Response::Empty).await;
    drop(peer);
    assert!(matches!(world.happening().await, Happening::Reply { id: of, .. } if of == id));
    assert_eq!(world.happening().await, Happening::Ended(SessionEnd::Closed));
}

#[tokio::test(start_paused = true)]
async fn it_is_repeated_on_the_next_connection_until_answered() {
    let (mut world, mut peer) = World::attached("a,b").await;
    world.session.close();
    for _ in 0..3 {
        let (_, request) = world.during(peer.request()).await;
        assert_eq!(request, Request::Close);
        drop(peer);
        peer = world.peer().await;
        assert_eq!(world.during(peer.welcome()).await.session_id, SESSION);
    }
    let (number, _) = world.during(peer.request()).await;
    world.during(peer.reply(number, 5, Response::Empty)).await;
    closed(&mut world).await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_session_is_a_closed_one() {
    let (mut world, mut peer) = World::attached("a").await;
    world.session.close();
    world.during(peer.request()).await;
    drop(peer);
    let mut peer = world.peer().await;
    world.during(peer.connect_request()).await;
    world.during(peer.answer_connect(0, 0)).await;
    closed(&mut world).await;
}

#[tokio::test(start_paused = true)]
async fn with_no_server_left_it_takes_as_long_as_the_session_lives() {
    let (mut world, peer) = World::attached("a,b").await;
    for host in ["a", "b"] {
        world.net.set(host, Manner::Refuse);
    }
    drop(peer);
    world.find(|h| matches!(h, Happening::Detached { .. }).then_some(())).await;
    let begun = world.clock.now();
    world.session.close();
    closed(&mut world).await;
    let took = world.clock.now() - begun;
    assert!(took <= T && took >= T - Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_not_waited_for_long() {
    let (mut world, mut peer) = World::attached("a,b").await;
    world.session.close();
    world.during(peer.request()).await;
    let begun = world.clock.now();
    let mut other = world.peer().await;
    assert!(world.clock.now() - begun <= T / 3 + Duration::from_millis(100));
    world.during(other.welcome()).await;
    let (number, _) = world.during(other.request()).await;
    world.during(other.reply(number, 5, Response::Empty)).await;
    closed(&mut world).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_session_there_is_nothing_to_close() {
    let mut world = World::new("a");
    world.session.close();
    assert_eq!(world.session.next().await, [Happening::Ended(SessionEnd::Closed)]);
    let mut world = World::new("a");
    world.net.set("a", Manner::Hang);
    world.during(tokio::time::sleep(Duration::from_millis(100))).await;
    world.session.close();
    assert_eq!(world.happening().await, Happening::Ended(SessionEnd::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_refused_is_repeated_elsewhere() {
    let (mut world, mut peer) = World::attached("a,b").await;
    world.session.close();
    let (number, _) = world.during(peer.request()).await;
    let begun = world.clock.now();
    world.during(peer.refuse(number, 5, ErrorCode::OperationTimeout)).await;
    let mut other = world.peer().await;
    assert!(world.clock.now() - begun <= Duration::from_secs(1));
    world.during(other.welcome()).await;
    let (number, _) = world.during(other.request()).await;
    world.during(other.reply(number, 5, Response::Empty)).await;
    closed(&mut world).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_close_a_restart_begins_a_session_that_takes_requests() {
    let (mut world, mut peer) = World::attached("a").await;
    world.session.close();
    let (number, _) = world.during(peer.request()).await;
    world.during(peer.reply(number, 5, Response::Empty)).await;
    closed(&mut world).await;
    world.session.restart();
    let mut peer = world.attach().await;
    world.session.submit(get_data("/x", false)).expect("attached");
    assert_eq!(world.during(peer.request()).await.1, get_data("/x", false));
}
