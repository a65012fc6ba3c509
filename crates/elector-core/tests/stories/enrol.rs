//! Steps 1, 2 and 4 of an undisturbed election: enrol, find one's place, lead.

use elector_core::{Layout, Margins, OnDisconnect, Refusal, SessionEnd};

use crate::support::Story;

#[test]
fn alone_it_enrols_and_leads_with_the_creation_zxid() {
    let mut c = Story::new();
    c.campaign();
    c.says(&[]); // no session yet
    c.attach();
    c.says(&[]); // credentials and watches first
    c.restored();
    c.says(&["list"]); // who is there?
    c.listed("");
    c.says(&["create A"]);
    c.created("A3", 7);
    c.says(&["list", "watch A3"]); // nobody was there, so there will be nothing else to watch
    c.listed("A3");
    c.says(&["probe A3"]);
    c.done("watch");
    c.says(&["LEAD 7"]); // the create's own acknowledgement proved it
    c.at(40).done("probe");
    c.says(&["probe A3"]); // the new leader's first probe goes at once
    assert_eq!(c.candidate.own_name(), Some(c.real("A3").as_str()));
    assert_eq!(c.candidate.position(), Some((0, 1)));
}

#[test]
fn not_alone_after_all_it_watches_those_ahead_as_well() {
    let mut c = Story::surveying();
    c.listed("");
    c.created("A3", 7);
    c.says(&["create A", "list", "watch A3"]);
    assert!(c.told_first().is_empty());
    c.listed("p1 A3"); // it came between the survey and our create
    c.says(&["watch p1", "probe A3"]);
    assert_eq!(c.told_first(), ["p1"]);
    c.done("watch A3");
    c.done("watch p1");
    c.done("probe");
    c.says(&[]);
    c.deleted("p1");
    c.says(&["LEAD 7", "probe A3"]);
}

#[test]
fn it_creates_under_the_names_that_its_family_gives() {
    for (layout, before, length, after) in [
        (Layout::Latch, "_c_", 36, "-latch-"),
        (Layout::Lock, "_c_", 36, "-lock-"),
        (Layout::Kazoo, "", 32, "__lock__"),
    ] {
        let mut c = Story::with(layout, Margins::default(), OnDisconnect::Hold);
        c.campaign();
        c.attach();
        c.restored();
        c.listed("");
        let guid = c.stem('A').strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        assert_eq!(guid.map(str::len), Some(length), "{layout}: {}", c.stem('A'));
    }
}

#[test]
fn behind_one_it_watches_that_one_and_proves_itself_at_once() {
    let mut c = Story::creating();
    c.created("A3", 7);
    c.listed("p1 notes A3");
    c.says(&["list", "watch p1 A3", "probe A3"]);
    c.done("watch");
    c.done("probe");
    c.says(&[]);
    assert_eq!(c.candidate.position(), Some((1, 2)));
    assert_eq!(c.candidate.nearest_ahead(), Some(c.real("p1").as_str()));
    assert_eq!(c.deadlines(), None);
}

#[test]
fn behind_many_it_watches_the_two_nearest_and_spends_no_zxid() {
    let mut c = Story::creating();
    c.created("A9", 7);
    c.listed("A9 p1 q5 r2");
    c.says(&["list", "watch q5 r2 A9"]);
    assert_eq!(c.told_first(), ["q5"], "those further behind and the owner can wait");
    c.done("watch");
    c.at(9_000).wake();
    c.says(&[]);
    assert_eq!(c.candidate.position(), Some((3, 4)));
}

#[test]
fn those_behind_it_do_not_matter() {
    let mut c = Story::creating();
    c.created("A3", 7);
    c.listed("q5 A3 p4");
    c.done("watch");
    c.says(&["list", "watch A3", "probe A3", "LEAD 7"]);
}

#[test]
fn it_decides_only_when_the_whole_batch_is_read() {
    let mut c = Story::creating();
    c.created("A3", 7);
    c.listed("A3");
    c.skip();
    c.batch(|c| {
        c.done("watch");
        c.says(&[]);
    });
    c.says(&["LEAD 7"]);
}

#[test]
fn it_does_not_lead_before_its_own_watch_is_set() {
    let mut c = Story::creating();
    c.created("A3", 7);
    c.listed("A3");
    c.at(20).done("probe");
    c.says(&["list", "watch A3", "probe A3"]);
    c.done("watch");
    c.says(&["LEAD 7", "probe A3"]);
}

#[test]
fn without_a_campaign_it_only_listens() {
    let mut c = Story::new();
    c.attach();
    c.restored();
    c.at(60_000).wake();
    c.says(&[]);
    c.campaign();
    c.says(&["list"]);
}

/// E19: the ensemble was restored from a backup, and its numbers with it.
#[test]
fn a_term_with_a_lower_token_than_an_earlier_one_is_refused() {
    let mut c = Story::leading();
    c.session_ended(SessionEnd::Expired);
    c.withdraw();
    c.campaign();
    c.skip();
    c.new_session(0x52);
    c.listed("");
    c.at(50).created("B1", 90);
    c.says(&[
        "list",
        "create B",
        "FAIL: the ensemble's data went back: a term had token 103, and a new znode would give 90; tokens would not rise",
        "close the session",
    ]);
}

/// Servers tell nobody of a znode's end who may not read it: who waited for that would wait for ever.
#[test]
fn who_may_not_read_the_one_ahead_is_told_so() {
    let mut c = Story::creating();
    c.shows_look_ahead = true;
    c.created("A3", 7);
    c.listed("p1 A3");
    c.says(&["list", "watch p1 A3", "probe A3", "read p1"]);
    c.refuse("read", Refusal::NoAuth);
    c.says(&["FAIL: no permission to read the contender ahead", "delete A3"]);
}
