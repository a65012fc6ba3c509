//! Whatever fails, and whenever the process is killed or the power lost: what a sync has acknowledged is
//! there at the next start, in order and unchanged, behind it at most what was on its way, and the start is
//! never refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

mod disk;

use std::sync::Arc;

use disk::{Failure, FragileDisk, Spared};
use fastrand::Rng;
use zk_embedded::journal::{Basis, Journal, JournalError, Limits, OpenError, Recovery};

/// Small, so that segments and snapshots come and go within a few dozen records.
const LIMITS: Limits = Limits { segment_bytes: 3000, snapshot_bytes: 6000, snapshot_records: 25 };

const SPARED: [Spared; 4] = [Spared::Nothing, Spared::All, Spared::Some, Spared::Older];

/// How many seeds, in a daily run and before a release.
fn rounds(daily: u64, release: u64) -> u64 {
    if std::env::var("ELECTOR_RELEASE").is_ok_and(|value| value == "1") { release } else { daily }
}

/// All records that may be on the disk, and how many of them must be.
#[derive(Default)]
struct History {
    records: Vec<(u64, Vec<u8>)>,
    acknowledged: usize,
    /// The newest snapshot that may be on the disk, and the one that must be, or a newer one.
    newest_snapshot: u64,
    acknowledged_snapshot: u64,
}

impl History {
    fn last_zxid(&self) -> u64 {
        self.records.last().map_or(0, |(zxid, _)| *zxid)
    }

    /// How many records there are up to `zxid`.
    fn up_to(&self, zxid: u64) -> usize {
        self.records.partition_point(|(known, _)| *known <= zxid)
    }

    /// A state in which every record up to `zxid` has left its trace.
    fn state_at(&self, zxid: u64) -> Vec<u8> {
        let mut hasher = crc32fast::Hasher::new();
        for (zxid, payload) in &self.records[..self.up_to(zxid)] {
            hasher.update(&zxid.to_be_bytes());
            hasher.update(payload);
        }
        hasher.finalize().to_be_bytes().repeat(300)
    }

    /// Compares what was recovered; from then on it counts as acknowledged, since a server shows it.
    fn check(&mut self, recovery: Recovery, may_lose: bool) -> Result<(), String> {
        if !may_lose && !recovery.damaged_snapshots.is_empty() {
            return Err(format!("passed over {:?}", recovery.damaged_snapshots));
        }
        let mut at = 0;
        self.newest_snapshot = recovery.snapshot.as_ref().map_or(0, |(zxid, _)| *zxid);
        if self.newest_snapshot < self.acknowledged_snapshot && !may_lose {
            return Err(format!("the snapshot at {:#x} is lost", self.acknowledged_snapshot));
        }
        if let Some((zxid, content)) = recovery.snapshot {
            at = self.up_to(zxid);
            if at == 0 || self.records[at - 1].0 != zxid || content != self.state_at(zxid) {
                return Err(format!("the snapshot at {zxid:#x} is not the state there"));
            }
        }
        for record in recovery.records {
            let record = record.map_err(|error| error.to_string())?;
            if self.records.get(at) != Some(&record) {
                return Err(format!("record {at} has zxid {:#x} or another content", record.0));
            }
            at += 1;
        }
        if at < self.acknowledged && !may_lose {
            return Err(format!("{} records acknowledged, {at} found", self.acknowledged));
        }
        self.records.truncate(at);
        self.acknowledged = at;
        if recovery.last_zxid != self.last_zxid() {
            return Err(format!("last zxid {:#x}, not {:#x}", recovery.last_zxid, self.last_zxid()));
        }
        Ok(())
    }
}

fn open(disk: &FragileDisk) -> Result<(Journal, Recovery), OpenError> {
    Journal::open_on(Arc::new(disk.clone()), LIMITS)
}

/// Appends up to `groups` groups of records, with a snapshot now and then, until something fails.
fn write(
    journal: &mut Journal,
    history: &mut History,
    rng: &mut Rng,
    groups: usize,
) -> Result<(), JournalError> {
    // At once after a start the present segment may have no record.
    if rng.u8(0..3) == 0 && history.last_zxid() > 0 {
        snapshot(journal, history, 0)?;
    }
    let mut begun = None;
    for _ in 0..groups {
        if begun.is_some() && rng.u8(0..3) == 0 {
            finish(journal, history, begun.take().expect("it was begun"))?;
        }
        for _ in 0..rng.usize(1..5) {
            let zxid = history.last_zxid() + rng.u64(1..3);
            let length = if rng.u8(0..4) == 0 { rng.usize(0..1800) } else { rng.usize(0..60) };
            let payload: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
            history.records.push((zxid, payload.clone()));
            journal.append(zxid, &payload)?;
        }
        journal.sync()?;
        history.acknowledged = history.records.len();
        if journal.should_snapshot() && begun.is_none() && rng.bool() {
            begun = Some(journal.begin_snapshot()?);
        } else if journal.should_snapshot() && begun.is_none() {
            // Also one that was taken a while ago.
            let behind = if rng.bool() { 0 } else { rng.usize(0..5) };
            snapshot(journal, history, behind)?;
        }
    }
    Ok(())
}

/// Takes a snapshot as of `behind` records ago. One that fails is no harm, unless the journal says so.
fn snapshot(journal: &mut Journal, history: &mut History, behind: usize) -> Result<(), JournalError> {
    let (zxid, _) = history.records[history.records.len().saturating_sub(behind + 1)];
    match journal.snapshot(zxid, &history.state_at(zxid)) {
        Err(error) if error.is_final() => return Err(error),
        // Of one that the journal had already, nothing is known.
        Ok(()) if zxid > history.newest_snapshot => {
            history.newest_snapshot = zxid;
            history.acknowledged_snapshot = zxid;
        }
        _ => {}
    }
    Ok(())
}

