//! `elector serve`: what any ZooKeeper client sees of it, over its life, its crash and its end.

mod common;

use common::serving::{serve, started, stop};
use common::{Elector, LONG, Output};
use rustix::process::Signal;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use zk_ensemble::{Kind, Onlooker, four_letter};

/// A session that outlives a test, as long as the server keeps it.
const SESSION: Duration = Duration::from_secs(30);

fn refused(output: &Output, parts: &[&str]) {
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stdout.is_empty(), "{}", output.stdout);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    for part in parts {
        assert!(output.stderr.contains(part), "{:?} without {part:?}", output.stderr);
    }
}

#[test]
fn data_and_sessions_survive_kill_9() {
    let directory = tempfile::tempdir().expect("a folder");
    let (mut server, address) = started(directory.path());
    let mut client = Onlooker::attach(address, 0, &[0; 16], SESSION).expect("a session");
    client.create("/kept", b"what it says", Kind::Persistent).expect("created");
    client.create("/mine", b"", Kind::Ephemeral).expect("created");
    let (session, password) = (client.session_id(), client.password().to_vec());
    let before = client.last_zxid();
    server.kill();
    server.end(LONG);

    let (server, address) = started(directory.path());
    let mut client = Onlooker::attach(address, session, &password, SESSION).expect("the same session");
    assert_eq!(client.session_id(), session);
    let (data, _) = client.data("/kept").expect("an answer").expect("the znode");
    assert_eq!(data, b"what it says");
    assert_eq!(client.exists("/mine").expect("an answer").expect("the znode").owner, session);
    client.create("/next", b"", Kind::Persistent).expect("created");
    assert!(client.last_zxid() > before, "{} after {before}", client.last_zxid());
    client.close().expect("closed");
    let mut other = Onlooker::connect(address).expect("a session");
    assert!(other.exists("/mine").expect("an answer").is_none(), "it went with its session");
    other.close().expect("closed");
    stop(server);
}

#[test]
fn a_second_server_is_refused_and_the_first_is_named() {
    let directory = tempfile::tempdir().expect("a folder");
    let (server, address) = started(directory.path());
    let output = serve(directory.path()).words("--listen 127.0.0.1:0").output();
    let holder = format!("in use by process {}", server.pid());
    refused(&output, &[&holder]);
    // The first has not noticed.
    assert_eq!(four_letter(address, "ruok").expect("an answer"), "imok");
    stop(server);
    let (server, _) = started(directory.path());
    stop(server);
}

#[test]
fn the_words_of_operators_are_answered() {
    let directory = tempfile::tempdir().expect("a folder");
    let (server, address) = started(directory.path());
    let client = Onlooker::connect(address).expect("a session");
    for (word, part) in [
        ("ruok", "imok"),
        ("srvr", "\nMode: standalone\n"),
        ("stat", "Clients:\n /127.0.0.1:"),
        ("mntr", "zk_server_state\tstandalone\n"),
    ] {
        let answer = four_letter(address, word).expect("an answer");
        assert!(answer.contains(part), "{word}: {answer}");
    }
    client.close().expect("closed");
    stop(server);
}

#[test]
fn contenders_elect_on_it_and_hand_over() {
    let directory = tempfile::tempdir().expect("a folder");
    let (server, address) = started(directory.path());
    let contender =
        |id: &str| Elector::run(&address.to_string(), id, "").word("/job").script("exec sleep 1000").start();
    let mut first = contender("first");
    first.wait_for("leading with token");
    let mut second = contender("second");
    second.wait_for("waiting, 2nd of 2");
    first.signal(Signal::TERM);
    second.wait_for("leading with token");
    second.signal(Signal::TERM);
    assert_eq!((first.end(LONG), second.end(LONG)), (Some(0), Some(0)));
    stop(server);
}

#[test]
fn term_and_int_end_it_in_order() {
    let directory = tempfile::tempdir().expect("a folder");
    for (signal, code) in [(Signal::TERM, 0), (Signal::INT, 130)] {
        let (mut server, address) = started(directory.path());
        let _client = Onlooker::connect(address).expect("a session");
        server.signal(Signal::TSTP);
        server.wait_for("Ctrl-Z is refused");
        server.signal(signal);
        assert_eq!(server.end(LONG), Some(code), "{}", server.said());
        assert!(server.said().contains("the directory is free"), "{}", server.said());
        assert!(Onlooker::connect(address).is_err(), "nobody accepts any more");
    }
}

