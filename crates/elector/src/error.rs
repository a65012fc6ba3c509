//! Errors, small and by verb.

use std::time::Duration;

use elector_core::{BudgetError, Lost};

pub use crate::path::ElectionPathError;

/// Why an elector could not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The list of servers cannot be read; the text names the bad entry.
    #[error("{0}")]
    Servers(String),
    /// The path cannot hold an election.
    #[error(transparent)]
    Path(#[from] ElectionPathError),
    /// The id cannot be shown to others.
    #[error("bad id: {0}")]
    Id(&'static str),
    /// The access control list cannot serve.
    #[error("bad access control list: {0}")]
    Acl(&'static str),
    /// The timeouts leave no room for a lease.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The session timeout is longer than a day.
    #[error("a session timeout of {0:?} is too long: at most a day is allowed")]
    SessionTimeout(Duration),
    /// Called outside a tokio runtime, without [`own_thread`](crate::Builder::own_thread).
    #[error("no tokio runtime here; call from within one, or use own_thread()")]
    NoRuntime,
    /// The system gave no thread for [`own_thread`](crate::Builder::own_thread).
    #[error("no thread for the elector: {0}")]
    Thread(String),
    /// No server carried a session within the connect timeout.
    #[error("no server reached within {:.1}s{}", .within.as_secs_f64(), Tried(.tried))]
    Unreachable {
        /// The limit that passed.
        within: Duration,
        /// Each server of the last round and what went wrong.
        tried: Vec<(String, String)>,
    },
    /// A server was reached, and no retry can mend what it said.
    #[error(transparent)]
    Failed(#[from] CampaignError),
}

impl StartError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            StartError::Unreachable { .. } | StartError::Thread(_) => true,
            StartError::Failed(error) => error.is_retryable(),
            _ => false,
        }
    }
}

/// The servers of a failed round, for the end of a sentence.
pub(crate) struct Tried<'a>(pub(crate) &'a [(String, String)]);

impl std::fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (server, error)) in self.0.iter().enumerate() {
            write!(f, "{} {server}: {error}", if i == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

/// Why a campaign ended without a term.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CampaignError {
    /// No retry mends this: permissions, credentials, timeouts, foreign contenders, a worn-out path.
    #[error("{0}")]
    Refused(elector_core::Error),
    /// This elector is campaigning or leading already. An elector is one candidate.
    #[error("this elector campaigns or leads already")]
    Busy,
    /// The elector was closed, or its runtime was shut down.
    #[error("the elector is closed")]
    Closed,
}

impl CampaignError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, CampaignError::Busy)
    }
}

/// The znode of a resigned term may still be there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResignError {
    /// The driver ended before the servers confirmed; the session ends by its timeout.
    #[error("resigned, but no server confirmed it; the others wait out the session timeout")]
    Unconfirmed,
}

impl ResignError {
    /// Never: the term is over already, and there is nothing to call again.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

/// Why a guarded write failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The term is over; nothing was written.
    #[error("no longer leading: {0}")]
    NotLeading(Lost),
    /// Nothing was sent: no server is connected, or too much is under way.
    #[error("not sent: {0}")]
    NotSent(String),
    /// Nothing was sent, nor ever will be: a path is malformed, or it is too large.
    #[error("cannot be written: {0}")]
    Invalid(String),
    /// The connection ended before the answer: all of it was written, or nothing.
    #[error("outcome unknown: the connection ended before the answer")]
    OutcomeUnknown,
    /// The server refused; nothing was written.
    #[error("refused by the server: operation {operation}: {reason} (code {code})")]
    Refused {
        /// Which operation, from 0.
        operation: usize,
        /// ZooKeeper's code.
        code: i32,
        /// What the code means.
        reason: String,
    },
    /// Layout `single`: a check of the path passes on anybody's znode, so nothing can be guarded.
    #[error("layout single has no guarded writes")]
    Unsupported,
}

impl WriteError {
    /// Whether the same write may be tried again without harm while the term lasts.
    pub fn is_retryable(&self) -> bool {
        matches!(self, WriteError::NotSent(_))
    }
}
