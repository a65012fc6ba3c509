//! The journal while it is written: groups of records, one sync for each, new segments, snapshots.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use elector_teeth::{Tooth, bites};

use super::basis::{self, Basis, Stored};
use super::directory::Directory;
use super::disk::{Disk, DiskFile};
use super::error::{JournalError, OpenError};
use super::format::{FILE_HEADER, Kind, RECORD_HEADER, RECORD_LIMIT, RecordHeader};
use super::recovery::{Recovery, recover};
use super::{Limits, SNAPSHOTS_KEPT, segment};

/// A group that gets longer than this, in bytes, is written in parts, still with one sync. Bounds what is
/// held in memory, together with [`RECORD_LIMIT`].
const WRITE_AT: usize = 1 << 20;

/// A durable log, open for appending. Not thread-safe by design: one writer owns it. All calls block.
///
/// Dropping it releases the directory. What was appended and not synced is lost then.
pub struct Journal {
    disk: Arc<dyn Disk>,
    limits: Limits,
    segment: Segment,
    /// Zxid and end of the ended segments that the newest snapshot does not make superfluous, in order.
    ended: VecDeque<(u64, u64)>,
    /// Encoded records that are not written yet.
    pending: Vec<u8>,
    /// The last zxid that was appended.
    last_zxid: u64,
    /// The last one that is on disk.
    synced_zxid: u64,
    /// Snapshots not known to be damaged, rising.
    snapshots: Vec<u64>,
    since: Since,
    failed: bool,
}

/// The segment that is written to.
struct Segment {
    name: String,
    base: u64,
    salt: u64,
    file: Box<dyn DiskFile>,
    /// Bytes that were handed to the system.
    written: u64,
    /// Bytes that are on disk.
    synced: u64,
}

/// What came since the last snapshot.
#[derive(Debug, Default)]
struct Since {
    records: u64,
    bytes: u64,
    /// Bytes of that snapshot.
    snapshot_bytes: u64,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("segment", &self.segment.name)
            .field("last_zxid", &self.last_zxid)
            .field("synced_zxid", &self.synced_zxid)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal in `directory`, which is made if it is not there, and locks it for this process.
    ///
    /// # Errors
    /// In use by another process, not private, written by a newer version, or damaged in a way that a torn
    /// last write does not explain. The lock is released then.
    pub fn open(directory: &Path, limits: Limits) -> Result<(Self, Recovery), OpenError> {
        Self::open_on(Arc::new(Directory::lock(directory)?), limits)
    }

