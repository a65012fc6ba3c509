//! What the program gets: variables, standard input, and nothing that is not its own.

mod common;

use common::{Elector, LONG, SHORT, number_after, shared_server};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_program_gets_election_id_and_token_and_no_secret() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let directory = tempfile::tempdir().expect("a folder");
    let auth = directory.path().join("auth");
    fs::write(&auth, "digest:user:hunter2\r\n").expect("a file");
    fs::set_permissions(&auth, fs::Permissions::from_mode(0o600)).expect("its mode");
    let socket = directory.path().join("notify");

    let mut run = Elector::run(&server.connect_string(), "me:1", SHORT)
        .words("--auth-file")
        .word(auth.to_str().expect("a plain path"))
        .word("/environment")
        .script("env; tr '\\0' '\\n' </proc/$PPID/cmdline; echo end-of-environment")
        .env("NOTIFY_SOCKET", socket.to_str().expect("a plain path"))
        .env("OTHER", "passes")
        .start();
    let led = run.wait_for("leading with token");
    run.wait_for_output("end-of-environment");
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
    let printed = run.printed();
    for line in ["ELECTOR_ELECTION=/environment", "ELECTOR_ID=me:1", "OTHER=passes"] {
        assert!(printed.lines().any(|printed| printed == line), "{line} is not in {printed}");
    }
    let token = number_after(&printed, "ELECTOR_TOKEN=");
    assert_eq!(token, number_after(&led, "token"));
    assert!(!printed.contains("NOTIFY_SOCKET") && !printed.contains("hunter2"), "{printed}");
    assert!(!run.said().contains("hunter2"), "{}", run.said());
}

#[test]
fn a_nested_elector_has_its_own_identity() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let inner = format!(
        "{} run {SHORT} /inner -- sh -c 'echo inner id $ELECTOR_ID election $ELECTOR_ELECTION'",
        env!("CARGO_BIN_EXE_elector")
    );
    let mut run = Elector::new("run")
        .words(SHORT)
        .words("--id outer /outer")
        .script(&inner)
        .env("ELECTOR_ZOOKEEPER", &servers)
        .start();
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
    let line = run.printed();
    assert!(line.contains("election /inner") && !line.contains("id outer"), "{line}");
    assert!(!run.said().contains("is not a variable"), "{}", run.said());
}

/// Row B17.
#[test]
fn options_come_from_the_environment_and_a_flag_wins() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let mut run = Elector::new("run")
        .words("-v --id flag /variables")
        .script("exit 3")
        .env("ELECTOR_ZOOKEEPER", &server.connect_string())
        .env("ELECTOR_SESSION_TIMEOUT", "4s")
        .env("ELECTOR_ENSEMBLE_TICK", "500ms")
        .env("ELECTOR_LOG_FORMAT", "json")
        .env("ELECTOR_ID", "variable")
        .start();
    assert_eq!(run.end(LONG), Some(3), "{}", run.said());
    let mut events = Vec::new();
    for line in run.said().lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("each line is an object");
        assert_eq!((&value["id"], &value["election"]), (&"flag".into(), &"/variables".into()));
        assert!(value["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{line}");
        events.push(value["event"].as_str().expect("an event").to_string());
    }
    for event in ["connecting", "connected", "leading", "resigned"] {
        assert!(events.iter().any(|known| known == event), "{event} is not in {events:?}");
    }
    assert!(run.said().contains("--id is a flag and wins over ELECTOR_ID"), "{}", run.said());
}

/// Or the left side of each of its pipelines would go on where it should end.
#[test]
fn the_program_hears_of_broken_pipes() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let script = "grep SigIgn /proc/self/status";
    let mut run =
        Elector::run(&server.connect_string(), "pipes", SHORT).word("/pipes").script(script).start();
    let ignored = run.wait_for_output("SigIgn");
    let mask = u64::from_str_radix(ignored.rsplit(['\t', ' ']).next().expect("a mask").trim(), 16);
    assert_eq!(mask.expect("a number") >> 12 & 1, 0, "{ignored}");
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
}

/// Where core dumps are asked for, the program's is written and elector's, with its secrets, is not.
#[test]
fn elector_leaves_no_core_dump_and_its_program_may() {
    let directory = tempfile::tempdir().expect("a folder");
    let place = directory.path().display();
    // The next one may be written over the last one: they are counted once and removed.
    let take_cores = || {
        let entries = fs::read_dir(directory.path()).expect("there").flatten();
        let is_core = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("core");
        entries.filter(is_core).map(|core| fs::remove_file(core.path())).filter(Result::is_ok).count()
    };
    let start = |script: &str| {
        let limit = format!("ulimit -c unlimited; cd {place}; exec \"$@\"");
        let run =
            Elector::new("run").word(&format!("--local={place}/elections")).word("/cores").script(script);
        run.through(&["sh", "-c", &limit, "sh"]).start()
    };
    let mut run = start("kill -SEGV $$");
    assert_eq!(run.end(LONG), Some(139), "{}", run.said());
    if take_cores() == 0 {
        eprintln!("SKIPPED: this machine writes no core dumps beside the program");
        return;
    }
    let mut run = start("echo started; exec sleep 1000");
    run.wait_for_output("started");
    run.signal(rustix::process::Signal::ABORT);
    assert_eq!(run.end(LONG), None, "{}", run.said());
    assert_eq!(take_cores(), 0, "elector's memory was written down");
}
