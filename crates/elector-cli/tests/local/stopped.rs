//! A host that somebody stops: all elections of the directory stop safely, the others say so, and all goes on when
//! it continues or dies.

use crate::common::{LONG, Running, is_there, number_after, signal};
use crate::support::{PROGRAM, Place, SHORT, SHORT_TIMEOUT, stop};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// A host that contends elsewhere, a leader of `/job`, and one that waits behind it.
fn three(place: &Place) -> (Running, Running, Running) {
    let mut host = place.run("host", SHORT).word("/other").script(PROGRAM).start();
    host.wait_for("leading with token");
    let mut leader = place.contend("leader");
    leader.wait_for_output("started");
    let mut second = place.contend("second");
    second.wait_for("waiting, 2nd of 2");
    assert_eq!(place.host(), Some(host.pid()));
    (host, leader, second)
}

fn is_stopped_line(host: &Running) -> String {
    format!("the host, pid {}, is stopped", host.pid())
}

/// C2 where the stopped one hosts.
#[test]
fn all_stop_safely_and_go_on_when_it_continues() {
    let place = Place::new();
    let (host, mut leader, mut second) = three(&place);
    let program = number_after(
        leader.said().lines().find(|line| line.contains("leading with token")).expect("it leads"),
        "pid",
    );
    let told = is_stopped_line(&host);
    signal(&host, Signal::STOP);
    leader.wait_for(&told);
    second.wait_for(&told);
    let lost = leader.wait_for("lost after");
    assert!(lost.contains("the host did not answer"), "{lost}");
    assert!(!is_there(program), "{}", leader.said());

    let output = place.status("--json");
    assert_eq!(output.code, Some(4), "{}", output.stdout);
    let answer: serde_json::Value = serde_json::from_str(&output.stdout).expect("an object");
    assert_eq!((&answer["state"], &answer["error"]["code"]), (&"unknown".into(), &"host-stopped".into()));
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains(&told)), "{answer}");

    // Long after every session's timeout nobody else leads: who could not know is asked to by nobody.
    std::thread::sleep(2 * SHORT_TIMEOUT);
    let leading = |run: &Running| run.said().matches("leading with token").count();
    assert_eq!((leading(&leader), leading(&second)), (1, 0), "{}{}", leader.said(), second.said());
    let times_told = second.said().matches(&told).count();
    assert_eq!(times_told, 1, "at most every ten seconds: {}", second.said());

    signal(&host, Signal::CONT);
    until_led(&place, &[&leader, &second]);
    for run in [second, leader, host] {
        stop(run);
    }
}

#[test]
fn killing_a_stopped_host_lets_another_take_over() {
    let place = Place::new();
    let (mut host, mut leader, second) = three(&place);
    signal(&host, Signal::STOP);
    leader.wait_for(&is_stopped_line(&host));
    host.kill();
    let next = place.next_host(host.pid());
    assert!([leader.pid(), second.pid()].contains(&next));
    // The leader may have lost its lease by then, or not; in any case somebody leads again.
    until_led(&place, &[&leader, &second]);
    for run in [leader, second] {
        stop(run);
    }
}

#[test]
fn whoever_observes_hears_of_a_stopped_host_and_of_none() {
    let place = Place::new();
    let mut observer = place.observe();
    assert!(observer.wait_for_output("vacant").ends_with("nobody contends"), "{}", observer.printed());
    observer.wait_for(&format!("nothing is running in {}", place.path.display()));
    let mut leader = place.contend("leader");
    observer.wait_for_output("leader ");
    signal(&leader, Signal::STOP);
    observer.wait_for_output(&format!("unknown  {}", is_stopped_line(&leader)));
    leader.kill();
    observer.wait_for_output("vacant");
    observer.signal(Signal::TERM);
    assert_eq!(observer.end(LONG), Some(0), "{}", observer.said());
    assert_eq!(observer.said().matches("nothing is running").count(), 1, "{}", observer.said());
}

/// Waits until one of these leads, with a program.
fn until_led(place: &Place, contenders: &[&Running]) {
    let until = Instant::now() + LONG;
    let said = || contenders.iter().map(|run| run.said()).collect::<String>();
    loop {
        let answer = place.answer();
        let token = answer["leader"]["token"].as_str().unwrap_or_default();
        if !token.is_empty() && said().contains(&format!("leading with token {token}")) {
            return;
        }
        assert!(Instant::now() < until, "{answer}: {}", said());
        std::thread::sleep(Duration::from_millis(20));
    }
}
