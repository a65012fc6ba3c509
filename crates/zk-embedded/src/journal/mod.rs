//! The durable log: what was written here and synced is there after any crash, or the start is refused.
//!
//! The journal knows nothing of transactions or trees. It keeps byte records under rising zxids and, now
//! and then, a snapshot that stands for all records up to its zxid. One thread owns it: the pipeline
//! appends a group of records, calls [`Journal::sync`] once, and only then lets anybody see their effects.
//!
//! What lies in the directory (`lock` and foreign files apart):
//!
//! | file | content |
//! |---|---|
//! | `log.<zxid, 16 hex digits>` | a segment: the records after that zxid, up to the next segment's |
//! | `snapshot.<zxid, 16 hex digits>` | the state at exactly that zxid |
//! | `*.tmp` | one of the two before it was complete; removed at the next start |
//!
//! Invariants, on which the judgement at a start rests (bytes: see `format.rs`):
//!
//! * A file gets its name only when its content, or a segment's header, is on disk. So a damaged header is
//!   never the trace of a crash.
//! * A segment is begun only when all before it is synced, and its name tells the last zxid before it. So only
//!   in the last one anything may be missing at the end, and what stands behind the end of another is nothing.
//! * Every record carries up to where its segment was synced when it was written. A record found behind a
//!   damaged place tells by this whether the two belong to one group, whose sectors a crash may have kept in
//!   any selection (then all from the damage on was never acknowledged, and is cut off), or whether the
//!   damaged place had been acknowledged (then the start is refused).
//! * The salt in a segment's header goes into each record's checksum. So no client can store bytes that
//!   pass for records.
//! * After a failed write or sync nothing more is written: the pages may count as clean without being on
//!   disk. At the next start the last group, which may be such pages, is written once more.
//!
//! What cannot be told from a torn write: damage to the very last group, when nothing was written after it.
//! It is cut off, and [`Recovery::cut`] says so.

mod basis;
mod directory;
mod disk;
mod error;
mod format;
mod memory;
mod recovery;
mod segment;
mod snapshot;
mod writer;

pub use basis::{Basis, Stored};
pub use directory::Directory;
pub use disk::{Disk, DiskFile};
pub use error::{Cut, Damage, Fault, JournalError, OpenError};
pub use format::{FORMAT_VERSION, RECORD_LIMIT};
pub use memory::MemoryDisk;
pub use recovery::{Records, Recovery};
pub use writer::Journal;

/// Snapshots that are kept, with all segments from the oldest of them on. The older ones serve when a newer
/// one turns out damaged.
pub const SNAPSHOTS_KEPT: usize = 3;

/// When the journal begins a new segment and when it asks for a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A segment at least this long, in bytes, is followed by a new one.
    pub segment_bytes: u64,
    /// A snapshot is due after this many bytes of records (or as many as the last snapshot had, if those
    /// were more, so that a large tree is not rewritten all the time).
    pub snapshot_bytes: u64,
    /// A snapshot is due after this many records.
    pub snapshot_records: u64,
}

impl Default for Limits {
    /// Segments and snapshots each 64 MiB, snapshots at the latest after 200 000 records.
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, snapshot_bytes: 64 << 20, snapshot_records: 200_000 }
    }
}
