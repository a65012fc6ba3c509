//! What users were promised of `elector run` on three servers, with the default session timeout: a few rounds of
//! each in the gate, all of them with `ELECTOR_RELEASE=1`.

mod common;

use common::{Elector, LONG, Running, is_there, kill_both, number_after};
use rustix::process::Signal;
use std::time::{Duration, Instant};
use zk_ensemble::{Ensemble, Onlooker, boot_time, rounds};

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

/// E3: the only server that the leader can reach is cut off from its peers. It goes on answering pings and reads,
/// and the program must be gone before the others see the znode go.
#[test]
fn behind_a_cut_off_follower_the_program_is_gone_before_its_znode() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::builder(3).peer_links_through_proxies().start();
    for round in 0..rounds(2, 10) {
        let election = format!("/cut-{round}");
        let follower = ensemble.follower_indexes()[round % 2];
        let other = ensemble.server(ensemble.leader_index()).address();
        let reached = ensemble.server(follower).address().to_string();
        let mut leader = contender(&reached, "one", &election);
        let program = until_leading(&mut leader);
        let mut onlooker = Onlooker::connect(other).expect("the quorum leader is up");
        let znode = format!("{election}/{}", onlooker.children(&election).expect("a list").remove(0));
        let watch = std::thread::spawn(move || onlooker.watch_gone(&znode, LONG).expect("it answers"));
        // The cut falls anywhere between two probes.
        std::thread::sleep(Duration::from_millis(1_500 + 137 * (round as u64 % 7)));
        ensemble.isolate_peers(follower);
        let until = Instant::now() + 2 * TIMEOUT;
        while is_there(program) {
            assert!(Instant::now() < until, "the program goes on: {}", leader.said());
            std::thread::sleep(Duration::from_millis(2));
        }
        let stopped = boot_time();
        let gone = watch.join().expect("no panic").expect("the session expires");
        println!(
            "round {round}: the program was gone {:?} before its znode",
            gone.last_there.checked_sub(stopped)
        );
        assert!(stopped < gone.gone, "{:?} too late: {}", stopped - gone.gone, leader.said());
        drop(leader);
        ensemble.heal_peers(follower);
        ensemble.wait_until_serving();
    }
}

#[test]
fn an_idle_leader_is_never_disturbed() {
    undisturbed("idle", |time| std::thread::sleep(time));
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
