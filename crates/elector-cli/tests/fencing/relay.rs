//! A network in front of a store that keeps one write back, and delivers it later.
//!
//! Everything passes until a request holds the marker; that request and all behind it wait until
//! [`Relay::deliver`]. The client's end of the connection is never passed on, so that what was sent arrives whole
//! even if its sender is dead by then. What the store answers to it is kept.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::common::LONG;

const CHUNK: usize = 64 * 1024;

/// For one write of one client; it relays from a free loopback port until the test's process ends.
pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    marker: &'static [u8],
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// A request with the marker waits.
    holds: bool,
    /// It may go on.
    delivers: bool,
    /// What the store said since.
    answer: Vec<u8>,
}

impl Relay {
    /// Keeps back the first request to `store` that holds `marker`.
    pub(crate) fn start(store: SocketAddr, marker: &'static str) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared =
            Arc::new(Shared { marker: marker.as_bytes(), state: Mutex::default(), changed: Condvar::new() });
        let relay = Relay { address, shared: shared.clone() };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(store).expect("the store listens");
                let shared = [shared.clone(), shared.clone()];
                let streams = [&client, &server].map(|stream| stream.try_clone().expect("a descriptor"));
                let [requests, answers] = shared;
                let [to_client, from_server] = streams;
                std::thread::spawn(move || requests.pass_requests(client, server));
                std::thread::spawn(move || answers.pass_answers(from_server, to_client));
            }
        });
        relay
    }

    /// What the client is given as the store's port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Waits until the write is on its way.
    pub(crate) fn wait_until_it_holds(&self) {
        let state = self.shared.wait(|state| state.holds);
        assert!(state.holds, "no request with the marker came");
    }

    /// Delivers the write, and waits until the store's answer to it holds `expected`.
    pub(crate) fn deliver(&self, expected: &[u8]) {
        let mut state = self.shared.lock();
        assert!(state.holds, "nothing to deliver");
        state.delivers = true;
        drop(state);
        self.shared.changed.notify_all();
        let state = self.shared.wait(|state| contains(&state.answer, expected));
        let answer = String::from_utf8_lossy(&state.answer);
        assert!(contains(&state.answer, expected), "no {expected:?} in the answer: {answer:?}");
    }
}

impl Shared {
    fn pass_requests(&self, mut client: TcpStream, mut server: TcpStream) {
        let mut sent = Vec::new();
        let mut chunk = vec![0; CHUNK];
        while let Ok(length @ 1..) = client.read(&mut chunk) {
            sent.extend_from_slice(&chunk[..length]);
            if contains(&sent, self.marker) {
                self.lock().holds = true;
                self.changed.notify_all();
                drop(self.wait(|state| state.delivers));
            }
            if server.write_all(&chunk[..length]).is_err() {
                return;
            }
        }
        // Keeps the store's side open while it answers.
        let _ = server.peek(&mut [0]);
    }

    fn pass_answers(&self, mut server: TcpStream, mut client: TcpStream) {
        let mut chunk = vec![0; CHUNK];
        while let Ok(length @ 1..) = server.read(&mut chunk) {
            let mut state = self.lock();
            if state.delivers {
                state.answer.extend_from_slice(&chunk[..length]);
                self.changed.notify_all();
            }
            drop(state);
            // The client may be dead; the answer is wanted all the same.
            let _ = client.write_all(&chunk[..length]);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `done`, at most [`LONG`].
    fn wait(&self, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_timeout_while(self.lock(), LONG, |state| !done(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
