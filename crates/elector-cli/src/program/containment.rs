//! What holds the program's processes together: a control group of their own, where there is one for us.
//!
//! Purpose: find out at start which level is in force and say what it cannot catch; make, kill and remove the group.
//! Invariant: a group whose lock is held belongs to a living supervisor or warden and is never touched by others; one
//! whose lock is free is what is left of dead ones, and its processes are killed. The lock, not a process id, tells
//! them apart, since processes of several pid namespaces may share one directory of groups.

use rustix::fs::{Access, FlockOperation, access, flock};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What the names of our groups begin with.
const PREFIX: &str = "elector-";
/// Names that are tried for a new group.
const TRIES: u32 = 8;
/// How long the start waits for a dead elector's processes to be gone.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The level that is in force.
#[derive(Debug)]
pub(crate) enum Containment {
    /// A control group of its own.
    Group(Group),
    /// The process group, what the kernel hands on to us of orphans, and the parent-death signal.
    Processes {
        /// Why there is no control group.
        why: String,
    },
}

impl Containment {
    /// Takes the best level that is there, and clears away what dead electors left in control groups.
    pub(crate) fn establish() -> Containment {
        match directory().and_then(|directory| {
            clean_up(&directory, CLEAN_UP_LIMIT);
            Group::create(&directory)
        }) {
            Ok(group) => Containment::Group(group),
            Err(why) => Containment::Processes { why },
        }
    }

    /// Clears away what dead electors left in control groups, for whoever killed some and starts no other.
    pub(crate) fn clear_away() {
        // Without a directory of groups there are none.
        if let Ok(directory) = directory() {
            clean_up(&directory, CLEAN_UP_LIMIT);
        }
    }

    /// Kills what electors beside ours left that have died since, without waiting for it to be gone.
    pub(super) fn kill_what_the_dead_left(&self) {
        if let Some(directory) = self.group().and_then(|group| group.path.parent()) {
            clean_up(directory, Duration::ZERO);
        }
    }

    /// What is in force and what it cannot catch, in one line.
    pub(crate) fn describe(&self) -> String {
        match self {
            Containment::Group(group) => format!(
                "the program is held by the control group {}; what has the right to leave it may outlive elector where \
                 both of its processes are killed at once",
                group.path.display()
            ),
            Containment::Processes { why } => format!(
                "the program is held by its process group, and what leaves the group is adopted; that may outlive \
                 elector where both of its processes are killed at once (no control group: {why})"
            ),
        }
    }

    /// What is in force, in a word.
    pub(crate) fn level(&self) -> &'static str {
        match self {
            Containment::Group(_) => "cgroup",
            Containment::Processes { .. } => "process-group",
        }
    }

    /// What is missing for `--containment require-cgroup`, and how to mend it.
    pub(crate) fn shortfall(&self) -> Option<String> {
        match self {
            Containment::Group(_) => None,
            Containment::Processes { why } => Some(format!(
                "--containment require-cgroup: there is no control group for the program: {why}; let systemd \
                 delegate one to the service (Delegate=yes), or say auto"
            )),
        }
    }

    pub(super) fn group(&self) -> Option<&Group> {
        match self {
            Containment::Group(group) => Some(group),
            Containment::Processes { .. } => None,
        }
    }
}

impl Drop for Containment {
    fn drop(&mut self) {
        if let Some(group) = self.group() {
            group.remove();
        }
    }
}

/// A control group that nobody else uses.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
    /// The open directory carries the lock.
    lock: File,
    /// This process is in it.
    inside: AtomicBool,
}

impl Group {
    /// Makes one in `directory`.
    fn create(directory: &Path) -> Result<Group, String> {
        let mut last = String::new();
        for attempt in 0..TRIES {
            let path = directory.join(format!("{PREFIX}{}-{attempt}", std::process::id()));
            match make(&path) {
                Ok(lock) => {
                    let group = Group::over(path, lock);
                    return group.usable().map(|()| group);
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(format!("no right to make one in {}", directory.display()));
                }
                // Taken by another pid namespace, or swept away before we had locked it.
                Err(error) => last = format!("{}: {error}", path.display()),
            }
        }
        Err(last)
    }

    /// The same group in the warden.
    pub(super) fn over(path: PathBuf, lock: File) -> Group {
        Group { path, lock, inside: AtomicBool::new(false) }
    }

