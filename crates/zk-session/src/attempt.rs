//! One attempt to reach a server: look its name up, try its addresses, shake hands.
//!
//! Purpose: everything that happens before a connection carries a session, as one future that the session
//! keeps while its owner comes and goes. Invariant: no step is without a limit; the clock is read before
//! the ConnectRequest is handed to the stream and after its answer was read. Judging the answer is the
//! session's business.

use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use elector_teeth::{Tooth, bites};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_wire::{ConnectRequest, ConnectResponse, frame};

use crate::backoff::AttemptLimits;
use crate::clock::{Clock, before};
use crate::config::{MAX_ADDRESSES, MAX_CONNECT_ANSWER, MAX_REQUEST};
use crate::connect_string::HostPort;
use crate::connector::Connector;

/// An attempt on its way.
pub(crate) type Attempt<S> = Pin<Box<dyn Future<Output = Result<Answered<S>, Failure>> + Send>>;

/// An attempt that came to nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What went wrong at each address.
    pub(crate) text: String,
    /// A ConnectRequest went out and nothing came back: the session may have been renewed by it.
    pub(crate) swallowed: bool,
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { text, swallowed: false }
    }
}

/// A server answered the ConnectRequest.
pub(crate) struct Answered<S> {
    pub(crate) stream: S,
    /// What was read beyond the answer.
    pub(crate) inbox: BytesMut,
    pub(crate) answer: ConnectResponse,
    pub(crate) connect_sent: Duration,
    pub(crate) received: Duration,
}

/// Tries all addresses of `host` in turn; `only` says that there is no other host.
pub(crate) async fn attempt<C: Connector, K: Clock>(
    connector: C,
    clock: K,
    host: HostPort,
    only: bool,
    limits: AttemptLimits,
    request: ConnectRequest,
) -> Result<Answered<C::Stream>, Failure> {
    let found = before(&clock, clock.now() + limits.connect, connector.addresses(&host)).await;
    let addresses = match found {
        Ok(Ok(addresses)) if addresses.is_empty() => return Err("the name has no address".to_owned().into()),
        Ok(Ok(addresses)) => addresses,
        Ok(Err(error)) => return Err(format!("name not found: {error}").into()),
        Err(_) => return Err(format!("name not found within {}ms", limits.connect.as_millis()).into()),
    };
    let answer = if only && addresses.len() == 1 { limits.only_answer } else { limits.answer };
    let limits = AttemptLimits { answer, ..limits };
    let mut failure = Failure::from(String::new());
    for address in addresses.iter().take(MAX_ADDRESSES) {
        match one_address(&connector, &clock, address, limits, &request).await {
            Ok(answered) => return Ok(answered),
            Err(Failure { text: error, swallowed }) => {
                failure.swallowed |= swallowed;
                let errors = &mut failure.text;
                let separator = if errors.is_empty() { "" } else { "; " };
                // A literal address is named by the caller already.
                let _ = match address.to_string() {
                    named if named == connector.name(&host) => write!(errors, "{separator}{error}"),
                    named => write!(errors, "{separator}{named}: {error}"),
                };
            }
        }
    }
    Err(failure)
}

async fn one_address<C: Connector, K: Clock>(
    connector: &C,
    clock: &K,
    address: &C::Address,
    limits: AttemptLimits,
    request: &ConnectRequest,
) -> Result<Answered<C::Stream>, Failure> {
    let stream = before(clock, clock.now() + limits.connect, connector.connect(address))
        .await
        .map_err(|_| format!("no connection within {}ms", limits.connect.as_millis()))?
        .map_err(|error| error.to_string())?;
    match before(clock, clock.now() + limits.answer, shake_hands(stream, clock, request)).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Failure {
            text: format!("no answer to the connect request within {}ms", limits.answer.as_millis()),
            swallowed: true,
        }),
    }
}

async fn shake_hands<S, K>(mut stream: S, clock: &K, request: &ConnectRequest) -> Result<Answered<S>, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    K: Clock,
{
    let mut out = BytesMut::new();
    request.encode(MAX_REQUEST, &mut out).map_err(|error| error.to_string())?;
    let connect_sent = clock.now();
    let written = async {
        stream.write_all(&out).await?;
        stream.flush().await
    };
    written.await.map_err(|error| error.to_string())?;
    let mut inbox = BytesMut::with_capacity(MAX_CONNECT_ANSWER);
    let answer = loop {
        match frame::take_frame(&mut inbox, MAX_CONNECT_ANSWER) {
            Ok(Some(answer)) => break answer,
            Ok(None) => {}
            Err(error) => return Err(format!("not a ZooKeeper server: {error}")),
        }
        match stream.read_buf(&mut inbox).await {
            Ok(0) => return Err(unanswered(None, request)),
            Ok(_) => {}
            Err(error) => return Err(unanswered(Some(error), request)),
        }
    };
    let received = clock.now();
    let connect_sent = if bites(Tooth::AttachedAtReceipt) { received } else { connect_sent };
    let answer = ConnectResponse::decode(&answer).map_err(|error| format!("bad answer: {error}"))?;
    Ok(Answered { stream, inbox, answer, connect_sent, received })
}

/// A server that is behind what this session has seen hangs up without a word, and so do others.
fn unanswered(error: Option<io::Error>, request: &ConnectRequest) -> String {
    let mut text = "closed without an answer".to_owned();
    if let Some(error) = error {
        let _ = write!(text, " ({error})");
    }
    if request.last_zxid_seen > 0 {
        let zxid = request.last_zxid_seen;
        let _ = write!(text, ": not serving yet, or behind zxid 0x{zxid:x}, which this session has seen");
    }
    text
}
