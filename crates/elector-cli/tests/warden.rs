//! Stop means stopped, also where elector itself is killed or stopped: the process that keeps the program ends it and
//! has the session closed. Each test names its row of the catalogue of faults.

mod common;

use common::{
    Elector, LONG, Running, SHORT, SHORT_TIMEOUT, is_there, keeping_of, kill_both, number_after, parent_of,
    shared_server, signal_process, survivors, wait_until_all_gone, wait_until_gone, waiting_program_of,
};
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use zk_ensemble::{Ensemble, Onlooker, rounds};

/// Ignores TERM, and so do two processes that left its group and session.
const STUBBORN: &str = "trap '' TERM
    setsid sh -c 'trap \"\" TERM; setsid sh -c \"trap \\\"\\\" TERM; echo runaway; exec sleep 1000\" & sleep 1000' &
    echo started; while :; do sleep 0.05; done";
/// From the death of elector until nothing of the program is left.
const TREE_DEAD: Duration = Duration::from_millis(200);
/// From the death of elector until the next one leads, whatever the session timeout.
const NEXT_LEADS: Duration = Duration::from_millis(1_500);
/// How soon elector notices what happened to the process that keeps its program.
const NOTICED: Duration = Duration::from_secs(1);

fn start(servers: &str, id: &str, election: &str, options: &str) -> Running {
    Elector::run(servers, id, options).word(election).script(STUBBORN).start()
}

/// Waits until it leads and its runaways are away; the program's pid.
fn until_leading(run: &mut Running) -> u64 {
    let program = number_after(&run.wait_for("leading with token"), "pid");
    run.wait_for_output("runaway");
    program
}

/// A leader and one that waits behind it, with what is to be done to the leader. The successor's program must never
/// run beside the leader's, and is stopped again at the end.
fn succession(servers: &str, options: &str, election: &str, act: impl FnOnce(&mut Running, u64)) {
    let id = format!("first-of{}", election.replace('/', "-"));
    let mut leader = start(servers, &id, election, options);
    let program = until_leading(&mut leader);
    let mut next =
        Elector::run(servers, "next", options).word(election).script("echo started; exec sleep 1000").start();
    next.wait_for("waiting, 2nd of 2");
    act(&mut leader, program);
    next.wait_for("leading with token");
    assert_eq!(survivors(&id), [], "the next one leads while the tree lives: {}", leader.said());
    next.signal(Signal::TERM);
    assert_eq!(next.end(LONG), Some(0), "{}", next.said());
}

#[test]
fn c1_a_killed_elector_costs_the_next_one_a_second_and_not_the_session_timeout() {
    if !zk_ensemble::require() {
        return;
    }
    // Defaults all over: T = 10 s, ticks of 2 s.
    let ensemble = Ensemble::start(3);
    for round in 0..rounds(5, 50) {
        let mut killed = Instant::now();
        succession(&ensemble.connect_string(), "", &format!("/killed-{round}"), |leader, _| {
            killed = Instant::now();
            leader.kill();
            let took = wait_until_all_gone(&format!("first-of-killed-{round}"), LONG);
            println!("round {round}: the tree was gone {took:?} after elector");
            assert!(took <= TREE_DEAD, "{took:?}");
        });
        // With the end of the successor's run in it.
        println!("round {round}: the next one led and was stopped {:?} after the kill", killed.elapsed());
        assert!(killed.elapsed() <= NEXT_LEADS, "{:?}", killed.elapsed());
    }
}

#[test]
fn c1_no_runaway_outlives_a_killed_elector() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    for round in 0..rounds(10, 200) {
        succession(&server.connect_string(), SHORT, &format!("/often-{round}"), |leader, _| leader.kill());
    }
}

#[test]
fn c2_a_stopped_elector_loses_its_program_by_the_deadline_and_then_its_session() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    // Five at a time: most of each round is waiting for a lease to end.
    for round in 0..rounds(2, 40) {
        let ids = (0..5).map(|one| format!("stopped-{round}-{one}"));
        std::thread::scope(|scope| {
            for id in ids {
                let servers = server.connect_string();
                scope.spawn(move || stop_one(&servers, &id));
            }
        });
    }
}

fn stop_one(servers: &str, id: &str) {
    let election = format!("/{id}");
    let mut leader = start(servers, id, &election, &format!("{SHORT} --once"));
    let program = until_leading(&mut leader);
    let mut next =
        Elector::run(servers, "next", SHORT).word(&election).script("echo started; exec sleep 1000").start();
    next.wait_for("waiting, 2nd of 2");
    leader.signal(Signal::STOP);
    let stopped = Instant::now();
    wait_until_all_gone(id, SHORT_TIMEOUT);
    let gone = Instant::now();
    assert!(!is_there(program));
    next.wait_for("leading with token");
    println!("{id}: gone after {:?}, the next one led {:?} later", gone - stopped, gone.elapsed());
    assert!(gone.elapsed() <= NEXT_LEADS, "{:?}", gone.elapsed());
    // The stopped one comes back: its term is over, whatever it believed.
    leader.signal(Signal::CONT);
    assert_eq!(leader.end(LONG), Some(75), "{}", leader.said());
    assert_eq!(leader.printed().matches("started").count(), 1, "{}", leader.said());
    next.signal(Signal::TERM);
    assert_eq!(next.end(LONG), Some(0), "{}", next.said());
}

