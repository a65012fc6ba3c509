//! Who leads, seen from outside: every change that can be seen, and whether one may have been missed.
//!
//! Purpose: turn a session's answers and one-shot watches into [`Sighting`]s. Invariant: on one connection a
//! server tells of its changes in their order, an event before every answer that shows its change; so at each
//! moment the lowest znode that was read and whose watch has not fired leads, as that server knows it. What
//! cannot be shown to be complete is said to have a gap:
//!
//! * who left unseen never led if somebody before it is still there;
//! * the path's own counter tells how many contenders came and went between two lists;
//! * the counter of the path above tells how often the path itself was made and deleted.
//!
//! A token that leads before and after a lost connection led all the while, since a znode carries one term.
//!
//! On each connection the first request is a quorum transaction that changes nothing, so that what is read
//! behind it is no older than the connection: a server that is cut off from its peers shows nothing.
//!
//! Used by the library's observer only.

mod line;

use std::collections::{BTreeMap, VecDeque};

use crate::error::Error;
use crate::message::{Change, Refusal, RequestId};
use crate::token::Token;
use line::{Head, Line};

/// A znode that leads, or led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its name below the election path; empty for the path itself.
    pub name: String,
    /// What it shows of itself.
    pub id: String,
    /// Its term's number.
    pub token: Token,
    /// The session that owns it.
    pub session: i64,
}

/// Something that an observer wants asked. The empty name is the election path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// `multi{check(path, -1)}`, answered with [`Told::Done`] also where the path is missing.
    Confirm,
    /// getData with a watch, answered with [`Told::Node`].
    Read(String),
    /// exists on the path, with a watch; answered with [`Told::Done`].
    Missing,
    /// exists on the path above, without a watch; answered with [`Told::Above`].
    Above,
    /// getChildren2 with a watch, answered with [`Told::Listed`].
    List,
}

/// How many children a znode has, and how often that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Children made and deleted so far (`cversion`); it may overflow.
    pub changes: i32,
    /// Children at present.
    pub children: i32,
    /// Those of them that are no contenders; filled in by the line.
    others: usize,
}

impl Counts {
    /// From a znode's Stat.
    pub fn new(changes: i32, children: i32) -> Counts {
        Counts { changes, children, others: 0 }
    }

    /// How many contenders were made until `later`, as far as the counters tell.
    fn created_until(&self, later: &Counts) -> usize {
        let changes = i64::from(later.changes.wrapping_sub(self.changes));
        let more = i64::from(later.children) - i64::from(self.children);
        let others = later.others as i64 - self.others as i64;
        // Made and deleted together are the changes; made less deleted is what there is more of.
        usize::try_from((changes + more) / 2 - others).unwrap_or(usize::MAX)
    }
}

/// A good reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The acknowledgement alone.
    Done,
    /// A znode.
    Node {
        /// Its data and numbers.
        held: Held,
        /// Whether a session owns it; else, on the path, contenders stand below it.
        ephemeral: bool,
    },
    /// The counter of the path above.
    Above {
        /// Its `cversion`.
        changes: i32,
    },
    /// The path's children.
    Listed {
        /// Their names.
        names: Vec<String>,
        /// The path's creation zxid.
        path: i64,
        /// The path's counters.
        counts: Counts,
    },
}

/// What an observer is told, in the order in which the server sent it. Events that come before
/// [`Input::Restored`] are not among it: they have no order, and everything is read anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A connection is there, with the watches of the one before.
    Restored,
    /// The connection is gone, and with it every answer that was outstanding.
    Detached,
    /// Every server was tried and none answered.
    Unreachable,
    /// An answer.
    Reply(RequestId, Result<Told, Refusal>),
    /// A watch on a znode fired; the empty name is the path.
    Event {
        /// The child's name.
        name: String,
        /// What happened to it.
        change: Change,
    },
    /// The child watch on the path fired.
    ChildrenChanged,
}

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// The first in line.
    Leader(Held),
    /// Nobody is in line.
    Vacant {
        /// Who led before, if that is known.
        gone: Option<Held>,
        /// Whether the election path was there when last looked at.
        exists: bool,
    },
    /// No server tells.
    Unknown,
}

