//! Servers that lose their peers and go on answering: the only server that the leader reaches is cut off, in the
//! ways that other programs fall for. Three times each in the gate with a session timeout of 6 s; in release twenty
//! times each, with 6 s and with 10 s.

use crate::common::{Elector, Running, SHORT_TIMEOUT, TICK};
use crate::witness::{PYTHON, Witness};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use zk_ensemble::{Direction, Ensemble, Proxy, Verdict, op, require_programs, rounds};

/// Elections that one cut strikes together, each with its own leader and its own phase of its probes.
const TOGETHER: usize = 3;
/// A cut "right after an acknowledgement" comes at most so long after it, else the round does not count.
const RIGHT_AFTER: Duration = Duration::from_millis(30);

/// An election whose leader reaches one server only, through a relay of its own, and whose next one reaches others.
struct Pair {
    proxy: Proxy,
    witness: Witness,
    leader: Running,
    next: Running,
}

impl Pair {
    fn start(cut_off: SocketAddr, others: &[SocketAddr], election: &str, timeout: Duration) -> Pair {
        let proxy = Proxy::new(cut_off);
        let witness = Witness::new();
        let tick = if timeout == SHORT_TIMEOUT { "--ensemble-tick 500ms" } else { "" };
        let options = format!("--session-timeout {}s {tick}", timeout.as_secs());
        let contend = |servers: &str, id| witness.program(Elector::run(servers, id, &options).word(election));
        let mut leader = contend(&proxy.address().to_string(), "first").start();
        leader.wait_for("leading with token");
        witness.until_terms(1);
        witness.watch_znode(others[0], election);
        let list: Vec<String> = others.iter().map(SocketAddr::to_string).collect();
        let mut next = contend(&list.join(","), "next").start();
        next.wait_for("waiting, 2nd of 2");
        Pair { proxy, witness, leader, next }
    }

    /// Waits for the hand-over and judges it.
    fn conclude(self, what: &str) {
        self.witness.until_terms(2);
        // Long enough for a line of whoever were still there.
        std::thread::sleep(Duration::from_millis(300));
        let terms = self.witness.judge();
        println!("{what}: {terms:?}");
        assert!(terms.is_ok(), "{what}: {terms:?}: {}{}", self.leader.said(), self.next.said());
    }

    /// Tells of each acknowledged probe as it is delivered.
    fn acknowledgements(&self) -> Receiver<Instant> {
        let (tell, told) = channel();
        let probes = std::sync::Arc::new(std::sync::Mutex::new(BTreeSet::new()));
        let asked = std::sync::Arc::clone(&probes);
        self.proxy.on_frame(Direction::Up, move |frame| {
            if frame.is_op(&[op::MULTI]) {
                asked.lock().expect("no panic while held").extend(frame.xid());
            }
            Verdict::Pass
        });
        self.proxy.on_frame(Direction::Down, move |frame| {
            if frame.xid().is_some_and(|xid| probes.lock().expect("no panic while held").remove(&xid)) {
                // Nobody listens any more once the cut is made.
                let _ = tell.send(Instant::now());
            }
            Verdict::Pass
        });
        told
    }
}

/// Which server is to be cut off.
#[derive(Clone, Copy)]
enum Whom {
    Follower,
    QuorumLeader,
}

/// Strikes as often as the tier asks: `strike` brings the cut about on `pairs` elections that it is given.
fn strike_often(
    row: &str,
    whom: Whom,
    pairs: usize,
    mut strike: impl FnMut(&Ensemble, usize, Duration, &[Pair]),
) {
    if !zk_ensemble::require() || !require_programs(&[PYTHON]) {
        return;
    }
    let mut ensemble = Ensemble::builder(3).peer_links_through_proxies().start();
    for seconds in [6, 10].into_iter().take(rounds(1, 2)) {
        let timeout = Duration::from_secs(seconds);
        let mut struck = 0;
        while struck < rounds(3, 20) {
            let cut_off = match whom {
                Whom::Follower => ensemble.follower_indexes()[struck % 2],
                Whom::QuorumLeader => ensemble.leader_index(),
            };
            let others: Vec<SocketAddr> = (0..3)
                .filter(|index| *index != cut_off)
                .map(|index| ensemble.servers()[index].address())
                .collect();
            let address = ensemble.servers()[cut_off].address();
            let start = |one| {
                let election = format!("/{row}-{seconds}-{}", struck + one);
                Pair::start(address, &others, &election, timeout)
            };
            let pairs: Vec<Pair> = (0..pairs).map(start).collect();
            strike(&ensemble, cut_off, timeout, &pairs);
            struck += pairs.len();
            for (one, pair) in pairs.into_iter().enumerate() {
                pair.conclude(&format!("{row}, T = {seconds} s, {one}"));
            }
            ensemble.heal_peers(cut_off);
            ensemble.wait_until_serving();
        }
        println!("{row}, T = {seconds} s: {struck} rounds");
    }
}

