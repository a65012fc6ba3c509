//! Postgres: a private cluster, and the late write.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;
use zk_embedded::testing::TestServer;
use zk_ensemble::{Owned, Port, bound_command};

use crate::common::LONG;
use crate::relay::Relay;
use crate::source::{DIRECTORY, Fence, program};
use crate::stale::{NEW, OLD, Story};

/// Where Debian keeps one directory for each version of the server.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Whom the server runs as when the tests run as root, whom it refuses.
const USER: &str = "postgres";

/// A server on a loopback port, with the table of the examples. Dropped, it is gone.
pub(crate) struct Postgres {
    port: Port,
    process: Owned,
    _directory: TempDir,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate shutdown: killed, it would leave its shared memory to the machine.
        self.process.signal(Signal::QUIT);
        self.process.wait(LONG);
    }
}

pub(crate) fn needs() -> bool {
    let initdb = newest_version().join("initdb");
    zk_ensemble::require_programs(&["setpriv", "psql", initdb.to_str().expect("made of plain names")])
}

impl Postgres {
    pub(crate) fn start() -> Postgres {
        // Not below TMPDIR, into which another user may not be able to go.
        let directory = tempfile::tempdir_in("/tmp").expect("a temporary directory");
        let data = directory.path().join("data");
        if rustix::process::getuid().is_root() {
            let user = |option| Command::new("id").args([option, USER]).output().expect("coreutils").stdout;
            let number = |text: Vec<u8>| String::from_utf8_lossy(&text).trim().parse().expect("a known user");
            chown(directory.path(), Some(number(user("-u"))), Some(number(user("-g")))).expect("we are root");
        }
        let mut initdb = server_program("initdb");
        initdb
            .args(["--auth=trust", "--username=postgres", "--no-sync", "--locale=C", "--pgdata"])
            .arg(&data);
        initdb.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
        let made = zk_ensemble::spawn(initdb).expect("it starts").wait(LONG);
        assert!(made.is_some_and(|status| status.success()), "initdb: {made:?}");

        let port = Port::reserve();
        let mut server = server_program("postgres");
        server.arg("-D").arg(&data).args(["-p", &port.number().to_string()]).current_dir("/");
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"] {
            server.args(["-c", setting]);
        }
        server.stdout(Stdio::null()).stderr(Stdio::null());
        let process = zk_ensemble::spawn(server).expect("it starts");
        let postgres = Postgres { port, process, _directory: directory };
        let end = Instant::now() + LONG;
        while !postgres.psql("SELECT 1").0 {
            assert!(Instant::now() < end, "it does not answer: {:?}", postgres.psql("SELECT 1"));
            std::thread::sleep(Duration::from_millis(50));
        }
        postgres.set_up();
        postgres
    }

    fn set_up(&self) {
        let script = Path::new(DIRECTORY).join("fence.sql");
        let done = self.client().arg("-f").arg(script).output().expect("psql starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        self.run("CREATE TABLE progress (last_invoice bigint); INSERT INTO progress VALUES (0)");
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// psql, told where; to be bound to this process, it begins with `setpriv`.
    pub(crate) fn client(&self) -> Command {
        let mut client = bound_command("psql");
        client.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]);
        client.env("PGHOST", "127.0.0.1").env("PGPORT", self.port.number().to_string());
        client.env("PGUSER", "postgres").env("PGDATABASE", "postgres");
        client
    }

    /// Whether it went well, and what was said.
    pub(crate) fn psql(&self, sql: &str) -> (bool, String) {
        let output = self.client().args(["-c", sql]).output().expect("psql starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).trim().to_owned())
    }

    /// What a statement that has to go well answers.
    pub(crate) fn run(&self, sql: &str) -> String {
        let (went_well, said) = self.psql(sql);
        assert!(went_well, "{sql}: {said}");
        said
    }

    pub(crate) fn last_invoice(&self) -> String {
        self.run("SELECT last_invoice FROM progress")
    }
}

fn newest_version() -> PathBuf {
    let entries = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let versions = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    Path::new(VERSIONS).join(versions.max().unwrap_or_default().to_string()).join("bin")
}

/// A program of the server's, as somebody whom it accepts.
fn server_program(name: &str) -> Command {
    let program = newest_version().join(name);
    if !rustix::process::getuid().is_root() {
        return bound_command(program);
    }
    let mut command = bound_command("setpriv");
    // The signal at this process's death has to be asked for again: a change of user takes it back.
    command.args(["--reuid", USER, "--regid", USER, "--init-groups", "--pdeathsig", "KILL", "--"]);
    command.arg(program);
    command
}

fn late_write(fence: Fence, answer: &str, left: &str) {
    let server = TestServer::start().expect("a server");
    let postgres = Postgres::start();
    let relay = Relay::start(postgres.address(), "UPDATE progress");
    let directory = TempDir::new().expect("a temporary directory");
    let client = program(directory.path(), "postgres.sh", fence);
    Story {
        servers: &server.connect_string(),
        election: "/billing",
        options: "--session-timeout 3s --ensemble-tick 100ms",
        program: format!(
            "PGHOST=127.0.0.1 PGUSER=postgres PGDATABASE=postgres PGGSSENCMODE=disable {}",
            client.display()
        ),
        place: ("PGPORT", relay.port().to_string(), postgres.port.number().to_string()),
        relay,
        answer: answer.as_bytes(),
    }
    .play();
    assert_eq!(postgres.last_invoice(), left);
}

#[test]
fn a_stale_leaders_late_transaction_is_refused() {
    if needs() {
        late_write(Fence::Kept, "of /billing is stale", NEW);
    }
}

#[test]
fn control_without_the_fence_the_late_transaction_overwrites_the_newer_value() {
    if needs() {
        late_write(Fence::LeftOut, "COMMIT", OLD);
    }
}
