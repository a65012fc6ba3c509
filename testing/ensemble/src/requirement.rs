//! Whether this machine has what a test needs, said loudly.
//!
//! A developer without ZooKeeper gets tests that say that they did not run. The gate sets `ELECTOR_REQUIRE_ALL=1`,
//! where a test that cannot run fails, so that "all passed" never means "nothing was tried".

use std::path::Path;

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

/// Whether all these are here; if not, says or panics as [`require`].
pub(crate) fn available(programs: &[&str], files: &[&str]) -> bool {
    let no_program = programs.iter().filter(|name| !on_path(name)).map(|name| format!("no program {name}"));
    let no_file = files.iter().filter(|path| !Path::new(path).exists()).map(|path| format!("no file {path}"));
    let missing: Vec<String> = no_program.chain(no_file).collect();
    if missing.is_empty() {
        return true;
    }
    let missing = missing.join(", ");
    assert!(!is_set(REQUIRE_ALL), "{missing}: run scripts/setup");
    // Written past the test harness's capture, which would show it only when the test fails.
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("SKIPPED: {name}, because {missing}: run scripts/setup\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    false
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