/// One line of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// What is so from now on.
    pub view: View,
    /// Somebody may have led since the line before who is not told of.
    pub gap: bool,
}

/// What no retry can mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// This znode may not be read; the empty name is the path.
    NoPermission(String),
    /// The children cannot be read as an order.
    Unreadable(Error),
}

/// What an observer wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this on the present connection.
    Send(RequestId, Ask),
    /// The view changed.
    Say(Sighting),
    /// The server refuses without a reason that we know: try another.
    GiveUpConnection(i32),
    /// It ends here.
    Fail(Failure),
}

/// What the election path is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ground {
    Absent,
    /// One ephemeral znode, made at this zxid.
    Single(i64),
    /// Contenders stand below it; made at this zxid.
    Directory(i64),
}

impl Ground {
    fn made_at(&self) -> Option<i64> {
        match self {
            Ground::Absent => None,
            Ground::Single(czxid) | Ground::Directory(czxid) => Some(*czxid),
        }
    }
}

/// What was said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Leader,
    Vacant,
    Unknown,
}

/// The machine. One for each election that is watched.
#[derive(Debug)]
pub struct Observer {
    next: u64,
    asked: BTreeMap<RequestId, Ask>,
    outputs: VecDeque<Output>,
    /// What the path was when last looked at, and the counter above it then.
    ground: Option<(Ground, Option<i32>)>,
    /// What the look under way has found so far.
    found: Option<(Ground, Option<Held>)>,
    line: Line,
    /// A look at the path is under way: what is answered meanwhile may be below another path of that name.
    looking: bool,
    /// The line was listed on the present connection.
    listed: bool,
    said: Said,
    /// The last leader that was said, until it is known to be gone.
    leader: Option<Held>,
    /// The one before, until somebody else leads.
    gone: Option<Held>,
    /// Somebody may have led unseen since the last line.
    doubt: bool,
    failed: bool,
}

impl Default for Observer {
    fn default() -> Observer {
        Observer {
            next: 0,
            asked: BTreeMap::new(),
            outputs: VecDeque::new(),
            ground: None,
            found: None,
            line: Line::default(),
            looking: false,
            listed: false,
            said: Said::Nothing,
            leader: None,
            gone: None,
            doubt: false,
            failed: false,
        }
    }
}

impl Observer {
    /// Takes one input in; then drain [`Observer::next_output`].
    pub fn step(&mut self, input: Input) {
        if self.failed {
            return;
        }
        match input {
            Input::Restored => {
                self.ask(Ask::Confirm);
                self.look();
            }
            Input::Detached => self.detached(),
            Input::Unreachable => {
                self.doubt |= self.said == Said::Nothing;
                self.say_unknown();
            }
            Input::Reply(id, outcome) => {
                // Of an earlier look there may be answers that nobody waits for.
                if let Some(ask) = self.asked.remove(&id) {
                    self.reply(ask, outcome);
                }
            }
            Input::Event { name, change } if name.is_empty() => self.path_event(change),
            Input::Event { name, change: Change::Deleted } => {
                self.line.vanished(&name);
                self.settle();
            }
            Input::Event { name, change: Change::Touched } => {
                self.line.touched(&name);
                self.settle();
            }
            Input::ChildrenChanged => {
                self.line.changed();
                self.settle();
            }
        }
    }

