//! What a start makes of a journal that is not as it was written: a torn end is cut off and said, all else is
//! refused with file and offset, a damaged snapshot is replaced by an older one and the log.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use zk_embedded::journal::{
    Disk, FORMAT_VERSION, Fault, Journal, JournalError, Limits, MemoryDisk, OpenError, RECORD_LIMIT, Recovery,
};

/// Bytes of a file's header and of a record's, which the format fixes.
const FILE_HEADER: u64 = 32;
const RECORD_HEADER: u64 = 28;

type Records = Vec<(u64, Vec<u8>)>;

fn open(disk: &MemoryDisk) -> Result<(Journal, Recovery), OpenError> {
    Journal::open_on(Arc::new(disk.clone()), Limits::default())
}

/// Writes groups of records; zxids count up by one.
fn write(journal: &mut Journal, groups: &[&[&[u8]]]) {
    for group in groups {
        for payload in *group {
            journal.append(journal.last_zxid() + 1, payload).unwrap();
        }
        journal.sync().unwrap();
    }
}

fn collect(recovery: Recovery) -> Result<Records, OpenError> {
    recovery.records.collect()
}

fn contents(disk: &MemoryDisk, name: &str) -> Vec<u8> {
    let file = disk.open(name).unwrap();
    let mut bytes = vec![0; file.length().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

fn replace(disk: &MemoryDisk, name: &str, bytes: &[u8]) {
    disk.create(name).unwrap().write_at(bytes, 0).unwrap();
}

/// A disk of its own with the same files.
fn copy(disk: &MemoryDisk) -> MemoryDisk {
    let copy = MemoryDisk::new();
    for name in names(disk) {
        replace(&copy, &name, &contents(disk, &name));
    }
    copy
}

fn names(disk: &MemoryDisk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.sort();
    names
}

fn log(zxid: u64) -> String {
    format!("log.{zxid:016x}")
}

fn snapshot(zxid: u64) -> String {
    format!("snapshot.{zxid:016x}")
}

/// Makes the checksum of a file's header right again.
fn seal_header(bytes: &mut [u8]) {
    let crc = crc32fast::hash(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_be_bytes());
}

/// A log of three groups in one segment.
fn three_groups() -> (MemoryDisk, Records) {
    let disk = MemoryDisk::new();
    let (mut journal, recovery) = open(&disk).unwrap();
    assert!(recovery.snapshot.is_none() && recovery.last_zxid == 0);
    write(&mut journal, &[&[b"one", b""], &[b"three"], &[b"four", b"five, the last"]]);
    let records = ["one", "", "three", "four", "five, the last"];
    let records =
        records.iter().zip(1..).map(|(payload, zxid)| (zxid, payload.as_bytes().to_vec())).collect();
    (disk, records)
}

/// Where each record begins, and the end.
fn boundaries(records: &Records) -> Vec<u64> {
    let mut boundaries = vec![FILE_HEADER];
    for (_, payload) in records {
        boundaries.push(boundaries[boundaries.len() - 1] + RECORD_HEADER + payload.len() as u64);
    }
    boundaries
}

#[test]
fn what_was_synced_is_read_again_in_order() {
    let (disk, records) = three_groups();
    let (journal, recovery) = open(&disk).unwrap();
    assert_eq!(journal.last_zxid(), 5);
    assert_eq!(recovery.last_zxid, 5);
    assert_eq!(recovery.cut, None);
    assert_eq!(collect(recovery).unwrap(), records);
}

#[test]
fn what_was_not_synced_is_not_there() {
    let (disk, records) = three_groups();
    let (mut journal, _) = open(&disk).unwrap();
    journal.append(6, b"six").unwrap();
    drop(journal);
    assert_eq!(collect(open(&disk).unwrap().1).unwrap(), records);
}

/// S3: torn at every byte.
#[test]
fn a_log_that_ends_anywhere_is_cut_to_its_whole_records() {
    let (disk, records) = three_groups();
    let boundaries = boundaries(&records);
    let whole = contents(&disk, &log(0));
    assert_eq!(whole.len() as u64, boundaries[records.len()]);
    for length in FILE_HEADER..whole.len() as u64 {
        let disk = MemoryDisk::new();
        replace(&disk, &log(0), &whole[..length as usize]);
        let (mut journal, recovery) = open(&disk).unwrap();
        let kept = boundaries.iter().rposition(|boundary| *boundary <= length).unwrap();
        match &recovery.cut {
            None => assert_eq!(length, boundaries[kept]),
            Some(cut) => {
                assert_eq!(
                    (cut.damage.file.as_path(), cut.damage.offset),
                    (Path::new(&log(0)), boundaries[kept])
                );
                assert_eq!(cut.bytes, length - boundaries[kept]);
            }
        }
        assert_eq!(collect(recovery).unwrap(), records[..kept]);
        // Else a whole record of a torn group could come to stand behind a new one.
        assert_eq!(contents(&disk, &log(0)).len() as u64, boundaries[kept]);
        // What was cut off stays away, and its zxids are free.
        write(&mut journal, &[&[b"again"]]);
        let again = collect(open(&disk).unwrap().1).unwrap();
        assert_eq!(again[..kept], records[..kept]);
        assert_eq!(again[kept..], [(kept as u64 + 1, b"again".to_vec())]);
    }
}

#[test]
fn a_segment_without_a_whole_header_is_refused() {
    let (disk, _) = three_groups();
    let whole = contents(&disk, &log(0));
    for length in 0..FILE_HEADER as usize {
        replace(&disk, &log(0), &whole[..length]);
        let Err(OpenError::Damaged(damage)) = open(&disk) else { panic!("{length} bytes") };
        assert_eq!(damage.offset, 0);
    }
}

/// A file that was copied to another one's name is not that one, however whole it is.
#[test]
fn a_segment_of_another_kind_or_of_another_name_is_refused() {
    let (disk, _) = three_groups();
    let whole = contents(&disk, &log(0));
    // The last bytes of the magic and of the zxid.
    for at in [7, 19] {
        let mut other = whole.clone();
        other[at] ^= 1;
        seal_header(&mut other);
        replace(&disk, &log(0), &other);
        let Err(OpenError::Damaged(damage)) = open(&disk) else { panic!("byte {at}") };
        assert_eq!(damage.offset, 0);
    }
}

/// What a disk gives back of an earlier file in the same place was never written to this one.
#[test]
fn records_of_another_segment_are_not_taken_for_this_ones() {
    let (disk, _) = three_groups();
    let (earlier, _) = three_groups();
    let mut bytes = contents(&disk, &log(0));
    let header = FILE_HEADER as usize;
    assert_ne!(bytes, contents(&earlier, &log(0)), "each has a salt of its own");
    bytes[header..].copy_from_slice(&contents(&earlier, &log(0))[header..]);
    replace(&disk, &log(0), &bytes);
    let taken = open(&disk).and_then(|(_, recovery)| collect(recovery));
    assert!(taken.as_ref().map_or(true, Vec::is_empty), "{taken:?}");
}

#[test]
fn zeros_behind_the_end_are_cut_off() {
    let (disk, records) = three_groups();
    let mut bytes = contents(&disk, &log(0));
    bytes.resize(bytes.len() + 10_000, 0);
    replace(&disk, &log(0), &bytes);
    let (_, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.cut.as_ref().unwrap().bytes, 10_000);
    assert_eq!(collect(recovery).unwrap(), records);
}

/// S4: every bit.
#[test]
fn a_flipped_bit_is_refused_or_in_the_last_group_cut_off() {
    let (disk, records) = three_groups();
    let boundaries = boundaries(&records);
    let whole = contents(&disk, &log(0));
    // The last group may have been torn; before it all was acknowledged when it was written.
    let last_group = boundaries[3];
    for offset in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[offset] ^= 1 << bit;
            replace(&disk, &log(0), &bytes);
            let hit = boundaries.iter().rposition(|boundary| *boundary <= offset as u64);
            match open(&disk) {
                Ok((_, recovery)) => {
                    let kept = hit.unwrap();
                    assert!(offset as u64 >= last_group, "byte {offset} bit {bit} went unseen");
                    assert_eq!(recovery.cut.as_ref().unwrap().damage.offset, boundaries[kept]);
                    assert_eq!(collect(recovery).unwrap(), records[..kept]);
                }
                Err(OpenError::Damaged(damage)) => {
                    assert!((offset as u64) < last_group, "byte {offset} bit {bit}: {damage}");
                    assert_eq!(damage.file, Path::new(&log(0)));
                    assert_eq!(damage.offset, hit.map_or(0, |record| boundaries[record]));
                    let Fault::Checksum { expected, actual } = damage.fault else { panic!("{damage}") };
                    assert_ne!(expected, actual);
                    // Refused means untouched.
                    assert_eq!(contents(&disk, &log(0)), bytes);
                }
                Err(error) => panic!("byte {offset} bit {bit}: {error}"),
            }
        }
    }
}

