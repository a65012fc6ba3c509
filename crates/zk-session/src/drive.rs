//! How a session moves on: attempts, attachments, pings, losses.
//!
//! Purpose: [`Session::next`], the one place that waits. Invariant: after every wake-up the clock is looked
//! at before the socket, and all changes of state happen between two polls, so that a dropped future loses
//! nothing. See [`session`](crate::session) for the state itself.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use elector_teeth::{Tooth, bites};
use zk_wire::{ConnectRequest, Request, xid};

use crate::attempt::{Answered, Failure, attempt};
use crate::backoff::{STEADY_AFTER, attempt_limits, wait};
use crate::clock::{Clock, sleep_until};
use crate::config::{MAX_REQUEST, MAX_UNASKED_EVENTS, Urgency};
use crate::connector::Connector;
use crate::happening::{Attachment, DetachCause, Happening, SessionEnd};
use crate::link::{Link, LinkEnd};
use crate::outstanding::{Outstanding, Purpose};
use crate::session::{Live, Session, State};

/// A password that was never given is sent as so many zeros.
const NO_PASSWORD: [u8; 16] = [0; 16];

impl<C: Connector, K: Clock> Session<C, K> {
    /// Moves the session on until something has happened, and returns all of it, in order: everything
    /// that could be decoded from what had been received.
    ///
    /// Cancel safe: a dropped future loses nothing, at any point. Never returns an empty batch, except
    /// where [`has_buffered_frames`](Self::has_buffered_frames) was true before the call. After
    /// [`Ended`](Happening::Ended) it stays pending until [`restart`](Self::restart).
    ///
    /// Everything waits while nobody calls this: writing, unless it is [flushed](Self::flush), pings,
    /// reconnecting.
    pub async fn next(&mut self) -> Vec<Happening> {
        let mut more_promised = self.has_buffered_frames();
        loop {
            self.look_at_the_clock();
            if self.ready.is_empty() {
                self.wait_and_work().await;
                if self.ready.is_empty() && !more_promised {
                    continue;
                }
            }
            if !self.ready.is_empty() || std::mem::take(&mut more_promised) {
                return std::mem::take(&mut self.ready);
            }
        }
    }

    /// All that becomes due by time alone.
    fn look_at_the_clock(&mut self) {
        let now = self.clock.now();
        if self.closing && self.is_gone(now) {
            return self.end(SessionEnd::Closed);
        }
        match &self.state {
            State::Idle => self.begin_attempt(now),
            State::Waiting { since, chance } if now >= self.attempt_due(*since, *chance) => {
                self.begin_attempt(now);
            }
            State::Attached(live) => {
                if now >= self.silent_at(live) {
                    let silent = now.saturating_sub(live.link.last_received());
                    let unanswered = now.saturating_sub(live.link.last_queued());
                    self.detach(if silent >= self.patience() {
                        DetachCause::Silent(silent)
                    } else {
                        DetachCause::Unanswered(unanswered)
                    });
                } else {
                    self.send_what_is_due(now);
                }
            }
            State::Waiting { .. } | State::Attempting(_) | State::Ended => {}
        }
    }

    /// Waits for the socket or for the time at which something becomes due; works only on the socket.
    async fn wait_and_work(&mut self) {
        let due = self.next_due();
        let clock = self.clock.clone();
        let mut timer = std::pin::pin!(async {
            match due {
                Some(due) => sleep_until(&clock, due).await,
                None => std::future::pending().await,
            }
        });
        poll_fn(|cx| {
            // The timer's own clock may have stood still while the machine slept.
            if due.is_some_and(|due| self.clock.now() >= due) {
                return Poll::Ready(());
            }
            let worked = match &mut self.state {
                State::Attempting(attempt) => match attempt.as_mut().poll(cx) {
                    Poll::Ready(result) => {
                        self.attempted(result);
                        Poll::Ready(())
                    }
                    Poll::Pending => Poll::Pending,
                },
                State::Attached(live) => match live.link.poll(cx, &self.clock) {
                    Poll::Ready(()) => {
                        self.take_in();
                        Poll::Ready(())
                    }
                    Poll::Pending => Poll::Pending,
                },
                State::Idle => Poll::Ready(()),
                State::Waiting { .. } | State::Ended => Poll::Pending,
            };
            // Set only by those who have to wait, so that nothing is written later for it.
            if worked.is_pending() { timer.as_mut().poll(cx) } else { worked }
        })
        .await;
    }

