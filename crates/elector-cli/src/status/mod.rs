//! `elector status`: who leads, who waits, and how fresh the answer is.
//!
//! The library reads, `show` writes the answer. The answer goes to standard output, everything else to standard
//! error.

mod show;

use crate::args::StatusOptions;
use crate::{exit, log, text};
use elector::{ReadError, Reader, Snapshot};
use show::{Answer, Contender, Seen, Unknown};
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
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::complain(&format!("the system refused what elector needs: {error}"));
            return exit::FAILURE;
        }
    };
    let read = runtime.block_on(read(options));
    // A look-up of a name that hangs in the system's resolver must not hold up the answer.
    runtime.shutdown_background();
    let answer = match answer(options, read) {
        Ok(answer) => answer,
        Err(refused) => {
            log::complain(&refused);
            return exit::USAGE;
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

/// Reads within the limit; a connection that ends half-way is no answer yet.
async fn read(options: &StatusOptions) -> Result<Snapshot, ReadError> {
    let common = &options.common;
    let until = Instant::now() + options.limit;
    let credentials = || {
        let pairs = common.credentials.iter();
        pairs.map(|credential| (credential.scheme.clone(), credential.auth.clone())).collect()
    };
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let reader = Reader::connect(&common.servers, &common.election, credentials(), left).await?;
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
fn answer(options: &StatusOptions, read: Result<Snapshot, ReadError>) -> Result<Answer, String> {
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
        Err(error) => return Err(text::escape(&error.to_string())),
    };
    // A list that the library has read has no empty entries and at most one chroot.
    let servers = options.common.servers.split('/').next().unwrap_or_default().split(',').count();
    Ok(Answer { election: election.clone(), servers, at: log::now(), seen, warnings })
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
        server: snapshot.server,
        age: snapshot.age,
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
        warnings.push("contenders of different families, which may not exclude each other".into());
    }
    if total > MAX_CONTENDERS {
        warnings.push(format!("only the first {MAX_CONTENDERS} of {total} contenders are shown"));
    }
    warnings
}
