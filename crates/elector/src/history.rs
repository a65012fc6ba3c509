//! What is remembered of past terms, beside the election.
//!
//! Purpose: one small znode for each of the last terms, below `<election>.ctl/history`, named by its token. Invariants:
//! nothing is ever written below the election's own path, where foreign contenders count every child; nothing that is
//! found there decides anything; whoever writes does so on a session of its own, so that a history that cannot be
//! written costs the election nothing; and we never make more than [`KEPT`].

use std::fmt;
use std::time::{Duration, SystemTime};

use elector_core::Token;
use zk_session::wire::{Acl, CreateMode, ErrorCode, Stat};
use zk_session::{CallError, Client, Credential, SessionEnd};

use crate::estate::Estate;
use crate::place::Place;
use crate::reader::{self, ReadError, Reader};

/// Terms that are remembered; the oldest goes when another one comes.
pub(crate) const KEPT: usize = 50;
/// The longest record in bytes, written or read. Whoever may write there may write a megabyte.
const LONGEST: usize = 4096;
/// Records that are dropped at a time, should somebody else have put more there.
const MOST_DROPPED: usize = 100;
/// How long a call looks for a server.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Records that are read at a time.
const AT_ONCE: usize = 16;
/// Digits of the largest token; names of as many digits sort by their numbers.
const DIGITS: usize = 19;

/// What was written down about one term. Whoever may write there can have written anything: it is for people, never
/// for deciding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The term's token, by the record's name.
    pub token: Token,
    /// The text; none where it is no text or longer than 4096 bytes.
    pub text: Option<String>,
    /// When it was made, by the servers' clock.
    pub created: SystemTime,
    /// When it was last changed, by the servers' clock.
    pub changed: SystemTime,
    version: i32,
}

/// Why a record could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The servers refuse it; no retry mends that.
    #[error("{path}: {reason}")]
    Refused {
        /// The znode that it is about.
        path: String,
        /// Why, as a short fragment.
        reason: String,
    },
    /// No server answered, or the connection ended before the answer: it may be written or not.
    #[error("{0}")]
    Interrupted(String),
}

impl HistoryError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, HistoryError::Interrupted(_))
    }
}

/// The history of one election, for whoever adds to it: from [`Builder::history`](crate::Builder::history), or from
/// an [`Estate`].
///
/// The library itself writes no history; `elector run` does. It holds a session of its own from the first call until
/// [`rest`](Self::rest), or until it is dropped. Cancelling a call leaves its write done or not.
pub struct History {
    place: Place,
    path: String,
    credentials: Vec<Credential>,
    /// For the records.
    acl: Vec<Acl>,
    /// For the znodes above them.
    path_acl: Vec<Acl>,
    /// The server to try first.
    first: Option<String>,
    client: Option<Client>,
}

impl History {
    pub(crate) fn new(
        place: Place,
        election: &str,
        credentials: Vec<Credential>,
        acl: Vec<Acl>,
        path_acl: Vec<Acl>,
    ) -> History {
        History { place, path: above(election), credentials, acl, path_acl, first: None, client: None }
    }

    /// From its next session on it tries the server first that carried this session: that one answered lately, whereas
    /// another one may hang for seconds before the next is tried.
    pub fn prefer(&mut self, estate: &Estate) {
        self.first = Some(estate.server.clone());
    }

    /// Makes the record of a term, and drops the oldest that are more than fifty. False if there is one already,
    /// which stays as it is.
    ///
    /// # Errors
    /// See [`HistoryError`]. Nothing is added where the oldest cannot be dropped.
    pub async fn create(&mut self, token: Token, text: &str) -> Result<bool, HistoryError> {
        let path = self.checked(token, text)?;
        self.prune().await?;
        let (acl, client) = (self.acl.clone(), self.client().await?);
        let made = client.create2(&path, text.as_bytes(), acl, CreateMode::Persistent).await;
        match made {
            Ok(_) => Ok(true),
            Err(CallError::Refused(ErrorCode::NodeExists)) => Ok(false),
            Err(error) => Err(self.trouble(&path, error)),
        }
    }

