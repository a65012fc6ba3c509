//! The nodes by path, and what a write does to them.
//!
//! Invariant: every node but the root has a parent that lists it, ephemeral nodes are listed with their
//! session, and `weight` is the sum of all paths, data and access control lists. A write that was prepared
//! against this tree cannot fail here; one from a damaged journal is refused before anything has changed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use zk_wire::{Acl, EventKind, perms};

use super::change::{ReplayError, Write};
use super::node::{Node, Owner, acl_weight};

/// What every tree begins with, and what nobody may delete.
pub(crate) const SPECIAL: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

/// All nodes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    nodes: HashMap<Box<str>, Node>,
    /// Paths of the ephemeral nodes, in order, so that a session's end deletes in the same order each time.
    ephemerals: HashMap<i64, BTreeSet<Box<str>>>,
    containers: BTreeSet<Box<str>>,
    weight: usize,
    /// The list that nearly all nodes have, kept once.
    open: Arc<[Acl]>,
}

/// Something a watch may have waited for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trigger {
    pub(crate) kind: EventKind,
    pub(crate) path: String,
    /// Who may hear of it: whoever this list gives READ.
    pub(crate) acl: Arc<[Acl]>,
}

/// How to take a write back; see [`Tree::undo`].
#[derive(Debug)]
pub(crate) enum Undo {
    Nothing,
    Create { path: String, parent_created: i32, parent_pzxid: i64 },
    Delete { path: String, node: Box<Node>, parent_pzxid: i64 },
    Replace { path: String, node: Box<Node> },
}

impl Tree {
    /// The tree of a new data directory.
    pub(crate) fn new() -> Self {
        let open: Arc<[Acl]> = Arc::from([Acl::anyone(perms::ALL)]);
        let mut tree = Self {
            nodes: HashMap::new(),
            ephemerals: HashMap::new(),
            containers: BTreeSet::new(),
            weight: 0,
            open: Arc::clone(&open),
        };
        for path in SPECIAL {
            let mut node = Node::new(Some(Bytes::new()), Arc::clone(&open), Owner::Nobody, 0, 0);
            if path == "/zookeeper/config" {
                node.acl = Arc::from([Acl::anyone(perms::READ)]);
                // Apache's server sets this list after the node was made, for the version -1.
                node.aversion = -1;
            }
            tree.insert(path, node);
            if path != "/" {
                let (parent, name) = split(path).expect("an absolute path");
                tree.nodes.get_mut(parent).expect("parents come first").children.insert(name.into());
            }
        }
        tree
    }

    /// A tree without any node, to be filled by [`Tree::restore`].
    pub(crate) fn empty() -> Self {
        let mut tree = Self::new();
        tree.nodes.clear();
        tree.weight = 0;
        tree
    }

    /// Puts a node of a snapshot back. Parents must come before their children.
    pub(crate) fn restore(&mut self, path: &str, node: Node) -> Result<(), ReplayError> {
        if path != "/" {
            let (parent, name) = split(path).ok_or(ReplayError::Misfit("a path without a slash"))?;
            let parent = self.nodes.get_mut(parent).ok_or(ReplayError::Misfit("a node without a parent"))?;
            parent.children.insert(name.into());
        }
        self.insert(path, node);
        Ok(())
    }

    /// The node; the empty path is the root's too.
    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(if path.is_empty() { "/" } else { path })
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Bytes of paths, data and access control lists.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// Number of ephemeral nodes.
    pub(crate) fn ephemeral_count(&self) -> usize {
        self.ephemerals.values().map(BTreeSet::len).sum()
    }

    /// Paths of the session's ephemeral nodes, in order.
    pub(crate) fn ephemerals_of(&self, session: i64) -> impl Iterator<Item = &str> + Clone {
        self.ephemerals.get(&session).into_iter().flatten().map(AsRef::as_ref)
    }

