//! Loopback ports that stay ours while a server is down.
//!
//! Invariant: a reserved port is not given to another harness on this machine (an advisory lock on a file named
//! after the port, freed by the kernel when its holder dies), nor to an outgoing connection (it lies below the
//! ephemeral range). So a server that was killed can come back on the port that it had.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

/// The ports to choose from: above the registered well-known ones, below every usual ephemeral range.
const FIRST: u16 = 12_000;
const LAST: u16 = 31_999;

/// A port on 127.0.0.1 that nobody else using this harness gets while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a free port.
    ///
    /// # Panics
    /// When all 20 000 are taken, or `/tmp` cannot be written.
    #[must_use]
    pub fn reserve() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let span = LAST - FIRST + 1;
        // Processes start at different places, so that they seldom ask for the same lock.
        let start = (std::process::id().wrapping_mul(7919) % u32::from(span)) as u16;
        let directory = lock_directory();
        for _ in 0..span {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % span;
            let number = FIRST + ((u32::from(start) + u32::from(step)) % u32::from(span)) as u16;
            let path = directory.join(number.to_string());
            let file =
                OpenOptions::new().create(true).truncate(false).write(true).open(&path).expect("a lock file");
            if file.try_lock().is_ok() && is_free(number).is_ok() {
                return Self { number, _lock: file };
            }
        }
        panic!("no free loopback port between {FIRST} and {LAST}");
    }

    /// The port number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// Looks without listening: whatever is started by another thread at this moment inherits the socket until it
/// executes its program, and a listening one would keep the port from whoever it is reserved for.
fn is_free(port: u16) -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    Ok(bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?)
}

/// One directory for each user, so that nobody's lock files stand in another's way; the same for all of a user's
/// tests, whatever their `TMPDIR` says.
fn lock_directory() -> PathBuf {
    let path = Path::new("/tmp").join(format!("zk-ensemble-ports-{}", rustix::process::getuid().as_raw()));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).expect("a directory for the locks");
    path
}
