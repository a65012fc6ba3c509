//! The program's processes: all of them are gone before the place is given up, whatever they do to get away.

mod common;

use common::{
    Elector, LONG, Running, SHORT, is_there, kill_both, number_after, shared_server, signal_process,
    survivors, wait_until_all_gone, wait_until_gone,
};
use rustix::process::Signal;
use std::path::PathBuf;
use std::time::Duration;
use zk_ensemble::{bound_command, require_namespaces, rounds};

/// What is allowed from SIGKILL to the tree's end: K of the lease's arithmetic.
const KILL_MARGIN: Duration = Duration::from_millis(500);

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

/// The directory of the control group in the line that names the level.
fn group_of(level: &str) -> PathBuf {
    PathBuf::from(level.split("group ").nth(1).and_then(|rest| rest.split(';').next()).expect("its path"))
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

/// C6: the storm goes on forking and leaving while nobody but the process that keeps it is there.
#[test]
fn c6_a_program_that_forks_while_elector_is_killed_is_gone_in_time() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let script = "trap '' TERM; echo set
        while :; do setsid sh -c 'trap \"\" TERM; sleep 1000 & sleep 1000' & sleep 0.005; done";
    for hide in [false, true] {
        let run = Elector::run(&server.connect_string(), "storm", SHORT).word("/killed-storm").script(script);
        let Some(run) = (if hide { without_groups(run) } else { Some(run) }) else { return };
        let mut run = run.start();
        run.wait_for_output("set");
        std::thread::sleep(Duration::from_millis(500));
        run.kill();
        let took = wait_until_all_gone("storm", LONG);
        println!("control group hidden: {hide}; gone after {took:?}");
        assert!(took <= KILL_MARGIN, "{took:?}");
    }
}

/// C5 at the level of process groups: one death is survived by nobody, both by what left the group, as announced.
#[test]
fn c5_at_process_group_level_only_the_announced_survive() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let script = format!("{RUNAWAYS}; echo set; sleep 1000");
    for round in 0..rounds(3, 200) {
        let id = format!("grouped-{round}");
        let run =
            Elector::run(&server.connect_string(), &id, SHORT).words("-v").word("/grouped").script(&script);
        let Some(run) = without_groups(run) else { return };
        let mut run = run.start();
        let announced = run.wait_for("the program is held by");
        assert!(
            announced.contains("its process group") && announced.contains("may outlive elector"),
            "{announced}"
        );
        let program = number_after(&run.wait_for("leading with token"), "pid");
        run.wait_for_output("set");
        if round % 2 == 0 {
            run.kill();
            wait_until_all_gone(&id, KILL_MARGIN);
            continue;
        }
        kill_both(&mut run, program);
        wait_until_gone(program, KILL_MARGIN);
        let left = survivors(&id);
        assert!(!left.is_empty(), "better than announced; then announce less");
        left.into_iter().for_each(|pid| signal_process(pid, Signal::KILL));
    }
}

/// C5 in a control group: what both deaths left is cleared away by the next start on the machine.
#[test]
fn c5_in_a_control_group_the_next_start_clears_away_what_the_dead_left() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let script = format!("{RUNAWAYS}; echo set; sleep 1000");
    for round in 0..rounds(3, 200) {
        let id = format!("held-{round}");
        let run = Elector::run(&servers, &id, SHORT).words("-v").word("/held").script(&script);
        let mut run = run.start();
        let level = run.wait_for("the program is held by");
        let program = number_after(&run.wait_for("leading with token"), "pid");
        run.wait_for_output("set");
        kill_both(&mut run, program);
        if !level.contains("the control group") {
            println!("no control group here: {level}");
            survivors(&id).into_iter().for_each(|pid| signal_process(pid, Signal::KILL));
            return;
        }
        let group = group_of(&level);
        // Any other elector that starts on this machine may have been faster.
        println!("{} runaways are held by {}", survivors(&id).len(), group.display());
        let mut next =
            Elector::run(&servers, "clears-away", SHORT).word("/elsewhere").script("exit 0").start();
        assert_eq!(next.end(LONG), Some(0), "{}", next.said());
        assert_eq!(survivors(&id), []);
        assert!(!group.exists(), "{}", group.display());
    }
}