/// Sectors of one unsynced group may survive in any selection: whole records behind a gap in the same group
/// were never acknowledged.
#[test]
fn a_gap_within_the_last_group_is_cut_off() {
    let disk = MemoryDisk::new();
    let (mut journal, _) = open(&disk).unwrap();
    write(&mut journal, &[&[b"first"], &[&[1; 600], &[2; 600], &[3; 600]]]);
    let mut bytes = contents(&disk, &log(0));
    bytes[700..1000].fill(0);
    replace(&disk, &log(0), &bytes);
    let (_, recovery) = open(&disk).unwrap();
    assert!(recovery.cut.is_some());
    assert_eq!(collect(recovery).unwrap(), [(1, b"first".to_vec()), (2, vec![1; 600])]);
}

/// A client's data may hold anything, also a journal.
#[test]
fn records_inside_a_payload_are_not_taken_for_records() {
    let (disk, mut records) = three_groups();
    let inner = contents(&disk, &log(0));
    let (mut journal, _) = open(&disk).unwrap();
    write(&mut journal, &[&[&inner, &inner]]);
    records.push((6, inner.clone()));
    let mut bytes = contents(&disk, &log(0));
    // The second copy's header is torn; its payload is whole.
    let torn = bytes.len() - inner.len() - 1;
    bytes[torn] ^= 0xff;
    replace(&disk, &log(0), &bytes);
    let (_, recovery) = open(&disk).unwrap();
    assert!(recovery.cut.is_some());
    assert_eq!(collect(recovery).unwrap(), records);
}

