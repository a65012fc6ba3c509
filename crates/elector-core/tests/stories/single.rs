//! The election of one znode. Each story hears every line, so none hears a delete.

use elector_core::{Answer, Layout, Margins, OnDisconnect, Refusal, SessionEnd};

use crate::support::Story;

const OURS: i64 = 0x51;
const THEIRS: i64 = 0x77;

fn looking() -> Story {
    let mut c = Story::with(Layout::Single, Margins::default(), OnDisconnect::Hold);
    c.campaign();
    c.attach();
    c.restored();
    c.says(&["read the znode watching"]);
    c
}

fn creating() -> Story {
    let mut c = looking();
    c.refuse("read", Refusal::NoNode);
    c.at(c.now + 20).wake(); // a little jitter, so that not all of those who look collide
    c.says(&["create the znode"]);
    c
}

/// Leading since 30 ms with token 7.
fn leading() -> Story {
    let mut c = creating();
    c.reply("create", Ok(Answer::Created { name: String::new(), czxid: 7, owner: OURS }));
    c.says(&["read the znode watching", "probe the znode"]);
    c.node("read", 7, OURS);
    c.says(&["LEAD 7"]);
    c.done("probe");
    c.says(&["probe the znode"]);
    c.done("probe");
    c.says(&[]);
    c
}

fn waiting() -> Story {
    let mut c = looking();
    c.node("read", 6, THEIRS);
    c.says(&[]);
    c
}

#[test]
fn alone_it_creates_and_leads_with_the_creation_zxid() {
    let c = leading();
    assert_eq!(c.candidate.own_name(), Some(""));
    assert_eq!(c.candidate.position(), Some((0, 1)));
    assert_eq!(c.deadlines(), Some((9_800, 9_800)));
}

#[test]
fn it_does_not_lead_before_owner_and_watch_are_read() {
    let mut c = creating();
    c.reply("create", Ok(Answer::Created { name: String::new(), czxid: 7, owner: OURS }));
    c.done("probe");
    c.says(&["read the znode watching", "probe the znode"]);
    c.node("read", 7, OURS);
    c.says(&["LEAD 7", "probe the znode"]);
}

#[test]
fn anothers_znode_is_waited_for_without_a_probe() {
    let mut c = waiting();
    assert_eq!(c.candidate.nearest_ahead(), Some(""));
    assert_eq!(c.candidate.position(), Some((1, 2)));
    c.at(8_000).wake();
    c.says(&[]);
}

#[test]
fn gone_it_creates_at_once() {
    let mut c = waiting();
    c.at(5_000).deleted("");
    c.says(&["create the znode"]);
}

#[test]
fn whoever_was_slower_waits_again() {
    let mut c = waiting();
    c.deleted("");
    c.refuse("create", Refusal::NodeExists);
    c.says(&["create the znode", "read the znode watching"]);
    c.node("read", 9, THEIRS);
    c.says(&[]);
    c.deleted("");
    c.says(&["create the znode"]);
}

#[test]
fn a_write_by_the_other_is_looked_at_and_watched_again() {
    let mut c = waiting();
    c.touched("");
    c.says(&["read the znode watching"]);
}

#[test]
fn node_exists_that_we_own_is_the_lost_reply() {
    let mut c = creating();
    c.lose_connection();
    c.attach();
    c.restored();
    c.says(&["sync", "read the znode watching"]);
    c.done("sync");
    c.refuse("read", Refusal::NoNode); // a server that lags
    c.at(c.now + 20).wake();
    c.refuse("create", Refusal::NodeExists);
    c.says(&["create the znode", "read the znode watching"]);
    c.node("read", 7, OURS);
    c.says(&["probe the znode"]); // found by looking: not verified yet
    c.done("probe");
    c.says(&["LEAD 7", "probe the znode"]);
}

#[test]
fn a_lost_reply_is_recognised_by_the_first_read_too() {
    let mut c = creating();
    c.lose_connection();
    c.attach();
    c.restored();
    c.done("sync");
    c.node("read", 7, OURS);
    c.done("probe");
    c.says(&["sync", "read the znode watching", "probe the znode", "LEAD 7", "probe the znode"]);
}

