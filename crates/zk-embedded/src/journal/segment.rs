//! Segment files: making one, reading one from its start, and judging a damaged place in the last one.

use std::io;
use std::path::PathBuf;

use elector_teeth::{Tooth, bites};

use super::disk::{Disk, DiskFile};
use super::error::{Damage, Fault, OpenError};
use super::format::{
    FILE_HEADER, FORMAT_VERSION, FileHeader, Kind, RECORD_HEADER, RECORD_LIMIT, RecordHeader,
};

/// How much is read at once, in bytes.
const CHUNK: usize = 256 << 10;

/// Makes an empty segment for the records after zxid `base`. When this returns, it is on disk.
pub(super) fn create(disk: &dyn Disk, base: u64, salt: u64) -> io::Result<Box<dyn DiskFile>> {
    let temporary = Kind::Segment.temporary_name(base);
    let file = disk.create(&temporary)?;
    file.write_at(&FileHeader::new(base, salt).encode(Kind::Segment), 0)?;
    file.sync()?;
    disk.rename(&temporary, &Kind::Segment.name(base))?;
    if !bites(Tooth::NamesNotSynced) {
        disk.sync_names()?;
    }
    Ok(file)
}

/// Reads the records of one segment in order.
pub(super) struct Reader {
    path: PathBuf,
    window: Window,
    salt: u64,
    /// Where the next record begins.
    position: u64,
    /// The zxid of the record before, at first that of the header.
    last_zxid: u64,
    /// The newest statement of what was on disk.
    synced: u64,
}

/// What stands at the reader's position.
pub(super) enum Step<'a> {
    /// A whole record.
    Record(u64, &'a [u8]),
    /// Nothing more.
    End,
    /// No record, but something: damage, or a write that was torn.
    Fault(Fault),
}

impl Reader {
    /// Opens the segment that is named for `base`. Its header was on disk before it got that name, so damage
    /// to the header is never taken for a torn write.
    pub(super) fn open(disk: &dyn Disk, base: u64) -> Result<Self, OpenError> {
        let name = Kind::Segment.name(base);
        let path = disk.path(&name);
        let failed = |source| OpenError::Io { action: "read", path: path.clone(), source };
        let damaged = |fault| Err(OpenError::Damaged(Damage { file: path.clone(), offset: 0, fault }));
        let file = disk.open(&name).map_err(failed)?;
        let length = file.length().map_err(failed)?;
        if length < FILE_HEADER as u64 {
            return damaged(Fault::Short { needed: FILE_HEADER as u64, present: length });
        }
        let mut bytes = [0; FILE_HEADER];
        file.read_at(&mut bytes, 0).map_err(failed)?;
        let header = match FileHeader::decode(Kind::Segment, &bytes) {
            Ok(header) => header,
            Err(fault) => return damaged(fault.into()),
        };
        if header.version != FORMAT_VERSION {
            return Err(OpenError::Version { file: path, found: header.version });
        }
        if header.zxid != base {
            return damaged(Fault::Zxid { found: header.zxid, previous: base });
        }
        let window = Window { file, length, start: 0, bytes: Vec::new() };
        let position = FILE_HEADER as u64;
        Ok(Self { path, window, salt: header.extra, position, last_zxid: base, synced: position })
    }

