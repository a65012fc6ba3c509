//! The search itself: every world that can come about, breadth first, so that the first violation is one of the
//! shortest.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::{Duration, Instant};

use super::rest;
use super::scope::Scope;
use super::tell::Log;
use super::world::{Action, World, Wrong};

/// After so many worlds the memory is looked at.
const LOOK_EVERY: usize = 4_096;

/// Bounds on what a search may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Worlds seen.
    pub states: usize,
    /// Bytes of memory that the process holds.
    pub memory: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { states: 60_000_000, memory: 3_500 << 20 }
    }
}

/// What a search has come to.
#[derive(Debug)]
pub struct Found {
    /// Worlds, none of them equal.
    pub states: usize,
    /// Actions tried in them.
    pub transitions: u64,
    /// Worlds in which nothing was due, each of which was let come to rest.
    pub rests: u64,
    /// The longest of the shortest courses to a world.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether everything was seen that can be.
    pub complete: bool,
    /// A shortest course that goes wrong.
    pub violation: Option<Violation>,
}

/// A course that goes wrong.
#[derive(Debug)]
pub struct Violation {
    /// What goes wrong.
    pub what: Wrong,
    /// Which of the possible actions was taken each time.
    pub choices: Vec<usize>,
}

/// How each world came about: its forerunner, and which of that one's actions led to it.
struct Origin {
    from: u32,
    choice: u8,
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are kept");
    }
    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}

/// The world in which a scope's search begins.
pub fn beginning(scope: &Scope) -> Result<World, Wrong> {
    rest::settled(World::new(scope), scope.settled)
}

/// Searches the scope; `progress` is told after each layer of the depth how many worlds were seen, and how many wait.
pub fn search(scope: &Scope, bounds: Bounds, mut progress: impl FnMut(usize, usize, usize)) -> Found {
    let began = Instant::now();
    let mut found = Found {
        states: 1,
        transitions: 0,
        rests: 0,
        depth: 0,
        took: Duration::ZERO,
        complete: true,
        violation: None,
    };
    let mut world = match beginning(scope) {
        Ok(world) => world,
        Err(what) => {
            found.violation = Some(Violation { what, choices: Vec::new() });
            return found;
        }
    };
    let mut seen: HashSet<u64, BuildHasherDefault<Plain>> = HashSet::default();
    seen.insert(world.fingerprint());
    let mut origins = vec![Origin { from: 0, choice: 0 }];
    let mut layer = vec![(0, world)];
    let mut searched = 0_usize;
    'search: while !layer.is_empty() {
        let mut next = Vec::new();
        for (at, world) in layer.drain(..) {
            let actions = world.actions();
            if !actions.iter().any(|action| action.is_due()) {
                found.rests += 1;
                if let Err(what) = rest::comes_to_rest(&world, &mut Log::none()) {
                    found.violation = Some(Violation { what, choices: choices(&origins, at) });
                    break 'search;
                }
            }
            for (choice, action) in actions.into_iter().enumerate() {
                let mut after = world.clone();
                found.transitions += 1;
                let outcome = after.act(action, &mut Log::none());
                if let Err(what) = outcome {
                    let mut choices = choices(&origins, at);
                    choices.push(choice);
                    found.violation = Some(Violation { what, choices });
                    break 'search;
                }
                if seen.insert(after.fingerprint()) {
                    let number = origins.len() as u32;
                    origins.push(Origin { from: at, choice: choice as u8 });
                    next.push((number, after));
                }
            }
            searched += 1;
            let too_large = searched.is_multiple_of(LOOK_EVERY) && resident() > bounds.memory;
            if origins.len() > bounds.states || too_large {
                found.complete = false;
                break 'search;
            }
        }
        found.depth += usize::from(!next.is_empty());
        layer = next;
        progress(found.depth, origins.len(), layer.len());
    }
    found.complete &= found.violation.is_none();
    found.states = origins.len();
    found.took = began.elapsed();
    found
}

/// Bytes of memory that this process holds; 0 where nobody says.
fn resident() -> usize {
    const PAGE: usize = 4_096;
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok()).unwrap_or(0) * PAGE
}

fn choices(origins: &[Origin], mut at: u32) -> Vec<usize> {
    let mut choices = Vec::new();
    while at != 0 {
        let origin = &origins[at as usize];
        choices.push(usize::from(origin.choice));
        at = origin.from;
    }
    choices.reverse();
    choices
}

/// Plays one course again and tells it: the lines, and what goes wrong if anything does.
pub fn tell(scope: &Scope, choices: &[usize]) -> Result<(Vec<String>, Option<Wrong>), String> {
    let mut log = Log::kept();
    let mut world = beginning(scope).map_err(|wrong| wrong.to_string())?;
    for (nth, choice) in choices.iter().enumerate() {
        let actions: Vec<Action> = world.actions();
        let action =
            actions.get(*choice).ok_or(format!("step {nth}: there are only {} choices", actions.len()))?;
        if let Err(wrong) = world.act(*action, &mut log) {
            return Ok((log.lines(), Some(wrong)));
        }
    }
    let wrong = match world.actions().iter().any(|action| action.is_due()) {
        true => None,
        false => rest::comes_to_rest(&world, &mut log).err(),
    };
    Ok((log.lines(), wrong))
}
