//! Brings a plan's faults about, and takes them back.

use zk_wire::Request;

use super::{Event, Phase, Service, World};
use crate::ensemble::SERVERS;
use crate::plan::{Fault, Rules, TROUBLE, Trouble};
use crate::program::{ELECTION, Order};
use crate::record::What;
use crate::service::Sink;
use crate::{MS, SECOND};

impl World {
    pub(super) fn begin(&mut self, index: usize) {
        if self.phase != Phase::Trouble {
            return;
        }
        let Fault { lasts, what, .. } = self.plan.faults[index];
        // Connections that break again and again need not be there each time.
        if !self.finds(what) && !self.fired.contains_key(&index) {
            return self.put_off(index);
        }
        self.record.note(self.now, None, What::FaultBegins, index as u64, 0);
        self.counts_fault(index);
        // What comes to somebody who stands still is planned for then, so that must be known.
        let stands_still = matches!(what, Trouble::StallHost | Trouble::Pause { .. });
        let longest = if stands_still { TROUBLE - self.now } else { u64::MAX };
        let end = self.now + lasts.min(longest);
        match what {
            Trouble::Pause { who } => {
                let member = &mut self.members[who];
                member.paused_until = member.paused_until.max(end);
                // Whatever it was to be woken for waits until then.
                member.wakes_at = u64::MAX;
                self.wake(who, end);
            }
            Trouble::Jump { who, by } => self.members[who].face.jump(by),
            Trouble::Kill { who } => self.die(who, true, end),
            Trouble::Vanish { who } => self.die(who, false, end),
            Trouble::CutUp { who, server } => self.paths[who][server].up_cut_until = end,
            Trouble::CutDown { who, server } => self.paths[who][server].down_cut_until = end,
            Trouble::CutOff { who } => {
                for path in &mut self.paths[who] {
                    (path.up_cut_until, path.down_cut_until) = (end, end);
                }
            }
            Trouble::Drop { who } => self.break_wires(who),
            Trouble::Flap { who } => {
                self.break_wires(who);
                let more = self.now + self.network.ms(100, 1_000);
                if more < end && self.plan.faults[index].at + 10 * SECOND > more {
                    self.at(more, Event::Begin(index));
                }
            }
            Trouble::Slow { who, by } => self.paths[who].iter_mut().for_each(|path| path.slow = by),
            Trouble::Lossy { who } => self.paths[who].iter_mut().for_each(|path| path.lossy = true),
            Trouble::Leave { who } => {
                let life = self.members[who].life;
                self.order(who, life, Order::Leave, None);
            }
            Trouble::Quit { who } => {
                let life = self.members[who].life;
                // The others have no good end of their own.
                let order = if self.plan.rules == Rules::Ours { Order::Quit } else { Order::Leave };
                self.order(who, life, order, None);
            }
            Trouble::DeleteLowest => self.delete(|_| 0),
            Trouble::DeleteAny => {
                let any = self.application.next();
                self.delete(|count| any as usize % count);
            }
            Trouble::Wipe => {
                for (path, _, _) in self.contenders_znodes() {
                    self.meddle(Request::Delete { path, version: -1 });
                }
                self.meddle(Request::Delete { path: ELECTION.to_owned(), version: -1 });
            }
            Trouble::Scribble => {
                if let Some((path, _, _)) = self.contenders_znodes().into_iter().next() {
                    self.meddle(Request::SetData { path, data: Some(b"?".to_vec()), version: -1 });
                }
            }
            Trouble::ForgeClose { who } => self.forge_close(who),
            Trouble::Strand
            | Trouble::StrandLate
            | Trouble::StrandAtQuorumLeader
            | Trouble::FreezeAndCrash
            | Trouble::CutOffAndElect
            | Trouble::LateRequest { .. }
            | Trouble::LateAnswer { .. }
            | Trouble::LateAttachment { .. } => self.begin_misfortune(what, lasts),
            Trouble::StrandAtAnswer { who, answers } => {
                self.members[who].strand_after = Some((answers, lasts));
            }
            Trouble::HoldUp { who } => self.paths[who].iter_mut().for_each(|path| path.up_held_until = end),
            Trouble::HoldDown { who } => {
                self.paths[who].iter_mut().for_each(|path| path.down_held_until = end)
            }
            Trouble::BreakAtCreate { who } => self.members[who].break_at_create = true,
            Trouble::CutServer { .. }
            | Trouble::CutQuorumLeader
            | Trouble::CrashServer { .. }
            | Trouble::CrashAll
            | Trouble::Lag { .. } => self.begin_at_ensemble(index, what),
            Trouble::CrashHost
            | Trouble::StallHost
            | Trouble::SlowDisk { .. }
            | Trouble::FailSync
            | Trouble::FlipBit => self.begin_at_host(what, end),
        }
        self.at(end, Event::End(index));
    }

