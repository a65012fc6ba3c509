//! Rules left out on purpose, one at a time, and what finds it.
//!
//! Invariant: without `--cfg elector_teeth` there is nothing to switch on, here or in the crates.

use crate::plan::Plan;
use crate::world::play;

/// A rule of one of the crates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tooth {
    Core(elector_core::teeth::Tooth),
    Session(zk_session::teeth::Tooth),
    Server(zk_embedded::teeth::Tooth),
}

/// What became of one rule left out.
#[derive(Debug)]
pub struct Bite {
    /// The rule, by the name of its fault.
    pub name: String,
    /// The first seed that goes wrong without it, and how.
    pub caught: Option<(u64, String)>,
}

/// Whether this build can leave rules out.
pub const IN_THIS_BUILD: bool = cfg!(elector_teeth);

fn all() -> Vec<Tooth> {
    let core = elector_core::teeth::Tooth::ALL.iter().map(|tooth| Tooth::Core(*tooth));
    let session = zk_session::teeth::Tooth::ALL.iter().map(|tooth| Tooth::Session(*tooth));
    let server = zk_embedded::teeth::Tooth::ALL.iter().map(|tooth| Tooth::Server(*tooth));
    core.chain(session).chain(server).collect()
}

/// The names of all rules that can be left out.
pub fn names() -> Vec<String> {
    all().into_iter().map(name).collect()
}

fn name(tooth: Tooth) -> String {
    match tooth {
        Tooth::Core(tooth) => format!("{tooth:?}"),
        Tooth::Session(tooth) => format!("{tooth:?}"),
        Tooth::Server(tooth) => format!("{tooth:?}"),
    }
}

/// Plays the seeds below `most` without the rule of this name, until one goes wrong. The rule is in force again
/// afterwards.
pub fn try_one(wanted: &str, most: u64) -> Option<Bite> {
    let tooth = all().into_iter().find(|tooth| name(*tooth) == wanted)?;
    set(Some(tooth));
    let caught = (0..most).find_map(|seed| Some((seed, wrong(seed)?)));
    set(None);
    Some(Bite { name: wanted.to_owned(), caught })
}

/// What goes wrong with a seed. A panic is a way of going wrong too, of a machine that finds itself in a state that
/// it excludes.
fn wrong(seed: u64) -> Option<String> {
    let played = std::panic::catch_unwind(|| play(&Plan::of(seed), false).violation);
    played.unwrap_or_else(|_| Some("the program panics".to_owned()))
}

#[cfg(elector_teeth)]
fn set(tooth: Option<Tooth>) {
    let (mut core, mut session, mut server) = (None, None, None);
    match tooth {
        Some(Tooth::Core(tooth)) => core = Some(tooth),
        Some(Tooth::Session(tooth)) => session = Some(tooth),
        Some(Tooth::Server(tooth)) => server = Some(tooth),
        None => {}
    }
    elector_core::teeth::bite(core);
    zk_session::teeth::bite(session);
    zk_embedded::teeth::bite(server);
}

#[cfg(not(elector_teeth))]
fn set(_: Option<Tooth>) {}
