//! The table of exit statuses: each row is a test, and each column that the row fills is a part of it.
//!
//! The server is the one of this repository, inside the test's own process, so that the whole table takes seconds.
//! What each end looks like beside its number, and on real servers, is tested where that command is; the demo's
//! statuses are in `demo.rs`, those of a local election in `local/`.

mod common;

use common::serving;
use common::{Elector, LONG, Running};
use rustix::process::Signal;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use zk_embedded::testing::TestServer;

/// A program that says when its traps are set, and then works on.
const WORK: &str = "echo ready; while :; do sleep 0.05; done";
/// Nobody listens there.
const NOWHERE: &str = "-z 127.0.0.1:1";
const ELECTION: &str = "/table";

fn server() -> TestServer {
    TestServer::start().expect("a free port")
}

/// A command that asks this server.
fn ask(command: &str, server: &TestServer) -> Elector {
    Elector::new(command).word("-z").word(&server.connect_string())
}

fn run(server: &TestServer, options: &str, script: &str) -> Running {
    ask("run", server).words(options).word(ELECTION).script(script).start()
}

/// A run whose program works until it is told otherwise.
fn leading(server: &TestServer, options: &str, trap: &str) -> Running {
    let mut run = run(server, options, &format!("{trap}\n{WORK}"));
    run.wait_for_output("ready");
    run
}

fn waiting(server: &TestServer) -> Running {
    let mut run = run(server, "", "echo must not run");
    run.wait_for("waiting, 2nd of 2");
    run
}

fn observing(server: &TestServer) -> Running {
    let mut observer = ask("observe", server).word(ELECTION).start();
    observer.wait_for_output("leader");
    observer
}

/// What stands behind the options: the election, and the program where there has to be one.
fn rest(command: &str) -> &'static str {
    if command == "run" { "/table -- true" } else { "/table" }
}

#[track_caller]
fn ends(mut running: Running, code: i32) {
    assert_eq!(running.end(LONG), Some(code), "{}{}", running.printed(), running.said());
}

#[track_caller]
fn ends_by(mut running: Running, signal: Signal, code: i32) {
    running.signal(signal);
    ends(running, code);
}

#[test]
fn row_0() {
    let server = server();
    ends(run(&server, "", "exit 0"), 0);
    let leader = leading(&server, "", "");
    ends(ask("status", &server).word(ELECTION).start(), 0);
    ends_by(observing(&server), Signal::TERM, 0);
    ends_by(waiting(&server), Signal::TERM, 0);
    ends_by(leader, Signal::TERM, 0);
    ends_by(leading(&server, "", "trap 'exit 0' TERM"), Signal::TERM, 0);
    ends_by(leading(&server, "--stop-signal USR1", "trap '' TERM"), Signal::TERM, 0);

    ends(ask("check", &server).word(ELECTION).start(), 0);
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("pages");
    ends(Elector::new("man").bytes(pages.as_os_str().as_encoded_bytes()).start(), 0);
    for words in ["completions bash", "--help", "--version", "run --help"] {
        ends(Elector::bare().words(words).start(), 0);
    }
    let (server, _) = serving::started(&folder.path().join("data"));
    ends_by(server, Signal::TERM, 0);
}

#[test]
fn row_own() {
    let server = server();
    // Also those that mean something else when they are elector's.
    for code in [1, 2, 7, 75, 124, 125, 255] {
        ends(run(&server, "", &format!("exit {code}")), code);
    }
    ends_by(leading(&server, "", "trap 'exit 3' TERM"), Signal::TERM, 3);
}

