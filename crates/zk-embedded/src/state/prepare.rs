//! The checks before a write, in ZooKeeper's order: which error a client sees is part of the protocol.
//!
//! Invariant: what comes out of here can be applied to the tree it was prepared against. A multi is tried
//! on the tree itself, since each operation sees the ones before it, and taken back in any case: there is
//! one way to apply, and it begins with a finished transaction. Used by the state only.

use bytes::Bytes;
use zk_wire::{Acl, CreateMode, ErrorCode, MultiOp, path, perms};

use super::acl::{self, Identity};
use super::change::Write;
use super::node::{Owner, acl_weight};
use super::tree::{SPECIAL, Tree};
use super::{Limits, Moment};

/// What stands below would be quotas. A node that looks like one and limits nothing would be worse than none.
const QUOTAS: &str = "/zookeeper/quota/";

/// Who asks.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) session: i64,
    pub(crate) identities: &'a [Identity],
}

/// A multi that fails: which operation, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Culprit {
    pub(crate) index: usize,
    pub(crate) code: ErrorCode,
}

/// Checks one operation.
pub(crate) fn prepare(
    tree: &Tree,
    limits: &Limits,
    caller: &Caller<'_>,
    op: MultiOp,
) -> Result<Write, ErrorCode> {
    match op {
        MultiOp::Create { path, data, acl, mode } | MultiOp::Create2 { path, data, acl, mode } => {
            let owner = if mode.is_ephemeral() { Owner::Session(caller.session) } else { Owner::Nobody };
            create(tree, limits, caller, New { path, data, acl, mode, owner })
        }
        MultiOp::CreateContainer { path, data, acl, mode } => {
            create(tree, limits, caller, New { path, data, acl, mode, owner: Owner::Container })
        }
        MultiOp::Delete { path, version } => delete(tree, caller, path, version),
        MultiOp::SetData { path, data, version } => set_data(tree, limits, caller, path, data, version),
        MultiOp::Check { path, version } => check(tree, caller, &path, version),
    }
}

/// Checks all operations, each after those before it. The tree comes back as it was.
pub(crate) fn prepare_multi(
    tree: &mut Tree,
    limits: &Limits,
    caller: &Caller<'_>,
    ops: Vec<MultiOp>,
    zxid: i64,
    now: Moment,
) -> Result<Vec<Write>, Culprit> {
    let mut writes = Vec::with_capacity(ops.len());
    let mut undos = Vec::with_capacity(ops.len());
    let mut outcome = Ok(());
    let unused = &mut Vec::new();
    // Lists may grow when they are resolved, so the request's own length is no bound.
    let mut total = 0;
    for (index, op) in ops.into_iter().enumerate() {
        if is_ttl_without_a_time(&op) {
            outcome = Err(Culprit { index, code: ErrorCode::MarshallingError });
            break;
        }
        match prepare(tree, limits, caller, op).and_then(|write| {
            total += write.weight();
            if total <= limits.transaction_bytes { Ok(write) } else { Err(ErrorCode::QuotaExceeded) }
        }) {
            Ok(write) => {
                let undo = tree.apply(&write, zxid, now.wall_ms, unused);
                undos.push(undo.expect("it was prepared against this tree"));
                unused.clear();
                writes.push(write);
            }
            Err(code) => {
                outcome = Err(Culprit { index, code });
                break;
            }
        }
    }
    for undo in undos.into_iter().rev() {
        tree.undo(undo);
    }
    outcome.map(|()| writes)
}

/// Modes that need a time, in a record that has none. Alone that is a bad argument; inside a multi Apache's
/// server stumbles over it when it gets there, and calls the whole multi unreadable.
fn is_ttl_without_a_time(op: &MultiOp) -> bool {
    match op {
        MultiOp::Create { mode, .. }
        | MultiOp::Create2 { mode, .. }
        | MultiOp::CreateContainer { mode, .. } => matches!(i32::from(*mode), 5 | 6),
        MultiOp::Delete { .. } | MultiOp::SetData { .. } | MultiOp::Check { .. } => false,
    }
}

/// Checks a new access control list.
pub(crate) fn set_acl(
    tree: &Tree,
    limits: &Limits,
    caller: &Caller<'_>,
    path: String,
    acl: &[Acl],
    version: i32,
) -> Result<Write, ErrorCode> {
    path::validate(&path).map_err(|_| ErrorCode::BadArguments)?;
    let acl = acl::resolve(acl, caller.identities).ok_or(ErrorCode::InvalidAcl)?;
    let node = tree.get(&path).ok_or(ErrorCode::NoNode)?;
    permit(&node.acl, perms::ADMIN, caller)?;
    check_version(node.aversion, version)?;
    check_room(tree, limits, 0, acl_weight(&acl))?;
    Ok(Write::SetAcl { path, acl })
}

