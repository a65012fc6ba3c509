//! Leader election on Apache ZooKeeper: at most one of many copies of a program leads.
//!
//! Wait your turn, get a number, keep proving that you are alive, be stopped before anybody could
//! doubt it.
//!
//! # What is guaranteed, and what is not
//!
//! * At most one candidate holds a given [`Token`], and tokens rise from term to term within one
//!   ZooKeeper data set. A program whose storage checks the token, refusing a lower one than it has
//!   seen, is safe under any delay. Nothing else protects a write that was already on its way.
//! * Without that check, a [`Leadership`] says no before anybody else can lead
//!   ([`check`](Leadership::check), [`lost`](Leadership::lost), [`guard`](Leadership::guard)),
//!   provided that clock rates agree within 1 %; that `tickTime` is at most half the session timeout
//!   and equal on all servers, as are their session limits; that the quorum leader's pings reach its
//!   followers at most 250 ms late; that this process gets the processor when its lease ends, and
//!   the host is not frozen as a whole; and that nobody else deletes our znodes or closes our
//!   session. When an operator deletes a contender's znode, another may lead for a moment with a
//!   token below one already in force; fenced storage refuses it.
//! * It is not promised that there is a leader at every moment, nor that work runs only once. When
//!   the machine of a quorum leader goes silent, ZooKeeper itself stops for `syncLimit` ticks, and
//!   a leader with a shorter session timeout steps down, though nobody else can lead either.
//!
//! Not even an acknowledged write proves that a session was renewed by it: the deadline counts from
//! what provably reached the quorum leader's session table. Times come from `CLOCK_BOOTTIME`, which
//! goes on during suspend, never from the wall clock. Where one server on this machine is the whole
//! [`Place`], its word is enough, and both sides go by `CLOCK_MONOTONIC`.
//!
//! # A leader in ten lines
//!
//! ```no_run
//! # async fn bill(_token: elector::Token) {}
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let elector = elector::connect("zk1:2181,zk2:2181,zk3:2181", "/billing").await?;
//!     loop {
//!         let leadership = elector.campaign().await?; // waits its turn
//!         match leadership.guard(bill(leadership.token())).await { // dropped when the lease ends
//!             Ok(()) => return Ok(leadership.resign().await?),
//!             Err(lost) => eprintln!("no longer leading: {lost}"), // contend again
//!         }
//!     }
//! }
//! ```
//!
//! # The pieces
//!
//! * [`Elector`]: one candidate on a session of its own. It reconnects by itself, and replaces a
//!   session that expired. [`connect`] for the plain case, [`Elector::builder`] for options.
//! * [`Campaign`]: a place in the queue, and the future of the leadership that it may bring.
//!   Dropping it withdraws.
//! * [`Leadership`]: evidence of one won term, judged by the clock each time it is asked. Dropping
//!   it resigns. [`Fence`] is its copy for spawned tasks.
//! * [`Role`] and [`Notice`]: what a person or a log wants to know. Never act on them.
//! * [`Estate`]: what another process needs to close the session of one that died.
//! * [`History`]: what is remembered of past terms beside the election, for whoever adds to it.
//! * [`Reader`]: an election seen from outside, without taking part. [`Observer`]: each change of its leader.
//!
//! # Working while leading
//!
//! [`Leadership::guard`] drops a future in time. For work that cannot be dropped, ask
//! [`Leadership::check`] or a [`Fence`] before each step, wait for
//! [`ending`](Leadership::ending) to stop in good order, and send the token with every write:
//!
//! ```sql
//! UPDATE invoices SET state = 'sent', fence = :token WHERE id = :id AND fence <= :token
//! ```
//!
//! Writes into the same ensemble need no such column: [`Leadership::write`] makes them conditional
//! on the term's znode.
//!
//! ```no_run
//! # async fn example(elector: elector::Elector) -> Result<(), Box<dyn std::error::Error>> {
//! let leadership = elector.campaign().await?;
//! let fence = leadership.fence();
//! let worker = std::thread::spawn(move || {
//!     while fence.check() {
//!         // one short step, sent with fence.token()
//!     }
//! });
//! let why = leadership.ending().await; // stop_early before the lease ends
//! eprintln!("stopping: {why}");
//! worker.join().expect("the worker does not panic");
//! leadership.resign().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where it runs
//!
//! The driver is one task on the caller's tokio runtime, or on a thread of its own with
//! [`Builder::own_thread`]. A starved driver cannot make a stale leader, since every check reads the
//! clock; it can only lose a leadership for nothing.
//!
//! Features, none by default: `blocking` for programs without an async runtime; `serde` for writing
//! and reading a [`Token`] as a decimal string, which no reader rounds. Neither changes anything
//! about safety.
#![forbid(unsafe_code)]

#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod campaign;
mod driver;
mod elector;
mod error;
mod estate;
mod history;
mod leadership;
mod observer;
mod path;
mod place;
mod reader;
mod role;
mod term;
mod write;

pub use builder::{AclEntry, Builder, DEFAULT_SESSION_TIMEOUT, LOCAL_SESSION_TIMEOUT};
pub use campaign::Campaign;
pub use elector::{Elector, connect};
pub use elector_core::{BudgetError, Error, Layout, Lost, OnDisconnect, Timing, Token, TokenError};
pub use error::{CampaignError, ElectionPathError, ResignError, StartError, WriteError};
pub use estate::Estate;
pub use history::{History, HistoryError, Record};
pub use leadership::{Fence, Leadership};
pub use observer::{Observer, Sighting, View};
pub use place::{LeaseClock, Place};
pub use reader::{ContenderInfo, ReadError, Reader, Snapshot};
pub use role::{Neighbour, Notice, Role};
pub use write::Write;
