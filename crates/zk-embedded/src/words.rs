//! Four-letter words: what a server says to those who are no clients.
//!
//! Answered: `ruok`, `isro`, `srvr`, `stat`, `mntr`, and of `envi` the version, in the formats that tools parse. The other words of
//! ZooKeeper are refused by name; anything else is no word.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::shared::{Message, Shared, Word};
use crate::state::Counts;

/// The version whose behaviour this server has; tools read it.
const VERSION: &str = "3.9.3";
/// After the answer we wait so long for the client to close: to close before it has sent all would make the
/// system throw the answer away.
const LINGER: Duration = Duration::from_secs(1);
/// What may follow a word: a newline, as a rule.
const LINGER_BYTES: usize = 1 << 10;

/// Words that Apache's server knows and this one does not answer.
const REFUSED: [&[u8; 4]; 14] = [
    b"conf", b"cons", b"crst", b"dirs", b"dump", b"gtmk", b"hash", b"lead", b"orst", b"srst", b"stmk",
    b"wchc", b"wchp", b"wchs",
];

/// The answer, if the first bytes of a connection are a word.
pub(crate) async fn answer(first: &[u8; 4], shared: &Shared) -> Option<String> {
    let word = match first {
        b"ruok" => return Some("imok".to_owned()),
        b"isro" => return Some("rw".to_owned()),
        // Of the environment only what clients look for; the rest concerns nobody outside.
        b"envi" => return Some(format!("Environment:\nzookeeper.version={VERSION}-zk-embedded\n")),
        b"srvr" => Word::Srvr,
        b"stat" => Word::Stat,
        b"mntr" => Word::Mntr,
        other if REFUSED.contains(&other) => {
            let word = String::from_utf8_lossy(other);
            return Some(format!("{word} is not executed because it is not in the whitelist.\n"));
        }
        _ => return None,
    };
    let (answer, told) = oneshot::channel();
    let _ = shared.queue.send(Message::Word { word, answer }).await;
    let silent = |_| "This ZooKeeper instance is not currently serving requests\n".to_owned();
    Some(told.await.unwrap_or_else(silent))
}

/// What speaks to us, if it is something well known that came to the wrong port.
pub(crate) fn foreign(first: &[u8; 4]) -> Option<&'static str> {
    match first {
        b"GET " | b"PUT " | b"POST" | b"HEAD" => Some("it speaks HTTP"),
        [0x16, 0x03, ..] => Some("it speaks TLS"),
        _ => None,
    }
}

/// Writes the answer and closes the connection such that it arrives.
pub(crate) async fn tell(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &str) -> io::Result<()> {
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let rest = async {
        let mut rest = [0; LINGER_BYTES];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut rest[..left]).await {
                Ok(0) | Err(_) => return,
                Ok(count) => left -= count,
            }
        }
    };
    // A client that does not close either has had its answer all the same.
    let _ = timeout(LINGER, rest).await;
    Ok(())
}

/// Times from receipt to answer, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    min: Option<u64>,
    max: u64,
    sum: u64,
    count: u64,
}

impl Latency {
    pub(crate) fn add(&mut self, took: Duration) {
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.min = Some(self.min.map_or(took, |min| min.min(took)));
        self.max = self.max.max(took);
        self.sum = self.sum.saturating_add(took);
        self.count += 1;
    }

    fn average(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }
}

/// What the words tell.
pub(crate) struct Report<'a> {
    pub(crate) latency: &'a Latency,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) guests: usize,
    pub(crate) outstanding: usize,
    pub(crate) zxid: i64,
    pub(crate) counts: Counts,
    pub(crate) uptime: Duration,
    /// One line for each client, for `stat`.
    pub(crate) clients: Vec<String>,
}

impl Report<'_> {
    pub(crate) fn word(&self, word: Word) -> String {
        match word {
            Word::Srvr => format!("Zookeeper version: {VERSION}-zk-embedded\n{}", self.figures()),
            Word::Stat => {
                let clients: String = self.clients.iter().map(|line| format!("{line}\n")).collect();
                format!("Zookeeper version: {VERSION}-zk-embedded\nClients:\n{clients}\n{}", self.figures())
            }
            Word::Mntr => self.monitor(),
        }
    }

    fn figures(&self) -> String {
        format!(
            "Latency min/avg/max: {}/{:.4}/{}\nReceived: {}\nSent: {}\nConnections: {}\nOutstanding: {}\n\
             Zxid: 0x{:x}\nMode: standalone\nNode count: {}\n",
            self.latency.min.unwrap_or(0),
            self.latency.average(),
            self.latency.max,
            self.received,
            self.sent,
            self.guests,
            self.outstanding,
            self.zxid,
            self.node_count(),
        )
    }

    /// Apache's server counts the root twice, and tools compare.
    fn node_count(&self) -> usize {
        self.counts.nodes + 1
    }

    fn monitor(&self) -> String {
        let mut lines = String::new();
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(lines, "zk_{name}\t{value}");
        };
        line("version", &format!("{VERSION}-zk-embedded"));
        line("server_state", &"standalone");
        line("min_latency", &self.latency.min.unwrap_or(0));
        line("avg_latency", &format!("{:.4}", self.latency.average()));
        line("max_latency", &self.latency.max);
        line("packets_received", &self.received);
        line("packets_sent", &self.sent);
        line("num_alive_connections", &self.guests);
        line("outstanding_requests", &self.outstanding);
        line("znode_count", &self.node_count());
        line("watch_count", &self.counts.watches);
        line("ephemerals_count", &self.counts.ephemerals);
        line("approximate_data_size", &self.counts.bytes);
        if let Some(open) = open_files() {
            line("open_file_descriptor_count", &open);
        }
        line("max_file_descriptor_count", &most_open_files());
        line("global_sessions", &self.counts.sessions);
        line("uptime", &self.uptime.as_millis());
        lines
    }
}

fn open_files() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

/// Without a limit, the largest number that Apache's server can print.
fn most_open_files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(i64::MAX.unsigned_abs())
}
