//! Foreign contenders: real programs of other families that stand in one election with ours.
//!
//! Their sources are in this crate's folder `peers`. Each is compiled once, into the build's own directory, whichever test
//! comes first; a changed source is compiled again. kazoo itself is put into that directory by `scripts/setup`. They end
//! with the value that holds them.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::lines::LineProcess;
use crate::requirement::{available, require};
use crate::server::{LOGGER_JAR, ZOOKEEPER_JAR};
use crate::spawn::bound_command;

const LATCH_SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/curator/LatchPeer.java");
const LOCK_SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/curator/LockPeer.java");
const GO_MASTER_SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/go/main.go");
const GO_LOCK_SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/go-lock/main.go");
const KAZOO_SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/kazoo/peer.py");
/// Where `scripts/setup` puts kazoo, in the directory of [`build_directory`].
const KAZOO_PYTHON: &str = "kazoo/bin/python3";
const KAZOO_INSTALLED: &str = "kazoo/installed";
/// Where Debian's `-dev` packages put the sources of Go libraries.
const GO_PATH: &str = "/usr/share/gocode";
const GO_LIBRARY: &str = "/usr/share/gocode/src/github.com/samuel/go-zookeeper/zk/conn.go";
/// Curator with what it needs, from Debian's packages.
const CURATOR_JARS: [&str; 6] = [
    "/usr/share/java/curator-recipes.jar",
    "/usr/share/java/curator-framework.jar",
    "/usr/share/java/curator-client.jar",
    "/usr/share/java/guava.jar",
    ZOOKEEPER_JAR,
    LOGGER_JAR,
];

/// Whether contenders with Curator and with go-zookeeper can be compiled and started here, servers included; as
/// [`require`] otherwise.
///
/// # Panics
/// As [`require`].
#[must_use]
pub fn require_peers() -> bool {
    let files: Vec<&str> = CURATOR_JARS.into_iter().chain([GO_LIBRARY]).collect();
    require() && available(&["javac", "go"], &files)
}

/// The same for contenders with kazoo.
///
/// # Panics
/// As [`require`].
#[must_use]
pub fn require_kazoo() -> bool {
    // Written when all is there: a Python without its kazoo may be left of an attempt without a network.
    let installed = build_directory().join(KAZOO_INSTALLED);
    require() && available(&[], &[&installed.to_string_lossy()])
}

/// The Python that has kazoo, for any program that wants it.
#[must_use]
pub fn kazoo_python() -> PathBuf {
    build_directory().join(KAZOO_PYTHON)
}

/// The recipes of other libraries that elect by sequential znodes. Their programs all speak alike: `LEADING id at=N`
/// when the work begins and `LOST id at=N` when it has stopped, before anything is released; N is CLOCK_MONOTONIC in
/// nanoseconds. They obey `close` (then `CLOSED id`), `start` and `quit` (then `BYE id`), and where the library can tell
/// who contends, `contenders` (then `CONTENDERS id id …`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Curator's LeaderSelector; it can tell who contends.
    CuratorSelector,
    /// Curator's InterProcessMutex.
    CuratorMutex,
    /// go-zookeeper's Lock.
    GoLock,
    /// kazoo's Election with a lock of its own class that uses the names of the three above; it can tell who contends.
    KazooJoined,
    /// kazoo's Election as it comes; it can tell who contends.
    KazooElection,
    /// kazoo's Lock as it comes; it can tell who contends.
    KazooLock,
}

impl Peer {
    /// Whether this one can be started here, servers included; as [`require`] otherwise.
    ///
    /// # Panics
    /// As [`require`].
    #[must_use]
    pub fn require(self) -> bool {
        match self {
            Peer::CuratorSelector | Peer::CuratorMutex | Peer::GoLock => require_peers(),
            Peer::KazooJoined | Peer::KazooElection | Peer::KazooLock => require_kazoo(),
        }
    }

