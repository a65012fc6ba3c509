//! The journal's disk as it is in earnest: a directory that is private to its owner and locked by its user.
//!
//! The lock is the kernel's, on the file `lock`, and ends with the process however that ends. The file holds
//! the holder's process id for others to read; it is never removed, since one who waits on a removed file
//! and one who locks its successor would both go on.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::disk::{Disk, DiskFile};
use super::error::OpenError;
use super::format::is_name;

/// The file that is locked.
const LOCK: &str = "lock";

/// Permissions of the directory, if it is made here. A umask can only take some away.
const DIRECTORY_MODE: u32 = 0o700;

/// Permissions of all files: they hold the passwords of sessions.
const FILE_MODE: u32 = 0o600;

/// Write permission of group and others.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// What the top directory of a file system has in it from the start.
const LOST_AND_FOUND: &str = "lost+found";

/// More bytes than any process id has digits.
const LONGEST_PID: u64 = 16;

/// How often the lock file may be exchanged under us before we give up.
const LOCK_ATTEMPTS: usize = 16;

/// A locked directory. Dropping it releases the lock.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    lock: File,
}

impl Directory {
    /// Locks the directory at `path`, which is made, with all that leads to it, if it is not there.
    ///
    /// # Errors
    /// [`OpenError::Locked`] names the process that has it. A directory of another user, or one in which
    /// others may write, is refused, as is one that somebody else keeps their files in.
    pub fn lock(path: &Path) -> Result<Self, OpenError> {
        Self::claim(path, File::try_lock)
    }

    /// The same, but waits for whoever has the directory, however long that takes: the kernel wakes us as soon
    /// as the holder releases it or dies. Blocks the calling thread, and nothing can call it off.
    ///
    /// # Errors
    /// As [`Directory::lock`]; also if the directory is gone when the wait is over.
    pub fn wait(path: &Path) -> Result<Self, OpenError> {
        Self::claim(path, |lock| {
            loop {
                match lock.lock() {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => return other.map_err(TryLockError::Error),
                }
            }
        })
    }

    fn claim(path: &Path, acquire: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Self, OpenError> {
        let failed = |action| move |source| OpenError::Io { action, path: path.to_owned(), source };
        make(path).map_err(failed("create the directory"))?;
        // From here on the working directory of the process does not matter.
        let path = &path.canonicalize().map_err(failed("find the directory"))?;
        check_owner(path)?;
        check_content(path)?;
        for _ in 0..LOCK_ATTEMPTS {
            let mut lock = open_lock(path).map_err(failed("open the lock file in"))?;
            match acquire(&lock) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(OpenError::Locked { directory: path.clone(), pid: holder(&mut lock) });
                }
                Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
            }
            // It may have been removed, and made anew by another, between opening and locking.
            let directory = Self { path: path.clone(), lock };
            if directory.check_place().is_ok() {
                directory.write_pid().map_err(failed("write the lock file in"))?;
                // Whoever made it was perhaps killed before this. Not done for a lock that is held: others
                // ask for it again and again.
                sync_name(path).map_err(failed("sync the name of"))?;
                return Ok(directory);
            }
        }
        Err(OpenError::Locked { directory: path.clone(), pid: None })
    }

    fn write_pid(&self) -> io::Result<()> {
        let mut text = std::process::id().to_string();
        text.push('\n');
        self.lock.set_len(0)?;
        self.lock.write_all_at(text.as_bytes(), 0)
    }
}

/// Makes the directory and those above it as far as they are missing, and sees to it that their names are on
/// disk.
fn make(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)?;
    missing.into_iter().try_for_each(sync_name)
}

/// Waits until the name of the directory at `path` is on disk.
fn sync_name(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    match File::open(parent) {
        Ok(parent) => parent.sync_all(),
        // Then it was not we who made anything in it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

fn check_owner(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io { action: "look at", path: path.to_owned(), source };
    let found = fs::metadata(path).map_err(failed)?;
    let user = rustix::process::geteuid().as_raw();
    if found.uid() != user {
        return Err(OpenError::Owner { directory: path.to_owned(), owner: found.uid(), user });
    }
    let mode = found.mode() & 0o7777;
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(OpenError::Mode { directory: path.to_owned(), mode });
    }
    Ok(())
}

fn open_lock(path: &Path) -> io::Result<File> {
    options_of_lock().create(true).truncate(false).mode(FILE_MODE).open(path.join(LOCK))
}

/// To read and write, and never through a link: what it leads to is not ours to write into.
fn options_of_lock() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Refuses a directory that has files in it, but none of ours, or something else under a name of ours: to
/// write there would harm whoever keeps them.
fn check_content(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io { action: "look into", path: path.to_owned(), source };
    let (mut ours, mut other) = (false, None);
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(failed)?;
        if name == LOCK || is_name(&name) {
            // Of a link this is the link itself, so none is followed.
            if !kind.is_file() || name == LOCK && !is_lock(&entry.path()).map_err(failed)? {
                return Err(OpenError::Foreign { directory: path.to_owned(), found: name });
            }
            ours = true;
        } else if name != LOST_AND_FOUND && !kind.is_socket() {
            // A socket holds nothing that could be harmed, and may be the one that our clients use.
            other = Some(name);
        }
    }
    match other {
        Some(found) if !ours => Err(OpenError::Foreign { directory: path.to_owned(), found }),
        _ => Ok(()),
    }
}

/// Whether a file has in it what a lock file has: a process id, or nothing yet.
fn is_lock(path: &Path) -> io::Result<bool> {
    let mut text = Vec::new();
    options_of_lock().open(path)?.take(LONGEST_PID).read_to_end(&mut text)?;
    let digits = text.strip_suffix(b"\n").unwrap_or(&text);
    Ok(digits.iter().all(u8::is_ascii_digit))
}

/// The process id in the lock file.
fn holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.seek(SeekFrom::Start(0)).ok()?;
    lock.take(LONGEST_PID).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

impl Disk for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(FILE_MODE);
        Ok(Box::new(options.open(self.path(name))?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(self.path(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn check_place(&self) -> io::Result<()> {
        let there = fs::metadata(self.path.join(LOCK)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => io::Error::other("it was removed, or its lock file"),
            _ => error,
        })?;
        let ours = self.lock.metadata()?;
        if (there.dev(), there.ino()) != (ours.dev(), ours.ino()) {
            return Err(io::Error::other("its lock file is no longer the one that was locked"));
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl DiskFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        let found = self.metadata()?;
        Ok((found.dev(), found.ino()))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
