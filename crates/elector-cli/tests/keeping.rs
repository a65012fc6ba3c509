//! The turn comes while nothing is there to keep the program, or to become it: the start that was asked for waits for
//! the next keeping process, and nothing else happens to the election (row C3).

mod common;

use common::{
    Elector, LONG, Running, children_of, is_there, keeping_of, number_after, signal_process, wait_until_gone,
    waiting_program_of,
};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Between two keeping processes, so that a machine which cannot start one is not kept busy.
const PAUSE: Duration = Duration::from_secs(1);

struct Place {
    _directory: tempfile::TempDir,
    local: String,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().expect("a folder");
        let local = format!("--local={}", directory.path().join("elections").display());
        Place { _directory: directory, local }
    }

    fn contend(&self, id: &str) -> Running {
        let run = Elector::new("run").words("--id").word(id).word(&self.local).word("/keeping");
        run.script("echo started; exec sleep 1000").start()
    }

    /// A leader, and one that waits behind it.
    fn two(&self) -> (Running, Running) {
        let mut leader = self.contend("leader");
        leader.wait_for_output("started");
        let mut waiting = self.contend("waiting");
        waiting.wait_for("waiting, 2nd of 2");
        (leader, waiting)
    }
}

/// Kills the keeping process and the one that takes its place at once: the next comes after a pause.
fn rob(run: &Running) {
    // So that the first one is replaced without a pause.
    std::thread::sleep(PAUSE);
    let keeping = || keeping_of(run.pid().into());
    let first = keeping();
    assert_eq!(first.len(), 1, "{first:?}");
    signal_process(first[0], Signal::KILL);
    let until = Instant::now() + LONG;
    let mut next_one = None;
    loop {
        match keeping().into_iter().find(|pid| *pid != first[0]) {
            Some(next) if next_one.is_none() => {
                signal_process(next, Signal::KILL);
                next_one = Some(next);
            }
            // Elector has seen its end.
            None if next_one.is_some() => return,
            _ => {}
        }
        assert!(Instant::now() < until, "the keeping process was not replaced, or its end not seen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn stop(mut run: Running) {
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
}

#[test]
fn c3_a_turn_without_a_keeping_process_waits_for_the_next_one() {
    let place = Place::new();
    let (mut leader, mut waiting) = place.two();
    for _ in 0..3 {
        rob(&waiting);
        stop(leader);
        let led = waiting.wait_for("leading with token");
        assert!(number_after(&led, "pid") > 0, "{led}");
        assert!(!waiting.said().contains("lost after"), "{}", waiting.said());
        leader = waiting;
        waiting = place.contend("waiting");
        waiting.wait_for("waiting, 2nd of 2");
    }
    stop(waiting);
    stop(leader);
}

#[test]
fn c3_a_stop_while_the_turn_waits_for_a_keeping_process_ends_the_run() {
    let place = Place::new();
    let (leader, mut waiting) = place.two();
    rob(&waiting);
    stop(leader);
    waiting.signal(Signal::TERM);
    assert_eq!(waiting.end(LONG), Some(0), "{}", waiting.said());
    assert!(!waiting.printed().contains("started"), "{}", waiting.said());
}

/// Whoever kills every keeping process keeps the program from running, and not much more: the terms that are lost on
/// it come no faster than keeping processes.
#[test]
fn c3_keeping_processes_killed_again_and_again_do_not_end_the_run() {
    let place = Place::new();
    let (leader, mut waiting) = place.two();
    rob(&waiting);
    stop(leader);
    let robbed = Instant::now();
    while robbed.elapsed() < 3 * PAUSE {
        for pid in children_of(waiting.pid().into()) {
            signal_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let lost = waiting.said().matches("lost after").count();
    assert!(lost <= 6, "{lost}: {}", waiting.said());
    let until = Instant::now() + LONG;
    let leads = |run: &Running| run.said().lines().last().is_some_and(|line| line.contains("leading with"));
    while !(leads(&waiting) && robbed.elapsed() > 4 * PAUSE) {
        assert!(waiting.is_running() && Instant::now() < until, "{}", waiting.said());
        std::thread::sleep(Duration::from_millis(20));
    }
    stop(waiting);
}

#[test]
fn what_waits_to_become_the_program_may_be_killed_or_stopped() {
    for signal in [Signal::KILL, Signal::TERM, Signal::STOP] {
        let place = Place::new();
        let (leader, mut waiting) = place.two();
        let next = waiting_program_of(waiting.pid().into());
        signal_process(next, signal);
        if signal != Signal::STOP {
            wait_until_gone(next, LONG);
        }
        stop(leader);
        waiting.wait_for_output("started");
        let program = number_after(&waiting.wait_for("leading with token"), "pid");
        assert_eq!(program == next, signal == Signal::STOP, "{signal:?}");
        stop(waiting);
        assert!(!is_there(program));
    }
}

#[test]
fn what_waits_to_become_the_program_ends_with_elector() {
    let place = Place::new();
    let (leader, mut waiting) = place.two();
    let next = waiting_program_of(waiting.pid().into());
    waiting.signal(Signal::TERM);
    assert_eq!(waiting.end(LONG), Some(0), "{}", waiting.said());
    wait_until_gone(next, LONG);
    for keeping_first in [false, true] {
        let mut waiting = place.contend("waiting");
        waiting.wait_for("waiting, 2nd of 2");
        let next = waiting_program_of(waiting.pid().into());
        if keeping_first {
            waiting.signal(Signal::STOP); // so that nobody kills what is left
            signal_process(keeping_of(waiting.pid().into())[0], Signal::KILL);
        } else {
            waiting.kill();
        }
        wait_until_gone(next, LONG);
        waiting.kill();
    }
    stop(leader);
}
