//! When sessions end: never before their timeout, and at most 100 ms after it.
//!
//! The upper bound is the server's, not the machine's: a thread beside it notes when it was itself not let
//! run in time, and what ended then is not judged. In a few rounds there must be enough that is judged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use zk_embedded::testing::TestServer;
use zk_wire::{CreateMode, Request};

use crate::client::{Client, create};

/// The bound.
const LATE: Duration = Duration::from_millis(100);
const SESSIONS: u32 = 150;
/// Long enough for the first session to live until all are made, on a busy machine too.
const SHORTEST: Duration = Duration::from_millis(1500);
/// Each session's timeout is longer by this than the one before.
const STEP: Duration = Duration::from_millis(12);
/// The machine was busy when a sleep took longer than it should by this much.
const NOISE: Duration = Duration::from_millis(15);
/// Before the end of a session: noise in this time may have made it late.
const BEFORE: Duration = Duration::from_millis(60);
const ROUNDS: usize = 10;
/// So many sessions must have ended while the machine was quiet.
const ENOUGH: usize = 60;

/// The times at which the machine did not let a thread run.
fn listen_to_noise(stop: &AtomicBool) -> Vec<(Instant, Instant)> {
    const NAP: Duration = Duration::from_millis(2);
    let mut noise = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        std::thread::sleep(NAP);
        if begun.elapsed() > NAP + NOISE {
            noise.push((begun, Instant::now()));
        }
    }
    noise
}

/// Ends the listening, by a panic too: a scope waits for its threads.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A session's last sign of life was sent and answered at these times; its end was seen at the third.
struct Life {
    timeout: Duration,
    sent: Instant,
    heard: Instant,
    ended: Instant,
}

fn lives() -> Vec<Life> {
    let server = TestServer::start().unwrap();
    let mut onlooker = Client::connect(server.address(), Duration::from_secs(30));
    onlooker.call(&create("/e", CreateMode::Persistent)).1.unwrap();
    let mut silent = Vec::new();
    for number in 0..SESSIONS {
        let mut client = Client::connect(server.address(), SHORTEST + STEP * number);
        let path = format!("/e/{number}");
        client.call(&create(&path, CreateMode::Ephemeral)).1.unwrap();
        onlooker.call(&Request::AddWatch { path, mode: 0 }).1.unwrap();
        silent.push((client, Instant::now(), Instant::now()));
    }
    for (client, sent, heard) in &mut silent {
        *sent = Instant::now();
        client.call(&Request::Ping).1.unwrap();
        *heard = Instant::now();
    }
    let mut ended = vec![None; silent.len()];
    while ended.contains(&None) {
        let frame = onlooker.frame().expect("an event");
        let now = Instant::now();
        let (_, body) = zk_wire::ReplyHeader::decode(&frame).unwrap();
        let event = zk_wire::WatchEvent::decode(body).unwrap();
        let number: usize = event.path.rsplit('/').next().unwrap().parse().unwrap();
        ended[number] = Some(now);
    }
    let lives = silent.into_iter().zip(ended).map(|((client, sent, heard), ended)| Life {
        timeout: client.timeout,
        sent,
        heard,
        ended: ended.expect("all have ended"),
    });
    lives.collect()
}

#[test]
fn sessions_end_after_their_timeout_and_within_100_ms() {
    let mut judged = Vec::new();
    for round in 0..ROUNDS {
        let stop = AtomicBool::new(false);
        let (lives, noise) = std::thread::scope(|scope| {
            let noise = scope.spawn(|| listen_to_noise(&stop));
            let lives = {
                let _stop = Stop(&stop);
                lives()
            };
            (lives, noise.join().unwrap())
        });
        for Life { timeout, sent, heard, ended } in lives {
            let lived = ended - sent;
            assert!(lived >= timeout, "a session of {timeout:?} ended after {lived:?}");
            let due = heard + timeout;
            if !noise.iter().any(|(from, to)| *from < ended && *to > due - BEFORE) {
                let late = ended.saturating_duration_since(due);
                assert!(late <= LATE, "a session of {timeout:?} ended {late:?} late on a quiet machine");
                judged.push(late);
            }
        }
        if judged.len() >= ENOUGH {
            judged.sort_unstable();
            let (median, most) = (judged[judged.len() / 2], judged[judged.len() - 1]);
            println!("{} sessions judged, late by {median:?} (median), {most:?} (most)", judged.len());
            return;
        }
        eprintln!(
            "SKIPPED: round {round}, because the machine was busy: {} sessions judged so far",
            judged.len()
        );
    }
    panic!("the machine was busy in {ROUNDS} rounds: only {} sessions could be judged", judged.len());
}
