//! Stores the state now and then, on a thread of its own, so that no write waits for it.
//!
//! The live state is not touched: what is stored is replayed from the journal's own files, by the same
//! `apply` as at a start, and so a snapshot is also a rehearsal of the next start. It takes the memory of a
//! second state while it lasts. Used by the pipeline's thread, which goes on meanwhile.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::journal::{Basis, JournalError, Stored};
use crate::server::{StartError, replay};
use crate::state::Limits;

/// Why a snapshot was not stored. The log is as it was, and the next start reads it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// What is on disk does not give a state: the next start would fail as well.
    #[error("what is on disk cannot be read again: {0}")]
    Replay(StartError),
    /// The records end before the state that was to be stored.
    #[error("the records on disk end at 0x{found:x} instead of 0x{expected:x}")]
    Short {
        /// The last one there.
        found: i64,
        /// The last one that was synced.
        expected: u64,
    },
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] JournalError),
    /// There is no thread for it.
    #[error("no thread for it: {0}")]
    Thread(#[from] io::Error),
    /// Its thread panicked.
    #[error("its thread panicked")]
    Panicked,
}

/// A snapshot that is being made. Dropped, it is given up; that waits for the thread, which holds the directory.
#[derive(Debug)]
pub(crate) struct Snapshotter {
    given_up: Arc<AtomicBool>,
    /// `None` once its outcome was taken.
    thread: Option<JoinHandle<Result<Stored, SnapshotError>>>,
}

impl Snapshotter {
    pub(crate) fn start(basis: Basis, limits: Limits) -> Result<Self, SnapshotError> {
        let given_up = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&given_up);
        let thread = std::thread::Builder::new()
            .name("zk-snapshot".to_owned())
            .spawn(move || store(basis, limits, &stop))?;
        Ok(Self { given_up, thread: Some(thread) })
    }

    /// The outcome, once it is there.
    pub(crate) fn finished(&mut self) -> Option<Result<Stored, SnapshotError>> {
        let thread = self.thread.take_if(|thread| thread.is_finished())?;
        Some(thread.join().unwrap_or(Err(SnapshotError::Panicked)))
    }
}

impl Drop for Snapshotter {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn store(basis: Basis, limits: Limits, given_up: &AtomicBool) -> Result<Stored, SnapshotError> {
    let snapshot = basis.snapshot().map_err(|error| SnapshotError::Replay(error.into()))?;
    // One that is given up ends short of its state, and nobody hears of it.
    let records = basis.records().take_while(|_| !given_up.load(Ordering::Relaxed));
    let state = replay(snapshot, records, &limits).map_err(SnapshotError::Replay)?;
    let found = state.as_ref().map_or(0, crate::state::State::last_zxid);
    match state {
        Some(state) if u64::try_from(found) == Ok(basis.zxid()) => {
            let content = state.snapshot();
            drop(state);
            Ok(basis.store(&content)?)
        }
        _ => Err(SnapshotError::Short { found, expected: basis.zxid() }),
    }
}
