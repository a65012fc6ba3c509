//! The whole library in a world where time, networks, disks and servers are simulated.
//!
//! What runs is what ships: the elector with its driver, the session with its reconnects, the core, and on the
//! other side the embedded server's state and journal. Nothing of it is replaced but the clock
//! ([`Clock`](zk_session::Clock)), the byte streams ([`Connector`](zk_session::Connector)), the random numbers
//! and the disk. There is no runtime: an elector is a future, and the world polls it when a packet or a moment
//! of its clock has come. So a run of a minute with three contenders takes a few milliseconds, and a seed gives
//! the same run in every build. An ensemble of three Apache servers is a model (`ensemble`); it speaks the real
//! protocol.
//!
//! | module | what |
//! |---|---|
//! | [`plan`] | what a seed stands for: contenders, servers, faults |
//! | `world` | true time, network, faults, and what must always hold |
//! | `program` | who contends: ours, and programs with other rules |
//! | `client` | the clock and the streams that a contender sees |
//! | `ensemble`, `lone` | a model of three servers; the embedded server on a disk that fails |
//! | [`record`], [`story`], [`shrink`], [`Tally`] | what happened, told, made short, summed up |
//!
//! What is checked, and why it is built so: `docs/simulation.md`, `docs/decisions/0014-the-simulator.md`.
#![forbid(unsafe_code)]

mod client;
mod ensemble;
pub mod exhaust;
mod lone;
pub mod picture;
pub mod plan;
mod program;
mod random;
pub mod record;
mod service;
pub mod shrink;
pub mod story;
mod tally;
pub mod teeth;
mod world;

pub use tally::Tally;
pub use world::{Outcome, play};

/// Nanoseconds in a millisecond.
pub(crate) const MS: u64 = 1_000_000;
/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000 * MS;
