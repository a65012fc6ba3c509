//! What a snapshot is made from and stored with, beside the journal that goes on being written.
//!
//! Invariant: a [`Basis`] reads only files that nobody changes any more, and writes only under a temporary
//! name. So it may be used on another thread; the journal learns of the outcome by
//! [`Journal::finish_snapshot`](super::Journal::finish_snapshot), and one that it never learns of is nothing.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::disk::Disk;
use super::error::{JournalError, OpenError};
use super::format::Kind;
use super::recovery::Records;
use super::snapshot;

/// All that leads to the state at one zxid, on disk. Holds the directory like the journal itself.
#[derive(Debug)]
pub struct Basis {
    disk: DiskHandle,
    zxid: u64,
    /// The newest snapshot before.
    snapshot: Option<u64>,
    /// Zxid and end of each ended segment that may have records after it.
    segments: VecDeque<(u64, u64)>,
}

/// A snapshot that is on disk under its temporary name.
#[derive(Debug)]
pub struct Stored {
    pub(super) zxid: u64,
    pub(super) bytes: u64,
}

struct DiskHandle(Arc<dyn Disk>);

impl std::fmt::Debug for DiskHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disk")
    }
}

impl Basis {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        zxid: u64,
        snapshot: Option<u64>,
        segments: VecDeque<(u64, u64)>,
    ) -> Self {
        Self { disk: DiskHandle(disk), zxid, snapshot, segments }
    }

    /// Which state is to be stored: the one after this transaction.
    #[must_use]
    pub fn zxid(&self) -> u64 {
        self.zxid
    }

    /// The newest snapshot before, with its zxid; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn snapshot(&self) -> Result<Option<(u64, Vec<u8>)>, OpenError> {
        let Some(zxid) = self.snapshot else { return Ok(None) };
        match snapshot::read(&*self.disk.0, zxid)? {
            snapshot::Read::Content(content) => Ok(Some((zxid, content))),
            snapshot::Read::Damaged(damage) => Err(OpenError::Damaged(damage)),
        }
    }

    /// The records from that snapshot on.
    #[must_use]
    pub fn records(&self) -> Records {
        Records::of(Arc::clone(&self.disk.0), self.segments.clone(), self.snapshot.unwrap_or(0))
    }

    /// Writes the state at [`Basis::zxid`] to disk, under a temporary name.
    ///
    /// # Errors
    /// [`JournalError::Snapshot`], which leaves the log as it is.
    pub fn store(self, content: &[u8]) -> Result<Stored, JournalError> {
        write(&*self.disk.0, self.zxid, content)
    }
}

/// The same for a journal that waits for it.
pub(super) fn write(disk: &dyn Disk, zxid: u64, content: &[u8]) -> Result<Stored, JournalError> {
    snapshot::write_temporary(disk, zxid, content).map_err(|source: io::Error| {
        let temporary = Kind::Snapshot.temporary_name(zxid);
        // What stays is removed at the next start.
        let _ = disk.remove(&temporary);
        JournalError::Snapshot { action: "write", path: disk.path(&temporary), source }
    })?;
    Ok(Stored { zxid, bytes: content.len() as u64 })
}
