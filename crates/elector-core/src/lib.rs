//! Leader election on ZooKeeper as pure decisions.
//!
//! A [`Candidate`] is one participant's state machine: `step(now, input)`, then drain
//! [`Candidate::next_output`]. It holds no socket, reads no clock, starts no thread and draws no
//! random number of its own, so that a whole fleet of them runs inside a simulator, and every
//! run can be played again.
//!
//! What it keeps true, whatever the order of its inputs:
//!
//! * it leads only for a znode that the present session owns, and only while a deadline that a
//!   quorum's acknowledgements paid for lies ahead ([`lease`]);
//! * one znode carries at most one term; a term that ended never comes back;
//! * whoever leaves has no znode behind it: deleted and answered for, or its session is closed.
//!
//! Where to read on: [`candidate`] is the machine's frame, [`queue`] the seven steps of the
//! election among sequential znodes, [`single`] the one-znode election, [`lease`] the arithmetic
//! of deadlines. [`observer`] takes no part: it tells who leads, from outside.
#![forbid(unsafe_code)]

pub mod candidate;
pub mod contender;
mod error;
pub mod layout;
pub mod lease;
mod message;
mod moment;
pub mod observer;
mod pulse;
pub mod queue;
pub mod single;
mod tenure;
mod token;

pub use candidate::{Candidate, Pace};
pub use contender::Contender;
pub use error::{BudgetError, Error, Lost, Warning};
pub use layout::{Family, Layout};
pub use lease::{Deadlines, Margins, Timing};
pub use message::{Answer, Change, Input, OnDisconnect, Output, Refusal, Request, RequestId, SessionEnd};
pub use moment::Moment;
pub use tenure::Entropy;
pub use token::{Token, TokenError};
