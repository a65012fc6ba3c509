//! The faults that the testing kit stages.

use std::time::{Duration, Instant};

use zk_embedded::testing::TestServer;
use zk_wire::{CreateMode, Request};

use crate::client::{Client, create, exists};

const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_cut_breaks_connections_and_keeps_sessions() {
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    server.cut();
    assert!(client.is_hung_up());
    assert!(Client::resume(server.address(), &client).is_some());
}

#[test]
fn a_server_that_refuses_serves_those_it_has() {
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    server.refuse(true);
    assert!(Client::plain(server.address()).is_hung_up());
    assert!(client.call(&exists("/", false)).1.is_ok());
    server.refuse(false);
    Client::connect(server.address(), LONG);
}

#[test]
fn a_frozen_server_says_nothing_and_ends_no_session() {
    let timeout = Duration::from_millis(200);
    let mut server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), timeout);
    client.call(&create("/e", CreateMode::Ephemeral)).1.unwrap();
    server.freeze();
    let number = client.send(&Request::Ping);
    client.stream.set_read_timeout(Some(timeout * 3)).unwrap();
    assert!(std::io::Read::read(&mut client.stream, &mut [0]).is_err(), "silence");
    client.stream.set_read_timeout(Some(LONG)).unwrap();
    server.thaw();
    assert!(client.answer(number, zk_wire::op::PING).is_some(), "the connection is as it was");
    assert!(client.call(&exists("/e", false)).1.is_ok(), "nobody's session ended");
}

#[test]
fn delays_are_added_up() {
    let server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    let delay = Duration::from_millis(60);
    server.delay_requests(delay);
    server.delay_answers(delay);
    let began = Instant::now();
    client.call(&exists("/", false)).1.unwrap();
    assert!(began.elapsed() >= delay * 2);
    server.delay_requests(Duration::ZERO);
    server.delay_answers(Duration::ZERO);
}

#[test]
fn a_killed_server_is_down_and_comes_back_at_its_port() {
    let mut server = TestServer::start().unwrap();
    let mut client = Client::connect(server.address(), LONG);
    server.kill();
    assert!(client.is_hung_up());
    assert!(std::net::TcpStream::connect(server.address()).is_err());
    server.restart().unwrap();
    assert!(Client::resume(server.address(), &client).is_some());
}

#[test]
fn several_servers_run_side_by_side() {
    let servers: Vec<TestServer> = (0..5).map(|_| TestServer::start().unwrap()).collect();
    for server in &servers {
        Client::connect(server.address(), LONG).call(&create("/a", CreateMode::Persistent)).1.unwrap();
    }
}
