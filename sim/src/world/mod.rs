//! One world: true time, who contends, what carries their packets, and what goes wrong.
//!
//! Everything that happens is an event at a time; two at one time happen in the order in which they were
//! planned. The contenders run only when an event of theirs comes, on a clock that was set just before.

mod check;
mod network;
mod seen;
mod trouble;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::client::clock::{Face, SimClock};
use crate::client::wire::{Reach, SimConnector};
use crate::ensemble::{Ensemble, Later, SERVERS};
use crate::lone::Lone;
use crate::plan::{Fault, Place, Plan, Rules, TROUBLE, Trouble};
use crate::program::{self, Order, Program, Told};
use crate::random::Random;
use crate::record::{Record, What};
use crate::service::{Conn, Down, Sink};
use crate::{MS, SECOND};
use check::Check;
use network::{Path, Wire};
use seen::Fired;

/// Evidence is looked at this often, besides whenever somebody begins to lead or a znode goes.
const SAMPLE_EVERY: u64 = 97 * MS;

/// Something that will happen.
#[derive(Debug)]
enum Event {
    /// The contender runs, unless a later plan has replaced this one.
    Wake {
        who: usize,
        plan: u64,
    },
    /// Its application decides something.
    Order {
        who: usize,
        life: u64,
        order: Order,
        only_in: Option<i64>,
    },
    Up {
        conn: Conn,
        frame: Vec<u8>,
    },
    UpEnd {
        conn: Conn,
    },
    Down {
        conn: Conn,
        frame: Vec<u8>,
    },
    DownEnd {
        conn: Conn,
    },
    Service(Later),
    Begin(usize),
    End(usize),
    Start {
        who: usize,
    },
    Heal,
    Check,
    Sample,
}

enum Service {
    Ensemble(Box<Ensemble>),
    Lone(Box<Lone>),
}

struct Member {
    program: Option<Box<dyn Program>>,
    clock: SimClock,
    connector: SimConnector,
    face: Face,
    life: u64,
    /// Numbers the plans to wake it; only the newest counts.
    plan: u64,
    wakes_at: u64,
    paused_until: u64,
    wires: Vec<Conn>,
    /// The term it acts for, as its application was told.
    term: Option<i64>,
    wants: bool,
    /// After how many more answers it is stranded, and for how long.
    strand_after: Option<(u32, u64)>,
    /// Its connection breaks with its next create.
    break_at_create: bool,
}

/// See the module.
pub(crate) struct World {
    plan: Plan,
    now: u64,
    planned: u64,
    events: BinaryHeap<Reverse<(u64, u64, Slot)>>,
    slots: Vec<Option<Event>>,
    free: Vec<usize>,
    members: Vec<Member>,
    service: Service,
    wires: BTreeMap<Conn, Wire>,
    paths: Vec<[Path; SERVERS]>,
    last_conn: Conn,
    network: Random,
    serving: Random,
    application: Random,
    record: Record,
    fired: Fired,
    check: Check,
    phase: Phase,
    /// The present phase must have come to its end by then.
    limit: u64,
}

type Slot = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Trouble,
    OneMustLead,
    NothingMayBeLeft,
    Over,
}

/// How a world went.
#[derive(Debug)]
pub struct Outcome {
    /// What was wrong, if anything was.
    pub violation: Option<String>,
    /// What happened.
    pub record: Record,
    /// The plan's faults, and those that they became.
    pub faults: Vec<Fault>,
    /// Those of them that found what they are there for, as they were planned.
    pub fired: Vec<Trouble>,
    /// Two believed to lead at one time, in nanoseconds all together; for rules that allow it.
    pub overlap: u64,
    /// How often that began.
    pub overlaps: u32,
    /// Contenders that led at least once.
    pub led: usize,
    /// How many contend.
    pub contenders: usize,
}

/// Plays a plan.
pub fn play(plan: &Plan, keep: bool) -> Outcome {
    let mut world = World::new(plan.clone(), keep);
    world.play();
    let World { check, record, fired, members, plan: played, .. } = world;
    let fired = fired.into_values().collect();
    let (violation, led, (overlap, overlaps)) = check.into_verdict();
    Outcome {
        violation,
        record,
        faults: played.faults,
        fired,
        overlap,
        overlaps,
        led,
        contenders: members.len(),
    }
}

