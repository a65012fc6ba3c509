//! What becomes of a request: writes get a zxid, also those that are refused; everything else gets none.

use zk_wire::{DecodeError, ErrorCode, EventKind, MultiOp, MultiResult, Request, Response, op};

use super::acl::Identity;
use super::change::{Change, Write};
use super::prepare::{self, Caller, Culprit};
use super::read::Trouble;
use super::watches::{Mode, WATCH_OVERHEAD};
use super::{ConnectionId, Effects, Farewell, Moment, Output, State, event};

/// The zxid in a reply that says nothing about the server's progress.
const NO_ZXID: i64 = -1;
/// The zxid in the answer to a credential.
const AUTH_ZXID: i64 = 0;
/// Bytes of a credential: it becomes part of lists.
const LONGEST_CREDENTIAL: usize = 4 << 10;
/// The zxid in events that make up for what was missed.
const CATCH_UP_ZXID: i64 = -1;

/// How the answer names a write's result.
enum Shape {
    /// The path alone.
    Created,
    /// The path and the stat.
    Created2,
    Stat,
    Deleted,
    Checked,
}

impl State {
    /// A request of a connection whose handshake is done, or that could not be read. Those of connections
    /// that have no session any more are dropped unanswered.
    pub fn request(
        &mut self,
        connection: ConnectionId,
        xid: i32,
        op: i32,
        request: Result<Request, DecodeError>,
        now: Moment,
        effects: &mut Effects,
    ) {
        let Some(session) = self.session_of(connection) else { return };
        match request {
            Err(error) => self.unreadable(connection, xid, op, error, now, effects),
            Ok(Request::Auth { scheme, auth }) => {
                self.authenticate(connection, xid, &scheme, auth.expose(), effects);
            }
            Ok(Request::Close) => {
                self.commit(Change::CloseSession { session }, now, effects);
                self.reply(connection, xid, Ok(Response::Empty), effects);
                self.hang_up(connection, Farewell::Closed, effects);
            }
            Ok(Request::Multi(ops)) => self.multi(connection, xid, session, ops, now, effects),
            Ok(Request::SetAcl { path, acl, version }) => {
                let caller = Caller { session, identities: self.identities(connection) };
                let write = prepare::set_acl(&self.tree, &self.limits, &caller, path, &acl, version);
                self.write(connection, xid, Shape::Stat, write, now, effects);
            }
            Ok(Request::SetWatches { relative_zxid, data, exist, child }) => {
                let missed = Missed { relative_zxid, data, exist, child, persistent: Vec::new() };
                self.set_watches(connection, xid, missed, effects);
            }
            Ok(Request::SetWatches2 { recursive, .. }) if !recursive.is_empty() => {
                self.answer(connection, xid, NO_ZXID, Err(ErrorCode::Unimplemented), effects);
            }
            Ok(Request::SetWatches2 { relative_zxid, data, exist, child, persistent, .. }) => {
                let missed = Missed { relative_zxid, data, exist, child, persistent };
                self.set_watches(connection, xid, missed, effects);
            }
            Ok(request) => match single(request) {
                Ok(op) => {
                    let shape = shape(&op);
                    let caller = Caller { session, identities: self.identities(connection) };
                    let write = prepare::prepare(&self.tree, &self.limits, &caller, op);
                    self.write(connection, xid, shape, write, now, effects);
                }
                Err(request) => match self.read(connection, session, *request) {
                    Ok(response) => self.reply(connection, xid, Ok(response), effects),
                    Err(Trouble::Refused(ErrorCode::Unimplemented)) => {
                        self.answer(connection, xid, NO_ZXID, Err(ErrorCode::Unimplemented), effects);
                    }
                    Err(Trouble::Refused(code)) => self.reply(connection, xid, Err(code), effects),
                    Err(Trouble::Hangup(why)) => self.hang_up(connection, why, effects),
                },
            },
        }
    }

