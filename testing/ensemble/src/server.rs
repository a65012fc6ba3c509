//! One Apache ZooKeeper server from Debian's package, in a process of its own.
//!
//! Invariant: its ports and its data directory belong to it from start to drop, whether the process is up, stopped
//! or killed, so [`Server::restart`] brings the same server back. Made by [`crate::Ensemble`] only.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::four_letter::{self, Mode, Report};
use crate::ports::Port;
use crate::spawn::{Owned, bound_command, spawn};

/// Where Debian's package `libzookeeper-java` puts the server.
pub(crate) const ZOOKEEPER_JAR: &str = "/usr/share/java/zookeeper.jar";
/// Where Debian's package `libslf4j-java` puts the logger that writes to the standard output.
pub(crate) const LOGGER_JAR: &str = "/usr/share/java/slf4j-simple.jar";
/// How long a server may take to end after SIGTERM.
const TERM_LIMIT: Duration = Duration::from_secs(20);
/// How much of the log a failed start shows.
const LOG_TAIL_LINES: usize = 25;

/// The three addresses of a server.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) client: Port,
    pub(crate) quorum: Port,
    pub(crate) election: Port,
}

impl Ports {
    pub(crate) fn reserve() -> Self {
        Self { client: Port::reserve(), quorum: Port::reserve(), election: Port::reserve() }
    }
}

/// What a server is started with, apart from where its data lies.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The lines of `zoo.cfg`, without the data directory and the client port.
    pub(crate) config: String,
    /// Its number in the ensemble, from 1; `None` for a standalone server.
    pub(crate) my_id: Option<usize>,
    /// Further arguments for the Java machine.
    pub(crate) java: Vec<String>,
}

/// A server of an [`crate::Ensemble`].
#[derive(Debug)]
pub struct Server {
    ports: Ports,
    settings: Settings,
    process: Option<Owned>,
    // Dropped after the process, since fields are dropped in this order.
    directory: TempDir,
}

impl Server {
    pub(crate) fn start(ports: Ports, settings: Settings) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("zk-ensemble-").tempdir()?;
        let data = directory.path().join("data");
        fs::create_dir(&data)?;
        if let Some(id) = settings.my_id {
            fs::write(data.join("myid"), id.to_string())?;
        }
        let config = format!(
            "dataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\n{}",
            data.display(),
            ports.client.number(),
            settings.config
        );
        fs::write(directory.path().join("zoo.cfg"), config)?;
        let mut server = Self { ports, settings, process: None, directory };
        server.launch()?;
        Ok(server)
    }

    /// The address that clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.client.number()).into()
    }

    /// The pid of the Java machine, if it is up (running or stopped).
    pub fn pid(&mut self) -> Option<u32> {
        self.is_up().then(|| self.process.as_ref().map(Owned::pid)).flatten()
    }

    /// Whether the process exists (a stopped one does).
    pub fn is_up(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.try_wait().is_none())
    }

    /// SIGKILL; returns when the process is gone. Does nothing when it is down already.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// SIGTERM, as a service manager would stop it; SIGKILL when it has not ended after twenty seconds.
    pub fn terminate(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::TERM);
            if process.wait(TERM_LIMIT).is_none() {
                process.kill();
            }
        }
    }

    /// SIGSTOP; returns when the process stands still. Its connections stay open and silent.
    ///
    /// # Panics
    /// When the server is down.
    pub fn stop(&mut self) {
        self.process.as_mut().expect("only a server that is up can be stopped").stop();
    }

    /// SIGCONT after [`Server::stop`].
    pub fn cont(&mut self) {
        if let Some(process) = self.process.as_mut() {
            process.cont();
        }
    }

    /// Starts the server again with its data and ports; kills it first if it is up.
    ///
    /// Returns at once: [`Server::wait_until_serving`] tells when clients are served.
    ///
    /// # Panics
    /// When the Java machine cannot be started.
    pub fn restart(&mut self) {
        self.kill();
        self.launch().expect("java can be started again");
    }

    /// What the server says about itself; `None` while it is down, stopped, or without a quorum.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        four_letter::report(self.address())
    }

    /// Its part in the ensemble; `None` as for [`Server::report`].
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        self.report().map(|report| report.mode)
    }

    /// Waits until the server serves clients.
    ///
    /// # Panics
    /// After `limit`, or when the process has ended; the message holds the end of its log.
    pub fn wait_until_serving(&mut self, limit: Duration) {
        let end = Instant::now() + limit;
        while self.report().is_none() {
            assert!(self.is_up(), "the server on {} ended:\n{}", self.address(), self.log_tail());
            assert!(
                Instant::now() < end,
                "no service on {} in {limit:?}:\n{}",
                self.address(),
                self.log_tail()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The last lines that the server logged since its latest start.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// The file that holds the server's log since its latest start.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// The folder with the server's snapshots and transaction logs; change it only while the server is down.
    #[must_use]
    pub fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn launch(&mut self) -> io::Result<()> {
        let mut command = bound_command("java");
        command
            .args([
                "-Xmx128m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:-UsePerfData",
                "-Xshare:auto",
            ])
            .args([
                "-Dzookeeper.preAllocSize=1024",
                "-Dzookeeper.jmx.log4j.disable=true",
                "-Djava.awt.headless=true",
            ])
            .args([
                "-Dorg.slf4j.simpleLogger.logFile=System.out",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
            ])
            .arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")
            .args(&self.settings.java)
            .args(["-cp", &format!("{ZOOKEEPER_JAR}:{LOGGER_JAR}")])
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(self.directory.path().join("zoo.cfg"))
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(File::create(self.log_path())?)
            .stderr(File::options().append(true).open(self.log_path())?);
        self.process = Some(spawn(command)?);
        Ok(())
    }

    /// Whether it was started and not ended by this harness.
    pub(crate) fn process_expected(&self) -> bool {
        self.process.is_some()
    }
}