/// Cuts a server off from its peers, and says so in the records of those whom it carries.
fn isolate(ensemble: &Ensemble, server: usize, pairs: &[Pair]) {
    pairs.iter().for_each(|pair| pair.witness.note_fault("its server is cut off from its peers"));
    ensemble.isolate_peers(server);
}

/// E3: at any moment.
#[test]
fn e3_behind_a_cut_off_follower_no_two_programs_at_a_time() {
    let mut phase = 0;
    strike_often("e3", Whom::Follower, TOGETHER, |ensemble, cut_off, timeout, pairs| {
        // The leases have long been of the age that they usually have.
        phase += 1;
        std::thread::sleep(timeout / 2 + Duration::from_millis(137 * (phase % 7)));
        isolate(ensemble, cut_off, pairs);
    });
}

/// E4: right after the acknowledgement of a probe, which the follower has had no time to tell anybody of.
#[test]
fn e4_cut_right_after_an_acknowledgement_no_two_programs_at_a_time() {
    strike_often("e4", Whom::Follower, 1, |ensemble, cut_off, timeout, pairs| {
        std::thread::sleep(timeout / 2);
        let acknowledged = pairs[0].acknowledgements();
        let cut_after = loop {
            let at = acknowledged.recv_timeout(timeout).expect("it probes");
            if at.elapsed() < RIGHT_AFTER / 2 {
                isolate(ensemble, cut_off, pairs);
                break at.elapsed();
            }
        };
        println!("cut {cut_after:?} after the acknowledgement");
        assert!(cut_after <= RIGHT_AFTER, "this round shows nothing: {cut_after:?}");
    });
}

/// E30: the quorum leader is deposed, does not know it yet, and is asked to take the session back again and again.
#[test]
fn e30_behind_a_deposed_quorum_leader_no_two_programs_at_a_time() {
    strike_often("e30", Whom::QuorumLeader, TOGETHER, |ensemble, cut_off, timeout, pairs| {
        std::thread::sleep(timeout / 2);
        isolate(ensemble, cut_off, pairs);
        let until = Instant::now() + timeout;
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(600));
            pairs.iter().for_each(|pair| pair.proxy.cut());
        }
    });
}

/// E31: a probe comes late and is answered, and the cut follows at once: what counts is when it was answered, not
/// when it was sent. One waits for longer than its leader does, who then has given the connection up.
#[test]
fn e31_after_late_delivery_and_a_cut_no_two_programs_at_a_time() {
    strike_often("e31", Whom::Follower, TOGETHER, |ensemble, cut_off, timeout, pairs| {
        std::thread::sleep(timeout / 2);
        pairs.iter().for_each(|pair| pair.proxy.hold(Direction::Up));
        // As long as a leader waits for an answer.
        std::thread::sleep(timeout / 8);
        let acknowledged = pairs[1].acknowledgements();
        pairs[1..].iter().for_each(|pair| pair.proxy.release(Direction::Up));
        acknowledged.recv_timeout(timeout).expect("the late probe is answered");
        isolate(ensemble, cut_off, pairs);
        std::thread::sleep(Duration::from_millis(2_700).saturating_sub(timeout / 8));
        pairs[0].proxy.release(Direction::Up);
    });
}

/// E25: the quorum leader stands still for three session timeouts, with what its client has asked; then it answers.
#[test]
fn e25_late_replies_of_a_quorum_leader_that_stood_still_revive_nobody() {
    if !zk_ensemble::require() || !require_programs(&[PYTHON]) {
        return;
    }
    let mut ensemble = Ensemble::builder(3).tick_time(TICK).start();
    for round in 0..rounds(1, 10) {
        let stopped = ensemble.leader_index();
        let address = ensemble.servers()[stopped].address();
        let others = ensemble.follower_indexes().into_iter();
        let others: Vec<_> = others.map(|index| ensemble.servers()[index].address()).collect();
        let election = format!("/e25-{round}");
        let mut pair = Pair::start(address, &others, &election, SHORT_TIMEOUT);
        ensemble.server(stopped).stop();
        let until = Instant::now() + 3 * SHORT_TIMEOUT;
        pair.next.wait_for("leading with token");
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        ensemble.server(stopped).cont();
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(pair.leader.said().matches("leading with token").count(), 1, "{}", pair.leader.said());
        pair.conclude("e25");
        ensemble.wait_until_serving();
    }
}
