//! One answer about an election, for the commands that look once and end.
//!
//! Purpose: connect, read within the limit, and tell apart what no retry can mend (a refusal), what is not known
//! (no answer in time) and what was read. Of a local election it is known without reading that nobody is there where
//! nobody hosts: nothing is locked, replayed or made for an answer. `status` and `why` may call it.

use crate::args::{Common, StatusOptions, Where};
use crate::json::Object;
use crate::local::{self, Directory, Outlook, Site};
use crate::signals::told_to_end;
use crate::{exit, log, text};
use elector::{Place, ReadError, Reader, Snapshot};
use jiff::Timestamp;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// Between two readings, where a connection ended half-way.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How long closing the session may take; its timeout does it otherwise.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// Where the election is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// On an ensemble, of which so many servers were given.
    Ensemble(usize),
    /// In this directory of this machine.
    Local(String),
}

impl Scope {
    /// The word for scripts.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Scope::Ensemble(_) => "ensemble",
            Scope::Local(_) => "local",
        }
    }
}

/// The whole answer to what one command looks at.
#[derive(Debug, Clone)]
pub(crate) struct Answer<S> {
    pub(crate) election: String,
    pub(crate) scope: Scope,
    pub(crate) at: Timestamp,
    pub(crate) seen: Result<S, Unknown>,
    pub(crate) warnings: Vec<String>,
}

/// How an answer is put into words.
pub(crate) trait Tell {
    /// For people.
    fn text(&self) -> String;
    /// For scripts.
    fn json(&self) -> String;
    /// The exit status.
    fn code(&self) -> u8;
}

/// Asks, answers, and tells the exit status.
pub(crate) fn tell<S>(
    options: &StatusOptions,
    answer: impl FnOnce(&StatusOptions) -> Result<Answer<S>, Refusal>,
) -> u8
where
    Answer<S>: Tell,
{
    let loud = !options.common.quiet;
    if loud {
        log::warn(&options.common.warnings);
    }
    let answer = match answer(options) {
        Ok(answer) => answer,
        Err((refused, code)) => {
            log::complain(&refused);
            return code;
        }
    };
    if loud && !options.json {
        log::warn(&answer.warnings);
    }
    let text = if options.json { answer.json() } else { answer.text() };
    text::answer(&text, answer.code())
}

/// Where and when something was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) server: String,
    pub(crate) age: Duration,
}

impl Read {
    /// For scripts.
    pub(crate) fn json(&self) -> String {
        let age = u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX);
        let object = Object::default().text("server", &self.server);
        object.raw("synced", "true").number("age_ms", age).end()
    }
}

/// Why nothing was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// For scripts.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) message: String,
}

impl Unknown {
    /// For scripts.
    pub(crate) fn json(&self) -> String {
        Object::default().text("code", self.code).text("message", &self.message).end()
    }
}

/// What to complain of, and the exit status.
pub(crate) type Refusal = (String, u8);

/// What came of it.
#[derive(Debug)]
pub(crate) struct Asked<T> {
    pub(crate) scope: Scope,
    /// Nothing where nobody is there to be read.
    pub(crate) seen: Result<Option<T>, Unknown>,
}

impl<T> Asked<T> {
    /// Where and how freshly this was read. The one server of a local election has no name.
    pub(crate) fn read(&self, snapshot: &Snapshot) -> Read {
        let server = match &self.scope {
            Scope::Ensemble(_) => snapshot.server.clone(),
            Scope::Local(directory) => directory.clone(),
        };
        Read { server, age: snapshot.age }
    }
}

/// Asks, at most for `limit`.
pub(crate) fn ask<T>(
    common: &Common,
    limit: Duration,
    read: impl AsyncFn(&Reader) -> Result<T, ReadError>,
) -> Result<Asked<T>, Refusal> {
    match &common.place {
        Where::Ensemble(servers) => {
            let seen = on_a_runtime(common, limit, Place::from(servers), read)?;
            // A list that the library has read has no empty entries and at most one chroot.
            let count = servers.split('/').next().unwrap_or_default().split(',').count();
            Ok(Asked { scope: Scope::Ensemble(count), seen: judge(seen, limit)?.map(Some) })
        }
        Where::Local(directory) => of_directory(common, limit, directory.as_deref(), read),
    }
}

