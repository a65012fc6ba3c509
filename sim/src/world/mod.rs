//! One world: true time, who contends, what carries their packets, and what goes wrong.
//!
//! Everything that happens is an event at a time; two at one time happen in the order in which they were
//! planned. The contenders run only when an event of theirs comes, on a clock that was set just before.

mod check;
mod member;
mod network;
mod phase;
mod seen;
mod trouble;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::ensemble::{Ensemble, Later, SERVERS};
use crate::lone::Lone;
use crate::plan::{Fault, Place, Plan, TROUBLE, Trouble};
use crate::program::Order;
use crate::random::Random;
use crate::record::Record;
use crate::service::{Conn, Down, Sink};
use crate::{MS, SECOND};
use check::Check;
use member::{Member, any_face};
use network::{Path, Wire};
use phase::Phase;
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
        let members: Vec<Member> = (0..plan.contenders).map(|_| Member::new(any_face(&mut faces))).collect();
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

    /// Down from the service, by way of the network.
    fn send_down(&mut self, conn: Conn, down: Down) {
        let Some(at) = self.time_down(conn) else { return };
        match down {
            Down::Frame(frame) => self.at(at, Event::Down { conn, frame }),
            Down::Hangup => self.at(at, Event::DownEnd { conn }),
        }
    }
}
