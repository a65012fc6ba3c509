//! `elector serve` and the clients and tools of others, as they come.

mod common;

use std::process::{Command, Stdio};
use std::time::Duration;

use common::LONG;
use common::serving::{started, stop};
use zk_ensemble::{
    Peer, kazoo_python, require, require_kazoo, require_peers, start_curator_latch, start_go_master,
};

const SESSION: Duration = Duration::from_secs(5);
/// Debian's, without its shell wrappers, which want a server's configuration.
const JARS: &str =
    "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar:/usr/share/java/commons-cli.jar";

/// What kazoo's users ask of a server; any difference is an exception.
const KAZOO: &str = r#"
import sys, threading
from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError
client = KazooClient(hosts=sys.argv[1], timeout=5.0)
client.start(timeout=20)
assert client.command(b"ruok") == "imok"
assert "Mode: standalone" in client.command(b"srvr")
assert "Clients:" in client.command(b"stat")
assert dict(line.split("\t") for line in client.command(b"mntr").splitlines())["zk_server_state"] == "standalone"
assert client.server_version() >= (3, 9), client.server_version()
seen = threading.Event()
client.create("/k/a", b"one", makepath=True)
assert client.get("/k/a", watch=lambda event: seen.set())[0] == b"one"
client.set("/k/a", b"two")
assert seen.wait(20)
try:
    client.create("/k/a")
    raise AssertionError("made twice")
except NodeExistsError:
    pass
assert client.create("/k/e-", ephemeral=True, sequence=True) == "/k/e-0000000001"
transaction = client.transaction()
transaction.check("/k/a", 1)
transaction.create("/k/b", b"")
assert transaction.commit() == [True, "/k/b"]
with client.Lock("/k/lock", "me"):
    assert client.Lock("/k/lock").contenders() == ["me"]
client.stop()
print("done")
"#;

/// Runs to the end, and gives what it printed.
fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it can be started");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn kazoo_works_with_it() {
    if !require_kazoo() {
        return;
    }
    let directory = tempfile::tempdir().expect("a folder");
    let (server, address) = started(directory.path());
    let said = output(Command::new(kazoo_python()).args(["-c", KAZOO]).arg(address.to_string()));
    assert!(said.contains("done"), "{said}");
    stop(server);
}

#[test]
fn curators_and_gos_and_kazoos_recipes_take_turns_on_it() {
    if !require_peers() || !require_kazoo() {
        return;
    }
    let directory = tempfile::tempdir().expect("a folder");
    let (server, address) = started(directory.path());
    let connect = address.to_string();
    let mut first = start_curator_latch(&connect, "/latch", "first", SESSION);
    first.wait_for("LEADING first", LONG);
    let mut second = start_curator_latch(&connect, "/latch", "second", SESSION);
    second.wait_for("NODE ", LONG);
    first.process().kill();
    second.wait_for("LEADING second", LONG);

    let mut first = start_go_master(&connect, "/test04", "/master", "first");
    first.wait_for("LEADING first", LONG);
    let mut second = start_go_master(&connect, "/test04", "/master", "second");
    second.wait_for("WAITING second", LONG);
    first.process().kill();
    second.wait_for("LEADING second", LONG);

    let mut first = Peer::KazooElection.start(&connect, "/kazoo", "first", SESSION);
    first.wait_for("LEADING first", LONG);
    let mut second = Peer::KazooElection.start(&connect, "/kazoo", "second", SESSION);
    first.process().kill();
    second.wait_for("LEADING second", LONG);
    drop(second);
    stop(server);
}

#[test]
fn apaches_own_tools_work_with_it() {
    if !require() {
        return;
    }
    let directory = tempfile::tempdir().expect("a folder");
    let (server, address) = started(directory.path());
    let cli = |words: &[&str]| {
        let connect = address.to_string();
        let main = ["-cp", JARS, "org.apache.zookeeper.ZooKeeperMain", "-server", &connect];
        output(Command::new("java").args(main).args(words))
    };
    cli(&["create", "/x", "hello"]);
    assert!(cli(&["get", "/x"]).contains("\nhello\n"));
    assert!(cli(&["ls", "/"]).contains("[x, zookeeper]"));
    // What `zkServer.sh status` asks, and looks for.
    let words = ["-cp", JARS, "org.apache.zookeeper.client.FourLetterWordMain", "127.0.0.1"];
    let status = output(Command::new("java").args(words).arg(address.port().to_string()).arg("srvr"));
    assert!(status.lines().any(|line| line == "Mode: standalone"), "{status}");
    stop(server);
}
