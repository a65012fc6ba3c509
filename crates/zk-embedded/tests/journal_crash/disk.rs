//! A disk that can lose power and fail: it knows what is durable and what is only in the system's cache.
//!
//! The rules are the worst that a journalling file system may do. Of what was not synced any selection of
//! 512-byte sectors survives, and any selection of changes to names. After a failed sync the cache shows all
//! as written, but some of it will never reach the disk, whatever later syncs say.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use fastrand::Rng;
use zk_embedded::journal::{Disk, DiskFile};

/// What a disk keeps whole.
const SECTOR: usize = 512;

/// How an injected failure shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// This one call fails.
    Once,
    /// The process is killed in this call: nothing after it happens.
    Killed,
}

/// How much of what is not durable a loss of power spares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spared {
    /// Nothing.
    Nothing,
    /// All of it.
    All,
    /// Each sector and each name by chance.
    Some,
    /// The older changes, up to a point.
    Older,
}

/// The disk. Clones share the content.
#[derive(Clone)]
pub(crate) struct FragileDisk(Arc<Mutex<State>>);

struct State {
    files: Vec<File>,
    /// As a process sees them.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
    rng: Rng,
    /// Calls that change something.
    calls: u64,
    fail_at: Option<(u64, Failure)>,
    killed: bool,
    /// Whether syncs claim to work but do nothing.
    lying: bool,
}

#[derive(Clone, Default)]
struct File {
    cached: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

#[derive(Clone)]
enum NameChange {
    Set(String, usize),
    Move(String, String, usize),
    Remove(String),
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set(name, file) => drop(names.insert(name, file)),
            Self::Move(from, to, file) => {
                names.remove(&from);
                names.insert(to, file);
            }
            Self::Remove(name) => drop(names.remove(&name)),
        }
    }
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, new) => {
                let end = offset + new.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[offset..end].copy_from_slice(&new);
            }
            Self::Cut(length) => bytes.truncate(length),
        }
    }

    /// The same change in pieces of at most a sector.
    fn sectors(self) -> Vec<Change> {
        let Self::Write(mut offset, bytes) = self else { return vec![self] };
        let mut rest = &bytes[..];
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((SECTOR - offset % SECTOR).min(rest.len()));
            pieces.push(Self::Write(offset, piece.to_vec()));
            offset += piece.len();
            rest = after;
        }
        pieces
    }
}

/// Takes from `changes` what is spared.
fn spare<T>(changes: Vec<T>, spared: Spared, rng: &mut Rng) -> Vec<T> {
    let older = rng.usize(0..=changes.len());
    let keep = |(index, change)| {
        let kept = match spared {
            Spared::Nothing => false,
            Spared::All => true,
            Spared::Some => rng.bool(),
            Spared::Older => index < older,
        };
        kept.then_some(change)
    };
    changes.into_iter().enumerate().filter_map(keep).collect()
}

impl File {
    fn lose(&mut self, spared: Spared, rng: &mut Rng) {
        let pieces: Vec<Change> = self.pending.drain(..).flat_map(Change::sectors).collect();
        let whole = self.cached.len();
        for change in spare(pieces, spared, rng) {
            change.apply(&mut self.durable);
        }
        // The length may be on disk although the bytes are not.
        if spared == Spared::Some && self.durable.len() < whole && rng.bool() {
            self.durable.resize(rng.usize(self.durable.len()..=whole), 0);
        }
    }
}

