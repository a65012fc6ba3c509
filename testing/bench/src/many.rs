//! What one process that leads many elections costs while nothing happens.

use std::time::Duration;

use zk_ensemble::{Ensemble, LineProcess};

use crate::child::MANY;
use crate::handover::addresses;
use crate::start::itself;

type Error = Box<dyn std::error::Error>;

const WATCHED: Duration = Duration::from_secs(20);
/// Until all of them lead.
const LIMIT: Duration = Duration::from_secs(120);

/// What it costs.
pub(crate) struct Many {
    pub(crate) elections: usize,
    /// MiB of resident memory.
    pub(crate) memory: f64,
    /// Of one core.
    pub(crate) cpu_percent: f64,
    /// Transactions that the server wrote a second.
    pub(crate) writes: f64,
}

/// Leads so many elections and watches for a while.
pub(crate) fn measure(ensemble: &Ensemble, elections: usize) -> Result<Many, Error> {
    let mut process = LineProcess::start(itself(MANY, &addresses(ensemble).join(","))?)?;
    process.wait_for("ready", LIMIT);
    let pid = process.process().pid();
    let zxid = || ensemble.zxid(0).ok_or("the server does not answer");
    let (before, first) = (cpu(pid)?, zxid()?);
    std::thread::sleep(WATCHED);
    let (after, last) = (cpu(pid)?, zxid()?);
    let seconds = WATCHED.as_secs_f64();
    Ok(Many {
        elections,
        memory: resident(pid)? / f64::from(1 << 20),
        cpu_percent: (after - before) / seconds * 100.0,
        writes: (last - first) as f64 / seconds,
    })
}

/// Seconds of processor time so far.
fn cpu(pid: u32) -> Result<f64, Error> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no stat")?.1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}

/// Bytes of resident memory.
fn resident(pid: u32) -> Result<f64, Error> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: f64 = statm.split_whitespace().nth(1).ok_or("no statm")?.parse()?;
    Ok(pages * rustix::param::page_size() as f64)
}
