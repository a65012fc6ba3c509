//! Elections of one user on one machine: `elector run --local` and `status --local` as processes, each test in a
//! directory of its own.

#[path = "../common/mod.rs"]
mod common;
mod directory;
mod hosting;
mod kills;
mod stopped;
mod support;
