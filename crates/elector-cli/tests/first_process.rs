//! Row C15: elector as the first process of a container, which adopts orphans and hears no signal by default.

mod common;

use common::{Elector, LONG, SHORT, shared_server};
use rustix::process::Signal;
use std::process::Command;
use std::time::{Duration, Instant};

/// Zombies below the first process are reaped within this.
const REAPED: Duration = Duration::from_secs(2);

/// The child of this process, which is the first of the new namespace.
fn only_child(pid: u32) -> u32 {
    let until = Instant::now() + LONG;
    loop {
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        if let Some(child) = children.split_ascii_whitespace().next() {
            return child.parse().expect("a pid");
        }
        assert!(Instant::now() < until, "{pid} started nothing");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn zombies_of(parent: u32) -> usize {
    let children =
        std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let is_zombie = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
    };
    children.split_ascii_whitespace().filter(|pid| is_zombie(pid)).count()
}

/// Leaves an orphan that soon ends to the first process of the namespace of `pid`.
fn leave_orphan(pid: u32) {
    let root = rustix::process::geteuid().is_root();
    // An ordinary user is root in there.
    let as_root: &[&str] = if root { &[] } else { &["--user", "--preserve-credentials"] };
    let status = Command::new("nsenter")
        .args(as_root)
        .args(["--pid", "--mount", "-t", &pid.to_string(), "sh", "-c", "(sleep 0.2 &) ; exit 0"])
        .status()
        .expect("util-linux is there");
    assert!(status.success());
}

#[test]
fn c15_orphans_are_reaped_while_waiting_and_leading_and_signals_are_heard() {
    if !zk_ensemble::require() {
        return;
    }
    let options = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let Some(through) = zk_ensemble::require_namespaces(&options) else { return };
    let server = shared_server();
    let servers = server.connect_string();
    let mut ahead = Elector::run(&servers, "ahead", SHORT).word("/first").script("exec sleep 1000").start();
    ahead.wait_for("leading with token");
    let script = "trap 'echo got HUP' HUP; trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let mut run =
        Elector::run(&servers, "first", SHORT).word("/first").script(script).through(&through).start();
    run.wait_for("waiting, 2nd of 2");
    let first = only_child(run.pid());
    let wait_until_reaped = || {
        leave_orphan(first);
        std::thread::sleep(Duration::from_millis(400));
        let until = Instant::now() + REAPED;
        while zombies_of(first) > 0 {
            assert!(Instant::now() < until, "zombies are left");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait_until_reaped();
    ahead.signal(Signal::TERM);
    let led = run.wait_for("leading with token");
    run.wait_for_output("ready");
    wait_until_reaped();
    assert!(!run.said().contains("lost"), "{led}: {}", run.said());
    common::signal_process(first.into(), Signal::HUP);
    run.wait_for_output("got HUP");
    common::signal_process(first.into(), Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
    assert!(run.said().contains("resigned; program ended with 0"), "{}", run.said());
}
