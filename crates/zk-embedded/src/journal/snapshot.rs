//! Snapshot files: the header, the content, the content's checksum.

use std::io;

use super::disk::Disk;
use super::error::{Damage, Fault, OpenError};
use super::format::{FILE_HEADER, FORMAT_VERSION, FileHeader, HeaderFault, Kind, SNAPSHOT_TRAILER, trailer};

/// So many bytes are written before they are synced: a log that shares the disk waits for no more than these.
const SLICE: usize = 4 << 20;

/// What a snapshot file turned out to be.
pub(super) enum Read {
    /// Whole.
    Content(Vec<u8>),
    /// Not what was written.
    Damaged(Damage),
}

/// Reads the snapshot that is named for `zxid`.
pub(super) fn read(disk: &dyn Disk, zxid: u64) -> Result<Read, OpenError> {
    let name = Kind::Snapshot.name(zxid);
    let path = disk.path(&name);
    let failed = |source| OpenError::Io { action: "read", path: path.clone(), source };
    let file = disk.open(&name).map_err(failed)?;
    let present = file.length().map_err(failed)?;
    let damaged = |offset, fault| Ok(Read::Damaged(Damage { file: path.clone(), offset, fault }));

    let least = (FILE_HEADER + SNAPSHOT_TRAILER) as u64;
    if present < least {
        return damaged(0, Fault::Short { needed: least, present });
    }
    let mut bytes = [0; FILE_HEADER];
    file.read_at(&mut bytes, 0).map_err(failed)?;
    let header = match FileHeader::decode(Kind::Snapshot, &bytes) {
        Ok(header) => header,
        Err(fault) => return damaged(0, fault.into()),
    };
    if header.version != FORMAT_VERSION {
        return Err(OpenError::Version { file: path, found: header.version });
    }
    if header.zxid != zxid {
        return damaged(0, Fault::Zxid { found: header.zxid, previous: zxid });
    }
    // The content is reserved for only once the file is known to be that long.
    let needed = header.extra.saturating_add(least);
    if needed > present {
        return damaged(0, Fault::Short { needed, present });
    }
    if needed < present {
        return damaged(needed, Fault::Long(present - needed));
    }
    let length = usize::try_from(header.extra).map_err(|_| failed(io::ErrorKind::FileTooLarge.into()))?;
    let mut content = vec![0; length];
    file.read_at(&mut content, FILE_HEADER as u64).map_err(failed)?;
    let mut end = [0; SNAPSHOT_TRAILER];
    file.read_at(&mut end, present - SNAPSHOT_TRAILER as u64).map_err(failed)?;
    let (expected, actual) = (trailer(&end), crc32fast::hash(&content));
    if expected != actual {
        return damaged(FILE_HEADER as u64, Fault::Checksum { expected, actual });
    }
    Ok(Read::Content(content))
}

/// Writes the snapshot under its temporary name and waits until it is on disk.
pub(super) fn write_temporary(disk: &dyn Disk, zxid: u64, content: &[u8]) -> io::Result<()> {
    let header = FileHeader::new(zxid, content.len() as u64).encode(Kind::Snapshot);
    let file = disk.create(&Kind::Snapshot.temporary_name(zxid))?;
    let (start, end) = (FILE_HEADER as u64, FILE_HEADER as u64 + content.len() as u64);
    file.write_at(&header, 0)?;
    for (number, slice) in content.chunks(SLICE).enumerate() {
        if number > 0 {
            file.sync()?;
        }
        file.write_at(slice, start + (number * SLICE) as u64)?;
    }
    file.write_at(&crc32fast::hash(content).to_be_bytes(), end)?;
    file.sync()
}

impl From<HeaderFault> for Fault {
    fn from(fault: HeaderFault) -> Self {
        match fault {
            HeaderFault::Checksum { expected, actual } => Fault::Checksum { expected, actual },
            HeaderFault::Magic => Fault::Magic,
        }
    }
}
