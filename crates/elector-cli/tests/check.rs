//! `elector check`: what is found, what is to be mended first, and that nothing is changed.

mod common;

use common::{Elector, Output, SHORT, shared_server, wait_until_gone};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use zk_ensemble::{Kind, Onlooker};

fn check(servers: &str, words: &str) -> Output {
    Elector::new("check").words("-z").word(servers).words(SHORT).words(words).output()
}

fn assert_says(output: &Output, code: i32, parts: &[&str]) {
    assert_eq!(output.code, Some(code), "{}{}", output.stdout, output.stderr);
    for part in parts {
        assert!(output.stdout.contains(part), "no {part:?} in {}{}", output.stdout, output.stderr);
    }
}

#[test]
fn a_sound_place_has_nothing_to_mend_and_stays_as_it_is() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut onlooker = Onlooker::connect(server.servers()[0].address()).expect("the server is up");
    let missing = check(&servers, "/check-missing/below");
    assert_says(
        &missing,
        0,
        &[
            "grants a session timeout of 4s",
            "may be made below /",
            "a fail-over takes at most 5.5 s",
            "nothing to mend",
        ],
    );
    assert!(onlooker.exists("/check-missing").expect("an answer").is_none(), "it made nothing");

    onlooker.create("/check-there", b"", Kind::Persistent).expect("made");
    let before = onlooker.exists("/check-there").expect("an answer");
    let output = check(&servers, "/check-there");
    assert_says(
        &output,
        0,
        &[
            "contenders made and deleted there",
            "nobody contends there now",
            "containment: the program is held by",
            "nothing to mend",
        ],
    );
    assert_eq!(onlooker.exists("/check-there").expect("an answer"), before, "not even for a moment");
    onlooker.close().expect("closed");
}

#[test]
fn the_first_thing_to_mend_gives_the_status() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let silent = zk_ensemble::Port::reserve();
    let with_a_dead_one = format!("{servers},127.0.0.1:{}", silent.number());
    let dead = check(&with_a_dead_one, "--connect-timeout 500ms /check");
    assert_says(&dead, 4, &["gives no session: ", "refused", "first to mend: 127.0.0.1:"]);

    let granted = check(&servers, "--session-timeout 100s /check");
    assert_eq!(granted.code, Some(2), "given twice: {}", granted.stderr);
    let long =
        Elector::new("check").words("-z").word(&servers).words("--session-timeout 100s /check").output();
    assert_says(&long, 2, &["grants a session timeout of 10s where 1m40s was asked"]);

    let mut onlooker = Onlooker::connect(server.servers()[0].address()).expect("the server is up");
    onlooker.create("/check-foreign", b"", Kind::Persistent).expect("made");
    let theirs = "/check-foreign/_c_0f8fad5b-d9cb-469f-a165-70867728950e-lock-";
    onlooker.create(theirs, b"theirs", Kind::EphemeralSequential).expect("made");
    let foreign = check(&servers, "/check-foreign");
    assert_says(&foreign, 2, &["layout lock", "LeaderSelector", "use --layout lock"]);
    assert_says(
        &check(&servers, "--layout lock /check-foreign"),
        0,
        &["1 of layout lock", "nothing to mend"],
    );

    onlooker.create("/check-stuck", b"", Kind::Persistent).expect("made");
    let lasting = "/check-stuck/_c_0f8fad5b-d9cb-469f-a165-70867728950e-latch-";
    onlooker.create(lasting, b"old cron job", Kind::PersistentSequential).expect("made");
    let said = "first to mend: old cron job's znode is not ephemeral: it never goes by itself";
    assert_says(&check(&servers, "/check-stuck"), 2, &[said]);

    // ZooKeeper's own node may be read by anybody and written by nobody.
    let closed = check(&format!("{servers}/zookeeper/config"), "/private");
    assert_says(&closed, 2, &["no permission to create below /"]);
    onlooker.close().expect("closed");
}

#[test]
fn a_sample_stop_is_really_done_and_nothing_of_it_is_left() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let folder = tempfile::tempdir().expect("a folder");
    let pid = folder.path().join("pid");
    let sample = |options: &str, script: &str| {
        let script = format!("echo $$ > {}; {script}", pid.display());
        let check = Elector::new("check").words("-z").word(&server.connect_string()).words(SHORT);
        let output = check.words(options).word("/check-sample").script(&script).output();
        let pid = fs::read_to_string(&pid).expect("it ran").trim().parse().expect("a pid");
        wait_until_gone(pid, common::LONG);
        output
    };
    assert_says(&sample("", "exec sleep 1000"), 0, &["sh was really run and takes ", "nothing to mend"]);
    assert_says(&sample("", "exit 3"), 0, &["ended by itself within a second"]);
    let stubborn = "trap '' TERM; while :; do sleep 0.1; done";
    assert_says(
        &sample("--stop-grace 300ms", stubborn),
        2,
        &["is not gone 300ms after TERM", "first to mend: sh"],
    );
    let slow = "trap 'sleep 2; exit 0' TERM; while :; do sleep 0.05; done";
    assert_says(&sample("", slow), 2, &["lengthen --loss-grace"]);
    let missing = Elector::new("check").words("-z").word(&server.connect_string()).words(SHORT);
    assert_says(&missing.words("/check-sample -- no-such-program").output(), 2, &["no-such-program"]);
}

#[test]
fn refused_credentials_and_a_directory_are_judged_too() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("auth");
    fs::write(&file, "no-such-scheme:hunter2\n").expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    let words = format!("--auth-file {} /check", file.display());
    let output = check(&server.connect_string(), &words);
    assert_says(&output, 2, &["look at --auth-file"]);
    assert!(!output.stdout.contains("hunter2"));

    let place = format!("--local={}", folder.path().join("state").display());
    let local = Elector::new("check").word(&place).word("/check").output();
    assert_says(&local, 0, &["is made by the first run", "T = 5s", "nothing to mend"]);
    assert!(!folder.path().join("state").exists(), "a check makes nothing");
}

/// Who may not read the path may not see who contends either: that is one thing to mend, and said once.
#[test]
fn a_path_that_may_not_be_read_is_one_thing_to_mend() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    fs::write(&file, "digest:user:right\n").expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    let options = format!("{SHORT} --auth-file {} --acl auth::cdrwa", file.display());
    let run = Elector::run(&servers, "owner", &options).word("/check-closed");
    let mut owner = run.script("exec sleep 1000").start();
    owner.wait_for("leading with token");
    let output = check(&servers, "/check-closed");
    assert_says(&output, 2, &["mend  no permission to read /check-closed: give --auth-file"]);
    assert_eq!(output.stdout.matches("\nmend ").count(), 1, "{}", output.stdout);
}