#[test]
fn c3_without_the_process_that_keeps_it_the_program_is_stopped_and_the_term_given_up() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    for signal in [Signal::KILL, Signal::STOP] {
        let mut run = start(&server.connect_string(), "unkept", "/unkept", SHORT);
        let led = run.wait_for("leading with token");
        run.wait_for_output("runaway");
        let program = number_after(&led, "pid");
        let before = survivors("unkept");
        assert!(before.len() > 2 && before.contains(&program), "{before:?}");
        signal_process(parent_of(program), signal);
        let began = Instant::now();
        wait_until_gone(program, NOTICED);
        let lost = run.wait_for("lost after");
        println!("{signal:?}: told {:?} after it", began.elapsed());
        assert!(lost.contains("the process that keeps the program was killed or stopped"), "{lost}");
        assert!(began.elapsed() <= NOTICED, "{:?}", began.elapsed());
        let again = run.wait_for("leading with token");
        assert!(number_after(&again, "token") > number_after(&led, "token"), "{again}");
        let left: Vec<_> = before.into_iter().filter(|pid| is_there(*pid)).collect();
        assert_eq!(left, [], "a new term's program runs beside the old one's");
        run.wait_for_output("runaway");
        let program = number_after(&again, "pid");
        assert!(survivors("unkept").contains(&program));
        run.signal(Signal::TERM);
        run.wait_for("TERM received");
        run.signal(Signal::TERM);
        assert_eq!(run.end(LONG), Some(137), "{}", run.said());
        assert_eq!(survivors("unkept"), []);
    }
}

/// A killed keeper of a program, while elector only waits, is replaced and missed by nobody.
#[test]
fn c3_the_process_that_will_keep_the_program_is_replaced_while_waiting() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut leader = start(&servers, "ahead", "/replaced", SHORT);
    until_leading(&mut leader);
    let mut waiting = start(&servers, "behind", "/replaced", SHORT);
    waiting.wait_for("waiting, 2nd of 2");
    for signal in [Signal::KILL, Signal::STOP] {
        let keeping = keeping_of(waiting.pid().into());
        assert_eq!(keeping.len(), 1, "{keeping:?}");
        signal_process(keeping[0], signal);
        let until = Instant::now() + LONG;
        while keeping_of(waiting.pid().into()).iter().all(|child| *child == keeping[0]) {
            assert!(Instant::now() < until, "it was not replaced");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    leader.kill();
    until_leading(&mut waiting);
    waiting.kill();
    wait_until_all_gone("behind", TREE_DEAD);
}

/// A stopped keeper hears of elector's death, and does what it is there for. The kernel wakes it for a reason of its
/// own as well, unless somebody of elector's session adopts it, as this test does.
#[test]
fn c3_elector_killed_while_the_process_that_keeps_the_program_is_stopped() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("no right is needed");
    let mut run = start(&server.connect_string(), "both-stopped", "/both-stopped", SHORT);
    let program = until_leading(&mut run);
    run.signal(Signal::STOP); // so that it does not notice
    signal_process(parent_of(program), Signal::STOP);
    run.kill();
    wait_until_all_gone("both-stopped", TREE_DEAD);
}

/// The kernel's own word, where nobody is left: the parent-death signal.
#[test]
fn both_killed_at_once_the_kernel_kills_the_program() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    for _ in 0..rounds(5, 50) {
        let mut run = start(&server.connect_string(), "both", "/both", SHORT);
        let program = until_leading(&mut run);
        kill_both(&mut run, program);
        std::thread::sleep(TREE_DEAD);
        let outlived = is_there(program);
        // What left its group is nobody's now; the next start on this machine clears it away, where control groups
        // hold it. The tests of containment look at that.
        for runaway in survivors("both") {
            signal_process(runaway, Signal::KILL);
        }
        assert!(!outlived, "process {program} is still there after {TREE_DEAD:?}");
    }
}

