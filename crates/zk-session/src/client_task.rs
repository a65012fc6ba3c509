//! The task behind [`Client`](crate::Client).
//!
//! Purpose: own the session, pass calls in and answers out. Invariant: calls are taken from the mailbox
//! only while the session is attached and restored and has room, so that a call waits where dropping it
//! still unsends it; every call taken up is answered. Started by [`Client`](crate::Client) only.

use std::collections::HashMap;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use zk_wire::{Acl, Request, Response, perms};

use crate::client::{Answer, CallError, ClientEvent, Status};
use crate::clock::Clock;
use crate::config::MAX_CALLS;
use crate::connector::Connector;
use crate::happening::{Happening, Lost, NotSent, RequestId, SessionEnd};
use crate::session::Session;

/// Where the answer to a call goes.
type Reply = oneshot::Sender<Result<Answer<Response>, CallError>>;

/// One call on its way to the task.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) what: What,
    pub(crate) answer: Reply,
}

#[derive(Debug)]
pub(crate) enum What {
    Request(Request),
    Ensure(String),
}

pub(crate) struct Task<C: Connector, K: Clock> {
    session: Session<C, K>,
    mailbox: mpsc::Receiver<Call>,
    events: broadcast::Sender<ClientEvent>,
    status: watch::Sender<Status>,
    close_asked: watch::Receiver<bool>,
    waiting: HashMap<RequestId, Reply>,
}

impl<C: Connector, K: Clock> Task<C, K> {
    pub(crate) fn new(
        session: Session<C, K>,
        mailbox: mpsc::Receiver<Call>,
        events: broadcast::Sender<ClientEvent>,
        status: watch::Sender<Status>,
        close_asked: watch::Receiver<bool>,
    ) -> Self {
        Self { session, mailbox, events, status, close_asked, waiting: HashMap::new() }
    }

    /// Runs until the session has ended.
    pub(crate) async fn run(mut self) {
        let mut closing = false;
        loop {
            let open = !closing && self.session.is_restored() && self.waiting.len() < MAX_CALLS;
            tokio::select! {
                batch = self.session.next() => {
                    for happening in batch {
                        if let Some(end) = self.happened(happening) {
                            return self.finish(end);
                        }
                    }
                }
                call = self.mailbox.recv(), if open => match call {
                    Some(call) => self.take_up(call),
                    None => closing = true,
                },
                () = asked_to_close(&mut self.close_asked), if !closing => closing = true,
            }
            if closing {
                self.session.close();
            }
        }
    }

    fn take_up(&mut self, call: Call) {
        // Its caller has gone while it waited: it is unsent.
        if call.answer.is_closed() {
            return;
        }
        let submitted = match call.what {
            What::Request(request) => self.session.submit(request),
            What::Ensure(path) => self.session.submit_ensure(&path, &[Acl::anyone(perms::ALL)]),
        };
        match submitted {
            Ok(id) => {
                self.waiting.insert(id, call.answer);
            }
            Err(error) => {
                let _caller_gone = call.answer.send(Err(CallError::NotSent(error)));
            }
        }
    }

    fn happened(&mut self, happening: Happening) -> Option<SessionEnd> {
        match happening {
            Happening::Attached(attachment) => {
                self.status.send_modify(|status| status.attachment = Some(attachment.clone()));
                self.tell(ClientEvent::Attached(attachment));
            }
            Happening::Restored { .. } => self.status.send_modify(|status| {
                status.was_up = true;
                status.tried.clear();
            }),
            Happening::Reply { id, sent, received, zxid, timeout, outcome, .. } => {
                let result = match outcome {
                    Ok(value) => Ok(Answer { value, zxid, sent, received, timeout }),
                    Err(code) => Err(CallError::Refused(code)),
                };
                self.answer(id, result);
            }
            Happening::Lost { id, how } => {
                let error = match how {
                    Lost::NotSent => CallError::NotSent(NotSent::Detached),
                    Lost::OutcomeUnknown => CallError::OutcomeUnknown,
                };
                self.answer(id, Err(error));
            }
            Happening::Event { event, .. } => self.tell(ClientEvent::Watch(event)),
            Happening::Detached { server, cause } => {
                self.status.send_modify(|status| status.attachment = None);
                self.tell(ClientEvent::Detached { server, cause });
            }
            Happening::Unreachable { server, error } => self.status.send_modify(|status| {
                status.tried.insert(server, error);
            }),
            Happening::Pong { .. } | Happening::RoundFailed { .. } => {}
            Happening::Ended(end) => return Some(end),
        }
        None
    }

    fn answer(&mut self, id: RequestId, result: Result<Answer<Response>, CallError>) {
        if let Some(answer) = self.waiting.remove(&id) {
            let _caller_gone = answer.send(result);
        }
    }

    fn tell(&self, event: ClientEvent) {
        let _nobody_listens = self.events.send(event);
    }

    /// Callers that still wait see the end when this task's channels go.
    fn finish(self, end: SessionEnd) {
        self.tell(ClientEvent::Ended(end));
        self.status.send_modify(|status| status.ended = Some(end));
    }
}

/// Returns when somebody has asked, or when the last handle is gone.
async fn asked_to_close(close_asked: &mut watch::Receiver<bool>) {
    let _either_way = close_asked.wait_for(|asked| *asked).await.is_ok();
}