    /// When time alone makes something due, if ever.
    fn next_due(&self) -> Option<Duration> {
        let due = match &self.state {
            State::Idle | State::Ended => None,
            State::Waiting { since, chance } => Some(self.attempt_due(*since, *chance)),
            State::Attempting(_) => None,
            State::Attached(live) => {
                let ping = live.awaits_nothing().then(|| live.link.last_queued() + self.ping_every());
                return Some(self.silent_at(live)).into_iter().chain(ping).min();
            }
        };
        let gone = (self.closing && !matches!(self.state, State::Ended)).then(|| self.gone_at());
        due.into_iter().chain(gone).min()
    }

    /// When the session is over at the latest if no server is reached.
    fn gone_at(&self) -> Duration {
        self.identity.detached_at + self.smallest_timeout()
    }

    /// Whether there is certainly no session to close.
    fn is_gone(&self, now: Duration) -> bool {
        match self.state {
            State::Ended | State::Attached(_) => false,
            _ => self.identity.id == 0 || now >= self.gone_at(),
        }
    }

    fn ping_every(&self) -> Duration {
        let third = self.smallest_timeout() / 3;
        self.pace.ping_every.map_or(third, |every| every.min(third)).max(Duration::from_millis(1))
    }

    /// How long a connection may bring nothing; what is left of the session is for another server.
    fn patience(&self) -> Duration {
        self.smallest_timeout() * 2 / 3
    }

    /// When the connection counts as dead if nothing more comes of it.
    fn silent_at(&self, live: &Live<C::Stream>) -> Duration {
        let silent = live.link.last_received() + self.patience();
        if live.awaits_nothing() || bites(Tooth::EventsAreAnswers) {
            return silent;
        }
        // Nothing is sent while an answer is due, so that the server hears nothing either: events that it tells of
        // meanwhile keep no session.
        let unanswered = live.link.last_queued() + self.patience();
        // Somebody waits for the close, and another server may answer sooner.
        let close =
            live.close_sent.map(|sent| sent + (self.smallest_timeout() / 3).max(Duration::from_secs(1)));
        silent.min(unanswered).min(close.unwrap_or(silent))
    }

    /// While closing, what hurries is the end of the session.
    fn urgency(&self) -> Urgency {
        if self.closing && self.identity.id != 0 { Urgency::Until(self.gone_at()) } else { self.pace.urgency }
    }

    fn attempt_due(&self, since: Duration, chance: f64) -> Duration {
        since + wait(self.urgency(), since, self.servers.rounds(), chance)
    }