    /// What is to be done next, in order.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn ask(&mut self, ask: Ask) {
        self.next += 1;
        let id = RequestId(self.next);
        self.asked.insert(id, ask.clone());
        self.outputs.push_back(Output::Send(id, ask));
    }

    fn detached(&mut self) {
        self.asked.clear();
        self.found = None;
        self.listed = false;
        self.line.unlearn();
        if self.said != Said::Nothing {
            self.say_unknown();
        }
    }

    fn reply(&mut self, ask: Ask, outcome: Result<Told, Refusal>) {
        match (ask, outcome) {
            (Ask::Above, outcome) => {
                let changes = match outcome {
                    Ok(Told::Above { changes }) => Some(changes),
                    _ => None,
                };
                self.conclude(changes);
            }
            (ask, Err(Refusal::NoAuth)) => self.fail(Failure::NoPermission(match ask {
                Ask::Read(name) => name,
                _ => String::new(),
            })),
            (Ask::Confirm, Ok(_) | Err(Refusal::NoNode)) => {}
            (Ask::Read(name), outcome) if name.is_empty() => self.path_read(outcome),
            (Ask::Missing, Ok(_)) => self.look(),
            (Ask::Missing, Err(Refusal::NoNode)) => self.found = Some((Ground::Absent, None)),
            (Ask::Read(_), Ok(Told::Node { held, .. })) => {
                self.line.saw(held);
                self.settle();
            }
            (Ask::Read(name), Err(Refusal::NoNode)) => {
                self.line.vanished(&name);
                self.line.distrust();
                self.settle();
            }
            (Ask::List, Ok(Told::Listed { names, path, counts })) => self.listed(&names, path, counts),
            (Ask::List, Err(Refusal::NoNode)) => self.look(),
            (_, Ok(_)) => self.outputs.push_back(Output::GiveUpConnection(0)),
            (_, Err(Refusal::Code(code))) => self.outputs.push_back(Output::GiveUpConnection(code)),
            (_, Err(_)) => self.outputs.push_back(Output::GiveUpConnection(0)),
        }
    }

    // The path.

    /// Looks at the path, and then at the counter above it: if no watch on the path fires in between, the two
    /// belong together.
    fn look(&mut self) {
        self.forget_look();
        self.looking = true;
        self.ask(Ask::Read(String::new()));
        self.ask(Ask::Above);
    }

    fn forget_look(&mut self) {
        self.found = None;
        self.asked.retain(|_, ask| match ask {
            Ask::Read(name) => !name.is_empty(),
            Ask::Missing | Ask::Above => false,
            Ask::Confirm | Ask::List => true,
        });
    }

    fn path_read(&mut self, outcome: Result<Told, Refusal>) {
        match outcome {
            Ok(Told::Node { held, ephemeral: true }) => {
                self.found = Some((Ground::Single(held.token.as_i64()), Some(held)));
            }
            Ok(Told::Node { held, ephemeral: false }) => {
                self.found = Some((Ground::Directory(held.token.as_i64()), None));
            }
            _ => {
                self.forget_look();
                self.ask(Ask::Missing);
                self.ask(Ask::Above);
            }
        }
    }

    fn path_event(&mut self, change: Change) {
        if change == Change::Deleted {
            self.left();
        }
        self.look();
    }

    /// The look has found what the path is.
    fn conclude(&mut self, above: Option<i32>) {
        let Some((now, holder)) = self.found.take() else { return };
        self.looking = false;
        let before = self.ground.replace((now.clone(), above));
        let same = before.as_ref().is_some_and(|(ground, _)| *ground == now);
        if let Some((ground, counter)) = &before {
            self.doubt |= !accounted_for(ground, *counter, &now, above);
            if !same && matches!(ground, Ground::Directory(_)) {
                self.end_line();
            }
        }
        match now {
            Ground::Absent => {
                self.left();
                self.say_vacant();
            }
            Ground::Single(_) => {
                if let Some(holder) = holder {
                    self.lead(holder);
                }
            }
            Ground::Directory(_) => {
                if !same && before.is_some() {
                    self.line = Line::of_a_new_path();
                }
                if self.listed {
                    self.settle();
                } else {
                    self.line.begin_listing();
                    self.ask(Ask::List);
                }
            }
        }
    }

    /// The path is gone, and everybody with it. Unless it was known to be empty, others may have led on the way.
    fn end_line(&mut self) {
        self.doubt |= !self.line.is_complete_and_empty();
        self.line = Line::default();
        self.listed = false;
        // Names may come back below a new path, where a family gives its znodes no name of their own.
        self.asked.retain(|_, ask| matches!(ask, Ask::Confirm));
        self.left();
    }

    // The line.

    fn listed(&mut self, names: &[String], path: i64, counts: Counts) {
        let known = self.ground.as_ref().and_then(|(ground, _)| ground.made_at());
        if known != Some(path) {
            return self.look();
        }
        match self.line.listed(names, counts) {
            Ok(missed) => {
                self.doubt |= missed;
                self.listed = true;
                self.settle();
            }
            Err(error) => self.fail(Failure::Unreadable(error)),
        }
    }

    /// Says who leads, if that can be told, and asks for what is needed to go on telling.
    fn settle(&mut self) {
        if !self.listed || self.looking {
            return;
        }
        loop {
            match self.line.head() {
                Head::Gone(name) => {
                    if self.leader.as_ref().is_some_and(|leader| leader.name == name) {
                        self.left();
                    } else {
                        self.doubt = true;
                    }
                    self.line.drop_head();
                }
                Head::Leads(held) => {
                    self.lead(held);
                    break;
                }
                Head::Unknown => break,
                Head::Nobody => {
                    if self.line.is_complete_and_empty() {
                        self.say_vacant();
                    }
                    break;
                }
            }
        }
        for name in self.line.next_reads() {
            self.ask(Ask::Read(name));
        }
        if self.line.wants_list() {
            self.ask(Ask::List);
        }
    }

    // What is said.

    fn lead(&mut self, held: Held) {
        let same = self.leader.as_ref().is_some_and(|leader| leader.token == held.token);
        if same && self.said == Said::Leader {
            return;
        }
        // One znode carries one term: it led all the while.
        self.doubt &= !same;
        self.gone = None;
        self.leader = Some(held.clone());
        self.say(Said::Leader, View::Leader(held));
    }

    /// The leader that was said is gone. Who follows is not known to be there yet.
    fn left(&mut self) {
        if let Some(leader) = self.leader.take() {
            self.gone = Some(leader);
            if self.said == Said::Leader {
                self.say_vacant();
            }
        }
    }

    fn say_vacant(&mut self) {
        if self.said != Said::Vacant {
            let exists = !matches!(self.ground, Some((Ground::Absent, _)));
            self.say(Said::Vacant, View::Vacant { gone: self.gone.clone(), exists });
        }
    }

    /// What was in doubt stays so until somebody sees again.
    fn say_unknown(&mut self) {
        if self.said != Said::Unknown {
            self.said = Said::Unknown;
            self.outputs.push_back(Output::Say(Sighting { view: View::Unknown, gap: false }));
        }
    }

    fn say(&mut self, said: Said, view: View) {
        // Before the first line there is nothing that could be missing.
        let gap = std::mem::take(&mut self.doubt) && self.said != Said::Nothing;
        self.said = said;
        self.outputs.push_back(Output::Say(Sighting { view, gap }));
    }

    fn fail(&mut self, failure: Failure) {
        self.failed = true;
        self.outputs.push_back(Output::Fail(failure));
    }
}

/// Whether the counter of the path above shows that the path was made and deleted no more often than the two
/// looks at it tell.
fn accounted_for(was: &Ground, before: Option<i32>, is: &Ground, after: Option<i32>) -> bool {
    let steps = match (was.made_at(), is.made_at()) {
        (Some(one), Some(other)) if one == other => return true,
        (Some(_), Some(_)) => 2,
        (None, None) => 0,
        _ => 1,
    };
    before.zip(after).is_some_and(|(before, after)| after.wrapping_sub(before) == steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_tell_how_many_were_made() {
        // Three made, one of them deleted: four changes, two children more.
        assert_eq!(Counts::new(10, 4).created_until(&Counts::new(14, 6)), 3);
        assert_eq!(Counts::new(10, 4).created_until(&Counts::new(10, 4)), 0);
        assert_eq!(Counts::new(i32::MAX, 1).created_until(&Counts::new(i32::MIN, 2)), 1);
    }
}
