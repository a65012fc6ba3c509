//! What to do in one term: a pure machine between the election, the program, and the signals.
//!
//! Invariants: the program is started at most once at a time and only while the term is neither ending nor lost;
//! the machine finishes only when nothing of the program is left, so that its caller may release the place then
//! and not before. It reads no clock and does nothing itself: [`Term::step`] answers with [`Action`]s.

use super::code;
use crate::args::OnExit;
use crate::exit;
use crate::log::{About, Entry, Level};
use crate::program::{Ended, Event, Gone, Killed, NotStarted, Stop, signal_name};
use crate::signals::Asked;
use crate::text::{compact, escape};
use rustix::process::Signal;
use std::time::Duration;

/// The first wait before a program that ended is started again; it doubles each time.
const BACK_OFF_FIRST: Duration = Duration::from_secs(1);
/// The longest such wait.
const BACK_OFF_MOST: Duration = Duration::from_secs(30);
/// A program that ran so long is taken to have worked, and the waits begin anew.
const WORKED: Duration = Duration::from_secs(60);

/// What the options say about a term.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// The program's name as typed.
    pub(super) program: String,
    /// The term's token and what is known of the one before, for the first line of the term.
    pub(super) leading: String,
    pub(super) stop_signal: Signal,
    pub(super) stop_grace: Duration,
    pub(super) loss_grace: Duration,
    pub(super) at_least: Duration,
    pub(super) takeover_delay: Duration,
    pub(super) on_exit: OnExit,
    pub(super) once: bool,
}

/// Something that happened.
#[derive(Debug)]
pub(super) enum Input {
    Program(Event),
    Signal(Asked),
    /// This process cannot do its part any more, and has to end. The text says why.
    Failed(String),
    /// The lease is about to end: what a loss allows begins now. The text says why.
    Ending(String),
    /// Leadership has ended. The text says why.
    Lost(String),
    /// The instant of [`Term::wake_at`] has come.
    Wake,
}

/// Something to do, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Start,
    Stop(Stop),
    Forward(Signal),
    Say(Said),
    Finish(Finish),
}

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) level: Level,
    pub(super) about: About,
    pub(super) message: String,
}

/// How the term's part in the run is over. Nothing of the program is left.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// Give the place up and end the run with this code; the text goes behind "resigned".
    Release { code: u8, how: String, cause: Cause },
    /// Leadership is lost: end the run with this code, or contend again.
    Lost { end: Option<u8> },
}

/// What a planned end of a term came of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A signal to elector.
    Asked(Signal),
    /// The program ended by itself; the text says how.
    Program(String),
    /// Elector could not go on; the text says why.
    Failed(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// `--takeover-delay`.
    Delay {
        until: Duration,
    },
    /// A start was asked for, and the program may be there; from here on only `Gone` says that it is not.
    Program,
    /// It ended and is to be started again.
    BackOff {
        until: Duration,
    },
    /// It ended, and `--at-least` holds the place.
    Holding {
        until: Duration,
        code: u8,
    },
    /// The deadline passed before the start; the loss is about to be told.
    TooLate,
    Done,
}

/// One term.
#[derive(Debug)]
pub(super) struct Term {
    rules: Rules,
    began: Duration,
    state: State,
    /// When the program was first started in this term.
    first_start: Option<Duration>,
    last_start: Duration,
    back_off: Duration,
    /// The signal of a planned stop.
    asked: Option<Signal>,
    /// This process has to end, and why: whatever else happens, the run ends as a failure of elector's.
    failed: Option<String>,
    /// Set from the first word of a loss on. The first reason stays: it is the cause of the others.
    lost: Option<String>,
    /// The program ended before anybody asked it to.
    ended_by_itself: bool,
}

impl Term {
    /// A term that began at `now`. The first actions come with the first [`Input::Wake`].
    pub(super) fn new(rules: Rules, now: Duration) -> Term {
        Term {
            began: now,
            state: State::Delay { until: now.saturating_add(rules.takeover_delay) },
            first_start: None,
            last_start: now,
            back_off: BACK_OFF_FIRST,
            asked: None,
            failed: None,
            lost: None,
            ended_by_itself: false,
            rules,
        }
    }

