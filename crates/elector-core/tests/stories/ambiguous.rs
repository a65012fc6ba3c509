//! The connection was lost before the answer to a create: it may have happened, or still happen.

use elector_core::{Refusal, SessionEnd};

use crate::support::Story;

/// Our create went out, then the connection died; now there is a new one.
fn reattached() -> Story {
    let mut c = Story::creating();
    c.at(500).lose_connection();
    c.attach();
    c.says(&[]); // nothing before the session is restored
    c.restored();
    c.says(&["sync"]);
    c.done("sync");
    c.says(&["list"]);
    c
}

/// The first create was not found, and the second one worked; the session stays suspect.
fn enrolled_again() -> Story {
    let mut c = reattached();
    c.listed("p1");
    c.created("B5", 9);
    c.listed("p1 B5");
    c.done("watch");
    c.done("probe");
    c.says(&["create B", "list", "watch p1 B5", "probe B5"]);
    c
}

#[test]
fn found_it_is_taken_over_and_verified_by_a_probe() {
    let mut c = reattached();
    c.listed("A3");
    c.says(&["read A3"]); // whose is it?
    c.node("read", 7, 0x51);
    c.says(&["list", "watch A3"]);
    c.listed("A3");
    c.says(&["probe A3"]);
    c.done("watch");
    c.says(&[]); // found by looking: not verified yet
    c.done("probe");
    c.says(&["LEAD 7", "probe A3"]);
}

#[test]
fn not_found_it_is_created_again_under_a_fresh_guid() {
    let mut c = reattached();
    c.listed("p1");
    c.says(&["create B"]);
    assert_ne!(c.stem('A'), c.stem('B'));
}

#[test]
fn a_create_that_never_went_out_is_not_ambiguous() {
    let mut c = Story::creating();
    c.detach(false);
    c.attach();
    c.restored();
    c.says(&["list"]); // no sync
    c.listed("");
    c.says(&["create B"]); // a guid is never used twice, all the same
    c.created("B1", 7);
    c.listed("B1");
    c.skip();
    c.withdraw();
    c.says(&["delete B1"]); // and the session is not suspect
}

#[test]
fn every_further_loss_means_one_more_guid() {
    let mut c = reattached();
    c.listed("");
    c.says(&["create B"]);
    c.lose_connection();
    c.attach();
    c.restored();
    c.done("sync");
    c.listed("");
    c.says(&["sync", "list", "create C"]);
    assert!(c.stem('C') != c.stem('A') && c.stem('C') != c.stem('B'));
}

#[test]
fn a_late_duplicate_behind_us_is_removed_by_the_audit() {
    let mut c = enrolled_again();
    c.at(5_600).wake(); // audits are frequent while something may still come
    assert!(c.asks("audit"));
    c.skip();
    c.listed("p1 B5 A6");
    c.says(&["delete A6"]);
    c.done("delete A6");
    c.says(&[]);
    assert_eq!(c.candidate.position(), Some((1, 2)));
    assert_eq!(c.candidate.own_name(), Some(c.real("B5").as_str()));
}

#[test]
fn a_duplicate_ahead_of_us_becomes_ours_and_the_other_is_removed() {
    let mut c = reattached();
    c.listed("p1");
    c.created("B5", 9);
    c.skip();
    c.listed("p1 A4 B5");
    c.says(&["read A4"]);
    c.node("read", 8, 0x51);
    c.says(&["list"]);
    c.listed("p1 A4 B5");
    c.says(&["delete B5", "watch p1 A4", "probe A4"]);
    assert_eq!(c.candidate.own_name(), Some(c.real("A4").as_str()));
}

#[test]
fn no_term_begins_while_a_duplicate_of_ours_is_there() {
    let mut c = reattached();
    c.listed("");
    c.created("B5", 9);
    c.listed("A4 B5");
    c.node("read", 8, 0x51);
    c.listed("A4 B5");
    c.done("watch B5");
    c.done("watch A4");
    c.done("probe");
    c.skip();
    c.says(&[]);
    c.done("delete B5");
    c.says(&["LEAD 8", "probe A4"]);
}

