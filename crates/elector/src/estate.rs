//! What a dead process leaves behind: enough to close its session.
//!
//! Purpose: let another process of the same machine close the session of one that was killed or stopped, so that the
//! next contender need not wait for its timeout. Invariant: an [`Estate`] is of a session that carries one candidate
//! and nothing else; it is never printed, and its secrets are overwritten when it is dropped.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use zk_session::wire::Secret;
use zk_session::{
    BootClock, Clock, Config, Connector, Credential, Happening, MonotonicClock, Session, TcpConnector,
    UnixConnector,
};

use crate::place::{self, Place};

/// The first byte of one that is written down; another form would get another.
const FORM: u8 = 3;
/// Credentials that are read back.
const MAX_CREDENTIALS: usize = 64;

/// What it takes to close an [`Elector`](crate::Elector)'s session when its own process no longer can; from
/// [`Elector::estate`](crate::Elector::estate).
///
/// Whoever holds it can end the session, and with it the leadership: hand it only to a process that sees to it that
/// the leader's work has stopped before.
#[derive(Clone)]
pub struct Estate {
    pub(crate) place: Place,
    /// The election.
    pub(crate) path: String,
    /// The server that carried the session last.
    pub(crate) server: String,
    pub(crate) session: i64,
    pub(crate) password: Secret,
    /// The smallest timeout negotiated.
    pub(crate) timeout: Duration,
    pub(crate) credentials: Vec<Credential>,
}

impl Estate {
    /// Writes it down, secrets included: for a descriptor that the other process inherits, never for a command line,
    /// an environment or a file system.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, place) = match &self.place {
            Place::Ensemble(servers) => (0, servers.as_bytes()),
            Place::Local(socket) => (1, socket.as_os_str().as_bytes()),
        };
        let timeout = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let credentials = self.credentials.iter().map(|one| 8 + one.scheme.len() + one.auth.expose().len());
        // Room for all of it, so that no half of a secret stays behind where a growing buffer was.
        let room = 64 + place.len() + self.path.len() + self.server.len() + credentials.sum::<usize>();
        let mut bytes = Vec::with_capacity(room);
        bytes.extend([FORM, kind]);
        put(&mut bytes, place);
        put(&mut bytes, self.path.as_bytes());
        put(&mut bytes, self.server.as_bytes());
        bytes.extend(self.session.to_be_bytes());
        bytes.extend(timeout.to_be_bytes());
        put(&mut bytes, self.password.expose());
        for credential in &self.credentials {
            put(&mut bytes, credential.scheme.as_bytes());
            put(&mut bytes, credential.auth.expose());
        }
        bytes
    }

    /// Reads what [`to_bytes`](Estate::to_bytes) wrote; none where it is anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Estate> {
        let (form, rest) = bytes.split_first()?;
        let (kind, mut rest) = rest.split_first()?;
        if *form != FORM {
            return None;
        }
        let place = take(&mut rest)?;
        let place = match kind {
            0 => Place::Ensemble(String::from_utf8(place.to_vec()).ok()?),
            1 => Place::Local(OsString::from_vec(place.to_vec()).into()),
            _ => return None,
        };
        let path = String::from_utf8(take(&mut rest)?.to_vec()).ok()?;
        let server = String::from_utf8(take(&mut rest)?.to_vec()).ok()?;
        let session = i64::from_be_bytes(take_word(&mut rest)?);
        let timeout = Duration::from_millis(u64::from_be_bytes(take_word(&mut rest)?));
        let password = Secret::from(take(&mut rest)?);
        let mut credentials = Vec::new();
        while !rest.is_empty() {
            if credentials.len() == MAX_CREDENTIALS {
                return None;
            }
            let scheme = String::from_utf8(take(&mut rest)?.to_vec()).ok()?;
            credentials.push(Credential::new(scheme, take(&mut rest)?));
        }
        Some(Estate { place, path, server, session, password, timeout, credentials })
    }

    /// The session's number.
    pub fn session(&self) -> i64 {
        self.session
    }

    /// The smallest timeout negotiated in the session's life.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Closes the session: connects, gives the credentials, closes. Its znodes are gone when this returns, unless no
    /// server answered for as long as the session could live. A session that is gone already is closed.
    ///
    /// Needs tokio's timers and sockets. It goes on from server to server while none answers; cancelling it leaves
    /// the session to its timeout.
    pub async fn close(&self) {
        let config = |servers| Config {
            first: Some(self.server.clone()),
            timeout: self.timeout,
            credentials: self.credentials.clone(),
            ..Config::new(servers)
        };
        match &self.place {
            Place::Ensemble(servers) => {
                // It was read once before; what cannot be read now names no server.
                if let Ok(servers) = servers.parse() {
                    self.close_through(config(servers), TcpConnector, BootClock).await;
                }
            }
            Place::Local(socket) => {
                let connector = UnixConnector::new(socket);
                self.close_through(config(place::only_server(socket)), connector, MonotonicClock).await;
            }
        }
    }

    async fn close_through<C: Connector, K: Clock>(&self, config: Config, connector: C, clock: K) {
        let mut session = Session::resume(config, self.session, self.password.clone(), connector, clock);
        session.close();
        loop {
            let batch = session.next().await;
            if batch.iter().any(|happening| matches!(happening, Happening::Ended(_))) {
                return;
            }
        }
    }
}

