//! A network of scripted servers, and a world in which a session lives among them.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use zk_session::wire::{
    ConnectRequest, ConnectResponse, ErrorCode, EventKind, ReplyHeader, Request, RequestHeader, Response,
    Secret, WatchEvent, frame, xid,
};
use zk_session::{Clock, Config, Connector, Happening, HostPort, Session};

pub(crate) const SESSION: i64 = 0x1234;
pub(crate) const T: Duration = Duration::from_secs(10);
/// What servers of these tests let a session have in bytes on the way, unless told otherwise.
const PIPE: usize = 1 << 20;
/// Longer than anything here may take; reaching it means that a test hangs.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Follows tokio's time, which is paused and jumps when nothing is left to do; and can be moved on its own.
#[derive(Clone)]
pub(crate) struct TestClock {
    origin: tokio::time::Instant,
    ahead: Arc<Mutex<Duration>>,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        // Not 0, so that a time that was never set is not taken for one.
        let ahead = Duration::from_secs(1000);
        Self { origin: tokio::time::Instant::now(), ahead: Arc::new(Mutex::new(ahead)) }
    }

    /// What a suspended machine sees: time passes, and no timer knows of it.
    pub(crate) fn suspend(&self, time: Duration) {
        *self.ahead.lock().expect("no holder panics") += time;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        self.origin.elapsed() + *self.ahead.lock().expect("no holder panics")
    }
}

/// What a host does when somebody connects.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    Accept { pipe: usize },
    Refuse,
    Hang,
    Unknown,
}

/// All hosts; those not mentioned accept.
#[derive(Clone)]
pub(crate) struct Net {
    manners: Arc<Mutex<HashMap<String, Manner>>>,
    log: Arc<Mutex<Vec<(Duration, String)>>>,
    clock: TestClock,
    arrivals: mpsc::UnboundedSender<Peer>,
}

impl Net {
    pub(crate) fn new(clock: TestClock) -> (Self, mpsc::UnboundedReceiver<Peer>) {
        let (sender, arrivals) = mpsc::unbounded_channel();
        (Self { manners: Arc::default(), log: Arc::default(), clock, arrivals: sender }, arrivals)
    }

    pub(crate) fn set(&self, host: &str, manner: Manner) {
        self.manners.lock().expect("no holder panics").insert(host.to_owned(), manner);
    }

    /// When each attempt to connect came, and to which address.
    pub(crate) fn attempts(&self) -> Vec<(Duration, String)> {
        self.log.lock().expect("no holder panics").clone()
    }

    fn manner(&self, address: &str) -> Manner {
        let accept = Manner::Accept { pipe: PIPE };
        self.manners.lock().expect("no holder panics").get(address).copied().unwrap_or(accept)
    }
}

impl Connector for Net {
    type Stream = DuplexStream;
    type Address = String;

    async fn addresses(&self, host: &HostPort) -> io::Result<Vec<String>> {
        match self.manner(&host.host) {
            Manner::Unknown => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
            // "many" stands for three addresses.
            _ if host.host == "many" => Ok(vec!["many-1".into(), "many-2".into(), "many-3".into()]),
            _ => Ok(vec![host.host.clone()]),
        }
    }

    async fn connect(&self, address: &String) -> io::Result<DuplexStream> {
        self.log.lock().expect("no holder panics").push((self.clock.now(), address.clone()));
        match self.manner(address) {
            Manner::Accept { pipe } => {
                let (ours, theirs) = duplex(pipe);
                let peer = Peer { stream: theirs, inbox: BytesMut::new(), address: address.clone() };
                self.arrivals.send(peer).map_err(|_| io::ErrorKind::ConnectionRefused)?;
                Ok(ours)
            }
            Manner::Refuse | Manner::Unknown => Err(io::ErrorKind::ConnectionRefused.into()),
            Manner::Hang => std::future::pending().await,
        }
    }
}

/// The server's end of one connection.
pub(crate) struct Peer {
    pub(crate) stream: DuplexStream,
    inbox: BytesMut,
    pub(crate) address: String,
}

