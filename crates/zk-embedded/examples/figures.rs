//! Measures what the documents claim: how soon a test server is up, how late sessions end, how fast it is,
//! and how long a snapshot of a large tree holds a write up.
//!
//! `cargo run --release -p zk-embedded --example figures`; with the path of a release build's `elector` behind
//! `--`, also how soon `elector serve` answers, counted from exec, and how much memory it has then.

use std::error::Error;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use zk_embedded::testing::TestServer;
use zk_session::wire::{Acl, CreateMode, MultiOp, Request, perms};
use zk_session::{Client, Config};

const STARTS: u32 = 100;
const SERVES: u32 = 30;
/// What does not answer by then never will.
const SERVE_LIMIT: Duration = Duration::from_secs(10);
const WRITES: u32 = 2000;
const SESSIONS: u32 = 20;
const TIMEOUT: Duration = Duration::from_millis(300);
/// The large tree: so many nodes in so many requests, of so many bytes each.
const REQUESTS: u32 = 250;
const NODES_PER_REQUEST: u32 = 400;
const NODE_BYTES: usize = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    start_times()?;
    if let Some(elector) = std::env::args_os().nth(1) {
        serve_starts(&elector)?;
    }
    for journal in [false, true] {
        writes(journal).await?;
    }
    expiries().await?;
    snapshots().await
}

fn start_times() -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let server = TestServer::start()?;
        ask(server.address())?;
        times.push(began.elapsed());
    }
    println!("test server up and its first word: {}", spread(times));
    Ok(())
}

/// From exec of `elector serve` on a fresh directory until it has answered a first request.
fn serve_starts(elector: &OsStr) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..SERVES {
        let directory = tempfile::tempdir()?;
        // A free port a moment ago: the time in which it is told is not a part of the answer.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let began = Instant::now();
        let mut serve = Command::new(elector)
            .args(["serve", "--quiet", "--listen", &address.to_string(), "--data-dir"])
            .arg(directory.path().join("data"))
            .spawn()?;
        let answered = first_answer(address);
        times.push(began.elapsed());
        let status = std::fs::read_to_string(format!("/proc/{}/status", serve.id()))?;
        serve.kill()?;
        serve.wait()?;
        answered?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|rest| rest.trim().strip_suffix(" kB")).ok_or("no VmRSS")?;
        memory.push(resident.parse::<u32>()?);
    }
    println!("elector serve, exec to its first answer: {}", spread(times));
    println!(
        "elector serve, memory then: {:.1} MiB at most",
        f64::from(memory.into_iter().max().unwrap_or(0)) / 1024.0
    );
    Ok(())
}

/// Asks until it is answered.
fn first_answer(address: SocketAddr) -> io::Result<()> {
    let until = Instant::now() + SERVE_LIMIT;
    loop {
        match ask(address) {
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_micros(100)),
            end => return end,
        }
    }
}

/// One word and its answer.
fn ask(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"ruok")?;
    stream.read_exact(&mut [0; 4])
}

async fn writes(journal: bool) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let builder = TestServer::builder();
    let builder = if journal { builder.data_dir(directory.path().join("data")) } else { builder };
    let server = builder.start()?;
    let client = Client::connect(Config::new(server.connect_string().parse()?)).await?;
    let mut times = Vec::new();
    for _ in 0..WRITES {
        let began = Instant::now();
        client.set_data("/", b"x", -1).await?;
        times.push(began.elapsed());
    }
    println!("write, {}: {}", if journal { "journal" } else { "memory" }, spread(times));
    client.close().await;
    Ok(())
}

/// From the last answer that a client had to the event of its end: what of it lies beyond the timeout.
async fn expiries() -> Result<(), Box<dyn Error>> {
    let server = TestServer::start()?;
    let onlooker = Client::connect(Config::new(server.connect_string().parse()?)).await?;
    let mut late = Vec::new();
    for number in 0..SESSIONS {
        let mut config = Config::new(server.connect_string().parse()?);
        config.timeout = TIMEOUT;
        let silent = Client::connect_within(config, Duration::from_secs(5)).await?;
        let path = format!("/e{number}");
        let mut events = onlooker.events();
        let create = Request::Create {
            path: path.clone(),
            data: None,
            acl: vec![Acl::anyone(perms::ALL)],
            mode: CreateMode::Ephemeral,
        };
        silent.call(create).await?;
        let heard = Instant::now();
        onlooker.exists(&path, true).await?;
        // What its client sends from now on arrives after the session's end.
        server.delay_requests(TIMEOUT * 3);
        while !matches!(events.recv().await?, zk_session::ClientEvent::Watch(_)) {}
        late.push(heard.elapsed().saturating_sub(TIMEOUT));
        server.delay_requests(Duration::ZERO);
    }
    println!("session ended late by: {}", spread(late));
    Ok(())
}

/// A tree of 100 MB is filled by one client, with the snapshots that this brings about, while another one
/// writes a small node over and over.
async fn snapshots() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let server = TestServer::builder().data_dir(directory.path().join("data")).start()?;
    let filler = Client::connect(Config::new(server.connect_string().parse()?)).await?;
    let writer = Client::connect(Config::new(server.connect_string().parse()?)).await?;
    let filling = tokio::spawn(async move {
        for request in 0..REQUESTS {
            let node = |number| MultiOp::Create {
                path: format!("/n{request}-{number}"),
                data: Some(vec![7; NODE_BYTES]),
                acl: vec![Acl::anyone(perms::ALL)],
                mode: CreateMode::Persistent,
            };
            filler.multi((0..NODES_PER_REQUEST).map(node).collect()).await?;
        }
        // Enough rewriting that the whole tree is stored at least once more.
        for request in 0..REQUESTS {
            let node = |number| MultiOp::SetData {
                path: format!("/n{request}-{number}"),
                data: Some(vec![8; NODE_BYTES]),
                version: -1,
            };
            filler.multi((0..NODES_PER_REQUEST).map(node).collect()).await?;
        }
        Ok::<_, zk_session::CallError>(())
    });
    let mut times = Vec::new();
    while !filling.is_finished() {
        let began = Instant::now();
        writer.set_data("/", b"x", -1).await?;
        times.push(began.elapsed());
    }
    filling.await??;
    println!("write while a tree of 100 MB is filled and stored: {}", spread(times));
    Ok(())
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    format!("median {:.1?}, 99 of 100 below {:.1?}, most {:.1?}", at(50), at(99), at(100))
}
