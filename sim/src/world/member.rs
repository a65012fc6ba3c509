//! The contenders of a world: when each of them runs, and what its application makes of what it is told.
//!
//! A contender runs only when it is woken, on a clock that was set just before; what it sent meanwhile is collected
//! right after.

use crate::MS;
use crate::client::clock::{Face, SimClock};
use crate::client::wire::{Reach, SimConnector};
use crate::ensemble::SERVERS;
use crate::plan::Rules;
use crate::program::{self, Order, Program, Told};
use crate::random::Random;
use crate::record::What;
use crate::service::Conn;

use super::phase::Phase;
use super::{Event, Service, World};

/// One contender, its host and the application above it.
pub(super) struct Member {
    pub(super) program: Option<Box<dyn Program>>,
    pub(super) clock: SimClock,
    pub(super) connector: SimConnector,
    pub(super) face: Face,
    pub(super) life: u64,
    /// Numbers the plans to wake it; only the newest counts.
    pub(super) plan: u64,
    pub(super) wakes_at: u64,
    pub(super) paused_until: u64,
    pub(super) wires: Vec<Conn>,
    /// The term it acts for, as its application was told.
    pub(super) term: Option<i64>,
    pub(super) wants: bool,
    /// After how many more answers it is stranded, and for how long.
    pub(super) strand_after: Option<(u32, u64)>,
    /// Its connection breaks with its next create.
    pub(super) break_at_create: bool,
}

impl Member {
    /// Not started yet, on a host with this clock.
    pub(super) fn new(face: Face) -> Member {
        Member {
            program: None,
            clock: SimClock::new(),
            connector: SimConnector::default(),
            face,
            life: 0,
            plan: 0,
            wakes_at: u64::MAX,
            paused_until: 0,
            wires: Vec::new(),
            term: None,
            wants: true,
            strand_after: None,
            break_at_create: false,
        }
    }
}

impl World {
    pub(super) fn start(&mut self, who: usize) {
        let member = &mut self.members[who];
        if member.program.is_some() || self.phase == Phase::NothingMayBeLeft {
            return;
        }
        member.life += 1;
        member.clock.set(member.face.at(self.now));
        let mut random = Random::new(self.plan.seed, 100 + who as u64 * 1_000 + member.life);
        member.program = Some(program::start(&self.plan, who, &member.clock, &member.connector, &mut random));
        member.wants = true;
        let life = member.life;
        self.record.note(self.now, Some(who), What::Starts, life, 0);
        self.order(who, life, Order::Campaign, None);
    }

    /// Runs as soon as it can.
    pub(super) fn wake_soon(&mut self, who: usize) {
        self.wake(who, self.now);
    }

    pub(super) fn wake(&mut self, who: usize, at: u64) {
        let member = &mut self.members[who];
        let at = at.max(member.paused_until).max(self.now);
        if at < member.wakes_at {
            member.plan += 1;
            member.wakes_at = at;
            let plan = member.plan;
            self.at(at, Event::Wake { who, plan });
        }
    }

    pub(super) fn order(&mut self, who: usize, life: u64, order: Order, only_in: Option<i64>) {
        let member = &mut self.members[who];
        if member.life != life || (only_in.is_some() && member.term != only_in) {
            return;
        }
        if member.paused_until > self.now {
            let later = member.paused_until;
            return self.at(later, Event::Order { who, life, order, only_in });
        }
        if order == Order::Campaign && !member.wants {
            return;
        }
        let Some(program) = &mut member.program else { return };
        member.clock.set(member.face.at(self.now));
        program.order(order);
        match order {
            Order::Campaign => self.record.note(self.now, Some(who), What::Campaigns, 0, 0),
            Order::Leave | Order::Quit => {
                self.members[who].wants &= order == Order::Leave;
                self.left(who);
                if self.belief(who).is_some() && self.plan.rules == Rules::Ours {
                    self.violated(format!("c{who} has let go of its leadership, and its fence still holds"));
                }
            }
        }
        self.run(who);
    }

