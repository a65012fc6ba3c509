//! Elector killed and stopped again and again, in a local election, with a program that does all it can to live on.

use crate::common::{Elector, LONG, Running, SHORT, kill_both, parent_of, shared_server, signal_process};
use crate::common::{number_after, survivors, wait_until_all_gone};
use crate::witness::{Fault, PYTHON, Witness};
use rustix::process::Signal;
use std::path::Path;
use std::time::{Duration, Instant};
use zk_ensemble::{monotonic_time, require_programs, rounds};

/// From the death of elector until nothing of the program does anything any more, where a processor is to be had.
const LAST_ACT: Duration = Duration::from_millis(200);
/// The same on a machine as busy as the guarantees allow: K of the lease's arithmetic.
const LAST_ACT_WHEN_BUSY: Duration = Duration::from_millis(500);
/// The session timeout of the local elections; nothing of the program may outlive it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A contender of the election in a folder of the test's.
fn contend(folder: &Path, witness: &Witness, id: &str, options: &str) -> Running {
    let local = format!("--local={}", folder.join("elections").display());
    let elector = Elector::new("run").word("--id").word(id).word(&local).words("--session-timeout 2s");
    witness.program(elector.words(options).word("/job")).start()
}

/// C1: killed, hosting or not. Each leader is killed in its turn, with the next one waiting behind it.
#[test]
fn c1_killed_again_and_again_no_two_programs_at_a_time() {
    if !require_programs(&[PYTHON]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a folder");
    let witness = Witness::new();
    let kills = rounds(10, 200);
    let unique = std::process::id();
    let id = |round: usize| format!("killed-{unique}-{round}");
    let mut leader = contend(directory.path(), &witness, &id(0), "");
    leader.wait_for("leading with token");
    witness.until_terms(1);
    let mut acted = Vec::new();
    for round in 1..=kills {
        let mut next = contend(directory.path(), &witness, &id(round), "");
        next.wait_for("waiting, 2nd of 2");
        witness.note_fault("its elector is killed");
        let killed = monotonic_time();
        leader.kill();
        wait_until_all_gone(&id(round - 1), LONG);
        acted.push(witness.last_act().saturating_sub(killed));
        witness.until_terms(round + 1);
        leader = next;
    }
    let terms = witness.judge().expect("no two programs at a time");
    assert_eq!(terms.count, kills + 1);
    acted.sort();
    let (half, longest) = (acted[kills / 2], acted[kills - 1]);
    println!("{kills} kills: {terms:?}; the last act came {half:?} after its kill, at most {longest:?}");
    assert!(half <= LAST_ACT && longest <= LAST_ACT_WHEN_BUSY, "{acted:?}");
    leader.kill();
    wait_until_all_gone(&id(kills), LONG);
}

/// C2: stopped, and so is the directory's host with it: the program is dead by its deadline, all elections of the
/// directory stop, and all goes on as the stopped one dies.
#[test]
fn c2_stopped_again_and_again_no_two_programs_at_a_time() {
    if !require_programs(&[PYTHON]) {
        return;
    }
    // Several at a time: most of each round is waiting for a lease to end.
    let at_once = 5;
    for round in 0..rounds(2, 40) {
        std::thread::scope(|scope| {
            for one in 0..at_once {
                scope.spawn(move || stop_one(&format!("stopped-{}-{round}-{one}", std::process::id())));
            }
        });
    }
}

fn stop_one(id: &str) {
    let directory = tempfile::tempdir().expect("a folder");
    let witness = Witness::new();
    let mut leader = contend(directory.path(), &witness, id, "--once");
    leader.wait_for("leading with token");
    witness.until_terms(1);
    let mut next = contend(directory.path(), &witness, &format!("{id}-next"), "");
    next.wait_for("waiting, 2nd of 2");
    witness.note_fault("its elector is stopped");
    leader.signal(Signal::STOP);
    let took = wait_until_all_gone(id, LONG);
    assert!(took < TIMEOUT, "{id}: the tree lived for {took:?}");
    // Nobody else leads while the host is stopped; then the other one hosts.
    leader.kill();
    witness.until_terms(2);
    let terms = witness.judge().expect("no two programs at a time");
    println!("{id}: gone {took:?} after the stop; {terms:?}");
    next.kill();
    wait_until_all_gone(&format!("{id}-next"), LONG);
}

/// The control: what the checker says where the protection is off. Both processes of elector are stopped, which is
/// what the guarantees exclude, and the program is not.
#[test]
fn control_with_both_processes_stopped_the_checker_sees_two_programs_at_a_time() {
    if !zk_ensemble::require() || !require_programs(&[PYTHON]) {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let witness = Witness::new();
    let election = "/control";
    let id = format!("control-{}", std::process::id());
    let mut leader = witness.program(Elector::run(&servers, &id, SHORT).word(election)).start();
    let program = number_after(&leader.wait_for("leading with token"), "pid");
    witness.until_terms(1);
    let mut next = witness.program(Elector::run(&servers, "next", SHORT).word(election)).start();
    next.wait_for("waiting, 2nd of 2");
    witness.note_fault("both processes of its elector are stopped");
    leader.signal(Signal::STOP);
    signal_process(parent_of(program), Signal::STOP);
    let stopped = Instant::now();
    witness.until_terms(2);
    std::thread::sleep(Duration::from_millis(200));
    println!("the next one led {:?} after the stop: {:?}", stopped.elapsed(), witness.judge());
    assert!(matches!(witness.judge(), Err(Fault::Overlap(time)) if time > Duration::from_millis(100)));
    kill_both(&mut leader, program);
    next.kill();
    for pid in survivors(&id) {
        signal_process(pid, Signal::KILL);
    }
}
