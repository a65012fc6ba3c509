//! Bad input on the command line and in the environment: exit status 2, one line that says what, where and how to
//! mend it; nothing is sent anywhere, nothing panics, nothing hangs.

mod common;

use common::Elector;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Nobody listens there, and nothing here should get as far as asking.
const NOWHERE: &str = "127.0.0.1:1";

/// Runs to the end and checks status and message.
fn refused(elector: Elector, code: i32, parts: &[&str]) {
    let shown = format!("{elector:?}");
    let output = elector.output();
    assert_eq!(output.code, Some(code), "{shown} said {}", output.stderr);
    assert!(output.stdout.is_empty(), "{shown} wrote {}", output.stdout);
    assert!(!output.stderr.contains("panicked"), "{shown}: {}", output.stderr);
    for part in parts {
        assert!(output.stderr.contains(part), "{shown} said {:?} without {part:?}", output.stderr);
    }
    assert_eq!(output.stderr.lines().count(), 1, "{shown} said {}", output.stderr);
    assert!(output.stderr.starts_with("elector: "), "{shown} said {}", output.stderr);
}

fn run(options: &str) -> Elector {
    Elector::new("run").words(options).words("/usage -- true")
}

/// Rows B1 and B2.
#[test]
fn commands_and_options_that_do_not_exist() {
    refused(Elector::bare(), 2, &["no command"]);
    refused(Elector::new("stauts"), 2, &["stauts", "did you mean status"]);
    refused(run(&format!("-z {NOWHERE} --stop-gracee 1s")), 2, &["did you mean --stop-grace"]);
    refused(Elector::new("run").words(&format!("-z {NOWHERE} /usage")), 2, &["no program given after --"]);
}

/// Rows B3 and B4.
#[test]
fn servers_that_cannot_be() {
    for (list, part) in [
        ("", "no server given"),
        ("a:b:c", "a:b:c"),
        ("host:0", "host:0"),
        ("host:70000", "host:70000"),
        (":2181", ":2181"),
        ("host:2181/a//b", "/a//b"),
        ("host:2181/../x", "/../x"),
        ("host:2181/a/", "/a/"),
        ("h1,,h2", "server"),
    ] {
        let elector = Elector::new("run").words("-z").word(list).words("/usage -- true");
        refused(elector, 2, &["--zookeeper", part]);
        let elector = Elector::new("observe").word("/usage").env("ELECTOR_ZOOKEEPER", list);
        refused(elector, 2, &["ELECTOR_ZOOKEEPER", part]);
    }
}

/// Rows B6 and B7.
#[test]
fn elections_that_cannot_be() {
    let long = format!("/{}", "x".repeat(2000));
    for (path, part) in [
        ("billing", "'/'"),
        ("/a/../b", "position 3"),
        ("/a//b", "position 3"),
        ("/a/", "position 2"),
        ("/a\u{1}b", "position 2"),
        ("/a\u{f000}", "position 2"),
        ("/a\u{fff5}", "position 2"),
        ("/", "reserved"),
        ("/zookeeper", "reserved"),
        ("/zookeeper/quota", "reserved"),
        ("/a.ctl", ".ctl"),
        (&long, "1024"),
    ] {
        let elector = Elector::new("run").words("-z").word(NOWHERE).word(path).words("-- true");
        refused(elector, 2, &[part]);
    }
}

/// Row B8, and B9 and B10 with their arithmetic.
#[test]
fn durations_that_cannot_be() {
    for value in ["0s", "-1", "10", "10x", "1e99", "25days", "25d", ""] {
        let elector = Elector::new("run").words("--session-timeout").word(value);
        refused(elector.words("-z").word(NOWHERE).words("/usage -- true"), 2, &["--session-timeout", value]);
    }
    // The arithmetic is shown where a lease has no room.
    for options in ["--session-timeout 2s", "--session-timeout 4s --loss-grace 4s", "--loss-grace 9s"] {
        refused(run(&format!("-z {NOWHERE} {options}")), 2, &["too short", "needed"]);
    }
}

/// Row B11.
#[test]
fn ids_that_cannot_be() {
    let long = "x".repeat(10_240);
    for (id, part) in [("", "empty"), ("a\nb", "control"), (long.as_str(), "255")] {
        let elector = Elector::new("run").words("--id").word(id).words("-z").word(NOWHERE);
        refused(elector.words("/usage -- true"), 2, &["--id", part]);
    }
    let elector = Elector::new("run").words("--id").bytes(b"x\xff").words("-z").word(NOWHERE);
    refused(elector.words("/usage -- true"), 2, &["--id", "UTF-8"]);
}