#[test]
fn row_128_and_a_signal() {
    let server = server();
    ends(run(&server, "", "kill -SEGV $$"), 139);
    ends_by(leading(&server, "--stop-grace 200ms", "trap '' TERM"), Signal::TERM, 137);

    let leader = leading(&server, "", "trap 'exit 3' TERM");
    ends_by(observing(&server), Signal::INT, 130);
    ends_by(waiting(&server), Signal::INT, 130);
    ends_by(leader, Signal::INT, 130);

    for command in ["status", "check"] {
        // It takes what is sent and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = silent.local_addr().expect("its address").to_string();
        let asking =
            Elector::new(command).word("-z").word(&address).words("--connect-timeout 60s /table").start();
        let (mut stream, _) = silent.accept().expect("a client");
        stream.read_exact(&mut [0; 4]).expect("its handshake");
        ends_by(asking, Signal::INT, 130);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (server, _) = serving::started(&folder.path().join("data"));
    ends_by(server, Signal::INT, 130);
}

#[test]
fn row_2_usage() {
    let words =
        ["no-such-command", "run /table -- true", "status /table", "observe /table", "check /table", "serve"];
    for words in words.into_iter().chain(["demo --now", "completions tcsh", "man"]) {
        ends(Elector::bare().words(words).start(), 2);
    }
    for command in ["run", "status", "observe", "check"] {
        ends(Elector::new(command).words(NOWHERE).words("--no-such-option /table").start(), 2);
        ends(Elector::new(command).words(NOWHERE).words("no/slash -- true").start(), 2);
    }
}

#[test]
fn row_2_what_a_restart_cannot_mend() {
    let server = server();
    let folder = tempfile::tempdir().expect("a folder");
    let credentials = |name: &str, line: &str| {
        let path = folder.path().join(name);
        fs::write(&path, line).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        format!("--auth-file {}", path.display())
    };
    let refused = credentials("refused", "no-such-scheme:secret\n");
    let ours = credentials("ours", "digest:user:secret\n");
    for command in ["run", "status", "observe", "check"] {
        ends(ask(command, &server).words(&refused).words(rest(command)).start(), 2);
    }

    let leader = leading(&server, &format!("{ours} --acl auth::cdrwa"), "");
    for command in ["run", "status", "observe", "check"] {
        ends(ask(command, &server).words(rest(command)).start(), 2);
    }
    ends_by(leader, Signal::TERM, 0);

    let mut latch = ask("run", &server).words("/mixed").script(WORK).start();
    latch.wait_for_output("ready");
    ends(ask("run", &server).words("--layout kazoo /mixed -- true").start(), 2);
    ends(ask("check", &server).words("--layout kazoo /mixed").start(), 2);
    ends_by(latch, Signal::TERM, 0);
}

#[test]
fn row_3() {
    ends(ask("status", &server()).word(ELECTION).start(), 3);
}

#[test]
fn row_4() {
    for command in ["status", "check"] {
        ends(Elector::new(command).words(NOWHERE).words("--connect-timeout 300ms /table").start(), 4);
    }
}

#[test]
fn row_75() {
    let server = server();
    let mut run = run(&server, "--once", WORK);
    let connected = run.wait_for("session 0x");
    let session = connected.split("session 0x").nth(1).and_then(|rest| rest.split(',').next());
    let session = i64::from_str_radix(session.expect("an id"), 16).expect("a number");
    run.wait_for_output("ready");
    assert!(server.expire_session(session));
    ends(run, 75);
}

#[test]
fn row_124() {
    let server = server();
    let leader = leading(&server, "", "");
    for (options, code) in [("-n", 124), ("--wait 300ms", 124), ("-n -E 9", 9)] {
        ends(run(&server, options, "echo must not run"), code);
    }
    ends_by(leader, Signal::TERM, 0);
    ends(Elector::new("run").words(NOWHERE).words("-n /table -- true").start(), 124);
}

#[test]
fn row_125() {
    for command in ["run", "observe"] {
        let nobody = Elector::new(command).words(NOWHERE).words("--connect-timeout 300ms");
        ends(nobody.words(rest(command)).start(), 125);
    }
    ends(Elector::new("man").word("/dev/null/pages").start(), 125);
    let folder = tempfile::tempdir().expect("a folder");
    let (server, _) = serving::started(&folder.path().join("data"));
    fs::remove_dir_all(folder.path().join("data")).expect("removed");
    ends(server, 125);
}

/// The program is looked up before anybody is asked.
#[test]
fn rows_126_and_127() {
    for (program, code) in
        [("/etc/passwd", 126), ("/", 126), ("no-such-program", 127), ("/no/such/program", 127)]
    {
        ends(Elector::new("run").words(NOWHERE).words("/table --").word(program).start(), code);
    }
}
