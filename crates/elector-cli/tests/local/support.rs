//! A directory for one test, and what can be seen of it from outside.

use crate::common::{Elector, LONG, Output, Running};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The shortest session with room for the default graces.
pub(crate) const SHORT: &str = "--session-timeout 2s";
pub(crate) const SHORT_TIMEOUT: Duration = Duration::from_secs(2);

/// A program that says when it runs and when it is asked to stop.
pub(crate) const PROGRAM: &str =
    "trap 'echo stopping; exit 0' TERM; echo started; while :; do sleep 0.02; done";

/// A directory that is not there yet.
pub(crate) struct Place {
    _above: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Place {
        let above = tempfile::tempdir().expect("a folder");
        let path = above.path().canonicalize().expect("there").join("local");
        Place { _above: above, path }
    }

    fn command(&self, command: &str) -> Elector {
        Elector::new(command).word(&format!("--local={}", self.path.display()))
    }

    /// `elector run` here, up to the election.
    pub(crate) fn run(&self, id: &str, options: &str) -> Elector {
        self.command("run").word("--id").word(id).words(options)
    }

    /// A contender of `/job` with a short session.
    pub(crate) fn contend(&self, id: &str) -> Running {
        self.run(id, SHORT).word("/job").script(PROGRAM).start()
    }

    /// `elector observe` of `/job`.
    pub(crate) fn observe(&self) -> Running {
        self.command("observe").word("/job").start()
    }

    pub(crate) fn status(&self, options: &str) -> Output {
        self.command("status").words(options).word("/job").output()
    }

    /// `status --json` as a value.
    pub(crate) fn answer(&self) -> serde_json::Value {
        let output = self.status("--json");
        serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}{}", output.stdout, output.stderr))
    }

    /// The process that serves at the moment.
    pub(crate) fn host(&self) -> Option<u32> {
        UnixStream::connect(self.path.join("socket")).ok()?;
        fs::read_to_string(self.path.join("lock")).ok()?.trim().parse().ok()
    }

    /// Waits until a process other than `last` serves.
    pub(crate) fn next_host(&self, last: u32) -> u32 {
        let until = Instant::now() + LONG;
        loop {
            if let Some(host) = self.host().filter(|host| *host != last) {
                return host;
            }
            assert!(Instant::now() < until, "nobody hosts");
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// The only segment of the journal.
    pub(crate) fn log(&self) -> PathBuf {
        let entries = fs::read_dir(&self.path).expect("there").flatten().map(|entry| entry.path());
        let is_log = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"log."))
        };
        let logs: Vec<_> = entries.filter(is_log).collect();
        assert_eq!(logs.len(), 1, "{logs:?}");
        logs[0].clone()
    }

    /// Whether nobody has the lock.
    pub(crate) fn is_free(&self) -> bool {
        let lock = fs::File::open(self.path.join("lock")).expect("there");
        lock.try_lock().is_ok()
    }
}

/// The session of a contender, from its log; it must have had one only.
pub(crate) fn only_session(run: &Running) -> String {
    let said = run.said();
    let sessions: Vec<&str> =
        said.lines().filter_map(|line| line.split("session 0x").nth(1)?.split(',').next()).collect();
    assert_eq!(sessions.len(), 1, "{said}");
    sessions[0].to_string()
}

/// Waits for the end after TERM, as planned.
pub(crate) fn stop(mut run: Running) {
    run.signal(rustix::process::Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
}

/// What the descriptors of a process lead to.
pub(crate) fn descriptors(pid: u64) -> Vec<String> {
    let entries = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")).expect("it runs");
    entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .map(|to| to.to_string_lossy().into_owned())
        .collect()
}
