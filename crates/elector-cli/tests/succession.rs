//! Three contenders: one leads, and when it goes the next in line leads, with a higher token.

mod common;

use common::{
    Elector, LONG, SHORT, SHORT_TIMEOUT, TICK, is_there, number_after, shared_server, wait_until_gone,
};
use rustix::process::Signal;
use std::time::{Duration, Instant};
use zk_ensemble::{Kind, Onlooker};

#[test]
fn the_next_in_line_leads_after_a_kill_and_after_a_planned_stop() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let contender = |id: &str| {
        Elector::run(&servers, id, SHORT).word("/parents/are/made/billing").script("exec sleep 1000").start()
    };
    let mut first = contender("first");
    let led = first.wait_for("leading with token");
    let (first_token, program) = (number_after(&led, "token"), number_after(&led, "pid"));
    let mut second = contender("second");
    second.wait_for("waiting, 2nd of 2, behind first (leads with token");
    let mut third = contender("third");
    third.wait_for("waiting, 3rd of 3, behind second (token");

    first.kill();
    let killed = Instant::now();
    wait_until_gone(program, Duration::from_secs(1));
    let led = second.wait_for("leading with token");
    assert!(killed.elapsed() < SHORT_TIMEOUT + TICK + Duration::from_secs(1), "{:?}", killed.elapsed());
    let (second_token, program) = (number_after(&led, "token"), number_after(&led, "pid"));
    assert!(second_token > first_token);
    assert!(led.contains("(first is gone)"), "{led}");
    third.wait_for("waiting, 2nd of 2, behind second (leads with token");

    second.signal(Signal::TERM);
    let led = third.wait_for("leading with token");
    assert!(!is_there(program), "the place was released before the program was gone");
    assert!(number_after(&led, "token") > second_token);
    assert_eq!(second.end(LONG), Some(0), "{}", second.said());
    assert!(second.said().contains("TERM received: stopping the program (up to 10s), then handing over"));
    assert!(second.said().contains("/parents/are/made/billing: resigned; program ended by TERM"));

    third.signal(Signal::INT);
    assert_eq!(third.end(LONG), Some(130), "{}", third.said());
}

/// Row B12.
#[test]
fn two_contenders_of_one_name_are_told_apart() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let contender = || Elector::run(&servers, "twin", SHORT).word("/twins").script("exec sleep 1000").start();
    let mut first = contender();
    let token = number_after(&first.wait_for("leading with token"), "token");
    let mut second = contender();
    second.wait_for("warning: another contender is called twin as well");
    second.wait_for("behind twin (leads with token");
    first.signal(Signal::TERM);
    assert!(number_after(&second.wait_for("leading with token"), "token") > token);
    second.signal(Signal::TERM);
    assert_eq!((first.end(LONG), second.end(LONG)), (Some(0), Some(0)));
}

/// Somebody's znode outlives its maker: whoever waits behind it waits for an operator, and is told so.
#[test]
fn waiting_behind_a_znode_that_never_goes_is_warned_of() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let mut onlooker = Onlooker::connect(server.servers()[0].address()).expect("a session");
    onlooker.create("/lasting", b"", Kind::Persistent).expect("made");
    let lasting = "/lasting/_c_0f8fad5b-d9cb-469f-a165-70867728950e-latch-";
    let made = onlooker.create(lasting, b"old cron job", Kind::PersistentSequential).expect("made");
    let mut contender = Elector::run(&server.connect_string(), "one", SHORT)
        .word("/lasting")
        .script("exec sleep 1000")
        .start();
    contender.wait_for("warning: old cron job's znode is not ephemeral: it never goes by itself");
    contender.wait_for("waiting, 2nd of 2, behind old cron job (leads with token");
    onlooker.delete(&made).expect("deleted");
    contender.wait_for("leading with token");
    contender.signal(Signal::TERM);
    assert_eq!(contender.end(LONG), Some(0), "{}", contender.said());
    onlooker.close().expect("closed");
}

#[test]
fn a_single_znode_serves_as_an_election_too() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let contender = |id: &str| {
        let options = format!("{SHORT} --layout single");
        Elector::run(&servers, id, &options).word("/lone/master").script("exec sleep 1000").start()
    };
    let mut first = contender("first");
    let led = first.wait_for("leading with token");
    let mut second = contender("second");
    second.wait_for("connected to");
    first.signal(Signal::TERM);
    assert_eq!(first.end(LONG), Some(0), "{}", first.said());
    let led_next = second.wait_for("leading with token");
    assert!(number_after(&led_next, "token") > number_after(&led, "token"));
    second.signal(Signal::TERM);
    assert_eq!(second.end(LONG), Some(0), "{}", second.said());
}
