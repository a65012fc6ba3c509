//! Requests: what a client sends after the handshake.

use bytes::BytesMut;

use crate::acl::Acl;
use crate::frame::{FrameError, write_frame};
use crate::header::RequestHeader;
use crate::jute::{DecodeError, Reader, Writer};
use crate::mode::{CreateMode, WatchKind};
use crate::multi::{self, MultiOp};
use crate::op;
use crate::secret::Secret;

/// A request. Nothing in it has been validated: paths, modes and lists are as they came, or as they will go.
///
/// A version of -1 matches every version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the protocol's and mean the same in every variant")]
pub enum Request {
    /// Make a node. Answer: [`Response::Created`](crate::Response::Created).
    Create { path: String, data: Option<Vec<u8>>, acl: Vec<Acl>, mode: CreateMode },
    /// Make a node. Answer: [`Response::Created2`](crate::Response::Created2).
    Create2 { path: String, data: Option<Vec<u8>>, acl: Vec<Acl>, mode: CreateMode },
    /// Make a container; the mode should be [`CreateMode::Container`]. Answer:
    /// [`Response::Created2`](crate::Response::Created2).
    CreateContainer { path: String, data: Option<Vec<u8>>, acl: Vec<Acl>, mode: CreateMode },
    /// Delete a node that has no children. Answer: [`Response::Empty`](crate::Response::Empty).
    Delete { path: String, version: i32 },
    /// Look for a node. Answer: [`Response::Stat`](crate::Response::Stat).
    Exists { path: String, watch: bool },
    /// Read a node. Answer: [`Response::Data`](crate::Response::Data).
    GetData { path: String, watch: bool },
    /// Set a node's data. Answer: [`Response::Stat`](crate::Response::Stat).
    SetData { path: String, data: Option<Vec<u8>>, version: i32 },
    /// List a node's children. Answer: [`Response::Children2`](crate::Response::Children2).
    GetChildren2 { path: String, watch: bool },
    /// List a node's children without its stat. Answer: [`Response::Children`](crate::Response::Children).
    GetChildren { path: String, watch: bool },
    /// Read a node's access control list. Answer: [`Response::Acl`](crate::Response::Acl).
    GetAcl { path: String },
    /// Set a node's access control list; the version is that of the list. Answer:
    /// [`Response::Stat`](crate::Response::Stat).
    SetAcl { path: String, acl: Vec<Acl>, version: i32 },
    /// List the session's own ephemeral nodes whose paths begin with this text. Answer:
    /// [`Response::Ephemerals`](crate::Response::Ephemerals).
    GetEphemerals { prefix: String },
    /// Count all that is below a node. Answer: [`Response::Count`](crate::Response::Count).
    CountDescendants { path: String },
    /// Have the server catch up. Answer: [`Response::Synced`](crate::Response::Synced).
    Sync { path: String },
    /// All or none. Answer: [`Response::Multi`](crate::Response::Multi), also if it failed.
    Multi(Vec<MultiOp>),
    /// Set one-shot watches again, under [`xid::SET_WATCHES`](crate::xid::SET_WATCHES). What changed after
    /// `relative_zxid` comes as events before the answer. Answer:
    /// [`Response::Empty`](crate::Response::Empty).
    SetWatches { relative_zxid: i64, data: Vec<String>, exist: Vec<String>, child: Vec<String> },
    /// The same with persistent watches; servers know it since 3.6.
    SetWatches2 {
        relative_zxid: i64,
        data: Vec<String>,
        exist: Vec<String>,
        child: Vec<String>,
        persistent: Vec<String>,
        recursive: Vec<String>,
    },
    /// Take watches back. Answer: [`Response::Empty`](crate::Response::Empty).
    RemoveWatches { path: String, kind: WatchKind },
    /// Ask whether there are such watches. Answer: [`Response::Empty`](crate::Response::Empty).
    CheckWatches { path: String, kind: WatchKind },
    /// Watch a path until the watch is taken back: 0 for the node and its children, 1 for the whole subtree;
    /// servers know it since 3.6. Answer: [`Response::WatchAdded`](crate::Response::WatchAdded).
    AddWatch { path: String, mode: i32 },
    /// Present a credential, under [`xid::AUTH`](crate::xid::AUTH). Answer:
    /// [`Response::Empty`](crate::Response::Empty). A null buffer reads as empty, but
    /// not with the scheme `digest`.
    Auth { scheme: String, auth: Secret },
    /// Keep the session alive, under [`xid::PING`](crate::xid::PING). Answer:
    /// [`Response::Empty`](crate::Response::Empty).
    Ping,
    /// End the session. Answer: [`Response::Empty`](crate::Response::Empty), then the server hangs up.
    Close,
    /// Ask for the connection's identities; servers know it since 3.7. Answer:
    /// [`Response::WhoAmI`](crate::Response::WhoAmI).
    WhoAmI,
}