impl fmt::Debug for Estate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Estate").field("place", &self.place).finish_non_exhaustive()
    }
}

/// A length and so many bytes.
fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(part);
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (part, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    Some(part)
}

fn take_word(rest: &mut &[u8]) -> Option<[u8; 8]> {
    let (word, behind) = rest.split_first_chunk::<8>()?;
    *rest = behind;
    Some(*word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estate(place: Place) -> Estate {
        Estate {
            place,
            path: "/billing".into(),
            server: "zk2:2181".into(),
            session: 0x2000_a1b2_c3d0_0004,
            password: Secret::from(vec![7; 16]),
            timeout: Duration::from_secs(10),
            credentials: vec![Credential::new("digest", "user:hunter2"), Credential::new("ip", Vec::new())],
        }
    }

    #[test]
    fn it_comes_back_as_it_was_written() {
        for place in [Place::from("zk1:2181,zk2:2181/app"), Place::Local("/run/elector/socket".into())] {
            let bytes = estate(place.clone()).to_bytes();
            let read = Estate::from_bytes(&bytes).expect("it is ours");
            assert_eq!((read.place, read.path.as_str()), (place.clone(), "/billing"));
            assert_eq!(read.server, "zk2:2181");
            assert_eq!((read.session, read.timeout), (0x2000_a1b2_c3d0_0004, Duration::from_secs(10)));
            assert_eq!(read.password.expose(), [7; 16]);
            assert_eq!(read.credentials, estate(place).credentials);
        }
    }

    #[test]
    fn what_is_cut_off_or_from_elsewhere_is_none() {
        let bytes = estate(Place::from("zk1")).to_bytes();
        let ends_of_parts = [bytes.len() - 4 - 2 - 4, bytes.len() - 4 - 2 - 4 - 12 - 4 - 6 - 4];
        for cut in (0..bytes.len()).filter(|cut| !ends_of_parts.contains(cut)) {
            assert!(Estate::from_bytes(&bytes[..cut]).is_none(), "{cut} of {}", bytes.len());
        }
        for nonsense in [&[9, 0, 0, 0, 0, 0][..], &[FORM, 2, 0, 0, 0, 0], &[FORM, 0, 255, 255, 255, 255, 1]] {
            assert!(Estate::from_bytes(nonsense).is_none());
        }
        let mut many = bytes;
        many.extend([0; 8 * (MAX_CREDENTIALS + 1)]);
        assert!(Estate::from_bytes(&many).is_none());
    }

    #[test]
    fn printing_it_shows_no_secret() {
        let shown = format!("{:?}", estate(Place::from("zk1")));
        assert!(!shown.contains("hunter2") && !shown.contains('7') && !shown.contains("2000"), "{shown}");
    }
}