/// What a create asks for.
struct New {
    path: String,
    data: Option<Vec<u8>>,
    acl: Vec<Acl>,
    mode: CreateMode,
    owner: Owner,
}

fn create(tree: &Tree, limits: &Limits, caller: &Caller<'_>, new: New) -> Result<Write, ErrorCode> {
    let New { mut path, data, acl, mode, owner } = new;
    if matches!(mode, CreateMode::Unknown(_)) {
        return Err(ErrorCode::BadArguments);
    }
    let parent = parent_in(&path)?;
    if path.starts_with(QUOTAS) {
        return Err(ErrorCode::Unimplemented);
    }
    let acl = acl::resolve(&acl, caller.identities).ok_or(ErrorCode::InvalidAcl)?;
    let parent = tree.get(parent).ok_or(ErrorCode::NoNode)?;
    permit(&parent.acl, perms::CREATE, caller)?;
    if mode.is_sequential() {
        path.push_str(&format!("{:010}", parent.created));
    }
    path::validate(&path).map_err(|_| ErrorCode::BadArguments)?;
    if tree.get(&path).is_some() {
        return Err(ErrorCode::NodeExists);
    }
    if matches!(parent.owner, Owner::Session(_)) {
        return Err(ErrorCode::NoChildrenForEphemerals);
    }
    let weight = path.len() + data.as_ref().map_or(0, Vec::len) + acl_weight(&acl);
    check_room(tree, limits, 1, weight)?;
    Ok(Write::Create { path, data: data.map(Bytes::from), acl, owner })
}

fn delete(tree: &Tree, caller: &Caller<'_>, path: String, version: i32) -> Result<Write, ErrorCode> {
    let parent = parent_in(&path)?;
    if SPECIAL.contains(&path.as_str()) {
        return Err(ErrorCode::BadArguments);
    }
    let parent = tree.get(parent).ok_or(ErrorCode::NoNode)?;
    permit(&parent.acl, perms::DELETE, caller)?;
    let node = tree.get(&path).ok_or(ErrorCode::NoNode)?;
    check_version(node.version, version)?;
    if !node.children.is_empty() {
        return Err(ErrorCode::NotEmpty);
    }
    Ok(Write::Delete { path })
}

fn set_data(
    tree: &Tree,
    limits: &Limits,
    caller: &Caller<'_>,
    path: String,
    data: Option<Vec<u8>>,
    version: i32,
) -> Result<Write, ErrorCode> {
    path::validate(&path).map_err(|_| ErrorCode::BadArguments)?;
    let node = tree.get(&path).ok_or(ErrorCode::NoNode)?;
    permit(&node.acl, perms::WRITE, caller)?;
    check_room(tree, limits, 0, data.as_ref().map_or(0, Vec::len))?;
    check_version(node.version, version)?;
    Ok(Write::SetData { path, data: data.map(Bytes::from) })
}

fn check(tree: &Tree, caller: &Caller<'_>, path: &str, version: i32) -> Result<Write, ErrorCode> {
    path::validate(path).map_err(|_| ErrorCode::BadArguments)?;
    let node = tree.get(path).ok_or(ErrorCode::NoNode)?;
    permit(&node.acl, perms::READ, caller)?;
    check_version(node.version, version)?;
    Ok(Write::Check)
}

/// The parent as the text has it, before the path as a whole is looked at.
fn parent_in(path: &str) -> Result<&str, ErrorCode> {
    match path.rsplit_once('/') {
        Some((parent, _)) if !path.contains('\0') => Ok(parent),
        _ => Err(ErrorCode::BadArguments),
    }
}

fn permit(acl: &[Acl], need: i32, caller: &Caller<'_>) -> Result<(), ErrorCode> {
    if acl::permits(acl, need, caller.identities) { Ok(()) } else { Err(ErrorCode::NoAuth) }
}

fn check_version(is: i32, expected: i32) -> Result<(), ErrorCode> {
    if expected == -1 || expected == is { Ok(()) } else { Err(ErrorCode::BadVersion) }
}

/// Apache's server has no such limit but its memory. The code is the one that clients may know for it.
fn check_room(tree: &Tree, limits: &Limits, nodes: usize, weight: usize) -> Result<(), ErrorCode> {
    let fits = tree.len() + nodes <= limits.nodes
        && tree.weight() + weight <= limits.bytes
        && weight <= limits.transaction_bytes;
    if fits { Ok(()) } else { Err(ErrorCode::QuotaExceeded) }
}
