//! From the start of a process until it leads, beside a bare connect and create.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use zk_ensemble::{Ensemble, LineProcess, Onlooker};

use crate::child::{BARE, LEAD};
use crate::handover::addresses;
use crate::sample::Sample;

type Error = Box<dyn std::error::Error>;

/// More than any start takes.
const LIMIT: Duration = Duration::from_secs(20);
const PATH: &str = "/start";
/// What each says when it has what it is timed for.
const READY: &str = "ready";
/// What the command says when it leads and is told to wait before it starts its program.
const LEADING: &str = "leading with token";

/// Each kind of start.
pub(crate) struct Starts {
    pub(crate) bare: Sample,
    pub(crate) library: Sample,
    /// `elector run` until it leads; empty, as the next, where the command was not built beside this program.
    pub(crate) command: Sample,
    /// `elector run` until its program runs.
    pub(crate) program: Sample,
}

/// Starts each kind in turns.
pub(crate) fn measure(ensemble: &Ensemble, rounds: usize) -> Result<Starts, Error> {
    let servers = addresses(ensemble).join(",");
    Onlooker::connect(ensemble.servers()[0].address())?.create(PATH, b"", zk_ensemble::Kind::Persistent)?;
    let elector = std::env::current_exe()?.with_file_name("elector");
    let mut starts = Starts {
        bare: Sample::default(),
        library: Sample::default(),
        command: Sample::default(),
        program: Sample::default(),
    };
    for _ in 0..rounds {
        starts.bare.add(once(itself(BARE, &servers)?, READY)?);
        starts.library.add(once(itself(LEAD, &servers)?, READY)?);
        if elector.exists() {
            starts.command.add(once(command(&elector, &servers, &["--takeover-delay", "1ms"]), LEADING)?);
            starts.program.add(once(command(&elector, &servers, &["--quiet"]), READY)?);
        }
    }
    Ok(starts)
}

/// This program as one of its children.
pub(crate) fn itself(what: &str, servers: &str) -> Result<Command, Error> {
    let mut command = bare_command(std::env::current_exe()?);
    command.args(["child", what, servers, PATH, "0"]);
    Ok(command)
}

/// With nothing before the program whose start is timed; it ends with its input, and so with this process.
fn bare_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

fn command(elector: &Path, servers: &str, options: &[&str]) -> Command {
    let mut command = bare_command(elector);
    command.arg("run").args(options).args(["-z", servers, PATH, "--", "sh", "-c", "echo ready; read end"]);
    command
}

/// From the start of this command until it says `word`.
fn once(command: Command, word: &str) -> Result<Duration, Error> {
    let began = Instant::now();
    let mut process = LineProcess::start(command)?;
    process.wait_for(word, LIMIT);
    let time = began.elapsed();
    process.close_input();
    process.wait_for_end(LIMIT);
    Ok(time)
}
