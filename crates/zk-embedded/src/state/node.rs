//! One node of the tree.
//!
//! Invariant: `created` counts every child ever made under the node and never falls, so a sequence number
//! is never given twice; the `cversion` that clients see is derived from it. Used by the tree only.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use zk_wire::{Acl, Stat};

/// What keeps a node alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Nothing: it stays until somebody deletes it.
    Nobody,
    /// It goes with this session.
    Session(i64),
    /// It goes some time after its last child has gone.
    Container,
}

impl Owner {
    /// The session, or 0, as it stands in a stat.
    pub(crate) fn session(self) -> i64 {
        match self {
            Self::Session(id) => id,
            Self::Nobody | Self::Container => 0,
        }
    }
}

/// A node, without its path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Null and empty are different.
    pub(crate) data: Option<Bytes>,
    pub(crate) acl: Arc<[Acl]>,
    pub(crate) owner: Owner,
    pub(crate) czxid: i64,
    pub(crate) mzxid: i64,
    pub(crate) pzxid: i64,
    pub(crate) ctime: i64,
    pub(crate) mtime: i64,
    pub(crate) version: i32,
    pub(crate) aversion: i32,
    /// Children ever made under it; the next sequence number. Wraps, as ZooKeeper's does.
    pub(crate) created: i32,
    /// The last segments of the children's paths.
    pub(crate) children: BTreeSet<Box<str>>,
}

impl Node {
    pub(crate) fn new(data: Option<Bytes>, acl: Arc<[Acl]>, owner: Owner, zxid: i64, time: i64) -> Self {
        Self {
            data,
            acl,
            owner,
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            aversion: 0,
            created: 0,
            children: BTreeSet::new(),
        }
    }

    pub(crate) fn stat(&self) -> Stat {
        let children = number(self.children.len());
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            // Each creation adds one and each deletion another, so what is there now was counted once.
            cversion: self.created.wrapping_mul(2).wrapping_sub(children),
            aversion: self.aversion,
            ephemeral_owner: self.owner.session(),
            data_length: number(self.data.as_ref().map_or(0, Bytes::len)),
            num_children: children,
            pzxid: self.pzxid,
        }
    }

    /// Whether nothing keeps it any more: a container that once had children and has none.
    pub(crate) fn is_spent_container(&self) -> bool {
        self.owner == Owner::Container && self.children.is_empty() && self.created != 0
    }

    /// What it weighs against the limit, beside its path.
    pub(crate) fn weight(&self) -> usize {
        self.data.as_ref().map_or(0, Bytes::len) + acl_weight(&self.acl)
    }
}

/// What an access control list weighs against the limit.
pub(crate) fn acl_weight(acl: &[Acl]) -> usize {
    acl.iter().map(|entry| entry.scheme.len() + entry.id.len() + size_of::<Acl>()).sum()
}

/// A count as the protocol has it. Limits keep all counts far below.
fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
