//! The fencing token at work: a stale leader's late write is refused by a real Postgres, by an HTTP service and by
//! ZooKeeper, and is accepted by the same store with the same programs when the fence is left out.
//!
//! The programs are those of `examples/fencing`, which `docs/use-the-token.md` shows.

#[path = "../common/mod.rs"]
mod common;

mod guarded;
mod http;
mod isolation;
mod page;
mod postgres;
mod relay;
mod source;
mod stale;
mod tree;
mod zookeeper;
