//! Three servers, of which one goes: the leader goes on elsewhere with the same session and the same program.

mod common;

use common::{Elector, LONG, number_after};
use rustix::process::Signal;
use zk_ensemble::Ensemble;

#[test]
fn killing_the_leaders_server_does_not_restart_the_program() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::start(3);
    let servers = ensemble.connect_string();
    let mut run =
        Elector::run(&servers, "one", "").word("/moves").script("echo started; exec sleep 1000").start();
    let connected = run.wait_for("connected to");
    let session =
        connected.split("session ").nth(1).and_then(|rest| rest.split(',').next()).expect("a session");
    let token = number_after(&run.wait_for("leading with token"), "token");
    run.wait_for_output("started");
    let index = ensemble
        .servers()
        .iter()
        .position(|server| connected.contains(&server.address().to_string()))
        .expect("it is one of ours");

    ensemble.server(index).kill();
    let lost = run.wait_for("lost; leading on");
    assert!(lost.contains("until the program is stopped"), "{lost}");
    run.wait_for("same session; leading on");
    ensemble.server(index).restart();
    ensemble.wait_until_serving();

    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
    let said = run.said();
    assert_eq!(run.printed().matches("started").count(), 1, "{said}");
    assert_eq!(said.matches("leading with token").count(), 1, "{token} {session}: {said}");
    assert!(!said.contains("stopping the program:"), "{said}");
}