/// Row B18.
#[test]
fn a_password_on_the_command_line_is_refused_and_not_repeated() {
    for options in
        ["--auth digest:u:hunter2", "--password=hunter2", "--auth-file digest:u:hunter2", "-z u:hunter2@zk1"]
    {
        let elector = run(&format!("{options} -z {NOWHERE}"));
        let output = elector.output();
        assert_eq!(output.code, Some(2), "{options}: {}", output.stderr);
        assert!(!output.stderr.contains("hunter2"), "{options}: {}", output.stderr);
    }
}

/// Row B19.
#[test]
fn files_of_credentials_that_cannot_serve() {
    let directory = tempfile::tempdir().expect("a folder");
    let write = |name: &str, mode: u32, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        path.to_str().expect("a plain path").to_string()
    };
    let open = write("open", 0o644, "digest:u:p\n");
    let empty = write("empty", 0o600, "");
    let broken = write("broken", 0o600, "digest:u:p\nhunter2\n");
    let folder = directory.path().to_str().expect("a plain path").to_string();
    for (file, part) in [
        (open.as_str(), "chmod 600"),
        (&empty, "no credential"),
        (&broken, "line 2"),
        (&folder, "regular file"),
        ("/no/such/file", "No such file"),
    ] {
        refused(run(&format!("-z {NOWHERE} --auth-file {file}")), 2, &["--auth-file", part]);
    }
}

#[test]
fn access_lists_that_cannot_be() {
    for (list, part) in [
        ("creator", "--auth-file"),
        ("world", "scheme:id:rights"),
        ("world:anyone:xyz", "cdrwa"),
        ("world:anyone:w", "read"),
        ("auth::cdrwa", "credentials"),
    ] {
        refused(run(&format!("-z {NOWHERE} --acl {list}")), 2, &[part]);
    }
}

#[test]
fn programs_that_cannot_be_run_are_refused_before_contending() {
    let directory = tempfile::tempdir().expect("a folder");
    let plain = directory.path().join("plain");
    fs::write(&plain, "#!/bin/sh\n").expect("a file");
    let shown = plain.to_str().expect("a plain path");
    let program = |name: &str| Elector::new("run").words("-z").word(NOWHERE).words("/usage --").word(name);
    refused(program("no-such-program-anywhere"), 127, &["not found"]);
    refused(program("/no/such/program"), 127, &["no such file"]);
    refused(program(shown), 126, &["chmod +x"]);
    refused(program("/"), 126, &["not a regular file"]);
}

#[test]
fn the_place_is_never_guessed() {
    let output = Elector::new("run").words("/usage -- true").output();
    assert_eq!(output.code, Some(2));
    assert_eq!(
        output.stderr,
        "elector: where is this election held? Neither --zookeeper nor --local was given.\n  \
         among machines:       --zookeeper zk1:2181,zk2:2181,zk3:2181   (or ELECTOR_ZOOKEEPER)\n  \
         on this machine only: --local                                  (or ELECTOR_LOCAL=1)\n"
    );
    refused(run(&format!("-z {NOWHERE} --local")), 2, &["--zookeeper and --local"]);
    refused(run("--local="), 2, &["--local=: no directory given"]);
    refused(run("").env("ELECTOR_LOCAL", "0"), 2, &["ELECTOR_LOCAL 0", "a directory"]);
    let both = run("").env("ELECTOR_LOCAL", "1").env("ELECTOR_ZOOKEEPER", NOWHERE);
    refused(both, 2, &["ELECTOR_ZOOKEEPER and ELECTOR_LOCAL"]);
    refused(Elector::new("status").words("--local=/dev/null /usage"), 2, &["/dev/null", "not a directory"]);
}

#[test]
fn an_unknown_variable_is_warned_of_without_its_value() {
    let output =
        run(&format!("-z {NOWHERE} --connect-timeout 300ms")).env("ELECTOR_STOP_GRACEE", "hunter2").output();
    assert_eq!(output.code, Some(125), "{}", output.stderr);
    assert!(output.stderr.contains("did you mean ELECTOR_STOP_GRACE?"), "{}", output.stderr);
    assert!(!output.stderr.contains("hunter2"));
}

#[test]
fn help_goes_to_standard_output() {
    for (words, part) in [
        ("--help", "Usage: elector COMMAND"),
        ("run --help", "--takeover-delay"),
        ("run -h", "--stop-grace"),
        ("status --help", "Usage: elector status"),
        ("--version", "elector "),
    ] {
        let output = Elector::bare().words(words).output();
        assert_eq!(output.code, Some(0), "{words}");
        assert!(output.stdout.contains(part), "{words}: {}", output.stdout);
        assert!(output.stderr.is_empty(), "{words}: {}", output.stderr);
    }
}

