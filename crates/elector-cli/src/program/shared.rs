//! Memory files, which two processes of this command share, and what is left in one for the time after a death.
//!
//! The estate is what it takes to close a session (secrets among it). The supervisor leaves it here, the warden takes
//! it when the supervisor is gone or silent. It never crosses a file system, a command line or an environment.

use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use zeroize::Zeroize;

/// The longest estate: servers and credentials are a few hundred bytes.
const MAX_ESTATE: usize = 64 << 10;
/// Length and check word, in front of the bytes.
const HEAD: usize = 16;

/// An unnamed file in memory, closed on exec.
pub(super) fn memory_file(name: &str) -> io::Result<File> {
    Ok(File::from(memfd_create(name, MemfdFlags::CLOEXEC)?))
}

/// Where the estate lies.
#[derive(Debug)]
pub(super) struct EstateFile(File);

impl EstateFile {
    pub(super) fn new() -> io::Result<EstateFile> {
        Ok(EstateFile(memory_file("elector-estate")?))
    }

    pub(super) fn over(file: File) -> EstateFile {
        EstateFile(file)
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Leaves this estate in place of the one before; nothing is left where it cannot be written. A writer that dies
    /// on the way leaves nothing, too: the head is taken away first and written last.
    pub(super) fn leave(&self, estate: &[u8]) {
        self.clear();
        if estate.is_empty() || estate.len() > MAX_ESTATE {
            return;
        }
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&(estate.len() as u64).to_ne_bytes());
        head[8..].copy_from_slice(&check(estate).to_ne_bytes());
        if self.0.write_all_at(estate, HEAD as u64).is_ok() {
            let _ = self.0.write_all_at(&head, 0);
        }
    }

    /// Leaves nothing.
    pub(super) fn clear(&self) {
        let _ = self.0.set_len(0);
    }

    /// What is left, if it is whole.
    pub(super) fn read(&self) -> Option<Vec<u8>> {
        let mut head = [0; HEAD];
        self.0.read_exact_at(&mut head, 0).ok()?;
        let word = |at: usize| head.get(at..)?.first_chunk::<8>().map(|word| u64::from_ne_bytes(*word));
        let length = usize::try_from(word(0)?).ok().filter(|length| (1..=MAX_ESTATE).contains(length))?;
        let mut estate = vec![0; length];
        self.0.read_exact_at(&mut estate, HEAD as u64).ok()?;
        (check(&estate) == word(8)?).then_some(estate)
    }

    /// A copy that later changes do not reach.
    pub(super) fn copy(&self) -> Option<EstateFile> {
        let mut estate = self.read()?;
        let copy = EstateFile::new().ok()?;
        copy.leave(&estate);
        estate.zeroize();
        Some(copy)
    }

    pub(super) fn into_file(self) -> File {
        self.0
    }
}

/// FNV-1a: against halves, not against anybody.
fn check(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_estate_counts_and_a_copy_stays() {
        let file = EstateFile::new().unwrap();
        assert_eq!(file.read(), None);
        file.leave(b"a long estate");
        let copy = file.copy().unwrap();
        file.leave(b"short");
        assert_eq!(file.read().as_deref(), Some(b"short".as_slice()));
        file.clear();
        assert_eq!(file.read(), None);
        assert!(file.copy().is_none());
        assert_eq!(copy.read().as_deref(), Some(b"a long estate".as_slice()));
    }

    #[test]
    fn half_an_estate_is_none() {
        let file = EstateFile::new().unwrap();
        file.leave(b"an estate");
        file.0.write_all_at(b"b", HEAD as u64).unwrap();
        assert_eq!(file.read(), None);
        file.leave(b"an estate");
        file.0.set_len(HEAD as u64 + 3).unwrap();
        assert_eq!(file.read(), None);
        file.0.write_all_at(&[0xff; HEAD], 0).unwrap();
        assert_eq!(file.read(), None, "an absurd length");
        file.leave(&vec![1; MAX_ESTATE + 1]);
        assert_eq!(file.read(), None);
    }
}
