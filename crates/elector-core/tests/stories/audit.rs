//! Step 7: rarely, look whether the list still says what is believed.

use crate::support::Story;

/// Leading since 20 ms; the first audit is due 300 s later.
fn leading_at_the_audit() -> Story {
    let mut c = Story::leading();
    c.answering_probes_until(300_010);
    c.skip();
    assert!(c.asks("audit"));
    c
}

#[test]
fn a_leader_that_finds_a_lower_contender_stands_down_at_once() {
    let mut c = leading_at_the_audit();
    c.listed("p1 A3");
    c.says_besides_probes(&["LOST 103: a lower contender appeared"]);
    assert_eq!(c.deadlines(), None);
    c.withdraw();
    c.says(&["delete A3"]);
}

#[test]
fn a_leader_that_finds_itself_first_leads_on() {
    let mut c = leading_at_the_audit();
    c.listed("A3 q4 r5");
    c.says_besides_probes(&[]);
    assert_eq!(c.candidate.position(), Some((0, 3)));
    assert!(c.deadlines().is_some());
}

#[test]
fn a_leader_that_misses_its_own_znode_is_out() {
    let mut c = leading_at_the_audit();
    c.listed("q4");
    c.says_besides_probes(&["LOST 103: our znode was deleted"]);
}

#[test]
fn a_waiting_one_believes_the_list() {
    let mut c = Story::enrolled("p2", 3);
    c.done("probe");
    c.answering_probes_until(300_010);
    c.skip();
    c.listed("o1 p2 A3");
    c.says_besides_probes(&["watch o1"]);
    c.deleted("p2");
    c.says_besides_probes(&[]);
    assert_eq!(c.candidate.position(), Some((1, 2)));
}

#[test]
fn it_audits_only_once_a_probe_was_answered_on_this_connection() {
    let mut c = Story::leading();
    c.answering_probes_until(298_000);
    c.lose_connection();
    c.at(300_100).attach();
    c.restored();
    c.skip();
    c.at(300_200).wake();
    assert!(!c.asks("audit"));
    c.done("probe");
    assert!(c.asks("audit"));
}

#[test]
fn after_a_connection_loss_it_is_not_repeated() {
    let mut c = leading_at_the_audit();
    c.lose_connection();
    c.at(300_500).attach();
    c.restored();
    c.done("probe");
    c.says_besides_probes(&[]);
    c.answering_probes_until(600_000);
    c.says_besides_probes(&[]);
    c.answering_probes_until(600_020);
    c.says_besides_probes(&["audit"]);
}

#[test]
fn an_audit_that_stays_unanswered_is_not_repeated_nor_asked_to_be_woken_for() {
    let mut c = leading_at_the_audit();
    c.now = 300_020;
    while c.now < 620_000 {
        if c.asks("probe") {
            c.done("probe");
        }
        c.at(c.now + 500).wake();
    }
    c.says_besides_probes(&[]);
    c.listed("A3");
    c.says_besides_probes(&[]); // the next one is due 300 s from now
}

#[test]
fn a_foreign_family_that_appears_later_is_warned_of_once() {
    let mut c = leading_at_the_audit();
    c.listed("A3 _c_x-lock-0000000004");
    c.says_besides_probes(&[
        "warn: contenders of Curator LeaderSelector or Go's Lock (layout lock) appeared \
         (for example \"_c_x-lock-0000000004\"), which this layout does not exclude",
    ]);
    c.answering_probes_until(600_020);
    c.listed("A3 _c_x-lock-0000000004");
    c.says_besides_probes(&["audit"]);
}
