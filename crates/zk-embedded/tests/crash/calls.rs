//! Kills and failures at the system calls with which the journal is written, by strace.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use zk_ensemble::rounds;
use zk_wire::CreateMode;

use crate::client::{Client, create, exists};
use crate::load::{Ledger, TIMEOUT};
use crate::victim::{Place, files, have_strace};

/// The calls of every group: numbered up to 2000 in release, else a sample.
const WRITING: [&str; 2] = ["pwrite64", "fdatasync"];
/// The calls of starts, segments and snapshots, of which there are a few for every hundred writes. An open
/// that makes a file is followed by the first write to it, so a kill at one is a kill at its neighbour.
const NAMING: [&str; 3] = ["fsync", "rename", "unlink"];
/// Kills in one directory, before another one is begun: what is there is read after each.
const KILLS_PER_DIRECTORY: usize = 20;

/// More kills than this are to come under load.
const FEWEST: usize = 5;

/// Numbers of calls at which the server is killed: each of the first, then on a wider and wider grid.
fn sample(one_by_one: usize, last: usize) -> Vec<usize> {
    let next = |nth: &usize| Some(nth + 1 + nth.saturating_sub(one_by_one) / 4);
    std::iter::successors(Some(1), next).take_while(|nth| *nth <= last).collect()
}

/// Kills the server at each of these of its calls, under load, and compares after each.
fn kill_at(call: &str, numbers: &[usize]) {
    let began = Instant::now();
    let (mut under_load, mut in_recovery, mut acknowledged) = (0, 0, 0);
    for numbers in numbers.chunks(KILLS_PER_DIRECTORY) {
        let place = Place::new();
        let first = place.start();
        let mut ledger = Ledger::open(place.address());
        drop(first);
        for nth in numbers {
            let inject = format!("{call}:signal=KILL:when={nth}");
            let told = format!("killed before {inject}");
            let victim = place.start_with(&inject);
            if victim.is_none() || ledger.check(place.address(), &told).is_none() {
                in_recovery += 1;
                continue;
            }
            // The clients write until it has happened.
            let ended = || assert!(!victim.expect("it serves").ended().success(), "{inject}");
            ledger.write_until(&AtomicBool::new(false), ended);
            under_load += 1;
        }
        let _last = place.start();
        let told = format!("after the last kill, with {:?}", files(&place.data()));
        ledger.check(place.address(), &told).expect("the server serves");
        acknowledged += ledger.acknowledged();
    }
    println!(
        "{call}: {under_load} kills under load and {in_recovery} in recoveries, {acknowledged} acknowledged writes, {:?}",
        began.elapsed()
    );
    assert!(under_load > FEWEST, "{call}: the kills did not come under load");
}

/// S2: SIGKILL before the Nth write or sync, which are those of the journal's groups, and of starts,
/// segments and snapshots among them.
#[test]
fn nothing_acknowledged_is_lost_by_a_kill_at_any_write_or_sync() {
    if have_strace() {
        for call in WRITING {
            kill_at(call, &sample(rounds(8, 2000), rounds(300, 2000)));
        }
    }
}

/// S2: SIGKILL before the Nth file gets its name or goes, or the directory is synced.
#[test]
fn nothing_acknowledged_is_lost_by_a_kill_at_any_change_of_names() {
    if have_strace() {
        for call in NAMING {
            kill_at(call, &sample(usize::MAX, rounds(10, 80)));
        }
    }
}

/// A single client writes, each write with one group, until the Nth call of `call` fails: what was answered
/// before is all that may have been, and all of it is there after a restart.
fn fail_at(call: &str, error: &str, nth: usize) {
    let told = format!("{error} at {call} {nth}");
    let place = Place::new();
    let victim = place.start_with(&format!("{call}:error={error}:when={nth}")).expect(&told);
    // Its session is the first transaction.
    let mut client = Client::connect(place.address(), TIMEOUT);
    let request = create("/n-", CreateMode::PersistentSequential);
    let answered =
        std::iter::from_fn(|| client.try_call(&request)).inspect(|(_, made)| assert!(made.is_ok()));
    let answered = answered.count();
    // Each took one call, and the session one; the failed one's write is not among them.
    assert!(answered + 1 < nth, "{told}: {answered} writes were answered");
    assert!(answered + 3 > nth, "{told}: only {answered} writes were answered");
    assert!(!victim.ended().success(), "{told}: the process ends with a failure");

    let _again = place.start();
    let mut client = Client::resume(place.address(), &client).expect("the session lives on");
    for number in 0..answered {
        assert!(client.call(&exists(&format!("/n-{number:010}"), false)).1.is_ok(), "{told}: /n-{number}");
    }
    client.call(&create("/after", CreateMode::Persistent)).1.unwrap();
}

/// S7: a sync fails once. No acknowledgement follows, the process ends, and a restart is as before.
#[test]
fn a_failed_sync_ends_the_server_without_another_acknowledgement() {
    if have_strace() {
        for nth in [10, 60] {
            fail_at("fdatasync", "EIO", nth);
        }
    }
}

/// S8: a write fails, for want of space or otherwise.
#[test]
fn a_full_disk_ends_the_server_and_loses_nothing() {
    if have_strace() {
        for error in ["ENOSPC", "EIO"] {
            fail_at("pwrite64", error, 30);
        }
    }
}
