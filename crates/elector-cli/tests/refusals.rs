//! What no retry can mend ends at once with 2 and says what is in the way.

mod common;

use common::{Elector, LONG, SHORT, shared_server};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use zk_ensemble::{Ensemble, Kind, Onlooker};

fn onlooker(server: &Ensemble) -> Onlooker {
    Onlooker::connect(server.servers()[0].address()).expect("a session")
}

/// A file of credentials; the folder goes with the first value.
fn auth_file(content: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("auth");
    fs::write(&path, content).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    let shown = path.to_str().expect("a plain path").to_string();
    (directory, shown)
}

#[test]
fn foreign_contenders_are_named_with_the_layout_that_fits() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let mut onlooker = onlooker(&server);
    let (latch, lock) =
        ("_c_0f8fad5b-d9cb-469f-a165-70867728950e-latch-", "_c_0f8fad5bd9cb469fa16570867728950e-lock-");
    let kazoo = "0f8fad5bd9cb469fa16570867728950e__lock__";
    // Who is there, the layout asked for, and the words that name them and what fits.
    let cases: [(&[&str], &str, &[&str]); 6] = [
        (&[lock], "latch", &["Go's Lock", "-lock-0000000000", "use --layout lock"]),
        (&[kazoo], "latch", &["kazoo", "__lock__0000000000", "use --layout kazoo"]),
        (&[latch], "lock", &["Curator LeaderLatch", "-latch-0000000000", "use --layout latch"]),
        (&[kazoo], "lock", &["__lock__0000000000", "use --layout kazoo"]),
        (&[lock, latch], "lock", &["Curator LeaderLatch", "-latch-0000000001", "use another path"]),
        (&["0f8fad5b__rlock__"], "kazoo", &["__rlock__0000000000", "use another path"]),
    ];
    for (number, (present, layout, words)) in cases.into_iter().enumerate() {
        let path = format!("/foreign-{number}");
        onlooker.create(&path, b"", Kind::Persistent).expect("created");
        for stem in present {
            let theirs = format!("{path}/{stem}");
            onlooker.create(&theirs, b"theirs", Kind::EphemeralSequential).expect("created");
        }
        let before = onlooker.children(&path).expect("a list");
        let options = format!("{SHORT} --layout {layout}");
        let output = Elector::run(&server.connect_string(), "one", &options)
            .word(&path)
            .script("echo must not run")
            .output();
        assert_eq!(output.code, Some(2), "{}", output.stderr);
        for word in words {
            assert!(output.stderr.contains(word), "{word}: {}", output.stderr);
        }
        assert_eq!(output.stdout, "");
        assert_eq!(onlooker.children(&path).expect("a list"), before, "nothing of ours was left");
    }
    onlooker.close().expect("closed");
}

/// Row B23: no permission on the path.
#[test]
fn a_path_without_permission_is_named_and_not_tried_for_ever() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    // ZooKeeper's own node for its configuration may be read by anybody and written by nobody.
    let servers = format!("{}/zookeeper/config", server.connect_string());
    let (_folder, file) = auth_file("digest:owner:hunter2\n");
    for options in [String::new(), format!("--auth-file {file}")] {
        let output = Elector::run(&servers, "one", SHORT)
            .words(&options)
            .word("/private")
            .script("echo must not run")
            .output();
        assert_eq!(output.code, Some(2), "{options}: {}", output.stderr);
        for part in ["/private: no permission to create the election path", "--auth-file"] {
            assert!(output.stderr.contains(part), "{}", output.stderr);
        }
        assert!(!output.stderr.contains("hunter2") && output.stdout.is_empty(), "{}", output.stderr);
    }
}

/// Row B23: refused credentials.
#[test]
fn credentials_that_the_servers_refuse_are_not_tried_for_ever() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let (_folder, file) = auth_file("no-such-scheme:hunter2\n");
    let output = Elector::run(&server.connect_string(), "one", SHORT)
        .words("--auth-file")
        .word(&file)
        .word("/refused")
        .script("echo must not run")
        .output();
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert_eq!(output.stderr.matches("credentials").count(), 1, "{}", output.stderr);
    assert!(!output.stderr.contains("hunter2") && output.stdout.is_empty(), "{}", output.stderr);
}

#[test]
fn names_of_others_cannot_drive_the_terminal() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let mut onlooker = onlooker(&server);
    onlooker.create("/hostile", b"", Kind::Persistent).expect("created");
    let name = "/hostile/_c_0f8fad5b-d9cb-469f-a165-70867728950e-latch-";
    onlooker.create(name, b"\x1b[2Jevil\nelector: lie\xff", Kind::EphemeralSequential).expect("created");
    let mut run =
        Elector::run(&server.connect_string(), "one", SHORT).word("/hostile").script("exit 0").start();
    let waiting = run.wait_for("waiting, 2nd of 2");
    assert!(waiting.contains("evil"), "{waiting}");
    let said = run.said();
    assert!(!said.contains('\u{1b}') && !said.contains("\nelector: lie"), "{said}");
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0));
    onlooker.close().expect("closed");
}

/// Servers tell nobody of a znode's end who may not read it: waiting behind one would be for ever.
#[test]
fn a_contender_that_may_not_read_the_one_ahead_does_not_wait_for_ever() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let folder = tempfile::tempdir().expect("a folder");
    let secret = |name: &str, line: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, line).expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
        path.to_str().expect("readable").to_owned()
    };
    let contender = |id: &str, file: &str| {
        let options = format!("{SHORT} --auth-file {file} --acl auth::cdrwa");
        Elector::run(&server.connect_string(), id, &options).word("/unreadable").script("exec sleep 1000")
    };
    // An open path: who may not contend at all is told so before.
    onlooker(&server).create("/unreadable", b"", Kind::Persistent).expect("made");
    let mut owner = contender("owner", &secret("right", "digest:user:right\n")).start();
    owner.wait_for("leading with token");
    let other = contender("other", &secret("wrong", "digest:user:wrong\n")).output();
    assert_eq!(other.code, Some(2), "{}", other.stderr);
    assert!(other.stderr.contains("no permission to read the contender ahead"), "{}", other.stderr);
}

/// No shell: not even for a file that the kernel will not execute.
#[test]
fn a_binary_that_is_none_is_not_handed_to_a_shell() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tool");
    fs::write(&file, b"\x7fELFgarbage\necho run by a shell\n").expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its mode");
    let run = Elector::run(&server.connect_string(), "one", SHORT).word("/garbage").words("--");
    let output = run.word(file.to_str().expect("a plain path")).output();
    assert_eq!(output.code, Some(126), "{}", output.stderr);
    assert!(!output.stdout.contains("run by a shell"), "{}", output.stdout);
}
