//! A ZooKeeper server inside your process: one machine, no quorum, durable or in memory.

#![forbid(unsafe_code)]

pub mod journal;
pub mod state;
pub mod testing;

mod accept;
mod config;
mod connection;
mod link;
mod pipeline;
mod server;
mod shared;
mod words;

pub use config::{Config, Ended, Listener, Notice, Notices, Storage};
pub use pipeline::Fatal;
pub use server::{Server, StartError};
