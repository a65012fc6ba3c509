//! A small ZooKeeper client, independent of the project's own, that tells from outside what is there and when.
//!
//! Invariant: each answer carries when its request was sent and when it was received, on CLOCK_BOOTTIME, so that
//! "gone" can be compared with what another process logged. It blocks, keeps no watch, sends no ping by itself
//! (an idle session of 40 s is its limit), and does not reconnect. For tests; it trusts the server.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::clock::boot_time;
use crate::frames::op;

/// The longest session that servers with a tick of 2 s grant.
const SESSION: Duration = Duration::from_secs(40);
/// A server that says nothing for so long is not serving this onlooker.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How often [`Onlooker::watch_gone`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const NO_NODE: i32 = -101;
const SESSION_EXPIRED: i32 = -112;
/// How often a session is taken from an owner who takes it back.
const TAKINGS: usize = 20;
const NOTIFICATION_XID: i32 = -1;

/// The part of a znode's Stat that tests look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeStat {
    /// The transaction that created it: the fencing token.
    pub czxid: i64,
    /// The transaction that last wrote its data.
    pub mzxid: i64,
    /// How often its data was written.
    pub version: i32,
    /// The session that owns it; 0 if it is not ephemeral.
    pub owner: i64,
    /// How many children it has.
    pub children: i32,
}

/// Why an onlooker got no answer that it can use.
#[derive(Debug)]
pub enum Trouble {
    /// The connection failed, or the server was silent.
    Io(io::Error),
    /// The server's error code.
    Refused(i32),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Refused(code) => write!(f, "refused by the server with {code}"),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// How a znode is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stays until it is deleted.
    Persistent = 0,
    /// Goes with its session.
    Ephemeral = 1,
    /// Persistent, with a number appended.
    PersistentSequential = 2,
    /// Ephemeral, with a number appended.
    EphemeralSequential = 3,
}

/// When a znode went, on CLOCK_BOOTTIME: after `last_there` was sent and before `gone` was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// When the last request was sent that still found it.
    pub last_there: Duration,
    /// When the first answer was received that did not.
    pub gone: Duration,
}

/// One session on one server.
#[derive(Debug)]
pub struct Onlooker {
    stream: TcpStream,
    session: i64,
    password: Vec<u8>,
    timeout: Duration,
    next_xid: i32,
    last_zxid: i64,
    sent: Duration,
    received: Duration,
}

impl Onlooker {
    /// Begins a session of 40 s, or of what the server grants, on this server.
    ///
    /// # Errors
    /// The server is down, or has no quorum within fifteen seconds.
    pub fn connect(server: SocketAddr) -> Result<Self, Trouble> {
        Self::attach(server, 0, &[0; 16], SESSION)
    }

