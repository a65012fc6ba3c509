//! Several writes in one request, all of them or none.
//!
//! Each operation and each result has a small header of its own; one that says "done" ends the list. A multi
//! that failed is answered with an error code for each operation under a reply header that says "ok".

use crate::acl::Acl;
use crate::code::ErrorCode;
use crate::jute::{DecodeError, Reader, Writer};
use crate::mode::CreateMode;
use crate::op;
use crate::request::{read_create, write_create};
use crate::stat::Stat;

/// The type in the header of a failed result, and of the end.
const NO_TYPE: i32 = -1;
/// The error in the header of an operation, and of the end.
const NO_ERROR_YET: i32 = -1;

/// One operation of a multi. The fields are those of the request of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the protocol's and mean the same in every variant")]
pub enum MultiOp {
    /// Make a node. Result: [`MultiResult::Created`].
    Create { path: String, data: Option<Vec<u8>>, acl: Vec<Acl>, mode: CreateMode },
    /// Make a node. Result: [`MultiResult::Created2`], but [`MultiResult::Created`] from 3.8.
    Create2 { path: String, data: Option<Vec<u8>>, acl: Vec<Acl>, mode: CreateMode },
    /// Make a container. Result: [`MultiResult::Created2`].
    CreateContainer { path: String, data: Option<Vec<u8>>, acl: Vec<Acl>, mode: CreateMode },
    /// Delete a node. Result: [`MultiResult::Deleted`].
    Delete { path: String, version: i32 },
    /// Set a node's data. Result: [`MultiResult::Stat`].
    SetData { path: String, data: Option<Vec<u8>>, version: i32 },
    /// Require that the node is there and has this version. Result: [`MultiResult::Checked`].
    Check { path: String, version: i32 },
}

impl MultiOp {
    /// The type that stands in its header, one of [`op`].
    #[must_use]
    pub fn op(&self) -> i32 {
        match self {
            Self::Create { .. } => op::CREATE,
            Self::Create2 { .. } => op::CREATE2,
            Self::CreateContainer { .. } => op::CREATE_CONTAINER,
            Self::Delete { .. } => op::DELETE,
            Self::SetData { .. } => op::SET_DATA,
            Self::Check { .. } => op::CHECK,
        }
    }

    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Create { path, data, acl, mode }
            | Self::Create2 { path, data, acl, mode }
            | Self::CreateContainer { path, data, acl, mode } => {
                write_create(w, path, data.as_deref(), acl, *mode);
            }
            Self::Delete { path, version } | Self::Check { path, version } => {
                w.string(path);
                w.i32(*version);
            }
            Self::SetData { path, data, version } => {
                w.string(path);
                w.buffer(data.as_deref());
                w.i32(*version);
            }
        }
    }

    fn read(op: i32, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
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
            op::DELETE => Self::Delete { path: r.string()?, version: r.i32()? },
            op::SET_DATA => Self::SetData { path: r.string()?, data: r.buffer()?, version: r.i32()? },
            op::CHECK => Self::Check { path: r.string()?, version: r.i32()? },
            other => return Err(DecodeError::UnknownMultiOp(other)),
        })
    }
}

/// What became of one operation of a multi.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the protocol's and mean the same in every variant")]
pub enum MultiResult {
    /// The node was made, under this path.
    Created { path: String },
    /// The node was made, under this path.
    Created2 { path: String, stat: Stat },
    /// The data was set.
    Stat(Stat),
    /// The node was deleted.
    Deleted,
    /// The version was right.
    Checked,
    /// The multi failed. The culprit has its code, those before it [`ErrorCode::Ok`], those after it
    /// [`ErrorCode::RuntimeInconsistency`]; nothing was done.
    Failed(ErrorCode),
}

impl MultiResult {
    fn op(&self) -> i32 {
        match self {
            Self::Created { .. } => op::CREATE,
            Self::Created2 { .. } => op::CREATE2,
            Self::Stat(_) => op::SET_DATA,
            Self::Deleted => op::DELETE,
            Self::Checked => op::CHECK,
            Self::Failed(_) => NO_TYPE,
        }
    }

    fn error(&self) -> ErrorCode {
        match self {
            Self::Failed(code) => *code,
            _ => ErrorCode::Ok,
        }
    }

    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Created { path } => w.string(path),
            Self::Created2 { path, stat } => {
                w.string(path);
                stat.write(w);
            }
            Self::Stat(stat) => stat.write(w),
            Self::Deleted | Self::Checked => {}
            Self::Failed(code) => w.i32((*code).into()),
        }
    }

    fn read(op: i32, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match op {
            op::CREATE => Self::Created { path: r.string()? },
            op::CREATE2 => Self::Created2 { path: r.string()?, stat: Stat::read(r)? },
            op::SET_DATA => Self::Stat(Stat::read(r)?),
            op::DELETE => Self::Deleted,
            op::CHECK => Self::Checked,
            NO_TYPE => Self::Failed(r.i32()?.into()),
            other => return Err(DecodeError::UnknownMultiOp(other)),
        })
    }
}

pub(crate) fn write_ops(w: &mut Writer<'_>, ops: &[MultiOp]) {
    for each in ops {
        write_header(w, each.op(), false, NO_ERROR_YET);
        each.write(w);
    }
    write_header(w, NO_TYPE, true, NO_ERROR_YET);
}

pub(crate) fn read_ops(r: &mut Reader<'_>) -> Result<Vec<MultiOp>, DecodeError> {
    read_list(r, MultiOp::read)
}

pub(crate) fn write_results(w: &mut Writer<'_>, results: &[MultiResult]) {
    for each in results {
        write_header(w, each.op(), false, each.error().into());
        each.write(w);
    }
    write_header(w, NO_TYPE, true, NO_ERROR_YET);
}

pub(crate) fn read_results(r: &mut Reader<'_>) -> Result<Vec<MultiResult>, DecodeError> {
    read_list(r, MultiResult::read)
}

fn write_header(w: &mut Writer<'_>, op: i32, done: bool, err: i32) {
    w.i32(op);
    w.bool(done);
    w.i32(err);
}

/// Reads items up to the end mark. Each takes nine bytes at least, so the list stays in proportion to the
/// frame.
fn read_list<T>(
    r: &mut Reader<'_>,
    item: impl Fn(i32, &mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut items = Vec::new();
    loop {
        let (op, done, _err) = (r.i32()?, r.bool()?, r.i32()?);
        if done {
            return Ok(items);
        }
        items.push(item(op, r)?);
    }
}