fn of_directory<T>(
    common: &Common,
    limit: Duration,
    given: Option<&Path>,
    read: impl AsyncFn(&Reader) -> Result<T, ReadError>,
) -> Result<Asked<T>, Refusal> {
    let scope = |path: &Path| Scope::Local(path.to_string_lossy().into_owned());
    let directory = match Directory::find(given).map_err(|refusal| (refusal, exit::USAGE))? {
        Ok(directory) => directory,
        Err(path) => return Ok(Asked { scope: scope(&path), seen: Ok(None) }),
    };
    let scope = scope(directory.path());
    match local::look_for_a_host(&directory) {
        Outlook::Nobody => return Ok(Asked { scope, seen: Ok(None) }),
        Outlook::Served(pid) => return Err((local::served_line(&directory, pid), exit::USAGE)),
        Outlook::Starting | Outlook::Hosting | Outlook::Stopped(_) => {}
    }
    let site = Site::local(directory);
    let seen = on_a_runtime(common, limit, site.place, read)?;
    // Where no answer came, whoever should have given it is looked at again.
    let outlook = site.directory.filter(|_| seen.is_err()).map(|directory| local::look(&directory));
    let seen = match (seen, outlook) {
        (Err(_), Some(Outlook::Nobody)) => Ok(None),
        (Err(_), Some(Outlook::Stopped(pid))) => {
            let limit = text::compact(limit);
            let message = format!("the host, pid {pid}, is stopped (no answer within {limit})");
            Err(Unknown { code: "host-stopped", message })
        }
        (seen, _) => judge(seen, limit)?.map(Some),
    };
    Ok(Asked { scope, seen })
}

/// What an error means: not known, or a refusal that no retry can mend.
fn judge<T>(seen: Result<T, ReadError>, limit: Duration) -> Result<Result<T, Unknown>, Refusal> {
    match seen {
        Ok(seen) => Ok(Ok(seen)),
        Err(error) if error.is_retryable() => {
            let code = if matches!(error, ReadError::Unreachable { .. }) { "unreachable" } else { "timeout" };
            let limit = text::compact(limit);
            let message = format!("{} (within {limit})", text::escape(&error.to_string()));
            Ok(Err(Unknown { code, message }))
        }
        Err(error) => Err((text::escape(&error.to_string()), exit::USAGE)),
    }
}

fn on_a_runtime<T>(
    common: &Common,
    limit: Duration,
    place: Place,
    read: impl AsyncFn(&Reader) -> Result<T, ReadError>,
) -> Result<Result<T, ReadError>, Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| (format!("the system refused what elector needs: {error}"), exit::FAILURE))?;
    let read = runtime.block_on(async {
        tokio::select! {
            read = read_within(common, limit, place, read) => Ok(read),
            Ok(signal) = told_to_end() => Err(("interrupted".into(), exit::by_signal(signal.as_raw()))),
        }
    });
    // A look-up of a name that hangs in the system's resolver must not hold up the answer.
    runtime.shutdown_background();
    read
}

/// Reads within the limit; a connection that ends half-way is no answer yet.
async fn read_within<T>(
    common: &Common,
    limit: Duration,
    place: Place,
    read: impl AsyncFn(&Reader) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let until = Instant::now() + limit;
    let credentials = || {
        let pairs = common.credentials.iter();
        pairs.map(|credential| (credential.scheme.clone(), credential.auth.clone())).collect()
    };
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let reader = Reader::connect(place.clone(), &common.election, credentials(), left).await?;
        let error = match timeout_at(until, read(&reader)).await {
            Ok(Err(error)) => error,
            Ok(Ok(seen)) => {
                let _ = timeout_at(Instant::now() + CLOSE_LIMIT, reader.close()).await;
                return Ok(seen);
            }
            Err(_) => ReadError::Interrupted("connected, but no answer".into()),
        };
        if !error.is_retryable() || Instant::now() + RETRY_PAUSE >= until {
            return Err(error);
        }
        sleep(RETRY_PAUSE).await;
    }
}
