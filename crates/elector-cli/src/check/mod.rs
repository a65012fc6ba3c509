//! `elector check`: before production, what an election would find here, and the first thing to mend.
//!
//! It takes no part in the election and changes nothing in it. With a program behind `--` it really starts and
//! stops that program once, and says so.

mod report;
mod sample;
mod servers;

use crate::args::{RunOptions, Where};
use crate::local::{Directory, Outlook, Site, look, served_line, shown};
use crate::program::{self, NotRunnable};
use crate::signals::told_to_end;
use crate::status::never_gone;
use crate::text::{compact, escape, spaced};
use crate::{exit, log, text};
use elector::{Elector, Layout, Place, ReadError, Reader, Snapshot};
use report::Report;
use sample::Outcome;
use std::time::Duration;
use zk_session::ConnectString;

/// From the end of a session to the next program's start on an idle machine: what the servers' clocks and a
/// notification may add.
const TAKE_OVER: Duration = Duration::from_secs(1);
/// The same on one machine, whose one server has no ticks.
const LOCAL_TAKE_OVER: Duration = Duration::from_millis(500);
/// Between SIGKILL and the end of the lease.
const KILL_MARGIN: Duration = Duration::from_millis(500);

/// Each server has so long to answer, unless somebody says otherwise.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Checks, prints what was found, and tells the exit status.
pub(crate) fn check(options: &RunOptions) -> u8 {
    log::warn(&options.common.warnings);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::complain(&format!("the system refused what elector needs: {error}"));
            return exit::FAILURE;
        }
    };
    let checked = runtime.block_on(async {
        let mut report = Report::default();
        tokio::select! {
            () = all(options, &mut report) => Ok(report),
            Ok(signal) = told_to_end() => Err(exit::by_signal(signal.as_raw())),
        }
    });
    // A look-up of a name that hangs in the system's resolver must not hold up the answer.
    runtime.shutdown_background();
    match checked {
        Ok(report) => text::answer(&report.text(), report.code()),
        Err(code) => code,
    }
}

fn limit(options: &RunOptions) -> Duration {
    options.common.connect_timeout.unwrap_or(ANSWER_LIMIT)
}

async fn all(options: &RunOptions, report: &mut Report) {
    let granted = place(options, report).await;
    timing(options, granted.unwrap_or(options.session_timeout), report);
    containment(options.require_cgroup, report);
    if let Some(first) = options.program.first() {
        let file = match program::find(first, std::env::var_os("PATH").as_deref()) {
            Ok(file) => file,
            Err(NotRunnable::NotFound(why) | NotRunnable::NotExecutable(why)) => {
                return report.mend(escape(&why));
            }
        };
        let sampled = sample::take(&file, &options.program, options.stop_signal, options.stop_grace).await;
        program_stop(options, sampled, report);
    }
}

/// The place, as far as it can be reached. The shortest session timeout that was granted.
async fn place(options: &RunOptions, report: &mut Report) -> Option<Duration> {
    match &options.common.place {
        Where::Ensemble(list) => {
            // A list that the options have judged is one.
            let servers: ConnectString = list.parse().ok()?;
            let (client, granted) = servers::ask_each(options, &servers, report).await?;
            let rights = servers::try_rights(&client, &options.common.election, report).await;
            let readable = rights.unwrap_or_else(|error| {
                report.unknown(format!("the rights could not be tried: {error}"));
                true
            });
            client.close().await;
            if readable {
                contenders(options, Place::Ensemble(list.clone()), report).await;
            }
            Some(granted)
        }
        Where::Local(given) => {
            match Directory::find(given.as_deref()) {
                Ok(Ok(directory)) => hosted(options, directory, report).await,
                Ok(Err(path)) => report.note(format!("{} is made by the first run", shown(&path))),
                Err(refusal) => report.mend(refusal),
            }
            None
        }
    }
}

async fn hosted(options: &RunOptions, directory: Directory, report: &mut Report) {
    let name = shown(directory.path());
    match look(&directory) {
        Outlook::Nobody => report.good(format!("{name} can hold elections; nobody runs there now")),
        Outlook::Stopped(pid) => {
            report.unknown(format!("the host of {name}, pid {pid}, is stopped: continue or end it"));
        }
        Outlook::Served(pid) => report.mend(served_line(&directory, pid)),
        Outlook::Starting | Outlook::Hosting => {
            report.good(format!("{name} is hosted"));
            // The directory stays open for as long as it is read.
            let site = Site::local(directory);
            contenders(options, site.place.clone(), report).await;
        }
    }
}

/// Who contends there already, and whether our layout excludes them.
async fn contenders(options: &RunOptions, place: Place, report: &mut Report) {
    let common = &options.common;
    let credentials =
        common.credentials.iter().map(|credential| (credential.scheme.clone(), credential.auth.clone()));
    let read = async {
        let reader = Reader::connect(place, &common.election, credentials.collect(), limit(options)).await?;
        let limit = tokio::time::timeout(limit(options), reader.snapshot());
        limit.await.unwrap_or_else(|_| Err(ReadError::Interrupted("no answer in time".into())))
    };
    match read.await {
        Ok(snapshot) => families(options, &snapshot, report),
        Err(error) if error.is_retryable() => report.unknown(format!("the contenders: {error}")),
        Err(error) => report.mend(escape(&error.to_string())),
    }
}

