//! An observer beside one model server, in random histories: no lie, and no gap that is not said.

mod server;

use elector_core::observer::{Input, Observer, Output, Sighting, View};
use proptest::prelude::*;

use server::{Frame, Server};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Enrol,
    HoldSingle,
    Leave(usize),
    RemovePath,
    Touch(usize),
    TouchAbove,
    Serve,
    Deliver,
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Enrol),
        1 => Just(Step::HoldSingle),
        4 => Just(Step::Leave(0)),
        2 => (0usize..6).prop_map(Step::Leave),
        1 => Just(Step::RemovePath),
        1 => (0usize..4).prop_map(Step::Touch),
        1 => Just(Step::TouchAbove),
        8 => Just(Step::Serve),
        12 => Just(Step::Deliver),
        1 => Just(Step::Reconnect),
    ]
}

/// Server and observer, and what the observer has said.
struct World {
    server: Server,
    observer: Observer,
    /// How many leaders there had been when the frame at hand was sent.
    at: usize,
    /// The leader that was said last, and when it was one.
    last: Option<(i64, usize)>,
    /// A gap was said since then.
    gap: bool,
    said: Vec<Sighting>,
}

impl World {
    fn new() -> World {
        let mut world = World {
            server: Server::new(),
            observer: Observer::default(),
            at: 0,
            last: None,
            gap: false,
            said: vec![],
        };
        world.tell(Input::Restored);
        world
    }

    fn tell(&mut self, input: Input) {
        self.observer.step(input);
        while let Some(output) = self.observer.next_output() {
            match output {
                Output::Send(id, ask) => self.server.take(id, ask),
                Output::Say(sighting) => self.check(sighting),
                other => panic!("{other:?}"),
            }
        }
    }

    fn deliver(&mut self) -> bool {
        let Some((frame, at)) = self.server.deliver() else { return false };
        self.at = at;
        self.tell(match frame {
            Frame::Reply(id, outcome) => Input::Reply(id, outcome),
            Frame::Event(name, change) => Input::Event { name, change },
            Frame::ChildrenChanged => Input::ChildrenChanged,
        });
        true
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Enrol => self.server.enrol(),
            Step::HoldSingle => self.server.hold_single(),
            Step::Leave(place) => self.server.leave(*place),
            Step::RemovePath => self.server.remove_path(),
            Step::Touch(place) => self.server.touch(*place),
            Step::TouchAbove => self.server.touch_above(),
            Step::Serve => drop(self.server.serve()),
            Step::Deliver => drop(self.deliver()),
            Step::Reconnect => {
                self.server.disconnect();
                self.tell(Input::Detached);
                self.tell(Input::Restored);
            }
        }
    }

    fn come_to_rest(&mut self) {
        while self.server.serve() || self.deliver() {}
    }

    /// Is it true, and is everything said that has to be?
    fn check(&mut self, sighting: Sighting) {
        let truth = &self.server.leaders;
        self.gap |= sighting.gap;
        match &sighting.view {
            View::Leader(held) => {
                let token = held.token.as_i64();
                assert_eq!(truth[self.at], token, "did not lead: {sighting:?} in {truth:?}");
                if let Some((before, since)) = self.last
                    && !self.gap
                {
                    let missed = truth[since..self.at].iter().any(|led| ![0, before, token].contains(led));
                    assert!(!missed, "not said: {sighting:?} after {before}, in {truth:?}");
                }
                self.last = Some((token, self.at));
                self.gap = false;
            }
            View::Vacant { .. } => {
                let (before, _) = self.last.unwrap_or_default();
                assert!(
                    truth[self.at] == 0 || truth[self.at] != before,
                    "still leads: {sighting:?} in {truth:?}"
                );
            }
            View::Unknown => assert!(!sighting.gap),
        }
        self.said.push(sighting);
    }

    fn said_at_last(&self) -> Option<i64> {
        match &self.said.last()?.view {
            View::Leader(held) => Some(held.token.as_i64()),
            View::Vacant { .. } => Some(0),
            View::Unknown => None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_lie_and_no_gap_unsaid(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.come_to_rest();
        prop_assert_eq!(world.said_at_last(), Some(world.server.leader()));
    }

    /// Where answers keep up with the changes, nothing is missed and no alarm is false.
    #[test]
    fn whoever_keeps_up_sees_all(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::new();
        world.come_to_rest();
        for step in steps.iter().filter(|step| !matches!(step, Step::TouchAbove | Step::RemovePath)) {
            world.take(step);
            world.come_to_rest();
        }
        let all: Vec<i64> = world.server.leaders.iter().copied().filter(|leader| *leader != 0).collect();
        let mut said: Vec<i64> = world.said.iter().filter_map(|sighting| match &sighting.view {
            View::Leader(held) => Some(held.token.as_i64()),
            _ => None,
        }).collect();
        said.dedup();
        prop_assert_eq!(said, all);
        prop_assert!(world.said.iter().all(|sighting| !sighting.gap));
    }
}

/// A thousand in line cost what a few cost: the next one in line is read at each change, and no list.
#[test]
fn a_long_line_is_not_listed_at_each_change() {
    let mut world = World::new();
    for _ in 0..1000 {
        world.server.enrol();
    }
    world.come_to_rest();
    let mut asked = 0;
    for _ in 0..900 {
        world.server.leave(0);
        while world.deliver() {}
        while world.server.serve() {
            asked += 1;
        }
        while world.deliver() {}
    }
    assert_eq!(asked, 900);
    assert_eq!(world.said.iter().filter(|sighting| matches!(sighting.view, View::Leader(_))).count(), 901);
    assert!(world.said.iter().all(|sighting| !sighting.gap));
}

/// Between two looks a contender came, led and left, and nothing but a counter shows it.
#[test]
fn a_leader_that_came_and_went_unseen_is_a_gap() {
    let mut world = World::new();
    world.server.enrol();
    world.come_to_rest();
    for _ in 0..3 {
        world.server.enrol();
        world.server.leave(0);
    }
    world.come_to_rest();
    let gaps: Vec<bool> = world.said.iter().map(|sighting| sighting.gap).collect();
    assert_eq!(gaps.last(), Some(&true), "{:?}", world.said);
}