#[test]
fn damage_at_the_end_of_an_older_segment_is_refused() {
    let (disk, _) = three_groups();
    let (mut journal, _) = open(&disk).unwrap();
    journal.snapshot(5, b"state at 5").unwrap();
    write(&mut journal, &[&[b"six"]]);
    drop(journal);
    // Without the snapshot the first segment is needed.
    disk.remove(&snapshot(5)).unwrap();
    let whole = contents(&disk, &log(0));
    replace(&disk, &log(0), &whole[..whole.len() - 1]);
    let Err(OpenError::Damaged(damage)) = open(&disk) else { panic!("not refused") };
    assert_eq!(damage.file, Path::new(&log(0)));
    assert!(matches!(damage.fault, Fault::Short { .. }));
    // Cut at a record's end it looks whole, but the next segment does not follow.
    replace(&disk, &log(0), &whole[..whole.len() - (RECORD_HEADER as usize + b"five, the last".len())]);
    let Err(OpenError::Missing { after, .. }) = open(&disk) else { panic!("not refused") };
    assert_eq!(after, 4);
}

#[test]
fn what_stands_behind_the_end_of_an_older_segment_is_nothing() {
    let (disk, mut records) = three_groups();
    let mut bytes = contents(&disk, &log(0));
    let limits = Limits { segment_bytes: 0, ..Limits::default() };
    let (mut journal, _) = Journal::open_on(Arc::new(disk.clone()), limits).unwrap();
    write(&mut journal, &[&[b"six"]]);
    records.push((6, b"six".to_vec()));
    bytes.extend_from_within(FILE_HEADER as usize..);
    replace(&disk, &log(0), &bytes);
    assert_eq!(collect(open(&disk).unwrap().1).unwrap(), records);
}

