//! What can go wrong, in words: at a start, and while running.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::format::FORMAT_VERSION;

/// Why a place in a file is not what was written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The stored checksum is not that of the bytes.
    #[error("checksum mismatch: expected {expected:08x}, actual {actual:08x}")]
    Checksum {
        /// The checksum in the file.
        expected: u32,
        /// That of the bytes as they are read now.
        actual: u32,
    },
    /// The file ends before what begins here does.
    #[error("{needed} bytes needed, {present} there")]
    Short {
        /// Bytes from the offset on that there should be.
        needed: u64,
        /// Bytes that there are.
        present: u64,
    },
    /// More bytes than there should be.
    #[error("{0} bytes too many")]
    Long(u64),
    /// The file is not what its name says.
    #[error("not a file of this kind")]
    Magic,
    /// The checksums are right, but the zxid is not one that can stand here.
    #[error("zxid {found:#x} does not follow {previous:#x}")]
    Zxid {
        /// The zxid that is there.
        found: u64,
        /// The one before it, or the one in the file's name.
        previous: u64,
    },
    /// The checksums are right, but a field makes no sense at this place.
    #[error("impossible value {0} in a record's header")]
    Field(u64),
}

/// A damaged place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where in the file the damaged header, record or content begins, in bytes.
    pub offset: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: offset {}: {}", self.file.display(), self.offset, self.fault)
    }
}

/// What was cut off the end of the last segment at a start: a write that was torn, never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Where, and how it showed.
    pub damage: Damage,
    /// Bytes that were cut off.
    pub bytes: u64,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; cut off the last {} bytes, an unfinished write", self.damage, self.bytes)
    }
}

/// Why a journal cannot be opened. Nothing in the directory was changed, unless it is [`OpenError::Io`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another journal of this process, has the directory.
    #[error("{} is in use by {}", directory.display(), Holder(*pid))]
    Locked {
        /// The directory.
        directory: PathBuf,
        /// The holder's process id; `None` if it has not yet written it.
        pid: Option<u32>,
    },
    /// The directory belongs to another user.
    #[error("{} belongs to user {owner}, not to user {user} who runs this", directory.display())]
    Owner {
        /// The directory.
        directory: PathBuf,
        /// Its owner's numeric id.
        owner: u32,
        /// The effective user's numeric id.
        user: u32,
    },
    /// Others may write in the directory.
    #[error("others may write in {} (mode {mode:04o}): chmod 0700 it", directory.display())]
    Mode {
        /// The directory.
        directory: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else keeps their files in the directory.
    #[error(
        "{} has {found:?} in it, which is none of ours: move it away, or name an empty directory",
        directory.display()
    )]
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// The name of a file in it that is not ours, or is not what ours of that name would be.
        found: String,
    },
    /// What was acknowledged is damaged.
    #[error("damaged: {0}")]
    Damaged(Damage),
    /// A part of the log is not there.
    #[error("{}: the log from zxid {after:#x} on is missing", directory.display())]
    Missing {
        /// The directory.
        directory: PathBuf,
        /// The last zxid before the gap.
        after: u64,
    },
    /// Written in another version of the format.
    #[error("{}: format version {found}, but this program reads version {FORMAT_VERSION}", file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// The version that it states.
        found: u32,
    },
    /// The system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// How the system put it.
        source: io::Error,
    },
}

/// Who holds a lock, in words.
struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A write or sync failed. What was appended since the last sync may or may not be there after the next
    /// start; the journal takes nothing more.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// How the system put it.
        source: io::Error,
    },
    /// An earlier call failed with [`JournalError::Io`].
    #[error("the journal failed earlier")]
    Failed,
    /// The payload is longer than [`RECORD_LIMIT`](super::RECORD_LIMIT). Nothing was appended.
    #[error("a record of {0} bytes is too long")]
    TooLong(usize),
    /// A snapshot could not be written, or an old file not removed. The log is unharmed and goes on.
    #[error("cannot {action} {}: {source}", path.display())]
    Snapshot {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// How the system put it.
        source: io::Error,
    },
}

impl JournalError {
    /// Whether nothing more can be written, so that the process should end.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Failed)
    }
}