#[test]
fn a_misspelt_variable_is_named_where_it_is_missed() {
    let output = Elector::new("run").env("ELECTOR_ZOKEEPER", "zk1:2181").word("/x").words("-- true").output();
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("did you mean ELECTOR_ZOOKEEPER?"), "{}", output.stderr);
}

#[test]
fn help_is_a_word_too_and_an_answer_that_cannot_be_written_is_a_failure() {
    let asked = Elector::new("help").word("run").output();
    assert_eq!(asked.code, Some(0));
    assert_eq!(asked.stdout, Elector::new("run").word("--help").output().stdout);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_elector"));
    let status = command.arg("--help").stdout(full).status().expect("elector starts");
    assert_eq!(status.code(), Some(125));
}

#[test]
fn a_chroot_stands_once() {
    let output = Elector::new("run").words("-z zk1:2181/x,zk2:2181/x /e -- true").output();
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("behind the last server"), "{}", output.stderr);
}

/// Whoever reads JSON need not read anything else, also where nothing begins.
#[test]
fn refusals_are_json_where_the_log_is() {
    let run = |options: &str| Elector::new("run").words(options);
    let nowhere = format!("-z {NOWHERE}");
    for (elector, part) in [
        (run(&format!("{nowhere} --log-format json --stop-grace 10 /usage -- true")), "--stop-grace"),
        (run("--stop-grace 10 --log-format=json /usage -- true"), "where is this election held"),
        (
            run(&format!("{nowhere} /usage -- no-such-program")).env("ELECTOR_LOG_FORMAT", "json"),
            "no-such-program",
        ),
        (run(&format!("{nowhere} --log-format json --session-timeout 3s /usage -- true")), "too short"),
        (Elector::new("observe").words("--log-format json -z x:y /usage"), "x:y"),
        (Elector::new("observe").words(&nowhere).words("--log-format json /"), "reserved"),
    ] {
        let output = elector.output();
        assert!(matches!(output.code, Some(2 | 127)), "{}", output.stderr);
        for line in output.stderr.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("an object a line");
            assert_eq!((&line["level"], &line["event"]), (&"error".into(), &"error".into()));
            assert!(line["message"].as_str().is_some_and(|message| message.contains(part)), "{line}");
        }
        assert!(!output.stderr.is_empty());
    }
    // What stands behind -- is the program's.
    let output = run("/usage -- true --log-format json").output();
    assert!(output.stderr.starts_with("elector: where is"), "{}", output.stderr);
}

/// An option that would silently do nothing is refused.
#[test]
fn options_that_contradict_each_other() {
    let both = format!("-z {NOWHERE} --on-exit restart --at-least 5s");
    refused(run(&both), 2, &["--at-least", "--on-exit restart"]);
}

/// The pages as they are printed; `ELECTOR_UPDATE=1` writes them anew, to be looked at before they are committed.
#[test]
fn the_help_is_as_written() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    for (name, words) in [
        ("elector", &["--help"][..]),
        ("run", &["run", "--help"]),
        ("run-short", &["run", "-h"]),
        ("check", &["check", "--help"]),
        ("status", &["status", "--help"]),
        ("observe", &["observe", "--help"]),
        ("why", &["why", "--help"]),
        ("demo", &["demo", "--help"]),
        ("serve", &["serve", "--help"]),
        ("completions", &["completions", "--help"]),
        ("man", &["man", "--help"]),
    ] {
        let output = words.iter().fold(Elector::bare(), |elector, word| elector.word(word)).output();
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{name}");
        let file = folder.join(format!("{name}.txt"));
        if std::env::var_os("ELECTOR_UPDATE").is_some() {
            fs::write(&file, &output.stdout).expect("written");
        }
        let written = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(output.stdout, written, "{name}: run with ELECTOR_UPDATE=1 if this is meant");
        assert!(output.stdout.lines().all(|line| line.chars().count() <= 130), "{name}");
    }
}

/// Row B20.
#[test]
fn a_digest_password_in_clear_text_is_warned_of() {
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("auth");
    fs::write(&file, "digest:u:hunter2\n").expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    let said = |server: &str| {
        let run = Elector::new("run").words("-z").word(server).words("--connect-timeout 200ms --auth-file");
        let output = run.word(file.to_str().expect("a plain path")).words("/usage -- true").output();
        assert_eq!(output.code, Some(125), "{}", output.stderr);
        output.stderr
    };
    let remote = said("zk.invalid:2181");
    assert!(remote.contains("clear text") && !remote.contains("hunter2"), "{remote}");
    assert!(!said(NOWHERE).contains("clear text"));
}
