//! Kills from outside, at any moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zk_ensemble::rounds;

use crate::load::Ledger;
use crate::victim::Place;

/// S1: SIGKILL at random moments under load.
#[test]
fn nothing_acknowledged_is_lost_and_no_number_is_given_twice() {
    let mut random = fastrand::Rng::with_seed(7);
    let place = Place::new();
    let mut ledger = None;
    let kills = rounds(100, 1000);
    for round in 0..kills {
        let victim = place.start();
        let ledger = ledger.get_or_insert_with(|| Ledger::open(place.address()));
        ledger.check(place.address(), &format!("kill {round}")).expect("the server serves");
        let stop = AtomicBool::new(false);
        let stop = &stop;
        ledger.write_until(stop, || {
            std::thread::sleep(Duration::from_millis(random.u64(0..25)));
            drop(victim);
            stop.store(true, Ordering::Relaxed);
        });
    }
    let _last = place.start();
    let mut ledger = ledger.expect("there were rounds");
    ledger.check(place.address(), "after the last kill").expect("the server serves");
    println!("{kills} kills, {} acknowledged writes", ledger.acknowledged());
    assert!(ledger.acknowledged() > kills, "the kills did not come under load");
}
