//! Elections of one user on one machine, with nothing installed: `--local`.
//!
//! All who take part share a [`Directory`]. Whoever has its lock is the [`Host`]: it runs the embedded server
//! inside its own process, on a socket in that directory, and everybody else connects. [`look`] tells from
//! outside who hosts, and whether it stands still.

mod directory;
mod host;
mod outlook;

pub(crate) use directory::{Directory, shown};
pub(crate) use host::{Host, News};
pub(crate) use outlook::{Outlook, look, look_for_a_host, served_line};

use crate::args::Where;
use elector::Place;
use std::sync::Arc;

/// Where an election is held, ready for use.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// For the library.
    pub(crate) place: Place,
    /// The directory of a local election, which must live as long as the place is used.
    pub(crate) directory: Option<Arc<Directory>>,
}

impl Site {
    /// Makes ready what the options name: a local directory is made and judged here. For every command that takes
    /// part or goes on looking. The error is a line for people, and a matter of usage.
    pub(crate) fn open(place: &Where) -> Result<Site, String> {
        match place {
            Where::Ensemble(servers) => Ok(Site { place: Place::Ensemble(servers.clone()), directory: None }),
            Where::Local(given) => Directory::open(given.as_deref()).map(Site::local),
        }
    }

    /// The place of a local election.
    pub(crate) fn local(directory: Directory) -> Site {
        Site { place: Place::Local(directory.socket()), directory: Some(Arc::new(directory)) }
    }
}
