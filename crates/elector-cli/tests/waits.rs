//! Giving up, holding on, starting again, and waiting before the start.

mod common;

use common::{Elector, LONG, Running, SHORT, shared_server};
use rustix::process::Signal;
use std::time::{Duration, Instant};

fn start(servers: &str, election: &str, options: &str, script: &str) -> Running {
    Elector::run(servers, "one", SHORT).words(options).word(election).script(script).start()
}

#[test]
fn nonblock_and_wait_give_up_behind_a_leader_and_only_then() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut alone = start(&servers, "/give-up", "-n", "exit 6");
    assert_eq!(alone.end(LONG), Some(6), "{}", alone.said());

    let mut leader = start(&servers, "/give-up", "", "echo started; exec sleep 1000");
    leader.wait_for_output("started");
    for (options, code) in [("-n", 124), ("--wait 500ms", 124), ("-n -E 0", 0), ("--wait 500ms -E 77", 77)] {
        let mut late = start(&servers, "/give-up", options, "echo must not run; exit 6");
        assert_eq!(late.end(LONG), Some(code), "{options}: {}", late.said());
        assert_eq!(late.printed(), "", "{options}");
        assert!(late.said().contains("gave up"), "{options}: {}", late.said());
    }
    leader.signal(Signal::TERM);
    assert_eq!(leader.end(LONG), Some(0));
}

#[test]
fn at_least_keeps_a_late_machine_from_running_the_job_again() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let began = Instant::now();
    let mut job = start(&servers, "/at-least", "-n --at-least 3s", "exit 5");
    job.wait_for("program ended with 5; holding the place");
    let mut late = start(&servers, "/at-least", "-n --at-least 3s", "echo must not run");
    assert_eq!(late.end(LONG), Some(124), "{}", late.said());
    assert_eq!(late.printed(), "");
    assert_eq!(job.end(LONG), Some(5), "{}", job.said());
    assert!(began.elapsed() >= Duration::from_secs(3));
}

/// C7.
#[test]
fn on_exit_restart_starts_again_in_the_same_term() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let mut run = start(
        &server.connect_string(),
        "/restart",
        "--on-exit restart",
        "echo with $ELECTOR_TOKEN; kill -TERM $$",
    );
    let first = run.wait_for_output("with");
    run.wait_for("program ended by TERM; starting it again in 1s");
    assert_eq!(run.wait_for_output("with"), first);
    run.wait_for("starting it again in 2s");
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
}

#[test]
fn a_takeover_delay_waits_and_can_be_left() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let began = Instant::now();
    let mut run = start(&servers, "/delay", "--takeover-delay 1s", "exit 8");
    assert!(run.wait_for("leading with token").contains("starting the program in 1s"));
    assert_eq!(run.end(LONG), Some(8), "{}", run.said());
    assert!(began.elapsed() >= Duration::from_secs(1));

    let mut run = start(&servers, "/delay", "--takeover-delay 1h", "echo must not run");
    run.wait_for("starting the program in 1h00m");
    run.signal(Signal::INT);
    assert_eq!(run.end(LONG), Some(130), "{}", run.said());
    assert_eq!(run.printed(), "");
}
