//! The rules of Curator's LeaderLatch: whoever has the lowest znode leads while it is connected; each other
//! watches the znode right before its own, and nobody watches its own. After a reconnect it starts anew.

use zk_session::Happening;
use zk_session::wire::{CreateMode, EventKind, Request, Response};

use super::ELECTION;
use super::peer::{Peer, Rules};
use crate::client::clock::SimClock;
use crate::client::wire::SimConnector;
use crate::plan::Plan;
use crate::random::Random;

pub(super) struct Curator {
    peer: Peer<Asked>,
    random: Random,
    own: Option<(String, i64)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    Parents,
    Create,
    Children,
    Predecessor,
}

impl Curator {
    pub(super) fn start(plan: &Plan, clock: SimClock, connector: SimConnector, random: Random) -> Curator {
        Curator { peer: Peer::new(plan, clock, connector), random, own: None }
    }

    /// Gives the old znode back and makes a new one.
    fn reset(&mut self) {
        self.peer.lead_no_more();
        if let Some((name, _)) = self.own.take() {
            self.peer.send(Request::Delete { path: format!("{ELECTION}/{name}"), version: -1 });
        }
        if self.peer.connected && self.peer.wants {
            self.peer.ensure(Asked::Parents, ELECTION);
        }
    }

    fn children(&mut self) {
        self.peer.ask(Asked::Children, Request::GetChildren2 { path: ELECTION.to_owned(), watch: false });
    }

    fn check_leadership(&mut self, mut names: Vec<String>) {
        let number = |name: &String| name.get(name.len().saturating_sub(10)..).map(str::to_owned);
        names.sort_by_key(number);
        let Some((own, czxid)) = self.own.clone() else { return };
        match names.iter().position(|name| *name == own) {
            None => self.reset(),
            Some(0) => self.peer.lead(czxid),
            Some(at) => {
                let path = format!("{ELECTION}/{}", names[at - 1]);
                self.peer.ask(Asked::Predecessor, Request::GetData { path, watch: true });
            }
        }
    }
}

impl Rules for Curator {
    type Asked = Asked;

    fn peer(&self) -> &Peer<Asked> {
        &self.peer
    }

    fn peer_mut(&mut self) -> &mut Peer<Asked> {
        &mut self.peer
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Restored { .. } => {
                self.peer.connected = true;
                self.reset();
            }
            Happening::Detached { .. } => {
                self.peer.detached();
                self.peer.lead_no_more();
            }
            Happening::Ended(_) => {
                self.own = None;
                self.peer.restart();
            }
            Happening::Event { event, .. } => {
                let waits = self.peer.connected && self.own.is_some() && self.peer.leads.is_none();
                if event.kind == EventKind::Deleted && waits {
                    self.children();
                }
            }
            other => match self.peer.answered(other) {
                None | Some((Asked::Predecessor, Ok(_))) => {}
                Some((Asked::Parents, _)) => {
                    let guid = self.random.next();
                    let path = format!("{ELECTION}/_c_{guid:016x}-latch-");
                    self.peer.create(Asked::Create, path, CreateMode::EphemeralSequential);
                }
                Some((Asked::Create, Ok(Response::Created2 { path, stat }))) => {
                    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                    self.own = Some((name, stat.czxid));
                    self.children();
                }
                Some((Asked::Children, Ok(Response::Children2 { names, .. }))) => {
                    self.check_leadership(names);
                }
                Some((Asked::Predecessor, Err(_))) => self.children(),
                Some(_) => self.reset(),
            },
        }
    }

    fn ordered(&mut self) {
        if self.peer.connected {
            self.reset();
        }
    }
}
