//! Between the core's words and ZooKeeper's: requests, answers, refusals, events.

use elector_core::{Answer, Change, Layout, Refusal, Request};
use elector_teeth::{Tooth, bites};
use zk_session::wire::{self, CreateMode, ErrorCode, EventKind, MultiOp, MultiResult, Response, WatchEvent};

use super::Settings;
use crate::path;

/// What a request becomes on the session.
pub(super) enum Encoded {
    /// One request.
    Plain(wire::Request),
    /// Make this path and all above it.
    Ensure(String),
}

impl Settings {
    /// The path of a child of the election, or of the election itself for the empty name.
    pub(super) fn znode(&self, name: &str) -> String {
        if name.is_empty() { self.path.to_string() } else { [&*self.path, "/", name].concat() }
    }

    pub(super) fn encode(&self, request: &Request) -> Encoded {
        let znode = |name: &str| self.znode(name);
        Encoded::Plain(match request {
            Request::EnsureParents => {
                let missing =
                    if self.layout == Layout::Single { path::parent(&self.path) } else { &self.path };
                return Encoded::Ensure(missing.to_owned());
            }
            Request::Create { name } => wire::Request::Create2 {
                path: znode(name),
                data: Some(self.id.as_bytes().to_vec()),
                acl: self.acl.clone(),
                mode: match self.layout {
                    Layout::Single => CreateMode::Ephemeral,
                    _ => CreateMode::EphemeralSequential,
                },
            },
            Request::List { .. } => wire::Request::GetChildren2 { path: znode(""), watch: false },
            Request::Sync => wire::Request::Sync { path: znode("") },
            Request::Watch { nearest, others } => wire::Request::SetWatches {
                relative_zxid: i64::MAX,
                data: nearest.iter().map(|name| znode(name)).collect(),
                exist: Vec::new(),
                child: others.iter().map(|name| znode(name)).collect(),
            },
            Request::Read { name, watch } => wire::Request::GetData { path: znode(name), watch: *watch },
            Request::Probe { name } if self.alone => {
                wire::Request::Exists { path: znode(name), watch: false }
            }
            Request::Probe { name } => {
                wire::Request::Multi(vec![MultiOp::Check { path: znode(name), version: -1 }])
            }
            Request::Delete { name } => wire::Request::Delete { path: znode(name), version: -1 },
        })
    }

    /// The child that an event is about, and what happened to it.
    pub(super) fn event(&self, event: &WatchEvent) -> Option<(String, Change)> {
        let below = event.path.strip_prefix(&*self.path)?;
        let name = if below.is_empty() { "" } else { below.strip_prefix('/')? };
        let change = match event.kind {
            EventKind::Deleted => Change::Deleted,
            EventKind::Created | EventKind::DataChanged | EventKind::ChildrenChanged => Change::Touched,
            _ => return None,
        };
        Some((name.to_owned(), change))
    }
}

/// An answer in the core's words.
pub(super) fn decode(outcome: Result<Response, ErrorCode>) -> Result<Answer, Refusal> {
    match outcome.map_err(refusal)? {
        Response::Created2 { path, stat } => Ok(Answer::Created {
            name: path.rsplit('/').next().unwrap_or_default().to_owned(),
            czxid: stat.czxid,
            owner: stat.ephemeral_owner,
        }),
        Response::Children2 { names, .. } => Ok(Answer::Listed(names)),
        Response::Data { stat, .. } => {
            // Who may write to a znode must not make its term another one: only the creation counts.
            let czxid = if bites(Tooth::TokenOfLastWrite) { stat.mzxid } else { stat.czxid };
            Ok(Answer::Node { czxid, owner: stat.ephemeral_owner })
        }
        Response::Multi(results) => results.iter().find_map(failure).map_or(Ok(Answer::Done), Err),
        _ => Ok(Answer::Done),
    }
}

fn failure(result: &MultiResult) -> Option<Refusal> {
    match result {
        MultiResult::Failed(code) if i32::from(*code) != 0 => Some(refusal(*code)),
        _ => None,
    }
}

fn refusal(code: ErrorCode) -> Refusal {
    match code {
        ErrorCode::NoNode => Refusal::NoNode,
        ErrorCode::NodeExists => Refusal::NodeExists,
        ErrorCode::NoChildrenForEphemerals => Refusal::NoChildrenForEphemerals,
        ErrorCode::NoAuth => Refusal::NoAuth,
        ErrorCode::InvalidAcl => Refusal::InvalidAcl,
        other => Refusal::Code(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use elector_core::{Margins, OnDisconnect};

    use super::*;
    use crate::place::Place;

    fn settings() -> Settings {
        Settings {
            place: Place::Ensemble("zk1:2181".into()),
            credentials: Vec::new(),
            path: "/billing".into(),
            id: "a".into(),
            layout: Layout::Latch,
            timeout: Duration::from_secs(10),
            margins: Margins::default(),
            alone: false,
            on_disconnect: OnDisconnect::Hold,
            acl: Vec::new(),
            path_acl: Vec::new(),
            name_neighbours: false,
        }
    }

    #[test]
    fn the_next_in_line_has_the_kind_of_watch_that_is_told_first() {
        let watch = Request::Watch { nearest: Some("b".into()), others: vec!["a".into(), "c".into()] };
        let Encoded::Plain(wire::Request::SetWatches { data, exist, child, .. }) = settings().encode(&watch)
        else {
            panic!("not a setWatches")
        };
        assert_eq!(data, ["/billing/b"]);
        assert_eq!(child, ["/billing/a", "/billing/c"]);
        assert!(exist.is_empty());
    }

    #[test]
    fn the_creation_of_a_znode_is_its_term_whatever_was_written_since() {
        let stat = wire::Stat { czxid: 7, mzxid: 8, pzxid: 9, ephemeral_owner: 5, ..Default::default() };
        let made = Response::Created2 { path: "/billing/a".into(), stat };
        assert_eq!(decode(Ok(made)), Ok(Answer::Created { name: "a".into(), czxid: 7, owner: 5 }));
        let read = Response::Data { data: Default::default(), stat };
        assert_eq!(decode(Ok(read)), Ok(Answer::Node { czxid: 7, owner: 5 }));
    }

    /// A foreign contender may be no ephemeral and have children: then the watch is used up.
    #[test]
    fn whatever_uses_a_watch_up_is_told() {
        let event = |kind, path: &str| {
            settings().event(&WatchEvent { kind, state: WatchEvent::SYNC_CONNECTED, path: path.to_owned() })
        };
        for kind in [EventKind::Created, EventKind::DataChanged, EventKind::ChildrenChanged] {
            assert_eq!(event(kind, "/billing/c"), Some(("c".into(), Change::Touched)));
        }
        assert_eq!(event(EventKind::Deleted, "/billing/c"), Some(("c".into(), Change::Deleted)));
        assert_eq!(event(EventKind::Deleted, "/billings/c"), None);
    }
}
