//! Steps 3 and 4: those ahead go, and we lead.

use elector_core::SessionEnd;

use crate::support::Story;

#[test]
fn second_in_line_with_a_live_deadline_leads_at_once_with_no_request() {
    let mut c = Story::enrolled("p1", 3);
    c.done("probe");
    c.answering_probes_until(20_000);
    c.skip();
    c.deleted("p1");
    c.says(&["LEAD 103", "probe A3"]); // the probe is a leader's, nothing waits for it
}

#[test]
fn second_in_line_without_a_live_deadline_probes_until_an_answer_yields_one() {
    let mut c = Story::enrolled("p1 q2", 3); // third: it does not probe, and nobody pinged for it
    c.at(30_000).deleted("q2");
    c.says(&["probe A3"]); // now second
    c.deleted("p1");
    c.says(&[]);
    c.at(30_010).done("probe"); // proves the session's first seconds only
    c.says(&[]);
    // The first probe becomes the base when it is Δ old.
    c.answering_probes_until(30_010 + 2_750 - 1);
    c.says_besides_probes(&[]);
    c.answering_probes_until(30_010 + 2_750 + 100);
    c.says_besides_probes(&["LEAD 103"]);
    let (term, safe) = c.deadlines().unwrap();
    assert_eq!((term, safe), (30_000 + 9_800, 30_000 + 9_800));
}

#[test]
fn third_in_line_that_pings_leads_on_the_first_answer() {
    let mut c = Story::enrolled("p1 q2", 3);
    for t in (1_000..30_000).step_by(933) {
        c.at(t + 5).pong(t);
    }
    c.skip();
    c.at(30_000);
    c.batch(|c| {
        c.deleted("p1");
        c.deleted("q2");
    });
    c.says(&["probe A3"]);
    c.at(30_005).done("probe");
    c.says(&["LEAD 103", "probe A3"]);
    let (term, _) = c.deadlines().unwrap();
    assert!((36_000..38_000).contains(&term), "the newest ping answered Δ before: {term}");
}

#[test]
fn an_answer_after_the_sessions_end_makes_no_leader() {
    let mut c = Story::enrolled("p1", 3);
    c.done("probe");
    // A long pause. The session ended meanwhile, but nobody has told us yet.
    c.at(60_000).batch(|c| c.deleted("p1"));
    c.says(&["probe A3"]);
    c.at(61_000).done("probe"); // it was sent before the end and answered by a quorum
    c.says(&["probe A3"]); // it proved too little
    c.at(61_010).session_ended(SessionEnd::Expired);
    c.says(&[]);
}

#[test]
fn the_znode_found_gone_by_a_probe_is_enrolled_anew() {
    let mut c = Story::enrolled("p1", 3);
    c.deleted("p1");
    c.refuse("probe", elector_core::Refusal::NoNode);
    c.says(&["LEAD 103", "LOST 103: our znode was deleted"]);
    c.withdraw();
    c.says(&["left"]);
    c.campaign();
    c.listed("");
    c.says(&["list", "create B"]);
}

#[test]
fn two_changes_at_once_in_queue_order() {
    let mut c = Story::enrolled("p1 q2", 3);
    c.batch(|c| {
        c.deleted("p1");
        c.deleted("q2");
    });
    c.says(&["probe A3", "LEAD 103"]);
}

#[test]
fn two_changes_at_once_the_nearest_first() {
    let mut c = Story::enrolled("p1 q2", 3);
    c.batch(|c| {
        c.deleted("q2");
        c.deleted("p1");
    });
    c.says(&["probe A3", "LEAD 103"]);
}

#[test]
fn the_leaders_end_alone_does_not_promote_the_third() {
    let mut c = Story::enrolled("p1 q2", 3);
    c.deleted("p1");
    c.says(&["probe A3"]); // second now, and hurries to prove itself
    c.done("probe");
    c.says(&[]);
    c.deleted("q2");
    c.says(&["LEAD 103", "probe A3"]);
}