    /// Bytes that are no request. Writes use up a zxid even then.
    fn unreadable(
        &mut self,
        connection: ConnectionId,
        xid: i32,
        op: i32,
        error: DecodeError,
        now: Moment,
        effects: &mut Effects,
    ) {
        let code = error.code();
        match op {
            op::AUTH => self.hang_up(connection, Farewell::AuthFailed, effects),
            // For the server's own use. What stands where it expects a path is none, whatever a client sends.
            op::DELETE_CONTAINER => {
                self.commit(Change::Refused(ErrorCode::BadArguments), now, effects);
                self.reply(connection, xid, Err(ErrorCode::BadArguments), effects);
            }
            op::CREATE
            | op::CREATE2
            | op::CREATE_CONTAINER
            | op::DELETE
            | op::SET_DATA
            | op::SET_ACL
            | op::MULTI
            | op::CREATE_TTL
            | op::RECONFIG => {
                self.commit(Change::Refused(code), now, effects);
                self.reply(connection, xid, Err(code), effects);
            }
            // Known, but not there yet: the client learns it and may go on.
            op::MULTI_READ | op::SASL => self.answer(connection, xid, NO_ZXID, Err(code), effects),
            _ if code == ErrorCode::Unimplemented => {
                self.answer(connection, xid, NO_ZXID, Err(code), effects);
                self.hang_up(connection, Farewell::UnknownRequest(op), effects);
            }
            _ => self.reply(connection, xid, Err(code), effects),
        }
    }

    fn write(
        &mut self,
        connection: ConnectionId,
        xid: i32,
        shape: Shape,
        write: Result<Write, ErrorCode>,
        now: Moment,
        effects: &mut Effects,
    ) {
        let outcome = match write {
            Ok(write) => {
                let path = created_path(&write);
                let applied = self.commit(Change::Write(write), now, effects);
                let stat = applied.stats.first().copied().unwrap_or_default();
                Ok(match shape {
                    Shape::Created => Response::Created { path },
                    Shape::Created2 => Response::Created2 { path, stat },
                    Shape::Stat => Response::Stat(stat),
                    Shape::Deleted | Shape::Checked => Response::Empty,
                })
            }
            Err(code) => {
                self.commit(Change::Refused(code), now, effects);
                Err(code)
            }
        };
        self.reply(connection, xid, outcome, effects);
    }

    fn multi(
        &mut self,
        connection: ConnectionId,
        xid: i32,
        session: i64,
        ops: Vec<MultiOp>,
        now: Moment,
        effects: &mut Effects,
    ) {
        let shapes: Vec<Shape> = ops.iter().map(shape).collect();
        let identities = self.connections.get(&connection).map_or(&[][..], |known| &known.identities);
        let caller = Caller { session, identities };
        let zxid = self.last_zxid + 1;
        let prepared = prepare::prepare_multi(&mut self.tree, &self.limits, &caller, ops, zxid, now);
        let outcome = match prepared {
            Ok(writes) => {
                let paths: Vec<String> = writes.iter().map(created_path).collect();
                let applied = self.commit(Change::Multi(writes), now, effects);
                let results = shapes.into_iter().zip(paths).zip(applied.stats);
                let results = results.map(|((shape, path), stat)| result(shape, path, stat));
                Ok(Response::Multi(results.collect()))
            }
            Err(culprit) => {
                self.commit(Change::Refused(culprit.code), now, effects);
                // The multi as a whole is answered without an error, unless it makes no sense.
                match culprit.code {
                    code @ ErrorCode::MarshallingError => Err(code),
                    _ => Ok(Response::Multi(failed(shapes.len(), &culprit))),
                }
            }
        };
        self.reply(connection, xid, outcome, effects);
    }

    fn authenticate(
        &mut self,
        connection: ConnectionId,
        xid: i32,
        scheme: &str,
        auth: &[u8],
        effects: &mut Effects,
    ) {
        let most = self.limits.identities;
        let mut proved = Vec::new();
        match scheme {
            "digest" if auth.len() <= LONGEST_CREDENTIAL => {
                let identity = Identity::digest(auth);
                if self.limits.superuser.as_deref() == Some(identity.id.as_str()) {
                    proved.push(Identity::superuser());
                }
                proved.push(identity);
            }
            // It proves what is known of every connection.
            "ip" => {}
            _ => return self.refuse_credentials(connection, xid, effects),
        }
        let Some(known) = self.connections.get_mut(&connection) else { return };
        for identity in proved {
            if !known.identities.contains(&identity) {
                known.identities.push(identity);
            }
        }
        if known.identities.len() > most {
            return self.refuse_credentials(connection, xid, effects);
        }
        self.answer(connection, xid, AUTH_ZXID, Ok(Response::Empty), effects);
    }

    fn refuse_credentials(&mut self, connection: ConnectionId, xid: i32, effects: &mut Effects) {
        self.answer(connection, xid, AUTH_ZXID, Err(ErrorCode::AuthFailed), effects);
        self.hang_up(connection, Farewell::AuthFailed, effects);
    }

