//! From the start to the turn: connecting, and waiting in the queue.

use super::term::leaves;
use super::{Run, code, failure, hosting, next_notice, say, sleep_until};
use crate::exit;
use crate::log::{About, Level, Log};
use crate::program::signal_name;
use crate::signals::{Asked, Signals};
use elector::{CampaignError, Leadership, Notice, Role};
use rustix::process::Signal;
use std::time::Duration;
use tokio::time::Instant;

/// Between two tries to contend while the last term is not cleared away yet.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// What `-n` allows the servers for their answers.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

impl Run<'_> {
    /// Waits until a server carries a session. An error is the exit status.
    pub(super) async fn connect(&mut self) -> Result<(), u8> {
        let limit = self.options.common.connect_timeout;
        let too_late = limit.map(|limit| Instant::now() + limit);
        loop {
            let give_up_at = self.give_up_at.filter(|_| !self.at_once());
            tokio::select! {
                biased;
                signal = asked_to_leave(&mut self.signals, &self.log) => return Err(code::left(signal)),
                why = hosting::failed(self.host.as_ref()) => return Err(self.fail(why)),
                notice = next_notice(&mut self.notices) => {
                    self.narrate(&notice);
                    if self.at_once() && matches!(notice, Notice::Unreachable { .. }) {
                        return Err(self.give_up("no server answers"));
                    }
                }
                connected = self.elector.connected() => {
                    return connected.map_err(|error| {
                        self.say(Level::Error, About::Error, error.to_string());
                        failure::start_code(&error)
                    });
                }
                () = self.watchdog.is_due() => self.watchdog.feed(),
                () = sleep_until(too_late) => {
                    let message = self.narrator.unreachable_within(limit.unwrap_or_default());
                    self.say(Level::Error, About::Error, message);
                    return Err(exit::FAILURE);
                }
                () = sleep_until(give_up_at) => return Err(self.give_up("no server answers")),
            }
        }
    }

    /// Contends until it leads. An error is the exit status.
    pub(super) async fn wait_for_turn(&mut self) -> Result<Leadership, u8> {
        self.leader_before = None;
        let mut role = self.elector.role();
        let mut campaign = self.elector.campaign();
        // `-n` asks and does not wait: also not for an answer that does not come.
        let no_answer_by = self.at_once().then(|| Instant::now() + ANSWER_LIMIT);
        loop {
            let held = self.narrator.held_until();
            let give_up_at = self.give_up_at.filter(|_| !self.at_once());
            tokio::select! {
                biased;
                signal = asked_to_leave(&mut self.signals, &self.log) => return Err(code::left(signal)),
                why = hosting::failed(self.host.as_ref()) => return Err(self.fail(why)),
                turn = &mut campaign => match turn {
                    Ok(leadership) => return Ok(leadership),
                    Err(CampaignError::Busy) => {
                        tokio::time::sleep(BUSY_PAUSE).await;
                        campaign = self.elector.campaign();
                    }
                    Err(error) => {
                        let line = failure::campaign_line(&error, &self.options.common.election);
                        self.say(Level::Error, About::Error, line);
                        return Err(failure::campaign_code(&error));
                    }
                },
                notice = next_notice(&mut self.notices) => self.narrate(&notice),
                Ok(()) = role.changed() => {
                    let role = role.borrow_and_update().clone();
                    self.notice_the_leader(&role);
                    for entry in self.narrator.role(&role, Instant::now()) {
                        self.log.say(&entry);
                    }
                    if self.at_once() && matches!(role, Role::Waiting { ahead, .. } if ahead > 0) {
                        return Err(self.give_up("somebody else leads"));
                    }
                }
                () = self.watchdog.is_due() => self.watchdog.feed(),
                () = sleep_until(held) => {
                    if let Some(entry) = self.narrator.release() {
                        self.log.say(&entry);
                    }
                }
                () = sleep_until(give_up_at) => return Err(self.give_up("not leading by then")),
                () = sleep_until(no_answer_by) => return Err(self.give_up("the servers do not answer")),
            }
        }
    }

    /// `-n`: as soon as it shows that somebody else is ahead, rather than after a time.
    fn at_once(&self) -> bool {
        self.give_up_at.is_some() && self.options.wait.is_some_and(|wait| wait.is_zero())
    }

    fn give_up(&self, why: &str) -> u8 {
        let option = if self.at_once() { "-n, or --wait 0s" } else { "--wait" };
        self.say(Level::Info, About::Exited, format!("gave up ({option}): {why}"));
        self.options.give_up_code
    }

    /// This process should host and cannot. The exit status.
    fn fail(&self, why: String) -> u8 {
        self.say(Level::Error, About::Error, why);
        exit::FAILURE
    }
}

/// Waits for a signal that makes us leave the queue. Cancel safe.
pub(super) async fn asked_to_leave(signals: &mut Signals, log: &Log) -> Signal {
    loop {
        match signals.next().await {
            Asked::Pause => {
                let message = "Ctrl-Z is refused: a paused contender would be taken for dead";
                say(log, Level::Warn, About::Error, message.to_string());
            }
            Asked::Forward(signal) if !leaves(signal) => {}
            Asked::Stop(signal) | Asked::Forward(signal) => {
                let message = format!("{} received: leaving", signal_name(signal.as_raw()));
                say(log, Level::Info, About::Asked, message);
                return signal;
            }
        }
    }
}
