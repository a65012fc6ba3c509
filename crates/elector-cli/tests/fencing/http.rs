//! The HTTP service.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Instant;

use tempfile::TempDir;
use zk_embedded::testing::TestServer;
use zk_ensemble::{Owned, Port, bound_command};

use crate::common::LONG;
use crate::relay::Relay;
use crate::source::{Fence, program};
use crate::stale::{NEW, OLD, Story};

/// The service on a port of its own; it keeps its file over a restart.
struct Service {
    port: Port,
    directory: TempDir,
    process: Owned,
}

impl Service {
    fn start(fence: Fence) -> Service {
        let directory = TempDir::new().expect("a temporary directory");
        program(directory.path(), "service.py", fence);
        let port = Port::reserve();
        let process = launch(directory.path(), &port);
        Service { port, directory, process }
    }

    fn restart(&mut self) {
        self.process.kill();
        self.process = launch(self.directory.path(), &self.port);
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// The status code and the body.
    fn ask(&self, method: &str, token: Option<&str>, body: &str) -> (u16, String) {
        let token = token.map(|token| format!("Fencing-Token: {token}\r\n")).unwrap_or_default();
        let length = body.len();
        let request = format!("{method} / HTTP/1.0\r\n{token}Content-Length: {length}\r\n\r\n{body}");
        let mut stream = TcpStream::connect(self.address()).expect("it listens");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        (code, answer.split_once("\r\n\r\n").expect("an empty line").1.to_owned())
    }
}

fn launch(directory: &Path, port: &Port) -> Owned {
    let mut command = bound_command(directory.join("service.py"));
    command.arg(directory.join("state")).arg(port.number().to_string());
    command.stderr(std::process::Stdio::null());
    let service = zk_ensemble::spawn(command).expect("it starts");
    let end = Instant::now() + LONG;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port.number())).is_err() {
        assert!(Instant::now() < end, "it does not listen");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    service
}

fn needs() -> bool {
    zk_ensemble::require_programs(&["setpriv", "curl", "python3"])
}

fn late_write(fence: Fence, answer: &str, left: &str) {
    let server = TestServer::start().expect("a server");
    let service = Service::start(fence);
    let relay = Relay::start(service.address(), "PUT ");
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let client = program(service.directory.path(), "http.sh", Fence::Kept);
    Story {
        servers: &server.connect_string(),
        election: "/billing",
        options: "--session-timeout 3s --ensemble-tick 100ms",
        // No proxy of this machine's user stands between the client and loopback.
        program: format!("no_proxy='*' {}", client.display()),
        place: ("SERVICE", url(relay.port()), url(service.port.number())),
        relay,
        answer: answer.as_bytes(),
    }
    .play();
    // As high as a token can be.
    let highest = i64::MAX.to_string();
    assert_eq!(service.ask("GET", Some(&highest), ""), (200, left.to_owned()));
}

#[test]
fn a_stale_leaders_late_request_is_refused() {
    if needs() {
        late_write(Fence::Kept, "HTTP/1.0 412 ", NEW);
    }
}

#[test]
fn control_without_the_fence_the_late_request_overwrites_the_newer_value() {
    if needs() {
        late_write(Fence::LeftOut, "HTTP/1.0 200 ", OLD);
    }
}

#[test]
fn the_service_keeps_the_token_over_its_own_death_and_compares_all_of_its_digits() {
    if !needs() {
        return;
    }
    let mut service = Service::start(Fence::Kept);
    // Two numbers that a double cannot tell apart.
    let (low, high) = ("9007199254740992", "9007199254740993");
    assert_eq!(service.ask("PUT", Some(high), "new").0, 200);
    assert_eq!(service.ask("PUT", Some(high), "newer").0, 200, "the same term goes on writing");
    service.restart();
    assert_eq!(service.ask("PUT", Some(low), "old").0, 412);
    assert_eq!(service.ask("GET", Some(low), "").0, 412);
    for nonsense in [None, Some(""), Some("-1"), Some("12x"), Some("99999999999999999999")] {
        assert_eq!(service.ask("PUT", nonsense, "none").0, 428, "{nonsense:?}");
    }
    // A leader that only reads keeps the older ones out, too.
    assert_eq!(service.ask("GET", Some("9007199254740994"), ""), (200, "newer".to_owned()));
    assert_eq!(service.ask("PUT", Some(high), "late").0, 412);
}
