//! The rhythm of probes, and how lively the session below must be kept.

use elector_core::{Pace, SessionEnd};

use crate::support::{Story, moment, ms};

fn pace(c: &Story) -> Pace {
    c.candidate.pace(moment(c.now))
}

#[test]
fn the_leader_probes_so_that_its_base_is_never_older_than_n_plus_1_periods() {
    let mut c = Story::leading();
    while c.now < 60_000 {
        let at = c.now + 50;
        c.answering_probes_until(at);
        let (term, _) = c.deadlines().unwrap();
        let base = term - 9_800;
        assert!(c.now - base <= 4 * 933 + 20, "base {base} at {}", c.now);
    }
    let timing = *c.candidate.timing();
    assert_eq!((timing.probes, timing.touch_lag, timing.probe_every.as_millis()), (3, ms(2_750), 933));
}

#[test]
fn it_spends_one_probe_in_each_period_and_no_more() {
    let mut c = Story::leading();
    c.answering_probes_until(10_000);
    c.skip();
    c.answering_probes_until(10_000 + 50 * 933);
    let counted = c.probes();
    assert!((48..=53).contains(&counted), "{counted} probes in 50 periods");
}

#[test]
fn one_probe_at_a_time() {
    let mut c = Story::leading();
    assert!(c.asks("probe"));
    c.at(3_000).wake();
    c.at(4_000).wake();
    c.says(&[]);
}

#[test]
fn becoming_second_it_probes_at_once() {
    let mut c = Story::enrolled("p1 q2", 3);
    c.at(5_000).deleted("q2");
    c.says(&["probe A3"]);
}

#[test]
fn only_the_third_pings_at_the_probes_period() {
    let c = Story::enrolled("p1 q2", 3);
    assert_eq!(pace(&c).ping_every, Some(c.candidate.timing().probe_every));
    let c = Story::enrolled("p1 q2 r3", 4);
    assert_eq!(pace(&c).ping_every, None);
}

#[test]
fn leader_and_second_hurry_to_reconnect_while_their_lease_lasts() {
    let mut c = Story::leading();
    c.lose_connection();
    assert_eq!(pace(&c).hurry_until, Some(moment(9_800)));
    c.at(9_800).wake();
    assert_eq!(pace(&c).hurry_until, None);

    let mut c = Story::enrolled("p1", 3);
    c.lose_connection();
    assert_eq!(pace(&c).hurry_until, Some(moment(9_800)));

    let mut c = Story::enrolled("p1 q2", 3);
    c.lose_connection();
    assert_eq!(pace(&c).hurry_until, None);
}

#[test]
fn whoever_is_not_enrolled_does_not_hurry() {
    let mut c = Story::creating();
    assert_eq!(pace(&c), Pace { ping_every: None, hurry_until: None });
    c.session_ended(SessionEnd::Expired);
    assert_eq!(pace(&c), Pace { ping_every: None, hurry_until: None });
}

#[test]
fn a_disconnected_one_asks_for_no_probes() {
    let mut c = Story::enrolled("p1", 3);
    c.done("probe");
    c.lose_connection();
    c.skip();
    assert_eq!(c.wakes_at(), None);
    c.at(30_000).wake();
    c.says(&[]);
}
