//! The task that owns an observer's session and its machine.
//!
//! Purpose: carry what happens on the session to [`Observer`], and what that asks and says back. Invariant: one
//! input at a time, in the order of the session; it decides nothing about elections. Started by
//! [`crate::Observer`] only.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::{Duration, SystemTime};

use elector_core::observer::{self, Ask, Counts, Failure, Held, Input, Observer, Output, Told};
use elector_core::{Change, Refusal, RequestId, Token};
use tokio::sync::{mpsc, watch};
use zk_session::wire::{ErrorCode, EventKind, MultiOp, MultiResult, Request, Response, Stat, WatchEvent};
use zk_session::{Clock, Connector, Happening, Session, SessionEnd};

use super::{Sighting, View};
use crate::path;
use crate::reader::{ContenderInfo, ReadError, SESSION_TIMEOUT, shown_id};

/// A server that leaves our questions open for so long is no help, though it may answer pings: it may have lost
/// its quorum.
const ANSWER_LIMIT: Duration = SESSION_TIMEOUT.checked_div(2).expect("two is not zero");
/// How long closing the session may take; its timeout does it otherwise.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// How it is known that what is read is not older than the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmation {
    /// A transaction that changes nothing: only a server with a quorum acknowledges it.
    ByQuorum,
    /// The server is alone, so any answer is its newest.
    ByReading,
}

pub(super) struct Task<C: Connector, K: Clock> {
    session: Session<C, K>,
    machine: Observer,
    path: String,
    confirmation: Confirmation,
    sightings: mpsc::Sender<Result<Sighting, ReadError>>,
    /// What did not fit into the queue any more: the newest of it.
    late: Option<Sighting>,
    tried: watch::Sender<Vec<(String, String)>>,
    under_way: BTreeMap<zk_session::RequestId, (RequestId, Ask)>,
    /// Since when the server owes us an answer.
    waiting_since: Option<Duration>,
    /// Why the view is unknown, should it be.
    why_unknown: String,
    said_at: Option<Duration>,
    finished: bool,
}

impl<C: Connector, K: Clock> Task<C, K> {
    pub(super) fn new(
        session: Session<C, K>,
        path: &str,
        confirmation: Confirmation,
        sightings: mpsc::Sender<Result<Sighting, ReadError>>,
        tried: watch::Sender<Vec<(String, String)>>,
    ) -> Task<C, K> {
        Task {
            session,
            machine: Observer::default(),
            path: path.to_owned(),
            confirmation,
            sightings,
            late: None,
            tried,
            under_way: BTreeMap::new(),
            waiting_since: None,
            why_unknown: String::new(),
            said_at: None,
            finished: false,
        }
    }

