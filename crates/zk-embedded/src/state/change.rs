//! What a transaction does: the unit that is applied, journaled and replayed.
//!
//! Invariant: a change is complete in itself. All checks have been made, sequence numbers and access
//! control lists are resolved, so applying it needs nothing but the state before it, and gives the same
//! state again whenever it is repeated from there. Made by `prepare`, read back at a replay.

use bytes::{Bytes, BytesMut};
use zk_wire::jute::{DecodeError, Reader, Writer};
use zk_wire::{Acl, ErrorCode};

use super::node::{Owner, acl_weight};

/// One numbered change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Txn {
    pub(crate) zxid: i64,
    /// Wall clock in ms, for the stats only.
    pub(crate) time: i64,
    pub(crate) change: Change,
}

/// What is changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// Nothing: a refused request that used up a zxid.
    Refused(ErrorCode),
    /// A write to the tree.
    Write(Write),
    /// Several writes with one zxid.
    Multi(Vec<Write>),
    OpenSession {
        session: i64,
        timeout_ms: i32,
        password: [u8; PASSWORD],
    },
    /// The session ends, and its ephemeral nodes with it.
    CloseSession {
        session: i64,
    },
    /// The session was resumed with a longer timeout than the one on record.
    ExtendTimeout {
        session: i64,
        timeout_ms: i32,
    },
    /// The machine was booted anew since the sessions were made.
    Boot {
        id: String,
    },
}

/// A write to the tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Write {
    Create {
        path: String,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        owner: Owner,
    },
    Delete {
        path: String,
    },
    SetData {
        path: String,
        data: Option<Bytes>,
    },
    SetAcl {
        path: String,
        acl: Vec<Acl>,
    },
    /// A version was checked: nothing to do.
    Check,
}

/// Bytes of a session's password.
pub(crate) const PASSWORD: usize = 16;

mod kind {
    pub(super) const REFUSED: i32 = 0;
    pub(super) const CREATE: i32 = 1;
    pub(super) const DELETE: i32 = 2;
    pub(super) const SET_DATA: i32 = 3;
    pub(super) const SET_ACL: i32 = 4;
    pub(super) const CHECK: i32 = 5;
    pub(super) const MULTI: i32 = 6;
    pub(super) const OPEN_SESSION: i32 = 7;
    pub(super) const CLOSE_SESSION: i32 = 8;
    pub(super) const EXTEND_TIMEOUT: i32 = 9;
    pub(super) const BOOT: i32 = 10;
}

/// Why a record of the journal or a snapshot is not what this version writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The bytes are whole (the journal checks that) but do not read as a record.
    #[error("unreadable record: {0}")]
    Unreadable(#[from] DecodeError),
    /// A kind of record that this version does not know.
    #[error("unknown kind of record: {0}")]
    UnknownKind(i32),
    /// The record does not follow from the state before it.
    #[error("record does not fit the state before it: {0}")]
    Misfit(&'static str),
}

impl Txn {
    /// The record for the journal; the zxid is kept by the journal itself.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut buf = BytesMut::new();
        let w = &mut Writer::new(&mut buf);
        w.i64(self.time);
        self.change.write(w);
        buf.to_vec()
    }

    pub(crate) fn decode(zxid: i64, record: &[u8]) -> Result<Self, ReplayError> {
        let r = &mut Reader::new(record);
        Ok(Self { zxid, time: r.i64()?, change: Change::read(r)? })
    }
}