    /// Sets watches again. What happened meanwhile comes as an event in place of the watch, before the answer.
    fn set_watches(&mut self, connection: ConnectionId, xid: i32, missed: Missed, effects: &mut Effects) {
        // What was missed would make an event for each, which is bounded by this as well.
        if missed.count() > self.limits.watches.per_connection / WATCH_OVERHEAD {
            return self.hang_up(connection, Farewell::TooManyWatches, effects);
        }
        let since = missed.relative_zxid;
        let data = missed.data.into_iter().map(|path| {
            let event = match self.tree.get(&path) {
                None => Some(EventKind::Deleted),
                Some(node) => (node.mzxid > since).then_some(EventKind::DataChanged),
            };
            (path, Mode::Data, event)
        });
        let exist = missed.exist.into_iter().map(|path| {
            let event = self.tree.get(&path).map(|_| EventKind::Created);
            (path, Mode::Data, event)
        });
        let child = missed.child.into_iter().map(|path| {
            let event = match self.tree.get(&path) {
                None => Some(EventKind::Deleted),
                Some(node) => (node.pzxid > since).then_some(EventKind::ChildrenChanged),
            };
            (path, Mode::Child, event)
        });
        let persistent = missed.persistent.into_iter().map(|path| (path, Mode::Persistent, None));
        let all: Vec<_> = data.chain(exist).chain(child).chain(persistent).collect();
        for (path, mode, missed) in all {
            if let Some(kind) = missed {
                let event = event(kind, path);
                effects.outputs.push((connection, Output::Event { zxid: CATCH_UP_ZXID, event }));
            } else if let Err(Trouble::Hangup(why)) = self.watch(connection, mode, &path) {
                return self.hang_up(connection, why, effects);
            }
        }
        self.reply(connection, xid, Ok(Response::Empty), effects);
    }

    fn reply(
        &self,
        connection: ConnectionId,
        xid: i32,
        outcome: Result<Response, ErrorCode>,
        effects: &mut Effects,
    ) {
        self.answer(connection, xid, self.last_zxid, outcome, effects);
    }

    fn answer(
        &self,
        connection: ConnectionId,
        xid: i32,
        zxid: i64,
        outcome: Result<Response, ErrorCode>,
        effects: &mut Effects,
    ) {
        effects.outputs.push((connection, Output::Reply { xid, zxid, outcome }));
    }
}

/// Watches of a client that was away.
struct Missed {
    relative_zxid: i64,
    data: Vec<String>,
    exist: Vec<String>,
    child: Vec<String>,
    persistent: Vec<String>,
}

impl Missed {
    fn count(&self) -> usize {
        self.data.len() + self.exist.len() + self.child.len() + self.persistent.len()
    }
}

/// The request as an operation on the tree, if it is one.
fn single(request: Request) -> Result<MultiOp, Box<Request>> {
    Ok(match request {
        Request::Create { path, data, acl, mode } => MultiOp::Create { path, data, acl, mode },
        Request::Create2 { path, data, acl, mode } => MultiOp::Create2 { path, data, acl, mode },
        Request::CreateContainer { path, data, acl, mode } => {
            MultiOp::CreateContainer { path, data, acl, mode }
        }
        Request::Delete { path, version } => MultiOp::Delete { path, version },
        Request::SetData { path, data, version } => MultiOp::SetData { path, data, version },
        other => return Err(Box::new(other)),
    })
}

fn shape(op: &MultiOp) -> Shape {
    match op {
        MultiOp::Create { .. } => Shape::Created,
        MultiOp::Create2 { .. } | MultiOp::CreateContainer { .. } => Shape::Created2,
        MultiOp::Delete { .. } => Shape::Deleted,
        MultiOp::SetData { .. } => Shape::Stat,
        MultiOp::Check { .. } => Shape::Checked,
    }
}

/// The path of a node that is made: a sequential one has its number only now.
fn created_path(write: &Write) -> String {
    match write {
        Write::Create { path, .. } => path.clone(),
        _ => String::new(),
    }
}

fn result(shape: Shape, path: String, stat: zk_wire::Stat) -> MultiResult {
    match shape {
        Shape::Created => MultiResult::Created { path },
        Shape::Created2 => MultiResult::Created2 { path, stat },
        Shape::Stat => MultiResult::Stat(stat),
        Shape::Deleted => MultiResult::Deleted,
        Shape::Checked => MultiResult::Checked,
    }
}

fn failed(count: usize, culprit: &Culprit) -> Vec<MultiResult> {
    let code = |index: usize| match index.cmp(&culprit.index) {
        std::cmp::Ordering::Less => ErrorCode::Ok,
        std::cmp::Ordering::Equal => culprit.code,
        std::cmp::Ordering::Greater => ErrorCode::RuntimeInconsistency,
    };
    (0..count).map(|index| MultiResult::Failed(code(index))).collect()
}
