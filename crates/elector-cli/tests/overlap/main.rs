//! No two programs at a time: each of them writes its token down every few milliseconds, and two tokens that
//! interleave are a failure. Each test names its row of the catalogue of faults.

mod clocks;
#[path = "../common/mod.rs"]
mod common;
mod cuts;
mod kills;
mod lossy;
mod memory;
mod readers;
mod restarts;
mod starts;
mod stuck;
mod witness;
