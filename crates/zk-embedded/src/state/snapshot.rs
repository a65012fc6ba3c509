//! The whole state at one zxid, as bytes, and back.
//!
//! Connections and watches are not part of it: after a restart clients come back and set them again. The
//! journal adds checksums and the zxid's file name; what is decoded here is what was once encoded here.

use bytes::{Bytes, BytesMut};
use elector_teeth::{Tooth, bites};
use zk_wire::jute::{Reader, Writer};

use super::change::{self, ReplayError};
use super::node::Node;
use super::sessions::Sessions;
use super::tree::Tree;
use super::{Limits, State};

/// Of what follows. A later version reads this one, or refuses it by name.
const VERSION: i32 = 1;

impl State {
    /// The state as bytes, for [`State::from_snapshot`].
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut buf = BytesMut::with_capacity(self.tree.weight() + self.tree.len() * 100);
        let w = &mut Writer::new(&mut buf);
        w.i32(VERSION);
        w.i64(self.last_zxid);
        w.string(&self.boot);
        w.i64(self.sessions.last_id());
        let sessions: Vec<_> =
            self.sessions.ids().into_iter().filter_map(|id| Some((id, self.sessions.get(id)?))).collect();
        let sessions = if bites(Tooth::SnapshotWithoutSessions) { Vec::new() } else { sessions };
        w.vector(&sessions, |w, (id, session)| {
            w.i64(*id);
            w.i32(session.recorded_ms);
            w.buffer(Some(&session.password));
        });
        w.vector(&self.tree.in_order(), |w, (path, node)| {
            w.string(path);
            write_node(w, node);
        });
        buf.into()
    }

    /// The state that [`State::snapshot`] was called on, without its connections and watches.
    pub fn from_snapshot(snapshot: &[u8], limits: Limits) -> Result<Self, ReplayError> {
        let r = &mut Reader::new(snapshot);
        let version = r.i32()?;
        if version != VERSION {
            return Err(ReplayError::UnknownKind(version));
        }
        let mut state = Self::new(limits, r.i64()?);
        state.boot = r.string()?;
        let mut sessions = Sessions::default();
        let last_id = r.i64()?;
        for _ in 0..r.i32()? {
            let (id, timeout_ms) = (r.i64()?, r.i32()?);
            sessions.open(id, timeout_ms, change::read_password(r)?);
        }
        sessions.set_last_id(last_id);
        state.sessions = sessions;
        state.tree = Tree::empty();
        for _ in 0..r.i32()? {
            let path = r.string()?;
            let node = read_node(r, &state.tree)?;
            state.tree.restore(&path, node)?;
        }
        if state.tree.get("/").is_none() {
            return Err(ReplayError::Misfit("a snapshot without a root"));
        }
        Ok(state)
    }
}

fn write_node(w: &mut Writer<'_>, node: &Node) {
    w.buffer(node.data.as_deref());
    change::write_acl(w, &node.acl);
    change::write_owner(w, node.owner);
    for number in [node.czxid, node.mzxid, node.pzxid, node.ctime, node.mtime] {
        w.i64(number);
    }
    for number in [node.version, node.aversion, node.created] {
        w.i32(number);
    }
}

fn read_node(r: &mut Reader<'_>, tree: &Tree) -> Result<Node, ReplayError> {
    let data = r.buffer()?.map(Bytes::from);
    let acl = tree.shared(&change::read_acl(r)?);
    let mut node = Node::new(data, acl, change::read_owner(r)?, 0, 0);
    for number in [&mut node.czxid, &mut node.mzxid, &mut node.pzxid, &mut node.ctime, &mut node.mtime] {
        *number = r.i64()?;
    }
    for number in [&mut node.version, &mut node.aversion, &mut node.created] {
        *number = r.i32()?;
    }
    if bites(Tooth::SequenceForgotten) {
        node.created = 0;
    }
    Ok(node)
}
