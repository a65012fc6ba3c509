//! Telling a service manager how far we are (systemd's `NOTIFY_SOCKET`).
//!
//! It is a courtesy: nothing fails where nobody listens. The program never gets the variable, since it would
//! speak for a service that is elector.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Contending has begun; waiting in the queue is all that readiness can mean here.
pub(crate) const READY: &str = "READY=1";
/// The run is ending.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Sends `state` to the manager, if there is one.
pub(crate) fn tell(state: &str) {
    if let Some(address) = std::env::var_os("NOTIFY_SOCKET") {
        let _ = send(&address, state);
    }
}

fn send(address: &OsStr, state: &str) -> std::io::Result<()> {
    let bytes = address.as_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not hold up an election.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_arrives_at_a_path_and_at_an_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), READY).unwrap();
        let mut buffer = [0; 16];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");

        let name = format!("elector-notify-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(OsStr::new(&format!("@{name}")), STOPPING).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"STOPPING=1");
        assert!(send(OsStr::new("/no/such/socket"), READY).is_err());
    }
}
