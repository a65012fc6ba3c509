//! A ZooKeeper server inside your process: one machine, no quorum, durable or in memory.

#![forbid(unsafe_code)]

pub mod journal;
pub mod state;