    fn begin_attempt(&mut self, now: Duration) {
        let Some(host) = self.servers.current().cloned() else {
            // There is no one to ask, now or later; the wait keeps this from becoming a busy loop.
            self.ready.push(Happening::RoundFailed { tried: Vec::new() });
            return self.wait_for_next_attempt(now);
        };
        let existing = self.identity.id != 0;
        let alive_until = existing.then(|| self.gone_at());
        let rounds = self.servers.rounds();
        let limits = attempt_limits(self.urgency(), now, self.smallest_timeout(), alive_until, rounds);
        let password = &self.identity.password;
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: if bites(Tooth::LastZxidNotSent) { 0 } else { self.identity.last_zxid },
            timeout_ms: i32::try_from(self.smallest_timeout().as_millis()).unwrap_or(i32::MAX),
            session_id: self.identity.id,
            password: if existing { password.clone() } else { NO_PASSWORD.as_slice().into() },
            read_only: Some(false),
        };
        self.last_attempt = Some(now);
        let only = self.servers.has_only_one();
        let future = attempt(self.connector.clone(), self.clock.clone(), host, only, limits, request);
        self.state = State::Attempting(Box::pin(future));
    }

    fn wait_for_next_attempt(&mut self, since: Duration) {
        self.state = State::Waiting { since, chance: self.rng.f64() };
    }

    fn attempted(&mut self, result: Result<Answered<C::Stream>, Failure>) {
        let judged = result.and_then(|answered| match self.judge(&answered) {
            Ok(verdict) => Ok((answered, verdict)),
            Err(nonsense) => Err(Failure::from(nonsense)),
        });
        match judged {
            Ok((answered, None)) => self.attach(answered),
            Ok((_, Some(end))) => self.end(end),
            Err(Failure { text: error, swallowed }) => {
                self.asks_again = false;
                let now = self.clock.now();
                self.ready.push(Happening::Unreachable { server: self.server_name(), error: error.clone() });
                self.server_failed(error);
                // Requests that arrive though no answer comes back would renew the session for ever,
                // and whatever it holds would never be free again.
                let unheard = now >= self.identity.heard_at + self.smallest_timeout();
                if swallowed && self.identity.id != 0 && !self.closing && unheard {
                    return self.end(SessionEnd::Unheard);
                }
                // An attempt that took long was pause enough.
                self.wait_for_next_attempt(self.last_attempt.unwrap_or(now));
            }
        }
    }

    /// What the present server is called.
    fn server_name(&self) -> String {
        self.servers.current().map(|host| self.connector.name(host)).unwrap_or_default()
    }

    fn server_failed(&mut self, error: String) {
        let name = self.server_name();
        if let Some(tried) = self.servers.failed(name, error) {
            self.ready.push(Happening::RoundFailed { tried });
        }
    }

    /// Whether the answer ends the session, attaches it (`None`), or is not to be believed.
    fn judge(&self, answered: &Answered<C::Stream>) -> Result<Option<SessionEnd>, String> {
        let (was, answer) = (self.identity.id, &answered.answer);
        if answer.timeout_ms <= 0 || answer.session_id == 0 {
            return if was == 0 {
                Err(format!(
                    "answered a new session with timeout {} and id 0x{:x}",
                    answer.timeout_ms, answer.session_id
                ))
            } else {
                Ok(Some(SessionEnd::Expired))
            };
        }
        let timeout = Duration::from_millis(answer.timeout_ms.unsigned_abs().into());
        if !self.config.plausible(timeout) {
            let asked = self.smallest_timeout().as_millis();
            return Err(format!("answered a timeout of {}ms where {asked}ms were asked", answer.timeout_ms));
        }
        let replaced = was != 0 && was != answer.session_id;
        Ok(replaced.then_some(SessionEnd::Replaced { was, now: answer.session_id }))
    }

    fn attach(&mut self, answered: Answered<C::Stream>) {
        let Answered { stream, inbox, answer, connect_sent, received } = answered;
        let timeout = Duration::from_millis(answer.timeout_ms.unsigned_abs().into());
        let resumed = self.identity.id != 0;
        let smallest = self.identity.smallest.map_or(timeout, |smallest| smallest.min(timeout));
        if !resumed {
            self.identity.id = answer.session_id;
            self.identity.password = answer.password;
        }
        self.identity.smallest = Some(smallest);
        self.connections += 1;
        let attachment = Attachment {
            server: self.server_name(),
            session: self.identity.id,
            timeout,
            smallest_timeout: smallest,
            connect_sent,
            received,
            resumed,
            taken_back: std::mem::take(&mut self.asks_again),
            connection: self.connections,
        };
        self.ready.push(Happening::Attached(attachment.clone()));
        let remembered = u32::try_from(self.watches.len()).unwrap_or(u32::MAX);
        self.state = State::Attached(Box::new(Live {
            link: Link::new(stream, inbox, received),
            attachment,
            outstanding: Outstanding::default(),
            next_xid: 1,
            ping: None,
            auths: 0,
            restores: 0,
            restored: false,
            zxid_floor: self.identity.last_zxid,
            // Two watches on a node that is gone are told twice when they are set again.
            unasked_left: MAX_UNASKED_EVENTS.saturating_add(remembered),
            close_sent: None,
        }));
        self.restore();
        self.take_in();
    }

    /// Credentials, then watches, before anything of the owner's: reads behind them see what they should.
    fn restore(&mut self) {
        let State::Attached(live) = &mut self.state else { return };
        let now = self.clock.now();
        for credential in &self.config.credentials {
            let request = Request::Auth { scheme: credential.scheme.clone(), auth: credential.auth.clone() };
            if live.link.queue(now, |out| request.encode(xid::AUTH, MAX_REQUEST, out)).is_err() {
                // Longer than any server reads: it could only be refused.
                return self.end(SessionEnd::AuthFailed);
            }
            live.auths += 1;
        }
        if self.closing {
            // A server may refuse to close a session for strangers; nobody waits for a watch any more.
            return;
        }
        let mut unsendable = None;
        for request in self.watches.restore() {
            match live.send(now, &request, Purpose::Restore) {
                Ok(()) => live.restores += 1,
                Err(error) => unsendable = Some(error),
            }
        }
        if let Some(error) = unsendable {
            return self.detach(DetachCause::Protocol(format!("watches cannot be set again: {error}")));
        }
        self.check_restored();
    }

    /// Tells once per connection that everything is in force again.
    pub(crate) fn check_restored(&mut self) {
        if let State::Attached(live) = &mut self.state
            && !live.restored
            && live.auths == 0
            && live.restores == 0
        {
            live.restored = true;
            let connection = live.attachment.connection;
            self.ready.push(Happening::Restored { connection });
        }
    }

    fn send_what_is_due(&mut self, now: Duration) {
        let every = self.ping_every();
        let State::Attached(live) = &mut self.state else { return };
        if self.closing && bites(Tooth::CloseForgotten) {
            return self.end(SessionEnd::Closed);
        }
        if self.closing && live.close_sent.is_none() {
            // An empty frame always fits.
            if live.send(now, &Request::Close, Purpose::Close).is_ok() {
                live.close_sent = Some(now);
            }
        } else if live.awaits_nothing()
            && now >= live.link.last_queued() + every
            && live.link.queue(now, |out| Request::Ping.encode(xid::PING, MAX_REQUEST, out)).is_ok()
        {
            live.ping = Some(now);
        }
    }

    /// Reads all frames that are there, then notices the end of the connection.
    fn take_in(&mut self) {
        loop {
            let State::Attached(live) = &mut self.state else { return };
            let received = live.link.last_received();
            let taken = match live.link.take_frame(self.config.reply_limit) {
                Ok(Some(frame)) => self.take_frame(&frame, received),
                Ok(None) => break,
                Err(error) => Err(error.to_string()),
            };
            if let Err(nonsense) = taken {
                return self.detach(DetachCause::Protocol(nonsense));
            }
        }
        let State::Attached(live) = &mut self.state else { return };
        match live.link.take_end() {
            Some(LinkEnd::Closed) => self.detach(DetachCause::Closed),
            Some(LinkEnd::Failed(error)) => self.detach(DetachCause::Io(error.to_string())),
            None => {}
        }
    }

    /// The connection is gone; another attempt comes after a wait.
    pub(crate) fn detach(&mut self, cause: DetachCause) {
        let now = self.clock.now();
        if let State::Attached(live) = &self.state {
            self.identity.heard_at = live.link.last_received();
        }
        let Some(Attachment { server, received, taken_back, .. }) = self.drop_connection() else { return };
        self.identity.detached_at = now;
        if now.saturating_sub(received) < STEADY_AFTER && cause == DetachCause::Closed && !taken_back {
            // Whether that server lives tells a server's end from a session that somebody else uses.
            self.asks_again = true;
            self.ready.push(Happening::Detached { server, cause });
        } else if now.saturating_sub(received) >= STEADY_AFTER {
            self.servers.lost_after_long();
            self.ready.push(Happening::Detached { server, cause });
        } else {
            // A server that takes connections and drops them at once counts as one that fails.
            let error = format!("connection lost: {cause}");
            self.ready.push(Happening::Detached { server, cause });
            self.server_failed(error);
        }
        self.wait_for_next_attempt(now);
    }

    /// The session is over.
    pub(crate) fn end(&mut self, end: SessionEnd) {
        let end = match end {
            // Who wanted it closed does not mind how it came about.
            SessionEnd::Expired if self.closing => SessionEnd::Closed,
            end => end,
        };
        self.drop_connection();
        self.state = State::Ended;
        self.servers.forget();
        self.ready.push(Happening::Ended(end));
    }

    /// Drops the connection and tells what became of the requests on it.
    fn drop_connection(&mut self) -> Option<Attachment> {
        if !matches!(self.state, State::Attached(_)) {
            return None;
        }
        let State::Attached(live) = std::mem::replace(&mut self.state, State::Idle) else { return None };
        let Live { link, outstanding, attachment, .. } = *live;
        let lost = outstanding.lost(|start| link.was_handed(start));
        self.ready.extend(lost.into_iter().map(|(id, how)| Happening::Lost { id, how }));
        Some(attachment)
    }
}
