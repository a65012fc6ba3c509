//! What no retry mends is told once, and nothing is left behind.

use elector_core::{Refusal, SessionEnd};

use crate::support::Story;

#[test]
fn a_foreign_family_is_refused_and_the_fitting_layout_named() {
    let mut c = Story::surveying();
    c.listed("_c_x-lock-0000000001 _c_y-lock-0000000002");
    c.says(&[
        "FAIL: contenders here that this layout does not exclude: \
         Curator LeaderSelector or Go's Lock (layout lock) (for example \"_c_x-lock-0000000001\"); \
         use --layout lock",
        "left",
    ]);
}

#[test]
fn two_families_fit_no_layout() {
    let mut c = Story::surveying();
    c.listed("p1 0123__lock__0000000002");
    c.says(&[
        "FAIL: contenders here that this layout does not exclude: kazoo (layout kazoo) \
         (for example \"0123__lock__0000000002\"); no layout is safe beside them, use another path",
        "left",
    ]);
}

#[test]
fn children_that_are_no_contenders_do_not_disturb() {
    let mut c = Story::surveying();
    c.listed("config notes-5 x123456789");
    c.says(&["create A"]);
}

#[test]
fn a_path_worn_out_at_the_survey() {
    let mut c = Story::surveying();
    c.listed("_c_x-latch-2147000000");
    c.says(&[
        "FAIL: election path worn out, use a fresh one \
         (its sequence numbers have reached \"_c_x-latch-2147000000\")",
        "left",
    ]);
}

#[test]
fn an_overflowed_number_is_worn_out_too() {
    let mut c = Story::surveying();
    c.listed("_c_x-latch--2147483648");
    c.says(&[
        "FAIL: election path worn out, use a fresh one \
         (its sequence numbers have reached \"_c_x-latch--2147483648\")",
        "left",
    ]);
}

#[test]
fn our_own_worn_out_number_is_not_contended_with() {
    let mut c = Story::creating();
    c.created("A2147000000", 7);
    let name = c.real("A2147000000");
    c.says(&[
        &format!(
            "FAIL: election path worn out, use a fresh one (its sequence numbers have reached {name:?})"
        ),
        "close the session",
    ]);
    c.session_ended(SessionEnd::Closed);
    c.says(&["left"]);
}

#[test]
fn a_tie_is_an_error_and_never_broken_by_a_guess() {
    let mut c = Story::creating();
    c.created("A3", 7);
    c.skip();
    c.listed("p3 A3");
    let twin = c.real("p3");
    c.says(&[
        &format!(
            "FAIL: two contenders carry the same sequence number: {twin:?} and our own; \
             remove the one made by hand"
        ),
        "delete A3",
    ]);
    c.done("delete A3");
    c.says(&["left"]);
}

#[test]
fn a_tie_among_others_is_their_affair() {
    let mut c = Story::creating();
    c.created("A5", 7);
    c.listed("p3 q3 A5");
    c.says(&["list", "watch q3 p3 A5"]);
}

#[test]
fn no_permission_to_look() {
    let mut c = Story::surveying();
    c.refuse("list", Refusal::NoAuth);
    c.says(&["FAIL: no permission to list the contenders", "left"]);
}

#[test]
fn no_permission_to_enrol() {
    let mut c = Story::creating();
    c.refuse("create", Refusal::NoAuth);
    c.says(&["FAIL: no permission to create a znode under the election path", "left"]);
}

#[test]
fn no_permission_to_make_the_path() {
    let mut c = Story::surveying();
    c.refuse("list", Refusal::NoNode);
    c.refuse("ensure parents", Refusal::NoAuth);
    c.says(&["ensure parents", "FAIL: no permission to create the election path", "left"]);
}

#[test]
fn no_permission_to_look_for_a_lost_create() {
    let mut c = Story::creating();
    c.lose_connection();
    c.attach();
    c.restored();
    c.skip();
    c.refuse("sync", Refusal::NoAuth);
    c.says(&["FAIL: no permission to sync the election path", "close the session"]);

    let mut c = Story::creating();
    c.lose_connection();
    c.attach();
    c.restored();
    c.done("sync");
    c.listed("A4");
    c.skip();
    c.refuse("read", Refusal::NoAuth);
    c.says(&["FAIL: no permission to read our own znode", "close the session"]);
}

#[test]
fn no_permission_to_watch() {
    let mut c = Story::creating();
    c.created("A3", 103);
    c.listed("p1 A3");
    c.skip();
    c.refuse("watch", Refusal::NoAuth);
    c.says(&["FAIL: no permission to watch the contenders", "delete A3"]);
}

#[test]
fn a_znode_without_a_number_is_no_contender() {
    let mut c = Story::creating();
    c.created("unnumbered", 103);
    c.says(&["FAIL: the server refused to number our znode (code 0)", "close the session"]);
}

#[test]
fn an_acl_that_keeps_ourselves_out() {
    let mut c = Story::enrolled("", 3);
    c.refuse("probe", Refusal::NoAuth);
    c.says(&["LOST 103: the server refused", "FAIL: no permission to check our own znode"]);
    c.withdraw();
    c.says(&["delete A3"]);
}

#[test]
fn an_invalid_acl() {
    let mut c = Story::creating();
    c.refuse("create", Refusal::InvalidAcl);
    c.says(&["FAIL: the servers refuse the access control list as invalid", "left"]);
}

#[test]
fn a_path_that_is_itself_ephemeral() {
    let mut c = Story::creating();
    c.refuse("create", Refusal::NoChildrenForEphemerals);
    c.says(&[
        "FAIL: the election path is itself an ephemeral znode, a one-znode election: use --layout single",
        "left",
    ]);
}

#[test]
fn a_code_that_speaks_of_the_session_only_costs_the_connection() {
    let mut c = Story::enrolled("p1", 3);
    c.refuse("probe", Refusal::Code(-118));
    c.says(&["give up the connection"]);
    c.lose_connection();
    c.attach();
    c.restored();
    c.says(&["probe A3"]);
}

#[test]
fn any_other_code_is_told_by_its_number() {
    let mut c = Story::creating();
    c.refuse("create", Refusal::Code(-125));
    c.says(&["FAIL: the server refused to create a znode under the election path (code -125)", "left"]);
}
