//! What can be seen of whoever hosts, from outside and without taking part.
//!
//! Nothing here waits, locks or writes, so that a host which stands still holds up nobody who looks at it.

use super::Directory;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// Between two looks for a host, and how many: one that died is followed within a tenth of a second.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
const LOOKS: u32 = 6;

/// Whoever hosts the elections of a directory, as it looks at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// Nobody has the lock, and nobody listens.
    Nobody,
    /// Somebody has the lock and does not listen yet.
    Starting,
    /// Somebody listens.
    Hosting,
    /// Somebody listens, but the process of this id was stopped, by SIGSTOP for one.
    Stopped(i32),
    /// `elector serve`, this process, has the directory for its own server: nobody can host there.
    Served(i32),
}

/// Looks.
pub(crate) fn look(directory: &Directory) -> Outlook {
    match host(directory) {
        Ok(Some(pid)) if is_stopped(pid) => Outlook::Stopped(pid),
        Ok(_) => Outlook::Hosting,
        Err(_) => match holder(directory) {
            Some(pid) if is_stopped(pid) => Outlook::Stopped(pid),
            Some(pid) if is_a_server(pid) => Outlook::Served(pid),
            Some(_) => Outlook::Starting,
            None => Outlook::Nobody,
        },
    }
}

/// Looks until somebody hosts, or is about to; a tenth of a second later there is nobody.
pub(crate) fn look_for_a_host(directory: &Directory) -> Outlook {
    for _ in 1..LOOKS {
        match look(directory) {
            Outlook::Nobody => std::thread::sleep(LOOK_PAUSE),
            somebody => return somebody,
        }
    }
    look(directory)
}

/// What is wrong with a directory that `elector serve` has, and how to mend it.
pub(crate) fn served_line(directory: &Directory, pid: i32) -> String {
    let name = super::shown(directory.path());
    format!(
        "elector serve, pid {pid}, has {name} for its own server, and no local election is held there: give another \
         directory with --local=DIR, or that server's address with --zookeeper"
    )
}

/// The process that listens; none where it is in another container and has no number here.
fn host(directory: &Directory) -> io::Result<Option<i32>> {
    let address = SocketAddrUnix::new(directory.socket())?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &address)?;
    Ok(getsockopt(&socket, PeerCredentials).ok().map(|peer| peer.pid()).filter(|pid| *pid > 0))
}

/// The process that has the lock, from the kernel's list: asking for the lock itself could take it from somebody.
fn holder(directory: &Directory) -> Option<i32> {
    let lock = directory.lock_file()?;
    let list = fs::read_to_string("/proc/locks").ok()?;
    list.lines().find_map(|line| holder_in(line, lock.dev(), lock.ino()))
}

/// The process of a line such as `1: FLOCK  ADVISORY  WRITE 4711 08:01:131077 0 EOF`, if it is about this file.
fn holder_in(line: &str, device: u64, inode: u64) -> Option<i32> {
    let mut words = line.split_ascii_whitespace().skip(1);
    // Whoever waits stands behind an arrow in this place.
    if words.next()? != "FLOCK" {
        return None;
    }
    let pid = words.nth(2)?.parse().ok()?;
    let mut place = words.next()?.split(':');
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let mut number = |radix| u64::from_str_radix(place.next()?, radix).ok();
    let same = number(16)? == u64::from(major) && number(16)? == u64::from(minor) && number(10)? == inode;
    same.then_some(pid)
}

/// Whether this process was started as `elector serve`. It has the same lock as a host, and none of its sockets.
fn is_a_server(pid: i32) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.split(|byte| *byte == 0).nth(1) == Some(b"serve")
}

/// Whether this process was stopped by a signal or a debugger.
fn is_stopped(pid: i32) -> bool {
    // The command's name may be any bytes; only the line of the state is looked at.
    let status = fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    is_stopped_in(&String::from_utf8_lossy(&status))
}

fn is_stopped_in(status: &str) -> bool {
    let state = status.lines().find_map(|line| line.strip_prefix("State:"));
    state.is_some_and(|state| state.trim_start().starts_with(['T', 't']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn directory() -> (tempfile::TempDir, Directory) {
        let place = tempfile::tempdir().expect("a folder");
        let directory = Directory::open(Some(&place.path().join("local"))).expect("made");
        (place, directory)
    }

    #[test]
    fn a_fresh_directory_has_nobody() {
        assert_eq!(look(&directory().1), Outlook::Nobody);
    }

    #[test]
    fn whoever_listens_is_seen_and_its_dead_socket_is_not() {
        let (_place, directory) = directory();
        let listener = UnixListener::bind(directory.socket()).expect("bound");
        assert_eq!(look(&directory), Outlook::Hosting);
        assert_eq!(host(&directory).expect("connected"), i32::try_from(std::process::id()).ok());
        drop(listener);
        assert_eq!(look(&directory), Outlook::Nobody);
    }

    #[test]
    fn whoever_has_the_lock_and_does_not_listen_yet_is_seen() {
        let (_place, directory) = directory();
        let lock = zk_embedded::journal::Directory::lock(directory.path()).expect("ours");
        assert_eq!(look(&directory), Outlook::Starting);
        drop(lock);
        assert_eq!(look(&directory), Outlook::Nobody);
    }

    #[test]
    fn a_line_of_the_kernels_list_is_read() {
        let device = rustix::fs::makedev(8, 0x11);
        let line = "12: FLOCK  ADVISORY  WRITE 4711 08:11:131077 0 EOF";
        assert_eq!(holder_in(line, device, 131_077), Some(4711));
        assert_eq!(holder_in(line, device, 131_078), None);
        assert_eq!(holder_in(line, rustix::fs::makedev(8, 0x12), 131_077), None);
        for other in [
            "12: -> FLOCK  ADVISORY  WRITE 4711 08:11:131077 0 EOF",
            "12: POSIX  ADVISORY  WRITE 4711 08:11:131077 0 EOF",
            "12: FLOCK  ADVISORY  WRITE",
            "",
        ] {
            assert_eq!(holder_in(other, device, 131_077), None, "{other}");
        }
    }

    #[test]
    fn a_stopped_process_is_told_from_its_name() {
        assert!(is_stopped_in("Name:\tx\nState:\tT (stopped)\n"));
        assert!(is_stopped_in("State:\tt (tracing stop)\n"));
        assert!(!is_stopped_in("Name:\tT\nState:\tS (sleeping)\n"));
        assert!(!is_stopped_in(""));
    }
}
