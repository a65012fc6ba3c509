//! What the run tells the history of its terms. Nothing here waits, and nothing of it comes before the program's start
//! or before the place is handed over.

use super::Run;
use super::term::Cause;
use crate::history::{Behind, How, Told};
use crate::program::signal_name;
use elector::{Lost, Role, Token};
use std::time::Duration;

impl Run<'_> {
    /// Keeps in mind who leads before us: others than `elector run` write no history.
    pub(super) fn notice_the_leader(&mut self, role: &Role) {
        if let Role::Waiting { ahead: 1, behind: Some(leader), .. } = role {
            let (id, token) = (leader.id.clone(), leader.token.to_string());
            self.leader_before = Some(Behind { id, token });
        }
    }

    /// The term with this token began at this instant.
    pub(super) fn tell_the_beginning(&mut self, token: Token, at: Duration) {
        // A session that ended this moment is none of this term's.
        let (session, timeout) = match &*self.elector.estate().borrow() {
            Some(estate) => (estate.session(), estate.timeout()),
            None => (0, self.options.session_timeout),
        };
        let told = Told {
            id: self.options.id.clone(),
            session,
            timeout,
            containment: Some(self.keeper.level().to_string()),
            began_ago: Duration::ZERO,
            behind: self.leader_before.take(),
            ended: None,
        };
        self.scribe.began(token, told, at);
    }

    /// It was given up at this instant, and nothing of its program is left.
    pub(super) fn tell_the_release(&self, token: Token, cause: &Cause, at: Duration) {
        match cause {
            Cause::Asked(signal) => {
                let detail = format!("{} received", signal_name(signal.as_raw()));
                self.scribe.ended(token, How::Resigned, &detail, at);
            }
            Cause::Program(how) => self.scribe.ended(token, How::ProgramEnded, how, at),
            Cause::Failed(why) => self.scribe.ended(token, How::Failed, why, at),
        }
    }

    /// It was lost, and at this instant nothing of its program is left.
    pub(super) fn tell_the_loss(&self, token: Token, why: Option<Lost>, late: bool, at: Duration) {
        let (how, detail) = match why {
            Some(why @ (Lost::NoQuorum | Lost::Disconnected)) => {
                (if late { How::KilledLate } else { How::StoppedInTime }, self.reason(why))
            }
            Some(Lost::Deposed) => (How::Deposed, String::new()),
            Some(Lost::SessionExpired) => (How::SessionExpired, "machine or network".into()),
            Some(why) => (How::Lost, self.reason(why)),
            None => (How::Lost, "the process that keeps the program was killed or stopped".into()),
        };
        self.scribe.ended(token, how, &detail, at);
    }
}