impl World {
    fn new(plan: Plan, keep: bool) -> World {
        let seed = plan.seed;
        let mut faces = Random::new(seed, 2);
        let members: Vec<Member> = (0..plan.contenders)
            .map(|_| Member {
                program: None,
                clock: SimClock::new(),
                connector: SimConnector::default(),
                face: any_face(&mut faces),
                life: 0,
                plan: 0,
                wakes_at: u64::MAX,
                paused_until: 0,
                wires: Vec::new(),
                term: None,
                wants: true,
                strand_after: None,
                break_at_create: false,
            })
            .collect();
        let (least, most) = (plan.least_ms, plan.timeout_ms as i32);
        let service = match plan.place {
            Place::Ensemble => {
                let leader = faces.below(SERVERS as u64) as usize;
                Service::Ensemble(Box::new(Ensemble::new(plan.tick_ms * MS, leader, least, most)))
            }
            Place::Lone => Service::Lone(Box::new(Lone::new(least[0].min(most), most))),
        };
        World {
            now: 0,
            planned: 0,
            events: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            paths: members.iter().map(|_| Default::default()).collect(),
            members,
            service,
            wires: BTreeMap::new(),
            last_conn: 0,
            network: Random::new(seed, 3),
            serving: Random::new(seed, 4),
            application: Random::new(seed, 5),
            record: Record::new(keep),
            fired: Fired::new(),
            check: Check::default(),
            phase: Phase::Trouble,
            limit: u64::MAX,
            plan,
        }
    }

    fn play(&mut self) {
        for who in 0..self.members.len() {
            let at = self.application.ms(0, 1_500);
            self.at(at, Event::Start { who });
        }
        if let Service::Ensemble(ensemble) = &self.service {
            for (at, later) in ensemble.start() {
                self.at(at, Event::Service(later));
            }
        } else {
            self.serve(|service, sink| match service {
                Service::Lone(lone) => lone.start(sink),
                Service::Ensemble(_) => Ok(()),
            });
        }
        for index in 0..self.plan.faults.len() {
            self.at(self.plan.faults[index].at, Event::Begin(index));
        }
        self.at(TROUBLE, Event::Heal);
        self.at(SECOND, Event::Sample);
        while self.phase != Phase::Over && self.check.violation.is_none() {
            let Some(Reverse((at, _, slot))) = self.events.pop() else { break };
            self.now = at;
            if self.now > self.limit {
                self.overdue();
                break;
            }
            if let Some(event) = self.slots[slot].take() {
                self.free.push(slot);
                self.happen(event);
            }
        }
    }

