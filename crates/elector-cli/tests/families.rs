//! `elector run` beside programs of other libraries, in the layouts `lock` and `kazoo`.

mod common;

use common::{Elector, LONG, SHORT, SHORT_TIMEOUT, is_there, number_after, shared_server};
use rustix::process::Signal;
use zk_ensemble::Peer;

/// What each peer is shown as: Go's Lock writes no name.
const PEERS: [(Peer, &str, &str); 3] = [
    (Peer::CuratorSelector, "lock", "theirs"),
    (Peer::GoLock, "lock", "a contender without a name"),
    (Peer::KazooElection, "kazoo", "theirs"),
];

#[test]
fn a_program_runs_in_turns_with_those_of_other_libraries() {
    for (peer, layout, shown) in PEERS {
        if !peer.require() {
            return;
        }
        let server = shared_server();
        let servers = server.connect_string();
        let path = format!("/beside-{peer:?}");
        let contender = || {
            let options = format!("{SHORT} --layout {layout}");
            Elector::run(&servers, "ours", &options).word(&path).script("exec sleep 1000").start()
        };
        let mut theirs = peer.start(&servers, &path, "theirs", SHORT_TIMEOUT);
        theirs.wait_for("LEADING", LONG);

        // They end, planned; then we do.
        let mut ours = contender();
        let waiting = ours.wait_for("waiting, 2nd of 2");
        assert!(waiting.contains(&format!("behind {shown} (leads with token ")), "{waiting}");
        theirs.send("close").expect("it listens");
        let program = number_after(&ours.wait_for("leading with token"), "pid");
        theirs.wait_for("CLOSED", LONG);
        theirs.send("start").expect("it listens");
        ours.signal(Signal::TERM);
        theirs.wait_for("LEADING", LONG);
        assert!(!is_there(program), "two leaders beside {peer:?}");
        assert_eq!(ours.end(LONG), Some(0), "{}", ours.said());

        // They are killed; then we are.
        let mut ours = contender();
        ours.wait_for("waiting, 2nd of 2");
        theirs.process().kill();
        let program = number_after(&ours.wait_for("leading with token"), "pid");
        let mut theirs = peer.start(&servers, &path, "theirs", SHORT_TIMEOUT);
        ours.kill();
        theirs.wait_for("LEADING", LONG);
        assert!(!is_there(program), "two leaders beside {peer:?}");
    }
}

#[test]
fn names_of_other_libraries_are_shown_escaped() {
    if !Peer::KazooElection.require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let hostile = "\u{1b}[2Jevil\u{9b}";
    let mut theirs = Peer::KazooElection.start(&servers, "/named", hostile, SHORT_TIMEOUT);
    theirs.wait_for("LEADING", LONG);
    let mut ours = Elector::run(&servers, "ours", &format!("{SHORT} --layout kazoo"))
        .word("/named")
        .script("exit 0")
        .start();
    ours.wait_for("waiting, 2nd of 2");
    // kazoo reads our name as we read its own.
    theirs.send("contenders").expect("it listens");
    theirs.wait_for("evil\u{9b} ours", LONG);
    let output = Elector::new("status").words("-z").word(&servers).word("/named").output();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    for text in [&output.stdout, &ours.said()] {
        assert!(text.contains("\\u{1b}[2Jevil\\u{9b}"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{9b}']), "{text}");
    }
    assert!(
        output.stdout.contains("led by \\u{1b}") && output.stdout.contains("; layout kazoo"),
        "{}",
        output.stdout
    );
    ours.signal(Signal::TERM);
    assert_eq!(ours.end(LONG), Some(0));
}
