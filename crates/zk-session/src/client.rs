//! A handle for plain use: calls that can be awaited, over a task that owns a session.
//!
//! Purpose: those who just want to ask a server something need no event loop of their own. Invariant: at
//! most [`MAX_WAITING`] calls wait in front of the task and [`MAX_CALLS`](crate::config::MAX_CALLS) behind it; a call whose future is
//! dropped before it was taken up is never sent; the session is closed when the last handle is dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use zk_wire::{Acl, CreateMode, ErrorCode, MultiOp, MultiResult, Request, Response, Stat, WatchEvent};

use crate::client_task::{Call, Task, What};
use crate::clock::{BootClock, Clock, before};
use crate::config::{Config, MAX_EVENTS, MAX_WAITING};
use crate::connector::{Connector, TcpConnector};
use crate::happening::{Attachment, DetachCause, NotSent, SessionEnd};
use crate::session::Session;

/// A handle to one session. Clones share it; when the last is dropped, the session is closed in the
/// background.
///
/// While no server carries the session, calls wait for one, without limit in time: put a timeout around
/// them where that matters. A call that is dropped (by a timeout, say) before it was sent is never sent;
/// one dropped later is carried out or not, and its answer is discarded.
///
/// Calls of one task are carried out in their order, as far as one connection reaches. After a call failed
/// with [`OutcomeUnknown`](CallError::OutcomeUnknown) it may still be carried out later.
#[derive(Debug, Clone)]
pub struct Client {
    calls: mpsc::Sender<Call>,
    events: broadcast::Sender<ClientEvent>,
    status: watch::Receiver<Status>,
    /// Says `true` to close; dropped with the last handle.
    close: std::sync::Arc<watch::Sender<bool>>,
}

/// What the task tells all handles.
#[derive(Debug, Default)]
pub(crate) struct Status {
    pub(crate) was_up: bool,
    /// The connection that carries the session now.
    pub(crate) attachment: Option<Attachment>,
    /// What went wrong last at each server, until one answered.
    pub(crate) tried: BTreeMap<String, String>,
    pub(crate) ended: Option<SessionEnd>,
}

/// A server's answer to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// The zxid of the answer.
    pub zxid: i64,
    /// The clock before the request was handed to the socket.
    pub sent: Duration,
    /// The clock when the answer had been read.
    pub received: Duration,
    /// The session timeout negotiated on the connection.
    pub timeout: Duration,
}

impl<T> Answer<T> {
    fn map<U>(self, f: impl FnOnce(T) -> Option<U>) -> Result<Answer<U>, CallError> {
        let Self { value, zxid, sent, received, timeout } = self;
        // The session has decoded the answer by the type of the request, so each has its own shape.
        let value = f(value).ok_or(CallError::OutcomeUnknown)?;
        Ok(Answer { value, zxid, sent, received, timeout })
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server does not have it and will not get it.
    #[error("not sent: {0}")]
    NotSent(NotSent),
    /// The connection ended before the answer came: it may have been, or may yet be, carried out.
    #[error("outcome unknown: the connection ended before the answer came")]
    OutcomeUnknown,
    /// The server refused, with this code.
    #[error("refused by the server: {0}")]
    Refused(ErrorCode),
    /// The session is over; the call was not sent.
    #[error("{0}")]
    Ended(SessionEnd),
}

/// Why no session came about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No server answered in time.
    #[error("no server reached: {}", list(tried))]
    Unreachable {
        /// Each server that was tried and what went wrong last.
        tried: Vec<(String, String)>,
    },
    /// The session ended before it began, as when credentials are refused.
    #[error("{0}")]
    Ended(SessionEnd),
}

fn list(tried: &[(String, String)]) -> String {
    tried.iter().map(|(server, error)| format!("{server}: {error}")).collect::<Vec<_>>().join(", ")
}

