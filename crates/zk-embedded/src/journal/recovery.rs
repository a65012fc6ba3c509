//! The start: which snapshot, which records after it, and whether what is damaged may be cut off.
//!
//! All is read once before anything is changed, so that a refused start leaves the evidence. The records are
//! then read a second time, one by one, so that a long log needs no memory.
//!
//! The names that are found need not be on disk yet, if the process that gave them was killed just then. No
//! sync is needed for that: a segment without a record is made again, one with a record had its name on disk
//! before, and a snapshot that should vanish has all that came before it still beside it.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;

use elector_teeth::{Tooth, bites};

use super::disk::Disk;
use super::error::{Cut, Damage, OpenError};
use super::format::{Kind, is_temporary};
use super::segment::{Reader, Step};
use super::snapshot;

/// How much of the last group is written again at once, in bytes.
const CHUNK: usize = 1 << 20;

/// What the directory held.
#[derive(Debug)]
pub struct Recovery {
    /// The newest snapshot that was whole: its zxid and content.
    pub snapshot: Option<(u64, Vec<u8>)>,
    /// All records after the snapshot. To be read to its end before the first [`Journal::snapshot`], which
    /// removes old files.
    ///
    /// [`Journal::snapshot`]: super::Journal::snapshot
    pub records: Records,
    /// What was cut off the end of the log, if it ended in a torn write. Worth a line in the program's log.
    pub cut: Option<Cut>,
    /// Newer snapshots that were passed over because they are damaged. Worth a warning: nothing is lost yet.
    pub damaged_snapshots: Vec<Damage>,
    /// The last zxid on disk; 0 in a fresh directory.
    pub last_zxid: u64,
}

/// The records after the snapshot in order, each with its zxid. After an error there are no more.
pub struct Records {
    disk: Arc<dyn Disk>,
    /// Zxid and end of the segments that have not been begun.
    segments: VecDeque<(u64, u64)>,
    /// The segment that is being read, and its end.
    current: Option<(Reader, u64)>,
    /// Records up to this zxid are in the snapshot.
    after: u64,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("after", &self.after).finish_non_exhaustive()
    }
}

impl Iterator for Records {
    type Item = Result<(u64, Vec<u8>), OpenError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.current = None;
            self.segments.clear();
        }
        next
    }
}

impl Records {
    /// Those after a zxid, from segments of which each is given with its end.
    pub(super) fn of(disk: Arc<dyn Disk>, segments: VecDeque<(u64, u64)>, after: u64) -> Self {
        Self { disk, segments, current: None, after }
    }

    fn read(&mut self) -> Result<Option<(u64, Vec<u8>)>, OpenError> {
        loop {
            let Some((reader, end)) = &mut self.current else {
                let Some((base, end)) = self.segments.pop_front() else { return Ok(None) };
                self.current = Some((Reader::open(&*self.disk, base)?, end));
                continue;
            };
            // Beyond the end stands what the journal has appended since.
            if reader.position() >= *end {
                self.current = None;
                continue;
            }
            let fault = match reader.step()? {
                Step::Record(zxid, _) if zxid <= self.after => continue,
                Step::Record(zxid, payload) => return Ok(Some((zxid, payload.to_vec()))),
                Step::Fault(fault) => fault,
                Step::End => {
                    self.current = None;
                    continue;
                }
            };
            return Err(OpenError::Damaged(reader.damage(fault)));
        }
    }
}

/// What the writer needs to go on.
pub(super) struct Resume {
    /// The last segment, positioned behind its last record; `None` in a fresh directory.
    pub(super) last: Option<(u64, Reader)>,
    /// Zxid and end of each segment that was read.
    pub(super) ends: VecDeque<(u64, u64)>,
    /// Zxids of the snapshots that are not known to be damaged, rising.
    pub(super) snapshots: Vec<u64>,
    /// Bytes of the snapshot that was read.
    pub(super) snapshot_bytes: u64,
    /// Records after that snapshot.
    pub(super) records: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

/// Reads and judges all that is there, cuts off a torn write, and makes sure that all that will be handed
/// out is on disk.
pub(super) fn recover(disk: &Arc<dyn Disk>) -> Result<(Recovery, Resume), OpenError> {
    let files = Files::list(&**disk)?;
    let mut snapshots = files.snapshots.clone();
    let mut damaged_snapshots = Vec::new();
    let snapshot = newest_whole(&**disk, &mut snapshots, &mut damaged_snapshots)?;
    let start = snapshot.as_ref().map_or(0, |(zxid, _)| *zxid);
    let chain = files.chain_from(&**disk, start)?;
    let mut survey = Survey { start, records: 0, bytes: 0, ends: VecDeque::new(), last: None };
    survey.read(&**disk, chain)?;

    // From here on the directory is changed.
    let cut = match &mut survey.last {
        Some((_, reader, torn)) => secure_tail(reader, torn.take())?,
        None => None,
    };
    remove_temporaries(&**disk, &files.temporaries)?;
    let last = survey.last.map(|(base, reader, _)| (base, reader));
    let recovery = Recovery {
        last_zxid: last.as_ref().map_or(start, |(_, reader)| reader.last_zxid().max(start)),
        records: Records::of(Arc::clone(disk), survey.ends.clone(), start),
        cut,
        damaged_snapshots,
        snapshot,
    };
    let resume = Resume {
        last,
        ends: survey.ends,
        snapshots,
        snapshot_bytes: recovery.snapshot.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64),
        records: survey.records,
        bytes: survey.bytes,
    };
    Ok((recovery, resume))
}