impl Change {
    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Refused(code) => {
                w.i32(kind::REFUSED);
                w.i32((*code).into());
            }
            Self::Write(write) => write.write(w),
            Self::Multi(writes) => {
                w.i32(kind::MULTI);
                w.vector(writes, |w, write| write.write(w));
            }
            Self::OpenSession { session, timeout_ms, password } => {
                w.i32(kind::OPEN_SESSION);
                w.i64(*session);
                w.i32(*timeout_ms);
                w.buffer(Some(password));
            }
            Self::CloseSession { session } => {
                w.i32(kind::CLOSE_SESSION);
                w.i64(*session);
            }
            Self::ExtendTimeout { session, timeout_ms } => {
                w.i32(kind::EXTEND_TIMEOUT);
                w.i64(*session);
                w.i32(*timeout_ms);
            }
            Self::Boot { id } => {
                w.i32(kind::BOOT);
                w.string(id);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, ReplayError> {
        Ok(match r.i32()? {
            kind::REFUSED => Self::Refused(r.i32()?.into()),
            kind::MULTI => {
                let count = r.i32()?;
                let mut writes = Vec::new();
                for _ in 0..count {
                    let kind = r.i32()?;
                    writes.push(Write::read(kind, r)?);
                }
                Self::Multi(writes)
            }
            kind::OPEN_SESSION => {
                Self::OpenSession { session: r.i64()?, timeout_ms: r.i32()?, password: read_password(r)? }
            }
            kind::CLOSE_SESSION => Self::CloseSession { session: r.i64()? },
            kind::EXTEND_TIMEOUT => Self::ExtendTimeout { session: r.i64()?, timeout_ms: r.i32()? },
            kind::BOOT => Self::Boot { id: r.string()? },
            other => Self::Write(Write::read(other, r)?),
        })
    }
}

impl Write {
    /// About how many bytes it takes in a record: no less.
    pub(crate) fn weight(&self) -> usize {
        const FIXED: usize = 64;
        FIXED
            + match self {
                Self::Create { path, data, acl, .. } => {
                    path.len() + data.as_ref().map_or(0, Bytes::len) + acl_weight(acl)
                }
                Self::Delete { path } => path.len(),
                Self::SetData { path, data } => path.len() + data.as_ref().map_or(0, Bytes::len),
                Self::SetAcl { path, acl } => path.len() + acl_weight(acl),
                Self::Check => 0,
            }
    }

    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Create { path, data, acl, owner } => {
                w.i32(kind::CREATE);
                w.string(path);
                w.buffer(data.as_deref());
                write_acl(w, acl);
                write_owner(w, *owner);
            }
            Self::Delete { path } => {
                w.i32(kind::DELETE);
                w.string(path);
            }
            Self::SetData { path, data } => {
                w.i32(kind::SET_DATA);
                w.string(path);
                w.buffer(data.as_deref());
            }
            Self::SetAcl { path, acl } => {
                w.i32(kind::SET_ACL);
                w.string(path);
                write_acl(w, acl);
            }
            Self::Check => w.i32(kind::CHECK),
        }
    }

    fn read(kind: i32, r: &mut Reader<'_>) -> Result<Self, ReplayError> {
        Ok(match kind {
            kind::CREATE => Self::Create {
                path: r.string()?,
                data: r.buffer()?.map(Bytes::from),
                acl: read_acl(r)?,
                owner: read_owner(r)?,
            },
            kind::DELETE => Self::Delete { path: r.string()? },
            kind::SET_DATA => Self::SetData { path: r.string()?, data: r.buffer()?.map(Bytes::from) },
            kind::SET_ACL => Self::SetAcl { path: r.string()?, acl: read_acl(r)? },
            kind::CHECK => Self::Check,
            other => return Err(ReplayError::UnknownKind(other)),
        })
    }
}

pub(crate) fn write_acl(w: &mut Writer<'_>, acl: &[Acl]) {
    w.vector(acl, |w, entry| {
        w.i32(entry.perms);
        w.string(&entry.scheme);
        w.string(&entry.id);
    });
}

pub(crate) fn read_acl(r: &mut Reader<'_>) -> Result<Vec<Acl>, DecodeError> {
    const SMALLEST_ENTRY: usize = 12;
    r.vector(SMALLEST_ENTRY, |r| Ok(Acl { perms: r.i32()?, scheme: r.string()?, id: r.string()? }))
}

/// Owners as the journal has them: 0 nobody, 1 container, 2 a session.
pub(crate) fn write_owner(w: &mut Writer<'_>, owner: Owner) {
    match owner {
        Owner::Nobody => w.i32(0),
        Owner::Container => w.i32(1),
        Owner::Session(id) => {
            w.i32(2);
            w.i64(id);
        }
    }
}

pub(crate) fn read_owner(r: &mut Reader<'_>) -> Result<Owner, ReplayError> {
    Ok(match r.i32()? {
        0 => Owner::Nobody,
        1 => Owner::Container,
        2 => Owner::Session(r.i64()?),
        other => return Err(ReplayError::UnknownKind(other)),
    })
}

pub(crate) fn read_password(r: &mut Reader<'_>) -> Result<[u8; PASSWORD], ReplayError> {
    let bytes = r.buffer()?.unwrap_or_default();
    bytes.try_into().map_err(|_| ReplayError::Misfit("a session's password does not have 16 bytes"))
}
