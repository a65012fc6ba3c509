//! Step 5: the connection is lost, and another one found in time or too late.

use elector_core::{Input, Layout, Margins, OnDisconnect, SessionEnd};

use crate::support::{Story, ms};

/// T = 10 s with graces: D_term = base + 7.3 s, D_safe = base + 9.8 s. Leads from 10 ms on.
fn leading_with_graces(on_disconnect: OnDisconnect) -> Story {
    let margins = Margins { ensemble_tick: None, early: ms(2_500) };
    let mut c = Story::with(Layout::Latch, margins, on_disconnect);
    c.campaign();
    c.attach();
    c.restored();
    c.listed("");
    c.created("A3", 103);
    c.listed("A3");
    c.done("watch");
    c.done("probe");
    c.skip();
    assert_eq!(c.deadlines(), Some((7_300, 9_800)));
    c
}

#[test]
fn reconnected_in_time_the_term_goes_on() {
    let mut c = Story::leading();
    c.answering_probes_until(20_000);
    c.skip();
    let before = c.deadlines().unwrap();
    c.lose_connection();
    c.at(22_000).attach();
    c.says(&[]);
    assert_eq!(c.deadlines(), Some(before), "a re-attachment may be answered without a quorum");
    c.restored();
    c.says(&["probe A3"]); // at once
    c.at(22_050).done("probe");
    c.says(&[]);
    assert_eq!(c.deadlines(), Some((31_800, 31_800)), "from the ConnectRequest at 22.000");
}

#[test]
fn pings_on_the_new_connection_are_worth_nothing_without_a_quorum() {
    let mut c = Story::leading();
    c.answering_probes_until(20_000);
    let before = c.deadlines();
    c.lose_connection();
    c.attach();
    c.restored();
    for t in [21_000, 22_000, 23_000, 24_000] {
        c.at(t + 5).pong(t);
    }
    assert_eq!(c.deadlines(), before);
}

#[test]
fn a_waiting_one_is_verified_again_only_by_a_probe_on_the_new_connection() {
    let mut c = Story::enrolled("p1", 3);
    c.done("probe");
    c.answering_probes_until(20_000);
    c.lose_connection();
    c.attach();
    c.skip();
    c.deleted("p1"); // told while the watches are set again
    c.says(&[]);
    c.restored();
    c.says(&["probe A3"]); // its deadline is live, and still it waits for this
    c.done("probe");
    c.says(&["LEAD 103", "probe A3"]);
}

#[test]
fn an_answer_that_belongs_to_the_lost_connection_verifies_nothing() {
    let mut c = Story::enrolled("p1", 3);
    c.batch(|c| {
        c.done("probe");
        c.lose_connection();
        c.deleted("p1");
    });
    c.attach();
    c.says(&[]);
    c.restored();
    c.says(&["probe A3"]);
}

#[test]
fn watches_that_were_set_are_not_asked_for_again() {
    let mut c = Story::enrolled("p1 q2", 3);
    c.lose_connection();
    c.attach();
    c.restored();
    c.says(&[]); // third, nothing is missing
    c.batch(|c| {
        c.deleted("p1");
        c.deleted("q2");
    });
    c.says(&["probe A3"]);
}

#[test]
fn watches_that_never_went_out_are_asked_for_again() {
    let mut c = Story::creating();
    c.created("A3", 103);
    c.listed("p1 A3");
    c.skip();
    c.detach(false);
    c.attach();
    c.says(&[]); // a request on the dying connection would be lost unseen
    c.restored();
    c.says(&["watch p1 A3", "probe A3"]);
}

#[test]
fn so_are_those_on_all_that_are_ahead() {
    let mut c = Story::creating();
    c.created("A3", 103);
    c.listed("p1 q2 A3");
    c.skip();
    c.detach(false);
    c.attach();
    c.restored();
    c.says(&["watch q2 p1 A3"]);
}

#[test]
fn watches_that_were_on_their_way_are_set_by_the_session() {
    let mut c = Story::creating();
    c.created("A3", 103);
    c.listed("p1 A3");
    c.done("probe");
    c.lose_connection();
    c.attach();
    c.restored();
    c.done("probe");
    c.skip();
    c.deleted("p1");
    c.says(&["LEAD 103", "probe A3"]);
}

#[test]
fn whoever_gives_the_connection_up_does_not_begin_to_lead_on_it() {
    let mut c = Story::enrolled("p1", 3);
    c.done("probe");
    c.answering_probes_until(2_000);
    while !c.asks("probe") {
        let at = c.wakes_at().unwrap();
        c.at(at).wake();
    }
    c.skip();
    let at = c.wakes_at().unwrap();
    c.at(at).deleted("p1");
    c.says(&["give up the connection"]);
}

