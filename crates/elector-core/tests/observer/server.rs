//! One server as an observer meets it: a tree, one connection with its one-shot watches, and the truth.
//!
//! Requests wait on their way up and frames on their way down, each in its order; the test says when they move.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use elector_core::observer::{Ask, Counts, Held, Told};
use elector_core::{Change, Refusal, RequestId, Token};

/// What the election path is.
#[derive(Debug)]
enum Node {
    Single(i64),
    Directory(Directory),
}

#[derive(Debug, Default)]
struct Directory {
    czxid: i64,
    /// Number and creation zxid of each contender.
    children: BTreeMap<u32, i64>,
    made: u32,
    changes: i32,
}

/// A frame on its way down.
#[derive(Debug)]
pub(crate) enum Frame {
    Reply(RequestId, Result<Told, Refusal>),
    Event(String, Change),
    ChildrenChanged,
}

#[derive(Debug, Default)]
pub(crate) struct Server {
    node: Option<Node>,
    /// Changes among the children of the path above.
    above: i32,
    zxid: i64,
    watched: BTreeSet<String>,
    children_watched: bool,
    up: VecDeque<(RequestId, Ask)>,
    down: VecDeque<(Frame, usize)>,
    /// Everybody who ever led, in order; nobody is 0.
    pub(crate) leaders: Vec<i64>,
}

fn name(number: u32) -> String {
    format!("_c_{number:08x}-1111-4222-8333-444455556666-latch-{number:010}")
}

fn held(name: String, czxid: i64) -> Held {
    let token = Token::from_czxid(czxid).expect("zxids are positive here");
    Held { id: format!("at {czxid}"), name, token, session: 1 }
}

impl Server {
    pub(crate) fn new() -> Server {
        Server { leaders: vec![0], ..Server::default() }
    }

    /// The leader at present; 0 for nobody.
    pub(crate) fn leader(&self) -> i64 {
        match &self.node {
            None => 0,
            Some(Node::Single(czxid)) => *czxid,
            Some(Node::Directory(directory)) => {
                directory.children.first_key_value().map_or(0, |(_, czxid)| *czxid)
            }
        }
    }

    fn written(&mut self) {
        let leader = self.leader();
        if self.leaders.last() != Some(&leader) {
            self.leaders.push(leader);
        }
    }

    fn send(&mut self, frame: Frame) {
        let at = self.leaders.len() - 1;
        self.down.push_back((frame, at));
    }

    fn fire(&mut self, name: &str, change: Change) {
        if self.watched.remove(name) {
            self.send(Frame::Event(name.to_owned(), change));
        }
    }

    // What happens in the election.

    pub(crate) fn enrol(&mut self) {
        self.zxid += 1;
        if self.node.is_none() {
            self.make(Node::Directory(Directory { czxid: self.zxid, ..Directory::default() }));
            self.zxid += 1;
        }
        if let Some(Node::Directory(directory)) = &mut self.node {
            directory.children.insert(directory.made, self.zxid);
            directory.made += 1;
            directory.changes += 1;
            self.written();
            self.children_changed();
        }
    }

    pub(crate) fn hold_single(&mut self) {
        if self.node.is_none() {
            self.zxid += 1;
            self.make(Node::Single(self.zxid));
        }
    }

    fn make(&mut self, node: Node) {
        self.node = Some(node);
        self.above += 1;
        self.written();
        self.fire("", Change::Touched);
    }

    /// The contender at `place` in the line goes; in a one-znode election, its holder.
    pub(crate) fn leave(&mut self, place: usize) {
        match &mut self.node {
            Some(Node::Directory(directory)) => {
                let at = place % directory.children.len().max(1);
                let Some(number) = directory.children.keys().nth(at).copied() else { return };
                directory.children.remove(&number);
                directory.changes += 1;
                self.zxid += 1;
                self.written();
                self.fire(&name(number), Change::Deleted);
                self.children_changed();
            }
            Some(Node::Single(_)) => self.remove_path(),
            None => {}
        }
    }

    /// The path goes, if nobody stands below it.
    pub(crate) fn remove_path(&mut self) {
        if matches!(&self.node, Some(Node::Directory(directory)) if !directory.children.is_empty()) {
            return;
        }
        if self.node.take().is_some() {
            self.zxid += 1;
            self.above += 1;
            self.written();
            self.children_watched = false;
            self.fire("", Change::Deleted);
        }
    }

    /// Somebody writes data: to a contender, or to the path.
    pub(crate) fn touch(&mut self, place: usize) {
        let Some(Node::Directory(directory)) = &self.node else { return };
        let number = directory.children.keys().nth(place).copied();
        self.fire(&number.map_or_else(String::new, name), Change::Touched);
    }

    /// A neighbour of the path is made.
    pub(crate) fn touch_above(&mut self) {
        self.above += 1;
    }

    fn children_changed(&mut self) {
        if std::mem::take(&mut self.children_watched) {
            self.send(Frame::ChildrenChanged);
        }
    }

    // The connection.

    pub(crate) fn disconnect(&mut self) {
        self.up.clear();
        self.down.clear();
        self.watched.clear();
        self.children_watched = false;
    }

    pub(crate) fn take(&mut self, id: RequestId, ask: Ask) {
        self.up.push_back((id, ask));
    }

    /// Answers the oldest request.
    pub(crate) fn serve(&mut self) -> bool {
        let Some((id, ask)) = self.up.pop_front() else { return false };
        let answer = self.answer(&ask);
        self.send(Frame::Reply(id, answer));
        true
    }

    /// The oldest frame on its way down, and how many leaders there had been when it was sent.
    pub(crate) fn deliver(&mut self) -> Option<(Frame, usize)> {
        self.down.pop_front()
    }

    fn answer(&mut self, ask: &Ask) -> Result<Told, Refusal> {
        match ask {
            Ask::Confirm => Ok(Told::Done),
            Ask::Above => Ok(Told::Above { changes: self.above }),
            Ask::Missing => {
                self.watched.insert(String::new());
                self.node.as_ref().map(|_| Told::Done).ok_or(Refusal::NoNode)
            }
            Ask::Read(wanted) if wanted.is_empty() => {
                let node = self.node.as_ref().ok_or(Refusal::NoNode)?;
                let (czxid, ephemeral) = match node {
                    Node::Single(czxid) => (*czxid, true),
                    Node::Directory(directory) => (directory.czxid, false),
                };
                self.watched.insert(String::new());
                Ok(Told::Node { held: held(String::new(), czxid), ephemeral })
            }
            Ask::Read(wanted) => {
                let Some(Node::Directory(directory)) = &self.node else { return Err(Refusal::NoNode) };
                let mut children = directory.children.iter();
                let (_, czxid) =
                    children.find(|(number, _)| name(**number) == *wanted).ok_or(Refusal::NoNode)?;
                self.watched.insert(wanted.clone());
                Ok(Told::Node { held: held(wanted.clone(), *czxid), ephemeral: true })
            }
            Ask::List => {
                let Some(Node::Directory(directory)) = &self.node else { return Err(Refusal::NoNode) };
                self.children_watched = true;
                let names: Vec<String> = directory.children.keys().map(|number| name(*number)).collect();
                let children = i32::try_from(names.len()).expect("few");
                let counts = Counts::new(directory.changes, children);
                Ok(Told::Listed { names, path: directory.czxid, counts })
            }
        }
    }
}