/// The files that are ours, by kind, each in rising order.
struct Files {
    snapshots: Vec<u64>,
    segments: Vec<u64>,
    temporaries: Vec<String>,
}

impl Files {
    fn list(disk: &dyn Disk) -> Result<Self, OpenError> {
        let names = disk.list().map_err(failed(disk, "list", ""))?;
        let zxids = |kind: Kind| {
            let mut zxids: Vec<u64> = names.iter().filter_map(|name| kind.zxid_of(name)).collect();
            zxids.sort_unstable();
            zxids
        };
        Ok(Self {
            snapshots: zxids(Kind::Snapshot),
            segments: zxids(Kind::Segment),
            temporaries: names.iter().filter(|name| is_temporary(name)).cloned().collect(),
        })
    }

    /// The segments that hold what comes after zxid `start`.
    fn chain_from(&self, disk: &dyn Disk, start: u64) -> Result<&[u64], OpenError> {
        let fresh = self.segments.is_empty() && self.snapshots.is_empty();
        match self.segments.iter().rposition(|base| *base <= start) {
            Some(first) => Ok(&self.segments[first..]),
            None if fresh => Ok(&[]),
            None => Err(OpenError::Missing { directory: disk.path(""), after: start }),
        }
    }
}

/// The newest snapshot that is whole. Those that are not are taken off the list.
fn newest_whole(
    disk: &dyn Disk,
    snapshots: &mut Vec<u64>,
    damaged: &mut Vec<Damage>,
) -> Result<Option<(u64, Vec<u8>)>, OpenError> {
    while let Some(&zxid) = snapshots.last() {
        match snapshot::read(disk, zxid)? {
            snapshot::Read::Content(content) => return Ok(Some((zxid, content))),
            snapshot::Read::Damaged(damage) => damaged.push(damage),
        }
        snapshots.pop();
    }
    Ok(None)
}

/// What a first reading of the segments found.
struct Survey {
    start: u64,
    records: u64,
    bytes: u64,
    /// Zxid and end of each segment.
    ends: VecDeque<(u64, u64)>,
    /// The last segment, and the damage at its end.
    last: Option<(u64, Reader, Option<Damage>)>,
}

impl Survey {
    fn read(&mut self, disk: &dyn Disk, chain: &[u64]) -> Result<(), OpenError> {
        for (index, &base) in chain.iter().enumerate() {
            if let Some((_, before, _)) = &self.last
                && before.last_zxid() != base
            {
                return Err(OpenError::Missing { directory: disk.path(""), after: before.last_zxid() });
            }
            let mut reader = Reader::open(disk, base)?;
            let next = chain.get(index + 1).copied();
            let damage = self.read_segment(&mut reader, next)?;
            if let Some(damage) = &damage
                && (next.is_some() || reader.written_later()?)
                && !bites(Tooth::DamageCutOff)
            {
                return Err(OpenError::Damaged(damage.clone()));
            }
            self.ends.push_back((base, reader.position()));
            self.last = Some((base, reader, damage));
        }
        Ok(())
    }

    /// Reads to the damage or to the end. If there is a `next` segment, its base is the end, whatever stands
    /// behind: an end that was once cut off may come back, if the disk failed just then.
    fn read_segment(&mut self, reader: &mut Reader, next: Option<u64>) -> Result<Option<Damage>, OpenError> {
        while next != Some(reader.last_zxid()) {
            let from = reader.position();
            let fault = match reader.step()? {
                Step::End => return Ok(None),
                Step::Fault(fault) => fault,
                Step::Record(zxid, _) => {
                    if zxid > self.start {
                        self.records += 1;
                        self.bytes += reader.position() - from;
                    }
                    continue;
                }
            };
            return Ok(Some(reader.damage(fault)));
        }
        Ok(None)
    }
}

/// Cuts off what was torn and writes the last group again. The process that wrote it may have ended between
/// the write and the sync, or because the sync failed: then we read it from the system's cache, which takes
/// it for clean, and it would be gone after a power loss.
fn secure_tail(reader: &Reader, torn: Option<Damage>) -> Result<Option<Cut>, OpenError> {
    let failed = |action| move |source| OpenError::Io { action, path: reader.path().clone(), source };
    let (file, end) = (reader.file(), reader.position());
    let cut = torn.map(|damage| Cut { damage, bytes: reader.length() - end });
    if cut.is_some() {
        file.cut(end).map_err(failed("cut"))?;
    }
    let mut from = reader.unproven_from();
    let mut buffer = Vec::new();
    while from < end {
        let count = usize::try_from(end - from).unwrap_or(usize::MAX).min(CHUNK);
        buffer.resize(count, 0);
        file.read_at(&mut buffer, from).map_err(failed("read"))?;
        file.write_at(&buffer, from).map_err(failed("write"))?;
        from += count as u64;
    }
    file.sync().map_err(failed("sync"))?;
    Ok(cut)
}

fn remove_temporaries(disk: &dyn Disk, names: &[String]) -> Result<(), OpenError> {
    for name in names {
        disk.remove(name).map_err(failed(disk, "remove", name))?;
    }
    Ok(())
}

fn failed(disk: &dyn Disk, action: &'static str, name: &str) -> impl Fn(io::Error) -> OpenError {
    let path = disk.path(name);
    move |source| OpenError::Io { action, path: path.clone(), source }
}