/// What the session does between calls.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// A watch fired.
    Watch(WatchEvent),
    /// A server carries the session.
    Attached(Attachment),
    /// The connection is gone; the session reconnects by itself.
    Detached {
        /// The server as the connect string names it.
        server: String,
        /// Why.
        cause: DetachCause,
    },
    /// The session is over.
    Ended(SessionEnd),
}

impl Client {
    /// Connects over TCP, within the session timeout asked for.
    ///
    /// # Errors
    /// As [`connect_within`](Self::connect_within).
    pub async fn connect(config: Config) -> Result<Self, ConnectError> {
        let limit = config.asked_timeout();
        Self::connect_within(config, limit).await
    }

    /// Connects over TCP. Must be called on a tokio runtime, where the session then lives.
    ///
    /// Dropping the future gives up; a session made by then is closed.
    ///
    /// # Errors
    /// If no server has taken the session, and accepted its credentials, after `limit`; or if a server has
    /// refused the credentials.
    pub async fn connect_within(config: Config, limit: Duration) -> Result<Self, ConnectError> {
        Self::connect_with(config, TcpConnector, BootClock, limit).await
    }

    /// The same over any streams and clock.
    ///
    /// # Errors
    /// As [`connect_within`](Self::connect_within).
    pub async fn connect_with<C: Connector, K: Clock>(
        config: Config,
        connector: C,
        clock: K,
        limit: Duration,
    ) -> Result<Self, ConnectError> {
        let (calls, mailbox) = mpsc::channel(MAX_WAITING);
        let (events, _) = broadcast::channel(MAX_EVENTS);
        let (status, status_out) = watch::channel(Status::default());
        let (close, close_asked) = watch::channel(false);
        let session = Session::new(config, connector, clock.clone());
        tokio::spawn(Task::new(session, mailbox, events.clone(), status, close_asked).run());
        let mut settling = status_out.clone();
        let client = Self { calls, events, status: status_out, close: std::sync::Arc::new(close) };
        let settled = async {
            let status = settling.wait_for(|status| status.was_up || status.ended.is_some()).await;
            // Without a word of the end there is no task: the runtime is shutting down.
            status.map_or(Some(SessionEnd::Closed), |status| status.ended)
        };
        match before(&clock, clock.now() + limit, settled).await {
            Ok(None) => Ok(client),
            Ok(Some(end)) => Err(ConnectError::Ended(end)),
            Err(_) => {
                let tried = client.status.borrow().tried.clone().into_iter().collect();
                Err(ConnectError::Unreachable { tried })
            }
        }
    }

    /// Watches that fire and changes of connection, from now on. A receiver that falls behind by more than
    /// [`MAX_EVENTS`] is told so and goes on with the newest.
    pub fn events(&self) -> broadcast::Receiver<ClientEvent> {
        self.events.subscribe()
    }

    /// The connection that carries the session, if any does.
    pub fn attachment(&self) -> Option<Attachment> {
        self.status.borrow().attachment.clone()
    }

    /// Sends any request that a session sends for its owner; the shape of the answer follows the request.
    ///
    /// # Errors
    /// [`CallError`] tells whether the server may have carried it out. The other calls fail alike.
    pub async fn call(&self, request: Request) -> Result<Answer<Response>, CallError> {
        self.ask(What::Request(request)).await
    }

