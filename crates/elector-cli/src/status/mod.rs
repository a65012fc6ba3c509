//! `elector status`: who leads, who waits, and how fresh the answer is.
//!
//! The library reads, `show` writes the answer. The answer goes to standard output, everything else to standard
//! error. Of a local election it is known without reading that nobody leads where nobody hosts: nothing is locked,
//! replayed or made for an answer.

mod show;

use crate::args::{StatusOptions, Where};
use crate::local::{self, Directory, Outlook, Site};
use crate::signals::told_to_end;
use crate::{exit, log, text};
use elector::{Place, ReadError, Reader, Snapshot};
use show::{Answer, Contender, Read, Scope, Seen, Unknown};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// Contenders that are shown; the rest of a longer queue is only counted.
const MAX_CONTENDERS: usize = 1000;
/// As much of a contender's name as is shown. Whoever may write there may write a megabyte.
const MAX_NAME: usize = 255;
/// Between two readings, where a connection ended half-way.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How long closing the session may take; its timeout does it otherwise.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// Asks, answers, and tells the exit status.
pub(crate) fn status(options: &StatusOptions) -> u8 {
    let loud = !options.common.quiet;
    if loud {
        warn(&options.common.warnings);
    }
    let answer = match &options.common.place {
        Where::Ensemble(servers) => of_ensemble(options, servers),
        Where::Local(directory) => of_directory(options, directory.as_deref()),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err((refused, code)) => {
            log::complain(&refused);
            return code;
        }
    };
    if loud && !options.json {
        warn(&answer.warnings);
    }
    let text = if options.json { answer.json() } else { answer.text() };
    text::answer(&text, answer.code())
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        log::complain(&format!("warning: {warning}"));
    }
}

/// What to complain of, and the exit status.
type Refusal = (String, u8);

fn of_ensemble(options: &StatusOptions, servers: &str) -> Result<Answer, Refusal> {
    let read = read(options, Place::from(servers))?;
    // A list that the library has read has no empty entries and at most one chroot.
    let count = servers.split('/').next().unwrap_or_default().split(',').count();
    answer(options, Scope::Ensemble(count), read)
}

fn of_directory(options: &StatusOptions, given: Option<&Path>) -> Result<Answer, Refusal> {
    let directory = match Directory::find(given).map_err(|refusal| (refusal, exit::USAGE))? {
        Ok(directory) => directory,
        Err(path) => return Ok(nothing_runs(options, &path)),
    };
    if local::look_for_a_host(&directory) == Outlook::Nobody {
        return Ok(nothing_runs(options, directory.path()));
    }
    let path = directory.path().to_owned();
    let site = Site::local(directory);
    let read = read(options, site.place)?;
    // Where no answer came, whoever should have given it is looked at again.
    let outlook = site.directory.filter(|_| read.is_err()).map(|directory| local::look(&directory));
    let seen = match (read, outlook) {
        (Err(_), Some(Outlook::Nobody)) => return Ok(nothing_runs(options, &path)),
        (Err(_), Some(Outlook::Stopped(pid))) => {
            let limit = text::compact(options.limit);
            let message = format!("the host, pid {pid}, is stopped (no answer within {limit})");
            return Ok(local_answer(options, &path, Err(Unknown { code: "host-stopped", message })));
        }
        (read, _) => read,
    };
    let mut answer = answer(options, Scope::Local(path.to_string_lossy().into_owned()), seen)?;
    if let Ok(Seen { read: Some(read), .. }) = &mut answer.seen {
        read.server = path.to_string_lossy().into_owned();
    }
    Ok(answer)
}

/// Nobody hosts, so that nobody leads.
fn nothing_runs(options: &StatusOptions, directory: &Path) -> Answer {
    let seen = Seen { contenders: Vec::new(), layout: None, read: None };
    local_answer(options, directory, Ok(seen))
}

fn local_answer(options: &StatusOptions, directory: &Path, seen: Result<Seen, Unknown>) -> Answer {
    Answer {
        election: options.common.election.clone(),
        scope: Scope::Local(directory.to_string_lossy().into_owned()),
        at: log::now(),
        seen,
        warnings: Vec::new(),
    }
}

