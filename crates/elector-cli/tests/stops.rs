//! How a run ends: the program's own end, planned stops, signals, and the exit statuses that tell of them.

mod common;

use common::{Elector, LONG, Running, SHORT, hup_is_ignored, number_after, shared_server, signal};
use rustix::process::Signal;

/// A program that says when its traps are set, and then works on.
const WORK: &str = "echo ready; while :; do sleep 0.05; done";

fn start(servers: &str, election: &str, options: &str, script: &str) -> Running {
    Elector::run(servers, "one", SHORT).words(options).word(election).script(script).start()
}

/// C7.
#[test]
fn the_programs_own_end_is_passed_on() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -SEGV $$", 139), ("kill -KILL $$", 137)] {
        let mut run = start(&servers, "/own", "", script);
        assert_eq!(run.end(LONG), Some(code), "{script}: {}", run.said());
        assert!(run.said().contains("resigned; program ended"), "{}", run.said());
    }
}

/// C4 and C11.
#[test]
fn a_planned_stop_tells_how_it_went() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    for (options, trap, asked, code) in [
        ("", "", Signal::TERM, 0),
        ("", "trap 'exit 0' TERM", Signal::TERM, 0),
        ("", "trap 'exit 3' TERM", Signal::TERM, 3),
        ("--stop-grace 300ms", "trap '' TERM", Signal::TERM, 137),
        ("", "trap 'exit 3' TERM", Signal::INT, 130),
        ("--stop-signal USR1", "trap 'exit 0' USR1; trap '' TERM", Signal::TERM, 0),
        ("--stop-signal INT --stop-grace 5s", "trap - INT", Signal::TERM, 0),
    ] {
        let mut run = start(&servers, "/planned", options, &format!("{trap}\n{WORK}"));
        run.wait_for_output("ready");
        run.signal(asked);
        assert_eq!(run.end(LONG), Some(code), "{options} {trap}: {}", run.said());
    }
}

/// C11: the second signal kills at once.
#[test]
fn a_long_grace_is_given_in_full_and_a_second_signal_ends_it() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    // Longer than the session timeout: the lease is renewed all the while.
    let script = format!("trap 'sleep 6; echo done; exit 5' TERM; {WORK}");
    let mut run = start(&servers, "/grace", "--stop-grace 30s", &script);
    run.wait_for_output("ready");
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(5), "{}", run.said());
    assert!(run.printed().contains("done"));

    let mut run = start(&servers, "/grace", "--stop-grace 1h", &format!("trap '' TERM; {WORK}"));
    run.wait_for_output("ready");
    run.signal(Signal::TERM);
    run.wait_for("TERM received: stopping");
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(137), "{}", run.said());
    assert!(run.said().contains("received again: killing"), "{}", run.said());
}

/// C11: HUP goes to the program.
#[test]
fn other_signals_are_the_programs_and_a_pause_is_refused() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let signals = [
        ("HUP", Signal::HUP),
        ("QUIT", Signal::QUIT),
        ("USR1", Signal::USR1),
        ("USR2", Signal::USR2),
        ("WINCH", Signal::WINCH),
    ];
    let traps: String = signals.iter().map(|(name, _)| format!("trap 'echo got {name}' {name}; ")).collect();
    let mut run = start(&servers, "/signals", "", &format!("{traps}{WORK}"));
    run.wait_for_output("ready");
    for (name, signal) in signals {
        if signal == Signal::HUP && hup_is_ignored() {
            continue;
        }
        run.signal(signal);
        run.wait_for_output(&format!("got {name}"));
    }
    run.signal(Signal::TSTP);
    run.wait_for("Ctrl-Z is refused");
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
}

#[test]
fn whoever_waits_leaves_when_asked() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut leader = start(&servers, "/leave", "", WORK);
    leader.wait_for_output("ready");
    for (signal, code) in [(Signal::TERM, 0), (Signal::INT, 130), (Signal::HUP, 129), (Signal::QUIT, 131)] {
        if signal == Signal::HUP && hup_is_ignored() {
            continue;
        }
        let mut waiting = start(&servers, "/leave", "", "exit 9");
        waiting.wait_for("waiting, 2nd of 2");
        waiting.signal(Signal::USR1);
        waiting.signal(Signal::TSTP);
        waiting.wait_for("Ctrl-Z is refused");
        waiting.signal(signal);
        assert_eq!(waiting.end(LONG), Some(code), "{}", waiting.said());
    }
    leader.signal(Signal::TERM);
    assert_eq!(leader.end(LONG), Some(0));
}

