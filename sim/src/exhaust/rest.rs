//! What must come of a world in which nothing goes wrong any more: exactly one leads, and nothing is left behind.

use std::time::Duration;

use super::seat::App;
use super::tell::Log;
use super::world::{Action, World, Wrong};

/// It must have come to rest within this: two session timeouts and twelve seconds, as in the simulated worlds.
const REST: Duration = Duration::from_secs(32);
/// More actions than any course to rest takes.
const MOST_ACTIONS: usize = 5_000;

/// Lets everything happen that is due, in turn; then everybody leaves.
pub(crate) fn comes_to_rest(world: &World, log: &mut Log) -> Result<(), Wrong> {
    world.judge_at_rest()?;
    let mut world = world.clone();
    world.without_faults();
    log.note(|| "    -- no fault comes any more --".to_owned());
    while let Some(begin) = world.actions().into_iter().find(|action| matches!(action, Action::Begin(_))) {
        world.act(begin, log)?;
    }
    if !settles(&mut world, is_settled, log)? {
        return Err(Wrong(not_settled(&world)));
    }
    world.all_quit(log)?;
    if !settles(&mut world, everybody_rests, log)? || !world.server().is_empty() {
        return Err(Wrong("something is left behind though everybody has left".to_owned()));
    }
    Ok(())
}

/// The world in which so many contenders have enrolled one after the other, and the first leads.
pub(crate) fn settled(mut world: World, contenders: usize) -> Result<World, Wrong> {
    for _ in 0..contenders {
        let begin = world.actions().into_iter().find(|action| matches!(action, Action::Begin(_)));
        world.act(begin.expect("there are as many contenders"), &mut Log::none())?;
        if !settles(&mut world, is_settled, &mut Log::none())? {
            return Err(Wrong(not_settled(&world)));
        }
    }
    Ok(world)
}

/// Whether it comes to be so within the time.
fn settles(world: &mut World, so: impl Fn(&World) -> bool, log: &mut Log) -> Result<bool, Wrong> {
    let mut passed = Duration::ZERO;
    for _ in 0..MOST_ACTIONS {
        // The server first, and whoever reads reads all: the course that leaves nothing lying about.
        let due = world.actions().into_iter().filter(|action| action.is_due());
        let next = due.max_by_key(|action| match action {
            Action::LoseLate(_) => 0,
            Action::ReadAll(_) => 1,
            Action::Wake(_) => 2,
            Action::Read(_) => 3,
            _ => 4,
        });
        match next {
            Some(action) => world.act(action, log)?,
            None if so(world) => return Ok(true),
            None => match world.pass_time() {
                Some(time) if passed + time <= REST => {
                    passed += time;
                    log.note(|| format!("    -- {} ms later --", passed.as_millis()));
                }
                _ => return Ok(false),
            },
        }
    }
    Ok(false)
}

/// Exactly one leads if anybody wants to, and nobody has more there than its one znode.
fn is_settled(world: &World) -> bool {
    let wanted = world.seats().any(|seat| seat.begun && seat.wants_to_lead());
    let acting = world.seats().filter(|seat| seat.acts().is_some()).count();
    let in_place = world.seats().all(|seat| {
        let owned = world.server().in_order().iter().filter(|(_, node)| seat.had_session(node.owner)).count();
        let wants = seat.begun && seat.wants_to_lead();
        owned == if wants { world.znodes_each(seat.acts().is_some()) } else { 0 }
    });
    acting == usize::from(wanted) && in_place
}

fn everybody_rests(world: &World) -> bool {
    world.seats().all(|seat| seat.app == App::Resting)
}

fn not_settled(world: &World) -> String {
    let acting = world.seats().filter(|seat| seat.acts().is_some()).count();
    let znodes = world.server().in_order().len();
    format!(
        "{acting} lead and {znodes} znodes are there {} s after the last fault, and it stays so",
        REST.as_secs()
    )
}
