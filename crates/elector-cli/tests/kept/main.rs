//! The last guard of the deadline, by itself: what the process that keeps the program does when elector says nothing,
//! says something too late, or is no more.

#[path = "../common/mod.rs"]
mod common;
mod warden;

use common::{
    Elector, LONG, SHORT, is_there, keeping_of, shared_server, signal_process, survivors, wait_until_all_gone,
};
use rustix::process::Signal;
use std::os::unix::process::CommandExt;
use std::time::Duration;
use warden::{Killed, Told, Warden, clock_of, deadline_handed_to};
use zk_ensemble::{Proxy, boot_time};

/// Longer than any test.
const FAR: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_millis(400);
/// What is allowed from SIGKILL to the tree's end: K of the lease's arithmetic.
const KILL_MARGIN: Duration = Duration::from_millis(500);
/// The number of the clock that goes on while the machine sleeps.
const BOOTTIME: &str = "7";
const STUBBORN: &str = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
/// A process that left the program's group and session is there as well.
const RUNAWAY: &str = "trap '' TERM
    setsid sh -c 'trap \"\" TERM; echo ready; exec sleep 1000' & while :; do sleep 0.05; done";

/// C14.
#[test]
fn a_start_that_comes_after_its_deadline_starts_nothing() {
    let warden = Warden::keep("late", STUBBORN);
    warden.renew(7, Duration::ZERO);
    warden.start(7);
    assert_eq!(warden.told(), Told::TooLate);
    warden.renew(8, FAR);
    warden.start(7);
    assert_eq!(warden.told(), Told::TooLate, "the deadline is another term's");
}

#[test]
fn a_term_whose_deadline_has_passed_gets_no_program_again() {
    let mut warden = Warden::keep("spent", STUBBORN);
    warden.renew(7, SOON);
    warden.start(7);
    assert!(matches!(warden.told(), Told::Started { .. }));
    assert_eq!(warden.until_gone().0, Some(Killed::Deadline));
    for token in [7, 6] {
        warden.renew(token, FAR);
        warden.start(token);
        assert_eq!(warden.told(), Told::TooLate, "term {token}");
    }
    warden.renew(8, FAR);
    warden.until_ready(8);
}

/// C2: elector is silent from the start on.
#[test]
fn at_the_deadline_the_program_is_killed() {
    let warden = Warden::keep("deadline", STUBBORN);
    let deadline = warden.renew(7, SOON);
    warden.start(7);
    assert!(matches!(warden.told(), Told::Started { .. }));
    killed_in_time(&warden, deadline);
}

/// C4: nor does a stop that leaves more time than there is change that.
#[test]
fn at_the_deadline_the_program_is_killed_whatever_grace_it_was_given() {
    let mut warden = Warden::keep("more-grace", STUBBORN);
    let deadline = warden.renew(7, 5 * SOON);
    warden.until_ready(7);
    warden.stop_within(FAR);
    killed_in_time(&warden, deadline);
}

fn killed_in_time(warden: &Warden, deadline: Duration) {
    let (killed, at) = warden.until_gone();
    assert_eq!(killed, Some(Killed::Deadline));
    assert!((deadline..deadline + KILL_MARGIN).contains(&at), "{at:?}, due at {deadline:?}");
}

/// As when the session's timeout was granted anew, and shorter.
#[test]
fn a_deadline_that_comes_nearer_counts() {
    let mut warden = Warden::keep("nearer", STUBBORN);
    warden.renew(7, FAR);
    warden.until_ready(7);
    warden.renew(7, Duration::ZERO);
    assert_eq!(warden.until_gone().0, Some(Killed::Deadline));
}

/// E22, the half of it that no test can bring about: the sleep of the machine.
#[test]
fn the_timer_of_the_deadline_goes_on_while_the_machine_sleeps() {
    let warden = Warden::keep("asleep", STUBBORN);
    assert_eq!(clock_of(warden.pid()), BOOTTIME);
}