    /// The record of a term, if there is one.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn get(&mut self, token: Token) -> Result<Option<Record>, HistoryError> {
        let path = named(&self.path, token);
        let client = self.client().await?;
        get(client, &path, token).await.map_err(|error| self.trouble(&path, error))
    }

    /// Puts another text into a record. False if it was changed since it was read, or is gone.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn replace(&mut self, record: &Record, text: &str) -> Result<bool, HistoryError> {
        let path = self.checked(record.token, text)?;
        let client = self.client().await?;
        match client.set_data(&path, text.as_bytes(), record.version).await {
            Ok(_) => Ok(true),
            Err(CallError::Refused(ErrorCode::BadVersion | ErrorCode::NoNode)) => Ok(false),
            Err(error) => Err(self.trouble(&path, error)),
        }
    }

    /// The last `count` records, the newest first.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn last(&mut self, count: usize) -> Result<Vec<Record>, HistoryError> {
        let path = self.path.clone();
        let client = self.client().await?;
        last(client, &path, count).await.map_err(|error| self.trouble(&path, error))
    }

    /// Closes the session; the next call opens another.
    pub async fn rest(&mut self) {
        if let Some(client) = self.client.take() {
            client.close().await;
        }
    }

    fn checked(&self, token: Token, text: &str) -> Result<String, HistoryError> {
        let path = named(&self.path, token);
        if text.len() > LONGEST {
            let reason = format!("a record of {} bytes; at most {LONGEST} are taken", text.len());
            return Err(HistoryError::Refused { path, reason });
        }
        Ok(path)
    }

    async fn client(&mut self) -> Result<&Client, HistoryError> {
        if self.client.is_none() {
            let credentials = self.credentials.clone();
            let connected = reader::client(&self.place, self.first.clone(), credentials, CONNECT_LIMIT).await;
            self.client = Some(connected.map_err(|error| match error {
                error if error.is_retryable() => HistoryError::Interrupted(error.to_string()),
                error => HistoryError::Refused { path: self.path.clone(), reason: error.to_string() },
            })?);
        }
        let none = || HistoryError::Interrupted("no connection".to_owned());
        self.client.as_ref().ok_or_else(none)
    }

    /// Makes room for one more, and the znodes above it where they are missing.
    async fn prune(&mut self) -> Result<(), HistoryError> {
        let path = self.path.clone();
        let client = self.client().await?;
        let names = match client.get_children2(&path, false).await {
            Ok(answer) => answer.value.0,
            Err(CallError::Refused(ErrorCode::NoNode)) => return self.found().await,
            Err(error) => return Err(self.trouble(&path, error)),
        };
        for token in newest_first(&names).into_iter().skip(KEPT - 1).take(MOST_DROPPED) {
            let record = named(&path, token);
            match self.client().await?.delete(&record, -1).await {
                // Another one may have made room as well.
                Ok(_) | Err(CallError::Refused(ErrorCode::NoNode)) => {}
                Err(error) => return Err(self.trouble(&record, error)),
            }
        }
        Ok(())
    }

    /// Makes the znodes above the records. The election's parents are there, or there were no term.
    async fn found(&mut self) -> Result<(), HistoryError> {
        let control = self.path.rsplit_once('/').map_or("/", |(control, _)| control).to_owned();
        for path in [control, self.path.clone()] {
            let (acl, client) = (self.path_acl.clone(), self.client().await?);
            match client.create2(&path, b"", acl, CreateMode::Persistent).await {
                Ok(_) | Err(CallError::Refused(ErrorCode::NodeExists)) => {}
                Err(error) => return Err(self.trouble(&path, error)),
            }
        }
        Ok(())
    }

    /// After anything but a plain refusal the session is not used again: it may be over.
    fn trouble(&mut self, path: &str, error: CallError) -> HistoryError {
        let path = path.to_owned();
        match error {
            CallError::Refused(code) => HistoryError::Refused { path, reason: code.to_string() },
            CallError::Ended(SessionEnd::AuthFailed) => {
                HistoryError::Refused { path, reason: "the servers refused the credentials".to_owned() }
            }
            other => {
                self.client = None;
                HistoryError::Interrupted(other.to_string())
            }
        }
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History")
            .field("place", &self.place)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Estate {
    /// The history of the election to which the session belongs, for adding to records that are there.
    pub fn history(&self) -> History {
        let credentials = self.credentials.clone();
        let mut history = History::new(self.place.clone(), &self.path, credentials, Vec::new(), Vec::new());
        history.prefer(self);
        history
    }
}

impl Reader {
    /// What was written down about the last `count` terms, the newest first: nothing where nobody wrote any.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn history(&self, count: usize) -> Result<Vec<Record>, ReadError> {
        let path = above(&self.path);
        last(&self.client, &path, count).await.map_err(|error| reader::trouble(&path, error))
    }

    /// What was written down about one term.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn record(&self, token: Token) -> Result<Option<Record>, ReadError> {
        let path = named(&above(&self.path), token);
        get(&self.client, &path, token).await.map_err(|error| reader::trouble(&path, error))
    }
}

