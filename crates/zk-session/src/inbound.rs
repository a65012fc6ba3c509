//! What servers say, and what is not believed of it.
//!
//! Purpose: turn one frame at a time into happenings. Invariant: a frame that no server may send is an
//! error, which ends the connection; nothing of it reaches the owner. Used by [`drive`](crate::drive) only.

use std::time::Duration;

use elector_teeth::{Tooth, bites};
use zk_wire::{ErrorCode, EventKind, ReplyHeader, Response, WatchEvent, xid};

use crate::clock::Clock;
use crate::connector::Connector;
use crate::happening::{Attachment, Happening, RequestId, SessionEnd};
use crate::outstanding::{Effect, Pending, Purpose, Step};
use crate::session::{Session, State};

/// What is wrong with a frame, in words.
type Nonsense = String;

impl<C: Connector, K: Clock> Session<C, K> {
    /// Takes in one frame of the present connection.
    pub(crate) fn take_frame(&mut self, frame: &[u8], received: Duration) -> Result<(), Nonsense> {
        let (header, body) = ReplyHeader::decode(frame).map_err(|error| error.to_string())?;
        match header.xid {
            xid::NOTIFICATION => self.take_event(header, body),
            xid::PING => self.take_pong(received),
            xid::AUTH => self.take_auth(header.err),
            _ => self.take_reply(header, body, received),
        }
    }

    fn take_event(&mut self, header: ReplyHeader, body: &[u8]) -> Result<(), Nonsense> {
        let mut event = WatchEvent::decode(body).map_err(|error| error.to_string())?;
        let State::Attached(live) = &mut self.state else { return Ok(()) };
        let asked = self.watches.fire(event.kind, &event.path) || live.outstanding.watches(&event.path);
        if !asked {
            // A few are left over from watches set twice; a stream of them is an attack or a bug.
            live.unasked_left = live
                .unasked_left
                .checked_sub(1)
                .ok_or_else(|| "too many events that nobody asked for".to_owned())?;
        }
        self.identity.last_zxid = self.identity.last_zxid.max(header.zxid);
        // An event about the session, or about what we cannot see, is none of the owner's.
        if event.kind == EventKind::None || (!live.restored && bites(Tooth::EventsOfRestoringLost)) {
            return Ok(());
        }
        if let Ok(path) = self.chroot.inward(&event.path) {
            event.path = path;
            let restoring = !live.restored;
            self.ready.push(Happening::Event { event, zxid: header.zxid, restoring });
        }
        Ok(())
    }

    fn take_pong(&mut self, received: Duration) -> Result<(), Nonsense> {
        let State::Attached(live) = &mut self.state else { return Ok(()) };
        let sent = live.ping.take().ok_or_else(|| "answer to a ping that was not sent".to_owned())?;
        // Its zxid is not looked at: a ping may be answered out of order, before events that it would cover.
        self.ready.push(Happening::Pong { sent, received, connection: live.attachment.connection });
        Ok(())
    }

    fn take_auth(&mut self, err: ErrorCode) -> Result<(), Nonsense> {
        let State::Attached(live) = &mut self.state else { return Ok(()) };
        live.auths =
            live.auths.checked_sub(1).ok_or_else(|| "answer to a credential that was not sent".to_owned())?;
        match err {
            ErrorCode::Ok => self.check_restored(),
            ErrorCode::AuthFailed => self.end(SessionEnd::AuthFailed),
            other => return Err(format!("credential answered with {other}")),
        }
        Ok(())
    }

