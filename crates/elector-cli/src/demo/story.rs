//! What has happened in the demo so far, and what each contender is doing.
//!
//! Pure: what was heard or done goes in with its time, sentences and states come out. Invariant: who leads, and
//! how long nobody did, follows from the writes that the storage took, not from what a contender believes.

use super::contender::SESSION_TIMEOUT;
use super::heard::Said;
use super::storage::{Storage, Verdict};
use super::words::precise;
use crate::text::ordinal;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The contenders, called as machines are.
pub(super) const IDS: [&str; 3] = ["web1", "web2", "web3"];
/// A contender that was killed or has ended comes back so much later, when its old session is over.
pub(super) const AWAY: Duration = Duration::from_secs(4);
/// A frozen one goes on by itself so much later, when another leads.
pub(super) const FROZEN: Duration = Duration::from_secs(4);
/// Sentences that are remembered for the screen.
const MAX_LINES: usize = 200;
/// Hand-overs that are remembered.
const MAX_HAND_OVERS: usize = 20;
/// Said where there is no leader to strike.
const NOBODY: &str = "nobody leads at the moment";

/// What a contender is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// Connecting and enrolling.
    Enrolling,
    Waiting,
    Leading,
    /// Its program is being stopped, then it hands over.
    Stopping,
    Frozen {
        since: Instant,
    },
    /// Killed with all that it started.
    Dead {
        since: Instant,
    },
    /// It has ended in good order.
    Away {
        since: Instant,
    },
}

/// How a term was brought to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    Kill,
    Freeze,
    Stop,
}

/// What is to be done with a contender when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    Start,
    Resume,
}

/// A change of leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HandOver {
    /// What brought it about, if it was us.
    pub(super) blow: Option<Blow>,
    /// From the blow, or else from the last write, to the first write of the next term.
    pub(super) took: Duration,
}

/// How a sentence is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
    Cold,
}

/// A sentence about what has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) at: Duration,
    pub(super) tone: Tone,
    pub(super) text: String,
}

/// One contender as it is seen from outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) doing: Doing,
    /// The token of its newest term.
    pub(super) token: Option<u64>,
    /// Writes that the storage took in that term.
    pub(super) writes: u64,
    /// Writes that were refused since it was resumed.
    refused: u64,
}

/// The whole of it.
#[derive(Debug)]
pub(super) struct Story {
    begun: Instant,
    seen: [Seen; IDS.len()],
    /// Those who have a place, in their order.
    queue: Vec<usize>,
    pub(super) storage: Storage,
    blow: Option<(usize, Blow, Instant)>,
    pub(super) hand_overs: Vec<HandOver>,
    lines: VecDeque<Line>,
    /// How many lines there have been.
    told: usize,
}

impl Story {
    pub(super) fn new(begun: Instant) -> Story {
        let seen = Seen { doing: Doing::Enrolling, token: None, writes: 0, refused: 0 };
        Story {
            begun,
            seen: [seen; IDS.len()],
            queue: Vec::new(),
            storage: Storage::default(),
            blow: None,
            hand_overs: Vec::new(),
            lines: VecDeque::new(),
            told: 0,
        }
    }

    pub(super) fn seen(&self, who: usize) -> Seen {
        self.seen[who]
    }

    /// How many stand before it; none where it has no place.
    pub(super) fn ahead(&self, who: usize) -> Option<usize> {
        self.queue.iter().position(|other| *other == who)
    }

    /// Who runs its program with the highest token.
    pub(super) fn leader(&self) -> Option<usize> {
        self.find(|doing| doing == Doing::Leading)
    }

    pub(super) fn frozen(&self) -> Option<usize> {
        self.find(|doing| matches!(doing, Doing::Frozen { .. }))
    }

    fn find(&self, wanted: impl Fn(Doing) -> bool) -> Option<usize> {
        self.seen.iter().position(|seen| wanted(seen.doing))
    }

