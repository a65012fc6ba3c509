//! One term: the machine of `term` between the leadership, the keeper and the signals.

use super::telling::Course;
use super::term::{Action, Finish, Input, Rules, Term};
use super::{CONFIRM_LIMIT, KILL_MARGIN, Run, hosting, next_notice};
use crate::log::{About, Entry, Level};
use elector::{Leadership, Lost, Token};
use elector_teeth::{Tooth, bites};
use std::time::Duration;

/// How often the lease's progress is handed to the keeper. What it does not know yet only makes it act early; and
/// where it hears nothing for a second, it takes us for stopped.
const HAND_OVER_EVERY: Duration = Duration::from_millis(100);

impl Run<'_> {
    /// Leads one term to its end. The exit status, or none where the run goes on contending.
    pub(super) async fn lead(&mut self, leadership: Leadership) -> Option<u8> {
        let number = leadership.token();
        let token = number.to_string();
        let rules = self.rules(&token);
        let clock = self.keeper.clock();
        let mut term = Term::new(rules, clock.now());
        let mut course = Course::beginning(clock.now());
        self.renew(&leadership, &mut course);
        let mut finish = self.act(term.step(clock.now(), Input::Wake), number);
        self.tell_the_beginning(number, &course);
        let mut told_ending = false;
        let mut told_lost = false;
        let mut told_failed = false;
        while finish.is_none() {
            let wake = term.wake_at().map(|at| at.saturating_sub(clock.now()));
            let input = tokio::select! {
                biased;
                why = leadership.lost(), if !told_lost => {
                    told_lost = true;
                    course.loss.get_or_insert(why);
                    Some(Input::Lost(self.reason(why)))
                }
                why = leadership.ending(), if !told_ending && !told_lost => {
                    told_ending = true;
                    course.loss.get_or_insert(why);
                    Some(Input::Ending(self.reason(why)))
                }
                why = hosting::failed(self.host.as_ref()), if !told_failed => {
                    told_failed = true;
                    Some(Input::Failed(why))
                }
                Some(event) = self.events.recv() => Some(Input::Program(event)),
                asked = self.signals.next() => Some(Input::Signal(asked)),
                () = nap(wake) => Some(Input::Wake),
                notice = next_notice(&mut self.notices) => {
                    self.narrate_term(&notice, &token, told_ending || told_lost);
                    None
                }
                () = tokio::time::sleep(HAND_OVER_EVERY) => None,
            };
            self.renew(&leadership, &mut course);
            self.watchdog.feed();
            if let Some(input) = input {
                course.note(&input);
                let actions = term.step(clock.now(), input);
                finish = self.act(actions, number);
            }
        }
        let ended = clock.now();
        match finish? {
            Finish::Lost { end } => {
                drop(leadership);
                self.tell_the_loss(number, &course, ended);
                end
            }
            Finish::Release { code, how, cause } => {
                self.resign(leadership, &token, &how).await;
                self.tell_the_release(number, &cause, ended);
                Some(code)
            }
        }
    }

    /// Why a term ends, in the words of the place.
    pub(super) fn reason(&self, why: Lost) -> String {
        match (&self.site.directory, why) {
            (Some(_), Lost::NoQuorum) => "the host did not answer".into(),
            (_, why) => why.to_string(),
        }
    }

    fn rules(&mut self, token: &str) -> Rules {
        let options = self.options;
        Rules {
            program: options.program[0].to_string_lossy().into_owned(),
            leading: self.narrator.leading(token),
            stop_signal: options.stop_signal,
            stop_grace: options.stop_grace,
            loss_grace: options.loss_grace,
            at_least: options.at_least,
            takeover_delay: options.takeover_delay,
            on_exit: options.on_exit,
            once: options.once,
        }
    }

    /// Does what the machine says; the last action may be the term's end.
    fn act(&self, actions: Vec<Action>, token: Token) -> Option<Finish> {
        let mut finish = None;
        for action in actions {
            match action {
                Action::Start => self.keeper.start(token.get()),
                Action::Stop(stop) => self.keeper.stop(stop),
                Action::Forward(signal) => self.keeper.forward(signal),
                Action::Say(said) => self.log.say(&said.entry(&token.to_string())),
                Action::Finish(how) => finish = Some(how),
            }
        }
        finish
    }

    /// Hands the lease on to the keeper. The clock is read first, so that what is handed on is never too late.
    fn renew(&self, leadership: &Leadership, course: &mut Course) {
        let (now, left) = (self.keeper.clock().now(), leadership.remaining());
        course.lease(now, left);
        let margin = if bites(Tooth::NoKillMargin) { Duration::ZERO } else { KILL_MARGIN };
        self.keeper.renew(leadership.token().get(), now + left.saturating_sub(margin));
    }

    fn narrate_term(&mut self, notice: &elector::Notice, token: &str, ending: bool) {
        let now = tokio::time::Instant::now();
        let entries = match ending {
            false => self.narrator.in_a_term(notice, now),
            true => self.narrator.outside_a_term(notice, now),
        };
        for mut entry in entries {
            entry.token = Some(token.to_string());
            self.log.say(&entry);
        }
        self.watch_host(notice);
    }

    /// Gives the place up; nothing of the program is left.
    async fn resign(&mut self, leadership: Leadership, token: &str, how: &str) {
        let (level, message) = match tokio::time::timeout(CONFIRM_LIMIT, leadership.resign()).await {
            Ok(Ok(())) => (Level::Info, format!("resigned; {how}")),
            Ok(Err(error)) => (Level::Warn, format!("{error}; {how}")),
            Err(_) => {
                self.unconfirmed = true;
                let message =
                    "resigned, but no server confirmed it yet; the others may wait out the session timeout";
                (Level::Warn, format!("{message}; {how}"))
            }
        };
        self.log.say(&Entry { level, about: About::Resigned, token: Some(token.to_string()), message });
    }
}

async fn nap(wake: Option<Duration>) {
    match wake {
        Some(wake) => tokio::time::sleep(wake).await,
        None => std::future::pending().await,
    }
}
