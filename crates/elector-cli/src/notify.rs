//! Telling a service manager how far we are, and that we are alive (systemd's `NOTIFY_SOCKET` and `WATCHDOG_USEC`).
//!
//! It is a courtesy: nothing fails where nobody listens, and nothing waits. The program never gets the socket's
//! variable, since it would speak for a service that is elector. Invariant: the watchdog is fed by the very loop that
//! renews the lease and by no thread or task beside it, so that a loop which stands still is noticed.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use tokio::time::Instant;

/// Contending has begun; waiting in the queue is all that readiness can mean here.
pub(crate) const READY: &str = "READY=1";
/// The run is ending.
pub(crate) const STOPPING: &str = "STOPPING=1";
const ALIVE: &str = "WATCHDOG=1";
/// How often the watchdog is fed within its time.
const FED_PER_TIMEOUT: u32 = 3;

/// Sends `state` to the manager, if there is one.
pub(crate) fn tell(state: &str) {
    if let Some(manager) = Manager::named() {
        manager.tell(state);
    }
}

/// Shows the first line of `text` as what the service is doing.
pub(crate) fn show(text: &str) {
    tell(&format!("STATUS={}", text.lines().next().unwrap_or_default()));
}

/// The manager's socket and ours.
#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Manager {
    /// The one that the environment names, if any.
    fn named() -> Option<Manager> {
        Manager::at(&std::env::var_os("NOTIFY_SOCKET")?).ok()
    }

    fn at(address: &OsStr) -> std::io::Result<Manager> {
        let bytes = address.as_bytes();
        let address = match bytes.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not hold up an election.
        socket.set_nonblocking(true)?;
        Ok(Manager { socket, address })
    }

    fn tell(&self, state: &str) {
        let _nobody_listens = self.socket.send_to_addr(state.as_bytes(), &self.address);
    }
}

/// The manager's watchdog: whoever does not feed it in time is killed and started again.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// Held open, so that no want of descriptors starves it; none where there is no watchdog.
    manager: Option<Manager>,
    every: Duration,
    next: Instant,
}

impl Watchdog {
    /// The one that the environment tells of, or one that wants nothing.
    pub(crate) fn new() -> Watchdog {
        let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
        let meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let timeout =
            number("WATCHDOG_USEC").filter(|micros| meant && *micros > 0).map(Duration::from_micros);
        Watchdog {
            manager: timeout.and_then(|_| Manager::named()),
            every: timeout.unwrap_or_default() / FED_PER_TIMEOUT,
            next: Instant::now(),
        }
    }

    /// Waits until it wants to be fed; for ever where there is none. Cancel safe.
    pub(crate) async fn is_due(&self) {
        match self.manager {
            Some(_) => tokio::time::sleep_until(self.next).await,
            None => std::future::pending().await,
        }
    }

    /// Feeds it, if it is time to.
    pub(crate) fn feed(&mut self) {
        let now = Instant::now();
        if let Some(manager) = self.manager.as_ref().filter(|_| now >= self.next) {
            manager.tell(ALIVE);
            self.next = now + self.every;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_arrives_at_a_path_and_at_an_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Manager::at(path.as_os_str()).unwrap().tell(READY);
        let mut buffer = [0; 16];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");

        let name = format!("elector-notify-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Manager::at(OsStr::new(&format!("@{name}"))).unwrap().tell(STOPPING);
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"STOPPING=1");
        Manager::at(OsStr::new("/no/such/socket")).unwrap().tell(READY);
    }

    #[tokio::test]
    async fn a_watchdog_is_fed_when_it_is_time_and_no_oftener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let fed = || std::iter::from_fn(|| socket.recv(&mut [0; 16]).ok()).count();
        let manager = Manager::at(path.as_os_str()).ok();
        let mut patient = Watchdog { manager, every: Duration::from_secs(600), next: Instant::now() };
        for _ in 0..3 {
            patient.feed();
        }
        assert_eq!(fed(), 1);
        let mut hungry = Watchdog { every: Duration::from_millis(1), ..patient };
        hungry.next = Instant::now();
        for _ in 0..3 {
            hungry.is_due().await;
            hungry.feed();
        }
        assert_eq!(fed(), 3);
    }
}
