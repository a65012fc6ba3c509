//! What the journal needs of a file system: one flat directory. Behind a trait so that tests can lose power,
//! run out of space and fail at any call.

use std::io;
use std::path::PathBuf;

/// A directory of files. Names are single path components.
///
/// A new, renamed or removed name is durable only after [`Disk::sync_names`], a file's bytes and length only
/// after [`DiskFile::sync`].
pub trait Disk: Send + Sync {
    /// The names of all files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A new, empty file, in place of any that has the name.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// The file that has the name.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives the file `from` the name `to`, in place of any that has it, in one step.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes the file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Waits until the directory itself is durable.
    fn sync_names(&self) -> io::Result<()>;

    /// Fails if the directory is no longer the one that was opened: removed, or another one in its place.
    fn check_place(&self) -> io::Result<()>;

    /// How a file is called in messages.
    fn path(&self, name: &str) -> PathBuf;
}

/// An open file, for reading and writing.
pub trait DiskFile: Send {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// What tells the file from another one that has its name by now.
    fn identity(&self) -> io::Result<(u64, u64)>;

    /// Fills `buffer` with the bytes from `offset` on; fails if there are fewer.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` from `offset` on; the file grows as needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file down to `length` bytes.
    fn cut(&self, length: u64) -> io::Result<()>;

    /// Waits until bytes and length are durable. After a failure nothing is known of what was not durable
    /// before, and a later success does not mean that it is.
    fn sync(&self) -> io::Result<()>;
}