    /// Opens the journal on any disk. On a [`MemoryDisk`](super::MemoryDisk) nothing prevents a second one.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_on(disk: Arc<dyn Disk>, limits: Limits) -> Result<(Self, Recovery), OpenError> {
        let (recovery, resume) = recover(&disk)?;
        let last_zxid = recovery.last_zxid;
        let segment = match resume.last {
            // An empty one is made once more: its name may not be on disk, if that failed the last time. A log
            // that ends before the snapshot (its damaged end was cut off) cannot take what comes after.
            Some((base, reader)) if !reader.is_empty() && reader.last_zxid() == last_zxid => {
                let end = reader.position();
                let (file, salt) = reader.into_file();
                Segment { name: Kind::Segment.name(base), base, salt, file, written: end, synced: end }
            }
            _ => Segment::create(&*disk, last_zxid).map_err(|(path, source)| OpenError::Io {
                action: "create",
                path,
                source,
            })?,
        };
        let mut ended = resume.ends;
        ended.retain(|(base, _)| *base != segment.base);
        let since =
            Since { records: resume.records, bytes: resume.bytes, snapshot_bytes: resume.snapshot_bytes };
        let journal = Self {
            disk,
            limits,
            segment,
            ended,
            pending: Vec::new(),
            last_zxid,
            synced_zxid: last_zxid,
            snapshots: resume.snapshots,
            since,
            failed: false,
        };
        Ok((journal, recovery))
    }

    /// Adds a record to the present group. Nothing is promised of it before [`Journal::sync`] succeeds.
    ///
    /// # Errors
    /// A final one if an earlier call failed, or if a large group was to be written in parts and that failed.
    ///
    /// # Panics
    /// If `zxid` is not above all before it.
    pub fn append(&mut self, zxid: u64, payload: &[u8]) -> Result<(), JournalError> {
        assert!(zxid > self.last_zxid, "zxid {zxid:#x} appended after {:#x}", self.last_zxid);
        if payload.len() > RECORD_LIMIT {
            return Err(JournalError::TooLong(payload.len()));
        }
        self.attempt(|journal| {
            let at_group_start = journal.pending.is_empty() && journal.segment.is_synced();
            if at_group_start && journal.segment.written >= journal.limits.segment_bytes {
                journal.begin_segment()?;
            }
            journal.encode(zxid, payload);
            if journal.pending.len() >= WRITE_AT { journal.write() } else { Ok(()) }
        })
    }

    /// Makes all that was appended durable: one write and one sync for the whole group. Only when this has
    /// returned `Ok` may anybody see an effect of these records.
    ///
    /// # Errors
    /// Every error is final: it is unknown what of the group is on disk, and a sync that succeeds later would
    /// not change that. The process should end; the next start finds out.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.attempt(|journal| {
            journal.write()?;
            if journal.segment.is_synced() {
                return Ok(());
            }
            let segment = &mut journal.segment;
            let path = || journal.disk.path(&segment.name);
            if !bites(Tooth::SyncSkipped) {
                segment.file.sync().map_err(|source| io_error("sync", path(), source))?;
            }
            segment.synced = segment.written;
            // Synced into a file that nobody will ever find again is not durable.
            journal.check_whereabouts()?;
            journal.synced_zxid = journal.last_zxid;
            Ok(())
        })
    }

    /// Whether enough was written since the last snapshot that a new one is worth its cost.
    pub fn should_snapshot(&self) -> bool {
        let bytes = self.limits.snapshot_bytes.max(self.since.snapshot_bytes);
        self.since.records >= self.limits.snapshot_records || self.since.bytes >= bytes
    }

    /// Begins a snapshot of the state after the last record: a new segment, and all that leads up to it for
    /// whoever makes and stores the snapshot, on any thread. [`Journal::should_snapshot`] counts from here.
    ///
    /// # Errors
    /// Final, like those of [`Journal::sync`].
    ///
    /// # Panics
    /// If something was appended and not synced.
    pub fn begin_snapshot(&mut self) -> Result<Basis, JournalError> {
        assert!(self.last_zxid == self.synced_zxid, "a snapshot within a group");
        self.attempt(Self::end_segment)?;
        self.since = Since { snapshot_bytes: self.since.snapshot_bytes, ..Since::default() };
        let newest = self.snapshots.last().copied();
        Ok(Basis::new(Arc::clone(&self.disk), self.last_zxid, newest, self.ended.clone()))
    }

    /// Makes a snapshot count that [`Basis::store`] has stored, and removes what the newest
    /// [`SNAPSHOTS_KEPT`] snapshots do not need.
    ///
    /// # Errors
    /// [`JournalError::Snapshot`] leaves the log as it was. All others are final.
    pub fn finish_snapshot(&mut self, stored: Stored) -> Result<(), JournalError> {
        self.since.snapshot_bytes = stored.bytes;
        self.attempt(|journal| journal.give_name(stored.zxid))?;
        self.remove_old()
    }

    /// Stores the state at `zxid`, begins a new segment, and removes what the newest [`SNAPSHOTS_KEPT`]
    /// snapshots do not need; all writing waits for it. A snapshot that the journal already has is not
    /// written again.
    ///
    /// # Errors
    /// [`JournalError::Snapshot`] leaves the log as it was; [`Journal::should_snapshot`] asks again after as
    /// many records as usual. All others are final.
    ///
    /// # Panics
    /// If something was appended and not synced, or `zxid` is not one that was synced.
    pub fn snapshot(&mut self, zxid: u64, content: &[u8]) -> Result<(), JournalError> {
        assert!(self.last_zxid == self.synced_zxid, "a snapshot within a group");
        assert!(zxid <= self.synced_zxid, "a snapshot of what is not on disk");
        if self.failed {
            return Err(JournalError::Failed);
        }
        if self.snapshots.last().is_some_and(|newest| zxid <= *newest) {
            return Ok(());
        }
        // Counted anew also when it fails, so that a full disk is not tried at every turn.
        self.since = Since { snapshot_bytes: content.len() as u64, ..Since::default() };
        let stored = basis::write(&*self.disk, zxid, content)?;
        self.attempt(|journal| {
            journal.give_name(stored.zxid)?;
            journal.end_segment()
        })?;
        self.remove_old()
    }

    /// The last zxid that was appended, or 0.
    pub fn last_zxid(&self) -> u64 {
        self.last_zxid
    }

    /// Fails if the directory or the segment that is written was removed, exchanged or cut. [`Journal::sync`] sees to this by
    /// itself; an idle owner calls it now and then.
    ///
    /// # Errors
    /// Final, like those of [`Journal::sync`].
    pub fn check_place(&mut self) -> Result<(), JournalError> {
        self.attempt(|journal| journal.check_whereabouts())
    }

    fn check_whereabouts(&self) -> Result<(), JournalError> {
        let place = self.disk.check_place();
        place.map_err(|source| io_error("use the directory", self.disk.path(""), source))?;
        let failed = |source| io_error("use", self.disk.path(&self.segment.name), source);
        let there = self.disk.open(&self.segment.name).map_err(failed)?;
        if there.identity().map_err(failed)? != self.segment.file.identity().map_err(failed)? {
            return Err(failed(io::Error::other("it is no longer the file that was opened")));
        }
        self.segment.check_length().map_err(failed)
    }

    /// Runs `step`; once one has failed, none is run any more.
    fn attempt(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        if self.failed {
            return Err(JournalError::Failed);
        }
        let result = step(self);
        self.failed = result.is_err();
        result
    }

    fn encode(&mut self, zxid: u64, payload: &[u8]) {
        let offset = self.segment.written + self.pending.len() as u64;
        let header = RecordHeader {
            length: payload.len() as u32,
            zxid,
            synced: self.segment.synced,
            payload_crc: crc32fast::hash(payload),
        };
        self.pending.extend_from_slice(&header.encode(self.segment.salt, offset));
        self.pending.extend_from_slice(payload);
        self.last_zxid = zxid;
        self.since.records += 1;
        self.since.bytes += (RECORD_HEADER + payload.len()) as u64;
    }

    /// Hands the pending bytes to the system.
    fn write(&mut self) -> Result<(), JournalError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let segment = &mut self.segment;
        let failed = |source| io_error("write", self.disk.path(&segment.name), source);
        // Written behind its end, a file that was cut would look whole afterwards.
        segment.check_length().map_err(failed)?;
        segment.file.write_at(&self.pending, segment.written).map_err(failed)?;
        segment.written += self.pending.len() as u64;
        self.pending.clear();
        self.pending.shrink_to(2 * WRITE_AT);
        Ok(())
    }

    /// Goes over to a new segment. Only between groups: all before it must be on disk.
    fn begin_segment(&mut self) -> Result<(), JournalError> {
        debug_assert!(self.pending.is_empty() && self.segment.is_synced());
        let created = Segment::create(&*self.disk, self.last_zxid);
        let created = created.map_err(|(path, source)| io_error("create", path, source))?;
        self.ended.push_back((self.segment.base, self.segment.written));
        self.segment = created;
        Ok(())
    }

    /// The same, unless the segment has no record yet.
    fn end_segment(&mut self) -> Result<(), JournalError> {
        if self.last_zxid == self.segment.base { Ok(()) } else { self.begin_segment() }
    }

    /// From here on the snapshot that has the temporary name counts.
    fn give_name(&mut self, zxid: u64) -> Result<(), JournalError> {
        let (temporary, name) = (Kind::Snapshot.temporary_name(zxid), Kind::Snapshot.name(zxid));
        let failed = |source| io_error("rename", self.disk.path(&temporary), source);
        self.disk.rename(&temporary, &name).map_err(failed)?;
        let failed = |source| io_error("sync", self.disk.path(""), source);
        self.disk.sync_names().map_err(failed)?;
        self.snapshots.push(zxid);
        // A segment goes on to the base of the next one.
        while self.ended.get(1).map_or(self.segment.base, |next| next.0) <= zxid {
            if self.ended.pop_front().is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Removes the snapshots before the newest [`SNAPSHOTS_KEPT`] and the segments that end before these.
    fn remove_old(&mut self) -> Result<(), JournalError> {
        let Some(surplus) = self.snapshots.len().checked_sub(SNAPSHOTS_KEPT) else { return Ok(()) };
        let oldest = self.snapshots[surplus];
        let names = self.disk.list().map_err(|source| self.snapshot_error("list", "", source))?;
        let mut bases: Vec<u64> = names.iter().filter_map(|name| Kind::Segment.zxid_of(name)).collect();
        bases.sort_unstable();
        // A segment goes on to the base of the next one.
        let ended = bases.windows(2).filter(|pair| pair[1] <= oldest).map(|pair| pair[0]);
        let mut surplus: Vec<String> = ended.map(|base| Kind::Segment.name(base)).collect();
        surplus.extend(names.into_iter().filter(|name| {
            // Damaged ones too.
            Kind::Snapshot.zxid_of(name).is_some_and(|zxid| zxid < oldest)
        }));
        for name in surplus {
            self.disk.remove(&name).map_err(|source| self.snapshot_error("remove", &name, source))?;
        }
        self.snapshots.retain(|zxid| *zxid >= oldest);
        Ok(())
    }

    fn snapshot_error(&self, action: &'static str, name: &str, source: io::Error) -> JournalError {
        JournalError::Snapshot { action, path: self.disk.path(name), source }
    }
}

impl Segment {
    fn create(disk: &dyn Disk, base: u64) -> Result<Self, (std::path::PathBuf, io::Error)> {
        let name = Kind::Segment.name(base);
        let salt = getrandom::u64().map_err(|error| (disk.path(&name), error.into()))?;
        let file = segment::create(disk, base, salt).map_err(|source| (disk.path(&name), source))?;
        let length = FILE_HEADER as u64;
        Ok(Self { name, base, salt, file, written: length, synced: length })
    }

    /// Fails if somebody has cut or lengthened the file.
    fn check_length(&self) -> io::Result<()> {
        let found = self.file.length()?;
        if found == self.written {
            return Ok(());
        }
        Err(io::Error::other(format!("it has {found} bytes where {} were written", self.written)))
    }

    fn is_synced(&self) -> bool {
        self.synced == self.written
    }
}

fn io_error(action: &'static str, path: std::path::PathBuf, source: io::Error) -> JournalError {
    JournalError::Io { action, path, source }
}
