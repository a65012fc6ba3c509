//! ZooKeeper's four-letter words: what a server says about itself, outside any session.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a healthy server on this machine may take to answer a word.
const WORD_LIMIT: Duration = Duration::from_secs(1);
/// No word's answer is longer than this in tests.
const ANSWER_LIMIT: u64 = 1 << 20;

/// What part a server plays, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The only server.
    Standalone,
    /// It leads its ensemble's quorum.
    Leader,
    /// It follows.
    Follower,
}

/// The part of the `srvr` word that tests need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The server's part.
    pub mode: Mode,
    /// The last transaction it has applied.
    pub zxid: u64,
    /// Connections of clients, the one that asked included.
    pub connections: u32,
    /// Requests and pings that it has received from clients since it started.
    pub received: u64,
}

/// Sends a four-letter word and returns the whole answer.
///
/// # Errors
/// The server is down, stopped, or silent for a second.
pub fn four_letter(address: SocketAddr, word: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, WORD_LIMIT)?;
    stream.set_read_timeout(Some(WORD_LIMIT))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_LIMIT).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Asks `srvr`; `None` when the server is down, silent, or not serving clients at the moment.
#[must_use]
pub fn report(address: SocketAddr) -> Option<Report> {
    parse(&four_letter(address, "srvr").ok()?)
}

fn parse(answer: &str) -> Option<Report> {
    let field = |name: &str| {
        answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::trim))
    };
    Some(Report {
        mode: match field("Mode")? {
            "standalone" => Mode::Standalone,
            "leader" => Mode::Leader,
            "follower" => Mode::Follower,
            _ => return None,
        },
        zxid: u64::from_str_radix(field("Zxid")?.strip_prefix("0x")?, 16).ok()?,
        connections: field("Connections")?.parse().ok()?,
        received: field("Received")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_own_words_are_understood() {
        let answer = "Zookeeper version: 3.8.0\nLatency min/avg/max: 0/0.0/0\nReceived: 1\nSent: 0\n\
                      Connections: 3\nOutstanding: 0\nZxid: 0x10000002a\nMode: follower\nNode count: 5\n";
        let expected = Report { mode: Mode::Follower, zxid: 0x1_0000_002a, connections: 3, received: 1 };
        assert_eq!(parse(answer), Some(expected));
    }

    #[test]
    fn a_server_without_a_quorum_reports_nothing() {
        assert_eq!(parse("This ZooKeeper instance is not currently serving requests\n"), None);
    }
}