impl Request {
    /// The type that stands in the header, one of [`op`].
    #[must_use]
    pub fn op(&self) -> i32 {
        match self {
            Self::Create { .. } => op::CREATE,
            Self::Create2 { .. } => op::CREATE2,
            Self::CreateContainer { .. } => op::CREATE_CONTAINER,
            Self::Delete { .. } => op::DELETE,
            Self::Exists { .. } => op::EXISTS,
            Self::GetData { .. } => op::GET_DATA,
            Self::SetData { .. } => op::SET_DATA,
            Self::GetChildren2 { .. } => op::GET_CHILDREN2,
            Self::GetChildren { .. } => op::GET_CHILDREN,
            Self::GetAcl { .. } => op::GET_ACL,
            Self::SetAcl { .. } => op::SET_ACL,
            Self::GetEphemerals { .. } => op::GET_EPHEMERALS,
            Self::CountDescendants { .. } => op::COUNT_DESCENDANTS,
            Self::CheckWatches { .. } => op::CHECK_WATCHES,
            Self::AddWatch { .. } => op::ADD_WATCH,
            Self::Sync { .. } => op::SYNC,
            Self::Multi(_) => op::MULTI,
            Self::SetWatches { .. } => op::SET_WATCHES,
            Self::SetWatches2 { .. } => op::SET_WATCHES2,
            Self::RemoveWatches { .. } => op::REMOVE_WATCHES,
            Self::Auth { .. } => op::AUTH,
            Self::Ping => op::PING,
            Self::Close => op::CLOSE,
            Self::WhoAmI => op::WHO_AM_I,
        }
    }

    /// Appends the whole frame, header included. If it is longer than `limit`
    /// ([`frame::DEFAULT_LIMIT`](crate::frame::DEFAULT_LIMIT) for a server that was not told otherwise),
    /// `buf` stays as it was.
    pub fn encode(&self, xid: i32, limit: usize, buf: &mut BytesMut) -> Result<(), FrameError> {
        write_frame(buf, limit, |w| {
            RequestHeader { xid, op: self.op() }.write(w);
            self.write(w);
        })
    }