    pub(super) async fn run(mut self) {
        if self.confirmation == Confirmation::ByReading {
            // No herd is to be feared on one machine, and its server comes back within milliseconds.
            let urgency = zk_session::Urgency::Until(Duration::MAX);
            self.session.set_pace(zk_session::Pace { urgency, ..Default::default() });
        }
        let sightings = self.sightings.clone();
        while !self.finished {
            let patience = self.waiting_since.map(|since| since + ANSWER_LIMIT);
            let patience = patience.map(|until| until.saturating_sub(self.session.clock().now()));
            let has_late = self.late.is_some();
            tokio::select! {
                batch = self.session.next() => {
                    for happening in batch {
                        self.happened(happening);
                    }
                }
                () = sightings.closed() => self.finished = true,
                Ok(room) = sightings.reserve(), if has_late => {
                    if let Some(late) = self.late.take() {
                        room.send(Ok(late));
                    }
                }
                () = after(patience) => {
                    self.waiting_since = None;
                    self.session.give_up_connection("no answer in time");
                }
            }
        }
        self.session.close();
        let closed = async {
            while !self.session.is_ended() {
                self.session.next().await;
            }
        };
        let _its_timeout_does_it_otherwise = tokio::time::timeout(CLOSE_LIMIT, closed).await;
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Restored { .. } => {
                self.tried.send_replace(Vec::new());
                self.step(Input::Restored);
            }
            Happening::Reply { id, outcome, .. } => {
                let Some((id, ask)) = self.under_way.remove(&id) else { return };
                let now = self.session.clock().now();
                self.waiting_since = (!self.under_way.is_empty()).then_some(now);
                match decode(&ask, outcome) {
                    Some(outcome) => self.step(Input::Reply(id, outcome)),
                    None => self.session.give_up_connection("an answer that makes no sense"),
                }
            }
            // What comes while watches are being restored has no order, and all is read anew after it.
            Happening::Event { event, restoring: false, .. } => {
                if let Some(input) = self.event(&event) {
                    self.step(input);
                }
            }
            Happening::Detached { server, .. } => {
                self.why_unknown = format!("{server} lost");
                self.detached();
            }
            Happening::RoundFailed { tried } => {
                let text = crate::error::Tried(&tried).to_string();
                self.why_unknown = format!("no server reached{text}");
                self.tried.send_replace(tried);
                self.step(Input::Unreachable);
            }
            Happening::Ended(SessionEnd::AuthFailed) => self.fail(ReadError::AuthFailed),
            Happening::Ended(SessionEnd::Closed) => self.finished = true,
            Happening::Ended(end) => {
                self.why_unknown = end.to_string();
                self.detached();
                self.session.restart();
            }
            Happening::Event { .. }
            | Happening::Attached(_)
            | Happening::Lost { .. }
            | Happening::Pong { .. }
            | Happening::Unreachable { .. } => {}
        }
    }

    fn detached(&mut self) {
        self.under_way.clear();
        self.waiting_since = None;
        self.step(Input::Detached);
    }

    fn step(&mut self, input: Input) {
        self.machine.step(input);
        while let Some(output) = self.machine.next_output() {
            match output {
                Output::Send(id, ask) => self.send(id, ask),
                Output::Say(sighting) => self.say(sighting),
                Output::GiveUpConnection(code) => {
                    self.session.give_up_connection(format!("refused with code {code}"));
                }
                Output::Fail(Failure::NoPermission(name)) => {
                    let path = self.znode(&name);
                    self.fail(ReadError::NoPermission { path });
                }
                Output::Fail(Failure::Unreadable(error)) => self.fail(ReadError::Unreadable(error)),
            }
        }
    }

    fn send(&mut self, id: RequestId, ask: Ask) {
        match self.session.submit(self.encode(&ask)) {
            Ok(sent) => {
                self.under_way.insert(sent, (id, ask));
                let now = self.session.clock().now();
                self.waiting_since.get_or_insert(now);
            }
            // Without a connection the word of its end is on its way; with one it takes no more, so another is
            // wanted.
            Err(not_sent) => self.session.give_up_connection(not_sent.to_string()),
        }
    }

    fn say(&mut self, sighting: observer::Sighting) {
        let now = self.session.clock().now();
        let after = self.said_at.replace(now).map(|before| now.saturating_sub(before));
        let view = match sighting.view {
            observer::View::Leader(held) => View::Leader(info(held)),
            observer::View::Vacant { gone, exists } => View::Vacant { gone: gone.map(info), exists },
            observer::View::Unknown => View::Unknown { why: self.why_unknown.clone() },
        };
        let sighting = Sighting { at: SystemTime::now(), view, gap: sighting.gap, after };
        self.late = match self.late.take() {
            // One that nobody will read is left out.
            Some(_) => Some(Sighting { gap: true, ..sighting }),
            None => match self.sightings.try_send(Ok(sighting)) {
                Err(mpsc::error::TrySendError::Full(Ok(sighting))) => Some(sighting),
                _ => None,
            },
        };
    }

    /// The last word. It waits for room, since nothing comes after it.
    fn fail(&mut self, error: ReadError) {
        self.finished = true;
        let (sightings, late) = (self.sightings.clone(), self.late.take());
        tokio::spawn(async move {
            for last in late.map(Ok).into_iter().chain([Err(error)]) {
                let _nobody_listens_any_more = sightings.send(last).await;
            }
        });
    }

    fn znode(&self, name: &str) -> String {
        if name.is_empty() { self.path.clone() } else { format!("{}/{name}", self.path) }
    }

    fn encode(&self, ask: &Ask) -> Request {
        let path = self.path.clone();
        match ask {
            Ask::Confirm if self.confirmation == Confirmation::ByQuorum => {
                Request::Multi(vec![MultiOp::Check { path, version: -1 }])
            }
            Ask::Confirm => Request::Exists { path, watch: false },
            Ask::Read(name) => Request::GetData { path: self.znode(name), watch: true },
            Ask::Missing => Request::Exists { path, watch: true },
            Ask::Above => Request::Exists { path: path::parent(&self.path).to_owned(), watch: false },
            Ask::List => Request::GetChildren2 { path, watch: true },
        }
    }

    fn event(&self, event: &WatchEvent) -> Option<Input> {
        let below = event.path.strip_prefix(&self.path)?;
        let name = if below.is_empty() { "" } else { below.strip_prefix('/')? };
        let change = match event.kind {
            EventKind::Deleted => Change::Deleted,
            EventKind::Created | EventKind::DataChanged => Change::Touched,
            EventKind::ChildrenChanged if name.is_empty() => return Some(Input::ChildrenChanged),
            _ => return None,
        };
        Some(Input::Event { name: name.to_owned(), change })
    }
}

/// An answer in the machine's words; none if it makes no sense.
fn decode(ask: &Ask, outcome: Result<Response, ErrorCode>) -> Option<Result<Told, Refusal>> {
    let response = match outcome {
        Ok(response) => response,
        Err(code) => return Some(Err(refusal(code))),
    };
    Some(Ok(match (ask, response) {
        (Ask::Read(name), Response::Data { data, stat }) => {
            let ephemeral = stat.ephemeral_owner != 0;
            Told::Node { held: held(name, data, &stat)?, ephemeral }
        }
        (Ask::Above, Response::Stat(stat)) => Told::Above { changes: stat.cversion },
        (Ask::List, Response::Children2 { names, stat }) => {
            Told::Listed { names, path: stat.czxid, counts: Counts::new(stat.cversion, stat.num_children) }
        }
        (Ask::Confirm, Response::Multi(results)) => {
            let refused = results.iter().find_map(|result| match result {
                MultiResult::Failed(code) if i32::from(*code) != 0 => Some(refusal(*code)),
                _ => None,
            });
            return Some(refused.map_or(Ok(Told::Done), Err));
        }
        _ => Told::Done,
    }))
}

fn held(name: &str, data: Option<Vec<u8>>, stat: &Stat) -> Option<Held> {
    let token = Token::from_czxid(stat.czxid)?;
    Some(Held { name: name.to_owned(), id: shown_id(data), token, session: stat.ephemeral_owner })
}

fn refusal(code: ErrorCode) -> Refusal {
    match code {
        ErrorCode::NoNode => Refusal::NoNode,
        ErrorCode::NoAuth => Refusal::NoAuth,
        other => Refusal::Code(other.into()),
    }
}

fn info(held: Held) -> ContenderInfo {
    ContenderInfo { id: held.id, token: held.token, session: held.session, name: held.name }
}

async fn after(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => pending().await,
    }
}
