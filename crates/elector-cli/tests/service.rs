//! What a service manager is told: ready, what goes on, that the renewing loop is alive, and the end.

mod common;

use common::{Elector, LONG, Running, number_after, wait_until_gone};
use rustix::process::Signal;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The manager's watchdog; long enough for a machine that is busy.
const WATCHDOG: Duration = Duration::from_secs(3);

/// A manager's end of the line.
struct Manager {
    directory: tempfile::TempDir,
    socket: UnixDatagram,
    said: Vec<String>,
}

impl Manager {
    fn new() -> Manager {
        let directory = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(directory.path().join("notify")).expect("bound");
        Manager { directory, socket, said: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start(&self, id: &str, script: &str) -> Running {
        let run = Elector::new("run").words("--id").word(id).words("--session-timeout 2s");
        let run = run.word(&format!("--local={}", self.path("local").display())).word("/service");
        let run = run.env("NOTIFY_SOCKET", self.path("notify").to_str().expect("a plain path"));
        run.env("WATCHDOG_USEC", &WATCHDOG.as_micros().to_string()).script(script).start()
    }

    /// What comes within `limit`, if anything does.
    fn hear(&mut self, limit: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(limit)).expect("set");
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        let word = String::from_utf8_lossy(&buffer[..length]).into_owned();
        self.said.push(word.clone());
        Some(word)
    }

    fn wait_for(&mut self, part: &str) {
        let until = Instant::now() + LONG;
        while !self.hear(Duration::from_secs(1)).is_some_and(|word| word.contains(part)) {
            assert!(Instant::now() < until, "no {part:?} in {:?}", self.said);
        }
    }

    /// The longest silence about being alive in this time.
    fn longest_hunger(&mut self, span: Duration) -> Duration {
        let (end, mut fed, mut longest) = (Instant::now() + span, Instant::now(), Duration::ZERO);
        while Instant::now() < end {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let word = self.hear(left);
            longest = longest.max(fed.elapsed());
            if word.as_deref() == Some("WATCHDOG=1") {
                fed = Instant::now();
            }
        }
        longest
    }
}

#[test]
fn the_manager_hears_of_each_state_and_the_renewing_loop_feeds_its_watchdog() {
    let mut manager = Manager::new();
    let mut leader = manager.start("leader", "echo \"socket ${NOTIFY_SOCKET-none}\"; exec sleep 1000");
    manager.wait_for("STATUS=connected to the host");
    manager.wait_for("READY=1");
    manager.wait_for("STATUS=leading with token");
    leader.wait_for_output("socket none");
    let hungry = manager.longest_hunger(2 * WATCHDOG);
    assert!(hungry < WATCHDOG, "not fed for {hungry:?}: {:?}", manager.said);
    leader.signal(Signal::TERM);
    manager.wait_for("STATUS=TERM received");
    manager.wait_for("STATUS=resigned");
    manager.wait_for("STOPPING=1");
    assert_eq!(leader.end(LONG), Some(0), "{}", leader.said());
}

#[test]
fn whoever_waits_is_ready_and_alive_too() {
    let mut manager = Manager::new();
    let unnoticed = Elector::new("run").word(&format!("--local={}", manager.path("local").display()));
    let mut leader = unnoticed.word("/service").script("exec sleep 1000").start();
    leader.wait_for("leading with token");
    let waiting = manager.start("waiting", "exec sleep 1000");
    manager.wait_for("READY=1");
    manager.wait_for("STATUS=waiting, 2nd of 2");
    let hungry = manager.longest_hunger(2 * WATCHDOG);
    assert!(hungry < WATCHDOG, "not fed for {hungry:?}: {:?}", manager.said);
    for mut run in [leader, waiting] {
        run.signal(Signal::TERM);
        assert_eq!(run.end(LONG), Some(0), "{}", run.said());
    }
}

/// A supervisor that stands still is not kept alive by anything: its program is killed by the deadline, and the
/// manager's watchdog starts it anew.
#[test]
fn nobody_feeds_the_watchdog_of_a_supervisor_that_stands_still() {
    let mut manager = Manager::new();
    let mut leader = manager.start("leader", "exec sleep 1000");
    let program = number_after(&leader.wait_for("leading with token"), "pid");
    manager.wait_for("WATCHDOG=1");
    leader.signal(Signal::STOP);
    // What was on its way.
    while manager.hear(Duration::from_millis(200)).is_some() {}
    let heard = manager.hear(2 * WATCHDOG);
    assert_eq!(heard, None, "{:?}", manager.said);
    wait_until_gone(program, LONG);
    leader.signal(Signal::CONT);
    manager.wait_for("WATCHDOG=1");
    leader.signal(Signal::TERM);
    leader.end(LONG);
}

/// The variables of somebody else's watchdog, inherited, are nothing to us.
#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    let mut manager = Manager::new();
    let run = Elector::new("run").word(&format!("--local={}", manager.path("local").display()));
    let run = run.env("NOTIFY_SOCKET", manager.path("notify").to_str().expect("a plain path"));
    let run = run.env("WATCHDOG_USEC", "30000").env("WATCHDOG_PID", "1");
    let mut run = run.word("/service").script("exec sleep 1000").start();
    manager.wait_for("STATUS=leading with token");
    assert_eq!(manager.hear(Duration::from_millis(500)), None, "{:?}", manager.said);
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
    assert!(!manager.said.iter().any(|word| word.contains("WATCHDOG")), "{:?}", manager.said);
}