/// A journal with snapshots at 2, 4 … `last`, each after two records, and two records more.
fn with_snapshots(last: u64) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (mut journal, _) = open(&disk).unwrap();
    for zxid in (2..=last).step_by(2) {
        write(&mut journal, &[&[b"a"], &[b"b"]]);
        journal.snapshot(zxid, format!("state at {zxid}").as_bytes()).unwrap();
    }
    write(&mut journal, &[&[b"a", b"b"]]);
    disk
}

fn state_at(zxid: u64) -> Option<(u64, Vec<u8>)> {
    Some((zxid, format!("state at {zxid}").into_bytes()))
}

fn zxids(recovery: Recovery) -> Vec<u64> {
    recovery.records.map(|record| record.unwrap().0).collect()
}

#[test]
fn three_snapshots_are_kept_with_the_segments_they_need() {
    let disk = with_snapshots(10);
    let kept = [log(6), log(8), log(10), snapshot(6), snapshot(8), snapshot(10)];
    assert_eq!(names(&disk), kept);
    let (_, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.snapshot, state_at(10));
    assert_eq!(zxids(recovery), [11, 12]);
}

#[test]
fn a_snapshot_is_stored_beside_the_journal_that_goes_on() {
    let disk = with_snapshots(4);
    let (mut journal, _) = open(&disk).unwrap();
    let basis = journal.begin_snapshot().unwrap();
    write(&mut journal, &[&[b"c"], &[b"d"]]);
    assert_eq!(basis.zxid(), 6);
    assert_eq!(basis.snapshot().unwrap(), state_at(4));
    let records: Vec<u64> = basis.records().map(|record| record.unwrap().0).collect();
    assert_eq!(records, [5, 6]);
    let stored = basis.store(b"state at 6").unwrap();
    assert_eq!(open(&copy(&disk)).unwrap().1.snapshot, state_at(4), "it does not count yet");
    journal.finish_snapshot(stored).unwrap();
    assert_eq!(names(&disk), [log(2), log(4), log(6), snapshot(2), snapshot(4), snapshot(6)]);
    let (_, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.snapshot, state_at(6));
    assert_eq!(zxids(recovery), [7, 8]);
    let basis = journal.begin_snapshot().unwrap();
    let records: Vec<u64> = basis.records().map(|record| record.unwrap().0).collect();
    assert_eq!((basis.snapshot().unwrap(), records), (state_at(6), vec![7, 8]));
}

/// S5.
#[test]
fn a_damaged_snapshot_gives_way_to_an_older_one_and_the_log() {
    let whole = contents(&with_snapshots(10), &snapshot(10));
    for offset in 0..whole.len() {
        let disk = with_snapshots(10);
        let mut bytes = whole.clone();
        bytes[offset] ^= 0x10;
        replace(&disk, &snapshot(10), &bytes);
        let (mut journal, recovery) = open(&disk).unwrap();
        assert_eq!(recovery.snapshot, state_at(8));
        assert_eq!(recovery.damaged_snapshots.len(), 1);
        assert_eq!(recovery.damaged_snapshots[0].file, Path::new(&snapshot(10)));
        assert_eq!(zxids(recovery), [9, 10, 11, 12]);
        // The damaged one does not count among those that are kept.
        journal.snapshot(12, b"state at 12").unwrap();
        assert!(names(&disk).contains(&snapshot(6)));
        write(&mut journal, &[&[b"a"]]);
        journal.snapshot(13, b"state at 13").unwrap();
        assert_eq!(zxids(open(&disk).unwrap().1), []);
        let snapshots: Vec<_> = names(&disk).into_iter().filter(|name| name.starts_with('s')).collect();
        assert_eq!(snapshots, [snapshot(8), snapshot(10), snapshot(12), snapshot(13)]);
    }
}

