//! Test harness: real Apache ZooKeeper servers and foreign contenders on this machine, and the faults between them.
//!
//! * [`Ensemble`]: one or three servers from Debian's `zookeeper` package, on loopback ports, with data in temporary
//!   folders; each can be killed, stopped, restarted, and cut off from its peers.
//!
//! All of it blocks; called from an async test it blocks that test's thread, which is what a test wants.
//! Nothing outlives the test process, however that ends.

mod ensemble;
mod four_letter;
mod partition;
mod ports;
mod requirement;
mod server;
mod spawn;

pub use ensemble::{Builder, Ensemble, START_LIMIT};
pub use four_letter::{Mode, Report, four_letter, report};
pub use ports::Port;
pub use requirement::{REQUIRE_ALL, require};
pub use server::Server;
pub use spawn::{Owned, bound_command, spawn};
