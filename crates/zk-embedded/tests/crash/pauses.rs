//! A server or a disk that stands still: no session pays for it.

use std::time::{Duration, Instant};

use zk_wire::{CreateMode, Request};

use crate::client::{Client, create, exists};
use crate::load::TIMEOUT;
use crate::victim::{Place, have_strace};

/// How long the disk takes for one sync.
const SLOW_SYNC: Duration = Duration::from_secs(3);
/// Which sync of the pipeline that is.
const SLOW_SYNC_NUMBER: usize = 12;

/// S12: one sync takes three seconds. Its write is not answered before, and of two sessions with timeouts
/// shorter than that neither ends: not the one whose client pings, and not the one whose client is silent for
/// a moment before and after, since the time in which the server cannot listen does not count.
#[test]
fn a_slow_disk_costs_nobody_a_session() {
    if !have_strace() {
        return;
    }
    let place = Place::new();
    let inject = format!("fdatasync:delay_enter={}:when={SLOW_SYNC_NUMBER}", SLOW_SYNC.as_micros());
    let _victim = place.start_with(&inject).expect("it serves");
    // Each session and each write has one sync.
    let mut writer = Client::connect(place.address(), TIMEOUT);
    let mut pinging = Client::connect(place.address(), SLOW_SYNC / 3);
    let mut silent = Client::connect(place.address(), SLOW_SYNC * 2 / 3);
    for (client, path) in [(&mut pinging, "/pinging"), (&mut silent, "/silent")] {
        client.call(&create(path, CreateMode::Ephemeral)).1.unwrap();
    }
    let slow = SLOW_SYNC_NUMBER - 5;
    std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel::<()>();
        let pings = scope.spawn(move || {
            while told.recv_timeout(SLOW_SYNC / 15) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                pinging.call(&Request::Ping).1.unwrap();
            }
            pinging
        });
        for number in 1..=slow {
            silent.call(&Request::Ping).1.unwrap();
            let sent = Instant::now();
            writer.call(&create("/n-", CreateMode::PersistentSequential)).1.unwrap();
            let took = sent.elapsed();
            assert_eq!(took >= SLOW_SYNC, number == slow, "write {number} took {took:?}");
        }
        for client in [&mut silent, &mut writer] {
            assert!(client.call(&exists("/silent", false)).1.is_ok(), "the silent session ended");
            assert!(client.call(&exists("/pinging", false)).1.is_ok(), "the pinging session ended");
        }
        drop(tell);
        pings.join().unwrap().call(&exists("/pinging", false)).1.unwrap();
    });
}

/// A disk that is slow at every sync, under constant writes: the pings of the living are heard all the same, so
/// there is nothing to make up for, and the session of a client that is gone ends.
#[test]
fn a_disk_that_is_always_slow_keeps_no_session_of_the_dead() {
    const EACH_SYNC: Duration = Duration::from_millis(60);
    if !have_strace() {
        return;
    }
    let timeout = Duration::from_secs(1);
    let place = Place::new();
    let inject = format!("fdatasync:delay_enter={}", EACH_SYNC.as_micros());
    let _victim = place.start_with(&inject).expect("it serves");
    let mut writer = Client::connect(place.address(), TIMEOUT);
    let mut pinging = Client::connect(place.address(), timeout);
    pinging.call(&create("/pinging", CreateMode::Ephemeral)).1.unwrap();
    let mut dead = Client::connect(place.address(), timeout);
    dead.call(&create("/dead", CreateMode::Ephemeral)).1.unwrap();
    let sent = Instant::now();
    dead.call(&Request::Ping).1.unwrap();
    drop(dead);
    let lived = loop {
        pinging.call(&Request::Ping).1.unwrap();
        writer.call(&create("/n-", CreateMode::PersistentSequential)).1.unwrap();
        if writer.call(&exists("/dead", false)).1.is_err() {
            break sent.elapsed();
        }
        assert!(sent.elapsed() < TIMEOUT / 2, "the dead client's session does not end");
    };
    assert!(lived >= timeout, "it ended after {lived:?}");
    println!("a session of {timeout:?} ended after {lived:?}");
    assert!(writer.call(&exists("/pinging", false)).1.is_ok(), "who pings keeps the session");
}

/// S13: the server is stopped for twice the timeout. The pings that were sent meanwhile are read before
/// anybody's session may end.
#[test]
fn a_stopped_server_ends_no_session_whose_pings_wait() {
    const SESSIONS: usize = 100;
    let timeout = Duration::from_secs(2);
    let place = Place::new();
    let mut victim = place.start();
    let mut onlooker = Client::connect(place.address(), TIMEOUT);
    for round in 0..2 {
        // Two hundred syncs may take longer than a session lives, so nobody is silent meanwhile.
        let mut clients: Vec<Client> = Vec::new();
        let mut all_heard = Instant::now();
        for number in 0..SESSIONS {
            let mut client = Client::connect(place.address(), timeout);
            client.call(&create(&format!("/{round}-{number}"), CreateMode::Ephemeral)).1.unwrap();
            clients.push(client);
            if number + 1 == SESSIONS || all_heard.elapsed() >= timeout / 10 {
                for client in &mut clients {
                    client.call(&Request::Ping).1.unwrap();
                }
                all_heard = Instant::now();
            }
        }
        victim.0.stop();
        // In the socket before anybody's time is over.
        let sent: Vec<i32> = clients.iter_mut().map(|client| client.send(&Request::Ping)).collect();
        std::thread::sleep(timeout * 2);
        victim.0.cont();
        for (number, (client, sent)) in clients.iter_mut().zip(sent).enumerate() {
            let answer = client.answer(sent, zk_wire::op::PING);
            assert!(answer.is_some(), "round {round}: session {number} of {SESSIONS} ended");
        }
        let nodes = (0..SESSIONS).map(|number| format!("/{round}-{number}"));
        let gone = nodes.filter(|node| onlooker.call(&exists(node, false)).1.is_err()).count();
        assert_eq!(gone, 0, "round {round}: of {SESSIONS} ephemerals {gone} are gone");
    }
}

/// S14: a restart gives every live session its full timeout anew, and ends it when its client does not come.
#[test]
fn a_restart_keeps_live_sessions_and_ends_those_that_nobody_takes_up() {
    let timeout = Duration::from_millis(1500);
    let place = Place::new();
    let victim = place.start();
    let mut clients: Vec<Client> = (0..2).map(|_| Client::connect(place.address(), timeout)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.call(&create(&format!("/e{number}"), CreateMode::Ephemeral)).1.unwrap();
    }
    drop(victim);
    // Longer than the timeout: what the server is not there for does not count.
    std::thread::sleep(timeout * 2);
    let before = Instant::now();
    let _victim = place.start();
    let mut onlooker = Client::connect(place.address(), TIMEOUT);
    let mut back = Client::resume(place.address(), &clients[0]).expect("its session lives on");
    assert!(onlooker.call(&exists("/e1", true)).1.is_ok(), "the other one's session lives on as well");
    loop {
        back.call(&Request::Ping).1.unwrap();
        if onlooker.call(&exists("/e1", false)).1.is_err() {
            break;
        }
        assert!(before.elapsed() < TIMEOUT, "a session that nobody takes up does not end");
        std::thread::sleep(timeout / 20);
    }
    let lived = before.elapsed();
    assert!(lived >= timeout, "it ended {lived:?} after the restart");
    assert!(onlooker.call(&exists("/e0", false)).1.is_ok());
}
