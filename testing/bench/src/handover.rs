//! Hand-overs and rounds of the floor in turns.

use zk_ensemble::Ensemble;

use crate::PAUSE;
use crate::contenders::{Contenders, server_of};
use crate::floor::Floor;
use crate::sample::Pair;

type Error = Box<dyn std::error::Error>;

/// Rounds that are not counted: connections, code and the servers' compiler are cold.
const WARM_UP: usize = 100;
/// So many rounds of the floor have been through each ordered pair of servers.
const PAIRS: usize = 9;

/// `rounds` hand-overs among `count` contenders, one round of the floor after each.
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
    for round in 0..WARM_UP + rounds {
        let ours = contenders.hand_over()?;
        std::thread::sleep(PAUSE);
        let floor = floors[round % PAIRS].round(PAUSE)?;
        std::thread::sleep(PAUSE);
        if round >= WARM_UP {
            pair.ours.add(ours);
            pair.floor.add(floor);
        }
    }
    Ok(pair)
}

/// The servers one by one.
pub(crate) fn addresses(ensemble: &Ensemble) -> Vec<String> {
    ensemble.servers().iter().map(|server| server.address().to_string()).collect()
}