    /// Reads the record behind a header with this `op`. [`DecodeError::code`] says how a server answers what
    /// cannot be read.
    pub fn decode(op: i32, body: &[u8]) -> Result<Self, DecodeError> {
        let r = &mut Reader::new(body);
        Ok(match op {
            op::CREATE => {
                let (path, data, acl, mode) = read_create(r)?;
                Self::Create { path, data, acl, mode }
            }
            op::CREATE2 => {
                let (path, data, acl, mode) = read_create(r)?;
                Self::Create2 { path, data, acl, mode }
            }
            op::CREATE_CONTAINER => {
                let (path, data, acl, mode) = read_create(r)?;
                Self::CreateContainer { path, data, acl, mode }
            }
            op::DELETE => Self::Delete { path: r.present_string()?, version: r.i32()? },
            op::EXISTS => Self::Exists { path: r.present_string()?, watch: r.bool()? },
            op::GET_DATA => Self::GetData { path: r.present_string()?, watch: r.bool()? },
            op::SET_DATA => Self::SetData { path: r.string()?, data: r.buffer()?, version: r.i32()? },
            op::GET_CHILDREN2 => Self::GetChildren2 { path: r.present_string()?, watch: r.bool()? },
            op::GET_CHILDREN => Self::GetChildren { path: r.present_string()?, watch: r.bool()? },
            op::GET_ACL => Self::GetAcl { path: r.present_string()? },
            op::SET_ACL => Self::SetAcl { path: r.string()?, acl: Acl::read_all(r)?, version: r.i32()? },
            op::GET_EPHEMERALS => Self::GetEphemerals { prefix: r.string()? },
            op::COUNT_DESCENDANTS => Self::CountDescendants { path: r.present_string()? },
            op::SYNC => Self::Sync { path: r.string()? },
            op::MULTI => Self::Multi(multi::read_ops(r)?),
            op::SET_WATCHES => Self::SetWatches {
                relative_zxid: r.i64()?,
                data: r.strings()?,
                exist: r.strings()?,
                child: r.strings()?,
            },
            op::SET_WATCHES2 => Self::SetWatches2 {
                relative_zxid: r.i64()?,
                data: r.strings()?,
                exist: r.strings()?,
                child: r.strings()?,
                persistent: r.strings()?,
                recursive: r.strings()?,
            },
            op::REMOVE_WATCHES => Self::RemoveWatches { path: r.string()?, kind: r.i32()?.into() },
            op::CHECK_WATCHES => Self::CheckWatches { path: r.string()?, kind: r.i32()?.into() },
            op::ADD_WATCH => Self::AddWatch { path: r.string()?, mode: r.i32()? },
            op::AUTH => {
                r.i32()?; // A type that is always 0 and that nobody looks at.
                let (scheme, auth) = (r.string()?, r.buffer()?);
                if scheme == "digest" && auth.is_none() {
                    return Err(DecodeError::Null);
                }
                Self::Auth { scheme, auth: auth.unwrap_or_default().into() }
            }
            op::PING => Self::Ping,
            op::CLOSE => Self::Close,
            op::WHO_AM_I => Self::WhoAmI,
            other => return Err(DecodeError::UnknownOp(other)),
        })
    }

    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Create { path, data, acl, mode }
            | Self::Create2 { path, data, acl, mode }
            | Self::CreateContainer { path, data, acl, mode } => {
                write_create(w, path, data.as_deref(), acl, *mode);
            }
            Self::Delete { path, version } => {
                w.string(path);
                w.i32(*version);
            }
            Self::Exists { path, watch }
            | Self::GetData { path, watch }
            | Self::GetChildren { path, watch }
            | Self::GetChildren2 { path, watch } => {
                w.string(path);
                w.bool(*watch);
            }
            Self::SetData { path, data, version } => {
                w.string(path);
                w.buffer(data.as_deref());
                w.i32(*version);
            }
            Self::SetAcl { path, acl, version } => {
                w.string(path);
                Acl::write_all(acl, w);
                w.i32(*version);
            }
            Self::Sync { path }
            | Self::GetAcl { path }
            | Self::GetEphemerals { prefix: path }
            | Self::CountDescendants { path } => w.string(path),
            Self::Multi(ops) => multi::write_ops(w, ops),
            Self::SetWatches { relative_zxid, data, exist, child } => {
                w.i64(*relative_zxid);
                [data, exist, child].into_iter().for_each(|paths| w.strings(paths));
            }
            Self::SetWatches2 { relative_zxid, data, exist, child, persistent, recursive } => {
                w.i64(*relative_zxid);
                [data, exist, child, persistent, recursive].into_iter().for_each(|paths| w.strings(paths));
            }
            Self::AddWatch { path, mode } => {
                w.string(path);
                w.i32(*mode);
            }
            Self::RemoveWatches { path, kind } | Self::CheckWatches { path, kind } => {
                w.string(path);
                w.i32((*kind).into());
            }
            Self::Auth { scheme, auth } => {
                w.i32(0);
                w.string(scheme);
                w.buffer(Some(auth.expose()));
            }
            Self::Ping | Self::Close | Self::WhoAmI => {}
        }
    }
}

/// The record that the three creates share.
pub(crate) fn write_create(
    w: &mut Writer<'_>,
    path: &str,
    data: Option<&[u8]>,
    acl: &[Acl],
    mode: CreateMode,
) {
    w.string(path);
    w.buffer(data);
    Acl::write_all(acl, w);
    w.i32(mode.into());
}

/// The fields of that record: path, data, access control list, mode.
pub(crate) type CreateFields = (String, Option<Vec<u8>>, Vec<Acl>, CreateMode);

pub(crate) fn read_create(r: &mut Reader<'_>) -> Result<CreateFields, DecodeError> {
    Ok((r.present_string()?, r.buffer()?, Acl::read_all(r)?, r.i32()?.into()))
}