/// The same where another elector runs on the machine: it need not start for it. A program that changed its
/// credentials is among what the kernel leaves, since it forgets whose death it watches for.
#[test]
fn c5_in_a_control_group_a_living_neighbour_clears_away_what_the_dead_left() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut neighbour = Elector::run(&servers, "neighbour", SHORT)
        .words("-v")
        .word("/near")
        .script("exec sleep 1000")
        .start();
    let level = neighbour.wait_for("the program is held by");
    neighbour.wait_for("leading with token");
    if !level.contains("the control group") {
        println!("no control group here: {level}");
        return;
    }
    let other_user =
        "exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'echo set; exec sleep 1000'";
    let scripts = [format!("{RUNAWAYS}; echo set; sleep 1000"), other_user.to_owned()];
    let scripts = &scripts[..if rustix::process::geteuid().is_root() { 2 } else { 1 }];
    for (round, script) in scripts.iter().enumerate() {
        let id = format!("orphaned-{round}");
        let mut run = Elector::run(&servers, &id, SHORT).word("/orphaned").script(script).start();
        let program = number_after(&run.wait_for("leading with token"), "pid");
        run.wait_for_output("set");
        kill_both(&mut run, program);
        // Less than any session timeout: before anybody else leads.
        let took = wait_until_all_gone(&id, Duration::from_secs(3));
        println!("cleared away after {took:?}");
    }
    neighbour.signal(Signal::TERM);
    assert_eq!(neighbour.end(LONG), Some(0));
}

/// No look at the program's descendants finds such a process, and the place must not be held for it without end.
#[test]
fn who_was_moved_into_the_control_group_is_killed_when_the_program_has_ended() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let script = "trap 'exit 4' USR1; echo set; while :; do sleep 0.05; done";
    let mut run = start(&server.connect_string(), "/joined", "-v", script);
    let mut sleep = bound_command("sleep");
    sleep.arg("1000");
    let stranger = zk_ensemble::spawn(sleep).expect("a program of this system");
    let level = run.wait_for("the program is held by");
    run.wait_for_output("set");
    if level.contains("the control group") {
        std::fs::write(group_of(&level).join("cgroup.procs"), stranger.pid().to_string())
            .expect("it is ours");
    }
    run.signal(Signal::USR1);
    run.wait_for("resigned");
    assert_eq!(is_there(stranger.pid().into()), !level.contains("the control group"), "{level}");
    assert_eq!(run.end(LONG), Some(4), "{}", run.said());
}

/// Whoever looks for the program's descendants in the numbers of another namespace finds none, and would let
/// those that left their group live on beside the next leader.
#[test]
fn where_processes_are_shown_with_other_numbers_no_program_is_run() {
    let Some(through) = require_namespaces(&["--pid", "--fork", "--kill-child"]) else { return };
    let run = || Elector::run("127.0.0.1:1", "blind", "--connect-timeout 1s").word("/blind");
    let refused = run().script("exit 0").through(&through).output();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("elector: /proc has other process ids"), "{}", refused.stderr);
    assert!(refused.stderr.contains("mount -t proc proc /proc"), "{}", refused.stderr);
    let checked = Elector::new("check").words("-z 127.0.0.1:1 /blind").through(&through).output();
    assert!(checked.stdout.contains("/proc has other process ids"), "{}", checked.stdout);
}

#[test]
fn less_than_the_containment_that_was_asked_for_is_refused() {
    let run = Elector::run("127.0.0.1:1", "strict", "--containment require-cgroup")
        .word("/strict")
        .script("exit 0");
    let Some(run) = without_groups(run) else { return };
    let refused = run.output();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("no control group for the program"), "{}", refused.stderr);
    assert!(refused.stderr.contains("Delegate=yes"), "{}", refused.stderr);
}

/// Hides the control groups of version 2 from the command, if this machine has some that can be written. Nothing
/// where that is not allowed here.
fn without_groups(run: Elector) -> Option<Elector> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("it is there");
    let mounted = mounts.lines().find(|line| line.contains(" - cgroup2 "));
    let fields: Vec<&str> = mounted.unwrap_or_default().split(' ').collect();
    let [_, _, _, _, mounted, options, ..] = fields[..] else { return Some(run) };
    // As in most containers.
    if options.split(',').any(|option| option == "ro") {
        return Some(run);
    }
    let script = "mount -t tmpfs none \"$0\" && exec \"$@\"";
    let mut words = require_namespaces(&["--mount"])?;
    words.extend(["sh", "-c", script, mounted]);
    Some(run.through(&words))
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
