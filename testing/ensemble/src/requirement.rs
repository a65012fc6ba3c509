//! Whether this machine has what a test needs, said loudly.
//!
//! A developer without ZooKeeper gets tests that say that they did not run. The gate sets `ELECTOR_REQUIRE_ALL=1`,
//! where a test that cannot run fails, so that "all passed" never means "nothing was tried".

use std::path::Path;
use std::process::Command;

use crate::server::{LOGGER_JAR, ZOOKEEPER_JAR};

/// Set to 1 by the gate: what is missing fails the test instead of skipping it.
pub const REQUIRE_ALL: &str = "ELECTOR_REQUIRE_ALL";

/// Set to 1 by the release tier: tests repeat their faults as often as the documents claim.
pub const RELEASE: &str = "ELECTOR_RELEASE";

/// How often a test repeats its fault: `gate` times, or `release` times when `ELECTOR_RELEASE=1`.
#[must_use]
pub fn rounds(gate: usize, release: usize) -> usize {
    if is_set(RELEASE) { release } else { gate }
}

/// Whether real servers can be started here. If not, says on the standard error why the test is skipped.
///
/// ```no_run
/// if !zk_ensemble::require() {
///     return;
/// }
/// ```
///
/// # Panics
/// When something is missing and `ELECTOR_REQUIRE_ALL=1`.
#[must_use]
pub fn require() -> bool {
    available(&["java", "setpriv"], &[ZOOKEEPER_JAR, LOGGER_JAR])
}

/// Whether these programs are here, for a test that needs no servers; if not, says so as [`require`].
///
/// # Panics
/// As [`require`].
#[must_use]
pub fn require_programs(programs: &[&str]) -> bool {
    available(programs, &[])
}

/// The words that start a program in namespaces of its own: `unshare` with `options`, for an ordinary user in a user
/// namespace in which it is root. `None`, said as by [`require`], where the system refuses that.
///
/// # Panics
/// As [`require`].
#[must_use]
pub fn require_namespaces(options: &[&'static str]) -> Option<Vec<&'static str>> {
    if !require_programs(&["unshare", "mount"]) {
        return None;
    }
    let as_root: &[&str] =
        if rustix::process::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
    let words = [&["unshare"], as_root, options].concat();
    let tried = Command::new(words[0]).args(&words[1..]).arg("true").output().expect("it is on the path");
    if tried.status.success() {
        return Some(words);
    }
    let refused = format!("{}: {}", words.join(" "), String::from_utf8_lossy(&tried.stderr).trim());
    lacks(&refused, "it takes root with CAP_SYS_ADMIN, or user namespaces");
    None
}

/// Whether all these are here; if not, says or panics as [`require`].
pub(crate) fn available(programs: &[&str], files: &[&str]) -> bool {
    let no_program = programs.iter().filter(|name| !on_path(name)).map(|name| format!("no program {name}"));
    let no_file = files.iter().filter(|path| !Path::new(path).exists()).map(|path| format!("no file {path}"));
    let missing: Vec<String> = no_program.chain(no_file).collect();
    if missing.is_empty() {
        return true;
    }
    lacks(&missing.join(", "), "run scripts/setup");
    false
}

/// Says what a test lacks and how to mend it.
///
/// # Panics
/// When `ELECTOR_REQUIRE_ALL=1`.
fn lacks(what: &str, mend: &str) {
    assert!(!is_set(REQUIRE_ALL), "{what}: {mend}");
    // Written past the test harness's capture, which would show it only when the test fails.
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("SKIPPED: {name}, because {what}: {mend}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
