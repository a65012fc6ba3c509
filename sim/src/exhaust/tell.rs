//! A course of events as lines to be read.

use elector_core::{Answer, Change, Refusal, Request};

use super::scope::Fault;
use super::server::{Frame, Packet};
use super::world::{Action, World};

/// Lines about a course, if anybody wants them.
#[derive(Debug, Default)]
pub struct Log(Option<Vec<String>>);

impl Log {
    /// Nobody wants them.
    #[must_use]
    pub fn none() -> Log {
        Log(None)
    }

    /// They are kept.
    #[must_use]
    pub fn kept() -> Log {
        Log(Some(Vec::new()))
    }

    /// What was kept.
    #[must_use]
    pub fn lines(self) -> Vec<String> {
        self.0.unwrap_or_default()
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.0 {
            lines.push(line());
        }
    }
}

/// A znode's name as a contender and its number: `c0.2-3` is of the second guid of the first contender.
fn short(name: &str) -> String {
    let guid = name.strip_prefix("_c_").and_then(|rest| rest.get(..36));
    let drawn = guid.and_then(|guid| u64::from_str_radix(&guid.replace('-', "")[20..], 16).ok());
    let number = name.rsplit('-').next().unwrap_or_default();
    match drawn.map(|drawn| drawn / super::seat::NO_JITTER) {
        Some(of) => {
            format!("c{}.{}-{}", (of / 256).saturating_sub(1), of % 256, number.trim_start_matches('0'))
        }
        None if name.is_empty() => "the path".to_owned(),
        None => name.to_owned(),
    }
}

fn all_short<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| short(name)).collect::<Vec<_>>().join(", ")
}

pub(crate) fn request(request: &Request) -> String {
    match request {
        Request::EnsureParents => "make the path".to_owned(),
        Request::Create { name } => format!("create {}", short(name)),
        Request::List { audit } => format!("list{}", if *audit { " (audit)" } else { "" }),
        Request::Sync => "sync".to_owned(),
        Request::Watch { nearest, others } => format!("watch {}", all_short(nearest.iter().chain(others))),
        Request::Read { name, .. } => format!("read {}", short(name)),
        Request::Probe { name } => format!("probe {}", short(name)),
        Request::Delete { name } => format!("delete {}", short(name)),
    }
}

pub(crate) fn frame(frame: &Frame) -> String {
    match frame {
        Frame::Reply { outcome: Ok(answer), .. } => match answer {
            Answer::Created { name, czxid, .. } => format!("created {} at czxid {czxid}", short(name)),
            Answer::Listed(names) => format!("there are [{}]", all_short(names.iter())),
            Answer::Node { czxid, owner } => format!("made at czxid {czxid} by session {owner}"),
            Answer::Done => "done".to_owned(),
        },
        Frame::Reply { outcome: Err(Refusal::NoNode), .. } => "no such znode".to_owned(),
        Frame::Reply { outcome: Err(refusal), .. } => format!("refused: {refusal:?}"),
        Frame::Restored { .. } => "the watches are set again".to_owned(),
        Frame::Event { name, change: Change::Deleted } => format!("event: {} is gone", short(name)),
        Frame::Event { name, change: Change::Touched } => format!("event: {} was written", short(name)),
        Frame::Closed => "the session is closed".to_owned(),
        Frame::Hangup => "the server has hung up".to_owned(),
    }
}

pub(crate) fn action(action: Action, world: &World) -> String {
    let znode =
        |at: u8| world.server().in_order().get(usize::from(at)).map_or(String::new(), |one| short(one.0));
    match action {
        Action::Begin(at) => format!("c{at} campaigns"),
        Action::Attach(at) => format!("c{at} connects"),
        Action::Serve(at) => format!("the server takes of c{at}: {}", next_packet(world, at)),
        Action::Read(at) => format!("c{at} reads one frame, and decides"),
        Action::ReadAll(at) => format!("c{at} reads all frames, and then decides"),
        Action::Wake(at) => format!("c{at} is woken"),
        Action::Release(at) => format!("c{at} has stopped its work"),
        Action::ServeLate(at) => format!("what c{at} had sent on a dead connection arrives"),
        Action::LoseLate(at) => format!("what c{at} had sent on a dead connection is lost"),
        Action::Fault(fault, at) => match fault {
            Fault::Break => format!("FAULT: c{at}'s connection breaks"),
            Fault::BreakUnsent => {
                format!("FAULT: c{at}'s connection breaks, before the rest was handed to it")
            }
            Fault::Expire => format!("FAULT: c{at} hears nothing for 10 s, and its session expires"),
            Fault::Close => format!("FAULT: an operator closes c{at}'s session"),
            Fault::Delete => format!("FAULT: an operator deletes {}", znode(at)),
            Fault::Wipe => "FAULT: an operator deletes all, the oldest first, and the path".to_owned(),
            Fault::WipeBackwards => {
                "FAULT: an operator deletes all, the newest first, and the path".to_owned()
            }
            Fault::Reap => "FAULT: the empty path is removed".to_owned(),
            Fault::Touch => format!("FAULT: somebody writes to {}", znode(at)),
            Fault::Resign => format!("c{at} resigns, to campaign again"),
            Fault::Quit => format!("c{at} resigns for good"),
            Fault::Doze => format!("FAULT: c{at} stands still until its work is to stop"),
            Fault::Sleep => format!("FAULT: c{at} stands still for 10 s"),
            Fault::Wait => format!("time goes on for c{at} until it wants to be woken"),
        },
    }
}

fn next_packet(world: &World, at: u8) -> String {
    let link = world.seats().nth(usize::from(at)).and_then(|seat| seat.link.as_ref());
    match link.and_then(|link| link.up.front()) {
        Some(Packet::Ask(_, asked)) => request(asked),
        Some(Packet::Restore { names, .. }) => {
            format!("set the watches again on {}", all_short(names.iter().map(|(_, name)| name)))
        }
        Some(Packet::Close) => "close the session".to_owned(),
        None => String::new(),
    }
}
