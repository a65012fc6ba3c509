//! Which server comes next.
//!
//! Purpose: the list of servers, shuffled once (but for one that its owner wants first), and the memory of what failed in the present round.
//! Invariant: the server given up or failed last is the last to be tried again; what is remembered never
//! exceeds one entry for each server. Used by the session only.

use crate::connect_string::HostPort;

/// The shuffled servers as a ring.
#[derive(Debug)]
pub(crate) struct Servers {
    ring: Vec<HostPort>,
    at: usize,
    tried: Vec<(String, String)>,
    rounds: u32,
}

impl Servers {
    pub(crate) fn new(mut hosts: Vec<HostPort>, first: Option<&str>, rng: &mut fastrand::Rng) -> Self {
        rng.shuffle(&mut hosts);
        let wanted = first.and_then(|first| hosts.iter().position(|host| host.to_string() == first));
        if let Some(wanted) = wanted {
            hosts.swap(0, wanted);
        }
        Self { ring: hosts, at: 0, tried: Vec::new(), rounds: 0 }
    }

    /// The one to try now; `None` only if the list is empty.
    pub(crate) fn current(&self) -> Option<&HostPort> {
        self.ring.get(self.at)
    }

    /// Whether there is no other server than the current one.
    pub(crate) fn has_only_one(&self) -> bool {
        self.ring.len() == 1
    }

    /// Full rounds that failed since a connection last held.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds
    }

    /// The present server, called `name`, failed; the next one is due. Returns the round's failures when it
    /// is complete.
    pub(crate) fn failed(&mut self, name: String, error: String) -> Option<Vec<(String, String)>> {
        self.advance();
        self.tried.push((name, error));
        if self.tried.len() < self.ring.len() {
            return None;
        }
        self.rounds = self.rounds.saturating_add(1);
        Some(std::mem::take(&mut self.tried))
    }

    /// The present server held for a good while and is now gone: earlier failures say nothing any more.
    pub(crate) fn lost_after_long(&mut self) {
        self.advance();
        self.forget();
    }

    /// Forgets all failures.
    pub(crate) fn forget(&mut self) {
        self.tried.clear();
        self.rounds = 0;
    }

    fn advance(&mut self) {
        self.at = (self.at + 1) % self.ring.len().max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(n: u16) -> Servers {
        let hosts = (1..=n).map(|port| HostPort { host: "h".into(), port }).collect();
        Servers::new(hosts, None, &mut fastrand::Rng::with_seed(7))
    }

    #[test]
    fn the_one_given_up_comes_last() {
        let mut servers = servers(3);
        let first = servers.current().cloned();
        servers.lost_after_long();
        let others = [servers.current().cloned(), {
            servers.failed("h".into(), "x".into());
            servers.current().cloned()
        }];
        assert!(!others.contains(&first));
        servers.failed("h".into(), "x".into());
        assert_eq!(servers.current().cloned(), first);
    }

    #[test]
    fn a_round_is_told_when_all_have_failed() {
        let mut servers = servers(3);
        assert_eq!(servers.failed("h".into(), "a".into()), None);
        assert_eq!(servers.failed("h".into(), "b".into()), None);
        let round = servers.failed("h".into(), "c".into()).expect("the round is complete");
        assert_eq!(round.iter().map(|(_, error)| error.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(servers.rounds(), 1);
        servers.lost_after_long();
        assert_eq!(servers.rounds(), 0);
    }

    #[test]
    fn one_that_is_wanted_comes_first_and_one_that_is_not_there_changes_nothing() {
        for seed in 0..50 {
            let first = |wanted: &str| {
                let hosts = (1..=3).map(|port| HostPort { host: "h".into(), port }).collect();
                let servers = Servers::new(hosts, Some(wanted), &mut fastrand::Rng::with_seed(seed));
                assert_eq!(servers.ring.len(), 3);
                servers.current().map(|host| host.port)
            };
            assert_eq!(first("h:2"), Some(2));
            assert!(first("other:2").is_some());
        }
    }

    #[test]
    fn all_orders_come_about() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..200 {
            let hosts = (1..=3).map(|port| HostPort { host: "h".into(), port }).collect();
            let servers = Servers::new(hosts, None, &mut fastrand::Rng::with_seed(seed));
            seen.insert(servers.ring.iter().map(|h| h.port).collect::<Vec<_>>());
        }
        assert_eq!(seen.len(), 6);
    }
}