/// Stores the snapshot that was begun some groups ago, from what is on the disk; as [`snapshot`] else.
fn finish(journal: &mut Journal, history: &mut History, basis: Basis) -> Result<(), JournalError> {
    let zxid = basis.zxid();
    // The disk may fail here, too; nobody but this snapshot suffers from that.
    let Ok(before) = basis.snapshot() else { return Ok(()) };
    let Ok(records) = basis.records().collect::<Result<Vec<_>, _>>() else { return Ok(()) };
    let start = before.as_ref().map_or(0, |(zxid, _)| *zxid);
    assert!(before.is_none_or(|(zxid, content)| content == history.state_at(zxid)));
    assert_eq!(records, history.records[history.up_to(start)..history.up_to(zxid)]);
    let stored = basis.store(&history.state_at(zxid));
    match stored.and_then(|stored| journal.finish_snapshot(stored)) {
        Err(error) if error.is_final() => return Err(error),
        Ok(()) => {
            history.newest_snapshot = zxid;
            history.acknowledged_snapshot = zxid;
        }
        Err(_) => {}
    }
    Ok(())
}

/// Some lives of a journal on one disk, each ended by chance in one of many ways.
fn live_and_die(seed: u64) -> Result<(), String> {
    let mut rng = Rng::with_seed(seed);
    let disk = FragileDisk::new(rng.u64(..));
    let mut history = History::default();
    for life in 0..10 {
        let told = |what: String| format!("seed {seed}, life {life}: {what} ({})", disk.listing());
        let failure = match rng.u8(0..4) {
            0 => None,
            1 => Some(Failure::Killed),
            _ => Some(Failure::Once),
        };
        if let Some(failure) = failure {
            disk.fail_after(rng.u64(0..120), failure);
        }
        match open(&disk) {
            Ok((mut journal, recovery)) => {
                history.check(recovery, false).map_err(told)?;
                let groups = rng.usize(0..40);
                let result = write(&mut journal, &mut history, &mut rng, groups);
                if result.is_err() && journal.append(u64::MAX, b"").is_ok() {
                    return Err(told("goes on after a failure".into()));
                }
                if failure.is_none() {
                    result.map_err(|error| told(error.to_string()))?;
                }
            }
            Err(OpenError::Io { .. }) if failure.is_some() => {}
            Err(error) => return Err(told(error.to_string())),
        }
        if rng.u8(0..3) == 0 {
            disk.restart();
        } else {
            disk.lose_power(SPARED[rng.usize(0..SPARED.len())]);
        }
    }
    let (_, recovery) = open(&disk).map_err(|error| format!("seed {seed}: {error}"))?;
    history.check(recovery, false).map_err(|what| format!("seed {seed}: {what}"))
}

/// S1, S2, S7 and S8 on a simulated disk, which also loses power.
#[test]
fn acknowledged_records_survive_failures_kills_and_losses_of_power() {
    for seed in 0..rounds(1_000, 200_000) {
        live_and_die(seed).unwrap();
    }
}

/// The same short life, failed at each call that it makes, in each way.
#[test]
fn every_call_may_fail() {
    let scenario = |disk: &FragileDisk, history: &mut History| {
        let Ok((mut journal, recovery)) = open(disk) else { return };
        history.check(recovery, false).unwrap();
        let _ = write(&mut journal, history, &mut Rng::with_seed(7), 45);
    };
    let whole = FragileDisk::new(0);
    scenario(&whole, &mut History::default());
    assert!(whole.listing().contains("snapshot."), "too short to show anything: {}", whole.listing());
    for call in 0..whole.calls() {
        for failure in [Failure::Once, Failure::Killed] {
            for spared in [None].into_iter().chain(SPARED.map(Some)) {
                let disk = FragileDisk::new(call);
                let mut history = History::default();
                disk.fail_after(call, failure);
                scenario(&disk, &mut history);
                match spared {
                    Some(spared) => disk.lose_power(spared),
                    None => disk.restart(),
                }
                let told = format!("call {call}, {failure:?}, {spared:?}");
                let (mut journal, recovery) = open(&disk).expect(&told);
                history.check(recovery, false).expect(&told);
                // What a first start found must be there at the second, with all that came between.
                write(&mut journal, &mut history, &mut Rng::with_seed(8), 2).expect(&told);
                drop(journal);
                disk.lose_power(Spared::Nothing);
                history.check(open(&disk).expect(&told).1, false).expect(&told);
            }
        }
    }
}

/// S11: A disk whose syncs do nothing loses what was acknowledged. What is found then is still a beginning of what
/// was written, or the start is refused. That it does lose something shows that the other tests can fail.
#[test]
fn a_disk_that_lies_leaves_a_beginning_or_is_refused() {
    let (mut lost, mut refused) = (0, 0);
    for seed in 0..rounds(300, 20_000) {
        let mut rng = Rng::with_seed(seed);
        let disk = FragileDisk::new(rng.u64(..));
        let mut history = History::default();
        let (mut journal, _) = open(&disk).unwrap();
        write(&mut journal, &mut history, &mut rng, 3).unwrap();
        disk.lie();
        write(&mut journal, &mut history, &mut rng, 12).unwrap();
        drop(journal);
        disk.lose_power(SPARED[rng.usize(0..SPARED.len())]);
        let acknowledged = history.acknowledged;
        match open(&disk) {
            Ok((_, recovery)) => {
                history.check(recovery, true).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
                lost += usize::from(history.acknowledged < acknowledged);
            }
            Err(OpenError::Damaged(_) | OpenError::Missing { .. }) => refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(lost > 0 && refused > 0, "lost {lost}, refused {refused}");
}
