//! Guarded writes: operations that take effect only while the term's znode exists.

use zk_session::wire::{Acl, CreateMode, MultiOp, MultiResult, Request, Response, perms};

use crate::error::WriteError;
use elector_core::Lost;

/// One operation of a guarded write. Paths are absolute, below the connect string's chroot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Write {
    /// Creates a persistent znode that anybody may use.
    Create {
        /// Where.
        path: String,
        /// Its data.
        data: Vec<u8>,
    },
    /// Replaces the data of a znode.
    Set {
        /// Where.
        path: String,
        /// The new data.
        data: Vec<u8>,
        /// Only at this version of the data; none for any.
        version: Option<i32>,
    },
    /// Deletes a znode that has no children.
    Delete {
        /// Where.
        path: String,
        /// Only at this version of the data; none for any.
        version: Option<i32>,
    },
}

/// The multi that writes only while `own` exists.
pub(crate) fn guarded(own: String, operations: Vec<Write>) -> Request {
    let check = MultiOp::Check { path: own, version: -1 };
    Request::Multi(std::iter::once(check).chain(operations.into_iter().map(encode)).collect())
}

fn encode(operation: Write) -> MultiOp {
    let any = |version: Option<i32>| version.unwrap_or(-1);
    match operation {
        Write::Create { path, data } => MultiOp::Create {
            path,
            data: Some(data),
            acl: vec![Acl::anyone(perms::ALL)],
            mode: CreateMode::Persistent,
        },
        Write::Set { path, data, version } => {
            MultiOp::SetData { path, data: Some(data), version: any(version) }
        }
        Write::Delete { path, version } => MultiOp::Delete { path, version: any(version) },
    }
}

/// Roughly the bytes that these operations take on the wire.
pub(crate) fn weight(operations: &[Write]) -> usize {
    let one = |operation: &Write| match operation {
        Write::Create { path, data } | Write::Set { path, data, .. } => path.len() + data.len(),
        Write::Delete { path, .. } => path.len(),
    };
    operations.iter().map(|operation| one(operation) + 64).sum()
}

/// Reads the answer to [`guarded`].
pub(crate) fn outcome(response: Response) -> Result<(), WriteError> {
    let Response::Multi(results) = response else { return Ok(()) };
    let culprit = results.iter().enumerate().find_map(|(at, result)| match result {
        // The server marks those before the culprit with 0 and those after it with -2.
        MultiResult::Failed(code) if !matches!(i32::from(*code), 0 | -2) => Some((at, *code)),
        _ => None,
    });
    match culprit {
        None => Ok(()),
        Some((0, _)) => Err(WriteError::NotLeading(Lost::Deposed)),
        Some((at, code)) => {
            Err(WriteError::Refused { operation: at - 1, code: code.into(), reason: code.to_string() })
        }
    }
}
