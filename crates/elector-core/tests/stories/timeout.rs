//! What the negotiated session timeout means for the lease.

use elector_core::{Layout, Margins, OnDisconnect};

use crate::support::{Story, ms};

/// E20.
#[test]
fn a_shrunk_timeout_is_warned_of_and_counts_from_now_on() {
    let mut c = Story::leading();
    c.at(1_000).done("probe");
    c.lose_connection();
    c.skip();
    c.timeout = 6_000;
    c.attach();
    c.says(&[
        "warn: a server shortened the session timeout from 10s to 6s: the servers' session limits differ, \
         which the guarantee excludes; make them equal",
    ]);
    // What was proved before is worth less, too: its session may end so much earlier.
    assert_eq!(c.deadlines(), Some((5_840, 5_840)));
    c.restored();
    c.done("probe");
    assert_eq!(c.deadlines(), Some((6_840, 6_840)));
}

/// E20.
#[test]
fn a_shrunk_timeout_can_end_the_lease_that_was_held() {
    let mut c = Story::leading();
    c.answering_probes_until(20_000);
    let (term, _) = c.deadlines().unwrap();
    c.lose_connection();
    c.skip();
    c.timeout = 6_000;
    c.at(term - 1_000).attach();
    c.wake();
    c.says(&[
        "warn: a server shortened the session timeout from 10s to 6s: the servers' session limits differ, \
         which the guarantee excludes; make them equal",
        "STOPPING 103: no quorum answered",
        "LOST 103: no quorum answered",
    ]);
}

/// E20.
#[test]
fn a_grown_timeout_is_not_believed() {
    let mut c = Story::leading();
    c.at(1_000).lose_connection();
    c.timeout = 40_000;
    c.attach();
    c.restored();
    c.skip();
    c.done("probe");
    c.says(&[]);
    assert_eq!(c.deadlines(), Some((10_800, 10_800)));
    assert_eq!(c.candidate.timing().timeout, ms(10_000));
}

#[test]
fn a_new_session_has_the_timeout_that_it_negotiated() {
    let mut c = Story::leading();
    c.session_ended(elector_core::SessionEnd::Expired);
    c.withdraw();
    c.campaign();
    c.skip();
    c.timeout = 20_000;
    c.new_session(0x52);
    c.says(&["list"]); // nothing to warn of
    assert_eq!(c.candidate.timing().timeout, ms(20_000));
}

#[test]
fn too_short_for_its_probes_and_graces_is_final() {
    let margins = Margins { ensemble_tick: None, early: ms(1_100) };
    let mut c = Story::with(Layout::Latch, margins, OnDisconnect::Hold);
    c.timeout = 3_000;
    c.campaign();
    c.attach();
    c.says(&[
        "FAIL: a session timeout of 3s is too short: less 1 % and 100 ms, less 1.1s to stop the program, \
         1.77s remain; needed are 4 x 0.35s between probes + 500 ms = 1.9s; \
         lengthen the session timeout or shorten the loss grace",
        "left",
    ]);
    c.restored();
    c.at(10_000).wake();
    c.says(&[]);
}

#[test]
fn too_short_after_a_reconnect_ends_the_term() {
    let margins = Margins { ensemble_tick: None, early: ms(2_500) };
    let mut c = Story::with(Layout::Latch, margins, OnDisconnect::Hold);
    c.campaign();
    c.attach();
    c.restored();
    c.listed("");
    c.created("A3", 103);
    c.listed("A3");
    c.done("watch");
    c.lose_connection();
    c.skip();
    c.timeout = 4_000;
    c.attach();
    c.says(&[
        "warn: a server shortened the session timeout from 10s to 4s: the servers' session limits differ, \
         which the guarantee excludes; make them equal",
        "LOST 103: the server refused",
        "FAIL: a session timeout of 4s is too short: less 1 % and 100 ms, less 2.5s to stop the program, \
         1.36s remain; needed are 4 x 0.433s between probes + 500 ms = 2.233s; \
         lengthen the session timeout or shorten the loss grace",
    ]);
    c.restored();
    c.withdraw();
    c.says(&["delete A3"]);
}

#[test]
fn a_known_tick_shortens_the_lag() {
    let margins = Margins { ensemble_tick: Some(ms(2_000)), early: ms(0) };
    let mut c = Story::with(Layout::Latch, margins, OnDisconnect::Hold);
    c.campaign();
    c.attach();
    assert_eq!(c.candidate.timing().probe_every, ms(650));
    assert_eq!(c.candidate.timing().touch_lag, ms(1_250));
}