#[test]
fn a_snapshot_cut_short_or_grown_is_damaged() {
    let whole = contents(&with_snapshots(10), &snapshot(10));
    let longer = [&whole[..], b"x"].concat();
    for bytes in (0..whole.len()).map(|length| &whole[..length]).chain([&longer[..]]) {
        let disk = with_snapshots(10);
        replace(&disk, &snapshot(10), bytes);
        let (_, recovery) = open(&disk).unwrap();
        assert_eq!(recovery.snapshot, state_at(8));
        assert_eq!(zxids(recovery), [9, 10, 11, 12]);
    }
}

#[test]
fn with_all_snapshots_damaged_the_log_must_be_whole() {
    let disk = with_snapshots(4);
    for zxid in [2, 4] {
        replace(&disk, &snapshot(zxid), b"");
    }
    let (_, recovery) = open(&disk).unwrap();
    assert_eq!((&recovery.snapshot, recovery.damaged_snapshots.len()), (&None, 2));
    assert_eq!(zxids(recovery), [1, 2, 3, 4, 5, 6]);

    let disk = with_snapshots(10);
    for zxid in [6, 8, 10] {
        replace(&disk, &snapshot(zxid), b"");
    }
    assert!(matches!(open(&disk), Err(OpenError::Missing { after: 0, .. })));
}

#[test]
fn a_missing_segment_is_refused() {
    for (missing, after) in [(8, 8), (10, 10)] {
        let disk = with_snapshots(10);
        replace(&disk, &snapshot(10), b"");
        disk.remove(&log(missing)).unwrap();
        match open(&disk) {
            // The log before it is whole: nothing tells that there was more.
            Ok((_, recovery)) => assert_eq!((missing, zxids(recovery)), (10, vec![9, 10])),
            Err(OpenError::Missing { after: found, .. }) => assert_eq!((missing, found), (8, after)),
            Err(error) => panic!("{error}"),
        }
    }
    let disk = with_snapshots(2);
    for name in names(&disk).iter().filter(|name| name.starts_with("log.")) {
        disk.remove(name).unwrap();
    }
    assert!(matches!(open(&disk), Err(OpenError::Missing { after: 2, .. })));
}

/// S6: temporary files are left.
#[test]
fn what_was_left_unfinished_is_removed_and_foreign_files_stay() {
    let (disk, records) = three_groups();
    let foreign =
        ["socket", "log.txt", "log.5", "notes.tmp", "snapshot.00000000000000FF", "snapshot.+000000000000005"];
    for name in foreign {
        replace(&disk, name, b"foreign");
    }
    replace(&disk, &(log(5) + ".tmp"), b"half");
    replace(&disk, &(snapshot(5) + ".tmp"), b"half");
    assert_eq!(collect(open(&disk).unwrap().1).unwrap(), records);
    let mut expected: Vec<String> = foreign.iter().map(|name| name.to_string()).chain([log(0)]).collect();
    expected.sort();
    assert_eq!(names(&disk), expected);
}

/// The same header with another version; the checksum is right.
fn with_version(bytes: &[u8], version: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[8..12].copy_from_slice(&version.to_be_bytes());
    seal_header(&mut bytes);
    bytes
}

/// S17.
#[test]
fn another_format_version_is_refused_and_both_are_named() {
    for version in [FORMAT_VERSION + 1, FORMAT_VERSION - 1, u32::MAX] {
        for name in [log(10), snapshot(10)] {
            let disk = with_snapshots(10);
            replace(&disk, &name, &with_version(&contents(&disk, &name), version));
            let error = open(&disk).unwrap_err();
            assert!(matches!(error, OpenError::Version { found, .. } if found == version), "{error}");
            let text = error.to_string();
            assert!(text.contains(&name), "{text}");
            assert!(text.contains(&format!("version {version},")), "{text}");
            assert!(text.contains(&format!("version {FORMAT_VERSION}")), "{text}");
        }
    }
}

/// The damaged end of a log may be older than the newest snapshot.
#[test]
fn a_log_that_ends_before_its_snapshot_goes_on_after_it() {
    let (disk, _) = three_groups();
    let (mut journal, _) = open(&disk).unwrap();
    journal.snapshot(5, b"state at 5").unwrap();
    drop(journal);
    disk.remove(&log(5)).unwrap();
    let whole = contents(&disk, &log(0));
    replace(&disk, &log(0), &whole[..whole.len() - 1]);
    let (mut journal, recovery) = open(&disk).unwrap();
    assert_eq!((recovery.last_zxid, zxids(recovery)), (5, vec![]));
    write(&mut journal, &[&[b"six"]]);
    assert_eq!(zxids(open(&disk).unwrap().1), [6]);
}

