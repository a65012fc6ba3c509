//! The rules of the plain program with one znode: it creates the znode, leads if that went well, else waits for
//! its end and tries again. Kinder than many such programs: it hears of its own znode's and session's end.

use zk_session::wire::{CreateMode, EventKind, Request, Response};
use zk_session::{Happening, RequestId};

use super::peer::Peer;
use super::{ELECTION, Order, Program, Told};
use crate::client::clock::SimClock;
use crate::client::wire::SimConnector;
use crate::plan::Plan;

pub(super) struct OneZnode {
    peer: Peer,
    wants: bool,
    connected: bool,
    asked: Option<(RequestId, Asked)>,
    leads: Option<i64>,
    told: Vec<Told>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Parents,
    Create,
    Watch,
}

impl OneZnode {
    pub(super) fn start(plan: &Plan, clock: SimClock, connector: SimConnector) -> OneZnode {
        let peer = Peer::new(plan, clock, connector);
        OneZnode { peer, wants: false, connected: false, asked: None, leads: None, told: Vec::new() }
    }

    fn ask(&mut self, asked: Asked, id: Option<RequestId>) {
        self.asked = id.map(|id| (id, asked));
    }

    fn elect(&mut self) {
        if self.connected && self.wants && self.leads.is_none() {
            let parent = ELECTION.rsplit_once('/').map_or("/", |(parent, _)| parent);
            let id = self.peer.ensure(parent);
            self.ask(Asked::Parents, id);
        }
    }

    fn over(&mut self) {
        if let Some(token) = self.leads.take() {
            self.told.push(Told::Over(token));
        }
    }

    fn watch(&mut self) {
        let id = self.peer.ask(Request::GetData { path: ELECTION.to_owned(), watch: true });
        self.ask(Asked::Watch, id);
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Restored { .. } => {
                self.connected = true;
                self.elect();
            }
            Happening::Detached { .. } => {
                self.connected = false;
                self.asked = None;
            }
            Happening::Ended(_) => {
                self.connected = false;
                self.over();
                self.peer.restart();
            }
            Happening::Event { event, .. } if event.kind == EventKind::Deleted => {
                self.over();
                self.elect();
            }
            Happening::Reply { id, outcome, .. } if self.asked.is_some_and(|(asked, _)| asked == id) => {
                let Some((_, asked)) = self.asked.take() else { return };
                match (asked, outcome) {
                    (Asked::Parents, _) => {
                        let id = self.peer.create(ELECTION.to_owned(), CreateMode::Ephemeral);
                        self.ask(Asked::Create, id);
                    }
                    (Asked::Create, Ok(Response::Created2 { stat, .. })) => {
                        self.leads = Some(stat.czxid);
                        self.told.push(Told::Leads(stat.czxid));
                        self.watch();
                    }
                    (Asked::Create, _) => self.watch(),
                    (Asked::Watch, Ok(_)) => {}
                    (Asked::Watch, Err(_)) => {
                        self.over();
                        self.elect();
                    }
                }
            }
            _ => {}
        }
    }
}

impl Program for OneZnode {
    fn run(&mut self) -> Vec<Told> {
        while let Some(happenings) = self.peer.next() {
            happenings.into_iter().for_each(|happening| self.happened(happening));
        }
        std::mem::take(&mut self.told)
    }

    fn order(&mut self, order: Order) {
        self.wants = order == Order::Campaign;
        if self.wants {
            self.elect();
        } else if self.leads.take().is_some() && self.connected {
            self.peer.ask(Request::Delete { path: ELECTION.to_owned(), version: -1 });
        }
    }

    fn believes(&self) -> Option<i64> {
        self.leads
    }
}
