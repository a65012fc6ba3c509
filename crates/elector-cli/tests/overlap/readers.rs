//! Whoever is to read what elector says does not, for ever: the election and the deadlines go on.

use crate::common::{Elector, LONG, Running, SHORT, shared_server};
use crate::witness::{PYTHON, Witness};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::Signal;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;
use zk_ensemble::{Proxy, require_programs};

/// A named pipe that is full, and that nobody reads.
struct Full {
    _directory: tempfile::TempDir,
    path: PathBuf,
    _reader: OwnedFd,
}

impl Full {
    fn make() -> Full {
        let directory = tempfile::tempdir().expect("a folder");
        let path = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.is_ok_and(|status| status.success()));
        let open = |flags| open(&path, flags | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
        let reader = open(OFlags::RDONLY).expect("opened");
        let writer = open(OFlags::WRONLY).expect("it has a reader");
        // Whole pages first, then what is left.
        for piece in [4096, 1] {
            while rustix::io::write(&writer, &vec![b'.'; piece]).is_ok() {}
        }
        Full { _directory: directory, path, _reader: reader }
    }

    /// Starts it with standard output and error into the full pipe.
    fn speak_into(&self, elector: Elector) -> Running {
        let script = format!("exec \"$@\" >{path} 2>&1", path = self.path.display());
        elector.through(&["sh", "-c", &script, "sh"]).start()
    }
}

/// C12: the log and the program's own output are full; the lease ends, and the program with it.
#[test]
fn c12_a_leader_whose_words_nobody_reads_is_stopped_in_time() {
    if !zk_ensemble::require() || !require_programs(&[PYTHON, "mkfifo"]) {
        return;
    }
    let server = shared_server();
    let full = Full::make();
    let witness = Witness::new();
    let proxy = Proxy::new(server.servers()[0].address());
    let contend = |servers: &str, id: &str| {
        witness.program(Elector::run(servers, id, SHORT).words("-v").word("/unread"))
    };
    let mut leader = full.speak_into(contend(&proxy.address().to_string(), "unread"));
    witness.until_terms(1);
    let mut next = contend(&server.connect_string(), "next").start();
    next.wait_for("waiting, 2nd of 2");
    proxy.blackhole();
    next.wait_for("leading with token");
    witness.until_terms(2);
    std::thread::sleep(Duration::from_millis(200));
    println!("{:?}", witness.judge().expect("no two programs at a time"));
    // What it could not say does not keep it from ending either.
    proxy.heal();
    leader.signal(Signal::TERM);
    assert_eq!(leader.end(LONG), Some(0));
}

/// C17: whoever asks `observe` and never reads its answers costs nobody anything.
#[test]
fn c17_an_observer_that_is_never_read_delays_nobody_and_can_be_ended() {
    if !zk_ensemble::require() || !require_programs(&["mkfifo"]) {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let full = Full::make();
    let observe = Elector::new("observe").words("-z").word(&servers).word("/watched");
    let mut observer = full.speak_into(observe);
    let contend =
        |id: &str| Elector::run(&servers, id, SHORT).word("/watched").script("exec sleep 1000").start();
    let mut leader = contend("0");
    leader.wait_for("leading with token");
    for round in 1..=10 {
        let mut next = contend(&round.to_string());
        next.wait_for("waiting, 2nd of 2");
        leader.signal(Signal::TERM);
        next.wait_for("leading with token");
        assert_eq!(leader.end(LONG), Some(0), "{}", leader.said());
        leader = next;
    }
    assert!(observer.is_running());
    observer.signal(Signal::TERM);
    assert_eq!(observer.end(LONG), Some(0));
    leader.signal(Signal::TERM);
    assert_eq!(leader.end(LONG), Some(0));
}
