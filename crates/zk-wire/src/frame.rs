//! Frames: a big-endian i32 length, then that many bytes.
//!
//! The length is judged before anything is reserved for it. Called by whoever owns a connection's buffers.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::jute::Writer;

/// What a ZooKeeper server accepts from a client unless told otherwise (`jute.maxbuffer`, 0xfffff): at a
/// frame one byte longer it hangs up without a reply. Replies have no such limit on the server's side.
pub const DEFAULT_LIMIT: usize = 0xf_ffff;

/// The longest frame that the length field can express.
pub const LENGTH_LIMIT: usize = i32::MAX as usize;

/// Bytes of the length field.
const PREFIX: usize = 4;

/// A frame that must not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length field is negative.
    #[error("negative frame length {0}")]
    Negative(i32),
    /// The frame is longer than the limit.
    #[error("frame of {length} bytes, more than the limit of {limit}")]
    TooLong {
        /// Bytes of the frame, without its length field.
        length: usize,
        /// The limit that it passed.
        limit: usize,
    },
}

/// Takes one whole frame, without its length field, from the front of `buf`; `None` if it has not all
/// arrived. The limit is checked as soon as the length is there, so at most `limit + 4` bytes need to be
/// buffered. After an error the stream has lost its place, and the connection is of no further use.
pub fn take_frame(buf: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(prefix) = buf.first_chunk::<PREFIX>() else { return Ok(None) };
    let length = i32::from_be_bytes(*prefix);
    let length = usize::try_from(length).map_err(|_| FrameError::Negative(length))?;
    if length > limit {
        return Err(FrameError::TooLong { length, limit });
    }
    if buf.len() - PREFIX < length {
        return Ok(None);
    }
    buf.advance(PREFIX);
    Ok(Some(buf.split_to(length).freeze()))
}

/// Appends one frame to `buf`, its content written by `content`. If that gets longer than `limit`, `buf` is
/// left as it was.
pub fn write_frame(
    buf: &mut BytesMut,
    limit: usize,
    content: impl FnOnce(&mut Writer<'_>),
) -> Result<(), FrameError> {
    let start = buf.len();
    buf.put_i32(0);
    content(&mut Writer::new(buf));
    let length = buf.len() - start - PREFIX;
    match i32::try_from(length) {
        Ok(prefix) if length <= limit => {
            buf[start..start + PREFIX].copy_from_slice(&prefix.to_be_bytes());
            Ok(())
        }
        _ => {
            buf.truncate(start);
            Err(FrameError::TooLong { length, limit: limit.min(LENGTH_LIMIT) })
        }
    }
}
