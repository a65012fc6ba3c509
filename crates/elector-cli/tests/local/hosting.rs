//! Who hosts, who follows, and what becomes of those that cannot.

use crate::common::{Elector, LONG, is_there, kill_both, number_after, signal, wait_until_gone};
use crate::support::{PROGRAM, Place, SHORT, descriptors, only_session, stop};
use rustix::process::Signal;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;
use zk_ensemble::{bound_command, require_namespaces, require_programs};

#[test]
fn the_first_hosts_and_the_next_follows_it_in_both_things() {
    let place = Place::new();
    let mut first = place.contend("first");
    first.wait_for("leading with token");
    let said = first.said();
    let dir = place.path.display().to_string();
    assert!(said.lines().next().is_some_and(|line| line.contains(&dir)), "the place comes first: {said}");
    assert!(said.contains(&format!("this process hosts the elections of {dir}")), "{said}");
    assert!(!said.contains("warning"), "{said}");
    let mut second = place.contend("second");
    second.wait_for("waiting, 2nd of 2, behind first");
    assert_eq!(place.host(), Some(first.pid()));

    let output = place.status("");
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let last = format!("this machine only, read from the host in {dir}");
    assert!(output.stdout.lines().last().is_some_and(|line| line.starts_with(&last)), "{}", output.stdout);
    assert_eq!(place.answer()["scope"], "local");

    stop(first);
    second.wait_for("same session; leading on");
    assert_eq!(place.host(), Some(second.pid()));
    assert!(!second.said().contains("lost after"), "{}", second.said());
    only_session(&second);
    stop(second);

    assert!(place.is_free());
    assert!(place.path.join("socket").exists() && place.path.join("lock").exists());
}

#[test]
fn where_nothing_runs_nobody_leads_and_nothing_is_made() {
    let place = Place::new();
    let output = place.status("");
    assert_eq!(output.code, Some(3));
    let expected = format!("/job: nobody leads\nnothing is running in {}\n", place.path.display());
    assert_eq!((output.stdout, output.stderr), (expected, String::new()));
    assert!(!place.path.exists());

    let mut run = place.contend("one");
    run.wait_for("leading with token");
    run.kill();
    let before = fs::read(place.log()).expect("there");
    let answer = place.answer();
    assert_eq!((&answer["state"], &answer["read"]), (&"vacant".into(), &serde_json::Value::Null));
    let warning = answer["warnings"][0].as_str().expect("a warning");
    assert!(warning.starts_with("nothing is running in"), "{warning}");
    assert_eq!(fs::read(place.log()).expect("there"), before, "nothing was replayed or written");
    assert!(place.is_free());
}

#[test]
fn the_program_is_given_nothing_of_the_host() {
    let place = Place::new();
    let mut run = place.contend("one");
    let program = number_after(&run.wait_for("leading with token"), "pid");
    run.wait_for_output("started");
    let own = descriptors(run.pid().into());
    for part in ["/lock", "/log.", "socket:"] {
        assert!(own.iter().any(|to| to.contains(part)), "the host itself has them: {own:?}");
    }
    let dir = place.path.display().to_string();
    let inherited = descriptors(program);
    assert!(!inherited.iter().any(|to| to.contains(&dir) || to.contains("socket:")), "{inherited:?}");
    stop(run);
}

#[test]
fn no_terminal_stops_a_host() {
    let place = Place::new();
    let mut run = place.contend("one");
    run.wait_for("leading with token");
    for number in [Signal::TSTP, Signal::TTIN, Signal::TTOU] {
        signal(&run, number);
    }
    run.wait_for("Ctrl-Z is refused");
    assert_eq!(place.answer()["state"], "led");
    stop(run);
}

#[test]
fn a_new_boot_ends_the_sessions_of_the_last_one() {
    let Some(mut through) = require_namespaces(&["--mount"]) else { return };
    let place = Place::new();
    let long = "--session-timeout 600s";
    let mut first = place.run("first", long).word("/job").script(PROGRAM).start();
    let program = number_after(&first.wait_for("leading with token"), "pid");
    kill_both(&mut first, program);
    // In the same boot it is still the first.
    let mut second = place.run("second", long).word("/job").script(PROGRAM).start();
    second.wait_for("waiting, 2nd of 2, behind first");
    stop(second);

    let id = place.path.with_file_name("boot_id");
    fs::write(&id, "00000000-0000-0000-0000-000000000001\n").expect("written");
    let script = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"";
    let id = id.to_str().expect("plain");
    let third = place.run("third", long).word("/job").script(PROGRAM);
    through.extend(["sh", "-c", script, id]);
    let mut third = third.through(&through).start();
    third.wait_for("leading with token");
    stop(third);
}

#[test]
fn a_removed_directory_ends_everybody_in_it() {
    let place = Place::new();
    let mut leader = place.contend("leader");
    let program = number_after(&leader.wait_for("leading with token"), "pid");
    let mut second = place.contend("second");
    second.wait_for("waiting, 2nd of 2");
    fs::remove_dir_all(&place.path).expect("removed");
    let told = leader.wait_for("this process cannot host");
    assert!(told.contains(&place.path.display().to_string()) && told.contains("removed"), "{told}");
    assert_eq!(leader.end(LONG), Some(125), "{}", leader.said());
    assert!(!is_there(program), "{}", leader.said());
    assert_eq!(second.end(LONG), Some(125), "{}", second.said());
    assert!(second.said().contains("this process cannot host"), "{}", second.said());
}

