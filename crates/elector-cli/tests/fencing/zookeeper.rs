//! ZooKeeper as the store, written by a program in another language with a session of its own.

use std::time::Duration;

use tempfile::TempDir;
use zk_ensemble::{Ensemble, Kind, Onlooker};

use crate::common::{SHORT, TICK};
use crate::relay::Relay;
use crate::source::{Fence, program};
use crate::stale::{NEW, OLD, Story};

/// Parts of replies: what is refused, the length of the frame that answers a setData, and the header of a setData's
/// result within a transaction.
pub(crate) const NO_NODE: &[u8] = &(-101_i32).to_be_bytes();
const BAD_VERSION: &[u8] = &(-103_i32).to_be_bytes();
const WRITTEN: &[u8] = &[0, 0, 0, 84];
const WRITTEN_WITHIN: &[u8] = &[0, 0, 0, 5, 0];

/// A server that grants the store's clients longer sessions than an election has here: the stale leader's own
/// session with the store outlives its term, as it may in any program that has one.
pub(crate) fn server() -> Ensemble {
    let server = Ensemble::builder(1).tick_time(TICK).max_session_timeout(Duration::from_secs(60)).start();
    let mut onlooker = Onlooker::connect(server.servers()[0].address()).expect("it serves");
    onlooker.create("/last-invoice", b"0 0", Kind::Persistent).expect("it is empty");
    server
}

pub(crate) fn last_invoice(server: &Ensemble) -> String {
    let mut onlooker = Onlooker::connect(server.servers()[0].address()).expect("it serves");
    let (data, _) = onlooker.data("/last-invoice").expect("answered").expect("it was created");
    String::from_utf8(data).expect("plain text")
}

/// What is in the store when all is over. The write is known by `marker`, and its answer by `answer`.
fn late_write(name: &str, marker: &'static str, fence: Fence, answer: &[u8]) -> String {
    let server = server();
    let relay = Relay::start(server.servers()[0].address(), marker);
    let directory = TempDir::new().expect("a temporary directory");
    let python = zk_ensemble::kazoo_python();
    Story {
        servers: &server.connect_string(),
        election: "/billing",
        options: SHORT,
        program: format!("{} {}", python.display(), program(directory.path(), name, fence).display()),
        place: ("ZOOKEEPER", format!("127.0.0.1:{}", relay.port()), server.connect_string()),
        relay,
        answer,
    }
    .play();
    last_invoice(&server)
}

#[test]
fn a_stale_leaders_late_transaction_is_refused() {
    if zk_ensemble::require_kazoo() {
        let left = late_write("zookeeper.py", "/last-invoice", Fence::Kept, NO_NODE);
        assert_eq!(left, NEW);
    }
}

#[test]
fn control_without_the_fence_the_late_transaction_overwrites_the_newer_value() {
    if zk_ensemble::require_kazoo() {
        let left = late_write("zookeeper.py", "/last-invoice", Fence::LeftOut, WRITTEN_WITHIN);
        assert_eq!(left, OLD);
    }
}

/// The write as opposed to the read before it: the value behind a token.
const VALUE: &str = " 100";

#[test]
fn a_stale_leaders_late_write_at_a_version_is_refused() {
    if zk_ensemble::require_kazoo() {
        let left = late_write("zookeeper_data.py", VALUE, Fence::Kept, BAD_VERSION);
        assert!(left.ends_with(&format!(" {NEW}")), "{left}");
    }
}

#[test]
fn control_without_the_version_the_late_write_overwrites_the_newer_value() {
    if zk_ensemble::require_kazoo() {
        let left = late_write("zookeeper_data.py", VALUE, Fence::LeftOut, WRITTEN);
        assert!(left.ends_with(VALUE), "{left}");
    }
}