    /// Containers that nothing keeps any more.
    pub(crate) fn spent_containers(&self) -> impl Iterator<Item = &str> {
        let spent = |path: &&str| self.get(path).is_some_and(Node::is_spent_container);
        self.containers.iter().map(AsRef::as_ref).filter(spent)
    }

    /// All nodes, parents before their children.
    pub(crate) fn in_order(&self) -> Vec<(&str, &Node)> {
        let mut all: Vec<_> = self.nodes.iter().map(|(path, node)| (path.as_ref(), node)).collect();
        all.sort_unstable_by_key(|(path, _)| *path);
        all
    }

    /// How many nodes are below this one.
    pub(crate) fn count_below(&self, path: &str) -> usize {
        let mut below = 0;
        let mut left = vec![if path == "/" { String::new() } else { path.to_owned() }];
        while let Some(path) = left.pop() {
            let Some(node) = self.get(&path) else { continue };
            below += node.children.len();
            left.extend(node.children.iter().map(|name| format!("{path}/{name}")));
        }
        below
    }

    /// Applies a write and says what watches may have waited for.
    pub(crate) fn apply(
        &mut self,
        write: &Write,
        zxid: i64,
        time: i64,
        triggers: &mut Vec<Trigger>,
    ) -> Result<Undo, ReplayError> {
        match write {
            Write::Create { path, data, acl, owner } => {
                let acl = self.shared(acl);
                let node = Node::new(data.clone(), acl, *owner, zxid, time);
                self.create(path, node, zxid, triggers)
            }
            Write::Delete { path } => self.delete(path, zxid, triggers),
            Write::SetData { path, data } => {
                let node = self.nodes.get_mut(path.as_str()).ok_or(NO_NODE)?;
                let before = Box::new(without_children(node));
                self.weight = self.weight + length(data) - length(&node.data);
                node.data.clone_from(data);
                node.version = node.version.wrapping_add(1);
                node.mzxid = zxid;
                node.mtime = time;
                triggers.push(Trigger {
                    kind: EventKind::DataChanged,
                    path: path.clone(),
                    acl: Arc::clone(&node.acl),
                });
                Ok(Undo::Replace { path: path.clone(), node: before })
            }
            Write::SetAcl { path, acl } => {
                let acl = self.shared(acl);
                let node = self.nodes.get_mut(path.as_str()).ok_or(NO_NODE)?;
                let before = Box::new(without_children(node));
                self.weight = self.weight + acl_weight(&acl) - acl_weight(&node.acl);
                node.acl = acl;
                node.aversion = node.aversion.wrapping_add(1);
                Ok(Undo::Replace { path: path.clone(), node: before })
            }
            Write::Check => Ok(Undo::Nothing),
        }
    }