    /// When to come back with [`Input::Wake`], if nothing else happens.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        match self.state {
            State::Delay { until } | State::BackOff { until } | State::Holding { until, .. } => Some(until),
            State::Program | State::TooLate | State::Done => None,
        }
    }

    /// What `input` leads to at `now`.
    pub(super) fn step(&mut self, now: Duration, input: Input) -> Vec<Action> {
        match input {
            Input::Wake => self.wake(now),
            Input::Signal(asked) => self.signal(asked),
            Input::Failed(why) => self.fail(&why),
            Input::Ending(why) => self.ending(why),
            Input::Lost(why) => self.lose(now, why),
            Input::Program(event) => self.program(now, event),
        }
    }

    fn wake(&mut self, now: Duration) -> Vec<Action> {
        match self.state {
            State::Delay { until } if now < until => {
                let wait = compact(self.rules.takeover_delay);
                let message = format!("{}; starting the program in {wait}", self.rules.leading);
                vec![say(Level::Info, About::Leading, &message)]
            }
            State::Delay { until } | State::BackOff { until } if now >= until => {
                self.state = State::Program;
                self.last_start = now;
                self.ended_by_itself = false;
                vec![Action::Start]
            }
            State::Holding { until, code } if now >= until => {
                let how = format!("held for {}", compact(self.rules.at_least));
                let cause = Cause::Program(format!("program ended with {code}; {how}"));
                self.finish(Finish::Release { code, how, cause })
            }
            _ => Vec::new(),
        }
    }

    fn signal(&mut self, asked: Asked) -> Vec<Action> {
        match (asked, self.state) {
            (Asked::Pause, _) => {
                vec![say(Level::Warn, About::Error, "Ctrl-Z is refused: a paused leader is no leader")]
            }
            (Asked::Forward(signal), State::Program) => vec![Action::Forward(signal)],
            (Asked::Forward(signal), _) if !leaves(signal) => Vec::new(),
            (Asked::Stop(signal), State::Program) => self.planned_stop(signal),
            (Asked::Stop(signal) | Asked::Forward(signal), _) => {
                let code = match self.state {
                    State::Holding { code, .. } => code,
                    _ => code::left(signal),
                };
                let how = format!("{} received", signal_name(signal.as_raw()));
                self.finish(Finish::Release { code, how, cause: Cause::Asked(signal) })
            }
        }
    }

    fn planned_stop(&mut self, signal: Signal) -> Vec<Action> {
        let name = signal_name(signal.as_raw());
        if self.asked.is_some() {
            let message = format!("{name} received again: killing the program");
            return vec![say(Level::Warn, About::Asked, &message), Action::Stop(Stop::Now)];
        }
        self.asked = Some(signal);
        if self.lost.is_some() {
            let message = format!("{name} received: not contending again");
            return vec![say(Level::Info, About::Asked, &message)];
        }
        let grace = compact(self.rules.stop_grace);
        let message = format!("{name} received: stopping the program (up to {grace}), then handing over");
        let stop = Action::Stop(Stop::Within(self.rules.stop_grace));
        vec![say(Level::Info, About::Asked, &message), stop]
    }

    /// The program is stopped as on a planned stop: the place is still ours, and nobody else has to wait longer.
    fn fail(&mut self, why: &str) -> Vec<Action> {
        self.failed = Some(why.to_string());
        let mut actions = vec![say(Level::Error, About::Error, why)];
        match self.state {
            State::Program if self.lost.is_some() => {}
            State::Program => actions.push(Action::Stop(Stop::Within(self.rules.stop_grace))),
            _ => {
                let (how, cause) = ("no program was running".into(), Cause::Failed(why.to_string()));
                actions.extend(self.finish(Finish::Release { code: exit::FAILURE, how, cause }));
            }
        }
        actions
    }

    fn ending(&mut self, why: String) -> Vec<Action> {
        if self.lost.is_some() || self.state == State::Done {
            return Vec::new();
        }
        let actions = if self.state == State::Program {
            let grace = self.rules.loss_grace;
            let message = format!(
                "stopping the program: {why}; {} now, KILL in {}.{}s",
                signal_name(self.rules.stop_signal.as_raw()),
                grace.as_secs(),
                grace.subsec_millis() / 100
            );
            vec![say(Level::Warn, About::Stopping, &message), Action::Stop(Stop::Within(grace))]
        } else if let State::Delay { .. } | State::BackOff { .. } = self.state {
            // Nothing is there to be stopped; what matters is that nothing is started any more.
            self.state = State::TooLate;
            Vec::new()
        } else {
            Vec::new()
        };
        self.lost = Some(why);
        actions
    }

    fn lose(&mut self, now: Duration, why: String) -> Vec<Action> {
        self.lost.get_or_insert(why);
        match self.state {
            State::Program => vec![Action::Stop(Stop::Now)],
            State::Done => Vec::new(),
            State::Holding { code, .. } => self.lost_with(now, "the program had ended before", Some(code)),
            State::Delay { .. } | State::BackOff { .. } | State::TooLate => {
                self.lost_with(now, "no program was running", self.end_after_loss())
            }
        }
    }

    fn program(&mut self, now: Duration, event: Event) -> Vec<Action> {
        match event {
            Event::Started { pid } => {
                let again = if self.first_start.is_some() { " again" } else { "" };
                self.first_start.get_or_insert(now);
                let name = escape(&self.rules.program);
                let message = format!("{}; started {name}{again}, pid {pid}", self.rules.leading);
                vec![say(Level::Info, About::Leading, &message)]
            }
            Event::NotStarted(NotStarted::TooLate) => self.too_late(now),
            Event::NotStarted(NotStarted::Failed(error)) => {
                let message = format!("{} could not be started: {error}", escape(&self.rules.program));
                let how = "the program could not be started".to_string();
                let cause = Cause::Failed(how.clone());
                let mut actions = vec![say(Level::Error, About::Error, &message)];
                actions.extend(self.finish(Finish::Release { code: exit::FAILURE, how, cause }));
                actions
            }
            Event::Ended => {
                self.ended_by_itself = self.asked.is_none() && self.failed.is_none() && self.lost.is_none();
                Vec::new()
            }
            Event::Stuck { left } => {
                let message = format!(
                    "{left} of the program's processes outlive SIGKILL and are not released: they wait in the kernel"
                );
                vec![say(Level::Error, About::Error, &message)]
            }
            Event::Gone(gone) => self.gone(now, gone),
            Event::Abandoned => self.abandoned(now),
        }
    }

    /// Somebody killed or stopped the process that kept the program, and the program had to go with it. We do not
    /// lead on without a program: somebody else may, or we again in a new term.
    fn abandoned(&mut self, now: Duration) -> Vec<Action> {
        self.lost.get_or_insert_with(|| "the process that keeps the program was killed or stopped".into());
        let end = match self.asked {
            Some(_) => Some(exit::by_signal(Signal::KILL.as_raw())),
            None => self.end_after_loss(),
        };
        self.lost_with(now, "program killed", end)
    }

    /// The start came after the deadline, or a stop before it: there is no program. A loss is told or about to be.
    fn too_late(&mut self, now: Duration) -> Vec<Action> {
        self.state = State::TooLate;
        let (code, cause) = match (self.asked, &self.failed) {
            (Some(signal), _) => (code::left(signal), Cause::Asked(signal)),
            (None, _) if self.lost.is_some() => {
                return self.lost_with(now, "no program was running", self.end_after_loss());
            }
            (None, Some(why)) => (exit::FAILURE, Cause::Failed(why.clone())),
            (None, None) => return Vec::new(),
        };
        self.finish(Finish::Release { code, how: "no program was running".into(), cause })
    }

    fn gone(&mut self, now: Duration, gone: Gone) -> Vec<Action> {
        if gone.killed == Some(Killed::Deadline) {
            // An elector that was stopped may hear of this before it hears of the loss.
            self.lost.get_or_insert_with(|| "no quorum answered".into());
            self.ended_by_itself &= gone.ended != Ended::Signal(Signal::KILL.as_raw());
        }
        if let Some((code, cause)) = self.planned_end(&gone) {
            if self.lost.is_some() {
                return self.lost_with(now, &gone_text(&gone, self.rules.stop_signal), Some(code));
            }
            return self.finish(Finish::Release { code, how: end_text(&gone), cause });
        }
        let restart = self.rules.on_exit == OnExit::Restart;
        if self.lost.is_some() {
            // A program that had ended by itself ends the run, also when the loss came right behind.
            let own = (self.ended_by_itself && !restart).then(|| code::own(gone.ended));
            let end = own.or(self.end_after_loss());
            return self.lost_with(now, &gone_text(&gone, self.rules.stop_signal), end);
        }
        if restart { self.restart(now, &gone) } else { self.end(now, &gone) }
    }

    /// The code and the cause of an end that was asked for or cannot be helped.
    fn planned_end(&self, gone: &Gone) -> Option<(u8, Cause)> {
        match (&self.failed, self.asked) {
            (Some(why), _) => Some((exit::FAILURE, Cause::Failed(why.clone()))),
            (None, Some(signal)) => {
                let code = code::planned(gone, signal, self.rules.stop_signal);
                Some((code, Cause::Asked(signal)))
            }
            (None, None) => None,
        }
    }

    fn restart(&mut self, now: Duration, gone: &Gone) -> Vec<Action> {
        if now.saturating_sub(self.last_start) >= WORKED {
            self.back_off = BACK_OFF_FIRST;
        }
        let wait = self.back_off;
        self.back_off = (wait * 2).min(BACK_OFF_MOST);
        self.state = State::BackOff { until: now.saturating_add(wait) };
        let message = format!("{}; starting it again in {}", end_text(gone), compact(wait));
        vec![say(Level::Warn, About::Exited, &message)]
    }

    fn end(&mut self, now: Duration, gone: &Gone) -> Vec<Action> {
        let code = code::own(gone.ended);
        let until = self.first_start.unwrap_or(now).saturating_add(self.rules.at_least);
        if now >= until {
            let how = end_text(gone);
            return self.finish(Finish::Release { code, cause: Cause::Program(how.clone()), how });
        }
        self.state = State::Holding { until, code };
        let message = format!(
            "{}; holding the place for another {}",
            end_text(gone),
            compact(until.saturating_sub(now))
        );
        vec![say(Level::Info, About::Exited, &message)]
    }

    /// The code that ends the run after a loss, or none where it goes on.
    fn end_after_loss(&self) -> Option<u8> {
        if self.failed.is_some() { Some(exit::FAILURE) } else { self.rules.once.then_some(exit::LOST) }
    }

    fn lost_with(&mut self, now: Duration, program: &str, end: Option<u8>) -> Vec<Action> {
        let why = self.lost.clone().unwrap_or_default();
        let after = compact(now.saturating_sub(self.began));
        let mut actions =
            vec![say(Level::Warn, About::Lost, &format!("lost after {after}: {why}; {program}"))];
        actions.extend(self.finish(Finish::Lost { end }));
        actions
    }

    fn finish(&mut self, finish: Finish) -> Vec<Action> {
        if self.state == State::Done {
            return Vec::new();
        }
        self.state = State::Done;
        vec![Action::Finish(finish)]
    }
}

