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
//! - A zxid, a sequence number and a session id are given once, also over crashes, for as long as the
//!   directory is kept.
//! - A session ends no earlier than its timeout after its client was last heard of, and time in which the
//!   server stood still does not count. It ends 100 ms after that at the latest, if the disk is not slow: a
//!   write that takes longer to sync may add as much again, up to a quarter of a second. Sessions live on over
//!   a restart, with a full timeout.
//! - A client that does not read what it is sent is dropped and holds up nobody. Everything has a bound.
//!
//! What does not hold: it is one machine. If its disk is lost, so is everything; who needs more runs an
//! ensemble of Apache's, and changes nothing but the connect string.
//!
//! Known differences from ZooKeeper 3.9, beside what is not there:
//!
//! - A session's password is random and is looked at before the session's old connection is closed, so a
//!   stranger can neither guess it nor cut anybody off. Sessions end by their own timeout, without rounding
//!   up to a tick. A resumption with a longer timeout than the one on record takes a zxid.
//! - A fresh directory begins its zxids at the Unix time in seconds, so that clients of an earlier one are
//!   told that their session is gone, and come back. That holds unless the earlier one had more writes than
//!   seconds in its life: then those who saw its last zxids are sent away ("client has seen zxid ...") until
//!   their program is started anew or the clock has caught up, and fencing tokens begin below the old ones.
//! - Type -10 (createSession) is refused when it comes from clients.
//! - Nothing can be created below `/zookeeper/quota` (-6).
//! - `ip` entries of access control lists may be IPv6 addresses and networks (Apache: -114); numbers with
//!   leading zeros, as in `127.000.0.1`, are refused (-114). A null path, id or credential in a record that is
//!   wrong in other ways too may get another code. A first frame longer than 1 KiB is refused.
//! - Bounds that Apache's server lacks: nodes, bytes of the tree and of a transaction (-125), 1024 entries in
//!   an access control list (-114), 32 credentials of at most 4 KiB (-115), sessions, connections, bytes
//!   of watched paths, 12 MiB of one answer, and 16 MiB that a client has not read (the connection is closed).
//! - Characters above U+FFFF, which no node's name has, come back as UTF-8 where Java writes two surrogates.
//!   `checkWatches` for a path without a slash finds none (-121), where Java fails (-5).
//! - A client that has closed its sending side still gets the answers to what it asked before.
//! - A connection whose handshake does not come within 10 s is closed, as is one that takes more than 30 s for
//!   a frame longer than 64 KiB. One address may have 1000 connections, where Apache's default is 60.
//! - After "unimplemented" for what is not there the connection stays open, except for types that 3.9 does not
//!   know either. A multi with the creation of a TTL node in it is refused as a whole (-5). With SASL not set
//!   up, 3.9 answers its first message with nothing and no error.
//! - Of the four-letter words `ruok`, `isro`, `srvr`, `stat`, `mntr` with sixteen of its lines, and `envi`
//!   with the version alone, all without a whitelist; the others are refused as by one. No HTTP on port 8080.
//! - Its files are its own: Apache's logs and snapshots cannot be read, nor the other way.
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
mod snapshotter;
mod words;

pub use config::{Config, Ended, Listener, Notice, Notices, Storage};
pub use pipeline::Fatal;
pub use server::{Server, StartError};
pub use snapshotter::SnapshotError;
