//! What must hold, and the report if it does not.

use elector_core::Token;

use crate::peer::{Peer, Told};
use crate::world::World;

impl World {
    /// What holds at every true time: whoever is within a term has the lowest live znode, so no two
    /// are; except one whose znode an operator has deleted, who cannot know it yet.
    pub(crate) fn check(&self) {
        for peer in 0..self.peers.len() {
            let Some(token) = self.peers[peer].term(self.now) else { continue };
            let lowest = self.ensemble.tree.lowest().map(|node| node.czxid);
            if lowest != Some(token.as_i64()) && !self.deposed.contains(&token.as_i64()) {
                self.fail(format!("{peer} is within term {token}, but the lowest znode is {lowest:?}"));
            }
        }
    }

    /// What holds after each of a candidate's steps: no leading without a live deadline.
    pub(crate) fn check_deadline(&self, peer: usize) {
        let Peer { told, candidate, .. } = &self.peers[peer];
        let live = candidate.deadlines().is_some_and(|d| self.peers[peer].local(self.now) < d.term);
        if matches!(told, Told::Leading(_)) && !live {
            self.fail(format!("{peer} leads without a live deadline"));
        }
    }

    pub(crate) fn check_token(&mut self, token: Token) {
        let highest = self.tokens.last().copied();
        if !self.tokens.insert(token) {
            self.fail(format!("a second term for {token}"));
        }
        if highest > Some(token) && !self.deposed.contains(&token.as_i64()) {
            self.fail(format!("{token} after {highest:?}"));
        }
    }

    pub(crate) fn check_that_one_leads(&self) {
        let leaders = self.peers.iter().filter(|peer| matches!(peer.told, Told::Leading(_))).count();
        if leaders != 1 {
            self.fail(format!("{leaders} lead in the end"));
        }
    }

    pub(crate) fn check_that_nothing_is_left(&self) {
        if !self.ensemble.tree.nodes.is_empty() || self.peers.iter().any(|peer| !peer.resting) {
            self.fail(format!("left behind: {:?}", self.ensemble.tree.nodes));
        }
    }

    pub(crate) fn fail(&self, what: String) -> ! {
        panic!("{}\n{:>9}: {what}\nseed {}", self.trace(), self.now, self.seed)
    }
}