#[test]
fn gone_before_the_watch_is_answered() {
    let mut c = Story::creating();
    c.created("A3", 7);
    c.listed("p1 A3");
    c.skip();
    c.batch(|c| {
        c.deleted("p1"); // setWatches tells it before its reply
        c.done("watch");
    });
    c.says(&["LEAD 7"]);
}

#[test]
fn told_twice_it_counts_once() {
    let mut c = Story::enrolled("p1 q2 r3", 4);
    c.deleted("r3");
    c.says(&["list"]);
    c.deleted("r3");
    c.deleted("r3");
    c.says(&[]);
    assert_eq!(c.candidate.position(), Some((2, 3)));
}

#[test]
fn where_there_were_others_ahead_of_the_two_nearest_it_lists_and_watches_the_new_second() {
    let mut c = Story::enrolled("o1 p2 q3 r4", 5);
    c.deleted("q3");
    c.says(&["list"]);
    c.deleted("r4"); // told of while the list is still under way
    c.says(&[]);
    c.listed("o1 p2 A5");
    c.says(&["watch p2 o1"]);
    c.done("watch");
    c.deleted("o1"); // now it knows them all
    c.says(&["probe A5"]);
}

#[test]
fn a_predecessor_that_writes_its_data_is_watched_again() {
    let mut c = Story::enrolled("p1", 3);
    c.touched("p1");
    c.says(&["watch p1"]);
    c.deleted("p1");
    c.says(&["LEAD 103"]);
}

#[test]
fn a_write_to_our_own_znode_uses_up_its_watch_and_no_more() {
    let mut c = Story::enrolled("p1", 3);
    c.touched("A3");
    c.says(&["watch A3"]);
    c.deleted("p1");
    c.says(&[]); // not before somebody would tell us of our own end
    c.done("watch");
    c.says(&["LEAD 103"]);
    c.touched("A3");
    c.says(&["watch A3"]); // and a leader goes on leading
    assert!(c.deadlines().is_some());
}

/// Whoever joined a long queue finds at its head, with one list, that all the others are gone.
#[test]
fn an_answer_to_the_watch_before_that_write_sets_nothing() {
    let mut c = Story::creating();
    c.created("A3", 103);
    c.listed("A3");
    c.touched("A3");
    c.skip();
    c.done("watch");
    c.says(&[]);
    c.done("watch");
    c.says(&["LEAD 103"]);
}

#[test]
fn far_behind_it_lists_once_before_it_could_believe_itself_second() {
    let ahead: Vec<String> = (1..=10).map(|n| format!("p{n}")).collect();
    let mut c = Story::enrolled(&ahead.join(" "), 11);
    assert_eq!(c.candidate.position(), Some((10, 11)));
    for n in 1..=8 {
        c.deleted(&format!("p{n}")); // nobody tells it of these, and it would not matter
    }
    c.says(&[]);
    c.deleted("p9");
    c.says(&["list"]);
    c.deleted("p10");
    c.says(&[]); // nobody known is ahead, but nobody said that these were all
    c.listed("p10 A11");
    c.says(&["watch p10", "probe A11"]);
    c.done("probe");
    c.deleted("p10");
    c.says(&["LEAD 111", "probe A11"]);
}

#[test]
fn a_list_that_shows_one_already_known_gone_only_delays() {
    let ahead: Vec<String> = (1..=9).map(|n| format!("p{n}")).collect();
    let mut c = Story::enrolled(&ahead.join(" "), 11);
    for n in 2..=9 {
        c.deleted(&format!("p{n}"));
    }
    c.skip();
    c.listed("p2 A11"); // from a server that lags
    c.says(&["watch p2", "probe A11"]);
    c.batch(|c| {
        c.deleted("p2");
        c.done("watch");
    });
    c.says(&["LEAD 111"]);
}
