//! kill -9 under load: nothing that was acknowledged is lost, and no number is given twice.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../wire/client.rs"]
mod client;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use zk_embedded::journal;
use zk_embedded::{Config, Listener, Server, Storage};
use zk_ensemble::{Port, rounds};
use zk_wire::{CreateMode, Response};

use crate::client::{Client, create, exists};

const DIRECTORY: &str = "ZK_EMBEDDED_CRASH_DIRECTORY";
const PORT: &str = "ZK_EMBEDDED_CRASH_PORT";
/// Longer than a round on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(40);
const START_LIMIT: Duration = Duration::from_secs(20);

/// Not a test: what the other one starts in a process of its own, and kills.
#[test]
fn server_to_be_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let port: u16 = std::env::var(PORT).unwrap().parse().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    // Small, so that segments end and snapshots are taken in the midst of it.
    let limits = journal::Limits { segment_bytes: 16 << 10, snapshot_bytes: 16 << 10, snapshot_records: 300 };
    let storage = Some(Storage { directory: directory.into(), limits });
    let server =
        Server::start(Config { storage, ..Config::default() }, vec![Listener::Tcp(listener)]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    panic!("the server ended: {}", runtime.block_on(server.failed()));
}

struct Victim(Child);

impl Victim {
    fn start(directory: &Path, port: u16) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "server_to_be_killed", "--nocapture"])
            .env(DIRECTORY, directory)
            .env(PORT, port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + START_LIMIT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < end, "the server does not serve");
            std::thread::sleep(Duration::from_millis(2));
        }
        Self(child)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a client was told is done.
#[derive(Default)]
struct Acknowledged {
    names: BTreeSet<String>,
    highest_zxid: i64,
}

#[test]
fn nothing_acknowledged_is_lost_and_no_number_is_given_twice() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let port = Port::reserve();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
    let mut random = fastrand::Rng::with_seed(7);
    let mut all = Acknowledged::default();
    let mut sessions: Vec<Client> = Vec::new();
    for round in 0..rounds(100, 1000) {
        let victim = Victim::start(&data, port.number());
        if round == 0 {
            sessions = (0..3).map(|_| Client::connect(address, TIMEOUT)).collect();
            sessions[0].call(&create("/load", CreateMode::Persistent)).1.unwrap();
            sessions[0].call(&create("/alive", CreateMode::Ephemeral)).1.unwrap();
        }
        let mut clients: Vec<Client> = sessions
            .iter()
            .map(|client| Client::resume(address, client).expect("sessions live on"))
            .collect();
        check(&mut clients[0], &all, round);
        let stop = AtomicBool::new(false);
        let told: Vec<Acknowledged> = std::thread::scope(|scope| {
            let stop = &stop;
            let workers: Vec<_> =
                clients.iter_mut().map(|client| scope.spawn(move || load(client, stop))).collect();
            std::thread::sleep(Duration::from_millis(random.u64(0..25)));
            drop(victim);
            stop.store(true, Ordering::Relaxed);
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        let before = all.highest_zxid;
        for told in told {
            assert!(told.names.is_disjoint(&all.names), "round {round}: a number was given twice");
            let lowest = told.names.len();
            assert!(lowest == 0 || told.highest_zxid > before, "round {round}: zxids fell");
            all.names.extend(told.names);
            all.highest_zxid = all.highest_zxid.max(told.highest_zxid);
        }
    }
    println!("{} acknowledged writes", all.names.len());
    assert!(all.names.len() > rounds(100, 1000), "the kills did not come under load");
}

/// Creates nodes until the server is gone; what was acknowledged.
fn load(client: &mut Client, stop: &AtomicBool) -> Acknowledged {
    let mut told = Acknowledged::default();
    let request = create("/load/n-", CreateMode::PersistentSequential);
    while !stop.load(Ordering::Relaxed) {
        let Some((zxid, outcome)) = client.try_call(&request) else { break };
        let Ok(Response::Created2 { path, stat }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(zxid, stat.czxid);
        assert!(zxid > told.highest_zxid, "zxids rise");
        told.highest_zxid = zxid;
        assert!(told.names.insert(path));
    }
    told
}

fn check(client: &mut Client, all: &Acknowledged, round: usize) {
    let alive = client.call(&exists("/alive", false));
    assert!(alive.1.is_ok(), "round {round}: an ephemeral of a live session is gone");
    assert!(
        alive.0 >= all.highest_zxid,
        "round {round}: zxid 0x{:x} after 0x{:x}",
        alive.0,
        all.highest_zxid
    );
    let children = zk_wire::Request::GetChildren2 { path: "/load".into(), watch: false };
    let Ok(Response::Children2 { names, stat }) = client.call(&children).1 else { panic!("no /load") };
    assert_eq!(stat.cversion, stat.num_children, "nothing was deleted, so each was made once");
    let names: BTreeSet<String> = names.into_iter().map(|name| format!("/load/{name}")).collect();
    let lost: Vec<_> = all.names.difference(&names).collect();
    assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
}
