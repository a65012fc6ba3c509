//! Leader election on Apache ZooKeeper, with leases that end before anybody else can lead.
#![forbid(unsafe_code)]

mod builder;
mod campaign;
mod driver;
mod elector;
mod error;
mod leadership;
mod path;
mod role;
mod term;
mod write;

pub use builder::{AclEntry, Builder, DEFAULT_SESSION_TIMEOUT};
pub use campaign::Campaign;
pub use elector::{Elector, connect};
pub use elector_core::{BudgetError, Error, Layout, Lost, OnDisconnect, Timing, Token, TokenError};
pub use error::{CampaignError, ElectionPathError, ResignError, StartError, WriteError};
pub use leadership::{Fence, Leadership};
pub use role::{Neighbour, Notice, Role};
pub use write::Write;