#[test]
fn after_a_reconnect_a_read_confirms_that_it_is_ours() {
    let mut c = leading();
    c.lose_connection();
    c.at(2_000).attach();
    c.restored();
    c.says(&["read the znode watching", "probe the znode"]);
    c.node("read", 7, OURS);
    c.done("probe");
    c.says(&[]);
    assert_eq!(c.deadlines(), Some((11_800, 11_800)));
}

#[test]
fn found_to_be_anothers_after_a_reconnect_the_term_is_lost() {
    let mut c = leading();
    c.lose_connection();
    c.attach();
    c.restored();
    c.done("probe"); // passes on anybody's znode
    c.node("read", 12, THEIRS);
    c.says(&["read the znode watching", "probe the znode", "LOST 7: our znode was deleted"]);
}

#[test]
fn found_to_be_another_znode_of_our_own_the_term_is_lost() {
    let mut c = leading();
    c.touched("");
    c.node("read", 12, OURS); // a late create of ours, after the first one was deleted
    c.says(&["read the znode watching", "LOST 7: our znode was deleted"]);
}

#[test]
fn a_write_to_our_znode_is_followed_by_a_read() {
    let mut c = leading();
    c.touched("");
    c.says(&["read the znode watching"]);
    c.node("read", 7, OURS);
    c.says(&[]);
    assert!(c.deadlines().is_some());
}

#[test]
fn deleted_by_an_operator_the_term_is_lost_and_it_rests_before_it_enrols() {
    let mut c = leading();
    c.at(1_000).deleted("");
    c.says(&["LOST 7: our znode was deleted"]);
    c.withdraw();
    c.says(&["close the session"]);
    c.session_ended(SessionEnd::Closed);
    c.says(&["left"]);
    c.campaign();
    c.new_session(0x52);
    c.refuse("read", Refusal::NoNode);
    c.says(&["read the znode watching"]);
    assert_eq!(c.wakes_at(), Some(6_000), "the others get their turn: T/2");
    c.at(6_000).wake();
    c.says(&["create the znode"]);
}

#[test]
fn resigning_closes_the_session_and_rests() {
    let mut c = leading();
    c.at(1_000).withdraw();
    c.says(&["close the session"]);
    assert_eq!(c.deadlines(), None);
    c.session_ended(SessionEnd::Closed);
    c.says(&["left"]);
    c.campaign();
    c.new_session(0x52);
    c.refuse("read", Refusal::NoNode);
    c.says(&["read the znode watching"]);
    assert_eq!(c.wakes_at(), Some(6_000));
    c.at(6_000).wake();
    c.says(&["create the znode"]);
}

#[test]
fn the_rest_ends_when_somebody_elses_znode_was_seen() {
    let mut c = leading();
    c.withdraw();
    c.session_ended(SessionEnd::Closed);
    c.campaign();
    c.new_session(0x52);
    c.skip();
    c.node("read", 9, THEIRS);
    c.at(500).deleted("");
    c.says(&["create the znode"]);
}

#[test]
fn withdrawn_while_waiting_nothing_needs_closing() {
    let mut c = waiting();
    c.withdraw();
    c.says(&["left"]);
}

#[test]
fn withdrawn_while_a_create_is_unanswered_the_session_is_closed() {
    let mut c = creating();
    c.withdraw();
    c.says(&["close the session"]);
    c.session_ended(SessionEnd::Closed);
    c.says(&["left"]);
}

#[test]
fn withdrawn_after_a_create_was_lost_the_session_is_closed() {
    let mut c = creating();
    c.lose_connection();
    c.withdraw();
    c.says(&["close the session"]);
    c.session_ended(SessionEnd::Expired);
    c.says(&["left"]);
}

#[test]
fn expired_while_leading_it_is_lost_and_never_deletes() {
    let mut c = leading();
    c.at(1_000).session_ended(SessionEnd::Expired);
    c.says(&["LOST 7: session expired"]);
    c.new_session(0x52);
    c.withdraw();
    c.says(&["left"]);
}

