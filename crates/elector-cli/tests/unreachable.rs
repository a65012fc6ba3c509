//! Servers that do not answer: how long it is tried, what is said, and with which status it ends.

mod common;

use common::{Elector, hup_is_ignored, signal};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// A safety bound for whatever ought to end by itself much sooner.
const LIMIT: Duration = Duration::from_secs(20);

/// An address that refuses connections: the port was ours a moment ago.
fn refusing() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

/// Row B5.
#[test]
fn connect_timeout_ends_with_125_and_the_list_of_what_was_tried() {
    let server = refusing();
    let list = format!("{server},no-such-host.invalid:2181");
    let output =
        Elector::new("run").words("--connect-timeout 2s -z").word(&list).words("/nobody -- true").output();
    assert_eq!(output.code, Some(125), "{}", output.stderr);
    assert!(output.stderr.contains("connecting to"), "{}", output.stderr);
    assert!(output.stderr.contains("no server reached within 2s"), "{}", output.stderr);
    assert!(output.stderr.contains(&server), "{}", output.stderr);
    assert!(output.stderr.contains("no-such-host.invalid:2181"), "{}", output.stderr);
}

#[test]
fn wait_and_nonblock_give_up_with_124_or_the_code_of_e() {
    let server = refusing();
    let output = Elector::new("run").words("-n -z").word(&server).words("/nobody -- true").output();
    assert_eq!(output.code, Some(124), "{}", output.stderr);
    let output =
        Elector::new("run").words("--wait 1s -E 9 -z").word(&server).words("/nobody -- true").output();
    assert_eq!(output.code, Some(9), "{}", output.stderr);
}

#[test]
fn without_a_limit_it_tries_on_until_a_signal() {
    for (asked, code) in [(Signal::TERM, 0), (Signal::INT, 130), (Signal::HUP, 129)] {
        if asked == Signal::HUP && hup_is_ignored() {
            continue;
        }
        let mut running = Elector::new("run").words("-z").word(&refusing()).words("/nobody -- true").start();
        running.wait_for("no server answers");
        signal(&running, asked);
        assert_eq!(running.end(LIMIT), Some(code), "{}", running.said());
    }
}

#[test]
fn status_answers_unknown_in_time() {
    let began = Instant::now();
    let output = Elector::new("status").words("-z").word(&refusing()).words("/nobody").output();
    assert_eq!(output.code, Some(4), "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.contains("/nobody: unknown"), "{}", output.stdout);
    assert!(began.elapsed() < LIMIT);

    let output = Elector::new("status")
        .words("--json --connect-timeout 500ms -z")
        .word(&refusing())
        .words("/n")
        .output();
    assert_eq!(output.code, Some(4), "{}", output.stderr);
    let value: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(value["state"], "unknown");
    assert_eq!(value["leader"], serde_json::Value::Null);
    assert!(value["error"]["message"].is_string() && value["error"]["code"].is_string());
}
