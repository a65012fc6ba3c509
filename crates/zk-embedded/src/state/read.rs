//! Reads, and the watches they leave. They use up no zxid and validate no path: a bad one is not there.

use zk_wire::{ErrorCode, Request, Response, WatchKind, perms};

use super::acl;
use super::node::Node;
use super::watches::Mode;
use super::{ConnectionId, Farewell, State};

/// Why a read has no answer.
pub(super) enum Trouble {
    Refused(ErrorCode),
    Hangup(Farewell),
}

impl From<ErrorCode> for Trouble {
    fn from(code: ErrorCode) -> Self {
        Self::Refused(code)
    }
}

type Outcome = Result<Response, Trouble>;

/// Bytes of one answer. A list of names that would be longer is not even made.
pub(crate) const LONGEST_ANSWER: usize = 12 << 20;

impl State {
    /// Answers whatever changes nothing but watches.
    pub(super) fn read(&mut self, connection: ConnectionId, session: i64, request: Request) -> Outcome {
        match request {
            Request::Exists { path, watch } => {
                if path.contains('\0') {
                    return Err(ErrorCode::BadArguments.into());
                }
                // A node that is not there can be waited for; one that may not be seen cannot.
                let found = self.tree.get(&path).map(|node| self.stat_if_readable(connection, node));
                if found.is_none_or(|allowed| allowed) && watch {
                    self.watch(connection, Mode::Data, &path)?;
                }
                Ok(Response::Stat(self.readable(connection, &path)?.stat()))
            }
            Request::GetData { path, watch } => {
                let node = self.readable(connection, &path)?;
                let data = node.data.as_ref().map(|data| data.to_vec());
                let response = Response::Data { data, stat: node.stat() };
                if watch {
                    self.watch(connection, Mode::Data, &path)?;
                }
                Ok(response)
            }
            Request::GetChildren { path, watch } => {
                let names = names(self.readable(connection, &path)?)?;
                if watch {
                    self.watch(connection, Mode::Child, &path)?;
                }
                Ok(Response::Children { names })
            }
            Request::GetChildren2 { path, watch } => {
                let node = self.readable(connection, &path)?;
                let response = Response::Children2 { names: names(node)?, stat: node.stat() };
                if watch {
                    self.watch(connection, Mode::Child, &path)?;
                }
                Ok(response)
            }
            Request::GetAcl { path } => self.get_acl(connection, &path),
            Request::GetEphemerals { prefix } => {
                let own = self.tree.ephemerals_of(session).filter(|path| path.starts_with(&prefix));
                Ok(Response::Ephemerals(list(own)?))
            }
            Request::CountDescendants { path } => {
                self.readable(connection, &path)?;
                // The root is there under two paths, and one is below the other.
                let below = self.tree.count_below(&path) + usize::from(path.is_empty());
                Ok(Response::Count(i32::try_from(below).unwrap_or(i32::MAX)))
            }
            Request::Sync { path } => Ok(Response::Synced { path }),
            Request::WhoAmI => {
                let who = self.identities(connection);
                Ok(Response::WhoAmI(who.iter().map(|id| (id.scheme.clone(), id.user().to_owned())).collect()))
            }
            Request::AddWatch { path, mode } => match mode {
                0 => {
                    self.watch(connection, Mode::Persistent, &path)?;
                    Ok(Response::WatchAdded(0))
                }
                1 => Err(ErrorCode::Unimplemented.into()),
                _ => Err(ErrorCode::MarshallingError.into()),
            },
            Request::CheckWatches { path, kind } => {
                let has = modes(kind)?.iter().any(|mode| self.watches.has(connection, *mode, &path));
                if has { Ok(Response::Empty) } else { Err(ErrorCode::NoWatcher.into()) }
            }
            Request::RemoveWatches { path, kind } => {
                let mut removed = false;
                for mode in modes(kind)? {
                    removed |= self.watches.remove(connection, *mode, &path);
                }
                if removed { Ok(Response::Empty) } else { Err(ErrorCode::NoWatcher.into()) }
            }
            Request::Ping => Ok(Response::Empty),
            _ => Err(ErrorCode::Unimplemented.into()),
        }
    }

    pub(super) fn watch(&mut self, connection: ConnectionId, mode: Mode, path: &str) -> Result<(), Trouble> {
        self.watches.add(connection, mode, path).map_err(|_| Trouble::Hangup(Farewell::TooManyWatches))
    }

    fn get_acl(&self, connection: ConnectionId, path: &str) -> Outcome {
        let node = self.tree.get(path).ok_or(ErrorCode::NoNode)?;
        let who = self.identities(connection);
        if !acl::permits(&node.acl, perms::READ | perms::ADMIN, who) {
            return Err(ErrorCode::NoAuth.into());
        }
        let acl = match acl::permits(&node.acl, perms::ADMIN, who) {
            true => node.acl.to_vec(),
            false => acl::masked(&node.acl),
        };
        Ok(Response::Acl { acl, stat: node.stat() })
    }

    fn readable(&self, connection: ConnectionId, path: &str) -> Result<&Node, ErrorCode> {
        let node = self.tree.get(path).ok_or(ErrorCode::NoNode)?;
        if self.stat_if_readable(connection, node) { Ok(node) } else { Err(ErrorCode::NoAuth) }
    }

    fn stat_if_readable(&self, connection: ConnectionId, node: &Node) -> bool {
        acl::permits(&node.acl, perms::READ, self.identities(connection))
    }
}

fn names(node: &Node) -> Result<Vec<String>, Trouble> {
    list(node.children.iter().map(|name| &**name))
}

/// The names as an answer has them, if they are not too long for one.
fn list<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Result<Vec<String>, Trouble> {
    const PREFIX: usize = 4;
    let bytes: usize = names.clone().map(|name| PREFIX + name.len()).sum();
    if bytes > LONGEST_ANSWER {
        return Err(Trouble::Hangup(Farewell::LongAnswer(bytes)));
    }
    Ok(names.map(str::to_owned).collect())
}

/// The kinds of watches that a removal names. Nobody has recursive ones yet.
fn modes(kind: WatchKind) -> Result<&'static [Mode], ErrorCode> {
    match kind {
        WatchKind::Children => Ok(&[Mode::Child]),
        WatchKind::Data => Ok(&[Mode::Data]),
        WatchKind::Any => Ok(&[Mode::Data, Mode::Child, Mode::Persistent]),
        WatchKind::Persistent => Ok(&[Mode::Persistent]),
        WatchKind::Recursive => Ok(&[]),
        WatchKind::Unknown(_) => Err(ErrorCode::MarshallingError),
    }
}