/// Reads on a runtime of its own.
fn read(options: &StatusOptions, place: Place) -> Result<Result<Snapshot, ReadError>, Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| (format!("the system refused what elector needs: {error}"), exit::FAILURE))?;
    let read = runtime.block_on(async {
        tokio::select! {
            read = read_within(options, place) => Ok(read),
            Ok(signal) = told_to_end() => Err(("interrupted".into(), exit::by_signal(signal.as_raw()))),
        }
    });
    // A look-up of a name that hangs in the system's resolver must not hold up the answer.
    runtime.shutdown_background();
    read
}

/// Reads within the limit; a connection that ends half-way is no answer yet.
async fn read_within(options: &StatusOptions, place: Place) -> Result<Snapshot, ReadError> {
    let common = &options.common;
    let until = Instant::now() + options.limit;
    let credentials = || {
        let pairs = common.credentials.iter();
        pairs.map(|credential| (credential.scheme.clone(), credential.auth.clone())).collect()
    };
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let reader = Reader::connect(place.clone(), &common.election, credentials(), left).await?;
        let error = match timeout_at(until, reader.snapshot()).await {
            Ok(Err(error)) => error,
            Ok(Ok(snapshot)) => {
                let _ = timeout_at(Instant::now() + CLOSE_LIMIT, reader.close()).await;
                return Ok(snapshot);
            }
            Err(_) => ReadError::Interrupted("connected, but no answer".into()),
        };
        if !error.is_retryable() || Instant::now() + RETRY_PAUSE >= until {
            return Err(error);
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// What the reading means; an error is what no retry can mend.
fn answer(
    options: &StatusOptions,
    scope: Scope,
    read: Result<Snapshot, ReadError>,
) -> Result<Answer, Refusal> {
    let election = &options.common.election;
    let limit = text::compact(options.limit);
    let (seen, warnings) = match read {
        Ok(snapshot) => {
            let warnings = warnings(&snapshot, election);
            (Ok(seen(snapshot)), warnings)
        }
        Err(error) if error.is_retryable() => {
            let code = if matches!(error, ReadError::Unreachable { .. }) { "unreachable" } else { "timeout" };
            let message = format!("{} (within {limit})", text::escape(&error.to_string()));
            (Err(Unknown { code, message }), Vec::new())
        }
        Err(error) => return Err((text::escape(&error.to_string()), exit::USAGE)),
    };
    Ok(Answer { election: election.clone(), scope, at: log::now(), seen, warnings })
}

fn seen(snapshot: Snapshot) -> Seen {
    let contenders = snapshot.contenders.into_iter().take(MAX_CONTENDERS).map(|contender| Contender {
        id: contender.id.chars().take(MAX_NAME).collect(),
        token: contender.token.to_string(),
        session: contender.session,
    });
    Seen {
        contenders: contenders.collect(),
        layout: snapshot.layout.map(|layout| layout.to_string()),
        read: Some(Read { server: snapshot.server, age: snapshot.age }),
    }
}

fn warnings(snapshot: &Snapshot, election: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    let total = snapshot.contenders.len();
    if !snapshot.exists {
        let path = text::escape(election);
        warnings.push(format!("no such path {path}: nobody ever contended there, or it is misspelt"));
    }
    if snapshot.layout.is_none() && total > 0 {
        warnings.push("contenders of different or unknown families, which may not exclude each other".into());
    }
    // Session 0 owns nothing: such a znode was made persistent, and stays when its maker is gone.
    let mut persistent = snapshot.contenders.iter().filter(|contender| contender.session == 0);
    if let Some(contender) = persistent.next() {
        let name: String = contender.id.chars().take(MAX_NAME).collect();
        let more = match persistent.count() {
            0 => String::new(),
            more => format!(" (nor are {more} more)"),
        };
        let name = text::shown_name(&name);
        warnings.push(format!("{name}'s znode is not ephemeral{more}: it never goes by itself"));
    }
    if total > MAX_CONTENDERS {
        warnings.push(format!("only the first {MAX_CONTENDERS} of {total} contenders are shown"));
    }
    warnings
}
