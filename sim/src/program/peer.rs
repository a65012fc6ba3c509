//! What the programs with other rules share: our session under their decisions, and how the world plays them.
//!
//! They are given our session, with its quick notice of a silent server, so that only the rules differ.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use zk_session::wire::{Acl, CreateMode, ErrorCode, Request, Response, perms};
use zk_session::{Config, Happening, RequestId, Session};

use super::{Order, Program, Told};
use crate::client::clock::SimClock;
use crate::client::wire::SimConnector;
use crate::plan::Plan;

/// By what a program decides; `Asked` is what its one request under way is for.
pub(super) trait Rules {
    type Asked;

    fn peer(&self) -> &Peer<Self::Asked>;
    fn peer_mut(&mut self) -> &mut Peer<Self::Asked>;
    fn happened(&mut self, happening: Happening);
    /// Its application wants to lead, or wants it no more: `Peer::wants` says which.
    fn ordered(&mut self);
}

impl<R: Rules> Program for R {
    fn run(&mut self) -> Vec<Told> {
        while let Some(happenings) = self.peer_mut().next() {
            happenings.into_iter().for_each(|happening| self.happened(happening));
        }
        std::mem::take(&mut self.peer_mut().told)
    }

    fn order(&mut self, order: Order) {
        self.peer_mut().wants = order == Order::Campaign;
        self.ordered();
        self.peer_mut().told.clear();
    }

    fn believes(&self) -> Option<i64> {
        self.peer().leads
    }
}

pub(super) struct Peer<Asked> {
    session: Session<SimConnector, SimClock>,
    pub(super) wants: bool,
    pub(super) connected: bool,
    asked: Option<(RequestId, Asked)>,
    /// The token by which it leads.
    pub(super) leads: Option<i64>,
    told: Vec<Told>,
}

impl<Asked> Peer<Asked> {
    pub(super) fn new(plan: &Plan, clock: SimClock, connector: SimConnector) -> Peer<Asked> {
        let servers = "s0,s1,s2".parse().expect("three plain names");
        let timeout = Duration::from_millis(plan.timeout_ms);
        let session = Session::new(Config { timeout, ..Config::new(servers) }, connector, clock);
        Peer { session, wants: false, connected: false, asked: None, leads: None, told: Vec::new() }
    }

    /// What has happened since the last call, if anything has.
    fn next(&mut self) -> Option<Vec<Happening>> {
        let next = pin!(self.session.next());
        match next.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(happenings) => Some(happenings),
            Poll::Pending => None,
        }
    }

    pub(super) fn lead(&mut self, token: i64) {
        if self.leads.replace(token).is_none() {
            self.told.push(Told::Leads(token));
        }
    }

    pub(super) fn lead_no_more(&mut self) {
        if let Some(token) = self.leads.take() {
            self.told.push(Told::Over(token));
        }
    }

    /// The connection is gone, and with it the answer that was waited for.
    pub(super) fn detached(&mut self) {
        self.connected = false;
        self.asked = None;
    }

    /// The session is over; the next one begins.
    pub(super) fn restart(&mut self) {
        self.connected = false;
        self.lead_no_more();
        self.session.restart();
    }

    /// Sends a request whose answer is of no interest.
    pub(super) fn send(&mut self, request: Request) -> Option<RequestId> {
        self.session.submit(request).ok()
    }

    /// Sends the request whose answer is waited for from now on.
    pub(super) fn ask(&mut self, asked: Asked, request: Request) {
        self.asked = self.send(request).map(|id| (id, asked));
    }

    pub(super) fn ensure(&mut self, asked: Asked, path: &str) {
        let id = self.session.submit_ensure(path, &[Acl::anyone(perms::ALL)]);
        self.asked = id.ok().map(|id| (id, asked));
    }

    pub(super) fn create(&mut self, asked: Asked, path: String, mode: CreateMode) {
        let acl = vec![Acl::anyone(perms::ALL)];
        self.ask(asked, Request::Create2 { path, data: Some(b"peer".to_vec()), acl, mode });
    }

    /// What was asked, if this answers it.
    pub(super) fn answered(&mut self, happening: Happening) -> Option<(Asked, Result<Response, ErrorCode>)> {
        let Happening::Reply { id, outcome, .. } = happening else { return None };
        let (_, asked) = self.asked.take_if(|(asked, _)| *asked == id)?;
        Some((asked, outcome))
    }
}
