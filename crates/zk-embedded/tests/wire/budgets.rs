//! What hostile clients cost: a bounded part of the memory of a server in a process of its own, and no honest
//! client its answers.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use zk_embedded::testing::TestServer;
use zk_wire::{CreateMode, EventKind, Request, Response, op};

use crate::client::{Client, LIMIT, create, exists, set};
use crate::hostile::raw;

const LONG: Duration = Duration::from_secs(30);
/// What the process may take beyond what it took at its start.
const MOST: usize = 64 << 20;
const ADDRESS: &str = "serving at ";

/// A server whose memory is its own.
struct Apart {
    process: Child,
    address: SocketAddr,
    at_start: usize,
}

impl Apart {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "budgets::a_server_apart", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = lines.map(Result::unwrap).find_map(|line| Some(line.split_once(ADDRESS)?.1.to_owned()));
        let address = said.expect("an address").parse().unwrap();
        let mut server = Self { process, address, at_start: 0 };
        server.at_start = server.peak();
        server
    }

    /// The most memory that the process ever had, in bytes.
    fn peak(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    fn assert_bounded(&self) {
        let grown = self.peak() - self.at_start;
        assert!(grown < MOST, "{} MiB more than at the start", grown >> 20);
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "the other end of the tests here"]
fn a_server_apart() {
    let server = TestServer::start().unwrap();
    println!("{ADDRESS}{}", server.address());
    let _ = std::io::stdin().read_line(&mut String::new());
}

fn long_path(number: usize) -> String {
    format!("/{number:03}{}", "x".repeat(1_000_000))
}

#[test]
fn long_watched_paths_take_bounded_memory() {
    let server = Apart::start();
    let mut honest = Client::connect(server.address, LONG);
    let mut was_refused = false;
    for round in 0..10 {
        let mut greedy = Client::connect(server.address, LONG);
        for number in 0..20 {
            let path = long_path(round * 20 + number);
            let request = match number % 2 {
                0 => Request::AddWatch { path, mode: 0 },
                _ => exists(&path, true),
            };
            if greedy.try_call(&request).is_none() {
                was_refused = true;
                break;
            }
        }
    }
    assert!(was_refused);
    assert!(honest.call(&exists("/", true)).1.is_ok());
    server.assert_bounded();
}

#[test]
fn an_event_for_many_is_there_once() {
    let server = Apart::start();
    let path = long_path(0);
    let mut watchers: Vec<Client> = (0..100).map(|_| Client::connect(server.address, LONG)).collect();
    for watcher in &mut watchers {
        watcher.call(&Request::AddWatch { path: path.clone(), mode: 0 }).1.unwrap();
    }
    let mut honest = Client::connect(server.address, LONG);
    honest.call(&create(&path, CreateMode::Persistent)).1.unwrap();
    for watcher in &mut watchers {
        let events = watcher.settle();
        assert!(matches!(&events[..], [(_, event)] if event.kind == EventKind::Created));
    }
    server.assert_bounded();
}

/// W16: a hundred that ask for thousands of events each and read none.
#[test]
fn events_that_nobody_reads_take_bounded_memory() {
    let server = Apart::start();
    let mut honest = Client::connect(server.address, LONG);
    let mut deaf: Vec<Client> = (0..100).map(|_| Client::connect(server.address, LONG)).collect();
    for (client, who) in deaf.iter_mut().zip(0..) {
        // None of them is there, so that each has its event at once.
        let data = (0..6_000).map(|number| format!("/{}-{who}-{number}", "x".repeat(80))).collect();
        let (exist, child) = (Vec::new(), Vec::new());
        client.send(&Request::SetWatches { relative_zxid: 1, data, exist, child });
        assert!(honest.call(&exists("/", false)).1.is_ok());
    }
    server.assert_bounded();
}

/// Those who do not read lose what waits for them, not those who do. A client that gets no processor for a while does
/// not read either, so a busy machine has three tries.
#[test]
fn who_reads_is_not_cut_off_for_those_who_do_not() {
    assert!((0..3).any(|_| reads_beside_those_who_do_not()));
}

fn reads_beside_those_who_do_not() -> bool {
    let server = Apart::start();
    let mut honest = Client::connect(server.address, LONG);
    for (path, length) in [("/long", 1_048_500), ("/b", 900_000)] {
        honest.call(&create(path, CreateMode::Persistent)).1.unwrap();
        honest.call(&set(path, &vec![7; length])).1.unwrap();
    }
    let mut deaf: Vec<Client> = (0..45).map(|_| Client::connect(server.address, LONG)).collect();
    let get = |path: &str| Request::GetData { path: path.into(), watch: false };
    for client in &mut deaf {
        for _ in 0..10 {
            client.send(&get("/b"));
        }
    }
    let mut read = || honest.try_call(&get("/long"));
    (0..5).all(|_| matches!(read(), Some((_, Ok(Response::Data { data: Some(_), .. })))))
}

/// Thirty long frames that never come to their end: an honest client's long frame is served all the same, and
/// its short session lives.
#[test]
fn half_sent_frames_keep_no_honest_one_waiting() {
    let server = TestServer::start().unwrap();
    let mut honest = Client::connect(server.address(), Duration::from_secs(4));
    honest.call(&create("/e", CreateMode::Ephemeral)).1.unwrap();
    let mut hostile: Vec<Client> = (0..30).map(|_| Client::connect(server.address(), LONG)).collect();
    for client in &mut hostile {
        client.send_bytes(&0xf_ffff_u32.to_be_bytes());
        client.send_bytes(&[0; 100]);
    }
    let mut other = Client::connect(server.address(), LONG);
    assert!(other.call(&exists("/e", false)).1.is_ok(), "short frames do not wait");
    let began = Instant::now();
    assert!(honest.call(&set("/e", &[1; 100_000])).1.is_ok());
    assert!(began.elapsed() < LIMIT);
}

/// While a long frame waits for room, the connection's answers go out.
#[test]
fn who_waits_for_room_still_gets_answers() {
    let server = TestServer::start().unwrap();
    let mut honest = Client::connect(server.address(), LONG);
    let hostile: Vec<Client> = (0..12)
        .map(|_| {
            let mut client = Client::connect(server.address(), LONG);
            client.send_bytes(&0xf_ffff_u32.to_be_bytes());
            client
        })
        .collect();
    let asked = honest.send(&exists("/", false));
    honest.send_bytes(&raw(1000, op::SET_DATA, &[0; 100_000]));
    assert!(honest.answer(asked, op::EXISTS).is_some());
    drop(hostile);
}
