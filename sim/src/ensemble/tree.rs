//! The replicated data: znodes and sessions, and the transactions that change them.
//!
//! Invariant: applying the same transactions in the same order gives the same tree at each server. A
//! transaction is judged once, by the quorum leader, against everything proposed before it.

use std::collections::BTreeMap;

use zk_wire::{CreateMode, ErrorCode, EventKind, MultiOp, MultiResult, Request, Response, Stat};

#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) owner: i64,
    pub(crate) czxid: i64,
    mzxid: i64,
    /// Of the last change of its children; its own creation before any.
    pzxid: i64,
    version: i32,
    data: Vec<u8>,
    /// Children ever made here: the next one's number.
    made: u32,
}

/// What one server, or the quorum, has applied.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<String, Node>,
    /// Sessions, with the timeout in milliseconds that each was created with.
    pub(crate) sessions: BTreeMap<i64, i32>,
    pub(crate) zxid: i64,
}

/// What a transaction does.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Create { path: String, owner: i64, data: Vec<u8> },
    Delete { path: String },
    Set { path: String, data: Vec<u8> },
    Open { session: i64, timeout_ms: i32 },
    Close { session: i64 },
    Nothing,
}

/// What its asker is told, once it is applied where it was asked.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Refused(ErrorCode),
    Created { path: String, with_stat: bool },
    Stat { path: String },
    Multi(Vec<MultiResult>),
    Done,
}

impl Tree {
    pub(crate) fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    pub(crate) fn children<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a str, &'a Node)> + 'a {
        let below = self.nodes.range(format!("{path}/")..format!("{path}0"));
        below.filter_map(move |(child, node)| {
            let name = child.get(path.len() + 1..)?;
            (!name.contains('/')).then_some((name, node))
        })
    }

    /// What goes with this session.
    pub(crate) fn owned(&self, session: i64) -> Vec<(String, i64)> {
        let owned = self.nodes.iter().filter(|(_, node)| node.owner == session);
        owned.map(|(path, node)| (path.clone(), node.czxid)).collect()
    }

    /// What a write would do to this tree, and what its asker will be told.
    pub(crate) fn judge(&self, request: Request, session: i64) -> (Change, Answer) {
        let with_stat = matches!(request, Request::Create2 { .. });
        match request {
            Request::Create { path, data, mode, .. } | Request::Create2 { path, data, mode, .. } => {
                self.judge_create(path, data, mode, with_stat, session)
            }
            Request::Delete { path, .. } => match self.nodes.get(&path) {
                None => refused(ErrorCode::NoNode),
                Some(_) if self.children(&path).next().is_some() => refused(ErrorCode::NotEmpty),
                Some(_) => (Change::Delete { path }, Answer::Done),
            },
            Request::SetData { path, data, .. } => match self.nodes.get(&path) {
                None => refused(ErrorCode::NoNode),
                Some(_) => {
                    let set = Change::Set { path: path.clone(), data: data.unwrap_or_default() };
                    (set, Answer::Stat { path })
                }
            },
            Request::Multi(ops) => (Change::Nothing, Answer::Multi(self.judge_checks(&ops))),
            Request::Close => (Change::Close { session }, Answer::Done),
            _ => refused(ErrorCode::Unimplemented),
        }
    }

    fn judge_create(
        &self,
        mut path: String,
        data: Option<Vec<u8>>,
        mode: CreateMode,
        with_stat: bool,
        session: i64,
    ) -> (Change, Answer) {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        match self.nodes.get(parent) {
            None if !parent.is_empty() => return refused(ErrorCode::NoNode),
            Some(node) if node.owner != 0 => return refused(ErrorCode::NoChildrenForEphemerals),
            Some(node) if mode.is_sequential() => path = format!("{path}{:010}", node.made),
            _ => {}
        }
        if self.nodes.contains_key(&path) {
            return refused(ErrorCode::NodeExists);
        }
        let owner = if mode.is_ephemeral() { session } else { 0 };
        let create = Change::Create { path: path.clone(), owner, data: data.unwrap_or_default() };
        (create, Answer::Created { path, with_stat })
    }

    /// Checks only: nobody here asks for more in one request.
    fn judge_checks(&self, ops: &[MultiOp]) -> Vec<MultiResult> {
        let there = |op: &MultiOp| matches!(op, MultiOp::Check { path, .. } if self.nodes.contains_key(path));
        match ops.iter().position(|op| !there(op)) {
            None => ops.iter().map(|_| MultiResult::Checked).collect(),
            Some(culprit) => (0..ops.len())
                .map(|i| {
                    MultiResult::Failed(match i.cmp(&culprit) {
                        std::cmp::Ordering::Less => ErrorCode::Ok,
                        std::cmp::Ordering::Equal => ErrorCode::NoNode,
                        std::cmp::Ordering::Greater => ErrorCode::RuntimeInconsistency,
                    })
                })
                .collect(),
        }
    }

