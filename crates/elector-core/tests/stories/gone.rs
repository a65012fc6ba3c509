//! Step 6 by deletion: our own znode is gone.

use elector_core::Refusal;

use crate::support::Story;

#[test]
fn deleted_while_waiting_it_enrols_anew_at_the_tail() {
    let mut c = Story::enrolled("p1", 3);
    c.skip();
    c.deleted("A3");
    c.says(&["list"]);
    c.listed("p1 q4");
    c.says(&["create B"]);
    c.created("B5", 120);
    c.listed("p1 q4 B5");
    c.done("watch");
    c.says(&["list", "watch q4 p1 B5"]);
}

#[test]
fn deleted_while_leading_the_term_is_lost_at_once() {
    let mut c = Story::leading();
    c.deleted("A3");
    c.says(&["LOST 103: our znode was deleted"]);
    assert_eq!(c.deadlines(), None);
    c.at(4_000).done("probe");
    c.says(&[]); // still until the work has stopped
    c.withdraw();
    c.says(&["left"]); // there is nothing to delete
    c.campaign();
    c.listed("");
    c.created("B4", 130);
    c.listed("B4");
    c.done("watch");
    c.says(&["list", "create B", "list", "watch B4", "probe B4", "LEAD 130"]);
}

#[test]
fn a_leader_learns_it_from_its_probe_too() {
    let mut c = Story::leading();
    c.at(1_000).wake();
    c.skip();
    c.refuse("probe", Refusal::NoNode);
    c.says(&["LOST 103: our znode was deleted"]);
}

#[test]
fn predecessor_gone_before_own_znode_gone_in_one_batch_never_leads() {
    let mut c = Story::enrolled("p1", 3);
    c.done("probe");
    c.skip();
    c.batch(|c| {
        c.deleted("p1");
        c.deleted("A3");
    });
    c.says(&["list"]);
}

#[test]
fn nor_when_both_are_told_as_watches_are_set_again() {
    let mut c = Story::enrolled("p1", 3);
    c.done("probe");
    c.lose_connection();
    c.attach();
    c.skip();
    // Each of these is a read of its own.
    c.deleted("p1");
    c.deleted("A3");
    c.restored();
    c.says(&["list"]);
}

#[test]
fn a_list_without_our_znode_means_the_same() {
    let mut c = Story::creating();
    c.created("A3", 103);
    c.listed("p1");
    c.says(&["list", "list"]);
    c.listed("p1");
    c.says(&["create B"]);
}

#[test]
fn events_of_a_former_znode_mean_nothing() {
    let mut c = Story::enrolled("p1", 3);
    c.deleted("A3");
    c.listed("p1");
    c.created("B4", 120);
    c.listed("p1 B4");
    c.done("watch");
    c.done("probe");
    c.skip();
    c.deleted("A3");
    c.deleted("A3");
    c.says(&[]);
    assert_eq!(c.candidate.own_name(), Some(c.real("B4").as_str()));
}

#[test]
fn an_answer_to_a_probe_of_the_former_znode_verifies_nothing() {
    let mut c = Story::enrolled("p1", 3);
    assert!(c.asks("probe A3"));
    c.deleted("A3");
    c.listed("");
    c.lose_connection();
    c.attach();
    c.restored();
    c.done("sync");
    c.listed("B4");
    c.node("read", 120, 0x51);
    c.listed("B4");
    c.done("watch");
    c.says_besides_probes(&["list", "create B", "sync", "list", "read B4", "list", "watch B4"]);
    c.refuse("probe B4", Refusal::NoNode);
    c.says(&["sync"]); // out again; what we sent may still come
}

#[test]
fn nor_does_it_say_that_the_next_one_is_gone() {
    let mut c = Story::enrolled("p1", 3);
    c.deleted("A3");
    c.listed("p1");
    c.created("B4", 120);
    c.listed("p1 B4");
    c.skip();
    c.refuse("probe A3", Refusal::NoNode);
    assert_eq!(c.candidate.own_name(), Some(c.real("B4").as_str()));
}

#[test]
fn second_again_it_probes_at_once() {
    let mut c = Story::enrolled("p1", 3);
    c.done("probe");
    c.deleted("A3");
    c.listed("p1");
    c.created("B4", 120);
    c.skip();
    c.listed("p1 B4");
    c.says(&["watch p1 B4", "probe B4"]);
}

/// A server that acknowledges creates and never lists them, or an operator's script, must not be answered
/// by a storm of creates.
#[test]
fn a_znode_that_vanishes_again_and_again_is_made_anew_more_slowly() {
    let mut c = Story::creating();
    for number in 1..4 {
        let own = format!("{}{number}", ["A", "B", "C"][number - 1]);
        c.created(&own, 100 + number as i64);
        c.skip();
        c.listed("");
        if number == 1 {
            c.says(&["list"]);
        } else {
            c.says(&[]);
            let pause = 100 * number as u64;
            assert_eq!(c.wakes_at(), Some(c.now + pause));
            c.at(c.now + pause).wake();
            c.says(&["list"]);
        }
        c.listed("");
        c.skip();
    }
}

#[test]
fn the_pause_before_the_next_one_does_not_grow_for_ever() {
    let mut c = Story::creating();
    for number in 0..60 {
        let stem = c.stem(char::from_u32('A' as u32 + number).unwrap()).to_owned();
        c.created(&format!("{stem}{number:010}"), 100 + i64::from(number));
        c.listed("");
        if number > 0 {
            let at = c.wakes_at().unwrap();
            assert!(at - c.now <= 5_000, "{} ms after {number}", at - c.now);
            c.at(at).wake();
        }
        c.listed("");
    }
}
