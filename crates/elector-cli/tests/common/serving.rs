//! `elector serve` in tests: on a free port, from its first line to its orderly end.

use std::net::SocketAddr;
use std::path::Path;

use rustix::process::Signal;

use super::{Elector, LONG, Running};

/// The command line, so far as every test has it.
pub(crate) fn serve(directory: &Path) -> Elector {
    Elector::new("serve").words("--data-dir").bytes(directory.as_os_str().as_encoded_bytes())
}

/// A server on a free port, and the address that it says it has.
pub(crate) fn started(directory: &Path) -> (Running, SocketAddr) {
    let mut server = serve(directory).words("--listen 127.0.0.1:0").start();
    let line = server.wait_for("listens on");
    assert!(line.contains("development and tests") && line.contains("no quorum"), "{line}");
    let address = line.split("listens on ").nth(1).and_then(|rest| rest.split(';').next());
    (server, address.expect("an address").parse().expect("an address"))
}

/// Ends it by TERM.
pub(crate) fn stop(mut server: Running) {
    server.signal(Signal::TERM);
    assert_eq!(server.end(LONG), Some(0), "{}", server.said());
}
