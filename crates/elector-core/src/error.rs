//! Why a candidate gives up, why a leader lost, and what an operator should hear about.

use std::fmt;
use std::time::Duration;

use crate::layout::{Family, Layout};
use crate::lease::Timing;

/// What no retry can mend.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An access control list forbids what the election needs.
    #[error("no permission to {action}")]
    NoPermission {
        /// What was refused.
        action: &'static str,
    },
    /// The servers refused our credentials.
    #[error("the servers refused the credentials")]
    AuthFailed,
    /// The access control list that we were told to use is not valid for the servers.
    #[error("the servers refuse the access control list as invalid")]
    InvalidAcl,
    /// Contenders of a family that our layout does not exclude.
    #[error("{}", Foreign(.families, .example, .fits))]
    Foreign {
        /// The families found.
        families: Vec<Family>,
        /// One of their znodes.
        example: String,
        /// The layout that is safe beside all of them, if there is one.
        fits: Option<Layout>,
    },
    /// The sequence numbers under the path are nearly used up, or have overflowed.
    #[error("election path worn out, use a fresh one (its sequence numbers have reached {name:?})")]
    WornOut {
        /// The znode that shows it.
        name: String,
    },
    /// Two contenders carry one sequence number; nobody can say who was first.
    #[error(
        "two contenders carry the same sequence number: {name:?} and our own; remove the one made by hand"
    )]
    Tie {
        /// The other contender.
        name: String,
    },
    /// A new znode was given a lower number than an earlier one: the ensemble lost data.
    #[error(
        "the ensemble's data went back: a term had token {seen}, and a new znode would give {given}; tokens would not rise"
    )]
    WentBack {
        /// The token of an earlier term of ours.
        seen: i64,
        /// That of a later one, had it begun.
        given: i64,
    },
    /// The timeouts leave no room for a lease.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The path is an ephemeral znode, as one-znode elections make it.
    #[error("the election path is itself an ephemeral znode, a one-znode election: use --layout single")]
    PathIsEphemeral,
    /// Layout `single` found a znode that no session owns.
    #[error(
        "the election path is a persistent znode, which layout single cannot use: name a path below it; for the contenders under it use --layout latch"
    )]
    PathIsPersistent,
    /// The server refused with a code that the election has no answer to.
    #[error("the server refused to {action} (code {code})")]
    Refused {
        /// What was refused.
        action: &'static str,
        /// ZooKeeper's error code.
        code: i32,
    },
}

struct Foreign<'a>(&'a [Family], &'a str, &'a Option<Layout>);

impl fmt::Display for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Foreign(families, example, fits) = self;
        write!(f, "contenders here that this layout does not exclude: ")?;
        for (i, family) in families.iter().enumerate() {
            write!(f, "{}{family}", if i == 0 { "" } else { ", " })?;
        }
        write!(f, " (for example {example:?}); ")?;
        match fits {
            Some(layout) => write!(f, "use --layout {layout}"),
            None => write!(f, "no layout is safe beside them, use another path"),
        }
    }
}

/// The session timeout is too short for the probes and the graces that it must hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BudgetError(pub(crate) Timing);

impl BudgetError {
    /// The arithmetic that failed.
    pub fn timing(&self) -> &Timing {
        &self.0
    }
}

impl std::error::Error for BudgetError {}

impl fmt::Display for BudgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = &self.0;
        write!(
            f,
            "a session timeout of {} is too short: less 1 % and 100 ms, less {} to stop the program, {} remain; \
             needed are {} x {} between probes + 500 ms = {}; \
             lengthen the session timeout or shorten the loss grace",
            Seconds(t.timeout),
            Seconds(t.early),
            Seconds(t.usable()),
            t.probes + 1,
            Seconds(t.probe_every),
            Seconds(t.needed()),
        )
    }
}

/// A duration as people write it: `10s`, `0.93s`.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.3}", self.0.as_secs_f64());
        write!(f, "{}s", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Why a term ended without our wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lost {
    /// No quorum acknowledged us in time.
    NoQuorum,
    /// The connection was lost, and we were told to stop then.
    Disconnected,
    /// The servers expired the session.
    SessionExpired,
    /// A server gave us another session.
    SessionReplaced,
    /// Somebody else uses our session.
    SessionShared,
    /// The session was closed by our own side while it led.
    SessionClosed,
    /// The servers refused our credentials.
    AuthFailed,
    /// Somebody deleted our znode.
    Deposed,
    /// A contender with a lower number appeared before us.
    Overtaken,
    /// The server refused what leading needs.
    Refused,
    /// The driver of the election is gone: its runtime was shut down, or it failed.
    Abandoned,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lost::NoQuorum => "no quorum answered",
            Lost::Disconnected => "connection lost",
            Lost::SessionExpired => "session expired",
            Lost::SessionReplaced => "session replaced by another",
            Lost::SessionShared => "somebody else uses our session",
            Lost::SessionClosed => "session closed",
            Lost::AuthFailed => "credentials refused",
            Lost::Deposed => "our znode was deleted",
            Lost::Overtaken => "a lower contender appeared",
            Lost::Refused => "the server refused",
            Lost::Abandoned => "the election's driver is gone",
        })
    }
}

/// What an operator should hear about, though the election goes on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// A re-attachment negotiated less than the session had.
    #[error(
        "a server shortened the session timeout from {} to {}: the servers' session limits differ, which the guarantee excludes; make them equal",
        Seconds(*.from),
        Seconds(*.to)
    )]
    TimeoutShrunk {
        /// The smallest before.
        from: Duration,
        /// The smallest now.
        to: Duration,
    },
    /// The lease holds, but a change of the quorum leader may outlast it.
    #[error(
        "a session timeout of {} leaves {} to spare; a slow change of the quorum leader takes 2.6s and would cost the leadership",
        Seconds(.0.timeout),
        Seconds(.0.spare())
    )]
    Tight(Timing),
    /// Contenders of a family that our layout does not exclude appeared after we enrolled.
    #[error("contenders of {family} appeared (for example {example:?}), which this layout does not exclude")]
    ForeignAppeared {
        /// The family.
        family: Family,
        /// One of its znodes.
        example: String,
    },
    /// The connection was taken over again and again.
    #[error(
        "somebody else uses our session: its connection was taken over three times within the session timeout"
    )]
    SessionShared,
}