#[test]
fn a_host_that_fails_stops_its_program_first_and_another_goes_on() {
    let place = Place::new();
    let mut leader = place.contend("leader");
    leader.wait_for_output("started");
    let mut second = place.contend("second");
    second.wait_for("waiting, 2nd of 2");
    let session = only_session(&second);
    fs::remove_file(place.path.join("lock")).expect("removed");
    leader.wait_for("this process cannot host");
    leader.wait_for_output("stopping");
    assert_eq!(leader.end(LONG), Some(125), "{}", leader.said());
    second.wait_for("leading with token");
    assert_eq!(place.host(), Some(second.pid()));
    assert_eq!(only_session(&second), session);
    stop(second);
}

#[test]
fn a_host_whose_disk_fails_stops_its_program_first_and_another_goes_on() {
    if !require_programs(&["strace"]) {
        return;
    }
    let place = Place::new();
    let mut leader = place.contend("leader");
    leader.wait_for_output("started");
    let mut second = place.contend("second");
    second.wait_for("waiting, 2nd of 2");
    let session = only_session(&second);

    let mut strace = bound_command("strace");
    strace.args([
        "-f",
        "-o",
        "/dev/null",
        "-e",
        "inject=fdatasync:error=EIO",
        "-p",
        &leader.pid().to_string(),
    ]);
    let mut strace = strace.stderr(Stdio::piped()).spawn().expect("strace starts");
    let mut attached = String::new();
    BufReader::new(strace.stderr.take().expect("a pipe")).read_line(&mut attached).expect("text");
    assert!(attached.contains("attached"), "{attached}");
    // A new session has to be written down.
    let third = place.contend("third");
    let told = leader.wait_for("this process cannot host");
    assert!(told.contains("cannot sync") && told.contains("log."), "{told}");
    leader.wait_for_output("stopping");
    assert_eq!(leader.end(LONG), Some(125), "{}", leader.said());
    strace.wait().expect("it goes with the process");
    second.wait_for("leading with token");
    assert_eq!(only_session(&second), session);
    stop(third);
    stop(second);
}

#[test]
fn a_damaged_journal_is_refused_with_file_and_offset() {
    let place = Place::new();
    let mut run = place.contend("one");
    run.wait_for("leading with token");
    stop(run);
    let log = place.log();
    let mut bytes = fs::read(&log).expect("there");
    bytes[70] ^= 1;
    fs::write(&log, &bytes).expect("written");
    let mut run = place.contend("two");
    assert_eq!(run.end(LONG), Some(125), "{}", run.said());
    let said = run.said();
    let told = said.lines().find(|line| line.contains("cannot host")).unwrap_or_default();
    assert!(told.contains(&log.display().to_string()) && told.contains("offset"), "{said}");
    assert_eq!(fs::read(&log).expect("there"), bytes, "nothing was changed");
    assert!(place.is_free());
}

#[test]
fn a_directory_of_a_newer_version_is_left_to_whoever_can_read_it() {
    let place = Place::new();
    let mut run = place.contend("one");
    run.wait_for("leading with token");
    stop(run);
    let log = place.log();
    let mut bytes = fs::read(&log).expect("there");
    bytes[11] += 1;
    let crc = crc32(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_be_bytes());
    fs::write(&log, &bytes).expect("written");

    let mut run = place.contend("old");
    let told = run.wait_for("format version 2");
    assert!(told.contains("version 1") && told.contains("another process has to host"), "{told}");
    assert!(place.is_free());
    std::thread::sleep(Duration::from_millis(300));
    assert!(run.is_running(), "{}", run.said());
    stop(run);
}

#[test]
fn a_server_is_refused_where_a_local_election_is_hosted() {
    let place = Place::new();
    let mut run = place.contend("one");
    run.wait_for("leading with token");
    let output = Elector::new("serve")
        .words("--listen 127.0.0.1:0 --data-dir")
        .word(place.path.to_str().expect("plain"));
    let output = output.output();
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains(&format!("in use by process {}", run.pid())), "{}", output.stderr);
    stop(run);
}

#[test]
fn one_that_hosts_and_does_not_lead_can_be_stopped_as_well() {
    let place = Place::new();
    let mut host = place.run("host", SHORT).word("/other").script(PROGRAM).start();
    let program = number_after(&host.wait_for("leading with token"), "pid");
    let mut leader = place.contend("leader");
    leader.wait_for("leading with token");
    stop(host);
    wait_until_gone(program, LONG);
    let next = place.next_host(0);
    assert_eq!(next, leader.pid());
    leader.wait_for("same session; leading on");
    assert_eq!(leader.said().matches("leading with token").count(), 1, "{}", leader.said());
    stop(leader);
}

/// The checksum of the journal's headers.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}