    /// A fault that finds nobody to hurt waits for somebody.
    fn put_off(&mut self, index: usize) {
        let later = self.now + SECOND;
        if later < TROUBLE {
            self.plan.faults[index].at = later;
            self.at(later, Event::Begin(index));
        }
    }

    /// Becomes plain faults that begin now, to whoever leads.
    fn begin_misfortune(&mut self, what: Trouble, lasts: u64) {
        let Some((who, carrier, quorum_leader)) = self.whoever_leads() else { return };
        match what {
            Trouble::Strand => self.strand(who, lasts),
            Trouble::StrandLate => {
                self.begin_now(Trouble::Slow { who, by: 2_700 * MS }, lasts);
                let at = self.now + self.application.ms(2_000, 9_000);
                self.begin_at(at, Trouble::Strand, lasts);
            }
            Trouble::LateRequest { by, answers } => {
                self.begin_now(Trouble::HoldUp { who }, by);
                self.strand_later(who, by, answers, lasts);
            }
            Trouble::LateAnswer { by, answers } => {
                self.begin_now(Trouble::HoldDown { who }, by);
                self.strand_later(who, by, answers, lasts);
            }
            Trouble::LateAttachment { by, answers } => {
                self.begin_now(Trouble::Drop { who }, 0);
                self.begin_now(Trouble::HoldDown { who }, by);
                self.strand_later(who, by, answers, lasts);
            }
            Trouble::StrandAtQuorumLeader => {
                self.leave_only(who, quorum_leader, lasts);
                if quorum_leader != carrier {
                    self.begin_now(Trouble::Drop { who }, lasts);
                }
            }
            Trouble::FreezeAndCrash => {
                self.begin_now(Trouble::Pause { who }, lasts);
                self.begin_now(Trouble::CrashServer { server: carrier }, lasts);
            }
            _ => {
                self.begin_now(Trouble::CutOff { who }, lasts);
                self.begin_now(Trouble::CrashServer { server: quorum_leader }, lasts);
            }
        }
    }

    /// It is stranded at the last of so many answers that come once what was held up has come.
    fn strand_later(&mut self, who: usize, by: u64, answers: u32, lasts: u64) {
        self.begin_at(self.now + by + MS, Trouble::StrandAtAnswer { who, answers }, lasts);
    }

    /// It is left with the server that carries it, which loses its peers.
    pub(super) fn strand(&mut self, who: usize, lasts: u64) {
        if let Some((carrier, _)) = self.carriers(who) {
            self.leave_only(who, carrier, lasts);
        }
    }

    fn leave_only(&mut self, who: usize, only: usize, lasts: u64) {
        for server in (0..SERVERS).filter(|server| *server != only) {
            self.begin_now(Trouble::CutUp { who, server }, lasts);
        }
        self.begin_now(Trouble::CutServer { server: only }, lasts);
    }

