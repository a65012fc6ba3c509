//! What the run tells the history of its terms. Nothing here waits, and nothing of it comes before the program's start
//! or before the place is handed over.

use super::Run;
use super::term::{Cause, Input};
use crate::history::{Behind, How, Told};
use crate::program::{Event, signal_name};
use elector::{Lost, Role, Token};
use std::time::Duration;

/// What of a term's course is worth telling.
#[derive(Debug)]
pub(super) struct Course {
    began: Duration,
    /// Why it was lost, as far as the first reason goes: it is the cause of the others.
    pub(super) loss: Option<Lost>,
    /// Until when the lease was known to last.
    lease_end: Duration,
    /// When nothing was left of the last program, by the word of the process that kept it.
    gone: Option<Duration>,
}

impl Course {
    pub(super) fn beginning(now: Duration) -> Course {
        Course { began: now, loss: None, lease_end: now, gone: None }
    }

    /// The lease has so much left; nothing once it has ended.
    pub(super) fn lease(&mut self, now: Duration, left: Duration) {
        if !left.is_zero() {
            self.lease_end = now + left;
        }
    }

    pub(super) fn note(&mut self, input: &Input) {
        if let Input::Program(Event::Gone(gone)) = input {
            self.gone = Some(gone.at);
        }
    }

    /// Whether a program was there still when the lease had ended. We may have learnt both much later.
    fn was_late(&self) -> bool {
        self.gone.is_some_and(|gone| gone > self.lease_end)
    }
}

impl Run<'_> {
    /// Keeps in mind who leads before us: others than `elector run` write no history.
    pub(super) fn notice_the_leader(&mut self, role: &Role) {
        if let Role::Waiting { ahead: 1, behind: Some(leader), .. } = role {
            let (id, token) = (leader.id.clone(), leader.token.to_string());
            self.leader_before = Some(Behind { id, token });
        }
    }

    /// The term with this token began.
    pub(super) fn tell_the_beginning(&mut self, token: Token, course: &Course) {
        // A session that ended this moment is none of this term's.
        let (session, timeout) = match &*self.elector.estate().borrow() {
            Some(estate) => (estate.session(), estate.timeout()),
            None => (0, self.options.session_timeout),
        };
        let told = Told {
            id: self.options.id.clone(),
            session,
            timeout,
            containment: Some(self.keeper.containment().level().to_string()),
            began_ago: Duration::ZERO,
            behind: self.leader_before.take(),
            ended: None,
        };
        self.scribe.began(token, told, course.began);
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

    /// It was lost, and now nothing of its program is left.
    pub(super) fn tell_the_loss(&self, token: Token, course: &Course, now: Duration) {
        let (how, detail) = match course.loss {
            Some(why @ (Lost::NoQuorum | Lost::Disconnected)) => {
                (if course.was_late() { How::KilledLate } else { How::StoppedInTime }, self.reason(why))
            }
            Some(Lost::Deposed) => (How::Deposed, String::new()),
            Some(Lost::SessionExpired) => (How::SessionExpired, "machine or network".into()),
            Some(why) => (How::Lost, self.reason(why)),
            None => (How::Lost, "the process that keeps the program was killed or stopped".into()),
        };
        // It did not lead longer than its lease, however late it learnt of that.
        self.scribe.ended(token, how, &detail, now.min(course.lease_end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Ended, Gone};

    const SECOND: Duration = Duration::from_secs(1);

    fn gone(at: Duration) -> Input {
        let (ended, killed) = (Ended::Signal(9), None);
        Input::Program(Event::Gone(Gone { ended, killed, stopping_took: None, at }))
    }

    #[test]
    fn a_program_was_late_by_the_word_of_whoever_kept_it() {
        let mut course = Course::beginning(SECOND);
        course.lease(SECOND, 4 * SECOND);
        course.note(&gone(4 * SECOND));
        // Whoever was stopped until long after hears of the end of its lease then.
        course.lease(60 * SECOND, Duration::ZERO);
        assert!(!course.was_late());
        course.note(&gone(6 * SECOND));
        assert!(course.was_late());
    }
}
