//! The headers in front of requests and replies. The connect records and nothing else go without.

use bytes::BytesMut;

use crate::code::ErrorCode;
use crate::frame::write_frame;
use crate::jute::{DecodeError, Reader, Writer};

/// What a request begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestHeader {
    /// The client's number for it, echoed in the reply; see [`xid`](crate::xid) for those with a meaning.
    pub xid: i32,
    /// One of [`op`](crate::op), or anything.
    pub op: i32,
}

impl RequestHeader {
    /// Splits a frame into its header and the record behind it, for
    /// [`Request::decode`](crate::Request::decode).
    pub fn decode(frame: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let mut r = Reader::new(frame);
        Ok((Self { xid: r.i32()?, op: r.i32()? }, r.rest()))
    }

    pub(crate) fn write(self, w: &mut Writer<'_>) {
        w.i32(self.xid);
        w.i32(self.op);
    }
}

/// What a reply or a notification begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplyHeader {
    /// The request's xid, or [`xid::NOTIFICATION`](crate::xid::NOTIFICATION).
    pub xid: i32,
    /// The last zxid that the server has applied; 0 for credentials, -1 where it says nothing.
    pub zxid: i64,
    /// A record follows only if this is [`ErrorCode::Ok`].
    pub err: ErrorCode,
}

impl ReplyHeader {
    /// Bytes of the header.
    const SIZE: usize = 16;

    /// Splits a frame into its header and the record behind it, for
    /// [`Response::decode`](crate::Response::decode) or [`WatchEvent::decode`](crate::WatchEvent::decode).
    pub fn decode(frame: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let mut r = Reader::new(frame);
        Ok((Self { xid: r.i32()?, zxid: r.i64()?, err: r.i32()?.into() }, r.rest()))
    }

    /// Appends a frame of this header alone: how a server answers a request that failed.
    pub fn encode(self, buf: &mut BytesMut) {
        write_frame(buf, Self::SIZE, |w| self.write(w)).expect("a header is exactly as long as the limit");
    }

    pub(crate) fn write(self, w: &mut Writer<'_>) {
        w.i32(self.xid);
        w.i64(self.zxid);
        w.i32(self.err.into());
    }
}