fn families(options: &RunOptions, snapshot: &Snapshot, report: &mut Report) {
    if snapshot.contenders.is_empty() {
        return report.good("nobody contends there now");
    }
    if let Some(stuck) = never_gone(snapshot) {
        report.mend(format!("{stuck}, and nobody behind it ever leads: delete it"));
    }
    let mut foreign = Vec::new();
    for layout in [Layout::Latch, Layout::Lock, Layout::Kazoo, Layout::Single] {
        let ours = snapshot.contenders.iter().filter(|contender| layout_of(&contender.name) == Some(layout));
        let count = ours.count();
        if count > 0 && layout == options.layout {
            report.good(format!("{count} of layout {layout}: {}", library(layout)));
        } else if count > 0 {
            foreign.push(format!("{count} of layout {layout}: {}", library(layout)));
        }
    }
    let others = snapshot.contenders.iter().filter(|contender| layout_of(&contender.name).is_none()).count();
    if others > 0 {
        foreign.push(format!("{others} of no layout that is known here"));
    }
    if foreign.is_empty() {
        return;
    }
    let remedy = match snapshot.layout {
        Some(layout) => format!("use --layout {layout}, or another path"),
        None => "use another path".to_string(),
    };
    let (foreign, layout) = (foreign.join("; "), options.layout);
    report.mend(format!("contenders that layout {layout} does not exclude: {foreign}; {remedy}"));
}

fn layout_of(name: &str) -> Option<Layout> {
    let stem = name.get(..name.len().saturating_sub(10))?;
    match stem {
        "" if name.is_empty() => Some(Layout::Single),
        _ if stem.ends_with("-latch-") => Some(Layout::Latch),
        _ if stem.ends_with("-lock-") => Some(Layout::Lock),
        _ if stem.ends_with("__lock__") => Some(Layout::Kazoo),
        _ => None,
    }
}

/// Whose znodes look so.
fn library(layout: Layout) -> &'static str {
    match layout {
        Layout::Latch => "elector, or Curator's LeaderLatch",
        Layout::Lock => "Curator's LeaderSelector or InterProcessMutex, Go's Lock, or elector",
        Layout::Kazoo => "Python's kazoo, or elector",
        _ => "the path itself as one znode",
    }
}

/// The arithmetic, and the bounds that follow from it.
fn timing(options: &RunOptions, granted: Duration, report: &mut Report) {
    let common = &options.common;
    let place = match &common.place {
        Where::Ensemble(list) => Place::Ensemble(list.clone()),
        Where::Local(_) => Place::Local("socket".into()),
    };
    let mut builder = Elector::builder(place, &common.election)
        .session_timeout(granted)
        .stop_early(options.loss_grace + KILL_MARGIN);
    if let Some(tick) = options.ensemble_tick {
        builder = builder.ensemble_tick(tick);
    }
    let timing = builder.timing();
    if let Err(error) = timing.check() {
        return report.mend(error.to_string());
    }
    let safe = timing.usable() + timing.early;
    report.good(format!(
        "T = {}, a proof every {}: cut off, a leader's program gets its signal at most {} after the last proof and \
         is killed by {}; nobody else leads before {}",
        compact(timing.timeout),
        compact(timing.probe_every),
        spaced(timing.usable()),
        spaced(safe - KILL_MARGIN),
        compact(timing.timeout),
    ));
    let (added, made_of) = match (&common.place, options.ensemble_tick) {
        (Where::Local(_), _) => (LOCAL_TAKE_OVER, format!("T + {}", compact(LOCAL_TAKE_OVER))),
        (_, Some(tick)) => (tick + TAKE_OVER, format!("T + tick + {}", compact(TAKE_OVER))),
        (_, None) => {
            let made_of = format!("T + tick + {}, the tick taken for half of T", compact(TAKE_OVER));
            (timing.timeout / 2 + TAKE_OVER, made_of)
        }
    };
    report.good(format!(
        "a fail-over takes at most {} from the last sign of life ({made_of}), and the start of the program",
        spaced(timing.timeout + added),
    ));
    if let Some(warning) = timing.warning() {
        report.note(warning.to_string());
    }
}

/// How a program's processes are held together here.
fn containment(require_cgroup: bool, report: &mut Report) {
    if let Some(refusal) = program::hidden() {
        return report.mend(refusal);
    }
    let containment = program::Containment::establish();
    match containment.shortfall().filter(|_| require_cgroup) {
        Some(shortfall) => report.mend(shortfall),
        None => report.note(format!("containment: {}", containment.describe())),
    }
}

fn program_stop(options: &RunOptions, sampled: std::io::Result<Outcome>, report: &mut Report) {
    let name = escape(&options.program[0].to_string_lossy());
    let signal = program::signal_name(options.stop_signal.as_raw());
    let (grace, loss) = (compact(options.stop_grace), compact(options.loss_grace));
    match sampled {
        Err(error) => report.mend(format!("{name} could not be started: {error}")),
        Ok(Outcome::EndedItself(status)) => report.note(format!(
            "{name} was really run and ended by itself within a second ({status}); how long it takes to stop is not known"
        )),
        Ok(Outcome::Killed) => report.mend(format!(
            "{name} was really run and is not gone {grace} after {signal}: it would be killed on each planned stop; \
             make it end, or lengthen --stop-grace"
        )),
        Ok(Outcome::Stopped(took)) if took > options.loss_grace => report.mend(format!(
            "{name} was really run and takes {} to stop after {signal}; when leadership is lost it has only {loss}, and \
             is killed then: make it end sooner, or lengthen --loss-grace",
            spaced(took)
        )),
        Ok(Outcome::Stopped(took)) => report.good(format!(
            "{name} was really run and takes {} to stop after {signal}, of {loss} after a loss and {grace} on a planned stop",
            spaced(took)
        )),
    }
}