impl Peer {
    async fn frame(&mut self) -> Option<bytes::Bytes> {
        loop {
            if let Some(frame) = frame::take_frame(&mut self.inbox, frame::DEFAULT_LIMIT).expect("good frame")
            {
                return Some(frame);
            }
            if self.stream.read_buf(&mut self.inbox).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    pub(crate) async fn connect_request(&mut self) -> ConnectRequest {
        ConnectRequest::decode(&self.frame().await.expect("a frame")).expect("a connect request")
    }

    pub(crate) async fn answer_connect(&mut self, session: i64, timeout_ms: i32) {
        let mut out = BytesMut::new();
        let answer = ConnectResponse {
            protocol_version: 0,
            timeout_ms,
            session_id: session,
            password: password(session),
            read_only: Some(false),
        };
        answer.encode(frame::DEFAULT_LIMIT, &mut out).expect("encodes");
        self.raw(&out).await;
    }

    /// Takes the session as a healthy server would.
    pub(crate) async fn welcome(&mut self) -> ConnectRequest {
        let request = self.connect_request().await;
        let session = if request.session_id == 0 { SESSION } else { request.session_id };
        self.answer_connect(session, request.timeout_ms).await;
        request
    }

    /// The next request, pings included.
    pub(crate) async fn any_request(&mut self) -> (i32, Request) {
        let frame = self.frame().await.expect("a request, not the end of the connection");
        let (header, body) = RequestHeader::decode(&frame).expect("a header");
        (header.xid, Request::decode(header.op, body).expect("a request"))
    }

    /// The next request that is no ping; pings are answered.
    pub(crate) async fn request(&mut self) -> (i32, Request) {
        loop {
            match self.any_request().await {
                (xid, Request::Ping) => self.reply(xid, 0, Response::Empty).await,
                other => return other,
            }
        }
    }

    /// Answers pings until the client hangs up; whatever else comes is left unanswered.
    pub(crate) async fn answer_pings(&mut self) {
        while let Some(frame) = self.frame().await {
            let (header, _) = RequestHeader::decode(&frame).expect("a header");
            if header.xid == xid::PING {
                self.reply(xid::PING, 0, Response::Empty).await;
            }
        }
    }

    pub(crate) async fn reply(&mut self, xid: i32, zxid: i64, response: Response) {
        let mut out = BytesMut::new();
        response.encode(xid, zxid, frame::LENGTH_LIMIT, &mut out).expect("encodes");
        self.raw(&out).await;
    }

    pub(crate) async fn refuse(&mut self, xid: i32, zxid: i64, err: ErrorCode) {
        let mut out = BytesMut::new();
        ReplyHeader { xid, zxid, err }.encode(&mut out);
        self.raw(&out).await;
    }

    pub(crate) async fn event(&mut self, kind: EventKind, path: &str) {
        self.raw(&event(kind, path)).await;
    }

    /// Sends bytes as they are; a client that has hung up is no error.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }
}

pub(crate) fn event(kind: EventKind, path: &str) -> BytesMut {
    let mut out = BytesMut::new();
    let event = WatchEvent { kind, state: WatchEvent::SYNC_CONNECTED, path: path.into() };
    event.encode(-1, frame::LENGTH_LIMIT, &mut out).expect("encodes");
    out
}

pub(crate) fn password(session: i64) -> Secret {
    Secret::from([session.to_be_bytes(), session.to_le_bytes()].concat())
}

/// A session, its network, and what has happened so far.
pub(crate) struct World {
    pub(crate) session: Session<Net, TestClock>,
    pub(crate) net: Net,
    pub(crate) clock: TestClock,
    pub(crate) past: VecDeque<Happening>,
    arrivals: mpsc::UnboundedReceiver<Peer>,
}

impl World {
    pub(crate) fn new(servers: &str) -> Self {
        Self::with(servers, |_| {})
    }

    pub(crate) fn with(servers: &str, change: impl FnOnce(&mut Config)) -> Self {
        let clock = TestClock::new();
        let (net, arrivals) = Net::new(clock.clone());
        let mut config = Config::new(servers.parse().expect("a connect string"));
        config.timeout = T;
        change(&mut config);
        let session = Session::new(config, net.clone(), clock.clone());
        Self { session, net, clock, past: VecDeque::new(), arrivals }
    }

    /// Drives the session while `work` goes on; what happens is kept for [`happening`](Self::happening).
    pub(crate) async fn during<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        let limit = tokio::time::sleep(FOR_EVER);
        let mut limit = std::pin::pin!(limit);
        loop {
            tokio::select! {
                biased;
                output = &mut work => return output,
                batch = self.session.next() => self.past.extend(batch),
                () = &mut limit => panic!("nothing came of it; so far: {:?}", self.past),
            }
        }
    }

    /// The next connection that the session opens.
    pub(crate) async fn peer(&mut self) -> Peer {
        let mut arrivals = self.take_arrivals();
        let peer = self.during(arrivals.recv()).await.expect("the network exists");
        self.arrivals = arrivals;
        peer
    }

    /// Hands all further connections to somebody else.
    pub(crate) fn take_arrivals(&mut self) -> mpsc::UnboundedReceiver<Peer> {
        std::mem::replace(&mut self.arrivals, mpsc::unbounded_channel().1)
    }

    /// The next thing that happened, in order.
    pub(crate) async fn happening(&mut self) -> Happening {
        while self.past.is_empty() {
            let batch = tokio::time::timeout(FOR_EVER, self.session.next()).await.expect("something happens");
            assert!(!batch.is_empty() || self.session.has_buffered_frames());
            self.past.extend(batch);
        }
        self.past.pop_front().expect("not empty")
    }

    /// Skips what happened until `pick` takes something.
    pub(crate) async fn find<T>(&mut self, pick: impl Fn(&Happening) -> Option<T>) -> T {
        loop {
            let happening = self.happening().await;
            if let Some(found) = pick(&happening) {
                return found;
            }
        }
    }

    /// A session that is attached and restored, with a healthy server at the other end.
    pub(crate) async fn attached(servers: &str) -> (Self, Peer) {
        let mut world = Self::new(servers);
        let peer = world.attach().await;
        (world, peer)
    }

    /// Lets the next connection succeed, where nothing is to be restored.
    pub(crate) async fn attach(&mut self) -> Peer {
        let mut peer = self.peer().await;
        self.during(peer.welcome()).await;
        self.find(|h| matches!(h, Happening::Restored { .. }).then_some(())).await;
        peer
    }
}

pub(crate) fn get_data(path: &str, watch: bool) -> Request {
    Request::GetData { path: path.into(), watch }
}

/// A stat of which only `czxid` says anything.
pub(crate) fn stat(czxid: i64) -> zk_session::wire::Stat {
    zk_session::wire::Stat { czxid, ..Default::default() }
}

pub(crate) fn data(czxid: i64) -> Response {
    Response::Data { data: Some(b"data".to_vec()), stat: stat(czxid) }
}
