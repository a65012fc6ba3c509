//! Who leads the ensemble: servers that are cut off, die and come back, and elections.
//!
//! Invariant: nobody leads twice in one epoch. Who is cut off learns it late, and so do those who followed it; until
//! then it goes on as `Deposed`, which changes nothing but its own table of sessions.

use super::quorum::Deposed;
use super::server::Standing;
use super::sessions::Seat;
use super::{Ensemble, Later, SERVERS, SYNC_LIMIT};
use crate::MS;
use crate::record::{Sight, What};
use crate::service::Sink;

impl Ensemble {
    /// Cuts a server off from its peers, or ends that.
    pub(crate) fn cut(&mut self, server: usize, sink: &mut Sink<'_>) {
        self.servers[server].cut = true;
        self.servers[server].held.get_or_insert_default();
        let epoch = self.servers[server].epoch();
        let patience = sink.random.below(SYNC_LIMIT * self.tick);
        sink.after(patience, Later::GiveUp { server, epoch });
        if self.quorum.leader == Some(server) {
            self.depose(server, sink);
        } else if self.reachable() * 2 <= SERVERS {
            self.lose_quorum(sink);
        }
    }

    pub(crate) fn heal(&mut self, server: usize, sink: &mut Sink<'_>) {
        self.servers[server].cut = false;
        // The pings that were held up come first, before anything that is committed from now on.
        self.tell_of_sessions(server, sink);
        let way = sink.random.ms(50, 500);
        sink.after(way, Later::Rejoin { server });
    }

    pub(crate) fn crash(&mut self, server: usize, sink: &mut Sink<'_>) {
        self.drop_clients(server, sink);
        self.servers[server].standing = Standing::Down;
        self.quorum.deposed.remove(&server);
        if self.quorum.leader == Some(server) {
            // Its connections end with it: the others see that at once.
            self.quorum.leader = None;
            let way = sink.random.ms(10, 300);
            sink.after(way, Later::Notice { epoch: self.quorum.epoch });
        } else if self.reachable() * 2 <= SERVERS {
            self.lose_quorum(sink);
        }
    }

    pub(crate) fn restart(&mut self, server: usize, sink: &mut Sink<'_>) {
        if self.servers[server].standing == Standing::Down {
            self.servers[server].standing = Standing::Looking;
            let way = sink.random.ms(100, 800);
            sink.after(way, Later::Rejoin { server });
        }
    }

    /// A follower applies so much later from now on.
    pub(crate) fn slow_down(&mut self, server: usize, lag: u64) {
        self.servers[server].lag = lag;
    }

    /// Nothing keeps the servers apart any more: those who wait for a leader that has none learn it now.
    pub(crate) fn calm_down(&mut self, sink: &mut Sink<'_>) {
        if self.quorum.leader.is_none() {
            let way = sink.random.ms(10, 300);
            sink.after(way, Later::Notice { epoch: self.quorum.epoch });
        }
        for (server, Deposed { epoch, .. }) in &self.quorum.deposed {
            let (server, epoch) = (*server, *epoch);
            let way = sink.random.ms(10, 300);
            sink.after(way, Later::GiveUp { server, epoch });
        }
    }

    fn reachable(&self) -> usize {
        self.servers.iter().filter(|s| !s.cut && s.standing != Standing::Down).count()
    }

    fn lose_quorum(&mut self, sink: &mut Sink<'_>) {
        if let Some(leader) = self.quorum.leader {
            let epoch = self.quorum.epoch;
            let patience = sink.random.below(SYNC_LIMIT * self.tick);
            sink.after(patience, Later::GiveUp { server: leader, epoch });
            self.depose(leader, sink);
        }
    }

    /// The leader does not lead any more, and does not know it.
    fn depose(&mut self, server: usize, sink: &mut Sink<'_>) {
        let (epoch, sessions) = (self.quorum.epoch, self.quorum.sessions.clone());
        self.quorum.deposed.insert(server, Deposed { epoch, sessions });
        sink.note(What::Deposed, server as u64, epoch);
        self.quorum.leader = None;
        let longest = SYNC_LIMIT * self.tick;
        let way = if sink.random.one_in(2) { sink.random.ms(20, 300) } else { sink.random.below(longest) };
        sink.after(way, Later::Notice { epoch: self.quorum.epoch });
    }

    /// Those who followed look for another one.
    pub(super) fn notice(&mut self, epoch: u64, sink: &mut Sink<'_>) {
        for server in 0..SERVERS {
            if self.servers[server].epoch() == epoch && !self.quorum.is_deposed(server, epoch) {
                self.give_up(server, sink);
            }
        }
        if self.quorum.leader.is_none() && self.quorum.epoch == epoch {
            self.call_election(sink);
        }
    }

