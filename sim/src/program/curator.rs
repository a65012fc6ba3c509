//! The rules of Curator's LeaderLatch: whoever has the lowest znode leads while it is connected; each other
//! watches the znode right before its own, and nobody watches its own. After a reconnect it starts anew.

use zk_session::wire::{CreateMode, EventKind, Request, Response};
use zk_session::{Happening, RequestId};

use super::peer::Peer;
use super::{ELECTION, Order, Program, Told};
use crate::client::clock::SimClock;
use crate::client::wire::SimConnector;
use crate::plan::Plan;
use crate::random::Random;

pub(super) struct Curator {
    peer: Peer,
    random: Random,
    wants: bool,
    connected: bool,
    asked: Option<(RequestId, Asked)>,
    own: Option<(String, i64)>,
    leads: Option<i64>,
    told: Vec<Told>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Parents,
    Create,
    Children,
    Predecessor,
}

impl Curator {
    pub(super) fn start(plan: &Plan, clock: SimClock, connector: SimConnector, random: Random) -> Curator {
        Curator {
            peer: Peer::new(plan, clock, connector),
            random,
            wants: false,
            connected: false,
            asked: None,
            own: None,
            leads: None,
            told: Vec::new(),
        }
    }

    fn ask(&mut self, asked: Asked, id: Option<RequestId>) {
        self.asked = id.map(|id| (id, asked));
    }

    fn set_leadership(&mut self, leads: Option<i64>) {
        if let Some(token) = self.leads.filter(|_| leads.is_none()) {
            self.told.push(Told::Over(token));
        }
        if let Some(token) = leads.filter(|_| self.leads.is_none()) {
            self.told.push(Told::Leads(token));
        }
        self.leads = leads;
    }

    /// Gives the old znode back and makes a new one.
    fn reset(&mut self) {
        self.set_leadership(None);
        if let Some((name, _)) = self.own.take() {
            self.peer.ask(Request::Delete { path: format!("{ELECTION}/{name}"), version: -1 });
        }
        if self.connected && self.wants {
            let id = self.peer.ensure(ELECTION);
            self.ask(Asked::Parents, id);
        }
    }

    fn children(&mut self) {
        let id = self.peer.ask(Request::GetChildren2 { path: ELECTION.to_owned(), watch: false });
        self.ask(Asked::Children, id);
    }

    fn check_leadership(&mut self, mut names: Vec<String>) {
        let number = |name: &String| name.get(name.len().saturating_sub(10)..).map(str::to_owned);
        names.sort_by_key(number);
        let Some((own, czxid)) = self.own.clone() else { return };
        match names.iter().position(|name| *name == own) {
            None => self.reset(),
            Some(0) => self.set_leadership(Some(czxid)),
            Some(at) => {
                let path = format!("{ELECTION}/{}", names[at - 1]);
                let id = self.peer.ask(Request::GetData { path, watch: true });
                self.ask(Asked::Predecessor, id);
            }
        }
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Restored { .. } => {
                self.connected = true;
                self.reset();
            }
            Happening::Detached { .. } => {
                self.connected = false;
                self.asked = None;
                self.set_leadership(None);
            }
            Happening::Ended(_) => {
                self.connected = false;
                self.own = None;
                self.set_leadership(None);
                self.peer.restart();
            }
            Happening::Event { event, .. }
                if event.kind == EventKind::Deleted
                    && self.connected
                    && self.own.is_some()
                    && self.leads.is_none() =>
            {
                self.children();
            }
            Happening::Reply { id, outcome, .. } if self.asked.is_some_and(|(asked, _)| asked == id) => {
                let Some((_, asked)) = self.asked.take() else { return };
                match (asked, outcome) {
                    (Asked::Parents, _) => {
                        let guid = self.random.next();
                        let path = format!("{ELECTION}/_c_{guid:016x}-latch-");
                        let id = self.peer.create(path, CreateMode::EphemeralSequential);
                        self.ask(Asked::Create, id);
                    }
                    (Asked::Create, Ok(Response::Created2 { path, stat })) => {
                        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                        self.own = Some((name, stat.czxid));
                        self.children();
                    }
                    (Asked::Children, Ok(Response::Children2 { names, .. })) => self.check_leadership(names),
                    (Asked::Predecessor, Ok(_)) => {}
                    (Asked::Predecessor, Err(_)) => self.children(),
                    _ => self.reset(),
                }
            }
            _ => {}
        }
    }
}

impl Program for Curator {
    fn run(&mut self) -> Vec<Told> {
        while let Some(happenings) = self.peer.next() {
            happenings.into_iter().for_each(|happening| self.happened(happening));
        }
        std::mem::take(&mut self.told)
    }

    fn order(&mut self, order: Order) {
        self.wants = order == Order::Campaign;
        if self.connected {
            self.reset();
        }
        self.told.clear();
    }

    fn believes(&self) -> Option<i64> {
        self.leads
    }
}
