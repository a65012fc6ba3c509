//! The programs that contend, as the world sees them.

mod curator;
mod one_znode;
mod ours;
mod peer;

use crate::client::clock::SimClock;
use crate::client::wire::SimConnector;
use crate::plan::{Plan, Rules};
use crate::random::Random;
use crate::record::RoleKind;

/// The election's path in every world.
pub(crate) const ELECTION: &str = "/test04/election";

/// What the world wants of a program's application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Want to lead.
    Campaign,
    /// Want it no more: resign, or withdraw.
    Leave,
    /// The same, and end in good order.
    Quit,
}

/// What a program has come to know while it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// What it is now, as everybody may watch it, and how many are ahead.
    Role(RoleKind, usize),
    /// It leads, by this token.
    Leads(i64),
    /// It is to stop its work for this term.
    Stop(i64),
    /// It does not lead any more, as far as its rules go; it contends again by itself.
    Over(i64),
    /// It will never lead.
    Failed(String),
    /// It has ended, as it was told to.
    Closed,
}

/// One process with one candidate. It runs only inside [`Program::run`].
pub(crate) trait Program {
    /// Lets it run until it waits for its clock or its sockets.
    fn run(&mut self) -> Vec<Told>;

    /// The application decides. To be followed by [`Program::run`].
    fn order(&mut self, order: Order);

    /// The term that its application would act for at this moment of its clock.
    fn believes(&self) -> Option<i64>;

    /// How long, in nanoseconds of its clock, it will go on believing that if it hears nothing; none if for ever.
    fn remaining(&self) -> Option<u64> {
        None
    }
}

/// Starts the program of a plan's contender.
pub(crate) fn start(
    plan: &Plan,
    who: usize,
    clock: &SimClock,
    connector: &SimConnector,
    random: &mut Random,
) -> Box<dyn Program> {
    // Sessions and backoffs draw from this thread's generator.
    fastrand::seed(random.next());
    let (clock, connector) = (clock.clone(), connector.clone());
    match plan.rules {
        Rules::Ours => Box::new(ours::Ours::start(plan, who, clock, connector, random.clone())),
        Rules::Curator => Box::new(curator::Curator::start(plan, clock, connector, random.clone())),
        Rules::OneZnode => Box::new(one_znode::OneZnode::start(plan, clock, connector)),
    }
}
