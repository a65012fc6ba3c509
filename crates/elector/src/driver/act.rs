//! What the candidate wants done, and what callers are shown of it.

use std::sync::Arc;

use elector_core::{Error, Input, Lost, Output, Request, RequestId, Token};
use tokio::sync::oneshot;
use zk_session::{Clock, Connector, NotSent};

use super::ask::Encoded;
use super::{Driver, Reach, UnderWay, WRITE_BYTES, WRITES};
use crate::error::{CampaignError, WriteError};
use crate::leadership::Leadership;
use crate::role::Role;
use crate::term::{Phase, Term};
use crate::write::{self, Write};

impl<C: Connector, K: Clock> Driver<C, K> {
    /// One input, then all that follows from it.
    pub(super) fn step(&mut self, input: Input) {
        self.candidate.step(self.moment(), input);
        self.carry_out();
    }

    /// What the candidate decided, as far as a leadership that is to be handed over before the rest.
    pub(super) fn carry_out(&mut self) {
        while !self.handed_over
            && let Some(output) = self.candidate.next_output()
        {
            self.act(output);
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Send(id, request) => self.send(id, &request),
            Output::Lead { token } => self.lead(token),
            Output::Stopping { why, .. } => {
                if let Some(term) = &self.term {
                    term.stopping(why);
                }
            }
            Output::Lost { why, .. } => {
                if let Some(term) = &self.term {
                    term.lost(why);
                }
            }
            Output::GiveUpConnection => self.session.give_up_connection("no answer to a probe in time"),
            Output::CloseSession => self.session.close(),
            Output::Left => self.left(),
            Output::Fail(error) => self.fail(error),
            Output::Warn(warning) => self.warn(warning),
        }
    }

    fn send(&mut self, id: RequestId, request: &Request) {
        let submitted = match self.settings.encode(request) {
            Encoded::Plain(request) => self.session.submit(request),
            Encoded::Ensure(path) => self.session.submit_ensure(&path, &self.settings.path_acl),
        };
        match submitted {
            Ok(submitted) => {
                self.under_way.insert(submitted, UnderWay::Core(id));
            }
            Err(error) => {
                self.unsent.push(id);
                if !matches!(error, NotSent::Detached | NotSent::Closing) {
                    self.session.give_up_connection(error.to_string());
                }
            }
        }
    }

    fn lead(&mut self, token: Token) {
        let Some(deadlines) = self.candidate.deadlines() else { return };
        let term = Term::new(token, deadlines, Arc::clone(&self.now), Arc::clone(&self.released));
        self.term = Some(Arc::clone(&term));
        // Dropped right here if nobody waits for it any more, a leadership resigns by its release.
        match (self.campaign.take(), self.senders.upgrade()) {
            (Some(reply), Some(sender)) => {
                let election = Arc::clone(&self.settings.path);
                // Whoever has it in hand finds it in the role.
                self.role.send_replace(Role::Leading { token });
                let _resigned = reply.send(Ok(Leadership::new(term, sender, election)));
                self.handed_over = true;
            }
            _ => term.release(),
        }
    }

    fn left(&mut self) {
        self.leaving = false;
        if let Some(term) = self.term.take() {
            term.left();
        }
        if self.closing.is_some() {
            self.campaign = None;
            self.close_session();
        } else if self.campaign.is_some() {
            self.step(Input::Campaign);
        }
    }

    pub(super) fn fail(&mut self, error: Error) {
        let lasting = matches!(error, Error::AuthFailed | Error::Budget(_));
        let error = CampaignError::Refused(error);
        if lasting {
            self.failed = Some(error.clone());
            self.reach.send_replace(Reach::Failed(error.clone()));
        }
        // A term that it cost was told why already; its candidate waits for the release.
        self.leaving |= self.term.is_none();
        match self.campaign.take() {
            Some(reply) => {
                let _caller_gone = reply.send(Err(error));
            }
            None => self.warn(error),
        }
    }

    pub(super) fn write(
        &mut self,
        token: Token,
        operations: Vec<Write>,
        reply: oneshot::Sender<Result<(), WriteError>>,
    ) {
        let present = self.term.as_ref().filter(|term| term.token() == token);
        let own = self.candidate.own_name();
        let refusal = match (present, own) {
            (_, Some("")) => Some(WriteError::Unsupported),
            (Some(term), Some(_)) if term.check() => None,
            (Some(term), _) => Some(WriteError::NotLeading(term.why().unwrap_or(Lost::NoQuorum))),
            (None, _) => Some(WriteError::NotLeading(Lost::NoQuorum)),
        };
        if let Some(refusal) = refusal {
            let _caller_gone = reply.send(Err(refusal));
            return;
        }
        let bytes = write::weight(&operations);
        let refusal = if self.has_room_for(bytes) {
            let own = self.settings.znode(own.unwrap_or_default());
            match self.session.submit(write::guarded(own, operations)) {
                Ok(submitted) => {
                    self.under_way.insert(submitted, UnderWay::Write { reply, bytes });
                    return;
                }
                Err(error @ (NotSent::BadPath(_) | NotSent::TooLarge(_))) => {
                    WriteError::Invalid(error.to_string())
                }
                Err(error) => WriteError::NotSent(error.to_string()),
            }
        } else {
            WriteError::NotSent("too many writes are under way".to_owned())
        };
        let _caller_gone = reply.send(Err(refusal));
    }

    /// Whether a write of so many bytes leaves room for what keeps the lease.
    fn has_room_for(&self, bytes: usize) -> bool {
        let writes = self.under_way.values().filter_map(|request| match request {
            UnderWay::Write { bytes, .. } => Some(*bytes),
            _ => None,
        });
        let (count, sum) = writes.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes));
        count == 0 || (count < WRITES && sum + bytes <= WRITE_BYTES)
    }

    pub(super) fn present_role(&self) -> Role {
        if self.finished {
            return Role::Closed;
        }
        if let Some(term) = self.term.as_ref().filter(|term| !term.is_released()) {
            let token = term.token();
            return match term.phase() {
                Phase::Leading if self.attached => Role::Leading { token },
                Phase::Leading => Role::Suspended { token },
                Phase::Stopping(why) | Phase::Lost(why) => Role::Stopping { token, why },
            };
        }
        match (&self.campaign, self.candidate.position()) {
            (None, _) => Role::Idle,
            (Some(_), None) => Role::Enrolling,
            (Some(_), Some((ahead, contenders))) => Role::Waiting {
                ahead,
                contenders,
                behind: self.neighbours.shown(self.candidate.nearest_ahead()),
            },
        }
    }
}