    /// Does it, and tells what watches it sets off.
    pub(crate) fn apply(&mut self, zxid: i64, change: &Change) -> Vec<(EventKind, String)> {
        self.zxid = zxid;
        match change {
            Change::Create { path, owner, data } => {
                let (owner, data) = (*owner, data.clone());
                let node = Node { owner, czxid: zxid, mzxid: zxid, pzxid: zxid, version: 0, data, made: 0 };
                self.nodes.insert(path.clone(), node);
                let mut events = vec![(EventKind::Created, path.clone())];
                if let Some((parent, _)) = path.rsplit_once('/')
                    && let Some(node) = self.nodes.get_mut(parent)
                {
                    node.made += 1;
                    node.pzxid = zxid;
                    events.push((EventKind::ChildrenChanged, parent.to_owned()));
                }
                events
            }
            Change::Delete { path } => self.delete(path),
            Change::Set { path, data } => {
                if let Some(node) = self.nodes.get_mut(path) {
                    node.version += 1;
                    (node.mzxid, node.data) = (zxid, data.clone());
                }
                vec![(EventKind::DataChanged, path.clone())]
            }
            Change::Open { session, timeout_ms } => {
                self.sessions.insert(*session, *timeout_ms);
                Vec::new()
            }
            Change::Close { session } => {
                self.sessions.remove(session);
                self.owned(*session).iter().flat_map(|(path, _)| self.delete(path)).collect()
            }
            Change::Nothing => Vec::new(),
        }
    }

    fn delete(&mut self, path: &str) -> Vec<(EventKind, String)> {
        if self.nodes.remove(path).is_none() {
            return Vec::new();
        }
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if let Some(node) = self.nodes.get_mut(parent) {
            node.pzxid = self.zxid;
        }
        vec![(EventKind::Deleted, path.to_owned()), (EventKind::ChildrenChanged, parent.to_owned())]
    }

    /// The answer to a write that was just applied here.
    pub(crate) fn answer(&self, answer: &Answer) -> Result<Response, ErrorCode> {
        Ok(match answer {
            Answer::Refused(code) => return Err(*code),
            Answer::Created { path, with_stat: false } => Response::Created { path: path.clone() },
            Answer::Created { path, .. } => {
                Response::Created2 { path: path.clone(), stat: self.stat(path).unwrap_or_default() }
            }
            Answer::Stat { path } => Response::Stat(self.stat(path).unwrap_or_default()),
            Answer::Multi(results) => Response::Multi(results.clone()),
            Answer::Done => Response::Empty,
        })
    }

    /// A server's own answer to a read.
    pub(crate) fn read(&self, request: &Request) -> Result<Response, ErrorCode> {
        let known = |path: &str| self.stat(path).ok_or(ErrorCode::NoNode);
        let names = |path: &str| self.children(path).map(|(name, _)| name.to_owned()).collect();
        match request {
            Request::Exists { path, .. } => Ok(Response::Stat(known(path)?)),
            Request::GetData { path, .. } => {
                let data = self.nodes.get(path).map(|node| node.data.clone());
                Ok(Response::Data { stat: known(path)?, data })
            }
            Request::GetChildren { path, .. } => {
                known(path)?;
                Ok(Response::Children { names: names(path) })
            }
            Request::GetChildren2 { path, .. } => {
                Ok(Response::Children2 { stat: known(path)?, names: names(path) })
            }
            Request::SetWatches { .. } => Ok(Response::Empty),
            _ => Err(ErrorCode::Unimplemented),
        }
    }

    /// What happened to a watched path since this zxid, or that its watch can be set.
    pub(crate) fn missed(&self, path: &str, since: i64) -> Option<EventKind> {
        match self.nodes.get(path) {
            None => Some(EventKind::Deleted),
            Some(node) => (node.mzxid > since).then_some(EventKind::DataChanged),
        }
    }

    /// The same of a child watch.
    pub(crate) fn missed_by_child_watch(&self, path: &str, since: i64) -> Option<EventKind> {
        match self.nodes.get(path) {
            None => Some(EventKind::Deleted),
            Some(node) => (node.pzxid > since).then_some(EventKind::ChildrenChanged),
        }
    }

    fn stat(&self, path: &str) -> Option<Stat> {
        self.nodes.get(path).map(|node| Stat {
            czxid: node.czxid,
            mzxid: node.mzxid,
            version: node.version,
            ephemeral_owner: node.owner,
            data_length: node.data.len() as i32,
            ..Stat::default()
        })
    }
}

fn refused(code: ErrorCode) -> (Change, Answer) {
    (Change::Nothing, Answer::Refused(code))
}