    pub(super) fn give_up(&mut self, server: usize, sink: &mut Sink<'_>) {
        self.drop_clients(server, sink);
        self.servers[server].standing = Standing::Looking;
        if let Some(deposed) = self.quorum.deposed.remove(&server) {
            // Those who still wait for its word see its connections end.
            let way = sink.random.ms(10, 300);
            sink.after(way, Later::Notice { epoch: deposed.epoch });
        }
        if !self.servers[server].cut {
            let way = sink.random.ms(50, 400);
            sink.after(way, Later::Rejoin { server });
        }
    }

    fn call_election(&mut self, sink: &mut Sink<'_>) {
        self.quorum.electing = self.quorum.epoch + 1;
        let way = sink.random.ms(100, 1_200);
        sink.after(way, Later::Elect { epoch: self.quorum.electing });
    }

    pub(super) fn elect(&mut self, epoch: u64, sink: &mut Sink<'_>) {
        let able = |s: &super::Server| !s.cut && s.standing == Standing::Looking;
        let able: Vec<usize> = (0..SERVERS).filter(|s| able(&self.servers[*s])).collect();
        // Nobody leads twice in one epoch: of two elections that were called at a time one comes too late.
        let is_called = self.quorum.electing == epoch && self.quorum.epoch < epoch;
        if self.quorum.leader.is_some() || !is_called || able.len() * 2 <= SERVERS {
            return;
        }
        // Of what was proposed, the first few may have reached the one that is elected.
        let kept = sink.random.below(self.quorum.in_flight.0.len() as u64 + 1);
        let proposed: Vec<_> = std::mem::take(&mut self.quorum.in_flight.0).into_iter().collect();
        (kept as usize..proposed.len()).for_each(|_| sink.saw(Sight::ProposalLost));
        for txn in proposed.into_iter().take(kept as usize) {
            sink.saw(Sight::ProposalKept);
            self.log_it(&txn, sink);
            self.log.push(txn);
        }
        let leader = sink.random.pick(&able);
        let quorum = &mut self.quorum;
        quorum.epoch = epoch;
        quorum.leader = Some(leader);
        quorum.committed.zxid = ((epoch as i64) << 32).max(quorum.committed.zxid);
        quorum.head = quorum.committed.clone();
        quorum.committing_at = sink.now;
        let before = std::mem::take(&mut quorum.sessions);
        let sessions = quorum.committed.sessions.iter();
        quorum.sessions = sessions
            .map(|(session, created_ms)| {
                let timeout = *created_ms as u64 * MS;
                if before.get(session).is_some_and(|seat| seat.timeout != timeout) {
                    sink.saw(Sight::CreatedTimeout);
                }
                sink.later.push((sink.now + timeout, Later::Expire { session: *session, epoch }));
                (*session, Seat::new(timeout, usize::MAX, sink.now))
            })
            .collect();
        sink.note(What::QuorumLeader, leader as u64, epoch);
        for server in able {
            self.serve(server, sink);
        }
    }

    fn serve(&mut self, server: usize, sink: &mut Sink<'_>) {
        self.servers[server].standing = Standing::Serving(self.quorum.epoch);
        self.servers[server].forget_leader();
        self.apply(server, self.log.len(), sink);
        let zxid = self.quorum.committed.zxid;
        if self.servers[server].applied == self.log.len() {
            self.servers[server].tree.zxid = zxid;
        }
    }

    /// A server that has its peers again: follows, or calls for an election.
    pub(super) fn rejoin(&mut self, server: usize, sink: &mut Sink<'_>) {
        let at = &self.servers[server];
        if at.cut || at.standing == Standing::Down {
            return;
        }
        match self.quorum.leader {
            // It was back before it had noticed anything: what it missed comes now.
            Some(_) if at.standing == Standing::Serving(self.quorum.epoch) => {
                let then = self.deliver(server, self.log.len(), sink);
                for later in self.servers[server].held.take().unwrap_or_default() {
                    sink.saw(Sight::HeldUp);
                    // An answer comes behind what was committed before it.
                    let at = if matches!(later, Later::CaughtUp { .. }) { then } else { sink.now };
                    sink.later.push((at, later));
                }
            }
            Some(_) => {
                if at.is_serving() {
                    self.give_up(server, sink);
                } else {
                    self.serve(server, sink);
                }
            }
            None => {
                // A deposed one that hears its peers again learns at once that they have left it.
                if at.is_serving() {
                    self.give_up(server, sink);
                }
                self.call_election(sink);
            }
        }
    }
}
