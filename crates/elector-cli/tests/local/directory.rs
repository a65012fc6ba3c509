//! Which directories are used, and which are refused: one line that names the directory and the remedy.

use crate::common::{Elector, LONG, Output};
use crate::support::{PROGRAM, Place, SHORT, stop};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use zk_ensemble::require_namespaces;

fn refused(output: &Output, parts: &[&str]) {
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    for part in parts {
        assert!(output.stderr.contains(part), "{:?} without {part:?}", output.stderr);
    }
}

fn try_here(place: &Place) -> Elector {
    place.run("one", "").words("/job -- true")
}

/// The server's directory is no place for local elections while it runs, and who tries is told so at once.
#[test]
fn a_directory_that_a_server_has_is_told_with_the_remedy() {
    let place = Place::new();
    let server = Elector::new("serve").words("--listen 127.0.0.1:0 --data-dir");
    let mut server = server.word(place.path.to_str().expect("a plain path")).start();
    server.wait_for("listens on");
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o700)).expect("ours");
    let told =
        format!("elector serve, pid {}, has {} for its own server", server.pid(), place.path.display());
    let status = place.status("");
    assert_eq!(status.code, Some(2), "{}", status.stdout);
    assert!(status.stderr.contains(&told) && status.stderr.contains("--zookeeper"), "{}", status.stderr);
    let mut run = place.contend("early");
    run.wait_for(&told);
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.end(LONG), Some(0), "{}", server.said());
    // Nothing else has to be done about it.
    run.wait_for("leading with token");
    stop(run);
}

#[test]
fn what_others_may_enter_or_own_is_refused() {
    let place = Place::new();
    fs::create_dir(&place.path).expect("made");
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o777)).expect("ours");
    let path = place.path.display().to_string();
    refused(&try_here(&place).output(), &[&path, "0777", "chmod 0700"]);
    refused(&place.status(""), &[&path, "0777", "chmod 0700"]);
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o700)).expect("ours");
    if rustix::process::geteuid().is_root() {
        chown(&place.path, Some(12345), None).expect("root may");
        refused(&try_here(&place).output(), &[&path, "belongs to user 12345"]);
    }
}

#[test]
fn what_is_no_directory_or_cannot_be_written_is_refused() {
    let place = Place::new();
    fs::write(&place.path, "").expect("written");
    let path = place.path.display().to_string();
    refused(&try_here(&place).output(), &[&path, "not a directory"]);
    refused(&place.status(""), &[&path, "not a directory"]);
    fs::remove_file(&place.path).expect("ours");

    let Some(mut through) = require_namespaces(&["--mount"]) else { return };
    fs::create_dir(&place.path).expect("made");
    let script = "mount -t tmpfs -o ro,mode=700 tmpfs \"$0\" && exec \"$@\"";
    through.extend(["sh", "-c", script, &path]);
    let output = try_here(&place).through(&through).output();
    refused(&output, &[&path, "read-only"]);
}

#[test]
fn a_name_too_long_for_a_socket_is_no_hindrance() {
    let mut place = Place::new();
    place.path = place.path.join("deep".repeat(30)).join("down");
    let mut first = place.contend("first");
    first.wait_for("leading with token");
    let mut second = place.contend("second");
    second.wait_for("waiting, 2nd of 2");
    assert_eq!(place.answer()["state"], "led");
    first.kill();
    second.wait_for("leading with token");
    assert!(second.said().contains("same session"), "{}", second.said());
    stop(second);
}

#[test]
fn a_file_in_the_sockets_place_is_not_removed() {
    let place = Place::new();
    fs::create_dir(&place.path).expect("made");
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o700)).expect("ours");
    fs::write(place.path.join("socket"), "precious").expect("written");
    let mut run = place.contend("one");
    assert_eq!(run.end(LONG), Some(125), "{}", run.said());
    assert!(run.said().contains("move it away"), "{}", run.said());
    assert_eq!(fs::read(place.path.join("socket")).expect("there"), b"precious");
}

#[test]
fn the_users_own_directory_is_that_of_the_password_database() {
    let list = fs::read_to_string("/etc/passwd").expect("there is one");
    let user = rustix::process::geteuid().as_raw().to_string();
    let home = list.lines().find(|line| line.split(':').nth(2) == Some(&user));
    let Some(home) = home.and_then(|line| line.split(':').nth(5)) else { return };
    let elsewhere = tempfile::tempdir().expect("a folder");
    let elsewhere = elsewhere.path().to_str().expect("plain");
    let status = Elector::new("status").words("--local /elector-test-nobody-uses-this");
    let output = status.env("HOME", elsewhere).env("XDG_STATE_HOME", elsewhere).output();
    assert!(output.stdout.contains(&format!("{home}/.local/state/elector")), "{}", output.stdout);
}

#[test]
fn the_variable_names_the_place_and_a_flag_overrides_it() {
    let place = Place::new();
    let path = place.path.to_str().expect("plain");
    let run = Elector::new("run").words(SHORT).word("/job").script(PROGRAM).env("ELECTOR_LOCAL", path);
    let mut run = run.start();
    assert!(run.wait_for("connecting").contains(path));
    run.wait_for("leading with token");
    stop(run);
    let other = Elector::new("run").words("-z 127.0.0.1:1 -n /job -- true").env("ELECTOR_LOCAL", path);
    let output = other.output();
    assert_eq!(output.code, Some(124), "{}", output.stderr);
    let first = output.stderr.lines().next().unwrap_or_default();
    assert!(first.contains("connecting to 127.0.0.1:1"), "{first}");
}
