//! Watch events, which a server sends of itself under the xid -1.

use bytes::BytesMut;

use crate::code::ErrorCode;
use crate::frame::{FrameError, write_frame};
use crate::header::ReplyHeader;
use crate::jute::{DecodeError, Reader};
use crate::xid;

/// What happened to the node of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Nothing: the event is about the session's state.
    None,
    /// It was made.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data was set.
    DataChanged,
    /// A child was made or deleted.
    ChildrenChanged,
    /// A value that this crate does not know. Make it with `From<i32>` only, so that values stay equal.
    Unknown(i32),
}

impl From<i32> for EventKind {
    fn from(kind: i32) -> Self {
        match kind {
            -1 => Self::None,
            1 => Self::Created,
            2 => Self::Deleted,
            3 => Self::DataChanged,
            4 => Self::ChildrenChanged,
            other => Self::Unknown(other),
        }
    }
}

impl From<EventKind> for i32 {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::None => -1,
            EventKind::Created => 1,
            EventKind::Deleted => 2,
            EventKind::DataChanged => 3,
            EventKind::ChildrenChanged => 4,
            EventKind::Unknown(other) => other,
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEvent {
    /// What happened.
    pub kind: EventKind,
    /// The session's state as the server sees it; [`SYNC_CONNECTED`](Self::SYNC_CONNECTED) in general.
    pub state: i32,
    /// The node, by its full path on the server.
    pub path: String,
}

impl WatchEvent {
    /// The state in which a server sends events about nodes.
    pub const SYNC_CONNECTED: i32 = 3;

    /// Reads the record behind a header whose xid is [`xid::NOTIFICATION`].
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        Ok(Self { kind: r.i32()?.into(), state: r.i32()?, path: r.string()? })
    }

    /// Appends the whole frame, header included. `zxid` is that of the change, or -1 if it is not known. If
    /// the frame is longer than `limit`, `buf` stays as it was.
    pub fn encode(&self, zxid: i64, limit: usize, buf: &mut BytesMut) -> Result<(), FrameError> {
        write_frame(buf, limit, |w| {
            ReplyHeader { xid: xid::NOTIFICATION, zxid, err: ErrorCode::Ok }.write(w);
            w.i32(self.kind.into());
            w.i32(self.state);
            w.string(&self.path);
        })
    }
}