#[test]
fn a_snapshot_is_due_by_records_by_bytes_and_after_a_start() {
    let limits = Limits { snapshot_records: 3, snapshot_bytes: 1000, ..Limits::default() };
    let disk = MemoryDisk::new();
    let (mut journal, _) = Journal::open_on(Arc::new(disk.clone()), limits).unwrap();
    write(&mut journal, &[&[b"", b""]]);
    assert!(!journal.should_snapshot());
    write(&mut journal, &[&[b""]]);
    assert!(journal.should_snapshot());
    drop(journal);
    let (mut journal, _) = Journal::open_on(Arc::new(disk.clone()), limits).unwrap();
    assert!(journal.should_snapshot());
    journal.snapshot(3, &[0; 5000]).unwrap();
    assert!(!journal.should_snapshot());
    // As many bytes as the snapshot has, not only as the limit says.
    write(&mut journal, &[&[&[0; 2500]]]);
    assert!(!journal.should_snapshot());
    write(&mut journal, &[&[&[0; 2500]]]);
    assert!(journal.should_snapshot());
}

#[test]
fn a_long_segment_is_followed_by_another() {
    let limits = Limits { segment_bytes: 200, ..Limits::default() };
    let disk = MemoryDisk::new();
    let (mut journal, _) = Journal::open_on(Arc::new(disk.clone()), limits).unwrap();
    write(&mut journal, &[&[&[0; 100]], &[&[1; 100]], &[&[2; 100]]]);
    assert_eq!(names(&disk), [log(0), log(2)]);
    assert_eq!(zxids(open(&disk).unwrap().1), [1, 2, 3]);
}

#[test]
fn a_group_of_any_size_and_the_longest_record_are_read_again() {
    let disk = MemoryDisk::new();
    let (mut journal, _) = open(&disk).unwrap();
    let longest = vec![7; RECORD_LIMIT];
    write(&mut journal, &[&[&[1; 700_000], &[2; 700_000], &longest, b"end"]]);
    let too_long = vec![0; RECORD_LIMIT + 1];
    let Err(error @ JournalError::TooLong(_)) = journal.append(5, &too_long) else { panic!("taken") };
    assert!(!error.is_final());
    write(&mut journal, &[&[b"five"]]);
    let records = collect(open(&disk).unwrap().1).unwrap();
    assert_eq!(records.iter().map(|(zxid, _)| *zxid).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(records[2].1 == longest);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any stretch of any file overwritten, left out or put in: what is read is a beginning of what was
    /// written, on whichever snapshot, or it is refused.
    #[test]
    fn any_damage_leaves_a_beginning_or_is_refused(
        file in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        length in 0..200_usize,
        new in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let disk = copy(&with_snapshots(8));
        let names = names(&disk);
        let name = file.get(&names);
        let mut bytes = contents(&disk, name);
        let start = place.index(bytes.len());
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, new);
        replace(&disk, name, &bytes);
        if let Ok((_, recovery)) = open(&disk) {
            let first = recovery.snapshot.as_ref().map_or(0, |(zxid, _)| *zxid);
            prop_assert!(recovery.snapshot == state_at(first) || first == 0);
            for (record, zxid) in recovery.records.zip(first + 1..) {
                let payload = if zxid % 2 == 1 { b"a" } else { b"b" };
                prop_assert_eq!(record.unwrap(), (zxid, payload.to_vec()));
            }
        }
    }

    /// A directory full of anything is refused or read, and never panics.
    #[test]
    fn arbitrary_files_never_panic(
        segment in prop::collection::vec(any::<u8>(), 0..300),
        newest in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let disk = MemoryDisk::new();
        replace(&disk, &log(0), &segment);
        replace(&disk, &snapshot(7), &newest);
        prop_assert!(open(&disk).is_err());
    }
}