    /// Makes a node and returns its path and stat.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn create2(
        &self,
        path: &str,
        data: &[u8],
        acl: Vec<Acl>,
        mode: CreateMode,
    ) -> Result<Answer<(String, Stat)>, CallError> {
        let request = Request::Create2 { path: path.to_owned(), data: Some(data.to_vec()), acl, mode };
        self.call(request).await?.map(|response| match response {
            Response::Created2 { path, stat } => Some((path, stat)),
            _ => None,
        })
    }

    /// Deletes a node without children; -1 matches every version.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn delete(&self, path: &str, version: i32) -> Result<Answer<()>, CallError> {
        self.call(Request::Delete { path: path.to_owned(), version }).await?.map(|_| Some(()))
    }

    /// Looks for a node; a watch stays also where there is none.
    ///
    /// # Errors
    /// As [`call`](Self::call), [`NoNode`](ErrorCode::NoNode) included.
    pub async fn exists(&self, path: &str, watch: bool) -> Result<Answer<Stat>, CallError> {
        self.call(Request::Exists { path: path.to_owned(), watch }).await?.map(stat)
    }

    /// Reads a node's data and stat.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn get_data(
        &self,
        path: &str,
        watch: bool,
    ) -> Result<Answer<(Option<Vec<u8>>, Stat)>, CallError> {
        let answer = self.call(Request::GetData { path: path.to_owned(), watch }).await?;
        answer.map(|response| match response {
            Response::Data { data, stat } => Some((data, stat)),
            _ => None,
        })
    }

    /// Lists a node's children, in no order, with its stat.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn get_children2(
        &self,
        path: &str,
        watch: bool,
    ) -> Result<Answer<(Vec<String>, Stat)>, CallError> {
        let answer = self.call(Request::GetChildren2 { path: path.to_owned(), watch }).await?;
        answer.map(|response| match response {
            Response::Children2 { names, stat } => Some((names, stat)),
            _ => None,
        })
    }

    /// Replaces a node's data; -1 matches every version.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn set_data(&self, path: &str, data: &[u8], version: i32) -> Result<Answer<Stat>, CallError> {
        let request = Request::SetData { path: path.to_owned(), data: Some(data.to_vec()), version };
        self.call(request).await?.map(stat)
    }

    /// Several writes, all or none. One that failed as a whole is an `Ok` with
    /// [`MultiResult::Failed`] for each of its parts.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn multi(&self, ops: Vec<MultiOp>) -> Result<Answer<Vec<MultiResult>>, CallError> {
        self.call(Request::Multi(ops)).await?.map(|response| match response {
            Response::Multi(results) => Some(results),
            _ => None,
        })
    }

    /// Lets the server catch up with the ensemble's leader: reads behind it show all that was written
    /// before.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn sync(&self, path: &str) -> Result<Answer<()>, CallError> {
        self.call(Request::Sync { path: path.to_owned() }).await?.map(|_| Some(()))
    }

    /// Makes a node, its parents and the chroot where they do not exist, as plain open nodes.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn ensure(&self, path: &str) -> Result<Answer<()>, CallError> {
        self.ask(What::Ensure(path.to_owned())).await?.map(|_| Some(()))
    }

    /// Scheme and user of each identity of the connection.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn who_am_i(&self) -> Result<Answer<Vec<(String, String)>>, CallError> {
        self.call(Request::WhoAmI).await?.map(|response| match response {
            Response::WhoAmI(identities) => Some(identities),
            _ => None,
        })
    }

    /// Closes the session, for all handles, and returns when the server has closed it or it is known to be
    /// gone; ephemerals are then gone as well. Takes no longer than the session can live.
    ///
    /// Dropping the future does not stop the close.
    pub async fn close(&self) -> SessionEnd {
        self.close.send_replace(true);
        self.end().await
    }

    /// Waits for the end of the session.
    async fn end(&self) -> SessionEnd {
        let mut status = self.status.clone();
        let ended = status.wait_for(|status| status.ended.is_some()).await;
        // Without a word of the end there is no task: the runtime is shutting down.
        ended.ok().and_then(|status| status.ended).unwrap_or(SessionEnd::Closed)
    }

    async fn ask(&self, what: What) -> Result<Answer<Response>, CallError> {
        let (answer, answered) = oneshot::channel();
        if self.calls.send(Call { what, answer }).await.is_err() {
            return Err(CallError::Ended(self.end().await));
        }
        match answered.await {
            Ok(result) => result,
            // The task answers every call it has taken up, so this one was never sent.
            Err(_) => Err(CallError::Ended(self.end().await)),
        }
    }
}

fn stat(response: Response) -> Option<Stat> {
    match response {
        Response::Stat(stat) => Some(stat),
        _ => None,
    }
}
