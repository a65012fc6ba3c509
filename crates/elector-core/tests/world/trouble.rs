//! Faults: losses, partitions, pauses, delays, and operators.

use crate::world::{Happening, World};

impl World {
    pub(crate) fn trouble(&mut self) {
        if !self.troubled {
            return;
        }
        self.within(50, 2_500, Happening::Trouble);
        let peer = self.random.below(self.peers.len() as u64) as usize;
        let connection = self.peers[peer].connection;
        let while_ = self.random.below(15_000);
        match self.random.below(16) {
            0..4 => {
                self.lose_connection(peer);
            }
            4..6 => {
                self.note(format!("{peer} cannot reach anybody for {while_}"));
                self.peers[peer].unreachable_until = self.now + while_;
                self.lose_connection(peer);
            }
            6..8 => {
                self.note(format!("{peer} pauses for {while_}"));
                self.peers[peer].paused_until = self.now + while_;
            }
            8..10 => {
                let Some(connection) = connection else { return };
                self.cut(connection);
                self.at(self.now + while_, Happening::Break(connection));
            }
            10 => self.isolate(peer, while_ / 5),
            11..13 => {
                let Some(connection) = connection else { return };
                self.ensemble.connection(connection).slow = while_ / 8;
            }
            13 => self.meddle(),
            14 => self.withdraw(peer),
            _ => self.ensemble.tree.reap(),
        }
    }

    /// The server that serves this connection loses its peers. It goes on answering what it can.
    pub(crate) fn cut(&mut self, connection: u64) {
        self.note(format!("the server of connection {connection} is cut off"));
        let tree = self.ensemble.tree.clone();
        self.ensemble.connection(connection).cut.get_or_insert(tree);
    }

    /// The worst for a lease: requests are held up and arrive in a burst, the server is cut off
    /// right after that, and no other can be reached.
    fn isolate(&mut self, peer: usize, held_up: u64) {
        let Some(connection) = self.peers[peer].connection else { return };
        let until = self.now + held_up;
        self.note(format!("what {peer} sends is held up until {until}"));
        let channel = self.ensemble.connection(connection);
        channel.up = channel.up.max(until);
        self.peers[peer].unreachable_until = until + 2 * self.timeout;
        self.within(held_up, held_up + 500, Happening::Cut(connection));
    }

    /// An operator deletes a znode, or writes to it.
    fn meddle(&mut self) {
        let count = self.ensemble.tree.nodes.len() as u64;
        if count == 0 {
            return;
        }
        let at = self.random.below(count) as usize;
        let Some((name, node)) = self.ensemble.tree.nodes.iter().nth(at) else { return };
        let (name, czxid) = (name.clone(), node.czxid);
        if self.random.one_in(2) {
            self.note(format!("an operator deletes {name:?} ({czxid})"));
            self.deposed.insert(czxid);
            self.change(|ensemble, sent| ensemble.delete(&name, sent));
        } else {
            self.change(|ensemble, sent| ensemble.touch(&name, sent));
        }
    }
}