    fn usable(&self) -> Result<(), String> {
        let refuse = |why: &str| {
            let _ = fs::remove_dir(&self.path);
            Err(format!("{}: {why}", self.path.display()))
        };
        if !self.path.join("cgroup.kill").exists() {
            return refuse("the kernel has no cgroup.kill (Linux 5.14 has)");
        }
        if fs::read_to_string(self.path.join("cgroup.type")).is_ok_and(|kind| kind.trim() != "domain") {
            return refuse("it is of a threaded kind, which takes no processes");
        }
        // To move a process, both its new group and the one above both groups must be writable.
        let above = self.path.parent().map(|above| above.join("cgroup.procs"));
        if above.is_none_or(|above| access(above, Access::WRITE_OK).is_err()) {
            return refuse("no right to move processes there");
        }
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    /// Takes this process into it, and with it whatever it starts from here on. To move a process costs the kernel
    /// ten milliseconds and more, so it is done before the turn comes.
    pub(super) fn enter(&self) -> io::Result<()> {
        if !self.inside.load(Ordering::Relaxed) {
            fs::write(self.path.join("cgroup.procs"), "0")?;
            self.inside.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn leave(&self) -> io::Result<()> {
        if self.inside.load(Ordering::Relaxed) {
            let above = self.path.parent().ok_or_else(|| io::Error::other("it is the root"))?;
            fs::write(above.join("cgroup.procs"), "0")?;
            self.inside.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Kills every process in it but this one, however deep. Those that are born meanwhile included.
    pub(super) fn kill(&self) {
        if self.leave().is_ok() {
            let _ = fs::write(self.path.join("cgroup.kill"), "1");
        }
    }

    /// Whether no process but this one is left in it; zombies do not count.
    pub(super) fn is_empty(&self) -> bool {
        if !self.inside.load(Ordering::Relaxed) {
            return is_deserted(&self.path);
        }
        let own = std::process::id().to_string();
        let members = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        members.lines().all(|member| member == own) && below(&self.path).all(|group| is_deserted(&group))
    }

    /// Removes it, if it is empty. The program may have made groups below it.
    pub(super) fn remove(&self) {
        let _ = self.leave();
        remove_tree(&self.path);
    }
}

/// Makes a directory and locks it.
fn make(path: &Path) -> io::Result<File> {
    fs::create_dir(path)?;
    let lock = File::open(path)?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    // Whoever clears up may have had it in between.
    if fs::metadata(path)?.ino() != lock.metadata()?.ino() {
        return Err(io::Error::other("it was removed again"));
    }
    Ok(lock)
}

/// Kills and removes the groups of electors that are gone; waits at most `limit` for their processes' end.
fn clean_up(directory: &Path, limit: Duration) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let until = Instant::now() + limit;
    let ours = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for path in ours.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let Ok(lock) = File::open(&path) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        let group = Group::over(path, lock);
        group.kill();
        while !group.is_empty() && Instant::now() < until {
            std::thread::sleep(LOOK_EVERY);
        }
        group.remove();
    }
}

/// Whether the kernel knows of no living process in the group of this path.
fn is_deserted(path: &Path) -> bool {
    match fs::read_to_string(path.join("cgroup.events")) {
        Ok(events) => events.lines().any(|line| line == "populated 0"),
        // A group that is gone holds nobody.
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// The groups right below this one.
fn below(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

/// Groups from below; the kernel refuses to remove one that holds a process.
fn remove_tree(path: &Path) {
    below(path).for_each(|group| remove_tree(&group));
    let _ = fs::remove_dir(path);
}

/// The directory of our own control group, below which ours would be.
fn directory() -> Result<PathBuf, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let own = own_group(&read("/proc/self/cgroup")?).ok_or("this process is in no group of version 2")?;
    let (root, mounted) =
        mount(&read("/proc/self/mountinfo")?).ok_or("no control groups of version 2 are mounted")?;
    let below =
        Path::new(&own).strip_prefix(&root).map_err(|_| "our own group is outside of what is mounted")?;
    Ok(Path::new(&mounted).join(below))
}

/// The path in version 2's hierarchy.
fn own_group(text: &str) -> Option<String> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    // One outside of our own namespace is shown with dots, and cannot be reached.
    (path.starts_with('/') && !path.split('/').any(|part| part == "..")).then(|| path.to_string())
}

/// What of the hierarchy is mounted, and where.
fn mount(text: &str) -> Option<(String, String)> {
    text.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, mounted) = (fields.next()?, fields.next()?);
        (kind.split(' ').next() == Some("cgroup2")).then(|| (root.to_string(), mounted.to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_group_is_found_below_what_is_mounted() {
        let text = "5:cpu:/x\n0::/system.slice/billing.service\n";
        assert_eq!(own_group(text).as_deref(), Some("/system.slice/billing.service"));
        for outside in ["0::/../other\n", "5:cpu:/x\n", "0::\n", ""] {
            assert_eq!(own_group(outside), None, "{outside}");
        }
    }

    #[test]
    fn the_mount_is_found_among_others() {
        let text = "30 1 0:26 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n\
                    41 31 0:38 /a /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        assert_eq!(mount(text), Some(("/a".to_string(), "/sys/fs/cgroup/unified".to_string())));
        assert_eq!(mount("41 31 0:38 / /proc rw - proc proc rw\n"), None);
    }

    #[test]
    fn what_the_dead_left_is_cleared_away_and_the_living_are_left_alone() {
        // Any directories will do: what kills is the kernel's part.
        let directory = tempfile::tempdir().unwrap();
        let living = directory.path().join("elector-1-0");
        let _lock = make(&living).unwrap();
        let dead = directory.path().join("elector-2-0");
        drop(make(&dead).unwrap());
        let foreign = directory.path().join("other");
        fs::create_dir(&foreign).unwrap();
        fs::create_dir(dead.join("below")).unwrap();
        clean_up(directory.path(), CLEAN_UP_LIMIT);
        assert!(living.is_dir() && foreign.is_dir());
        // On a plain file system the file written by the kill keeps it; no process is asked for.
        assert!(!dead.join("below").exists());
    }
}