    fn at(&mut self, time: u64, event: Event) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(event);
        self.planned += 1;
        self.events.push(Reverse((time.max(self.now), self.planned, slot)));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake { who, plan } => {
                if self.members[who].plan == plan {
                    self.run(who);
                }
            }
            Event::Order { who, life, order, only_in } => self.order(who, life, order, only_in),
            Event::Up { conn, frame } => self.reaches_server(conn, &frame),
            Event::UpEnd { conn } => {
                self.wires.remove(&conn);
                match &mut self.service {
                    Service::Ensemble(ensemble) => ensemble.closed(conn),
                    Service::Lone(lone) => lone.closed(conn),
                }
            }
            Event::Down { conn, frame } => {
                if let Some(wire) = self.wires.get(&conn) {
                    wire.stream.deliver(&frame);
                    let who = wire.who;
                    self.wake_soon(who);
                    self.counts_answer(who);
                }
            }
            Event::DownEnd { conn } => {
                if let Some(wire) = self.wires.get(&conn) {
                    wire.stream.end();
                    let who = wire.who;
                    self.wake_soon(who);
                }
            }
            Event::Service(later) => self.serve(|service, sink| match service {
                Service::Ensemble(ensemble) => {
                    ensemble.happen(later, sink);
                    Ok(())
                }
                Service::Lone(lone) => lone.happen(later, sink),
            }),
            Event::Begin(index) => self.begin(index),
            Event::End(index) => self.end(index),
            Event::Start { who } => self.start(who),
            Event::Heal => self.heal(),
            Event::Check => self.look_whether_done(),
            Event::Sample => {
                self.sample();
                self.at(self.now + SAMPLE_EVERY, Event::Sample);
            }
        }
    }

    /// Lets the service do something, and carries on whatever it brings about.
    fn serve(&mut self, act: impl FnOnce(&mut Service, &mut Sink<'_>) -> Result<(), String>) {
        let mut sink = Sink::new(self.now, &mut self.serving, &mut self.record);
        let done = act(&mut self.service, &mut sink);
        let Sink { down, later, gone, restarted, .. } = sink;
        for (at, later) in later {
            self.at(at, Event::Service(later));
        }
        for (conn, down) in down {
            self.send_down(conn, down);
        }
        if let Some(there) = restarted {
            self.host_restarted(&there);
        }
        for (czxid, cause) in gone {
            self.znode_gone(czxid, cause);
        }
        if let Err(wrong) = done {
            self.violated(wrong);
        }
    }

    // The contenders.

    fn start(&mut self, who: usize) {
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
    fn wake_soon(&mut self, who: usize) {
        self.wake(who, self.now);
    }

    fn wake(&mut self, who: usize, at: u64) {
        let member = &mut self.members[who];
        let at = at.max(member.paused_until).max(self.now);
        if at < member.wakes_at {
            member.plan += 1;
            member.wakes_at = at;
            let plan = member.plan;
            self.at(at, Event::Wake { who, plan });
        }
    }

    fn order(&mut self, who: usize, life: u64, order: Order, only_in: Option<i64>) {
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

    fn run(&mut self, who: usize) {
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
    fn reach(&self, who: usize) -> [Reach; SERVERS] {
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

    // The phases.

    fn heal(&mut self) {
        self.record.note(self.now, None, What::Healed, 0, 0);
        self.end_all_trouble();
        if self.plan.rules != Rules::Ours {
            self.phase = Phase::Over; // what they do in the end is not ours to judge
            return;
        }
        self.phase = Phase::OneMustLead;
        self.limit = self.now + 2 * self.plan.timeout_ms * MS + 12 * SECOND;
        self.at(self.now + SECOND, Event::Check);
    }

    fn look_whether_done(&mut self) {
        match self.phase {
            Phase::OneMustLead => {
                let leaders: Vec<i64> = (0..self.members.len()).filter_map(|who| self.belief(who)).collect();
                // Whoever waits far behind may have a second znode until it comes near.
                if leaders.len() == 1 && self.siblings(leaders[0]).is_empty() {
                    self.everybody_leaves();
                }
            }
            Phase::NothingMayBeLeft => {
                if self.znodes_of_contenders() == 0 {
                    self.phase = Phase::Over;
                }
            }
            Phase::Trouble | Phase::Over => {}
        }
        self.at(self.now + SECOND / 4, Event::Check);
    }

    fn everybody_leaves(&mut self) {
        self.record.note(self.now, None, What::AllLeave, 0, 0);
        self.phase = Phase::NothingMayBeLeft;
        self.expects_nothing_to_expire();
        self.limit = self.now + 2 * self.plan.timeout_ms * MS + 12 * SECOND;
        for who in 0..self.members.len() {
            self.members[who].wants = false;
            let life = self.members[who].life;
            let order = if self.application.one_in(3) { Order::Quit } else { Order::Leave };
            self.order(who, life, order, None);
        }
    }

    fn overdue(&mut self) {
        let (phase, limit) = (self.phase, (self.limit / MS) as f64 / 1_000.0);
        self.violated(match phase {
            Phase::OneMustLead => {
                format!("not exactly one leads, by one znode, at {limit:.3} s, long after the last fault")
            }
            _ => format!("something is left behind at {limit:.3} s, long after everybody left"),
        });
    }

    /// Down from the service, by way of the network.
    fn send_down(&mut self, conn: Conn, down: Down) {
        let Some(at) = self.time_down(conn) else { return };
        match down {
            Down::Frame(frame) => self.at(at, Event::Down { conn, frame }),
            Down::Hangup => self.at(at, Event::DownEnd { conn }),
        }
    }
}

/// A clock within one percent of true time, and often at the very edge.
fn any_face(random: &mut Random) -> Face {
    let any = random.below(20_001) as i64 - 10_000;
    Face::new(random.ms(1_000, 1_000_000), random.pick(&[-10_000, 10_000, any]))
}
