//! Four-letter words, in the formats that tools parse.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use zk_embedded::testing::TestServer;

use crate::client::Client;

fn ask(address: SocketAddr, word: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(word).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// W4.
#[test]
fn words_are_answered() {
    let server = TestServer::start().unwrap();
    let client = Client::connect(server.address(), Duration::from_secs(10));
    assert_eq!(ask(server.address(), b"ruok"), "imok");
    assert_eq!(ask(server.address(), b"isro\n"), "rw");
    assert!(ask(server.address(), b"envi").contains("\nzookeeper.version=3.9."));
    let srvr = ask(server.address(), b"srvr\n");
    let names: Vec<&str> = srvr.lines().map(|line| line.split(": ").next().unwrap()).collect();
    let expected = [
        "Zookeeper version",
        "Latency min/avg/max",
        "Received",
        "Sent",
        "Connections",
        "Outstanding",
        "Zxid",
        "Mode",
        "Node count",
    ];
    assert_eq!(names, expected, "{srvr}");
    assert!(
        srvr.contains("Mode: standalone\n") && srvr.contains("Zxid: 0x") && srvr.ends_with("Node count: 5\n")
    );
    let stat = ask(server.address(), b"stat");
    let peer = client.stream.local_addr().unwrap();
    assert!(stat.contains(&format!("Clients:\n /{peer}[1](queued=0,recved=")), "{stat}");
    let mntr = ask(server.address(), b"mntr");
    assert!(mntr.contains("zk_server_state\tstandalone\n") && mntr.contains("zk_znode_count\t5\n"), "{mntr}");
    assert_eq!(ask(server.address(), b"dump"), "dump is not executed because it is not in the whitelist.\n");
}

/// W3 and W4: no word.
#[test]
fn what_is_no_word_is_no_word() {
    let server = TestServer::start().unwrap();
    assert_eq!(ask(server.address(), b"nope"), "");
    assert_eq!(ask(server.address(), b"GET / HTTP/1.1\r\n\r\n"), "");
}
