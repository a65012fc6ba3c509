//! What a server knows about a node beside its data.

use crate::jute::{DecodeError, Reader, Writer};

/// A node's statistics, 68 bytes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stat {
    /// Zxid of the node's creation.
    pub czxid: i64,
    /// Zxid of the last change of its data.
    pub mzxid: i64,
    /// When it was made, in ms since 1970 by the server's clock.
    pub ctime: i64,
    /// When its data was last changed, in ms since 1970 by the server's clock.
    pub mtime: i64,
    /// Changes of its data; wraps.
    pub version: i32,
    /// Children made and deleted under it; wraps.
    pub cversion: i32,
    /// Changes of its access control list; wraps.
    pub aversion: i32,
    /// The session it goes with, or 0.
    pub ephemeral_owner: i64,
    /// Bytes of its data.
    pub data_length: i32,
    /// Children it has.
    pub num_children: i32,
    /// Zxid of the last creation or deletion of a child.
    pub pzxid: i64,
}

impl Stat {
    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.i64(self.czxid);
        w.i64(self.mzxid);
        w.i64(self.ctime);
        w.i64(self.mtime);
        w.i32(self.version);
        w.i32(self.cversion);
        w.i32(self.aversion);
        w.i64(self.ephemeral_owner);
        w.i32(self.data_length);
        w.i32(self.num_children);
        w.i64(self.pzxid);
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            czxid: r.i64()?,
            mzxid: r.i64()?,
            ctime: r.i64()?,
            mtime: r.i64()?,
            version: r.i32()?,
            cversion: r.i32()?,
            aversion: r.i32()?,
            ephemeral_owner: r.i64()?,
            data_length: r.i32()?,
            num_children: r.i32()?,
            pzxid: r.i64()?,
        })
    }
}
