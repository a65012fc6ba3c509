//! The handshake: one record each way, without headers.
//!
//! The `read_only` byte at the end is missing from old clients and from some of today, and a server leaves it
//! out towards those. Both records keep whether it was there.

use bytes::BytesMut;

use crate::frame::{FrameError, write_frame};
use crate::jute::{DecodeError, Reader};
use crate::secret::Secret;

/// The first frame of a client: 45 bytes with a password of 16 bytes, or 44 without the `read_only` byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// Always 0 so far.
    pub protocol_version: i32,
    /// The highest zxid that the client has seen; a server that is behind it hangs up.
    pub last_zxid_seen: i64,
    /// The session timeout asked for, in ms. The server has the last word.
    pub timeout_ms: i32,
    /// The session to resume, or 0 for a new one.
    pub session_id: i64,
    /// The password of that session, 16 bytes; zeros for a new one. A null buffer reads as empty.
    pub password: Secret,
    /// Whether a server that is cut off from its ensemble will do. `None` if the byte was not sent.
    pub read_only: Option<bool>,
}

impl ConnectRequest {
    /// Reads the content of the frame.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(frame);
        Ok(Self {
            protocol_version: r.i32()?,
            last_zxid_seen: r.i64()?,
            timeout_ms: r.i32()?,
            session_id: r.i64()?,
            password: r.buffer()?.unwrap_or_default().into(),
            read_only: r.optional_bool(),
        })
    }

    /// Appends the whole frame. If it is longer than `limit`, `buf` stays as it was.
    pub fn encode(&self, limit: usize, buf: &mut BytesMut) -> Result<(), FrameError> {
        write_frame(buf, limit, |w| {
            w.i32(self.protocol_version);
            w.i64(self.last_zxid_seen);
            w.i32(self.timeout_ms);
            w.i64(self.session_id);
            w.buffer(Some(self.password.expose()));
            if let Some(read_only) = self.read_only {
                w.bool(read_only);
            }
        })
    }
}

/// The server's answer: 37 bytes with a password of 16 bytes, or 36 without the `read_only` byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Always 0 so far.
    pub protocol_version: i32,
    /// The session timeout that holds, in ms; 0 if the session asked for is gone.
    pub timeout_ms: i32,
    /// The session; 0 if the one asked for is gone.
    pub session_id: i64,
    /// What it takes to resume the session, 16 bytes. A null buffer reads as empty.
    pub password: Secret,
    /// Whether the server is cut off from its ensemble. `None` if the byte was not sent.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// Reads the content of the frame.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(frame);
        Ok(Self {
            protocol_version: r.i32()?,
            timeout_ms: r.i32()?,
            session_id: r.i64()?,
            password: r.buffer()?.unwrap_or_default().into(),
            read_only: r.optional_bool(),
        })
    }

    /// Appends the whole frame. If it is longer than `limit`, `buf` stays as it was.
    pub fn encode(&self, limit: usize, buf: &mut BytesMut) -> Result<(), FrameError> {
        write_frame(buf, limit, |w| {
            w.i32(self.protocol_version);
            w.i32(self.timeout_ms);
            w.i64(self.session_id);
            w.buffer(Some(self.password.expose()));
            if let Some(read_only) = self.read_only {
                w.bool(read_only);
            }
        })
    }
}
