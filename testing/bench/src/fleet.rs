//! Processes of this program that are told what to do in lines, and say in lines what they did and when.
//!
//! Invariant: whatever is timed happens inside one of them, on a thread that waits for nothing else; this process
//! only tells and listens. Their times are all of one clock, which is the same in every process.

use std::io::{BufRead, BufReader, PipeWriter, Write};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use zk_ensemble::{Owned, bound_command, monotonic_time, spawn};

type Error = Box<dyn std::error::Error>;

/// More than anything takes that a process is told to do.
const LIMIT: Duration = Duration::from_secs(60);

/// One line of a member.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Which member, in the order of their start.
    pub(crate) member: usize,
    pub(crate) word: String,
    /// When it happened, on the clock of [`monotonic_time`].
    pub(crate) at: Duration,
}

impl Said {
    fn parse(line: &str) -> Option<Said> {
        let mut words = line.split(' ');
        let (member, word, at) = (words.next()?.parse().ok()?, words.next()?, words.next()?.parse().ok()?);
        Some(Said { member, word: word.to_owned(), at: Duration::from_nanos(at) })
    }
}

/// All that were started together; they die with it.
pub(crate) struct Fleet {
    members: Vec<Owned>,
    /// Where they write; one line is one write, so that lines do not mix.
    mouth: PipeWriter,
    heard: Receiver<String>,
}

impl Fleet {
    /// None yet.
    pub(crate) fn new() -> Result<Fleet, Error> {
        let (ear, mouth) = std::io::pipe()?;
        let (tell, heard) = channel();
        std::thread::spawn(move || listen(ear, |line| tell.send(line).is_ok()));
        Ok(Fleet { members: Vec::new(), mouth, heard })
    }

    /// Starts one more and waits until it says that it is `ready`; its number.
    pub(crate) fn start(&mut self, what: &str, server: &str, path: &str) -> Result<usize, Error> {
        let member = self.members.len();
        let mut command = bound_command(std::env::current_exe()?);
        command.args(["child", what, server, path, &member.to_string()]);
        command.stdin(Stdio::piped()).stdout(self.mouth.try_clone()?);
        self.members.push(spawn(command)?);
        self.hear(member, "ready")?;
        Ok(member)
    }

    /// Tells a member to do the next thing that it does.
    pub(crate) fn tell(&mut self, member: usize) -> Result<(), Error> {
        let input = self.members[member].child().stdin.as_mut().ok_or("no input")?;
        Ok(input.write_all(b"\n")?)
    }

    /// The next line of anybody.
    pub(crate) fn next(&mut self) -> Result<Said, Error> {
        let line = self.heard.recv_timeout(LIMIT)?;
        Said::parse(&line).ok_or_else(|| format!("a child says {line:?}").into())
    }

    /// The next line, which has to be this one's and this word: when it happened.
    pub(crate) fn hear(&mut self, member: usize, word: &str) -> Result<Duration, Error> {
        match self.next()? {
            said if said.member == member && said.word == word => Ok(said.at),
            other => Err(format!("{other:?} where {member} should say {word}").into()),
        }
    }

    /// The time from what this member says until what anybody says, in whatever order they come, and who that was.
    pub(crate) fn both(
        &mut self,
        (from, member): (&str, usize),
        to: &str,
    ) -> Result<(usize, Duration), Error> {
        let (first, second) = (self.next()?, self.next()?);
        let (from, to) = match (first.word == from, first, second) {
            (true, first, second) if second.word == to => (first, second),
            (false, first, second) if first.word == to && second.word == from => (second, first),
            (_, first, second) => {
                return Err(format!("{first:?} and {second:?} where {from} and {to} are due").into());
            }
        };
        if from.member != member {
            return Err(format!("{from:?} where it is the turn of {member}").into());
        }
        Ok((to.member, to.at.saturating_sub(from.at)))
    }
}

/// A member's own end.
pub(crate) struct Orders {
    member: String,
    told: tokio::sync::mpsc::Receiver<()>,
}

impl Orders {
    /// Reads them on a thread of its own, so that the timed one has nothing to do with it.
    pub(crate) fn listen(member: &str) -> Orders {
        let (tell, told) = tokio::sync::mpsc::channel(1);
        std::thread::spawn(move || listen(std::io::stdin(), |_| tell.blocking_send(()).is_ok()));
        Orders { member: member.to_owned(), told }
    }

    /// The next one; `None` when there will be no more.
    pub(crate) async fn next(&mut self) -> Option<()> {
        self.told.recv().await
    }

    /// Says that this happened at that time.
    pub(crate) fn say(&self, word: &str, at: Duration) -> Result<(), Error> {
        let line = format!("{} {word} {}\n", self.member, at.as_nanos());
        Ok(std::io::stdout().write_all(line.as_bytes())?)
    }

    /// Says that this has just happened.
    pub(crate) fn say_now(&self, word: &str) -> Result<(), Error> {
        self.say(word, monotonic_time())
    }
}

fn listen(input: impl std::io::Read, mut each: impl FnMut(String) -> bool) {
    for line in BufReader::new(input).lines() {
        if !line.is_ok_and(&mut each) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_did_what_and_when() {
        let said = Said::parse("7 led 12000000034").unwrap();
        assert_eq!(said, Said { member: 7, word: "led".into(), at: Duration::new(12, 34) });
        for wrong in ["", "7", "7 led", "led 7 8", "7 led soon"] {
            assert_eq!(Said::parse(wrong), None, "{wrong}");
        }
    }
}
