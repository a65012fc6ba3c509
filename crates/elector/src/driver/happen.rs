//! What happens: on the session, and at the callers' wish. All of it becomes inputs.

use elector_core::{Input, Moment, SessionEnd};
use tokio::sync::oneshot;
use zk_session::wire::Response;
use zk_session::{Attachment, Clock, Connector, DetachCause, Happening};

use super::names::Neighbours;
use super::{Command, Driver, Reach, UnderWay, ask};
use crate::error::{CampaignError, WriteError};
use crate::estate::Estate;
use crate::role::Notice;
use crate::write;

impl<C: Connector, K: Clock> Driver<C, K> {
    pub(super) fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Attached(attachment) => self.attached(&attachment),
            Happening::Restored { connection } => {
                self.step(Input::Restored { connection });
                // Only now are the credentials known to be accepted, and the timeout to be enough.
                if self.failed.is_none() {
                    self.reach.send_replace(Reach::Attached);
                }
            }
            Happening::Reply { id, sent, received, connection, outcome, .. } => {
                match self.under_way.remove(&id) {
                    Some(UnderWay::Core(id)) => self.step(Input::Reply {
                        id,
                        connection,
                        sent: Moment::from_origin(sent),
                        received: Moment::from_origin(received),
                        outcome: ask::decode(outcome),
                    }),
                    Some(UnderWay::Write { reply, .. }) => answer_write(reply, outcome),
                    Some(UnderWay::Name(name)) => self.named(name, outcome),
                    None => {}
                }
            }
            Happening::Lost { id, how } => {
                let sent = how == zk_session::Lost::OutcomeUnknown;
                match self.under_way.remove(&id) {
                    Some(UnderWay::Core(id)) => self.step(Input::Unanswered { id, sent }),
                    Some(UnderWay::Write { reply, .. }) => {
                        let not_sent = WriteError::NotSent("the connection ended".to_owned());
                        let error = if sent { WriteError::OutcomeUnknown } else { not_sent };
                        let _caller_gone = reply.send(Err(error));
                    }
                    Some(UnderWay::Name(name)) => self.neighbours.changed(&name),
                    None => {}
                }
            }
            Happening::Pong { sent, received, connection } => self.step(Input::Pong {
                connection,
                sent: Moment::from_origin(sent),
                received: Moment::from_origin(received),
            }),
            Happening::Event { event, .. } => {
                if let Some((name, change)) = self.settings.event(&event) {
                    self.neighbours.changed(&name);
                    self.step(Input::Event { name, change });
                }
            }
            Happening::Detached { server, cause } => self.detached(server, &cause),
            Happening::RoundFailed { tried } => {
                self.reach.send_replace(Reach::Trying(tried.clone()));
                self.notice(Notice::Unreachable { tried });
            }
            Happening::Unreachable { .. } => {} // the round's notice names each of them
            Happening::Ended(end) => self.session_ended(&end),
        }
    }

    fn attached(&mut self, attachment: &Attachment) {
        self.attached = true;
        self.estate.send_replace(Some(Estate {
            place: self.settings.place.clone(),
            path: self.settings.path.to_string(),
            server: attachment.server.clone(),
            session: attachment.session,
            password: self.session.password().clone(),
            timeout: attachment.smallest_timeout,
            credentials: self.settings.credentials.clone(),
        }));
        self.notice(Notice::Connected {
            server: attachment.server.clone(),
            session: attachment.session,
            timeout: attachment.timeout,
            same_session: attachment.resumed,
        });
        if !attachment.resumed && attachment.timeout != self.settings.timeout {
            self.warn(format!(
                "asked for a session timeout of {:?}, the servers granted {:?}",
                self.settings.timeout, attachment.timeout
            ));
        }
        self.step(Input::Attached {
            connection: attachment.connection,
            session: attachment.session,
            timeout: attachment.timeout,
            connect_sent: Moment::from_origin(attachment.connect_sent),
            // A server that dies and is replaced looks the same where all are at one place.
            taken_back: attachment.taken_back && !self.settings.alone,
        });
        let timing = *self.candidate.timing();
        if self.warned != Some(timing) {
            self.warned = Some(timing);
            if let Some(warning) = timing.warning() {
                self.warn(warning);
            }
        }
    }

    fn detached(&mut self, server: String, cause: &DetachCause) {
        self.attached = false;
        let now = self.moment();
        let remaining = self.candidate.deadlines().map(|deadlines| deadlines.term.since(now));
        self.notice(Notice::Disconnected { server, cause: cause.to_string(), remaining });
        if self.failed.is_none() {
            self.reach.send_replace(Reach::Trying(Vec::new()));
        }
        for id in std::mem::take(&mut self.unsent) {
            self.step(Input::Unanswered { id, sent: false });
        }
        self.step(Input::Detached);
    }

    fn session_ended(&mut self, end: &zk_session::SessionEnd) {
        self.attached = false;
        self.estate.send_replace(None);
        self.neighbours = Neighbours::default();
        self.unsent.clear();
        let input = match end {
            zk_session::SessionEnd::AuthFailed => SessionEnd::AuthFailed,
            zk_session::SessionEnd::Replaced { .. } => SessionEnd::Replaced,
            zk_session::SessionEnd::Closed => SessionEnd::Closed,
            _ => SessionEnd::Expired,
        };
        if input != SessionEnd::Closed {
            self.notice(Notice::SessionEnded { cause: end.to_string() });
        }
        self.step(Input::SessionEnded(input));
        if self.closing.is_some() {
            // Else what remains is the release of a leadership, which ends in `left`.
            self.finished |= !self.holds_term() && !self.leaving;
        } else if input != SessionEnd::AuthFailed {
            self.session.restart();
        }
    }

    pub(super) fn command(&mut self, command: Command) {
        // What the caller dropped before this call is over, whether or not we were woken for it.
        self.released();
        if self.campaign.as_ref().is_some_and(oneshot::Sender::is_closed) {
            self.withdraw();
        }
        match command {
            Command::Campaign { reply } => {
                let leading = self.holds_term();
                if self.closing.is_some() {
                    let _caller_gone = reply.send(Err(CampaignError::Closed));
                } else if let Some(error) = &self.failed {
                    let _caller_gone = reply.send(Err(error.clone()));
                } else if self.campaign.is_some() || leading {
                    let _caller_gone = reply.send(Err(CampaignError::Busy));
                } else {
                    self.campaign = Some(reply);
                    if !self.leaving {
                        self.step(Input::Campaign);
                    }
                }
            }
            Command::Write { token, operations, reply } => self.write(token, operations, reply),
            Command::Close { done } => self.close(Some(done)),
        }
    }

    pub(super) fn released(&mut self) {
        if self.term.as_ref().is_some_and(|term| term.is_released()) && !self.leaving {
            self.leave();
            if self.closing.is_some() {
                self.close_session();
            }
        }
    }

    fn holds_term(&self) -> bool {
        self.term.as_ref().is_some_and(|term| !term.is_released())
    }

    pub(super) fn withdraw(&mut self) {
        self.campaign = None;
        if !self.leaving {
            self.leave();
        }
    }

    fn leave(&mut self) {
        self.leaving = true;
        self.step(Input::Withdraw);
    }

    /// No more calls: withdraw, and close the session when a leadership is no longer held.
    pub(super) fn close(&mut self, done: Option<oneshot::Sender<()>>) {
        self.closing.get_or_insert_default().extend(done);
        if self.holds_term() {
            return; // its release comes
        }
        if (self.campaign.take().is_some() || self.term.is_some()) && !self.leaving {
            self.leave();
        }
        self.close_session();
    }

    /// Behind whatever was asked before; if no server answers, the session's timeout ends it.
    pub(super) fn close_session(&mut self) {
        if self.session.session_id().is_none() || self.session.is_ended() {
            self.finished = true;
        } else {
            self.session.close();
        }
    }
}

fn answer_write(
    reply: oneshot::Sender<Result<(), WriteError>>,
    outcome: Result<Response, zk_session::wire::ErrorCode>,
) {
    let result = match outcome {
        Ok(response) => write::outcome(response),
        Err(code) => Err(WriteError::Refused { operation: 0, code: code.into(), reason: code.to_string() }),
    };
    let _caller_gone = reply.send(result);
}