    /// Who leads, the server that carries it, and the quorum leader.
    pub(super) fn whoever_leads(&self) -> Option<(usize, usize, usize)> {
        let who = (0..self.members.len()).find(|who| self.members[*who].term.is_some())?;
        let (carrier, quorum_leader) = self.carriers(who)?;
        Some((who, carrier, quorum_leader))
    }

    /// The server of an ensemble that carries it, and the quorum leader or, where there is none, that same one.
    fn carriers(&self, who: usize) -> Option<(usize, usize)> {
        let Service::Ensemble(ensemble) = &self.service else { return None };
        let wire = self.members[who].wires.iter().filter_map(|conn| self.wires.get(conn)).next_back()?;
        Some((wire.server, ensemble.leader().unwrap_or(wire.server)))
    }

    fn begin_now(&mut self, what: Trouble, lasts: u64) {
        let index = self.plan.faults.len();
        self.plan.faults.push(Fault { at: self.now, lasts, what });
        self.begin(index);
    }

    fn begin_at(&mut self, at: u64, what: Trouble, lasts: u64) {
        self.plan.faults.push(Fault { at, lasts, what });
        self.at(at, Event::Begin(self.plan.faults.len() - 1));
    }

    fn begin_at_ensemble(&mut self, index: usize, what: Trouble) {
        let fault = &mut self.plan.faults[index];
        let Service::Ensemble(ensemble) = &self.service else { return };
        // Which server it was is part of the story, and of the end.
        if fault.what == Trouble::CutQuorumLeader {
            let Some(server) = ensemble.leader() else { return };
            fault.what = Trouble::CutServer { server };
        }
        let what = if what == Trouble::CutQuorumLeader { fault.what } else { what };
        self.serve(|service, sink| {
            if let Service::Ensemble(ensemble) = service {
                match what {
                    Trouble::CutServer { server } => ensemble.cut(server, sink),
                    Trouble::CrashServer { server } => ensemble.crash(server, sink),
                    Trouble::CrashAll => (0..SERVERS).for_each(|server| ensemble.crash(server, sink)),
                    Trouble::Lag { server, by } => ensemble.slow_down(server, by),
                    _ => {}
                }
            }
            Ok(())
        });
    }

    fn begin_at_host(&mut self, what: Trouble, end: u64) {
        let now = self.now;
        self.serve(|service, sink| {
            let Service::Lone(lone) = service else { return Ok(()) };
            match what {
                Trouble::CrashHost => lone.crash(sink),
                Trouble::StallHost => lone.stall(now, end),
                Trouble::SlowDisk { by } => lone.slow = by,
                Trouble::FailSync => lone.fail_next_sync(),
                Trouble::FlipBit => return lone.flip_a_bit(sink),
                _ => {}
            }
            Ok(())
        });
    }

    pub(super) fn end(&mut self, index: usize) {
        let what = self.plan.faults[index].what;
        match what {
            Trouble::Slow { who, .. } => self.paths[who].iter_mut().for_each(|path| path.slow = 0),
            Trouble::Lossy { who } => self.paths[who].iter_mut().for_each(|path| path.lossy = false),
            Trouble::SlowDisk { .. } => {
                if let Service::Lone(lone) = &mut self.service {
                    lone.slow = 0;
                }
            }
            Trouble::CutServer { .. }
            | Trouble::CrashServer { .. }
            | Trouble::CrashAll
            | Trouble::Lag { .. } => self.serve(|service, sink| {
                end_at_ensemble(service, what, sink);
                Ok(())
            }),
            _ => return,
        }
        self.record.note(self.now, None, What::FaultEnds, index as u64, 0);
    }