    /// Whether each has its place, and one leads.
    pub(super) fn is_settled(&self) -> bool {
        let settled = |seen: &Seen| matches!(seen.doing, Doing::Waiting | Doing::Leading);
        self.seen.iter().all(settled) && self.leader().is_some()
    }

    /// The lines since the one that was number `from`, and the number of the next.
    pub(super) fn lines_from(&self, from: usize) -> (impl DoubleEndedIterator<Item = &Line>, usize) {
        let forgotten = self.told - self.lines.len();
        (self.lines.iter().skip(from.saturating_sub(forgotten)), self.told)
    }

    /// A key was pressed in vain; said once, however impatient somebody is.
    pub(super) fn nobody_leads(&mut self, at: Instant) {
        if self.lines.back().is_none_or(|line| line.text != NOBODY) {
            self.tell(at, Tone::Plain, NOBODY.into());
        }
    }

    /// Adds a sentence.
    pub(super) fn tell(&mut self, at: Instant, tone: Tone, text: String) {
        if self.lines.len() == MAX_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(Line { at: at.saturating_duration_since(self.begun), tone, text });
        self.told += 1;
    }

    /// A contender or its program has said something.
    pub(super) fn hear(&mut self, who: usize, said: Said, at: Instant) {
        let stopped = matches!(self.seen[who].doing, Doing::Dead { .. } | Doing::Frozen { .. });
        match said {
            // What was on its way when it was stopped still arrives, but it is doing nothing any more.
            Said::Wrote { token } => self.wrote(who, token, at, stopped),
            Said::Trouble(text) => self.tell(at, Tone::Bad, format!("{} says: {text}", IDS[who])),
            _ if stopped => {}
            Said::Enrolling => {
                self.queue.retain(|other| *other != who);
                self.seen[who].doing = Doing::Enrolling;
            }
            Said::Waiting => self.waits(who, at),
            Said::Leading { token } => self.leads(who, token),
            Said::Stopping => self.seen[who].doing = Doing::Stopping,
            Said::Lost => self.lost(who, at),
            Said::Resigned => self.queue.retain(|other| *other != who),
        }
    }

    fn waits(&mut self, who: usize, at: Instant) {
        if self.ahead(who).is_none() {
            self.queue.push(who);
            let place = ordinal(self.queue.len());
            self.tell(at, Tone::Plain, format!("{} waits, {place} in the queue", IDS[who]));
        }
        self.seen[who].doing = Doing::Waiting;
    }

    /// All who were ahead are gone, or it would not lead.
    fn leads(&mut self, who: usize, token: u64) {
        let ahead = self.ahead(who).map_or(self.queue.len(), |ahead| ahead + 1);
        self.queue.splice(..ahead, [who]);
        let seen = &mut self.seen[who];
        seen.doing = Doing::Leading;
        // Both the log and the program tell of a term, in either order.
        if seen.token.replace(token) != Some(token) {
            (seen.writes, seen.refused) = (0, 0);
        }
    }

    fn wrote(&mut self, who: usize, token: u64, at: Instant, stopped: bool) {
        match self.storage.write(token, at) {
            Verdict::Taken => self.seen[who].writes += 1,
            Verdict::Refused => {
                self.seen[who].refused += 1;
                let newer = self.storage.highest();
                let text = format!("refused: {} writes with token {token}, but {newer} was seen", IDS[who]);
                self.tell(at, Tone::Bad, text);
            }
            Verdict::First { last } => {
                // The program may be heard before the log of its contender.
                if !stopped {
                    self.leads(who, token);
                }
                self.seen[who].writes += 1;
                let after = self.handed_over(last, at);
                self.tell(at, Tone::Good, format!("{} leads with token {token}{after}", IDS[who]));
            }
        }
    }

