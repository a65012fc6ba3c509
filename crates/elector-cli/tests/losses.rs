//! Leadership that is taken away: the program is killed at once or stopped within the lease, and the run contends
//! again, or ends with 75 under `--once`.

mod common;

use common::{
    Elector, LONG, Running, SHORT, SHORT_TIMEOUT, TICK, is_there, number_after, parent_of, shared_server,
    signal_process, wait_until_gone,
};
use rustix::process::Signal;
use std::time::{Duration, Instant};
use zk_ensemble::{Ensemble, Onlooker};

const STUBBORN: &str = "trap '' TERM; echo started; while :; do sleep 0.05; done";

fn start(servers: &str, election: &str, options: &str, script: &str) -> Running {
    Elector::run(servers, "one", SHORT).words(options).word(election).script(script).start()
}

/// Deletes the only contender of the election, as an operator could.
fn depose(server: &Ensemble, election: &str) {
    let mut onlooker = Onlooker::connect(server.servers()[0].address()).expect("a session");
    let names = onlooker.children(election).expect("a list");
    assert_eq!(names.len(), 1, "{names:?}");
    onlooker.delete(&format!("{election}/{}", names[0])).expect("the contender is there");
    onlooker.close().expect("closed");
}

#[test]
fn a_deleted_znode_kills_at_once_and_a_new_term_follows() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let mut run = start(&server.connect_string(), "/deposed", "", STUBBORN);
    let led = run.wait_for("leading with token");
    run.wait_for_output("started");
    depose(&server, "/deposed");
    let lost = run.wait_for("lost after");
    assert!(lost.contains("our znode was deleted; program killed"), "{lost}");
    assert!(!is_there(number_after(&led, "pid")));
    let again = run.wait_for("leading with token");
    assert!(number_after(&again, "token") > number_after(&led, "token"));
    run.wait_for_output("started");
    run.signal(Signal::TERM);
    run.signal(Signal::TERM);
    run.wait_for("TERM received");
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(137), "{}", run.said());
}

#[test]
fn once_ends_with_75_and_closed_sessions_count_as_lost() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let mut run = start(&server.connect_string(), "/once", "--once", STUBBORN);
    run.wait_for_output("started");
    let session = run.said().lines().find_map(|line| {
        let hex = line.split("session 0x").nth(1)?.split(',').next()?.to_string();
        i64::from_str_radix(&hex, 16).ok()
    });
    let session = session.expect("the session was told");
    Onlooker::close_session_of_another(server.servers()[0].address(), session).expect("closed");
    assert_eq!(run.end(LONG), Some(75), "{}", run.said());
    assert!(run.said().contains("lost after"), "{}", run.said());
}

/// C4: on a loss, one program that ends in good order and one that ignores TERM.
#[test]
fn silent_servers_end_the_program_within_the_lease_and_it_leads_again_later() {
    if !zk_ensemble::require() {
        return;
    }
    let mut server = Ensemble::builder(1).tick_time(TICK).start();
    let servers = server.connect_string();
    let mut polite =
        start(&servers, "/polite", "", "trap 'echo stopping; exit 0' TERM; echo started; sleep 1000 & wait");
    let mut stubborn = start(&servers, "/stubborn", "--once --loss-grace 500ms", STUBBORN);
    let program = number_after(&stubborn.wait_for("leading with token"), "pid");
    polite.wait_for_output("started");
    stubborn.wait_for_output("started");

    server.server(0).stop();
    let silent = Instant::now();
    wait_until_gone(program, LONG);
    // The whole lease is 4 s; nothing of the program may live beyond it.
    assert!(silent.elapsed() < Duration::from_secs(4), "{:?}", silent.elapsed());
    let stopping = stubborn.wait_for("stopping the program");
    assert!(stopping.contains("no quorum answered; TERM now, KILL in 0.5s"), "{stopping}");
    assert_eq!(stubborn.end(LONG), Some(75), "{}", stubborn.said());
    polite.wait_for_output("stopping");
    let lost = polite.wait_for("lost after");
    assert!(lost.contains("no quorum answered; program gone"), "{lost}");

    server.server(0).cont();
    polite.wait_for("leading with token");
    polite.wait_for_output("started");
    polite.signal(Signal::TERM);
    assert_eq!(polite.end(LONG), Some(0), "{}", polite.said());
}

#[test]
fn on_disconnect_stop_does_not_wait_for_the_lease() {
    if !zk_ensemble::require() {
        return;
    }
    let mut server = Ensemble::builder(1).tick_time(TICK).start();
    let options = "--once --on-disconnect stop";
    let mut run = start(&server.connect_string(), "/disconnect", options, "echo started; exec sleep 1000");
    run.wait_for_output("started");
    server.server(0).kill();
    let stopping = run.wait_for("stopping the program");
    assert!(stopping.contains("connection lost"), "{stopping}");
    assert_eq!(run.end(LONG), Some(75), "{}", run.said());
}

/// E21.
#[test]
fn after_a_pause_of_everything_the_program_dies_before_anything_else_happens() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let mut run = start(&server.connect_string(), "/paused", "--once", STUBBORN);
    let program = number_after(&run.wait_for("leading with token"), "pid");
    run.wait_for_output("started");
    let keeping = parent_of(program);
    run.signal(Signal::STOP);
    signal_process(keeping, Signal::STOP);
    signal_process(program, Signal::STOP);
    // Longer than the session lives: another one could lead by now.
    std::thread::sleep(SHORT_TIMEOUT + 2 * TICK);
    assert!(is_there(program), "nobody was there to kill it");
    for pid in [program, keeping] {
        signal_process(pid, Signal::CONT);
    }
    run.signal(Signal::CONT);
    wait_until_gone(program, Duration::from_millis(500));
    assert_eq!(run.end(LONG), Some(75), "{}", run.said());
}
