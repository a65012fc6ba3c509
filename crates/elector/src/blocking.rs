//! The same election for programs without an async runtime (feature `blocking`).
//!
//! The driver runs on a thread of its own; the calls here wait for it. What they promise is what
//! their async counterparts promise: the lease is judged by the clock at each
//! [`check`](Leadership::check), whatever the calling thread is doing.
//!
//! ```no_run
//! use elector::blocking;
//!
//! # fn one_step(_token: elector::Token) {}
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let elector = blocking::connect("zk1:2181,zk2:2181,zk3:2181", "/billing")?;
//!     loop {
//!         let leadership = elector.campaign()?; // waits its turn
//!         while leadership.check() {
//!             one_step(leadership.token()); // short, and fenced by the token
//!         }
//!     } // dropping the leadership resigns what is left of it; contend again
//! }
//! ```
//!
//! Call it from plain threads only: within an async runtime its waiting panics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::builder::Builder;
use crate::error::{CampaignError, ResignError, StartError, WriteError};
use crate::leadership::Fence;
use crate::place::Place;
use crate::write::Write;
use crate::{Lost, Token};

/// Connects as one candidate of the election at `path`, with the defaults of [`Builder`], and waits
/// until a server carries a session, without limit.
///
/// # Errors
/// See [`StartError`].
pub fn connect(place: impl Into<Place>, path: &str) -> Result<Elector, StartError> {
    Elector::connect(Builder::new(place.into(), path))
}

/// One candidate; see [`crate::Elector`].
pub struct Elector {
    inner: crate::Elector,
    runtime: Arc<Runtime>,
}

impl Elector {
    /// Connects with options, within their [`connect_timeout`](Builder::connect_timeout) if they name one.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn connect(builder: Builder) -> Result<Elector, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| StartError::Thread(error.to_string()))?;
        let inner = runtime.block_on(builder.own_thread().connect())?;
        Ok(Elector { inner, runtime: Arc::new(runtime) })
    }

    /// Enters the election and waits for its turn, without limit.
    ///
    /// # Errors
    /// See [`CampaignError`].
    pub fn campaign(&self) -> Result<Leadership, CampaignError> {
        let won = self.runtime.block_on(self.inner.campaign())?;
        Ok(Leadership { inner: won, runtime: Arc::clone(&self.runtime) })
    }

    /// Enters the election and waits for its turn; withdraws and returns nothing after `limit`.
    ///
    /// # Errors
    /// See [`CampaignError`].
    pub fn campaign_within(&self, limit: Duration) -> Result<Option<Leadership>, CampaignError> {
        let campaign = async { tokio::time::timeout(limit, self.inner.campaign()).await };
        match self.runtime.block_on(campaign) {
            Ok(won) => Ok(Some(Leadership { inner: won?, runtime: Arc::clone(&self.runtime) })),
            Err(_too_late) => Ok(None),
        }
    }

    /// Closes the session; see [`crate::Elector::close`].
    pub fn close(self) {
        self.runtime.block_on(self.inner.close());
    }
}

impl fmt::Debug for Elector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Evidence of one won term; see [`crate::Leadership`]. Dropping it resigns.
#[must_use = "dropping a leadership resigns it"]
pub struct Leadership {
    inner: crate::Leadership,
    runtime: Arc<Runtime>,
}

impl Leadership {
    /// The term's fencing token.
    pub fn token(&self) -> Token {
        self.inner.token()
    }

    /// Whether acting for this term is safe at this moment, judged by the clock when asked.
    pub fn check(&self) -> bool {
        self.inner.check()
    }

    /// What is left of the lease at this moment.
    pub fn remaining(&self) -> Duration {
        self.inner.remaining()
    }

    /// A cheap copy of the evidence for other threads.
    pub fn fence(&self) -> Fence {
        self.inner.fence()
    }

    /// Waits until the work must stop.
    pub fn wait_ending(&self) -> Lost {
        self.runtime.block_on(self.inner.ending())
    }

    /// Waits until the term is over.
    pub fn wait_lost(&self) -> Lost {
        self.runtime.block_on(self.inner.lost())
    }

    /// Writes into the same ensemble, all or nothing, while this term's znode exists.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn write(&self, operations: Vec<Write>) -> Result<(), WriteError> {
        self.runtime.block_on(self.inner.write(operations))
    }

    /// Ends the term, when the work has stopped; returns when nothing of it is left in the election.
    ///
    /// # Errors
    /// See [`ResignError`].
    pub fn resign(self) -> Result<(), ResignError> {
        self.runtime.block_on(self.inner.resign())
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
