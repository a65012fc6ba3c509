//! Paths as the owner sees them, and as the server does.
//!
//! Purpose: put the chroot in front of every path that goes out, and take it off every path that comes in.
//! Invariant: a path that goes out is one that the server accepts; a path from outside the chroot never
//! comes in. Used by the session only.

use zk_wire::{MultiOp, MultiResult, PathError, Request, Response, path};

/// The part of the tree that the session sees; empty for all of it.
#[derive(Debug, Clone)]
pub(crate) struct Chroot(String);

/// A server named a path that lies outside the chroot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outside;

impl Chroot {
    pub(crate) fn new(chroot: Option<&str>) -> Self {
        Self(chroot.unwrap_or("").to_owned())
    }

    /// The server's path for `path`, after checking it.
    pub(crate) fn outward(&self, path: &str) -> Result<String, PathError> {
        path::validate(path)?;
        Ok(match (path, self.0.as_str()) {
            (path, "") => path.to_owned(),
            ("/", chroot) => chroot.to_owned(),
            (path, chroot) => format!("{chroot}{path}"),
        })
    }

    /// The same for a path to which the server appends a number: `/` is then a beginning, not the root.
    fn outward_sequential(&self, path: &str) -> Result<String, PathError> {
        path::validate_sequential(path)?;
        Ok(format!("{}{path}", self.0))
    }

    /// The owner's path for the server's.
    pub(crate) fn inward(&self, path: &str) -> Result<String, Outside> {
        match path.strip_prefix(self.0.as_str()) {
            Some("") if !self.0.is_empty() => Ok("/".to_owned()),
            Some(rest) if rest.starts_with('/') => Ok(rest.to_owned()),
            _ => Err(Outside),
        }
    }

    /// Turns all paths of a request outward.
    pub(crate) fn request_outward(&self, request: &mut Request) -> Result<(), PathError> {
        match request {
            Request::Create { path, mode, .. }
            | Request::Create2 { path, mode, .. }
            | Request::CreateContainer { path, mode, .. } => self.created(path, mode.is_sequential())?,
            Request::Delete { path, .. }
            | Request::Exists { path, .. }
            | Request::GetData { path, .. }
            | Request::SetData { path, .. }
            | Request::GetChildren { path, .. }
            | Request::GetChildren2 { path, .. }
            | Request::GetAcl { path }
            | Request::SetAcl { path, .. }
            | Request::GetEphemerals { prefix: path }
            | Request::CountDescendants { path }
            | Request::CheckWatches { path, .. }
            | Request::AddWatch { path, .. }
            | Request::Sync { path }
            | Request::RemoveWatches { path, .. } => *path = self.outward(path)?,
            Request::Multi(ops) => {
                for op in ops {
                    self.op_outward(op)?;
                }
            }
            Request::SetWatches { data, exist, child, .. } => {
                for path in data.iter_mut().chain(exist).chain(child) {
                    *path = self.outward(path)?;
                }
            }
            Request::SetWatches2 { .. }
            | Request::Auth { .. }
            | Request::Ping
            | Request::Close
            | Request::WhoAmI => {}
        }
        Ok(())
    }

    fn op_outward(&self, op: &mut MultiOp) -> Result<(), PathError> {
        match op {
            MultiOp::Create { path, mode, .. }
            | MultiOp::Create2 { path, mode, .. }
            | MultiOp::CreateContainer { path, mode, .. } => self.created(path, mode.is_sequential())?,
            MultiOp::Delete { path, .. } | MultiOp::SetData { path, .. } | MultiOp::Check { path, .. } => {
                *path = self.outward(path)?;
            }
        }
        Ok(())
    }

    fn created(&self, path: &mut String, sequential: bool) -> Result<(), PathError> {
        *path = if sequential { self.outward_sequential(path)? } else { self.outward(path)? };
        Ok(())
    }

    /// Turns all paths of a response inward.
    pub(crate) fn response_inward(&self, response: &mut Response) -> Result<(), Outside> {
        match response {
            Response::Created { path } | Response::Created2 { path, .. } | Response::Synced { path } => {
                *path = self.inward(path)?;
            }
            Response::Multi(results) => {
                for result in results {
                    if let MultiResult::Created { path } | MultiResult::Created2 { path, .. } = result {
                        *path = self.inward(path)?;
                    }
                }
            }
            Response::Ephemerals(paths) => {
                for path in paths {
                    *path = self.inward(path)?;
                }
            }
            Response::Stat(_)
            | Response::Children { .. }
            | Response::Acl { .. }
            | Response::Count(_)
            | Response::WatchAdded(_)
            | Response::Data { .. }
            | Response::Children2 { .. }
            | Response::WhoAmI(_)
            | Response::Empty => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_wire::CreateMode;

    #[test]
    fn out_and_in_again() {
        for (chroot, path, server) in [
            (None, "/", "/"),
            (None, "/a/b", "/a/b"),
            (Some("/root"), "/", "/root"),
            (Some("/root"), "/a", "/root/a"),
            (Some("/r/s"), "/a/b", "/r/s/a/b"),
        ] {
            let chroot = Chroot::new(chroot);
            assert_eq!(chroot.outward(path).as_deref(), Ok(server));
            assert_eq!(chroot.inward(server).as_deref(), Ok(path));
        }
    }

    #[test]
    fn what_lies_outside_stays_outside() {
        let chroot = Chroot::new(Some("/root"));
        for path in ["/", "/roots", "/other", "", "root", "/roo"] {
            assert_eq!(chroot.inward(path), Err(Outside), "{path}");
        }
        assert_eq!(Chroot::new(None).inward("relative"), Err(Outside));
    }

    #[test]
    fn a_bad_path_does_not_go_out() {
        let chroot = Chroot::new(Some("/root"));
        for path in ["", "a", "/a/", "/a//b", "/..", "/a/../../etc"] {
            assert!(chroot.outward(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_sequential_node_may_be_named_by_its_number_alone() {
        let mut request = Request::Create2 {
            path: "/".into(),
            data: None,
            acl: Vec::new(),
            mode: CreateMode::EphemeralSequential,
        };
        Chroot::new(Some("/root")).request_outward(&mut request).expect("good path");
        assert!(matches!(&request, Request::Create2 { path, .. } if path == "/root/"), "{request:?}");
    }
}
