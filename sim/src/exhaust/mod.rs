//! Every course of events at a small scope: two or three contenders, one server, a few faults.
//!
//! The contenders are the real machines of `elector-core`; what is searched is in which order the server takes
//! their requests, in which order they read its answers and events, and where between them connections break,
//! sessions end, znodes are deleted and applications change their minds. Worlds that are equal are searched once.
//! Time stands still but for two faults and for coming to rest: how deadlines are counted is not searched here but in
//! simulated worlds.
//!
//! [`scope`] names what is searched, [`search()`] searches it, `world` says what may happen and what must hold, `rest`
//! what must come of it; `server` is the model of the server, `seat` one contender, `tell` turns a course into lines.

mod rest;
pub mod scope;
mod search;
mod seat;
pub mod server;
mod tell;
mod world;

pub use search::{Bounds, Found, Violation, beginning, search, tell};
pub use tell::Log;
pub use world::{Action, World, Wrong};
