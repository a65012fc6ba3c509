//! Hand-overs and rounds of the floor in turns of ten.
//!
//! Each is followed by its own kind, so that a pause and nothing else lies between two hand-overs, as it lies between
//! the floor's watch and its delete: processes and servers were last at work one pause ago in both.

use zk_ensemble::Ensemble;

use crate::PAUSE;
use crate::contenders::{Contenders, server_of};
use crate::floor::Floor;
use crate::sample::Pair;

type Error = Box<dyn std::error::Error>;

/// Rounds that are not counted: connections, code and the servers' compiler are cold.
const WARM_UP: usize = 100;
/// So many hand-overs follow one another, and then as many rounds of the floor.
const TURN: usize = 10;
/// So many rounds of the floor have been through each ordered pair of servers.
const PAIRS: usize = 9;

/// `rounds` hand-overs among `count` contenders, as many rounds of the floor after each turn.
pub(crate) fn measure(ensemble: &Ensemble, count: usize, rounds: usize) -> Result<Pair, Error> {
    let servers = addresses(ensemble);
    let server = |index| servers[server_of(index, servers.len())].as_str();
    let mut floors = Vec::new();
    for pair in 0..PAIRS {
        let path = format!("/floor-{count}-{pair}");
        floors.push(Floor::connect(server(pair), server(pair + 1), &path)?);
    }
    let mut contenders = Contenders::enrol(&servers, &format!("/handover-{count}"), count)?;
    let mut pair = Pair::default();
    for turn in 0..(WARM_UP + rounds).div_ceil(TURN) {
        let counts = turn >= WARM_UP / TURN;
        for _ in 0..TURN {
            std::thread::sleep(PAUSE);
            let ours = contenders.hand_over()?;
            if counts {
                pair.ours.add(ours);
            }
        }
        for round in 0..TURN {
            let floor = floors[(turn * TURN + round) % PAIRS].round(PAUSE)?;
            if counts {
                pair.floor.add(floor);
            }
        }
    }
    Ok(pair)
}

/// The servers one by one.
pub(crate) fn addresses(ensemble: &Ensemble) -> Vec<String> {
    ensemble.servers().iter().map(|server| server.address().to_string()).collect()
}