    /// Goes past the next record. At an end or a fault the position stays.
    pub(super) fn step(&mut self) -> Result<Step<'_>, OpenError> {
        let failed = |source| OpenError::Io { action: "read", path: self.path.clone(), source };
        let present = self.window.length - self.position;
        if present == 0 {
            return Ok(Step::End);
        }
        let needed = RECORD_HEADER as u64;
        if present < needed {
            return Ok(Step::Fault(Fault::Short { needed, present }));
        }
        let bytes = self.window.header(self.position).map_err(failed)?;
        let header = match RecordHeader::decode(self.salt, self.position, &bytes) {
            Ok(header) => header,
            Err((expected, actual)) => return Ok(Step::Fault(Fault::Checksum { expected, actual })),
        };
        if let Some(fault) = self.implausible(&header) {
            return Ok(Step::Fault(fault));
        }
        let needed = needed + u64::from(header.length);
        if present < needed {
            return Ok(Step::Fault(Fault::Short { needed, present }));
        }
        let payload = self
            .window
            .bytes(self.position + RECORD_HEADER as u64, header.length as usize)
            .map_err(failed)?;
        let actual = crc32fast::hash(payload);
        if actual != header.payload_crc && !bites(Tooth::ChecksumIgnored) {
            return Ok(Step::Fault(Fault::Checksum { expected: header.payload_crc, actual }));
        }
        self.position += needed;
        self.last_zxid = header.zxid;
        self.synced = header.synced;
        Ok(Step::Record(header.zxid, payload))
    }

    /// What cannot follow the records before, although the checksum is right: something of an earlier end that
    /// had been cut off.
    fn implausible(&self, header: &RecordHeader) -> Option<Fault> {
        if header.zxid <= self.last_zxid {
            return Some(Fault::Zxid { found: header.zxid, previous: self.last_zxid });
        }
        if header.synced < self.synced || header.synced > self.position {
            return Some(Fault::Field(header.synced));
        }
        if header.length as usize > RECORD_LIMIT {
            return Some(Fault::Field(header.length.into()));
        }
        None
    }

    /// Whether a record that was written after the damaged place at the position had been synced stands
    /// anywhere behind it. Every offset is tried: the damage may have hit a length.
    pub(super) fn written_later(&mut self) -> Result<bool, OpenError> {
        let failed = |source| OpenError::Io { action: "read", path: self.path.clone(), source };
        let mut offset = self.position + 1;
        while offset + RECORD_HEADER as u64 <= self.window.length {
            let bytes = self.window.header(offset).map_err(failed)?;
            // The checksum last, since it costs most.
            let fields = RecordHeader::fields(&bytes);
            if fields.synced > self.position
                && fields.synced <= offset
                && fields.zxid > self.last_zxid
                && RecordHeader::decode(self.salt, offset, &bytes).is_ok()
            {
                return Ok(true);
            }
            offset += 1;
        }
        Ok(false)
    }

    /// The damage at the position.
    pub(super) fn damage(&self, fault: Fault) -> Damage {
        Damage { file: self.path.clone(), offset: self.position, fault }
    }

    /// The zxid of the last record that was read, or the one before the segment.
    pub(super) fn last_zxid(&self) -> u64 {
        self.last_zxid
    }

    /// Whether no record was read.
    pub(super) fn is_empty(&self) -> bool {
        self.position == FILE_HEADER as u64
    }

    /// Where the next record begins, in bytes.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// From where on the file, up to the position, may be in the system's cache without being on disk.
    pub(super) fn unproven_from(&self) -> u64 {
        // Without a record there is only the header, which was on disk before the file had its name.
        self.synced
    }

    /// What is needed to go on writing: the file and its salt.
    pub(super) fn into_file(self) -> (Box<dyn DiskFile>, u64) {
        (self.window.file, self.salt)
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.window.length
    }

    /// The file itself.
    pub(super) fn file(&self) -> &dyn DiskFile {
        &*self.window.file
    }

    /// The file with its path, for messages.
    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }
}

/// A part of the file in memory, so that small records cost no call each.
struct Window {
    file: Box<dyn DiskFile>,
    /// Bytes of the file.
    length: u64,
    /// Where in the file `bytes` begins.
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The `count` bytes from `offset` on, which must lie in the file.
    fn bytes(&mut self, offset: u64, count: usize) -> io::Result<&[u8]> {
        let end = offset + count as u64;
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            let there = usize::try_from(self.length - offset).unwrap_or(usize::MAX);
            self.bytes.clear();
            self.bytes.shrink_to(CHUNK);
            self.bytes.resize(count.max(CHUNK).min(there), 0);
            self.file.read_at(&mut self.bytes, offset)?;
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..from + count])
    }

    fn header(&mut self, offset: u64) -> io::Result<[u8; RECORD_HEADER]> {
        let mut header = [0; RECORD_HEADER];
        header.copy_from_slice(self.bytes(offset, RECORD_HEADER)?);
        Ok(header)
    }
}
