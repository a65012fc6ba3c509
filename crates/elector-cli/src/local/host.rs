//! Hosting the elections of a directory inside this process, for as long as it has the directory's lock.
//!
//! Invariant: only who has the lock binds the socket, and the lock is the journal's own, so that two hosts at a
//! time would be two journals in one directory, which the journal excludes. Waiting for the lock is a thread
//! that sleeps in the kernel: when the host dies, another one has it within a millisecond. Neither the socket
//! nor the lock file is removed at the end; the next holder replaces the one and locks the other.
//!
//! The server has threads of its own, and so has this; none of them is ever on the way of the election or of
//! the program. Whoever looks only (`status`, `observe`) has no [`Host`].

use super::{Directory, shown};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::runtime::Builder;
use tokio::sync::watch;
use zk_embedded::journal::{self, OpenError};
use zk_embedded::state::Limits;
use zk_embedded::{Config, Listener, Notice, Notices, Server, StartError, Storage};

/// The shortest and the longest session timeout granted, in ms: those that can be asked for.
const TIMEOUTS_MS: (i32, i32) = (100, 3_600_000);
/// What tells one boot of the machine from another.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Something that a host has to say.
#[derive(Debug)]
pub(crate) enum News {
    /// From now on this process hosts.
    Hosting,
    /// This version cannot read the directory; another process may. The text says which versions meet.
    TooNew(String),
    /// The server's own words.
    Server(Notice),
}

/// Who hosts, as far as this process has a part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// It is not known yet.
    Asking,
    /// Another process has the lock.
    Waiting,
    /// This one has it.
    Holding,
    /// This one serves.
    Hosting,
    /// This one never will, or does no more.
    Over,
    /// This one should, and cannot.
    Failed(String),
}