#[test]
fn nor_where_it_was_never_verified() {
    let mut c = Story::enrolled("p1", 3);
    c.done("probe");
    c.at(1_000).lose_connection();
    c.attach();
    c.restored();
    c.skip();
    c.batch(|c| {
        c.refuse("probe", elector_core::Refusal::Code(-7));
        c.deleted("p1");
    });
    c.says(&["give up the connection"]);
}

#[test]
fn watches_set_again_on_an_earlier_connection_are_none_on_this_one() {
    let mut c = Story::enrolled("p1", 3);
    c.lose_connection();
    c.attach();
    c.skip();
    c.tell(Input::Restored { connection: 1 });
    c.says(&[]);
    c.restored();
    c.says(&["probe A3"]);
}

#[test]
fn a_list_that_was_not_answered_is_asked_again() {
    let mut c = Story::creating();
    c.created("A3", 103);
    c.lose_connection();
    c.attach();
    c.says(&["list"]);
    c.restored();
    c.says(&["list"]);
}

#[test]
fn own_znode_found_gone_while_watches_are_set_again() {
    let mut c = Story::leading();
    c.lose_connection();
    c.attach();
    c.deleted("A3");
    c.says(&["LOST 103: our znode was deleted"]);
}

#[test]
fn too_late_it_stops_at_d_term_and_is_lost_at_d_safe() {
    let mut c = leading_with_graces(OnDisconnect::Hold);
    c.at(1_000).lose_connection();
    c.says(&[]);
    assert_eq!(c.wakes_at(), Some(7_300));
    c.at(7_299).wake();
    c.says(&[]);
    c.at(7_300).wake();
    c.says(&["STOPPING 103: no quorum answered"]);
    assert_eq!(c.deadlines(), Some((7_300, 9_800)));
    assert_eq!(c.wakes_at(), Some(9_800));
    c.at(9_799).wake();
    c.says(&[]);
    c.at(9_800).wake();
    c.says(&["LOST 103: no quorum answered"]);
    assert_eq!(c.deadlines(), None);
}

#[test]
fn a_late_answer_revives_nothing_and_moves_no_deadline() {
    let mut c = leading_with_graces(OnDisconnect::Hold);
    c.at(1_000).wake();
    c.skip();
    assert!(c.asks("probe"));
    c.at(7_400).done("probe"); // the clock is looked at before the answer
    c.says(&["STOPPING 103: no quorum answered", "give up the connection"]);
    c.lose_connection();
    c.attach();
    c.restored();
    c.says(&[]); // no probe: nothing is to be won any more
    assert_eq!(c.deadlines(), Some((7_300, 9_800)));
    c.at(9_800).wake();
    c.says(&["LOST 103: no quorum answered"]);
    c.withdraw();
    c.says(&["delete A3"]);
}

#[test]
fn the_deadlines_of_a_term_that_is_stopping_no_longer_move() {
    let mut c = leading_with_graces(OnDisconnect::Hold);
    c.at(1_000).lose_connection();
    c.at(7_200).attach();
    c.restored();
    c.at(7_300).wake();
    c.says(&["probe A3", "STOPPING 103: no quorum answered"]);
    c.at(7_320).done("probe"); // worth 7.2 s more, had it come in time
    c.says(&[]);
    assert_eq!(c.deadlines(), Some((7_300, 9_800)));
}

#[test]
fn after_a_pause_past_both_deadlines_both_are_told_at_once() {
    let mut c = leading_with_graces(OnDisconnect::Hold);
    c.at(60_000).wake();
    c.says(&[
        "STOPPING 103: no quorum answered",
        "LOST 103: no quorum answered",
        "give up the connection", // its probe was under way
    ]);
}

#[test]
fn check_needs_no_step_to_see_the_deadline_pass() {
    let c = leading_with_graces(OnDisconnect::Hold);
    let (term, _) = c.deadlines().unwrap();
    assert_eq!(term, 7_300, "whoever asks compares this with the clock; a starved driver changes nothing");
}

#[test]
fn told_to_stop_on_disconnect_it_stops_at_once() {
    let mut c = leading_with_graces(OnDisconnect::Stop);
    c.at(1_000).lose_connection();
    c.says(&["STOPPING 103: connection lost"]);
    assert_eq!(c.deadlines(), Some((7_300, 9_800)));
    c.attach();
    c.restored();
    c.says(&[]); // it is latched
    c.at(1_500).withdraw();
    c.says(&["delete A3"]);
}