#[test]
fn a_removal_that_was_not_answered_is_asked_again() {
    let mut c = enrolled_again();
    c.at(5_600).wake();
    c.listed("p1 B5 A6");
    c.skip();
    c.lose_connection();
    c.attach();
    c.restored();
    assert!(c.asks("delete A6"));
}

/// Found by the exhaustive search: the delete arrived late, under the term of the znode that it named.
#[test]
fn a_duplicate_whose_delete_was_sent_is_never_made_ours() {
    let mut c = enrolled_again();
    c.at(5_600).wake();
    c.skip();
    c.listed("p1 B5 A6");
    c.says(&["delete A6"]);
    c.deleted("B5"); // an operator's doing
    c.lose_connection();
    c.attach();
    c.restored();
    c.done("sync");
    c.skip();
    c.listed("p1 A6");
    c.says(&["close the session"]);
    c.session_ended(SessionEnd::Closed);
    c.new_session(0x52);
    c.says(&["list"]);
}

#[test]
fn a_znode_with_our_guid_that_another_session_owns_is_not_ours() {
    let mut c = reattached();
    c.listed("A3");
    c.node("read A3", 7, 0x52);
    c.says(&["read A3", "list"]);
    c.listed("A3");
    c.says(&["create B"]);
    c.created("B4", 8);
    c.listed("A3 B4");
    c.says(&["list", "watch A3 B4", "probe B4", "read A3"]); // a contender like any other
}

#[test]
fn a_create_answered_for_another_session_is_not_believed() {
    let mut c = Story::creating();
    let name = c.real("A3");
    c.reply("create", Ok(elector_core::Answer::Created { name, czxid: 7, owner: 0x99 }));
    c.says(&["close the session"]);
    c.session_ended(SessionEnd::Closed);
    c.new_session(0x52);
    c.says(&["list"]);
}

#[test]
fn leaving_closes_the_session_because_something_may_still_come() {
    let mut c = enrolled_again();
    c.withdraw();
    c.says(&["close the session"]);
    c.session_ended(SessionEnd::Closed);
    c.says(&["left"]);
}

#[test]
fn a_new_session_is_not_suspect_any_more() {
    let mut c = enrolled_again();
    c.session_ended(SessionEnd::Expired);
    c.new_session(0x52);
    c.listed("");
    c.created("C7", 20);
    c.skip();
    c.withdraw();
    c.says(&["delete C7"]);
}

#[test]
fn a_code_by_which_a_server_speaks_of_itself_tells_nothing_of_the_create() {
    for code in [-4, -7, -127] {
        let mut c = Story::creating();
        c.refuse("create", Refusal::Code(code));
        c.says(&["give up the connection"]);
        c.lose_connection();
        c.attach();
        c.restored();
        c.says(&["sync"]);
        c.withdraw();
        c.says(&["close the session"]);
    }
}

#[test]
fn such_a_code_to_a_probe_proves_no_quorum() {
    let mut c = Story::leading();
    let before = c.deadlines();
    // An acknowledgement would make this connection's beginning the base.
    c.at(3_000).lose_connection();
    c.attach();
    c.restored();
    c.skip();
    c.refuse("probe", Refusal::Code(-7));
    assert_eq!(c.deadlines(), before);
    c.says(&["give up the connection"]);
}

#[test]
fn a_znode_with_our_guid_that_is_gone_when_it_is_read_is_not_waited_for() {
    let mut c = reattached();
    c.listed("p1 A4");
    c.says(&["read A4"]);
    c.refuse("read", Refusal::NoNode);
    c.says(&["list"]);
    c.listed("p1");
    c.says(&["create B"]);
}

#[test]
fn a_duplicate_that_may_not_be_deleted_goes_with_the_session_and_is_not_asked_for_again() {
    let mut c = enrolled_again();
    c.deleted("p1");
    c.answering_probes_until(6_000);
    c.skip();
    c.listed("B5 A6");
    c.says(&["delete A6"]);
    c.refuse("delete A6", Refusal::NoAuth);
    c.says(&[]); // we lead: the session is needed
    c.withdraw();
    c.says(&["close the session"]);
}
