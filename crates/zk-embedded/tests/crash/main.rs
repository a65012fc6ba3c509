//! The server under the faults of processes and disks: nothing that was acknowledged is lost, no number is
//! given twice, and sessions do not pay for it.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../wire/client.rs"]
mod client;

mod calls;
mod kills;
mod load;
mod pauses;
mod victim;