#[test]
fn a_persistent_path_is_refused() {
    let mut c = looking();
    c.node("read", 3, 0);
    c.says(&[
        "FAIL: the election path is a persistent znode, which layout single cannot use: \
         name a path below it; for the contenders under it use --layout latch",
        "left",
    ]);
}

#[test]
fn missing_parents_are_made() {
    let mut c = creating();
    c.refuse("create", Refusal::NoNode);
    c.says(&["ensure parents"]);
    c.done("ensure parents");
    c.says(&["create the znode"]);
}

#[test]
fn too_late_it_stops_and_leaves_by_closing_the_session() {
    let mut c = leading();
    c.lose_connection();
    c.at(9_800).wake();
    c.says(&["STOPPING 7: no quorum answered", "LOST 7: no quorum answered"]);
    c.withdraw();
    c.says(&["close the session"]);
}

#[test]
fn everybody_who_waits_pings_at_the_probes_period() {
    let c = waiting();
    let pace = c.candidate.pace(crate::support::moment(c.now));
    assert_eq!(pace.ping_every, Some(c.candidate.timing().probe_every));
    assert_eq!(pace.hurry_until, None);
}

/// E27: the znode went while its read was under way, and the answer is older than that. The watch that came with the
/// read is used up by then, so whoever believed the answer would wait for nobody, or lead unwatched.
#[test]
fn an_answer_that_may_be_older_than_an_event_is_asked_for_again() {
    let mut c = looking();
    c.deleted("");
    c.node("read", 6, THEIRS);
    c.says(&["read the znode watching"]);
    c.refuse("read", Refusal::NoNode);
    c.at(c.now + 20).wake();
    c.says(&["create the znode"]);
}

/// The same of the leader's own znode.
#[test]
fn such_an_answer_confirms_nothing_of_our_own_znode() {
    let mut c = creating();
    c.reply("create", Ok(Answer::Created { name: String::new(), czxid: 7, owner: OURS }));
    c.says(&["read the znode watching", "probe the znode"]);
    c.touched("");
    c.node("read", 7, OURS);
    c.says(&["read the znode watching"]);
    c.node("read", 7, OURS);
    c.says(&["LEAD 7"]);
}

#[test]
fn found_gone_by_a_read_or_by_a_probe_the_term_is_lost() {
    let mut c = leading();
    c.touched("");
    c.refuse("read", Refusal::NoNode);
    c.says(&["read the znode watching", "LOST 7: our znode was deleted"]);
    assert_eq!(c.candidate.own_name(), None);

    let mut c = leading();
    c.at(1_000).wake();
    c.refuse("probe", Refusal::NoNode);
    c.says(&["probe the znode", "LOST 7: our znode was deleted"]);
    assert_eq!(c.candidate.own_name(), None);
}

#[test]
fn gone_before_it_led_the_others_get_their_turn() {
    let mut c = creating();
    c.reply("create", Ok(Answer::Created { name: String::new(), czxid: 7, owner: OURS }));
    c.done("probe");
    c.at(1_000).deleted("");
    c.refuse("read", Refusal::NoNode); // asked before the event: it may be older
    c.skip();
    c.refuse("read", Refusal::NoNode);
    assert_eq!(c.wakes_at(), Some(6_000), "T/2");
}

/// Read again after a reconnect our znode may be one of yesterday: the server that was asked may lag.
#[test]
fn a_create_of_another_connection_verifies_nothing_on_this_one() {
    let mut c = creating();
    c.reply("create", Ok(Answer::Created { name: String::new(), czxid: 7, owner: OURS }));
    c.says(&["read the znode watching", "probe the znode"]);
    c.lose_connection();
    c.attach();
    c.restored();
    c.says(&["read the znode watching", "probe the znode"]);
    c.node("read", 7, OURS);
    c.says(&[]);
    c.done("probe");
    c.says(&["LEAD 7", "probe the znode"]);
}

#[test]
fn after_a_reconnect_whoever_waits_looks_again() {
    let mut c = waiting();
    c.lose_connection();
    c.attach();
    c.restored();
    c.says(&["read the znode watching"]);
}

