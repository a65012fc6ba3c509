//! How many requests the servers receive for one hand-over, the old leader's new enrolment included.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use zk_ensemble::{Direction, Ensemble, Proxy, Verdict, op};

use crate::PAUSE;
use crate::contenders::Contenders;

type Error = Box<dyn std::error::Error>;

/// Requests of one hand-over, on average.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requests {
    /// All but what keeps sessions and leases alive.
    pub(crate) handover: f64,
    /// Probes and pings in the same time.
    pub(crate) keeping: f64,
}

/// Counts through relays, which slow everything down; so nothing is timed here.
pub(crate) fn measure(ensemble: &Ensemble, count: usize, rounds: usize) -> Result<Requests, Error> {
    let (handover, keeping) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let proxies: Vec<Proxy> = ensemble.servers().iter().map(|server| Proxy::new(server.address())).collect();
    for proxy in &proxies {
        let (handover, keeping) = (Arc::clone(&handover), Arc::clone(&keeping));
        proxy.control().on_frame(Direction::Up, move |frame| {
            // A contender sends no multi but its probes.
            match frame.op() {
                Some(op::PING | op::MULTI) => keeping.fetch_add(1, Ordering::Relaxed),
                Some(_) => handover.fetch_add(1, Ordering::Relaxed),
                None => 0,
            };
            Verdict::Pass
        });
    }
    let servers: Vec<String> = proxies.iter().map(|proxy| proxy.address().to_string()).collect();
    let mut contenders = Contenders::enrol(&servers, &format!("/requests-{count}"), count)?;
    // What enrolling has left to do, and the steps of the first few, which stand next to each other.
    for _ in 0..10 {
        contenders.hand_over()?;
        sleep(PAUSE);
    }
    sleep(Duration::from_secs(1));
    let before = (handover.load(Ordering::Relaxed), keeping.load(Ordering::Relaxed));
    for _ in 0..rounds {
        contenders.hand_over()?;
        sleep(PAUSE);
    }
    sleep(Duration::from_secs(1));
    let mean = |now: u64, before: u64| (now - before) as f64 / rounds as f64;
    Ok(Requests {
        handover: mean(handover.load(Ordering::Relaxed), before.0),
        keeping: mean(keeping.load(Ordering::Relaxed), before.1),
    })
}
