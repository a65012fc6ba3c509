//! The rules of the plain program with one znode: it creates the znode, leads if that went well, else waits for
//! its end and tries again. Kinder than many such programs: it hears of its own znode's and session's end.

use zk_session::Happening;
use zk_session::wire::{CreateMode, EventKind, Request, Response};

use super::ELECTION;
use super::peer::{Peer, Rules};
use crate::client::clock::SimClock;
use crate::client::wire::SimConnector;
use crate::plan::Plan;

pub(super) struct OneZnode(Peer<Asked>);

#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    Parents,
    Create,
    Watch,
}

impl OneZnode {
    pub(super) fn start(plan: &Plan, clock: SimClock, connector: SimConnector) -> OneZnode {
        OneZnode(Peer::new(plan, clock, connector))
    }

    fn elect(&mut self) {
        if self.0.connected && self.0.wants && self.0.leads.is_none() {
            let parent = ELECTION.rsplit_once('/').map_or("/", |(parent, _)| parent);
            self.0.ensure(Asked::Parents, parent);
        }
    }

    fn watch(&mut self) {
        self.0.ask(Asked::Watch, Request::GetData { path: ELECTION.to_owned(), watch: true });
    }
}

impl Rules for OneZnode {
    type Asked = Asked;

    fn peer(&self) -> &Peer<Asked> {
        &self.0
    }

    fn peer_mut(&mut self) -> &mut Peer<Asked> {
        &mut self.0
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Restored { .. } => {
                self.0.connected = true;
                self.elect();
            }
            Happening::Detached { .. } => self.0.detached(),
            Happening::Ended(_) => self.0.restart(),
            Happening::Event { event, .. } => {
                if event.kind == EventKind::Deleted {
                    self.0.lead_no_more();
                    self.elect();
                }
            }
            other => match self.0.answered(other) {
                None | Some((Asked::Watch, Ok(_))) => {}
                Some((Asked::Parents, _)) => {
                    self.0.create(Asked::Create, ELECTION.to_owned(), CreateMode::Ephemeral);
                }
                Some((Asked::Create, Ok(Response::Created2 { stat, .. }))) => {
                    self.0.lead(stat.czxid);
                    self.watch();
                }
                Some((Asked::Create, _)) => self.watch(),
                Some((Asked::Watch, Err(_))) => {
                    self.0.lead_no_more();
                    self.elect();
                }
            },
        }
    }

    fn ordered(&mut self) {
        if self.0.wants {
            self.elect();
        } else if self.0.leads.take().is_some() && self.0.connected {
            self.0.send(Request::Delete { path: ELECTION.to_owned(), version: -1 });
        }
    }
}