impl FragileDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            rng: Rng::with_seed(seed),
            calls: 0,
            fail_at: None,
            killed: false,
            lying: false,
        })))
    }

    /// From now on syncs do nothing and claim success.
    pub(crate) fn lie(&self) {
        self.state().lying = true;
    }

    /// Lets the call fail that comes after `calls` others that change something.
    pub(crate) fn fail_after(&self, calls: u64, failure: Failure) {
        let mut state = self.state();
        state.fail_at = Some((state.calls + calls, failure));
    }

    /// The process starts again: the cache is still there, no failure is due.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        state.fail_at = None;
        state.killed = false;
    }

    /// The power fails; then as [`FragileDisk::restart`].
    pub(crate) fn lose_power(&self, spared: Spared) {
        let mut state = self.state();
        let state = &mut *state;
        for change in spare(std::mem::take(&mut state.pending_names), spared, &mut state.rng) {
            change.apply(&mut state.durable_names);
        }
        state.names = state.durable_names.clone();
        for file in &mut state.files {
            file.lose(spared, &mut state.rng);
            file.cached = file.durable.clone();
        }
        state.fail_at = None;
        state.killed = false;
    }

    /// How many calls so far changed something.
    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Names and lengths, for messages.
    pub(crate) fn listing(&self) -> String {
        let state = self.state();
        let line =
            |(name, file): (&String, &usize)| format!("{name}: {} bytes", state.files[*file].cached.len());
        state.names.iter().map(line).collect::<Vec<_>>().join(", ")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    /// Counts a call; true if it is to fail.
    fn fails(&mut self) -> bool {
        self.calls += 1;
        match self.fail_at {
            _ if self.killed => true,
            Some((at, failure)) if self.calls > at => {
                self.killed = failure == Failure::Killed;
                self.fail_at = None;
                true
            }
            _ => false,
        }
    }

    fn change_name(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.pending_names.push(change);
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn broken() -> io::Error {
    io::Error::other("injected failure")
}

impl Disk for FragileDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        if state.fails() {
            return Err(broken());
        }
        let file = state.files.len();
        state.files.push(File::default());
        state.change_name(NameChange::Set(name.to_owned(), file));
        drop(state);
        Ok(Box::new(Handle { disk: self.clone(), file }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = self.state().file(name)?;
        Ok(Box::new(Handle { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.fails() {
            return Err(broken());
        }
        let file = state.file(from)?;
        state.change_name(NameChange::Move(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.fails() {
            return Err(broken());
        }
        state.file(name)?;
        state.change_name(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.state();
        let state = &mut *state;
        let failed = state.fails();
        if state.killed || state.lying {
            return if failed { Err(broken()) } else { Ok(()) };
        }
        let spared = if failed { Spared::Some } else { Spared::All };
        for change in spare(std::mem::take(&mut state.pending_names), spared, &mut state.rng) {
            change.apply(&mut state.durable_names);
        }
        if failed { Err(broken()) } else { Ok(()) }
    }

    fn check_place(&self) -> io::Result<()> {
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}

struct Handle {
    disk: FragileDisk,
    file: usize,
}

impl DiskFile for Handle {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].cached.len() as u64)
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        Ok((0, self.file as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.state();
        let rest = state.files[self.file].cached.get(offset as usize..).unwrap_or_default();
        buffer.copy_from_slice(rest.get(..buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let was_killed = state.killed;
        let failed = state.fails();
        if was_killed {
            return Err(broken());
        }
        // A write that fails, or in which the process is killed, may have done a part of its work.
        let done = if failed { state.rng.usize(0..=bytes.len()) } else { bytes.len() };
        let change = Change::Write(offset as usize, bytes[..done].to_vec());
        let file = &mut state.files[self.file];
        change.clone().apply(&mut file.cached);
        file.pending.push(change);
        if failed { Err(broken()) } else { Ok(()) }
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        if state.fails() {
            return Err(broken());
        }
        let file = &mut state.files[self.file];
        file.cached.truncate(length as usize);
        file.pending.push(Change::Cut(length as usize));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let state = &mut *state;
        let failed = state.fails();
        if state.killed || state.lying {
            return if failed { Err(broken()) } else { Ok(()) };
        }
        let spared = if failed { Spared::Some } else { Spared::All };
        state.files[self.file].lose(spared, &mut state.rng);
        if failed { Err(broken()) } else { Ok(()) }
    }
}