    /// Takes writes back; they must be the last ones, and the latest comes first.
    pub(crate) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Nothing => {}
            Undo::Create { path, parent_created, parent_pzxid } => {
                self.remove(&path);
                let (parent, name) = self.parent_of(&path);
                parent.children.remove(name);
                parent.created = parent_created;
                parent.pzxid = parent_pzxid;
            }
            Undo::Delete { path, node, parent_pzxid } => {
                self.insert(&path, *node);
                let (parent, name) = self.parent_of(&path);
                parent.children.insert(name.into());
                parent.pzxid = parent_pzxid;
            }
            Undo::Replace { path, mut node } => {
                let now = self.nodes.get_mut(path.as_str()).expect("what was replaced is there");
                self.weight = self.weight + node.weight() - now.weight();
                node.children = std::mem::take(&mut now.children);
                node.created = now.created;
                node.pzxid = now.pzxid;
                *now = *node;
            }
        }
    }

    fn create(
        &mut self,
        path: &str,
        node: Node,
        zxid: i64,
        triggers: &mut Vec<Trigger>,
    ) -> Result<Undo, ReplayError> {
        if self.nodes.contains_key(path) {
            return Err(ReplayError::Misfit("a node is created that is there"));
        }
        let (parent_path, name) = split(path).ok_or(NO_NODE)?;
        let parent = self.nodes.get_mut(parent_path).ok_or(NO_NODE)?;
        let undo = Undo::Create {
            path: path.to_owned(),
            parent_created: parent.created,
            parent_pzxid: parent.pzxid,
        };
        parent.children.insert(name.into());
        parent.created = parent.created.wrapping_add(1);
        parent.pzxid = zxid;
        let acl = Arc::clone(&node.acl);
        triggers.push(Trigger { kind: EventKind::Created, path: path.to_owned(), acl });
        triggers.push(children_changed(parent_path, parent));
        self.insert(path, node);
        Ok(undo)
    }

    fn delete(&mut self, path: &str, zxid: i64, triggers: &mut Vec<Trigger>) -> Result<Undo, ReplayError> {
        if !self.nodes.get(path).ok_or(NO_NODE)?.children.is_empty() {
            return Err(ReplayError::Misfit("a node is deleted that has children"));
        }
        let (parent_path, name) = split(path).ok_or(NO_NODE)?;
        let parent = self.nodes.get_mut(parent_path).ok_or(NO_NODE)?;
        let parent_pzxid = parent.pzxid;
        parent.children.remove(name);
        parent.pzxid = zxid;
        let parent_trigger = children_changed(parent_path, parent);
        let node = self.remove(path).ok_or(NO_NODE)?;
        let acl = Arc::clone(&node.acl);
        triggers.push(Trigger { kind: EventKind::Deleted, path: path.to_owned(), acl });
        triggers.push(parent_trigger);
        Ok(Undo::Delete { path: path.to_owned(), node: Box::new(node), parent_pzxid })
    }

    /// Adds a node to all tables but its parent's list.
    fn insert(&mut self, path: &str, node: Node) {
        match node.owner {
            Owner::Session(id) => {
                self.ephemerals.entry(id).or_default().insert(path.into());
            }
            Owner::Container => {
                self.containers.insert(path.into());
            }
            Owner::Nobody => {}
        }
        self.weight += path.len() + node.weight();
        self.nodes.insert(path.into(), node);
    }

    /// Takes a node out of all tables but its parent's list.
    fn remove(&mut self, path: &str) -> Option<Node> {
        let node = self.nodes.remove(path)?;
        self.weight -= path.len() + node.weight();
        self.containers.remove(path);
        if let Owner::Session(id) = node.owner
            && let Some(paths) = self.ephemerals.get_mut(&id)
        {
            paths.remove(path);
            if paths.is_empty() {
                self.ephemerals.remove(&id);
            }
        }
        Some(node)
    }

    fn parent_of<'a>(&mut self, path: &'a str) -> (&mut Node, &'a str) {
        let (parent, name) = split(path).expect("it was in the tree, so it has a parent");
        (self.nodes.get_mut(parent).expect("a node's parent is there"), name)
    }

    pub(crate) fn shared(&self, acl: &[Acl]) -> Arc<[Acl]> {
        if *acl == *self.open { Arc::clone(&self.open) } else { Arc::from(acl) }
    }
}

const NO_NODE: ReplayError = ReplayError::Misfit("a node is changed that is not there");

/// Parent and last segment; `None` for the root and for what has no slash.
pub(crate) fn split(path: &str) -> Option<(&str, &str)> {
    if path == "/" {
        return None;
    }
    let (parent, name) = path.rsplit_once('/')?;
    Some((if parent.is_empty() { "/" } else { parent }, name))
}

fn children_changed(path: &str, parent: &Node) -> Trigger {
    Trigger { kind: EventKind::ChildrenChanged, path: path.to_owned(), acl: Arc::clone(&parent.acl) }
}

fn length(data: &Option<Bytes>) -> usize {
    data.as_ref().map_or(0, Bytes::len)
}

/// A copy that leaves out the one part that may be large.
fn without_children(node: &Node) -> Node {
    Node {
        data: node.data.clone(),
        acl: Arc::clone(&node.acl),
        children: BTreeSet::new(),
        owner: node.owner,
        ..*node
    }
}
