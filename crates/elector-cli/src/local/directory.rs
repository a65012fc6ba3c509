//! The directory of local elections: found, made, and judged.
//!
//! Invariant: a [`Directory`] belongs to the effective user alone, and lies on a file system whose locks this
//! machine's kernel keeps by itself. Its name is absolute and holds no symbolic link, so that everybody who
//! means the same place prints the same name. Whether it may be written shows at the first attempt to host.

use crate::text::escape;
use rustix::fs::{Access, AtFlags, CWD, accessat, fstatfs};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where it is below the home, unless somebody says otherwise.
const BELOW_HOME: &str = ".local/state/elector";
/// Permissions of what is made here, with all that leads to it.
const MODE: u32 = 0o700;
/// Permissions that nobody else may have.
const OF_OTHERS: u32 = 0o077;
/// The socket of whoever hosts.
const SOCKET: &str = "socket";
/// The file that whoever hosts has locked. The journal makes it.
const LOCK: &str = "lock";
/// The longest name of a socket, in bytes: the kernel's field of 108, less its end.
const LONGEST_SOCKET: usize = 107;

/// File systems that more than one machine may have mounted, or whose locks a process keeps: two hosts at a time
/// would be possible there.
const SHARED: [(u32, &str); 13] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "FUSE"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7461_636f, "OCFS2"),
    (0x0116_1970, "GFS2"),
    (0x7375_7245, "Coda"),
];

/// A directory in which elections of this machine are held.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Keeps the way to a socket whose name is too long, and the identity of the place.
    handle: File,
}

impl Directory {
    /// The directory at `given`, else the user's own; made, with mode 0700, if it is not there. The error is a
    /// line that names the directory and the remedy.
    pub(crate) fn open(given: Option<&Path>) -> Result<Directory, String> {
        let path = place(given)?;
        let made = DirBuilder::new().recursive(true).mode(MODE).create(&path);
        // Something else may be there in its place: then that is what is wrong, and `judge` says so.
        if let Err(error) = made
            && !path.exists()
        {
            if fs::symlink_metadata(&path).is_ok() {
                return Err(refuse(&path, "it is a symbolic link to nothing: make its target, or remove it"));
            }
            let remedy = if given.is_none() { ": give --local=DIR" } else { "" };
            return Err(format!("cannot make the directory {}: {error}{remedy}", shown(&path)));
        }
        let directory = Self::judge(&path)?;
        match accessat(CWD, &directory.path, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS) {
            Ok(()) => Ok(directory),
            Err(Errno::ROFS) => {
                Err(refuse(&directory.path, "it is on a file system that is mounted read-only"))
            }
            Err(error) => {
                let why = format!("it cannot be written ({}): chmod 0700 it", io::Error::from(error));
                Err(refuse(&directory.path, &why))
            }
        }
    }

    /// The same for those who only look: nothing is made, and none is no error.
    pub(crate) fn find(given: Option<&Path>) -> Result<Result<Directory, PathBuf>, String> {
        let path = place(given)?;
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Err(path)),
            _ => Self::judge(&path).map(Ok),
        }
    }

    fn judge(path: &Path) -> Result<Directory, String> {
        let unusable = |error: io::Error| refuse(path, &error.to_string());
        let path = path.canonicalize().map_err(unusable)?;
        let found = fs::metadata(&path).map_err(unusable)?;
        if !found.is_dir() {
            return Err(refuse(&path, "it is not a directory"));
        }
        judge_owner(&path, &found)?;
        // From here on what is judged is what is used, whatever its name becomes.
        let flags = rustix::fs::OFlags::DIRECTORY.bits().cast_signed();
        let handle = OpenOptions::new().read(true).custom_flags(flags).open(&path).map_err(unusable)?;
        judge_owner(&path, &handle.metadata().map_err(unusable)?)?;
        // The kernel's field has another width on each machine; the numbers have 32 bits.
        let kind = fstatfs(&handle).map_err(|error| unusable(error.into()))?.f_type as u32;
        match name_of_shared(kind) {
            Some(name) => Err(refuse(
                &path,
                &format!(
                    "it is on a {name} file system, whose locks do not bind all who may reach it; give a directory of a local disk with --local=DIR"
                ),
            )),
            None => Ok(Directory { path, handle }),
        }
    }

    /// Its name: absolute, without symbolic links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the socket, short enough to be bound and connected to for as long as this value lives.
    pub(crate) fn socket(&self) -> PathBuf {
        let plain = self.path.join(SOCKET);
        if plain.as_os_str().len() <= LONGEST_SOCKET {
            return plain;
        }
        PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", self.handle.as_raw_fd()))
    }

    /// The file that whoever hosts has locked; none if nobody ever hosted here.
    pub(super) fn lock_file(&self) -> Option<Metadata> {
        fs::metadata(self.path.join(LOCK)).ok()
    }
}

/// A directory's name as it may be printed.
pub(crate) fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy())
}

fn refuse(path: &Path, why: &str) -> String {
    format!("no elections can be held in {}: {why}", shown(path))
}

