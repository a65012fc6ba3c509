//! The bench: how long a hand-over takes beside the floor, in one run, on real servers.
//!
//! The floor is what no program on ZooKeeper can be faster than: one session deletes a znode, another is told. Ten
//! hand-overs are followed by ten rounds of the floor, so that both see the same machine; what counts is their ratio.
//! It prints the tables and writes them with a plot into `docs/`. Nothing here passes or fails.
//!
//! The program starts itself again for what needs a process of its own (see [`child`]).

mod child;
mod contenders;
mod fleet;
mod floor;
mod handover;
mod many;
mod plot;
mod report;
mod requests;
mod sample;
mod start;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use zk_ensemble::Ensemble;

/// The session timeout of all sessions: the command's default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between two hand-overs.
const PAUSE: Duration = Duration::from_millis(5);
/// What a record takes.
const FULL: sample::Rounds = sample::Rounds { handovers: 400, counted: 100, starts: 60 };
/// How many contend, one scenario each.
const CONTENDERS: [usize; 3] = [10, 100, 1000];
/// Elections that one process leads at the same time.
const ELECTIONS: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // Each contender has pipes here, and each relay two sockets.
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit { current: most, maximum: most },
    )?;
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => bench(FULL),
        ["--quick"] => bench(sample::Rounds { handovers: 40, counted: 20, starts: 5 }),
        ["--row", servers, contenders] => row(servers.parse()?, contenders.parse()?),
        ["child", what, servers, path, member] => child::run(what, servers, path, member),
        _ => Err("usage: elector-bench [--quick | --row SERVERS CONTENDERS]".into()),
    }
}

/// One thread, as most programs that embed the library have it at the least.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// One row of the table, which is printed and not recorded: for whoever works on the hand-over.
fn row(servers: usize, contenders: usize) -> Result<(), Box<dyn Error>> {
    scenario(&ensemble(servers)?, contenders, FULL).map(drop)
}

fn ensemble(servers: usize) -> Result<Ensemble, Box<dyn Error>> {
    if !zk_ensemble::require() {
        return Err("the bench needs real servers: run scripts/setup".into());
    }
    Ok(Ensemble::start(servers))
}

fn scenario(
    ensemble: &Ensemble,
    contenders: usize,
    rounds: sample::Rounds,
) -> Result<report::Scenario, Box<dyn Error>> {
    let requests = requests::measure(ensemble, contenders, rounds.counted)?;
    let times = handover::measure(ensemble, contenders, rounds.handovers)?;
    let scenario = report::Scenario { servers: ensemble.servers().len(), contenders, requests, times };
    println!("{}", scenario.line());
    Ok(scenario)
}

fn bench(rounds: sample::Rounds) -> Result<(), Box<dyn Error>> {
    let mut scenarios = Vec::new();
    for servers in [1, 3] {
        let ensemble = ensemble(servers)?;
        for contenders in CONTENDERS {
            scenarios.push(scenario(&ensemble, contenders, rounds)?);
        }
    }
    let ensemble = ensemble(1)?;
    let starts = start::measure(&ensemble, rounds.starts)?;
    let many = many::measure(&ensemble, ELECTIONS)?;
    let report = report::Report { scenarios, starts, many };
    let page = report.page();
    println!("{page}");
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::write(docs.join("bench.md"), page)?;
    std::fs::write(docs.join("bench.svg"), plot::draw(&report.scenarios))?;
    Ok(())
}
