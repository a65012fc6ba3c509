//! Looking at an election from outside, without contending.

use std::time::Duration;

use elector_core::{Contender, Layout, Token, contender};
use zk_session::wire::ErrorCode;
use zk_session::{
    CallError, Client, Config, ConnectError, Credential, MonotonicClock, SessionEnd, UnixConnector,
};

use crate::error::ElectionPathError;
use crate::path;
use crate::place::{self, Place};

/// The session of a reader owns nothing; a short timeout leaves nothing behind for long.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// Contenders that are read at a time.
const AT_ONCE: usize = 64;
/// Of a name that others wrote, so many characters are kept.
const LONGEST_ID: usize = 1024;

/// Reads one election without taking part in it.
#[derive(Debug)]
pub struct Reader {
    pub(crate) client: Client,
    place: Place,
    pub(crate) path: String,
}

/// Why an election could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The list of servers cannot be read; the text names the bad entry.
    #[error("{0}")]
    Servers(String),
    /// The path cannot hold an election.
    #[error(transparent)]
    Path(#[from] ElectionPathError),
    /// No server answered in time.
    #[error("no server reached{}", crate::error::Tried(.tried))]
    Unreachable {
        /// Each server that was tried and what went wrong.
        tried: Vec<(String, String)>,
    },
    /// The servers refused our credentials.
    #[error("the servers refused the credentials")]
    AuthFailed,
    /// An access control list forbids reading.
    #[error("no permission to read {path}")]
    NoPermission {
        /// The znode that cannot be read.
        path: String,
    },
    /// The connection or the session ended before the answer.
    #[error("{0}")]
    Interrupted(String),
    /// The children of the path cannot be read as an order.
    #[error(transparent)]
    Unreadable(#[from] elector_core::Error),
}

impl ReadError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, ReadError::Unreachable { .. } | ReadError::Interrupted(_))
    }
}

/// One contender as the servers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContenderInfo {
    /// The name that it shows: whatever it wrote into its znode, at most 1024 characters of it. Not
    /// to be trusted.
    pub id: String,
    /// Its fencing token, in force if it leads.
    pub token: Token,
    /// The session that owns its znode; 0 where nobody does, a znode made by hand.
    pub session: i64,
    /// Its znode's name, or the empty name in layout `single`.
    pub name: String,
}

/// An election at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The contenders in their order; the first one leads, or is about to, or is stopping.
    pub contenders: Vec<ContenderInfo>,
    /// The layout that they are of, if all are of one.
    pub layout: Option<Layout>,
    /// Whether there is such a path at all.
    pub exists: bool,
    /// The server that was read.
    pub server: String,
    /// How old this answer is at least to be reckoned: since the list was asked for.
    pub age: Duration,
}