    /// Begins a session (`id` 0) or takes an existing one over to this server, with the timeout asked for.
    ///
    /// # Errors
    /// As [`Onlooker::connect`]; also when the session has expired or the password is wrong (code -112).
    pub fn attach(server: SocketAddr, id: i64, password: &[u8], timeout: Duration) -> Result<Self, Trouble> {
        let mut stream = TcpStream::connect_timeout(&server, ANSWER_LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        let mut request = Body::default();
        request.int(0).long(0).int(timeout.as_millis() as i32).long(id).bytes(password).bool(false);
        let sent = boot_time();
        write_frame(&mut stream, &request.0)?;
        let answer = read_frame(&mut stream)?;
        let received = boot_time();
        let mut answer = Answer(&answer);
        let (_, granted, session) = (answer.int()?, answer.int()?, answer.long()?);
        let password = answer.bytes()?.to_vec();
        if granted <= 0 {
            return Err(Trouble::Refused(SESSION_EXPIRED));
        }
        let timeout = Duration::from_millis(granted.unsigned_abs().into());
        Ok(Self { stream, session, password, timeout, next_xid: 1, last_zxid: 0, sent, received })
    }

    /// Closes somebody else's session, as an operator with a debugger or an intruder could: Apache's server makes
    /// a session's password from nothing but its id. The session's owner sees its connection closed first; where it
    /// takes the session back before our request is read, it is taken once more.
    ///
    /// # Errors
    /// As [`Onlooker::attach`].
    pub fn close_session_of_another(server: SocketAddr, id: i64) -> Result<(), Trouble> {
        let mut lost = None;
        for _ in 0..TAKINGS {
            match Self::take_session_of_another(server, id).and_then(Self::close) {
                Err(Trouble::Io(error)) => lost = Some(error),
                // The request was read after all, only its answer was not.
                Err(Trouble::Refused(SESSION_EXPIRED)) if lost.is_some() => return Ok(()),
                ended => return ended,
            }
        }
        Err(lost.expect("at least one try").into())
    }

    /// Takes somebody else's session over to this server, as a copy of a running machine would.
    ///
    /// # Errors
    /// As [`Onlooker::attach`].
    pub fn take_session_of_another(server: SocketAddr, id: i64) -> Result<Self, Trouble> {
        Self::attach(server, id, &apache_password(id), SESSION)
    }

    /// The session's id.
    #[must_use]
    pub fn session_id(&self) -> i64 {
        self.session
    }

    /// The session's password.
    #[must_use]
    pub fn password(&self) -> &[u8] {
        &self.password
    }

    /// The session timeout that the server granted.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When the latest request was sent and its answer received, on CLOCK_BOOTTIME.
    #[must_use]
    pub fn times(&self) -> (Duration, Duration) {
        (self.sent, self.received)
    }

    /// The zxid in the latest answer.
    #[must_use]
    pub fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// The znode's Stat; `None` when there is none.
    ///
    /// # Errors
    /// As for all requests: the connection failed, or the server refused it with a code.
    pub fn exists(&mut self, path: &str) -> Result<Option<NodeStat>, Trouble> {
        let answer = self.call(op::EXISTS, Body::default().string(path).bool(false));
        found(answer)?.map(|body| Answer(&body).stat()).transpose()
    }

    /// The znode's data and Stat; `None` when there is no such znode.
    ///
    /// # Errors
    /// As [`Onlooker::exists`].
    pub fn data(&mut self, path: &str) -> Result<Option<(Vec<u8>, NodeStat)>, Trouble> {
        let answer = self.call(op::GET_DATA, Body::default().string(path).bool(false));
        let read = |body: Vec<u8>| {
            let mut answer = Answer(&body);
            Ok((answer.bytes()?.to_vec(), answer.stat()?))
        };
        found(answer)?.map(read).transpose()
    }

    /// The names of the znode's children, sorted; none when there is no such znode.
    ///
    /// # Errors
    /// As [`Onlooker::exists`].
    pub fn children(&mut self, path: &str) -> Result<Vec<String>, Trouble> {
        let answer = self.call(op::GET_CHILDREN, Body::default().string(path).bool(false));
        let Some(body) = found(answer)? else { return Ok(Vec::new()) };
        let mut answer = Answer(&body);
        let count = answer.int()?;
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(String::from_utf8_lossy(answer.bytes()?).into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Creates a znode that anybody may do anything to, and returns its path.
    ///
    /// # Errors
    /// As [`Onlooker::exists`]; -110 when it is there already.
    pub fn create(&mut self, path: &str, data: &[u8], kind: Kind) -> Result<String, Trouble> {
        let mut body = Body::default();
        body.string(path).bytes(data).int(1).int(31).string("world").string("anyone").int(kind as i32);
        let answer = self.call(op::CREATE, &mut body)?;
        Ok(String::from_utf8_lossy(Answer(&answer).bytes()?).into_owned())
    }

    /// Writes a znode's data.
    ///
    /// # Errors
    /// As [`Onlooker::exists`]; -101 when it is not there.
    pub fn set_data(&mut self, path: &str, data: &[u8]) -> Result<NodeStat, Trouble> {
        let answer = self.call(op::SET_DATA, Body::default().string(path).bytes(data).int(-1))?;
        Answer(&answer).stat()
    }

    /// Deletes a znode.
    ///
    /// # Errors
    /// As [`Onlooker::exists`]; -101 when it is not there, -111 when it has children.
    pub fn delete(&mut self, path: &str) -> Result<(), Trouble> {
        self.call(op::DELETE, Body::default().string(path).int(-1)).map(drop)
    }

    /// Waits until this server has applied all that the quorum's leader had when it was asked.
    ///
    /// # Errors
    /// As [`Onlooker::exists`].
    pub fn sync(&mut self, path: &str) -> Result<(), Trouble> {
        self.call(op::SYNC, Body::default().string(path)).map(drop)
    }

    /// Keeps the session alive over a pause.
    ///
    /// # Errors
    /// The connection failed.
    pub fn ping(&mut self) -> Result<(), Trouble> {
        self.call(op::PING, &mut Body::default()).map(drop)
    }

    /// Looks every two milliseconds until the znode is not there, at most `limit`; `None` if it stays.
    ///
    /// # Errors
    /// As [`Onlooker::exists`].
    ///
    /// # Panics
    /// When the znode is not there at the first look.
    pub fn watch_gone(&mut self, path: &str, limit: Duration) -> Result<Option<Gone>, Trouble> {
        let end = Instant::now() + limit;
        let mut last_there = None;
        while Instant::now() < end {
            if self.exists(path)?.is_some() {
                last_there = Some(self.sent);
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            let last_there = last_there.unwrap_or_else(|| panic!("{path} was not there at the first look"));
            return Ok(Some(Gone { last_there, gone: self.received }));
        }
        Ok(None)
    }

    /// Closes the session; its ephemeral znodes are gone when this returns.
    ///
    /// # Errors
    /// The connection failed: then the session ends by its timeout.
    pub fn close(mut self) -> Result<(), Trouble> {
        self.call(op::CLOSE, &mut Body::default()).map(drop)
    }

    fn call(&mut self, op: i32, body: &mut Body) -> Result<Vec<u8>, Trouble> {
        let xid = if op == op::PING { -2 } else { self.next_xid };
        self.next_xid += 1;
        let mut request = Body::default();
        request.int(xid).int(op);
        request.0.append(&mut body.0);
        self.sent = boot_time();
        write_frame(&mut self.stream, &request.0)?;
        loop {
            let mut frame = read_frame(&mut self.stream)?;
            self.received = boot_time();
            let mut answer = Answer(&frame);
            let (got, zxid, code) = (answer.int()?, answer.long()?, answer.int()?);
            if got == NOTIFICATION_XID {
                continue;
            }
            if got != xid {
                return Err(io::Error::other(format!("an answer to {got} where {xid} was asked")).into());
            }
            self.last_zxid = zxid;
            return if code == 0 { Ok(frame.split_off(16)) } else { Err(Trouble::Refused(code)) };
        }
    }
}

fn found(answer: Result<Vec<u8>, Trouble>) -> Result<Option<Vec<u8>>, Trouble> {
    match answer {
        Ok(body) => Ok(Some(body)),
        Err(Trouble::Refused(NO_NODE)) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

fn write_frame(stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
    stream.write_all(&[(body.len() as i32).to_be_bytes().as_slice(), body].concat())
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = Vec::new();
    let length = u64::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?;
    if stream.take(length).read_to_end(&mut body)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(body)
}

/// What Apache's server makes the password of session `id` to be: 16 bytes of `java.util.Random`.
fn apache_password(id: i64) -> [u8; 16] {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = (id as u64 ^ 0xB341_5C00 ^ MULTIPLIER) & MASK;
    let mut password = [0; 16];
    for bytes in password.chunks_exact_mut(4) {
        state = (state.wrapping_mul(MULTIPLIER).wrapping_add(0xB)) & MASK;
        bytes.copy_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    password
}

/// A request being written.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn int(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn long(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn bool(&mut self, value: bool) -> &mut Self {
        self.0.push(value.into());
        self
    }

    fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.int(value.len() as i32).0.extend(value);
        self
    }

    fn string(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }
}

/// An answer being read.
struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Trouble> {
        let (head, rest) =
            self.0.split_at_checked(length).ok_or(io::Error::from(io::ErrorKind::InvalidData))?;
        self.0 = rest;
        Ok(head)
    }

    fn int(&mut self) -> Result<i32, Trouble> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into().expect("four bytes")))
    }

    fn long(&mut self) -> Result<i64, Trouble> {
        Ok(i64::from_be_bytes(self.take(8)?.try_into().expect("eight bytes")))
    }

    /// A null buffer reads as an empty one.
    fn bytes(&mut self) -> Result<&'a [u8], Trouble> {
        let length = self.int()?.max(0);
        self.take(length as usize)
    }

    fn stat(&mut self) -> Result<NodeStat, Trouble> {
        let (czxid, mzxid, _ctime, _mtime) = (self.long()?, self.long()?, self.long()?, self.long()?);
        let (version, _cversion, _aversion) = (self.int()?, self.int()?, self.int()?);
        let (owner, _length, children) = (self.long()?, self.int()?, self.int()?);
        Ok(NodeStat { czxid, mzxid, version, owner, children })
    }
}