    /// Starts a contender in the election at `path`.
    ///
    /// # Panics
    /// When it cannot be compiled or started.
    #[must_use]
    pub fn start(self, connect: &str, path: &str, id: &str, session_timeout: Duration) -> LineProcess {
        let mut command = match self {
            Peer::CuratorSelector | Peer::CuratorMutex => java(LOCK_SOURCE, "LockPeer"),
            Peer::GoLock => go(GO_LOCK_SOURCE),
            Peer::KazooJoined | Peer::KazooElection | Peer::KazooLock => {
                let mut python = bound_command(kazoo_python());
                python.arg(KAZOO_SOURCE);
                python
            }
        };
        command.args([connect, path, id]).arg(session_timeout.as_millis().to_string());
        command.args(match self {
            Peer::CuratorSelector => Some("selector"),
            Peer::CuratorMutex => Some("mutex"),
            Peer::GoLock => None,
            Peer::KazooJoined => Some("joined"),
            Peer::KazooElection => Some("election"),
            Peer::KazooLock => Some("lock"),
        });
        LineProcess::start(command).expect("the peer can be started")
    }
}

/// Starts a contender of Curator's LeaderLatch in the election at `path`.
///
/// It prints `LEADING id`, `LOST id` and `NODE name`, and obeys `close`, `start` and `quit`; then it prints
/// `CLOSED id` or `BYE id`.
///
/// # Panics
/// When it cannot be compiled or started.
#[must_use]
pub fn start_curator_latch(connect: &str, path: &str, id: &str, session_timeout: Duration) -> LineProcess {
    let mut command = java(LATCH_SOURCE, "LatchPeer");
    command.args([connect, path, id]).arg(session_timeout.as_millis().to_string());
    LineProcess::start(command).expect("the Curator peer can be started")
}

/// Starts a plain go-zookeeper contender for the znode `root` + `master` (such as `/test04` + `/master`), with a
/// session timeout of 5 s.
///
/// It prints `LEADING id` and `WAITING id`, never that it lost, and obeys `quit`; then it prints `BYE id`.
///
/// # Panics
/// When it cannot be compiled or started.
#[must_use]
pub fn start_go_master(connect: &str, root: &str, master: &str, id: &str) -> LineProcess {
    let mut command = go(GO_MASTER_SOURCE);
    command.args([connect, root, master, id]);
    LineProcess::start(command).expect("the Go peer can be started")
}

/// The command that runs this class of this source, with Curator.
fn java(source: &str, class: &str) -> Command {
    let jars = CURATOR_JARS.join(":");
    let classes = compiled(source, |out| {
        let mut javac = Command::new("javac");
        javac.args(["-cp", &jars, "-d"]).arg(out).arg(source);
        javac
    });
    let mut command = bound_command("java");
    command
        .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .args(["-cp", &format!("{}:{jars}", classes.display()), class]);
    command
}

/// The command that runs this source, with go-zookeeper.
fn go(source: &str) -> Command {
    let directory = compiled(source, |out| {
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(out.join("peer")).arg(source);
        // Debian's libraries are laid out for a build without modules, which needs no network.
        go.env("GO111MODULE", "off")
            .env("GOPATH", GO_PATH)
            .env("GOFLAGS", "")
            .env("GOCACHE", out.join("cache"));
        go
    });
    bound_command(directory.join("peer"))
}

/// The directory with what `compiler` makes of `source`, made now unless it is there.
fn compiled(source: &str, compiler: impl Fn(&Path) -> Command) -> PathBuf {
    let mut hash = DefaultHasher::new();
    fs::read(source).expect("the peer's source").hash(&mut hash);
    let out = build_directory().join(format!("{:016x}", hash.finish()));
    fs::create_dir_all(&out).expect("a directory in the build's own");
    // Tests are several processes: the first compiles, the others wait.
    let lock = File::create(out.join("lock")).expect("a lock file");
    lock.lock().expect("a lock");
    let done = out.join("done");
    if !done.exists() {
        let result = compiler(&out).stdin(Stdio::null()).output().expect("the compiler can be started");
        assert!(result.status.success(), "{source}:\n{}", String::from_utf8_lossy(&result.stderr));
        fs::write(done, "").expect("a mark that it is compiled");
    }
    out
}

/// `peers` in cargo's target directory, in which cargo keeps a file of its own; without one (a test copied
/// elsewhere), in the directory for temporary files.
fn build_directory() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    // Cargo's own tag for caches is there only if cargo made the directory, and scripts/setup may have been first.
    let target = executable.ancestors().find(|directory| directory.join(".rustc_info.json").exists());
    target.map_or_else(std::env::temp_dir, Path::to_path_buf).join("peers")
}