/// C2, C4: elector stops the program so long before the lease ends that both the grace and the killing have their
/// time; where it is stopped itself, only the killing has.
#[test]
fn the_deadline_that_elector_hands_on_leaves_time_to_die() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let proxy = Proxy::new(server.servers()[0].address());
    let grace = Duration::from_millis(500);
    let mut run = Elector::run(&proxy.address().to_string(), "margin", SHORT)
        .words("--once --loss-grace 500ms")
        .word("/margin")
        .script(STUBBORN)
        .start();
    run.wait_for_output("ready");
    let keeping = keeping_of(run.pid().into())[0];
    assert_eq!(clock_of(keeping), BOOTTIME, "what elector asks for");
    proxy.blackhole();
    run.wait_for("stopping the program");
    let latest = boot_time() + grace;
    let deadline = deadline_handed_to(keeping);
    // That the line is read late makes this no stricter.
    assert!(deadline <= latest, "{:?} too late", deadline - latest);
    assert_eq!(run.end(LONG), Some(75), "{}", run.said());
}

/// C4.
#[test]
fn a_stop_kills_after_its_grace_and_a_later_one_prolongs_nothing() {
    for graces in [&[SOON][..], &[SOON, FAR], &[FAR, SOON]] {
        let mut warden = Warden::keep("grace", STUBBORN);
        warden.renew(7, FAR);
        warden.until_ready(7);
        graces.iter().for_each(|grace| warden.stop_within(*grace));
        assert_eq!(warden.until_gone().0, Some(Killed::Grace), "{graces:?}");
    }
}

/// C1: at once, not at the deadline.
#[test]
fn without_elector_all_that_came_of_the_program_is_killed_at_once() {
    let mut warden = Warden::keep("without", RUNAWAY);
    warden.renew(7, FAR);
    warden.until_ready(7);
    assert!(survivors(warden.id()).len() > 1);
    warden.cut();
    wait_until_all_gone(warden.id(), KILL_MARGIN);
}

/// C5.
#[test]
fn the_end_is_told_when_nothing_is_left() {
    for ends_by_itself in [false, true] {
        let mut warden = Warden::keep("nothing", &format!("trap 'exit 4' USR1; {RUNAWAY}"));
        warden.renew(7, FAR);
        let program = warden.until_ready(7);
        match ends_by_itself {
            true => signal_process(program, Signal::USR1),
            false => warden.stop_now(),
        }
        let (killed, _) = warden.until_gone();
        assert_eq!(killed, (!ends_by_itself).then_some(Killed::Asked));
        assert_eq!(survivors(warden.id()), [], "{ends_by_itself}");
    }
}

#[test]
fn signals_that_are_not_the_kernels_own_leave_it_at_its_work() {
    let mut warden = Warden::keep("signals", STUBBORN);
    warden.renew(7, FAR);
    let program = warden.until_ready(7);
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::TSTP, Signal::USR1] {
        warden.signal(signal);
    }
    std::thread::sleep(SOON);
    assert!(is_there(program), "without it the program is dead");
    warden.stop_now();
    assert_eq!(warden.until_gone().0, Some(Killed::Asked));
}

/// The deadline could be moved by whoever has it; and a held lock keeps what the dead left from being cleared away.
#[test]
fn the_program_inherits_none_of_what_it_is_kept_with() {
    let mut warden = Warden::keep("inherits", "exec ls -l /proc/self/fd");
    warden.renew(7, FAR);
    warden.start(7);
    assert!(matches!(warden.told(), Told::Started { .. }));
    // The directory itself was opened last.
    let printed = warden.printed_until("/proc/");
    assert!(printed.contains("/dev/null"), "{printed}");
    for kept in ["socket:", "memfd:", "timerfd"] {
        assert!(!printed.contains(kept), "{printed}");
    }
}

/// The kernel tells of a death only whoever asked before it.
#[test]
fn what_is_to_become_the_program_ends_where_its_parent_is_dead_already() {
    let own = std::process::id();
    for (parent, printed) in [(own, "ran\n"), (1, "")] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_elector"));
        command.arg0("elector (starting a program)").arg(parent.to_string());
        let output = command.args(["/bin/sh", "sh", "-c", "echo ran"]).output().expect("it starts");
        assert_eq!(String::from_utf8_lossy(&output.stdout), printed);
        assert_eq!(output.status.success(), parent == own);
    }
}
