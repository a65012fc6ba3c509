//! The program's processes: all of them are gone before the place is given up, whatever they do to get away.

mod common;

use common::{Elector, LONG, Running, SHORT, is_there, number_after, shared_server, wait_until_gone};
use rustix::process::Signal;
use std::time::Duration;

/// Two processes that left the program's group and session and ignore TERM; their ids are printed.
const RUNAWAYS: &str = "
    trap '' TERM
    setsid sh -c 'trap \"\" TERM; echo runaway $$; setsid sh -c \"echo runaway \\$\\$; exec sleep 1000\" & wait' &
    sleep 0.3";

fn start(servers: &str, election: &str, options: &str, script: &str) -> Running {
    Elector::run(servers, "one", SHORT).words(options).word(election).script(script).start()
}

fn runaways(run: &mut Running) -> [u64; 2] {
    [(); 2].map(|()| number_after(&run.wait_for_output("runaway"), "runaway"))
}

#[test]
fn runaways_are_killed_on_a_planned_stop_and_after_the_programs_own_end() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut next = None;
    for (script, stop, code) in [
        (format!("{RUNAWAYS}; echo set; sleep 1000"), true, 137),
        (format!("{RUNAWAYS}; echo set; exit 4"), false, 4),
    ] {
        let mut run = start(&servers, "/runaways", "--stop-grace 500ms", &script);
        let pids = runaways(&mut run);
        run.wait_for_output("set");
        if stop {
            next = Some(start(&servers, "/runaways", "", "exec sleep 1000"));
            next.as_mut().expect("just set").wait_for("waiting, 2nd of 2");
            run.signal(Signal::TERM);
            next.as_mut().expect("just set").wait_for("leading with token");
            assert!(!pids.into_iter().any(is_there), "the next one leads while the tree lives");
        }
        assert_eq!(run.end(LONG), Some(code), "{}", run.said());
        assert!(!pids.into_iter().any(is_there), "{}", run.said());
        if let Some(mut next) = next.take() {
            next.signal(Signal::TERM);
            assert_eq!(next.end(LONG), Some(0));
        }
    }
}

#[test]
fn a_program_that_forks_while_it_is_killed_is_gone_in_time() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let script = "trap '' TERM; echo set
        while :; do setsid sh -c 'trap \"\" TERM; sleep 1000 & sleep 1000' & sleep 0.005; done";
    let mut run = start(&server.connect_string(), "/storm", "--stop-grace 1s", script);
    run.wait_for_output("set");
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(137), "{}", run.said());
    // The pipe is closed by now, which every one of them held.
    assert!(run.said().contains("resigned; program had to be killed"), "{}", run.said());
}

#[test]
fn the_program_dies_with_its_supervisor() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let mut run = start(
        &server.connect_string(),
        "/supervisor",
        "",
        "trap '' TERM; echo set; while :; do sleep 1; done",
    );
    let program = number_after(&run.wait_for("started sh"), "pid");
    run.wait_for_output("set");
    run.kill();
    wait_until_gone(program, Duration::from_secs(1));
}

#[test]
fn the_rest_of_the_group_may_end_in_good_order() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let script =
        "(trap 'sleep 0.3; echo worker done; exit' TERM; echo set; while :; do sleep 0.05; done) & wait";
    let mut run = start(&server.connect_string(), "/group", "", script);
    run.wait_for_output("set");
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
    assert!(run.printed().contains("worker done"), "{}", run.printed());
}
