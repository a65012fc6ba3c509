//! `next` may be dropped at any point.

use std::time::Duration;

use tokio::sync::mpsc;
use zk_session::wire::{EventKind, Response, xid};
use zk_session::{Happening, Lost};

use crate::support::{Peer, World, data, get_data};

/// Polls `next` for at most `polls` wake-ups, then drops it.
async fn poke(world: &mut World, polls: usize) {
    let batch = {
        let mut next = std::pin::pin!(world.session.next());
        let mut left = polls;
        std::future::poll_fn(|cx| match next.as_mut().poll(cx) {
            std::task::Poll::Ready(batch) => std::task::Poll::Ready(batch),
            std::task::Poll::Pending if left == 0 => std::task::Poll::Ready(Vec::new()),
            std::task::Poll::Pending => {
                left -= 1;
                std::task::Poll::Pending
            }
        })
        .await
    };
    world.past.extend(batch);
}

/// Two servers: the first answers three requests, each behind an event, and hangs up at the fourth; the
/// second sets the watch again that is left.
async fn servers(mut arrivals: mpsc::UnboundedReceiver<Peer>) -> Peer {
    let mut first = arrivals.recv().await.expect("a connection");
    first.welcome().await;
    for zxid in 1..=3 {
        let (number, _) = first.request().await;
        first.event(EventKind::DataChanged, "/x").await;
        first.reply(number, zxid, data(1)).await;
    }
    first.request().await;
    drop(first);
    let mut second = arrivals.recv().await.expect("a connection");
    second.welcome().await;
    let (number, _) = second.request().await;
    assert_eq!(number, xid::SET_WATCHES);
    second.reply(number, 9, Response::Empty).await;
    second
}

/// What the owner sees of a life full of changes, if each call of `next` is dropped after `polls`.
async fn life(polls: usize) -> Vec<String> {
    let mut world = World::new("a,b");
    let script = tokio::spawn(servers(world.take_arrivals()));
    let mut seen = Vec::new();
    while seen.len() < 50 && !seen.iter().any(|s| s == "restored 2") {
        poke(&mut world, polls).await;
        // The servers get their turn.
        tokio::time::sleep(Duration::from_millis(1)).await;
        while let Some(happening) = world.past.pop_front() {
            seen.push(match happening {
                Happening::Attached(attachment) => format!("attached {}", attachment.connection),
                Happening::Restored { connection } => format!("restored {connection}"),
                Happening::Reply { zxid, .. } => format!("reply {zxid}"),
                Happening::Event { event, .. } => format!("event {:?}", event.kind),
                Happening::Lost { how: Lost::OutcomeUnknown, .. } => "lost".into(),
                Happening::Detached { .. } => "detached".into(),
                other => format!("{other:?}"),
            });
            if seen.last().is_some_and(|s| s == "restored 1") {
                for _ in 0..4 {
                    world.session.submit(get_data("/x", true)).expect("attached");
                }
            }
        }
    }
    script.await.expect("the servers were asked what they expected");
    seen
}

#[tokio::test(start_paused = true)]
async fn a_dropped_next_loses_nothing() {
    let expected = [
        "attached 1",
        "restored 1",
        "event DataChanged",
        "reply 1",
        "event DataChanged",
        "reply 2",
        "event DataChanged",
        "reply 3",
        "lost",
        "detached",
        "attached 2",
        "restored 2",
    ];
    for polls in [0, 1, 2, 3, 5] {
        assert_eq!(life(polls).await, expected, "dropped after {polls} wake-ups");
    }
}

#[tokio::test(start_paused = true)]
async fn the_future_can_move_between_threads() {
    fn must_be_send<T: Send>(_: &T) {}
    let mut world = World::new("a");
    must_be_send(&world.session.next());
}