impl Reader {
    /// Connects to `place`, at most for `within`, to read the election at `path`. `place` is an ensemble's
    /// connect string, or any [`Place`].
    ///
    /// Cancelling it leaves nothing behind but a session that ends by itself.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn connect(
        place: impl Into<Place>,
        path: &str,
        credentials: Vec<(String, Vec<u8>)>,
        within: Duration,
    ) -> Result<Reader, ReadError> {
        path::validate(path)?;
        let place = place.into();
        let credentials = credentials.into_iter().map(|(scheme, auth)| Credential::new(scheme, auth));
        let client = client(&place, None, credentials.collect(), within).await?;
        Ok(Reader { client, place, path: path.to_owned() })
    }

    /// Reads the election, so that it shows everything that was answered to anybody before: after a
    /// sync, unless one server is the whole place. Waits for a connection without limit.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        let path = &self.path;
        self.sync().await?;
        let (names, parent, sent) = match self.client.get_children2(path, false).await {
            Ok(answer) => (answer.value.0, answer.value.1, answer.sent),
            Err(CallError::Refused(ErrorCode::NoNode)) => {
                return Ok(self.seen(false, Vec::new(), None, None));
            }
            Err(error) => return Err(trouble(path, error)),
        };
        if parent.ephemeral_owner != 0 {
            let holder = contender_at(&self.client, path, "").await?;
            return Ok(self.seen(true, holder.into_iter().collect(), Some(Layout::Single), Some(sent)));
        }
        let queue = contender::queue(&names)?;
        let layout = contender::layout_of(&queue);
        let contenders = self.contenders(&queue).await?;
        Ok(self.seen(true, contenders, layout, Some(sent)))
    }

    /// Closes the session.
    pub async fn close(self) {
        self.client.close().await;
    }

    /// Lets the server that is read catch up, where there are others that may be ahead of it.
    async fn sync(&self) -> Result<(), ReadError> {
        if matches!(self.place, Place::Local(_)) {
            return Ok(());
        }
        match self.client.sync(&self.path).await {
            // A sync of what is not there is answered all the same, by some servers with a code.
            Ok(_) | Err(CallError::Refused(ErrorCode::NoNode)) => Ok(()),
            Err(error) => Err(trouble(&self.path, error)),
        }
    }

    async fn contenders(&self, queue: &[Contender]) -> Result<Vec<ContenderInfo>, ReadError> {
        let mut found = Vec::new();
        for part in queue.chunks(AT_ONCE) {
            // Asked one behind the other and awaited together: one round trip for each part.
            let mut reads = Vec::new();
            for contender in part {
                let (client, name) = (self.client.clone(), contender.name.clone());
                let znode = format!("{}/{name}", self.path);
                reads.push(tokio::spawn(async move { contender_at(&client, &znode, &name).await }));
            }
            for read in reads {
                let read = read.await.map_err(|error| ReadError::Interrupted(error.to_string()))?;
                found.extend(read?);
            }
        }
        Ok(found)
    }

    fn seen(
        &self,
        exists: bool,
        contenders: Vec<ContenderInfo>,
        layout: Option<Layout>,
        sent: Option<Duration>,
    ) -> Snapshot {
        let now = self.place.clock().now();
        Snapshot {
            contenders,
            layout,
            exists,
            server: self.client.attachment().map(|attachment| attachment.server).unwrap_or_default(),
            age: sent.map_or(Duration::ZERO, |sent| now.saturating_sub(sent)),
        }
    }
}

/// Connects to a place, for looking at it or adding to what lies beside its elections; to the server `first`, if that
/// answers.
pub(crate) async fn client(
    place: &Place,
    first: Option<String>,
    credentials: Vec<Credential>,
    within: Duration,
) -> Result<Client, ReadError> {
    let config = |servers| Config { first, timeout: SESSION_TIMEOUT, credentials, ..Config::new(servers) };
    let connected = match place {
        Place::Ensemble(servers) => {
            let servers = servers.parse().map_err(|error| ReadError::Servers(format!("{error}")))?;
            Client::connect_within(config(servers), within).await
        }
        Place::Local(socket) => {
            let config = config(place::only_server(socket));
            Client::connect_with(config, UnixConnector::new(socket), MonotonicClock, within).await
        }
    };
    connected.map_err(|error| match error {
        ConnectError::Unreachable { tried } => ReadError::Unreachable { tried },
        ConnectError::Ended(SessionEnd::AuthFailed) => ReadError::AuthFailed,
        error => ReadError::Interrupted(error.to_string()),
    })
}

/// One contender; none if it is gone meanwhile.
async fn contender_at(client: &Client, znode: &str, name: &str) -> Result<Option<ContenderInfo>, ReadError> {
    match client.get_data(znode, false).await {
        Ok(answer) => {
            let (data, stat) = answer.value;
            let id = shown_id(data);
            Ok(Token::from_czxid(stat.czxid).map(|token| ContenderInfo {
                id,
                token,
                session: stat.ephemeral_owner,
                name: name.to_owned(),
            }))
        }
        Err(CallError::Refused(ErrorCode::NoNode)) => Ok(None),
        Err(error) => Err(trouble(znode, error)),
    }
}

/// The name in a contender's data, whatever that is.
pub(crate) fn shown_id(data: Option<Vec<u8>>) -> String {
    String::from_utf8_lossy(&data.unwrap_or_default()).chars().take(LONGEST_ID).collect()
}

pub(crate) fn trouble(path: &str, error: CallError) -> ReadError {
    match error {
        CallError::Refused(ErrorCode::NoAuth) => ReadError::NoPermission { path: path.to_owned() },
        CallError::Ended(SessionEnd::AuthFailed) => ReadError::AuthFailed,
        other => ReadError::Interrupted(other.to_string()),
    }
}
