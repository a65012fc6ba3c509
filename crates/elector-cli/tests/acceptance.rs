//! What users were promised of `elector run` on three servers, with the default session timeout: a few rounds of
//! each in the gate, all of them with `ELECTOR_RELEASE=1`.

mod common;

use common::{Elector, LONG, Running, is_there, kill_both, number_after};
use rustix::process::Signal;
use std::time::{Duration, Instant};
use zk_ensemble::{Ensemble, rounds};

/// The default session timeout.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Debian's and Apache's default.
const TICK: Duration = Duration::from_secs(2);

fn contender(servers: &str, id: &str, election: &str) -> Running {
    Elector::run(servers, id, "").word(election).script("echo started; exec sleep 100000").start()
}

/// Waits until it leads; the program's pid.
fn until_leading(run: &mut Running) -> u64 {
    let pid = number_after(&run.wait_for("leading with token"), "pid");
    run.wait_for_output("started");
    pid
}

fn assert_undisturbed(run: &Running) {
    let said = run.said();
    assert_eq!(said.matches("leading with token").count(), 1, "{said}");
    assert!(!said.contains("stopping the program"), "{said}");
    assert_eq!(run.printed().matches("started").count(), 1, "{said}");
}

#[test]
fn a_rolling_restart_of_the_servers_loses_no_leadership() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::start(3);
    let servers = ensemble.connect_string();
    let mut leader = contender(&servers, "one", "/rolling");
    let program = until_leading(&mut leader);
    let mut second = contender(&servers, "two", "/rolling");
    second.wait_for("waiting, 2nd of 2");
    for round in 0..rounds(2, 10) {
        for index in 0..3 {
            ensemble.server(index).terminate();
            ensemble.server(index).restart();
            // The next one goes as soon as this one serves: no operator is faster.
            ensemble.wait_until_serving();
        }
        assert_undisturbed(&leader);
        println!("round {round}: undisturbed");
    }
    std::thread::sleep(TIMEOUT / 2); // what the last restart did shows by then
    assert_undisturbed(&leader);
    assert!(is_there(program), "{}", leader.said());
}

#[test]
fn when_the_leaders_machine_dies_the_next_one_leads_in_time() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(3);
    let servers = ensemble.connect_string();
    for round in 0..rounds(2, 10) {
        let election = format!("/dies-{round}");
        let mut leader = contender(&servers, "one", &election);
        let program = until_leading(&mut leader);
        let mut next = contender(&servers, "two", &election);
        next.wait_for("waiting, 2nd of 2");
        let began = Instant::now();
        kill_both(&mut leader, program);
        next.wait_for("leading with token");
        let took = began.elapsed();
        println!("round {round}: the next one leads after {took:?}");
        assert!(took <= TIMEOUT + TICK + Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn a_planned_stop_hands_over_at_once() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(3);
    let servers = ensemble.connect_string();
    let mut leader = contender(&servers, "0", "/handed");
    until_leading(&mut leader);
    for round in 1..=rounds(5, 50) {
        let mut next = contender(&servers, &round.to_string(), "/handed");
        next.wait_for("waiting, 2nd of 2");
        let began = Instant::now();
        leader.signal(Signal::TERM);
        until_leading(&mut next);
        let took = began.elapsed();
        println!("round {round}: the next program runs {took:?} after TERM");
        // Far from a session timeout; how fast it is, the bench measures.
        assert!(took < Duration::from_secs(3), "{took:?}");
        assert_eq!(leader.end(LONG), Some(0), "{}", leader.said());
        leader = next;
    }
}

/// E3 where other servers can be reached: cut off from its peers, a server that goes on answering pings is left for
/// another one. Where it is the only one, `tests/overlap` shows what follows.
#[test]
fn e3_a_leader_leaves_a_server_that_was_cut_off_and_leads_on() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::builder(3).peer_links_through_proxies().start();
    let servers = ensemble.connect_string();
    for round in 0..rounds(1, 10) {
        // Servers are taken in any order. The quorum leader's silence would stop all of ZooKeeper.
        let followers = ensemble.follower_indexes();
        let (mut leader, used) = loop {
            let mut leader = contender(&servers, "one", &format!("/left-{round}"));
            let connected = leader.wait_for("connected to");
            let uses = |index: &usize| connected.contains(&ensemble.servers()[*index].address().to_string());
            if let Some(used) = followers.iter().copied().find(uses) {
                break (leader, used);
            }
        };
        let program = until_leading(&mut leader);
        ensemble.isolate_peers(used);
        let cut = Instant::now();
        leader.wait_for("same session; leading on");
        println!("round {round}: on another server {:?} after the cut", cut.elapsed());
        // Any lease from before the cut would be over.
        std::thread::sleep((TIMEOUT + TICK).saturating_sub(cut.elapsed()));
        assert_undisturbed(&leader);
        assert!(is_there(program), "{}", leader.said());
        drop(leader);
        ensemble.heal_peers(used);
        ensemble.wait_until_serving();
    }
}

#[test]
fn an_idle_leader_is_never_disturbed() {
    undisturbed("idle", std::thread::sleep);
}

#[test]
fn a_leader_beside_two_busy_loops_is_never_disturbed() {
    undisturbed("beside two busy loops", |time| {
        let until = Instant::now() + time;
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| while Instant::now() < until {});
            }
        });
    });
}

/// A leader on three servers goes on for as long as `spend` takes.
fn undisturbed(how: &str, spend: impl FnOnce(Duration)) {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(3);
    let mut leader = contender(&ensemble.connect_string(), "one", "/undisturbed");
    until_leading(&mut leader);
    let time = Duration::from_secs(rounds(15, 1_800) as u64);
    spend(time);
    assert_undisturbed(&leader);
    println!("{how} for {time:?}: undisturbed");
    leader.signal(Signal::TERM);
    assert_eq!(leader.end(LONG), Some(0), "{}", leader.said());
}
