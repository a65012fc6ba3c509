//! Resigning, and withdrawing at every step of the way.

use elector_core::{Refusal, SessionEnd};

use crate::support::Story;

#[test]
fn a_leader_resigns_by_deleting_its_znode() {
    let mut c = Story::leading();
    c.withdraw();
    c.says(&["delete A3"]);
    assert_eq!(c.deadlines(), None);
    c.done("delete A3");
    c.says(&["left"]);
    assert_eq!(c.candidate.own_name(), None);
}

#[test]
fn a_znode_already_gone_is_as_good() {
    let mut c = Story::leading();
    c.withdraw();
    c.refuse("delete A3", Refusal::NoNode);
    c.says(&["delete A3", "left"]);
}

#[test]
fn the_event_may_come_before_the_answer() {
    let mut c = Story::leading();
    c.withdraw();
    c.batch(|c| {
        c.deleted("A3");
        c.done("delete A3");
    });
    c.says(&["delete A3", "left"]);
}

#[test]
fn the_delete_is_repeated_until_it_is_answered() {
    let mut c = Story::leading();
    c.withdraw();
    c.lose_connection();
    c.attach();
    c.says(&["delete A3"]);
    c.restored();
    c.says(&["delete A3"]);
    c.lose_connection();
    c.attach();
    c.restored();
    c.refuse("delete A3", Refusal::NoNode);
    c.says(&["delete A3", "left"]);
}

#[test]
fn or_until_the_session_is_gone() {
    let mut c = Story::leading();
    c.withdraw();
    c.lose_connection();
    c.session_ended(SessionEnd::Expired);
    c.says(&["delete A3", "left"]);
}

#[test]
fn while_disconnected_it_waits_for_a_connection() {
    let mut c = Story::leading();
    c.lose_connection();
    c.withdraw();
    c.says(&[]);
    c.attach();
    c.restored();
    c.says(&["delete A3"]);
}

#[test]
fn a_delete_that_is_refused_closes_the_session() {
    let mut c = Story::leading();
    c.withdraw();
    c.refuse("delete A3", Refusal::NoAuth);
    c.says(&["delete A3", "close the session"]);
    c.session_ended(SessionEnd::Closed);
    c.says(&["left"]);
}

#[test]
fn after_resigning_the_next_term_has_another_znode_and_a_higher_token() {
    let mut c = Story::leading();
    c.withdraw();
    c.done("delete A3");
    c.campaign();
    c.created("B4", 130);
    c.listed("B4");
    c.done("watch");
    c.says(&[
        "delete A3",
        "left",
        "create B", // the last list is as good as a survey
        "list",
        "watch B4",
        // The probe of the term before is still without an answer: one at a time.
        "LEAD 130",
    ]);
}

#[test]
fn long_after_resigning_it_looks_again_who_is_there() {
    let mut c = Story::leading();
    c.done("probe");
    c.withdraw();
    c.done("delete A3");
    c.says(&["delete A3", "left"]);
    c.at(60_010).campaign();
    c.says(&["list"]);
}

#[test]
fn no_znode_is_made_before_the_old_ones_delete_was_answered() {
    let mut c = Story::leading();
    c.withdraw();
    c.campaign(); // too early: nothing was left yet
    c.at(4_000).wake();
    c.says_besides_probes(&["delete A3"]);
    c.done("delete");
    c.says(&["left"]);
}

#[test]
fn nor_before_the_work_of_a_lost_term_has_stopped() {
    let mut c = Story::leading();
    c.deleted("A3");
    c.campaign(); // too early: the work may still be on
    c.at(4_000).wake();
    c.says(&["LOST 103: our znode was deleted"]);
    c.withdraw();
    c.says(&["left"]);
}

#[test]
fn withdrawn_before_anything() {
    let mut c = Story::new();
    c.campaign();
    c.withdraw();
    c.says(&["left"]);
}

#[test]
fn withdrawn_during_the_survey() {
    let mut c = Story::surveying();
    c.withdraw();
    c.says(&["left"]);
    c.listed("");
    c.says(&[]);
}

#[test]
fn withdrawn_while_the_parents_are_made() {
    let mut c = Story::surveying();
    c.refuse("list", Refusal::NoNode);
    c.withdraw();
    c.says(&["ensure parents", "left"]);
    c.done("ensure parents");
    c.says(&[]);
}

#[test]
fn withdrawn_while_creating_the_answer_decides() {
    let mut c = Story::creating();
    c.withdraw();
    c.says(&[]);
    c.created("A3", 103);
    c.says(&["delete A3"]);
    c.done("delete A3");
    c.says(&["left"]);
}

#[test]
fn withdrawn_while_creating_and_refused() {
    let mut c = Story::creating();
    c.withdraw();
    c.refuse("create", Refusal::NoNode);
    c.says(&["left"]);
}

#[test]
fn withdrawn_while_creating_and_never_answered() {
    let mut c = Story::creating();
    c.withdraw();
    c.lose_connection();
    c.says(&["close the session"]);
    c.session_ended(SessionEnd::Closed);
    c.says(&["left"]);
}

#[test]
fn withdrawn_while_creating_and_never_sent() {
    let mut c = Story::creating();
    c.withdraw();
    c.detach(false);
    c.says(&["left"]);
}

#[test]
fn withdrawn_while_a_lost_create_is_looked_for() {
    let mut c = Story::creating();
    c.lose_connection();
    c.attach();
    c.restored();
    c.says(&["sync"]);
    c.withdraw();
    c.says(&["close the session"]);
    c.done("sync"); // an answer on the way changes nothing
    c.says(&[]);
    c.session_ended(SessionEnd::Closed);
    c.says(&["left"]);
}

#[test]
fn withdrawn_before_the_list() {
    let mut c = Story::creating();
    c.created("A3", 103);
    c.withdraw();
    c.says(&["list", "delete A3"]);
    c.listed("A3"); // of no interest any more
    c.says(&[]);
    c.done("delete A3");
    c.says(&["left"]);
}

#[test]
fn withdrawn_while_waiting() {
    let mut c = Story::enrolled("p1", 3);
    c.withdraw();
    c.deleted("p1");
    c.done("probe");
    c.says(&["delete A3"]); // and it does not lead while it leaves
    c.done("delete");
    c.says(&["left"]);
}

#[test]
fn withdrawn_while_stopping() {
    let mut c = Story::leading();
    c.lose_connection();
    c.at(9_800).wake();
    c.says(&["STOPPING 103: no quorum answered", "LOST 103: no quorum answered"]);
    c.withdraw();
    c.attach();
    c.restored();
    c.says(&["delete A3"]);
}

#[test]
fn withdrawn_without_a_campaign_it_answers_all_the_same() {
    let mut c = Story::new();
    c.withdraw();
    c.says(&["left"]);
}

/// Nobody is left ahead, and the delete of the znode is on its way.
#[test]
fn a_znode_whose_delete_was_sent_leads_no_more() {
    let mut c = Story::enrolled("o1", 3);
    c.withdraw();
    c.says_besides_probes(&["delete A3"]);
    c.deleted("o1");
    c.says_besides_probes(&[]);
    c.done("delete A3");
    c.says_besides_probes(&["left"]);
}