    /// Notes a change of leader, and tells how long nobody led.
    fn handed_over(&mut self, last: Option<Instant>, at: Instant) -> String {
        let Some(last) = last else { return String::new() };
        let (since, blow, why) = match self.blow.take() {
            Some((from, blow, since)) => {
                let why = match blow {
                    Blow::Kill => "was killed",
                    Blow::Freeze => "was frozen",
                    Blow::Stop => "was told to stop",
                };
                (since, Some(blow), format!("{} {why}", IDS[from]))
            }
            None => (last, None, "the last write".to_string()),
        };
        let took = at.saturating_duration_since(since);
        if self.hand_overs.len() == MAX_HAND_OVERS {
            self.hand_overs.remove(0);
        }
        self.hand_overs.push(HandOver { blow, took });
        format!(", {} after {why}", precise(took))
    }

    fn lost(&mut self, who: usize, at: Instant) {
        self.queue.retain(|other| *other != who);
        let seen = &mut self.seen[who];
        seen.doing = Doing::Enrolling;
        let how = match std::mem::take(&mut seen.refused) {
            0 => " before it wrote again".to_string(),
            1 => ", 1 late write refused".to_string(),
            n => format!(", {n} late writes refused"),
        };
        self.tell(at, Tone::Cold, format!("{} learns that it lost: its program is dead{how}", IDS[who]));
    }

    /// It was started, perhaps again.
    pub(super) fn started(&mut self, who: usize) {
        self.queue.retain(|other| *other != who);
        self.seen[who] = Seen { doing: Doing::Enrolling, token: None, writes: 0, refused: 0 };
    }

    /// It was struck by us. A frozen one that is killed is dead as of now, but was gone before.
    pub(super) fn struck(&mut self, who: usize, blow: Blow, at: Instant) {
        let id = IDS[who];
        let timeout = SESSION_TIMEOUT.as_secs();
        let (doing, tone, text) = match blow {
            Blow::Kill => {
                let text =
                    format!("kill -9 {id} with its program: its session lives on for up to {timeout} s");
                (Doing::Dead { since: at }, Tone::Bad, text)
            }
            Blow::Freeze => {
                let text = format!("{id} is frozen with its program, as if its machine were paused");
                (Doing::Frozen { since: at }, Tone::Cold, text)
            }
            Blow::Stop => {
                (Doing::Stopping, Tone::Plain, format!("{id} is told to stop, as before an update"))
            }
        };
        self.seen[who].doing = doing;
        self.blow = Some((who, blow, at));
        self.tell(at, tone, text);
    }

    /// A frozen one goes on.
    pub(super) fn resumed(&mut self, who: usize, at: Instant) {
        let Doing::Frozen { since } = self.seen[who].doing else { return };
        let still_first = self.queue.first() == Some(&who);
        self.seen[who].doing = if still_first { Doing::Leading } else { Doing::Stopping };
        self.seen[who].refused = 0;
        let still = if still_first { "" } else { " and still believes that it leads" };
        let after = precise(at.saturating_duration_since(since));
        if still_first {
            // It may lead on; if not, the last write tells since when nobody does.
            self.blow = None;
        }
        self.tell(at, Tone::Cold, format!("{} goes on after {after}{still}", IDS[who]));
    }

    /// Its process has ended, other than by our kill.
    pub(super) fn ended(&mut self, who: usize, code: Option<i32>, at: Instant) {
        if matches!(self.seen[who].doing, Doing::Dead { .. }) {
            return;
        }
        let expected = self.seen[who].doing == Doing::Stopping && code == Some(0);
        self.queue.retain(|other| *other != who);
        self.seen[who].doing = Doing::Away { since: at };
        if !expected {
            let how = code.map_or("by a signal".to_string(), |code| format!("with {code}"));
            self.tell(at, Tone::Bad, format!("{} ended by itself {how}", IDS[who]));
        }
    }

    /// What is due for each contender at `now`.
    pub(super) fn due(&self, now: Instant) -> Option<(usize, Duty)> {
        self.seen.iter().enumerate().find_map(|(who, seen)| match seen.doing {
            Doing::Dead { since } | Doing::Away { since } if now >= since + AWAY => Some((who, Duty::Start)),
            Doing::Frozen { since } if now >= since + FROZEN => Some((who, Duty::Resume)),
            _ => None,
        })
    }
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;
