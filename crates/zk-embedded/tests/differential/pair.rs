//! One client on each of the two servers, in step, and what makes their answers comparable.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use zk_wire::{ErrorCode, Request, Response, Stat, WatchEvent};

use crate::client::Client;
use crate::known;

/// Longer than any history.
const TIMEOUT: Duration = Duration::from_secs(40);

/// What makes the answers of one server comparable with those of the other: zxids count from the beginning
/// of the history, sessions are named by their order.
#[derive(Debug, Default)]
pub(crate) struct Scale {
    base: i64,
    sessions: HashMap<i64, i64>,
}

impl Scale {
    /// Zxids from before the history are all alike: 0.
    fn zxid(&self, zxid: i64) -> i64 {
        if zxid < 0 { zxid } else { (zxid - self.base).max(0) }
    }

    fn stat(&self, stat: &mut Stat) {
        for zxid in [&mut stat.czxid, &mut stat.mzxid, &mut stat.pzxid] {
            *zxid = self.zxid(*zxid);
        }
        // Whether it was made when its data was set is comparable, when that was is not.
        stat.mtime = i64::from(stat.mzxid != stat.czxid);
        stat.ctime = 0;
        stat.ephemeral_owner = match stat.ephemeral_owner {
            0 => 0,
            owner => *self.sessions.get(&owner).unwrap_or(&-1),
        };
    }

    fn response(&self, response: &mut Response) {
        known::response(response);
        match response {
            Response::Created2 { stat, .. } | Response::Stat(stat) | Response::Data { stat, .. } => {
                self.stat(stat);
            }
            Response::Children2 { names, stat } => {
                names.sort();
                self.stat(stat);
            }
            Response::Children { names } | Response::Ephemerals(names) => names.sort(),
            Response::Acl { stat, .. } => self.stat(stat),
            Response::WhoAmI(who) => who.sort(),
            Response::Multi(results) => {
                for result in results {
                    match result {
                        zk_wire::MultiResult::Stat(stat) | zk_wire::MultiResult::Created2 { stat, .. } => {
                            self.stat(stat);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// The two servers, as one history sees them.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) addresses: [SocketAddr; 2],
    pub(crate) scales: [Scale; 2],
    sessions: i64,
}

impl Servers {
    pub(crate) fn new(ours: SocketAddr, theirs: SocketAddr) -> Self {
        let mut servers =
            Self { addresses: [ours, theirs], scales: [Scale::default(), Scale::default()], sessions: 0 };
        let mut pair = servers.connect();
        for (client, scale) in pair.clients.iter_mut().zip(&mut servers.scales) {
            scale.base = client.call(&Request::Exists { path: "/".into(), watch: false }).0;
        }
        pair.close();
        servers
    }

    pub(crate) fn connect(&mut self) -> Pair {
        let clients = self.addresses.map(|address| Client::connect(address, TIMEOUT));
        self.sessions += 1;
        for (client, scale) in clients.iter().zip(&mut self.scales) {
            scale.sessions.insert(client.session, self.sessions);
        }
        Pair { clients }
    }

    /// The sessions of this pair go on over new connections.
    pub(crate) fn resume(&self, pair: &Pair) -> Pair {
        let resume = |index: usize| {
            Client::resume(self.addresses[index], &pair.clients[index]).expect("the session lives")
        };
        Pair { clients: [resume(0), resume(1)] }
    }

    /// Sends all requests at once and compares the answers one by one.
    pub(crate) fn compare(&self, pair: &mut Pair, requests: &[Request]) -> Result<(), String> {
        let numbers = pair
            .clients
            .each_mut()
            .map(|client| requests.iter().map(|request| client.send(request)).collect::<Vec<_>>());
        for (index, request) in requests.iter().enumerate() {
            let mut answers = [0, 1].map(|which: usize| {
                let (zxid, mut outcome) =
                    pair.clients[which].answer(numbers[which][index], request.op()).expect("hung up");
                if let Ok(response) = &mut outcome {
                    self.scales[which].response(response);
                }
                (self.scales[which].zxid(zxid), outcome)
            });
            if matches!(answers[0].1, Err(ErrorCode::Unimplemented)) {
                // Only a history that asks for what is not there could get here.
                return Err(format!("{request:?}: unimplemented"));
            }
            if answers[0] != answers[1] && !known::answers(request, &answers[0].1, &answers[1].1) {
                let [ours, theirs] = &mut answers;
                return Err(format!("{request:?}\n  ours   {ours:?}\n  theirs {theirs:?}"));
            }
        }
        Ok(())
    }

    /// The zxid, counted from the beginning of the history, as each server has it.
    pub(crate) fn absolute(&self, zxid: i64) -> [i64; 2] {
        self.scales.each_ref().map(|scale| scale.base + zxid)
    }
}

#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) clients: [Client; 2],
}

impl Pair {
    /// Events of both since the last time, in their order.
    pub(crate) fn events(&mut self) -> [Vec<WatchEvent>; 2] {
        self.clients.each_mut().map(|client| client.settle().into_iter().map(|(_, event)| event).collect())
    }

    pub(crate) fn close(&mut self) {
        self.clients.iter_mut().for_each(Client::close);
    }
}