fn place(given: Option<&Path>) -> Result<PathBuf, String> {
    match given {
        Some(path) => std::path::absolute(path)
            .map_err(|error| format!("{} cannot be made absolute: {error}", shown(path))),
        None => home().map(|home| home.join(BELOW_HOME)),
    }
}

/// The home that the password database gives: a terminal and a cron job differ in `$HOME` and the XDG variables,
/// and two directories would be two elections.
fn home() -> Result<PathBuf, String> {
    let user = nix::unistd::geteuid();
    match nix::unistd::User::from_uid(user) {
        Ok(Some(found)) if found.dir.is_absolute() => Ok(found.dir),
        Ok(_) => Err(format!("the password database has no home for user {user}: give --local=DIR")),
        Err(error) => Err(format!("the password database cannot be read ({error}): give --local=DIR")),
    }
}

fn judge_owner(path: &Path, found: &Metadata) -> Result<(), String> {
    let user = rustix::process::geteuid().as_raw();
    let mode = found.mode() & 0o7777;
    if found.uid() != user {
        let why = format!("it belongs to user {}, not to user {user} who runs this", found.uid());
        return Err(refuse(path, &why));
    }
    if mode & OF_OTHERS != 0 {
        // Not mended: it may be a directory that others are meant to use for something else.
        return Err(refuse(path, &format!("others may enter it (mode {mode:04o}): chmod 0700 it")));
    }
    Ok(())
}

/// The file system with this number, if it is one of those.
fn name_of_shared(kind: u32) -> Option<&'static str> {
    SHARED.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn temporary() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[test]
    fn it_is_made_for_its_owner_alone_with_all_that_leads_to_it() {
        let place = temporary();
        let path = place.path().join("a/b");
        let directory = Directory::open(Some(&path)).expect("made");
        for part in [path.as_path(), &place.path().join("a")] {
            assert_eq!(fs::metadata(part).expect("there").mode() & 0o777, 0o700, "{}", part.display());
        }
        assert_eq!(directory.path(), path.canonicalize().expect("there"));
        Directory::open(Some(&path)).expect("found again");
    }

    #[test]
    fn looking_makes_nothing() {
        let place = temporary();
        let path = place.path().join("none");
        assert_eq!(Directory::find(Some(&path)).expect("no error").expect_err("not there"), path);
        assert!(!path.exists());
    }

    #[test]
    fn what_others_may_enter_is_refused_and_left_as_it_is() {
        let place = temporary();
        for mode in [0o777, 0o755, 0o710] {
            fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).expect("ours");
            let refusal = Directory::open(Some(place.path())).expect_err("open to others");
            assert!(refusal.contains(&format!("mode {mode:04o}): chmod 0700 it")), "{refusal}");
            assert_eq!(refusal.lines().count(), 1);
            assert_eq!(fs::metadata(place.path()).expect("there").mode() & 0o777, mode);
        }
    }

    #[test]
    fn a_file_in_its_place_is_told() {
        let place = temporary();
        let file = place.path().join("file");
        fs::write(&file, "").expect("written");
        for path in [file.clone(), file.join("below")] {
            let refusal = Directory::open(Some(&path)).expect_err("no directory");
            assert!(refusal.to_lowercase().contains("not a directory"), "{refusal}");
        }
    }

    #[test]
    fn a_symbolic_link_leads_to_the_same_election() {
        let place = temporary();
        let (real, link) = (place.path().join("real"), place.path().join("link"));
        let directory = Directory::open(Some(&real)).expect("made");
        std::os::unix::fs::symlink(&real, &link).expect("made");
        assert_eq!(Directory::open(Some(&link)).expect("found").path(), directory.path());
        fs::remove_dir(&real).expect("empty");
        let refusal = Directory::open(Some(&link)).expect_err("nothing there");
        assert!(refusal.contains("a symbolic link to nothing"), "{refusal}");
    }

    #[test]
    fn a_socket_whose_name_is_too_long_is_reached_all_the_same() {
        let place = temporary();
        let directory = Directory::open(Some(&place.path().join("d".repeat(120)))).expect("made");
        let socket = directory.socket();
        assert!(socket.as_os_str().len() <= LONGEST_SOCKET, "{}", socket.display());
        let _listener = UnixListener::bind(&socket).expect("bound");
        assert!(directory.path().join(SOCKET).exists());
        UnixStream::connect(&socket).expect("connected");
    }

    #[test]
    fn file_systems_of_several_machines_are_known_by_their_numbers() {
        assert_eq!(name_of_shared(0x6969), Some("NFS"));
        assert_eq!(name_of_shared(0x6573_5546), Some("FUSE"));
        assert_eq!(name_of_shared(0xef53), None, "ext4");
        assert_eq!(name_of_shared(0x0102_1994), None, "tmpfs");
    }

    #[test]
    fn the_home_is_the_password_databases() {
        let own = fs::read_to_string("/etc/passwd").expect("there is one");
        let number = rustix::process::geteuid().as_raw().to_string();
        let line = own.lines().find(|line| line.split(':').nth(2) == Some(&number));
        let Some(home) = line.and_then(|line| line.split(':').nth(5)) else { return };
        assert_eq!(super::home().expect("a home"), Path::new(home));
    }
}
