//! The server in a process of its own, to be killed, stopped, and failed by its system calls.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use zk_embedded::journal;
use zk_embedded::{Config, Listener, Server, Storage};
use zk_ensemble::{Owned, Port, bound_command, spawn};

const DIRECTORY: &str = "ZK_EMBEDDED_CRASH_DIRECTORY";
const PORT: &str = "ZK_EMBEDDED_CRASH_PORT";
const START_LIMIT: Duration = Duration::from_secs(20);
/// What ends by itself has ended after so long.
const END_LIMIT: Duration = Duration::from_secs(30);
/// Session timeouts that the server grants from.
const SHORTEST_TIMEOUT_MS: i32 = 100;

/// Not a test: what the others start in a process of its own.
#[test]
fn server_to_be_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let port: u16 = std::env::var(PORT).unwrap().parse().unwrap();
    // Small, so that segments end and snapshots are taken in the midst of it.
    let limits = journal::Limits { segment_bytes: 16 << 10, snapshot_bytes: 8 << 10, snapshot_records: 60 };
    let mut config =
        Config { storage: Some(Storage { directory: directory.into(), limits }), ..Config::default() };
    config.limits.min_timeout_ms = SHORTEST_TIMEOUT_MS;
    let listen = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        Ok(vec![Listener::Tcp(listener)])
    };
    let server = Server::start_then_bind(config, listen).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    panic!("the server ended: {}", runtime.block_on(server.failed()));
}

/// Where servers live one after the other: a directory and a port.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    port: Port,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), port: Port::reserve() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port.number()))
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A server that serves.
    pub(crate) fn start(&self) -> Victim {
        self.launch(None).expect("the server serves")
    }

    /// A server with strace's `inject` at its system calls. `None` if it has ended before it served.
    pub(crate) fn start_with(&self, inject: &str) -> Option<Victim> {
        self.launch(Some(inject))
    }

    fn launch(&self, inject: Option<&str>) -> Option<Victim> {
        let executable = std::env::current_exe().unwrap();
        let mut command = match inject {
            None => bound_command(executable),
            Some(inject) => {
                let mut command = bound_command("strace");
                let calls = inject.split(':').next().unwrap();
                // Without --seccomp-bpf, which strace 6.1 does not send signals with.
                command.args(["-f", "-qq", "-o", "/dev/null"]);
                command.args(["-e", &format!("trace={calls}"), "-e", &format!("inject={inject}")]);
                // When strace is killed, what it has started goes with it.
                command.args(["setpriv", "--pdeathsig", "KILL", "--"]).arg(executable);
                command
            }
        };
        command.args(["--exact", "victim::server_to_be_killed", "--nocapture"]);
        // The server starts on a thread of its own: strace counts the calls of each thread by themselves, and
        // those of the first one are the dynamic linker's.
        command.env("RUST_TEST_THREADS", "2");
        command.env(DIRECTORY, self.data()).env(PORT, self.port.number().to_string());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut victim = Victim(spawn(command).unwrap());
        let end = Instant::now() + START_LIMIT;
        while TcpStream::connect(self.address()).is_err() {
            if victim.0.try_wait().is_some() {
                return None;
            }
            assert!(Instant::now() < end, "the server neither serves nor ends");
            std::thread::sleep(Duration::from_millis(2));
        }
        Some(victim)
    }
}

/// A server's process. Dropped, it is killed with SIGKILL.
pub(crate) struct Victim(pub(crate) Owned);

impl Victim {
    /// How it ended, by itself or by what was injected.
    pub(crate) fn ended(mut self) -> ExitStatus {
        self.0.wait(END_LIMIT).expect("the server ends")
    }
}

/// Whether system calls can be tampered with here.
pub(crate) fn have_strace() -> bool {
    zk_ensemble::require_programs(&["strace", "setpriv"])
}

/// Every file of the journal, for messages.
pub(crate) fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
