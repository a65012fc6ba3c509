//! The same random operations to this server and to a real ZooKeeper: codes, stats, data, and the order of
//! events must be the same.
//!
//! A history that differs prints its seed; `ELECTOR_SEED=n` runs that one alone.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../wire/client.rs"]
mod client;
mod history;
mod known;
mod pair;

use std::time::Duration;

use zk_embedded::testing::TestServer;
use zk_ensemble::{Ensemble, require, rounds};

use crate::history::Profile;

#[test]
fn ours_and_apaches_behave_the_same() {
    if !require() {
        return;
    }
    // Containers without children go by the clock, which nobody can compare.
    let never = Duration::from_secs(3600);
    let interval = format!("-Dznode.container.checkIntervalMs={}", never.as_millis());
    // Without this, flags 5 and 6 are unimplemented rather than bad arguments.
    let ttl = "-Dzookeeper.extendedTypesEnabled=true";
    let ensemble = Ensemble::builder(1).java_argument(interval).java_argument(ttl).start();
    let theirs = ensemble.servers()[0].address();
    let timeouts = (Duration::from_secs(4), Duration::from_secs(40));
    let builder = TestServer::builder().session_timeouts(timeouts.0, timeouts.1);
    let server = builder.container_check(never).start().unwrap();
    let seeds = match std::env::var("ELECTOR_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..rounds(500, 5000) as u64).collect(),
    };
    for seed in seeds {
        let profile = Profile::ALL[(seed % Profile::ALL.len() as u64) as usize];
        history::run(seed, profile, server.address(), theirs);
    }
}
