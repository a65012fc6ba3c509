//! The promises of `elector run` at its default session timeout, on three servers: rolling restarts and quiet cost
//! nothing, and a program on the wrong side of a cut is gone before anybody sees its znode go.

mod common;

use common::{Elector, LONG, Running, is_there, number_after};
use rustix::process::Signal;
use std::process::Stdio;
use std::time::Duration;
use zk_ensemble::{Ensemble, Onlooker, boot_time, rounds};

/// Ignores TERM, so that only the deadline ends it.
const STUBBORN: &str = "trap '' TERM; echo started; while :; do sleep 0.05; done";

fn start(servers: &str, election: &str, script: &str) -> Running {
    let mut run = Elector::run(servers, "one", "").word(election).script(script).start();
    run.wait_for_output("started");
    run
}

/// Ends a run that must have led one term with one program all the while.
fn end_undisturbed(mut run: Running) {
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
    let said = run.said();
    assert_eq!(run.printed().matches("started").count(), 1, "{said}");
    assert_eq!(said.matches("leading with token").count(), 1, "{said}");
    assert!(!said.contains("lost after") && !said.contains("stopping the program:"), "{said}");
}

#[test]
fn a_rolling_restart_loses_no_leadership() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::start(3);
    let run = start(&ensemble.connect_string(), "/rolling", "echo started; exec sleep 10000");
    for round in 0..rounds(2, 10) {
        for index in 0..3 {
            ensemble.server(index).terminate();
            ensemble.server(index).restart();
            ensemble.wait_until_serving();
        }
        assert!(!run.said().contains("stopping the program:"), "round {round}: {}", run.said());
    }
    end_undisturbed(run);
}

#[test]
fn a_program_behind_a_cut_off_follower_is_gone_before_its_znode() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::builder(3).peer_links_through_proxies().start();
    for round in 0..rounds(2, 10) {
        let follower = ensemble.follower_indexes()[0];
        let reached = ensemble.server(follower).address().to_string();
        let other = ensemble.leader_index();
        let other = ensemble.server(other).address();
        let election = format!("/cut-{round}");
        let mut run = start(&reached, &election, STUBBORN);
        let program = number_after(&run.wait_for("leading with token"), "pid");
        let mut onlooker = Onlooker::connect(other).expect("a session");
        let names = onlooker.children(&election).expect("a list");
        let znode = format!("{election}/{}", names[0]);
        let znode = std::thread::spawn(move || {
            let gone = onlooker.watch_gone(&znode, LONG).expect("an answer").expect("the session expires");
            (onlooker, gone)
        });
        let gone = std::thread::spawn(move || {
            while is_there(program) {
                std::thread::sleep(Duration::from_millis(2));
            }
            boot_time()
        });
        // At another moment between two probes each time.
        std::thread::sleep(Duration::from_millis(500 + 311 * (round as u64 % 7)));
        ensemble.isolate_peers(follower);
        let program_gone = gone.join().expect("no panic");
        let (onlooker, znode_gone) = znode.join().expect("no panic");
        println!(
            "round {round}: the program was gone {:?} before its znode",
            znode_gone.last_there.checked_sub(program_gone)
        );
        assert!(
            program_gone < znode_gone.gone,
            "the znode went {:?} earlier",
            program_gone - znode_gone.gone
        );
        assert!(run.said().contains("no quorum answered"), "{}", run.said());
        onlooker.close().expect("closed");
        run.kill();
        ensemble.heal_peers(follower);
        ensemble.wait_until_serving();
    }
}

#[test]
fn quiet_and_load_disturb_nobody() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(3);
    let run = start(&ensemble.connect_string(), "/quiet", "echo started; exec sleep 10000");
    let spell = Duration::from_secs(rounds(20, 600) as u64);
    std::thread::sleep(spell);
    let mut busy: Vec<_> = (0..2)
        .map(|_| {
            let mut command = zk_ensemble::bound_command("sh");
            command.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
            zk_ensemble::spawn(command).expect("a shell")
        })
        .collect();
    std::thread::sleep(spell);
    busy.iter_mut().for_each(|loop_| loop_.kill());
    end_undisturbed(run);
}

#[test]
fn a_killed_run_costs_no_more_than_the_session() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(3);
    let servers = ensemble.connect_string();
    let mut first = start(&servers, "/killed", "echo started; exec sleep 10000");
    let mut second = Elector::run(&servers, "two", "").word("/killed").script("exec sleep 10000").start();
    second.wait_for("waiting, 2nd of 2");
    let killed = boot_time();
    first.kill();
    second.wait_for("leading with token");
    let took = boot_time() - killed;
    // The session timeout, one tick, and a second.
    assert!(took <= Duration::from_secs(10 + 2 + 1), "{took:?}");
    second.signal(Signal::TERM);
    assert_eq!(second.end(LONG), Some(0), "{}", second.said());
}
