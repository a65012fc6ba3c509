//! A disk that loses what was not synced, tears what was being written, and fails when it is told to.
//!
//! Invariant: what was synced before a crash reads the same after it, unless a bit was flipped on purpose.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zk_embedded::journal::{Disk, DiskFile};

use crate::random::Random;
use crate::record::Sight;

/// Sectors are written whole or not at all.
const SECTOR: usize = 512;

#[derive(Debug, Clone, Default)]
pub(crate) struct SimDisk(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    /// By name, as the running program sees them, and as a crash would leave them.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    files: Vec<File>,
    fail_next_sync: bool,
}

#[derive(Debug, Default, Clone)]
struct File {
    bytes: Vec<u8>,
    durable: Vec<u8>,
}

impl SimDisk {
    /// The next sync fails; nothing is known of what it should have kept.
    pub(crate) fn fail_next_sync(&self) {
        self.content().fail_next_sync = true;
    }

    /// Power is lost: of each file what was synced stays, and of the rest any selection of sectors. Tells what
    /// became of it.
    pub(crate) fn crash(&self, random: &mut Random) -> Vec<Sight> {
        let mut seen = Vec::new();
        let mut content = self.content();
        content.fail_next_sync = false;
        if random.one_in(2) {
            content.names = content.durable_names.clone();
        } else {
            content.durable_names = content.names.clone();
        }
        for file in &mut content.files {
            let mut left = file.durable.clone();
            if random.one_in(2) {
                left.resize(file.bytes.len(), 0);
            }
            for at in (0..left.len().min(file.bytes.len())).step_by(SECTOR) {
                let end = (at + SECTOR).min(left.len()).min(file.bytes.len());
                if left[at..end] != file.bytes[at..end] && random.one_in(2) {
                    left[at..end].copy_from_slice(&file.bytes[at..end]);
                }
            }
            if left != file.bytes {
                seen.push(if left == file.durable { Sight::TailLost } else { Sight::WriteTorn });
            }
            file.durable.clone_from(&left);
            file.bytes = left;
        }
        seen
    }

    /// Flips one bit of what is durable; `None` if there is nothing. Returns what undoes it.
    pub(crate) fn flip(&self, random: &mut Random) -> Option<Flip> {
        let mut content = self.content();
        let named: Vec<usize> = content.names.values().copied().collect();
        let candidates: Vec<usize> =
            named.into_iter().filter(|f| !content.files[*f].bytes.is_empty()).collect();
        if candidates.is_empty() {
            return None;
        }
        let file = random.pick(&candidates);
        let at = random.below(content.files[file].bytes.len() as u64) as usize;
        let before = content.files.clone();
        content.files[file].bytes[at] ^= 1 << random.below(8);
        content.files[file].durable = content.files[file].bytes.clone();
        Some(Flip { before, names: content.names.clone() })
    }

    pub(crate) fn undo(&self, flip: Flip) {
        let mut content = self.content();
        content.files = flip.before;
        content.names.clone_from(&flip.names);
        content.durable_names = flip.names;
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The disk before a bit was flipped.
pub(crate) struct Flip {
    before: Vec<File>,
    names: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Handle {
    disk: SimDisk,
    file: usize,
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.content().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut content = self.content();
        content.files.push(File::default());
        let file = content.files.len() - 1;
        content.names.insert(name.to_owned(), file);
        Ok(Box::new(Handle { disk: self.clone(), file }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = *self.content().names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Handle { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut content = self.content();
        let file = content.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        content.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.content().names.remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut content = self.content();
        if std::mem::take(&mut content.fail_next_sync) {
            return Err(io::Error::other("the disk failed"));
        }
        content.durable_names = content.names.clone();
        Ok(())
    }

    fn check_place(&self) -> io::Result<()> {
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}

impl DiskFile for Handle {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.content().files[self.file].bytes.len() as u64)
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        Ok((0, self.file as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let content = self.disk.content();
        let rest = content.files[self.file].bytes.get(offset as usize..).unwrap_or_default();
        let there = rest.get(..buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(there);
        Ok(())
    }

    fn write_at(&self, new: &[u8], offset: u64) -> io::Result<()> {
        let mut content = self.disk.content();
        let (bytes, start) = (&mut content.files[self.file].bytes, offset as usize);
        if bytes.len() < start + new.len() {
            bytes.resize(start + new.len(), 0);
        }
        bytes[start..start + new.len()].copy_from_slice(new);
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.disk.content().files[self.file].bytes.truncate(length as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut content = self.disk.content();
        if std::mem::take(&mut content.fail_next_sync) {
            return Err(io::Error::other("the disk failed"));
        }
        let file = &mut content.files[self.file];
        file.durable.clone_from(&file.bytes);
        Ok(())
    }
}