    /// Its application has let go of its term, or of its campaign.
    fn left(&mut self, who: usize) {
        let member = &mut self.members[who];
        let (term, life, wants) = (member.term.take(), member.life, member.wants);
        match term {
            Some(token) => self.record.note(self.now, Some(who), What::Ends, token as u64, 0),
            None => self.record.note(self.now, Some(who), What::Leaves, 0, 0),
        }
        self.check.stops(self.now, who);
        if wants {
            let at = self.now + self.application.ms(1, 1_500);
            self.at(at, Event::Order { who, life, order: Order::Campaign, only_in: None });
        }
    }

    pub(super) fn run(&mut self, who: usize) {
        let reach = self.reach(who);
        let member = &mut self.members[who];
        member.wakes_at = u64::MAX;
        member.plan += 1;
        let Some(program) = &mut member.program else { return };
        member.clock.set(member.face.at(self.now));
        member.connector.set_reach(reach.into_iter());
        member.clock.forget_sleepers();
        let told = program.run();
        for told in told {
            self.told(who, told);
        }
        self.collect(who);
        let member = &self.members[who];
        if let Some(due) = member.clock.due() {
            // Timers are late by what a busy machine takes.
            let late = self.network.below(MS / 2);
            let at = member.face.when(due, self.now) + late;
            self.wake(who, at);
        }
        self.sketch_deadline(who);
    }

    fn told(&mut self, who: usize, told: Told) {
        let life = self.members[who].life;
        match told {
            Told::Leads(token) => {
                self.members[who].term = Some(token);
                self.record.note(self.now, Some(who), What::Leads, token as u64, 0);
                self.leads(who, token);
                if self.phase == Phase::Trouble && self.application.one_in(3) {
                    let at = self.now + self.application.ms(500, 12_000);
                    self.at(at, Event::Order { who, life, order: Order::Leave, only_in: Some(token) });
                }
            }
            Told::Stop(token) => {
                self.record.note(self.now, Some(who), What::ToldToStop, token as u64, 0);
                let at = self.now + self.application.ms(0, 200 + self.plan.early_ms);
                self.at(at, Event::Order { who, life, order: Order::Leave, only_in: Some(token) });
            }
            Told::Over(token) => {
                self.members[who].term = None;
                self.record.note(self.now, Some(who), What::Ends, token as u64, 0);
                self.check.stops(self.now, who);
            }
            Told::Role(role, ahead) => {
                self.record.note(self.now, Some(who), What::Role, role as u64, ahead as u64);
            }
            Told::Failed(why) => {
                self.record.note(self.now, Some(who), What::Fails, 0, 0);
                self.violated(format!("c{who} gave up for ever: {why}"));
            }
            Told::Closed => {
                let again = self.now + self.application.ms(1, 5_000);
                self.die(who, true, again);
            }
        }
    }

    fn sketch_deadline(&mut self, who: usize) {
        if self.record.keeps() && self.members[who].term.is_some() {
            let member = &self.members[who];
            let left = member.program.as_ref().and_then(|program| program.remaining()).unwrap_or(0);
            if left == 0 {
                return; // it ended before: the look before this one tells when
            }
            let end = member.face.when(member.face.at(self.now) + left, self.now);
            self.record.sketch(self.now, who, What::Deadline, end);
        }
    }

    /// What each server's address answers to somebody who connects now.
    pub(super) fn reach(&self, who: usize) -> [Reach; SERVERS] {
        std::array::from_fn(|server| {
            let listening = match &self.service {
                Service::Ensemble(ensemble) => ensemble.is_listening(server),
                Service::Lone(lone) => lone.is_listening(),
            };
            if self.paths[who][server].is_cut(self.now) {
                Reach::Silent
            } else if listening {
                Reach::Open
            } else {
                Reach::Refused
            }
        })
    }
}

/// A clock within one percent of true time, and often at the very edge.
pub(super) fn any_face(random: &mut Random) -> Face {
    let any = random.below(20_001) as i64 - 10_000;
    Face::new(random.ms(1_000, 1_000_000), random.pick(&[-10_000, 10_000, any]))
}