#[test]
fn under_nohup_a_logout_ends_nothing() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let mut run = Elector::run(&server.connect_string(), "one", SHORT)
        .word("/nohup")
        .script(WORK)
        .through(&["nohup"])
        .start();
    run.wait_for_output("ready");
    run.signal(Signal::HUP);
    run.signal(Signal::TSTP);
    run.wait_for("Ctrl-Z is refused");
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
    assert!(!run.said().contains("HUP"), "{}", run.said());
}

/// Some service managers and test runners ignore SIGCHLD, and children inherit that.
#[test]
fn the_programs_end_is_seen_where_sigchld_was_ignored() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let run = Elector::run(&server.connect_string(), "one", SHORT).word("/unheard").script("exit 3");
    let script = "trap '' CHLD; exec \"$@\"";
    let mut run = run.through(&["bash", "-c", script, "bash"]).start();
    assert_eq!(run.end(LONG), Some(3), "{}", run.said());
}

/// A signal mask is inherited over an exec, as from a service manager's helper that blocks TERM for itself.
#[test]
fn term_is_heard_where_whoever_started_us_had_it_blocked() {
    if !zk_ensemble::require_programs(&["python3"]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a folder");
    let local = format!("--local={}", directory.path().join("l").display());
    let script = "import os, signal, sys\n\
                  signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n\
                  os.execv(sys.argv[1], sys.argv[1:])";
    let run = Elector::new("run").word(&local).word("/masked").script(WORK);
    let mut run = run.through(&["python3", "-c", script]).start();
    run.wait_for_output("ready");
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
}

/// A limit on the size of files ends whoever does not handle it; a host has to say what is wrong instead.
#[test]
fn a_file_over_its_limit_is_told_of() {
    let directory = tempfile::tempdir().expect("a folder");
    let local = format!("--local={}", directory.path().join("l").display());
    let run = Elector::new("run").word(&local).word("/limited").script(WORK);
    let mut run = run.through(&["sh", "-c", "ulimit -f 0; exec \"$@\"", "sh"]).start();
    assert_eq!(run.end(LONG), Some(125), "{}", run.said());
    assert!(run.said().contains("cannot host"), "{}", run.said());
}

/// C16: with next to no open files allowed, one line and no panic.
#[test]
fn c16_too_few_open_files_are_told_of() {
    for files in [8, 31] {
        let run = Elector::new("run").words("-z 127.0.0.1:1").word("/few").script(WORK);
        let limit = format!("ulimit -n {files}; exec \"$@\"");
        let refused = run.through(&["sh", "-c", &limit, "sh"]).output();
        assert_eq!(refused.code, Some(125), "{}", refused.stderr);
        assert_eq!(
            refused.stderr.trim(),
            "elector: too few files may be open for elector to run: ulimit -n 32 at least"
        );
    }
}

/// The state of a process: R, S, T...
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Whoever writes to a terminal in the background is sent SIGTTOU, and a stopped leader is no leader.
#[test]
fn the_terminal_cannot_stop_a_leader_and_still_stops_its_program() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let script = "grep SigBlk /proc/self/status; exec sleep 1000";
    let mut run =
        Elector::run(&server.connect_string(), "one", SHORT).word("/terminal").script(script).start();
    let program = number_after(&run.wait_for("leading with token"), "pid");
    let blocked = run.wait_for_output("SigBlk");
    assert!(
        blocked.trim_end().ends_with("0000000000000000"),
        "the program inherits what we block: {blocked}"
    );
    for stop in [Signal::TTOU, Signal::TTIN, Signal::TSTP] {
        signal(&run, stop);
    }
    run.wait_for("Ctrl-Z is refused");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_ne!(state(run.pid()), Some('T'));
    let program = rustix::process::Pid::from_raw(i32::try_from(program).expect("a pid")).expect("a pid");
    rustix::process::kill_process(program, Signal::TTOU).expect("it is there");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(state(program.as_raw_nonzero().get().unsigned_abs()), Some('T'));
    // A paused program hears a signal only once it is continued.
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
}