#[test]
fn an_unanswered_probe_gives_the_connection_up_at_half_of_what_remains() {
    let mut c = Story::leading();
    c.answering_probes_until(20_000);
    while !c.asks("probe") {
        let at = c.wakes_at().unwrap();
        c.at(at).wake();
    }
    c.skip();
    let (term, _) = c.deadlines().unwrap();
    let give_up = c.now + (term - c.now) / 2;
    assert_eq!(c.wakes_at().map(|at| at.abs_diff(give_up) <= 1), Some(true));
    c.at(give_up - 1);
    c.pong(give_up - 5); // a server that answers pings is no reason to stay
    c.says(&[]);
    c.at(give_up + 1).wake();
    c.says(&["give up the connection"]);
    c.lose_connection();
    c.attach();
    c.restored();
    c.says(&["probe A3"]);
    assert_eq!(c.deadlines().unwrap().0, term);
}

#[test]
fn a_probe_gets_at_least_200_ms() {
    let mut c = leading_with_graces(OnDisconnect::Hold);
    c.at(1_000).lose_connection();
    c.at(7_180).attach();
    c.restored();
    c.says(&["probe A3"]); // 110 ms remain
    assert_eq!(c.wakes_at(), Some(7_300));
    c.at(7_300).wake();
    c.says(&["STOPPING 103: no quorum answered"]);
    c.at(7_390).wake();
    c.says(&["give up the connection"]);
}

#[test]
fn taken_back_three_times_within_t_somebody_else_uses_the_session() {
    let mut c = Story::leading();
    for at in [800, 4_000] {
        c.at(at).detach(true);
        c.attach_again(true);
        c.restored();
        c.at(at + 100).done("probe");
    }
    c.says_besides_probes(&[]);
    c.at(7_000).detach(true);
    c.attach_again(true);
    c.says(&[
        "warn: somebody else uses our session: its connection was taken over three times within the session timeout",
        "LOST 103: somebody else uses our session",
    ]);
    c.withdraw();
    c.says(&["close the session"]);
    c.session_ended(SessionEnd::Closed);
    c.says(&["left"]);
}

#[test]
fn taken_back_more_rarely_nobody_is_suspected() {
    let mut c = Story::leading();
    for at in [1_000, 6_500, 12_000, 17_500] {
        c.at(at).detach(true);
        c.attach_again(true);
        c.restored();
        c.at(at + 100).done("probe");
    }
    c.says_besides_probes(&[]);
}

#[test]
fn what_happened_to_one_session_raises_no_suspicion_about_the_next() {
    let mut c = Story::enrolled("p1", 3);
    for at in [800, 1_600] {
        c.at(at).detach(true);
        c.attach_again(true);
    }
    c.session_ended(SessionEnd::Expired);
    c.new_session(0x52);
    c.at(2_400).detach(true);
    c.skip();
    c.attach_again(true);
    c.says(&[]);
}

#[test]
fn servers_that_end_one_after_the_other_raise_no_suspicion() {
    let mut c = Story::leading();
    for at in [600, 1_200, 1_800, 2_400, 3_000] {
        c.at(at).detach(true);
        c.attach();
        c.restored();
        c.at(at + 100).done("probe");
    }
    c.says_besides_probes(&[]);
}

#[test]
fn a_waiting_one_whose_session_is_shared_takes_another() {
    let mut c = Story::enrolled("p1 q2", 3);
    for at in [1_000, 2_000, 3_000] {
        c.at(at).detach(true);
        c.attach_again(true);
    }
    assert!(c.candidate.deadlines().is_none());
    c.skip();
    c.session_ended(SessionEnd::Closed);
    c.new_session(0x52);
    c.says(&["list"]);
}

#[test]
fn a_timeout_that_shrinks_moves_the_end_of_a_term_that_stops() {
    let mut c = leading_with_graces(OnDisconnect::Stop);
    c.at(1_000).lose_connection();
    let (_, before) = c.deadlines().expect("it is stopping");
    c.timeout = 8_000;
    c.attach();
    let (_, now) = c.deadlines().expect("it is stopping");
    assert_eq!(before - now, 1_980);
}

#[test]
fn a_refused_permission_is_no_proof_of_a_quorum() {
    let mut c = Story::leading();
    let before = c.deadlines();
    c.at(3_000).refuse("probe", elector_core::Refusal::NoAuth);
    assert!(before.is_some() && c.deadlines().is_none(), "the term is lost, not prolonged");
}
