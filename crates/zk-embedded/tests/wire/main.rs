//! A server over real sockets: handshake, sessions, order, limits, malformed bytes, four-letter words.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod budgets;
mod client;
mod crowds;
mod excess;
mod expiry;
mod faults;
mod handshakes;
mod hostile;
mod sessions;
mod words;
