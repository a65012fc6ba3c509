//! One ZooKeeper session over tokio: connect, re-attach, watches set again, every reply with its send time.
//!
//! A [`Session`] is a single object that its owner drives: no task, no lock, no queue that grows while
//! there is no connection. The owner awaits [`Session::next`] again and again, in a `select!` with whatever
//! else it listens to, and submits requests in between.
//!
//! ```no_run
//! use zk_session::{BootClock, Config, Happening, Session, TcpConnector};
//! use zk_session::wire::Request;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::new("zk1:2181,zk2:2181,zk3:2181/app".parse()?);
//! let mut session = Session::new(config, TcpConnector, BootClock);
//! loop {
//!     for happening in session.next().await {
//!         match happening {
//!             Happening::Restored { .. } => {
//!                 session.submit(Request::GetData { path: "/".into(), watch: true })?;
//!             }
//!             Happening::Reply { outcome, sent, .. } => println!("asked at {sent:?}: {outcome:?}"),
//!             Happening::Event { event, .. } => println!("changed: {event:?}"),
//!             Happening::Ended(end) => return Err(end.into()),
//!             other => println!("{other:?}"),
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! [`Client`] is a handle for plain use, over a task that does this.
//!
//! What holds, whatever servers and networks do:
//!
//! - Every request ends in exactly one answer: refused at once ([`NotSent`]), answered
//!   ([`Happening::Reply`]), or lost with its connection ([`Happening::Lost`]), which says whether the
//!   server may have it.
//! - `sent` is read from the [`Clock`] before any byte is handed to the socket, `received` after the answer
//!   was read from it.
//! - Happenings come in the order in which the server sent them. An event comes before any reply that shows
//!   its change.
//! - The session's id never changes silently: [`SessionEnd`] tells expiry, refused credentials and a
//!   replaced session apart.
//! - What a server sends is bounded and checked; nonsense ends the connection, never the program.
//!
//! The crate knows nothing of elections. Streams come from a [`Connector`] and times from a [`Clock`], so
//! that tests run it without a network in paused time.

#![forbid(unsafe_code)]

pub mod backoff;
mod clock;
pub mod config;
mod connect_string;
mod connector;
mod happening;

mod attempt;
mod chroot;
mod client;
mod client_task;
mod drive;
mod inbound;
mod link;
mod outstanding;
mod servers;
mod session;
mod watches;

pub use client::{Answer, CallError, Client, ClientEvent, ConnectError};
pub use clock::{BootClock, Clock, MonotonicClock};
pub use config::{Config, Credential, Pace, Urgency};
pub use connect_string::{ConnectString, ConnectStringError, DEFAULT_PORT, HostPort, MAX_SERVERS};
pub use connector::{Connector, SocketPath, TcpConnector, UnixConnector};
pub use happening::{Attachment, DetachCause, Happening, Lost, NotSent, RequestId, SessionEnd};
pub use session::Session;
pub use zk_wire as wire;