    /// Nothing is wrong any more, and everybody is there and wants to lead.
    pub(super) fn end_all_trouble(&mut self) {
        for index in 0..self.plan.faults.len() {
            self.end(index);
        }
        self.serve(|service, sink| {
            if let Service::Ensemble(ensemble) = service {
                ensemble.calm_down(sink);
            }
            Ok(())
        });
        for who in 0..self.members.len() {
            for path in &mut self.paths[who] {
                path.up_cut_until = path.up_cut_until.min(self.now);
                path.down_cut_until = path.down_cut_until.min(self.now);
                path.up_held_until = path.up_held_until.min(self.now);
                path.down_held_until = path.down_held_until.min(self.now);
            }
            let member = &mut self.members[who];
            (member.strand_after, member.break_at_create) = (None, false);
            member.paused_until = member.paused_until.min(self.now);
            member.wakes_at = u64::MAX;
            self.start(who);
            self.wake_soon(who);
        }
        self.hurry_packets();
    }

    pub(super) fn die(&mut self, who: usize, told: bool, again_at: u64) {
        let member = &mut self.members[who];
        if member.program.take().is_none() {
            return;
        }
        member.life += 1;
        let term = member.term.take();
        for conn in member.wires.clone() {
            self.drop_wire(conn, told);
        }
        if let Some(token) = term {
            self.record.note(self.now, Some(who), What::Ends, token as u64, 1);
        }
        self.record.note(self.now, Some(who), What::Died, 0, 0);
        self.check.stops(self.now, who);
        self.at(again_at, Event::Start { who });
    }

    // What others do to the znodes.

    /// The contenders' znodes in the order of their making: path, creation zxid and session.
    pub(super) fn contenders_znodes(&self) -> Vec<(String, i64, i64)> {
        let mut all: Vec<(String, i64, i64)> = match &self.service {
            Service::Ensemble(ensemble) => {
                let tree = ensemble.tree();
                let below = tree.children(ELECTION);
                let below = below.map(|(name, node)| (format!("{ELECTION}/{name}"), node.czxid, node.owner));
                let itself = tree.node(ELECTION).filter(|node| node.owner != 0);
                let itself = itself.map(|node| (ELECTION.to_owned(), node.czxid, node.owner));
                below.chain(itself).collect()
            }
            Service::Lone(lone) => lone.znodes().map(|(path, c, o)| (path.to_owned(), c, o)).collect(),
        };
        all.sort_by_key(|(_, czxid, _)| *czxid);
        all
    }

    fn delete(&mut self, which: impl FnOnce(usize) -> usize) {
        let mut all = self.contenders_znodes();
        if !all.is_empty() {
            let (path, _, _) = all.swap_remove(which(all.len()));
            self.meddle(Request::Delete { path, version: -1 });
        }
    }

    fn meddle(&mut self, request: Request) {
        self.serve(|service, sink| {
            match service {
                Service::Ensemble(ensemble) => ensemble.meddle(request, 0, sink),
                Service::Lone(lone) => lone.meddle(request, sink),
            };
            Ok(())
        });
    }

    fn forge_close(&mut self, who: usize) {
        for conn in self.members[who].wires.clone() {
            let Service::Ensemble(ensemble) = &self.service else { break };
            if let Some(session) = ensemble.session_of(conn) {
                self.serve(|service, sink| {
                    if let Service::Ensemble(ensemble) = service {
                        ensemble.meddle(Request::Close, session, sink);
                    }
                    Ok(())
                });
                return;
            }
        }
        if let Some(token) = self.members[who].term
            && let Some((_, _, session)) = self.contenders_znodes().into_iter().find(|(_, c, _)| *c == token)
        {
            self.serve(|service, sink| match service {
                Service::Lone(lone) => lone.end_session(session, sink),
                Service::Ensemble(_) => Ok(()),
            });
        }
    }
}

fn end_at_ensemble(service: &mut Service, what: Trouble, sink: &mut Sink<'_>) {
    let Service::Ensemble(ensemble) = service else { return };
    match what {
        Trouble::CutServer { server } => ensemble.heal(server, sink),
        Trouble::CrashServer { server } => ensemble.restart(server, sink),
        Trouble::CrashAll => (0..SERVERS).for_each(|server| ensemble.restart(server, sink)),
        Trouble::Lag { server, .. } => ensemble.slow_down(server, 0),
        _ => {}
    }
}
