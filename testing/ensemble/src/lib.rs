//! Test harness: real Apache ZooKeeper servers and foreign contenders on this machine, and the faults between them.
//!
//! * [`Ensemble`]: one or three servers from Debian's `zookeeper` package, on loopback ports, with data in temporary
//!   folders; each can be killed, stopped, restarted, and cut off from its peers.
//! * [`Proxy`]: a relay in front of a server that cuts, holds, delays, refuses, counts, and shows frames to hooks.
//! * [`Onlooker`]: a small client, independent of the project's own, that tells from outside what is there and when.
//! * [`Peer`], [`start_curator_latch`], [`start_go_master`]: contenders of other families. [`LineProcess`]: any program under
//!   test that speaks in lines.
//!
//! All of it blocks; called from an async test it blocks that test's thread, which is what a test wants.
//! Nothing outlives the test process, however that ends.

mod clock;
mod ensemble;
mod four_letter;
mod frames;
mod lines;
mod link;
mod onlooker;
mod partition;
mod peers;
mod ports;
mod proxy;
mod requirement;
mod server;
mod spawn;

pub use clock::{boot_time, monotonic_time};
pub use ensemble::{Builder, Ensemble, START_LIMIT};
pub use four_letter::{Mode, Report, four_letter, report};
pub use frames::{Frame, op};
pub use lines::{Line, LineProcess, Output};
pub use link::{Control, Counts, Direction, Verdict};
pub use onlooker::{Gone, Kind, NodeStat, Onlooker, Trouble};
pub use peers::{Peer, kazoo_python, require_kazoo, require_peers, start_curator_latch, start_go_master};
pub use ports::Port;
pub use proxy::Proxy;
pub use requirement::{RELEASE, REQUIRE_ALL, require, require_namespaces, require_programs, rounds};
pub use server::Server;
pub use spawn::{Owned, bound_command, spawn};
