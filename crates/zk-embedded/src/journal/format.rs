//! The bytes of segments, records and snapshots, and the names of files. Pure; used by this module only.
//!
//! All numbers are big-endian. Both kinds of file begin with 32 bytes that are laid out alike in every format
//! version, so that a version not known here is told from damage:
//!
//! ```text
//!  0  magic    8   "ZKEMBLOG" or "ZKEMBSNP"
//!  8  version  4
//! 12  zxid     8   segment: that of the last record before it (0: none); snapshot: what it stands for
//! 20  extra    8   segment: the salt; snapshot: bytes of its content
//! 28  crc      4   CRC32 of the 28 bytes before
//! ```
//!
//! A snapshot goes on with its content and the content's CRC32. A segment goes on with records:
//!
//! ```text
//!  0  length   4   bytes of the payload
//!  4  zxid     8
//! 12  synced   8   up to this offset the segment was on disk when the record was written
//! 20  payload  4   CRC32 of the payload
//! 24  header   4   CRC32 of: the salt, the record's own offset (8 bytes), the 24 bytes before
//! 28  payload
//! ```

use crc32fast::Hasher;

/// The version of the format that is written here, and the only one that is read. It covers the content of
/// records and snapshots too: whoever changes their encoding raises it.
pub const FORMAT_VERSION: u32 = 1;

/// The longest payload of a record, in bytes. Larger than any transaction out of a request within the wire's
/// frame limit.
pub const RECORD_LIMIT: usize = 16 << 20;

/// Bytes of a file's header.
pub(super) const FILE_HEADER: usize = 32;

/// Bytes of a record before its payload.
pub(super) const RECORD_HEADER: usize = 28;

/// Bytes of the checksum behind a snapshot's content.
pub(super) const SNAPSHOT_TRAILER: usize = 4;

/// Behind the name of a file that is not complete yet.
const TEMPORARY: &str = ".tmp";

/// The two kinds of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Records.
    Segment,
    /// A state.
    Snapshot,
}

impl Kind {
    fn magic(self) -> &'static [u8; 8] {
        match self {
            Kind::Segment => b"ZKEMBLOG",
            Kind::Snapshot => b"ZKEMBSNP",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Kind::Segment => "log.",
            Kind::Snapshot => "snapshot.",
        }
    }

    /// The name of the file of this kind at `zxid`.
    pub(super) fn name(self, zxid: u64) -> String {
        format!("{}{zxid:016x}", self.prefix())
    }

    /// What that file is called until it is complete.
    pub(super) fn temporary_name(self, zxid: u64) -> String {
        self.name(zxid) + TEMPORARY
    }

    /// The zxid in `name`, if it is exactly what [`Kind::name`] gives.
    pub(super) fn zxid_of(self, name: &str) -> Option<u64> {
        let zxid = u64::from_str_radix(name.strip_prefix(self.prefix())?, 16).ok()?;
        (self.name(zxid) == name).then_some(zxid)
    }
}

/// Whether `name` is that of a segment or snapshot that was never completed.
pub(super) fn is_temporary(name: &str) -> bool {
    name.strip_suffix(TEMPORARY)
        .is_some_and(|name| Kind::Segment.zxid_of(name).is_some() || Kind::Snapshot.zxid_of(name).is_some())
}

/// Whether `name` is that of a segment or snapshot, complete or not.
pub(super) fn is_name(name: &str) -> bool {
    is_temporary(name) || Kind::Segment.zxid_of(name).is_some() || Kind::Snapshot.zxid_of(name).is_some()
}

/// A file's header whose checksum and magic were right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) version: u32,
    pub(super) zxid: u64,
    pub(super) extra: u64,
}

/// Why the first bytes of a file are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Checksum { expected: u32, actual: u32 },
    Magic,
}

impl FileHeader {
    /// A header of the present version.
    pub(super) fn new(zxid: u64, extra: u64) -> Self {
        Self { version: FORMAT_VERSION, zxid, extra }
    }

    pub(super) fn encode(&self, kind: Kind) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        bytes[..8].copy_from_slice(kind.magic());
        bytes[8..12].copy_from_slice(&self.version.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.zxid.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.extra.to_be_bytes());
        let crc = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    pub(super) fn decode(kind: Kind, bytes: &[u8; FILE_HEADER]) -> Result<Self, HeaderFault> {
        let (expected, actual) = (be32(bytes, 28), crc32fast::hash(&bytes[..28]));
        if expected != actual {
            return Err(HeaderFault::Checksum { expected, actual });
        }
        if bytes[..8] != kind.magic()[..] {
            return Err(HeaderFault::Magic);
        }
        Ok(Self { version: be32(bytes, 8), zxid: be64(bytes, 12), extra: be64(bytes, 20) })
    }
}

/// A record's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    /// Bytes of the payload.
    pub(super) length: u32,
    pub(super) zxid: u64,
    /// Up to this offset the segment was on disk when the record was written.
    pub(super) synced: u64,
    /// CRC32 of the payload.
    pub(super) payload_crc: u32,
}

impl RecordHeader {
    /// The header as it stands at `offset` of the segment that has `salt`.
    pub(super) fn encode(&self, salt: u64, offset: u64) -> [u8; RECORD_HEADER] {
        let mut bytes = [0; RECORD_HEADER];
        bytes[..4].copy_from_slice(&self.length.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.zxid.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.synced.to_be_bytes());
        bytes[20..24].copy_from_slice(&self.payload_crc.to_be_bytes());
        let crc = header_crc(salt, offset, &bytes);
        bytes[24..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// The header in `bytes`, unless its checksum is not the one for this place: then (expected, actual).
    pub(super) fn decode(salt: u64, offset: u64, bytes: &[u8; RECORD_HEADER]) -> Result<Self, (u32, u32)> {
        let (expected, actual) = (be32(bytes, 24), header_crc(salt, offset, bytes));
        if expected != actual {
            return Err((expected, actual));
        }
        Ok(Self::fields(bytes))
    }

    /// The fields without a look at the checksum.
    pub(super) fn fields(bytes: &[u8; RECORD_HEADER]) -> Self {
        Self {
            length: be32(bytes, 0),
            zxid: be64(bytes, 4),
            synced: be64(bytes, 12),
            payload_crc: be32(bytes, 20),
        }
    }
}

fn header_crc(salt: u64, offset: u64, bytes: &[u8; RECORD_HEADER]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&salt.to_be_bytes());
    hasher.update(&offset.to_be_bytes());
    hasher.update(&bytes[..24]);
    hasher.finalize()
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(value)
}

fn be64(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(value)
}

/// The number in the four bytes behind a snapshot's content.
pub(super) fn trailer(bytes: &[u8; SNAPSHOT_TRAILER]) -> u32 {
    u32::from_be_bytes(*bytes)
}