/// C9 and the threads' trap: neither idle time nor many terms of one process end a program.
#[test]
fn c9_the_program_is_never_killed_without_cause() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let mut run = Elector::run(&server.connect_string(), "long", SHORT)
        .word("/long")
        .script("echo started; exec sleep 1000")
        .start();
    run.wait_for_output("started");
    std::thread::sleep(Duration::from_secs(rounds(12, 90) as u64));
    assert!(!run.said().contains("lost"), "{}", run.said());
    let mut onlooker = Onlooker::connect(server.servers()[0].address()).expect("a session");
    for term in 0..rounds(20, 200) {
        let names = onlooker.children("/long").expect("a list");
        onlooker.delete(&format!("/long/{}", names[0])).expect("the contender is there");
        let lost = run.wait_for("lost after");
        assert!(lost.contains("our znode was deleted"), "term {term}: {lost}");
        run.wait_for_output("started");
    }
    onlooker.close().expect("closed");
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
}

/// C8: what was there when it was looked up may be gone, or of no kind that the system runs, when the turn comes.
#[test]
fn c8_a_program_that_cannot_be_executed_any_more_gives_the_place_up() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("program");
    let sound = "#!/bin/sh\nexit 0\n";
    for (content, code) in [(None, 127), (Some("\u{7f}ELF of another world"), 126)] {
        std::fs::write(&file, sound).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).expect("its mode");
        let mut leader = start(&servers, "c8-ahead", "/c8", SHORT);
        until_leading(&mut leader);
        let mut next = Elector::run(&servers, "c8", SHORT)
            .word("/c8")
            .words("--")
            .word(file.to_str().expect("a plain path"))
            .start();
        next.wait_for("waiting, 2nd of 2");
        match content {
            Some(content) => std::fs::write(&file, content).expect("written"),
            None => std::fs::remove_file(&file).expect("removed"),
        }
        leader.kill();
        assert_eq!(next.end(LONG), Some(code), "{}", next.said());
        assert!(
            next.said().contains("cannot be executed") && next.said().contains("resigned"),
            "{}",
            next.said()
        );
    }
}

/// C1 where elector hosts the election itself: another one takes over hosting first, and the session is closed there.
#[test]
fn c1_a_killed_host_of_a_local_election_costs_no_session_timeout_either() {
    let directory = tempfile::tempdir().expect("a folder");
    let local = format!("--local={}", directory.path().join("elections").display());
    let start = |id: &str| {
        Elector::new("run").words("--id").word(id).word(&local).word("/job").script(STUBBORN).start()
    };
    let mut leader = start("0");
    until_leading(&mut leader);
    for round in 1..=rounds(5, 50) {
        let mut next = start(&round.to_string());
        next.wait_for("waiting, 2nd of 2");
        let killed = Instant::now();
        leader.kill();
        until_leading(&mut next);
        println!("round {round}: the next one leads and works after {:?}", killed.elapsed());
        assert!(killed.elapsed() <= NEXT_LEADS, "{:?}", killed.elapsed());
        leader = next;
    }
    leader.kill();
}

/// C16: where the system gives no more, the place is given up with a reason.
#[test]
fn c16_without_descriptors_the_place_is_given_up() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut leader = start(&servers, "full-ahead", "/full", SHORT);
    until_leading(&mut leader);
    let mut next = start(&servers, "full", "/full", SHORT);
    next.wait_for("waiting, 2nd of 2");
    let keeping = keeping_of(next.pid().into())[0];
    // It is as ready as can be by then; and what was to become the program has to be replaced, which takes some.
    signal_process(waiting_program_of(next.pid().into()), Signal::KILL);
    let limited = std::process::Command::new("prlimit")
        .args(["--pid", &keeping.to_string(), "--nofile=4:4"])
        .status()
        .expect("util-linux is there");
    assert!(limited.success());
    leader.kill();
    assert_eq!(next.end(LONG), Some(125), "{}", next.said());
    assert!(next.said().contains("could not be started"), "{}", next.said());
    assert!(next.said().contains("resigned"), "{}", next.said());
}

/// C16: a user who may not start another process or thread is told so.
#[test]
fn c16_without_processes_the_start_says_so() {
    if !zk_ensemble::require_programs(&["setpriv", "prlimit"]) {
        return;
    }
    // Root is never limited; an ordinary user has this test's own processes already.
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "prlimit", "--nproc=1:1"];
    let nobody = &nobody[if rustix::process::geteuid().is_root() { 0 } else { 4 }..];
    // Where the build is in a folder of root's, that user cannot even start it; nor where a run's own directory for
    // temporary files is.
    let mut directory = tempfile::Builder::new();
    directory.permissions(std::fs::Permissions::from_mode(0o755));
    let directory = directory.tempdir_in("/tmp").expect("a folder");
    let copy = directory.path().join("elector");
    std::fs::copy(env!("CARGO_BIN_EXE_elector"), &copy).expect("copied");
    let run = ["run", "-z", "127.0.0.1:1", "/processes", "--", "true"];
    let output = std::process::Command::new(nobody[0]).args(&nobody[1..]).arg(&copy).args(run).output();
    let output = output.expect("util-linux is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{said}");
    assert!(said.contains("the system refused what elector needs"), "{said}");
}
