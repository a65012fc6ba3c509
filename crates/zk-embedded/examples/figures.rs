//! Measures what the documents claim: how soon a test server is up, how late sessions end, how fast it is.
//!
//! `cargo run --release -p zk-embedded --example figures`

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use zk_embedded::testing::TestServer;
use zk_session::wire::{Acl, CreateMode, Request, perms};
use zk_session::{Client, Config};

const STARTS: u32 = 100;
const WRITES: u32 = 2000;
const SESSIONS: u32 = 20;
const TIMEOUT: Duration = Duration::from_millis(300);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    start_times()?;
    for journal in [false, true] {
        writes(journal).await?;
    }
    expiries().await
}

fn start_times() -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let server = TestServer::start()?;
        let mut stream = TcpStream::connect(server.address())?;
        stream.write_all(b"ruok")?;
        stream.read_exact(&mut [0; 4])?;
        times.push(began.elapsed());
    }
    println!("test server up and its first word: {}", spread(times));
    Ok(())
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

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    format!("median {:.1?}, 99 of 100 below {:.1?}, most {:.1?}", at(50), at(99), at(100))
}
