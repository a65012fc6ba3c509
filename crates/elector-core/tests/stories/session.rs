//! Step 6 by the session's end: expired, replaced, credentials refused.

use elector_core::SessionEnd;

use crate::support::Story;

#[test]
fn expired_while_waiting_it_enrols_anew_on_the_next_session() {
    let mut c = Story::enrolled("p1", 3);
    c.skip();
    c.session_ended(SessionEnd::Expired);
    c.says(&[]);
    c.new_session(0x52);
    c.says(&["list"]);
    c.listed("p1 A3"); // the old one may still be listed: it is nobody's of ours
    c.says(&["create B"]);
    c.created("B4", 120);
    c.listed("p1 A3 B4");
    c.says(&["list", "watch A3 p1 B4", "read A3"]);
}

#[test]
fn expired_while_leading_the_term_is_lost_at_once() {
    let mut c = Story::leading();
    c.at(4_000).session_ended(SessionEnd::Expired);
    c.says(&["LOST 103: session expired"]);
    assert_eq!(c.deadlines(), None);
    c.withdraw();
    c.says(&["left"]);
}

#[test]
fn until_the_work_has_stopped_the_next_session_is_left_alone() {
    let mut c = Story::leading();
    c.session_ended(SessionEnd::Expired);
    c.skip();
    c.new_session(0x52);
    c.at(1_000).wake();
    c.says(&[]);
    c.withdraw();
    c.campaign();
    c.says(&["left", "list"]);
}

#[test]
fn another_session_in_the_answer_ends_ours() {
    let mut c = Story::leading();
    c.lose_connection();
    c.session = 0x99;
    c.attach();
    c.says(&["LOST 103: session replaced by another"]);
    assert_eq!(c.deadlines(), None);
}

#[test]
fn another_session_while_waiting_means_a_new_znode() {
    let mut c = Story::enrolled("p1", 3);
    c.skip();
    c.lose_connection();
    c.new_session(0x99);
    c.says(&["list"]);
    c.listed("p1");
    c.says(&["create B"]);
}

#[test]
fn proofs_of_the_old_session_count_nothing_in_the_new_one() {
    let mut c = Story::enrolled("p1", 3);
    c.done("probe");
    c.answering_probes_until(20_000);
    c.session_ended(SessionEnd::Expired);
    c.new_session(0x52);
    c.listed("");
    c.skip();
    c.at(29_790).created("B4", 120); // base: the ConnectRequest at 20.000
    c.listed("B4");
    c.at(29_810);
    c.batch(|c| c.done("watch"));
    c.says(&["list", "watch B4", "probe B4"]); // too late for that lease
}

#[test]
fn refused_credentials_are_final() {
    let mut c = Story::enrolled("p1", 3);
    c.skip();
    c.session_ended(SessionEnd::AuthFailed);
    c.says(&["FAIL: the servers refused the credentials", "left"]);
    c.new_session(0x52);
    c.says(&[]);
}

#[test]
fn refused_credentials_end_a_term_at_once() {
    let mut c = Story::leading();
    c.session_ended(SessionEnd::AuthFailed);
    c.says(&["LOST 103: credentials refused", "FAIL: the servers refused the credentials"]);
    c.withdraw();
    c.says(&["left"]);
}