/// A process's readiness to host. Dropped, it stops as [`Host::stop`] does.
#[derive(Debug)]
pub(crate) struct Host {
    stop: watch::Sender<bool>,
    standing: watch::Receiver<Standing>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Hosts the elections of `directory` as soon as nobody else does. `tell` is called on other threads and must
    /// not block.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start(
        directory: Arc<Directory>,
        tell: impl Fn(News) + Send + Sync + 'static,
    ) -> io::Result<Host> {
        let (stop, stopped) = watch::channel(false);
        let (stand, standing) = watch::channel(Standing::Asking);
        let waiter = Waiter { directory, tell: Arc::new(tell), stopped, stand };
        let thread = std::thread::Builder::new().name("local-host".into()).spawn(move || waiter.run())?;
        Ok(Host { stop, standing, thread: Some(thread) })
    }

    /// Waits until either another process hosts, or this one does or cannot. Cancel safe.
    pub(crate) async fn settled(&self) {
        let mut standing = self.standing.clone();
        // An error is the thread's end, and then nothing will change any more.
        let _ = standing.wait_for(|now| !matches!(now, Standing::Asking | Standing::Holding)).await;
    }

    /// Waits until this process has to end because it should host and cannot, and says why. The lock is free
    /// again then. Cancel safe.
    pub(crate) async fn failed(&self) -> String {
        let mut standing = self.standing.clone();
        match standing.wait_for(|now| matches!(now, Standing::Failed(_))).await.as_deref() {
            Ok(Standing::Failed(why)) => why.clone(),
            _ => std::future::pending().await,
        }
    }

    /// Stops accepting, syncs, and releases the directory to the next. Blocks until that is done.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        // Whoever only waits sleeps in the kernel until the lock is free; it goes with the process, and should it
        // get the lock before, it lets go of it at once.
        let waits = matches!(*self.standing.borrow(), Standing::Asking | Standing::Waiting);
        if let Some(thread) = self.thread.take()
            && !waits
        {
            let _ = thread.join();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread's own part.
struct Waiter {
    directory: Arc<Directory>,
    tell: Arc<dyn Fn(News) + Send + Sync>,
    stopped: watch::Receiver<bool>,
    stand: watch::Sender<Standing>,
}

impl Waiter {
    fn run(self) {
        let path = self.directory.path();
        let locked = match journal::Directory::lock(path) {
            Err(OpenError::Locked { .. }) => {
                self.stand(Standing::Waiting);
                journal::Directory::wait(path)
            }
            other => other,
        };
        let end = match locked {
            Ok(lock) => self.hold(lock),
            Err(error) => Err(error.into()),
        };
        self.stand(match end {
            Ok(()) => Standing::Over,
            Err(StartError::Journal(error @ OpenError::Version { .. })) => {
                (self.tell)(News::TooNew(error.to_string()));
                Standing::Over
            }
            Err(error) => Standing::Failed(error.to_string()),
        });
    }

    /// Hosts until it is asked to stop, or has to. The lock is free when this returns.
    fn hold(&self, lock: journal::Directory) -> Result<(), StartError> {
        if *self.stopped.borrow() {
            return Ok(());
        }
        self.stand(Standing::Holding);
        let runtime = Builder::new_current_thread().build()?;
        let server = Server::start_locked(self.config(), lock, || self.bind())?;
        (self.tell)(News::Hosting);
        self.stand(Standing::Hosting);
        let mut stopped = self.stopped.clone();
        runtime.block_on(async {
            tokio::select! {
                why = server.failed() => Err(StartError::Io(io::Error::other(why.to_string()))),
                // An error is the other end dropped, which means the same.
                _ = stopped.wait_for(|stop| *stop) => Ok(()),
            }
        })
        // The server is dropped here: no more clients, a last sync, and the lock is free.
    }

    fn config(&self) -> Config {
        let tell = Arc::clone(&self.tell);
        Config {
            limits: Limits {
                min_timeout_ms: TIMEOUTS_MS.0,
                max_timeout_ms: TIMEOUTS_MS.1,
                ..Limits::default()
            },
            storage: Some(Storage::new(self.directory.path())),
            // All clients of a unix socket count as one.
            connections_per_address: Config::default().connections,
            // Whoever held a session of an earlier boot is no more. Where this cannot be read their sessions end
            // by their timeouts.
            boot: fs::read_to_string(BOOT_ID).ok().map(|id| id.trim().to_owned()),
            notices: Notices::new(move |notice| tell(News::Server(notice))),
            ..Config::default()
        }
    }

    /// Puts our socket in the place of the last holder's, which nobody listens on: we have the lock.
    fn bind(&self) -> io::Result<Vec<Listener>> {
        let socket = self.directory.socket();
        let failed = |action: &str, error: io::Error| {
            let place = shown(self.directory.path());
            io::Error::new(error.kind(), format!("cannot {action} the socket in {place}: {error}"))
        };
        match fs::symlink_metadata(&socket) {
            Ok(found) if !found.file_type().is_socket() => {
                let error = io::Error::other("something else has its name: move it away");
                return Err(failed("make", error));
            }
            Ok(_) => fs::remove_file(&socket).map_err(|error| failed("replace", error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("look at", error)),
        }
        let listener = UnixListener::bind(&socket).map_err(|error| failed("make", error))?;
        // Nobody else can reach it before either: the directory is closed to others.
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))
            .map_err(|error| failed("protect", error))?;
        Ok(vec![Listener::Unix(listener)])
    }

    fn stand(&self, standing: Standing) {
        self.stand.send_replace(standing);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outlook, look};
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::time::{Duration, Instant};

    fn directory() -> (tempfile::TempDir, Arc<Directory>) {
        let place = tempfile::tempdir().expect("a folder");
        let directory = Directory::open(Some(&place.path().join("local"))).expect("made");
        (place, Arc::new(directory))
    }

    fn host(directory: &Arc<Directory>) -> Host {
        Host::start(Arc::clone(directory), |_| {}).expect("a thread")
    }

    fn on_a_runtime<T>(future: impl Future<Output = T>) -> T {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(30), future).await.expect("in time") })
    }

    fn wait_until_hosted(directory: &Directory) {
        let until = Instant::now() + Duration::from_secs(30);
        while look(directory) != Outlook::Hosting {
            assert!(Instant::now() < until, "{:?}", look(directory));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn the_first_hosts_and_the_second_follows_when_it_stops() {
        let (_place, directory) = directory();
        let first = host(&directory);
        on_a_runtime(first.settled());
        assert_eq!(*first.standing.borrow(), Standing::Hosting);
        let socket = fs::metadata(directory.socket()).expect("there");
        assert_eq!(socket.mode() & 0o777, 0o600);
        let second = host(&directory);
        on_a_runtime(second.settled());
        assert_eq!(*second.standing.borrow(), Standing::Waiting);
        first.stop();
        wait_until_hosted(&directory);
        second.stop();
        assert_eq!(look(&directory), Outlook::Nobody);
        assert!(directory.path().join("socket").exists() && directory.path().join("lock").exists());
    }

    #[test]
    fn one_that_stopped_waiting_does_not_keep_the_lock() {
        let (_place, directory) = directory();
        let first = host(&directory);
        on_a_runtime(first.settled());
        let second = host(&directory);
        on_a_runtime(second.settled());
        second.stop();
        first.stop();
        let third = host(&directory);
        wait_until_hosted(&directory);
        third.stop();
    }

    #[test]
    fn what_is_no_socket_is_not_replaced() {
        let (_place, directory) = directory();
        let file = directory.path().join("socket");
        fs::write(&file, "precious").expect("written");
        let host = host(&directory);
        let why = on_a_runtime(host.failed());
        assert!(why.contains("move it away"), "{why}");
        assert_eq!(fs::read(&file).expect("there"), b"precious");
        assert_eq!(look(&directory), Outlook::Nobody, "the lock is free");
    }

    #[test]
    fn a_replaced_lock_file_ends_the_hosting() {
        let (_place, directory) = directory();
        let host = host(&directory);
        on_a_runtime(host.settled());
        fs::remove_file(directory.path().join("lock")).expect("removed");
        let why = on_a_runtime(host.failed());
        assert!(why.contains("lock file"), "{why}");
    }
}