#[test]
fn a_session_that_ends_takes_the_znode_with_it() {
    let mut c = leading();
    c.session_ended(SessionEnd::Expired);
    assert_eq!(c.candidate.own_name(), None);
    c.withdraw();
    c.campaign();
    c.skip();
    c.new_session(0x52);
    c.says(&["read the znode watching"]);
}

#[test]
fn only_who_held_the_znode_rests_after_its_session() {
    let mut c = waiting();
    c.at(1_000).session_ended(SessionEnd::Expired);
    c.new_session(0x52);
    c.refuse("read", Refusal::NoNode);
    assert_eq!(c.wakes_at(), Some(c.now + 20));
}

#[test]
fn a_rest_that_ended_does_not_come_back() {
    let mut c = leading();
    c.withdraw();
    c.session_ended(SessionEnd::Closed);
    c.campaign();
    c.new_session(0x52);
    c.node("read", 9, THEIRS);
    c.touched("");
    c.refuse("read", Refusal::NoNode);
    assert_eq!(c.wakes_at(), Some(c.now + 20));
}

/// E19.
#[test]
fn a_term_with_a_lower_token_than_an_earlier_one_is_refused() {
    let mut c = leading();
    c.withdraw();
    c.session_ended(SessionEnd::Closed);
    c.campaign();
    c.new_session(0x52);
    c.refuse("read", Refusal::NoNode);
    let rested = c.wakes_at().unwrap();
    c.at(rested).wake();
    c.skip();
    c.reply("create", Ok(Answer::Created { name: String::new(), czxid: 7, owner: 0x52 }));
    c.says(&[
        "FAIL: the ensemble's data went back: a term had token 7, and a new znode would give 7; tokens would not rise",
        "close the session",
    ]);
}

#[test]
fn a_code_by_which_a_server_speaks_of_itself_tells_nothing_of_the_create() {
    for code in [-4, -7, -127] {
        let mut c = creating();
        c.refuse("create", Refusal::Code(code));
        c.says(&["give up the connection"]);
        c.lose_connection();
        c.attach();
        c.restored();
        c.says(&["sync", "read the znode watching"]);
        c.withdraw();
        c.says(&["close the session"]);
    }
}

#[test]
fn a_sync_of_what_is_not_there_is_good_enough() {
    let mut c = creating();
    c.lose_connection();
    c.attach();
    c.restored();
    c.skip();
    c.refuse("sync", Refusal::NoNode);
    c.says(&[]);
}

#[test]
fn no_permission_is_told_whatever_was_asked() {
    let lost = || {
        let mut c = creating();
        c.lose_connection();
        c.attach();
        c.restored();
        c
    };
    let parents = || {
        let mut c = creating();
        c.refuse("create", Refusal::NoNode);
        c
    };
    let asked = [
        (looking(), "read", "read the election's znode"),
        (creating(), "create", "create the election's znode"),
        (parents(), "ensure parents", "create the election's parents"),
        (lost(), "sync", "sync the election path"),
    ];
    for (mut c, request, action) in asked {
        c.skip();
        c.refuse(request, Refusal::NoAuth);
        let end = if request == "sync" { "close the session" } else { "left" };
        c.says(&[&format!("FAIL: no permission to {action}"), end]);
    }
    let mut c = leading();
    c.at(1_000).wake();
    c.skip();
    c.refuse("probe", Refusal::NoAuth);
    c.says(&["LOST 7: the server refused", "FAIL: no permission to check the election's znode"]);
}

#[test]
fn a_waiting_one_whose_session_is_shared_takes_another() {
    let mut c = waiting();
    for at in [1_000, 2_000, 3_000] {
        c.at(at).detach(true);
        c.skip();
        c.attach_again(true);
    }
    c.says(&[
        "warn: somebody else uses our session: its connection was taken over three times within the session timeout",
        "close the session",
    ]);
}

#[test]
fn the_leader_asks_to_be_woken_for_its_probes() {
    let mut c = leading();
    c.answering_probes_until(60_000);
    let (term, _) = c.deadlines().unwrap();
    assert!(term > 60_000 + 5_000, "{term}");
}
