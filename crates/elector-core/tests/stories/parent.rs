//! The election path is not there, or goes away.

use elector_core::Refusal;

use crate::support::Story;

#[test]
fn missing_at_the_survey_it_is_made() {
    let mut c = Story::surveying();
    c.refuse("list", Refusal::NoNode);
    c.says(&["ensure parents"]);
    c.done("ensure parents");
    c.says(&["list"]);
    c.listed("");
    c.says(&["create A"]);
}

#[test]
fn gone_between_survey_and_create_it_is_made_again() {
    let mut c = Story::creating();
    c.refuse("create", Refusal::NoNode);
    c.says(&["ensure parents"]);
    c.done("ensure parents");
    c.listed("");
    c.says(&["list", "create B"]); // never the same guid again
}

#[test]
fn gone_with_everything_below_we_are_out_and_enrol_anew() {
    let mut c = Story::enrolled("p1", 3);
    c.batch(|c| {
        c.deleted("p1");
        c.deleted("A3");
    });
    c.says(&["list"]);
    c.refuse("list", Refusal::NoNode);
    c.says(&["ensure parents"]);
}

#[test]
fn a_list_of_no_parent_means_that_our_znode_is_gone() {
    let mut c = Story::creating();
    c.created("A3", 7);
    c.refuse("list", Refusal::NoNode);
    c.says(&["list", "list"]); // the second one is the survey
    c.refuse("list", Refusal::NoNode);
    c.says(&["ensure parents"]);
}

#[test]
fn asked_again_when_the_connection_was_lost_meanwhile() {
    let mut c = Story::surveying();
    c.refuse("list", Refusal::NoNode);
    c.lose_connection();
    c.attach();
    c.restored();
    c.says(&["ensure parents", "ensure parents"]);
}
