//! A ZooKeeper server inside your process: one machine, no quorum, durable or in memory.
//!
//! Any ZooKeeper client can use it. It behaves as Apache ZooKeeper 3.9 does in what it has, and answers
//! "unimplemented" for what it has not: recursive watches, several reads in one request, TTL nodes, quotas,
//! SASL, and everything about ensembles.
//!
//! ```no_run
//! use std::net::TcpListener;
//! use zk_embedded::{Config, Listener, Server, Storage};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = TcpListener::bind("127.0.0.1:2181")?;
//! let config = Config { storage: Some(Storage::new("/var/lib/zk")), ..Config::default() };
//! let server = Server::start(config, vec![Listener::Tcp(listener)])?;
//! eprintln!("the server ended: {}", server.failed().await);
//! # Ok(())
//! # }
//! ```
//!
//! For tests there is [`testing::TestServer`].
//!
//! What holds:
//!
//! - A write is answered, and an event or a read shows it, only when it is on disk. If the disk fails, the
//!   server ends without another word.
//! - A zxid, a sequence number and a session id are given once, also over crashes.
//! - A session ends no earlier than its timeout after its client was last heard of, and time in which the
//!   server stood still does not count. Sessions live on over a restart, with a full timeout.
//! - A client that does not read what it is sent is dropped and holds up nobody. Everything has a bound.
//!
//! What does not hold: it is one machine. If its disk is lost, so is everything; who needs more runs an
//! ensemble of Apache's, and changes nothing but the connect string.
//!
//! | module | what |
//! |---|---|
//! | [`state`] | tree, sessions, watches, access control: pure, without I/O or clock |
//! | [`journal`] | the durable log |
//! | [`testing`] | a server for tests, with faults to stage |

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
