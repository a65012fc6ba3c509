//! What the programs with other rules share: our session under their decisions.
//!
//! They are given our session, with its quick notice of a silent server, so that only the rules differ.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use zk_session::wire::{Acl, CreateMode, Request, perms};
use zk_session::{Config, Happening, RequestId, Session};

use crate::client::clock::SimClock;
use crate::client::wire::SimConnector;
use crate::plan::Plan;

pub(super) struct Peer {
    session: Session<SimConnector, SimClock>,
}

impl Peer {
    pub(super) fn new(plan: &Plan, clock: SimClock, connector: SimConnector) -> Peer {
        let servers = "s0,s1,s2".parse().expect("three plain names");
        let timeout = Duration::from_millis(plan.timeout_ms);
        let session = Session::new(Config { timeout, ..Config::new(servers) }, connector, clock);
        Peer { session }
    }

    /// What has happened since the last call, if anything has.
    pub(super) fn next(&mut self) -> Option<Vec<Happening>> {
        let next = pin!(self.session.next());
        match next.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(happenings) => Some(happenings),
            Poll::Pending => None,
        }
    }

    /// The session is over; the next one begins.
    pub(super) fn restart(&mut self) {
        self.session.restart();
    }

    pub(super) fn ask(&mut self, request: Request) -> Option<RequestId> {
        self.session.submit(request).ok()
    }

    pub(super) fn ensure(&mut self, path: &str) -> Option<RequestId> {
        self.session.submit_ensure(path, &[Acl::anyone(perms::ALL)]).ok()
    }

    pub(super) fn create(&mut self, path: String, mode: CreateMode) -> Option<RequestId> {
        let acl = vec![Acl::anyone(perms::ALL)];
        self.ask(Request::Create2 { path, data: Some(b"peer".to_vec()), acl, mode })
    }
}