#[test]
fn a_removed_directory_ends_it() {
    let parent = tempfile::tempdir().expect("a folder");
    let directory = parent.path().join("data");
    let (mut server, _) = started(&directory);
    fs::remove_dir_all(&directory).expect("removed");
    assert_eq!(server.end(LONG), Some(125), "{}", server.said());
    assert!(server.said().contains("had to end: the journal failed"), "{}", server.said());
    assert!(server.said().contains(directory.to_str().expect("a plain path")), "{}", server.said());
}

#[test]
fn beyond_this_machine_only_where_it_was_allowed() {
    let directory = tempfile::tempdir().expect("a folder");
    let output = serve(directory.path()).words("--listen 0.0.0.0:0").output();
    refused(&output, &["--allow-remote", "no TLS", "no authentication of its own", "no quorum"]);
    let output = serve(directory.path()).env("ELECTOR_LISTEN", "[::]:0").output();
    refused(&output, &["ELECTOR_LISTEN [::]:0", "--allow-remote"]);
    assert_eq!(fs::read_dir(directory.path()).expect("a folder").count(), 0, "nothing was touched");

    // An address of the whole of 127/8 is this machine, and asks for nothing.
    let mut server = serve(directory.path()).words("--listen 127.0.0.2:0").start();
    server.wait_for("listens on 127.0.0.2:");
    assert!(!server.said().contains("beyond"), "{}", server.said());
    stop(server);
}

#[test]
fn a_start_in_json_tells_the_address() {
    let directory = tempfile::tempdir().expect("a folder");
    let mut server = serve(directory.path()).words("--listen 127.0.0.1:0 --log-format json").start();
    let line: serde_json::Value = serde_json::from_str(&server.wait_for("serving")).expect("JSON");
    let address: SocketAddr = line["address"].as_str().expect("a text").parse().expect("an address");
    assert_eq!(four_letter(address, "ruok").expect("an answer"), "imok");
    stop(server);
}

#[test]
fn what_cannot_be_served_is_refused_in_one_line() {
    let directory = tempfile::tempdir().expect("a folder");
    refused(&Elector::new("serve").output(), &["--data-dir"]);
    refused(&Elector::new("serve").words("--data-dir=").output(), &["--data-dir", "directory"]);
    for (options, part) in [
        ("--listen 2181", "--listen 2181: write it as ADDRESS:PORT"),
        ("--listen 127.0.0.1:70000", "127.0.0.1:70000"),
        ("--listen example:2181", "in numbers"),
        ("--lisen 127.0.0.1:0", "did you mean --listen?"),
        ("--log-format xml", "allowed is text, json"),
        ("--quiet --quiet", "more than once"),
        ("/billing", "unexpected /billing"),
    ] {
        refused(&serve(directory.path()).words(options).output(), &[part]);
    }
    let variable = serve(directory.path()).env("ELECTOR_LISTEN", "x").output();
    refused(&variable, &["ELECTOR_LISTEN x: write it as"]);

    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let output = serve(directory.path()).words("--listen").word(&address).output();
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    let told = format!("cannot listen on {address}: the port is taken");
    assert!(output.stderr.contains(&told), "{}", output.stderr);
}

#[test]
fn a_directory_that_cannot_serve_is_refused() {
    let parent = tempfile::tempdir().expect("a folder");
    let file = parent.path().join("file");
    fs::write(&file, "x").expect("a file");
    let open = parent.path().join("open");
    fs::create_dir(&open).expect("a folder");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("its mode");
    let data = parent.path().join("data");
    let (server, _) = started(&data);
    stop(server);
    let mode = fs::metadata(&data).expect("made").permissions().mode();
    assert_eq!(mode & 0o7777, 0o700, "{mode:o}");
    // Whatever the segments hold, they do not begin so.
    for entry in fs::read_dir(&data).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.file_name().is_some_and(|name| name != "lock") {
            let mut bytes = fs::read(&entry).expect("a file");
            bytes[..4].copy_from_slice(b"oops");
            fs::write(&entry, bytes).expect("written");
        }
    }
    for (directory, part) in [(&file, "file"), (&open, "chmod 0700"), (&data, "damaged")] {
        let output = serve(directory).words("--listen 127.0.0.1:0").output();
        refused(&output, &[part, directory.to_str().expect("a plain path")]);
    }
}

/// Measured, not asserted: machines differ.
#[test]
fn from_the_start_to_the_first_answer() {
    let directory = tempfile::tempdir().expect("a folder");
    let begun = Instant::now();
    let (server, address) = started(directory.path());
    let client = Onlooker::connect(address).expect("a session");
    let took = begun.elapsed();
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let memory = status.lines().find(|line| line.starts_with("VmRSS")).expect("a line");
    println!("from exec to the first answered request {took:?}; {memory}");
    client.close().expect("closed");
    stop(server);
}
