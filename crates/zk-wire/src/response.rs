//! Responses: what stands behind the header of a reply that went well.

use bytes::BytesMut;

use crate::acl::Acl;
use crate::code::ErrorCode;
use crate::frame::{FrameError, write_frame};
use crate::header::ReplyHeader;
use crate::jute::{DecodeError, Reader, Writer};
use crate::multi::{self, MultiResult};
use crate::op;
use crate::stat::Stat;

/// A response. Which one answers which request stands at [`Request`](crate::Request).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the protocol's")]
pub enum Response {
    /// The node was made, under this path (a sequential one has its number now).
    Created { path: String },
    /// The node was made, under this path (a sequential one has its number now).
    Created2 { path: String, stat: Stat },
    /// The node is there, or has been set.
    Stat(Stat),
    /// The node's data; null and empty are different.
    Data { data: Option<Vec<u8>>, stat: Stat },
    /// The names of the node's children, in no order, and its own stat.
    Children2 { names: Vec<String>, stat: Stat },
    /// The names of the node's children, in no order.
    Children { names: Vec<String> },
    /// The node's access control list, and its stat.
    Acl { acl: Vec<Acl>, stat: Stat },
    /// The paths of the session's ephemeral nodes, in no order.
    Ephemerals(Vec<String>),
    /// How many nodes are below this one.
    Count(i32),
    /// The watch is set; an error code that is always 0 in an answer without error.
    WatchAdded(i32),
    /// The server has caught up; the path is the request's.
    Synced { path: String },
    /// One result for each operation, also if the multi failed.
    Multi(Vec<MultiResult>),
    /// Scheme and user of each identity of the connection.
    WhoAmI(Vec<(String, String)>),
    /// Nothing but the header.
    Empty,
}

impl Response {
    /// Least bytes of one identity on the wire.
    const SMALLEST_IDENTITY: usize = 8;

    /// Reads the record behind a header without error. A reply does not say what it answers: `op` is the
    /// type of the request, which the client remembers.
    pub fn decode(op: i32, body: &[u8]) -> Result<Self, DecodeError> {
        let r = &mut Reader::new(body);
        Ok(match op {
            op::CREATE => Self::Created { path: r.string()? },
            op::CREATE2 | op::CREATE_CONTAINER => Self::Created2 { path: r.string()?, stat: Stat::read(r)? },
            op::EXISTS | op::SET_DATA => Self::Stat(Stat::read(r)?),
            op::GET_DATA => Self::Data { data: r.buffer()?, stat: Stat::read(r)? },
            op::GET_CHILDREN2 => Self::Children2 { names: r.strings()?, stat: Stat::read(r)? },
            op::GET_CHILDREN => Self::Children { names: r.strings()? },
            op::GET_ACL => Self::Acl { acl: Acl::read_all(r)?, stat: Stat::read(r)? },
            op::SET_ACL => Self::Stat(Stat::read(r)?),
            op::GET_EPHEMERALS => Self::Ephemerals(r.strings()?),
            op::COUNT_DESCENDANTS => Self::Count(r.i32()?),
            op::ADD_WATCH => Self::WatchAdded(r.i32()?),
            op::SYNC => Self::Synced { path: r.string()? },
            op::MULTI => Self::Multi(multi::read_results(r)?),
            op::WHO_AM_I => {
                Self::WhoAmI(r.vector(Self::SMALLEST_IDENTITY, |r| Ok((r.string()?, r.string()?)))?)
            }
            op::DELETE
            | op::PING
            | op::REMOVE_WATCHES
            | op::CHECK_WATCHES
            | op::AUTH
            | op::SET_WATCHES
            | op::SET_WATCHES2
            | op::CLOSE => Self::Empty,
            other => return Err(DecodeError::UnknownOp(other)),
        })
    }

    /// Appends the whole frame of a reply without error, header included; for one with an error see
    /// [`ReplyHeader::encode`]. If the frame is longer than `limit`
    /// ([`frame::LENGTH_LIMIT`](crate::frame::LENGTH_LIMIT) is what a server needs), `buf` stays as it was.
    pub fn encode(&self, xid: i32, zxid: i64, limit: usize, buf: &mut BytesMut) -> Result<(), FrameError> {
        write_frame(buf, limit, |w| {
            ReplyHeader { xid, zxid, err: ErrorCode::Ok }.write(w);
            self.write(w);
        })
    }

    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Created { path } | Self::Synced { path } => w.string(path),
            Self::Created2 { path, stat } => {
                w.string(path);
                stat.write(w);
            }
            Self::Stat(stat) => stat.write(w),
            Self::Data { data, stat } => {
                w.buffer(data.as_deref());
                stat.write(w);
            }
            Self::Children2 { names, stat } => {
                w.strings(names);
                stat.write(w);
            }
            Self::Children { names } | Self::Ephemerals(names) => w.strings(names),
            Self::Acl { acl, stat } => {
                Acl::write_all(acl, w);
                stat.write(w);
            }
            Self::Count(number) | Self::WatchAdded(number) => w.i32(*number),
            Self::Multi(results) => multi::write_results(w, results),
            Self::WhoAmI(identities) => w.vector(identities, |w, (scheme, user)| {
                w.string(scheme);
                w.string(user);
            }),
            Self::Empty => {}
        }
    }
}