/// HUP and QUIT mean "leave" to whoever has no program to give them to.
pub(super) fn leaves(signal: Signal) -> bool {
    signal == Signal::HUP || signal == Signal::QUIT
}

fn say(level: Level, about: About, message: &str) -> Action {
    Action::Say(Said { level, about, message: message.to_string() })
}

fn end_text(gone: &Gone) -> String {
    match gone.ended {
        _ if gone.killed.is_some() => "program had to be killed".into(),
        Ended::Code(code) => format!("program ended with {code}"),
        Ended::Signal(number) => format!("program ended by {}", signal_name(number)),
        Ended::Unseen => {
            "program ended, and something else was told how: its exit status is not known".into()
        }
    }
}

fn gone_text(gone: &Gone, stop_signal: Signal) -> String {
    match (gone.stopping_took, gone.killed) {
        (None, _) => end_text(gone),
        (Some(took), None) => {
            format!("program gone {} after {}", compact(took), signal_name(stop_signal.as_raw()))
        }
        (Some(took), Some(_)) => format!("program killed, gone {} after the first signal", compact(took)),
    }
}

impl Said {
    /// The line with the term that it belongs to.
    pub(super) fn entry(self, token: &str) -> Entry {
        Entry { level: self.level, about: self.about, token: Some(token.to_string()), message: self.message }
    }
}

#[cfg(test)]
#[path = "term_tests.rs"]
mod tests;