/// The znode above an election's records.
fn above(election: &str) -> String {
    format!("{election}.ctl/history")
}

fn named(above: &str, token: Token) -> String {
    format!("{above}/{:0DIGITS$}", token.get())
}

/// The tokens among these names, the newest first. What is named otherwise is not ours.
fn newest_first(names: &[String]) -> Vec<Token> {
    let ours =
        names.iter().filter(|name| name.len() == DIGITS && name.bytes().all(|byte| byte.is_ascii_digit()));
    let mut tokens: Vec<Token> = ours.filter_map(|name| name.parse().ok()).collect();
    tokens.sort_unstable_by(|a, b| b.cmp(a));
    tokens
}

async fn last(client: &Client, path: &str, count: usize) -> Result<Vec<Record>, CallError> {
    let names = match client.get_children2(path, false).await {
        Ok(answer) => answer.value.0,
        Err(CallError::Refused(ErrorCode::NoNode)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut tokens = newest_first(&names);
    tokens.truncate(count);
    let mut found = Vec::new();
    for part in tokens.chunks(AT_ONCE) {
        // Asked one behind the other and awaited together: one round trip for each part.
        let reads = part.iter().map(|token| {
            let (client, token, path) = (client.clone(), *token, named(path, *token));
            tokio::spawn(async move { get(&client, &path, token).await })
        });
        for read in reads.collect::<Vec<_>>() {
            // A task that did not come to its end has lost the answer.
            found.extend(read.await.unwrap_or(Err(CallError::OutcomeUnknown))?);
        }
    }
    Ok(found)
}

async fn get(client: &Client, path: &str, token: Token) -> Result<Option<Record>, CallError> {
    match client.get_data(path, false).await {
        Ok(answer) => Ok(Some(record(token, answer.value.0.unwrap_or_default(), &answer.value.1))),
        Err(CallError::Refused(ErrorCode::NoNode)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn record(token: Token, data: Vec<u8>, stat: &Stat) -> Record {
    let text = if data.len() > LONGEST { None } else { String::from_utf8(data).ok() };
    let time = |ms: i64| SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    Record { token, text, created: time(stat.ctime), changed: time(stat.mtime), version: stat.version }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: u64) -> Token {
        number.to_string().parse().expect("a token")
    }

    #[test]
    fn records_lie_beside_the_election_and_sort_by_their_numbers() {
        let path = named(&above("/a/billing"), token(4_294_967_388));
        assert_eq!(path, "/a/billing.ctl/history/0000000004294967388");
        let name = |number: u64| path_of(number);
        let others = ["", "4294967388", "000000000429496738x", "note"].map(str::to_owned);
        let names: Vec<String> =
            [name(9), name(10), name(i64::MAX as u64)].into_iter().chain(others).collect();
        assert_eq!(newest_first(&names), [token(i64::MAX as u64), token(10), token(9)]);
    }

    fn path_of(number: u64) -> String {
        named("", token(number))[1..].to_owned()
    }

    #[test]
    fn what_others_wrote_is_bounded_and_need_not_be_text() {
        let stat = Stat { ctime: 1_000, mtime: -5, ..Stat::default() };
        assert_eq!(record(token(1), b"x".to_vec(), &stat).text.as_deref(), Some("x"));
        assert_eq!(record(token(1), vec![0xff], &stat).text, None);
        assert_eq!(record(token(1), vec![b'x'; LONGEST + 1], &stat).text, None);
        let times = record(token(1), Vec::new(), &stat);
        assert_eq!(times.created, SystemTime::UNIX_EPOCH + Duration::from_secs(1));
        assert_eq!(times.changed, SystemTime::UNIX_EPOCH);
    }
}