    fn take_reply(&mut self, header: ReplyHeader, body: &[u8], received: Duration) -> Result<(), Nonsense> {
        let State::Attached(live) = &mut self.state else { return Ok(()) };
        let (op, of_owner) = live.outstanding.oldest(header.xid).map_err(|expected| match expected {
            Some(expected) => format!("answer to request {}, expected {expected}", header.xid),
            None => format!("answer to request {}, none was outstanding", header.xid),
        })?;
        let floor = live.zxid_floor;
        if header.zxid > 0 && header.zxid < floor {
            return Err(format!("zxid went back from 0x{floor:x} to 0x{:x}", header.zxid));
        }
        let mut outcome = match header.err {
            ErrorCode::Ok => Ok(Response::decode(op, body).map_err(|error| error.to_string())?),
            code => Err(code),
        };
        // An ensure makes the parents of the chroot as well, which lie outside it.
        if let (true, Ok(response)) = (of_owner, &mut outcome) {
            self.chroot.response_inward(response).map_err(|_| "path outside the chroot".to_owned())?;
        }
        // Only now that the answer is believed: a request must not leave the queue without one.
        let Some(Pending { sent, purpose, .. }) = live.outstanding.pop() else { return Ok(()) };
        live.zxid_floor = floor.max(header.zxid);
        self.identity.last_zxid = self.identity.last_zxid.max(header.zxid);
        match purpose {
            Purpose::Call { id, effect } => {
                self.apply(&effect, &outcome);
                self.watches.seen(header.zxid);
                self.reply(id, (sent, received), header.zxid, outcome);
            }
            Purpose::Ensure { id, step } => {
                self.watches.seen(header.zxid);
                self.take_ensure(id, step, (sent, received), header.zxid, outcome);
            }
            Purpose::Restore => {
                if let Err(code) = outcome {
                    return Err(format!("watches could not be set again: {code}"));
                }
                live.restores = live.restores.saturating_sub(1);
                self.watches.unpin();
                self.watches.seen(header.zxid);
                self.check_restored();
            }
            Purpose::Close => match outcome {
                Ok(_) | Err(ErrorCode::SessionExpired) => self.end(SessionEnd::Closed),
                Err(code) => return Err(format!("close answered with {code}")),
            },
        }
        Ok(())
    }

    /// What an answer does to the remembered watches.
    fn apply(&mut self, effect: &Effect, outcome: &Result<Response, ErrorCode>) {
        match (effect, outcome) {
            (Effect::Watch { path, present, .. }, Ok(_)) => self.watches.add(*present, path),
            (Effect::Watch { path, absent: Some(absent), .. }, Err(ErrorCode::NoNode)) => {
                self.watches.add(*absent, path);
            }
            (Effect::SetWatches, _) => self.watches.unpin(),
            (Effect::Remove { path, kind }, Ok(_)) => self.watches.forget(*kind, path),
            (Effect::None | Effect::Watch { .. } | Effect::Remove { .. }, _) => {}
        }
    }

    /// One answer in the row of an ensure; the last one decides.
    fn take_ensure(
        &mut self,
        id: RequestId,
        step: Step,
        times: (Duration, Duration),
        zxid: i64,
        outcome: Result<Response, ErrorCode>,
    ) {
        let State::Attached(live) = &mut self.state else { return };
        match (step, outcome) {
            (Step::Create { .. }, Ok(_) | Err(ErrorCode::NodeExists)) => {}
            // Without CREATE on a parent even an existing child answers NoAuth: go on, and look at the end.
            (Step::Create { .. }, Err(code)) => {
                live.outstanding.ensure_error.get_or_insert(code);
            }
            (Step::Check { .. }, found) => {
                let hindrance = live.outstanding.ensure_error.take();
                let outcome = match found {
                    // What we may not read is there all the same.
                    Ok(_) | Err(ErrorCode::NoAuth) => Ok(Response::Empty),
                    Err(code) => Err(hindrance.unwrap_or(code)),
                };
                self.reply(id, times, zxid, outcome);
            }
        }
    }

    fn reply(
        &mut self,
        id: RequestId,
        (sent, received): (Duration, Duration),
        zxid: i64,
        outcome: Result<Response, ErrorCode>,
    ) {
        let State::Attached(live) = &self.state else { return };
        let Attachment { timeout, connection, .. } = live.attachment;
        self.ready.push(Happening::Reply { id, sent, received, zxid, timeout, connection, outcome });
    }
}
