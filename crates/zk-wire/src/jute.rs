//! Jute, the encoding under every record: big-endian numbers, and lengths before what has a length.
//!
//! The reader's invariant is that no length is believed before it has been held against the bytes left, so a
//! frame of twelve bytes that claims two thousand million items costs nothing. Used by all records of this
//! crate; callers outside need it only for records that the crate does not know.

use bytes::{BufMut, BytesMut};

use crate::code::ErrorCode;

/// Why bytes could not be read as the record they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The record ends early, or a length inside it points past its end.
    #[error("record ends early: {needed} more bytes needed, {left} left")]
    Truncated {
        /// Bytes that the next field takes, or takes at least.
        needed: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// A length or count below -1, which stands for null.
    #[error("negative length {0}")]
    NegativeLength(i32),
    /// Null where there must be something.
    #[error("null where there must be something")]
    Null,
    /// A request type that this crate does not know.
    #[error("unknown request type {0}")]
    UnknownOp(i32),
    /// A type inside a multi that is no operation that a multi may hold.
    #[error("request type {0} inside a multi")]
    UnknownMultiOp(i32),
}

impl DecodeError {
    /// The code with which a ZooKeeper server answers a request that fails to decode like this.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::UnknownOp(_) => ErrorCode::Unimplemented,
            Self::Truncated { .. } | Self::NegativeLength(_) | Self::Null | Self::UnknownMultiOp(_) => {
                ErrorCode::MarshallingError
            }
        }
    }
}

/// Takes a record apart, field by field. After an error the reader is of no further use.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// What has not been read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.left
    }

    /// Reads one byte; everything but 0 is true, as in Java.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.array::<1>()? != [0])
    }

    /// Reads a bool that older peers leave out at the end of a record.
    pub fn optional_bool(&mut self) -> Option<bool> {
        self.bool().ok()
    }

    /// Reads an int.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// Reads a long.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// Reads a buffer; `None` is the null buffer.
    pub fn buffer(&mut self) -> Result<Option<Vec<u8>>, DecodeError> {
        Ok(self.bytes()?.map(<[u8]>::to_vec))
    }

    /// Reads a string: null as empty, and with U+FFFD where it is not UTF-8.
    pub fn string(&mut self) -> Result<String, DecodeError> {
        Ok(self.bytes()?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default())
    }

    /// Reads a string that must be there; an empty one may be.
    pub fn present_string(&mut self) -> Result<String, DecodeError> {
        let bytes = self.bytes()?.ok_or(DecodeError::Null)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Reads a vector, null as empty. `smallest` is the least number of bytes that one item takes on the
    /// wire, at least 1: the count is refused, before anything is reserved, if the rest of the record cannot
    /// hold that many.
    pub fn vector<T>(
        &mut self,
        smallest: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let Some(count) = self.length()? else { return Ok(Vec::new()) };
        let needed = count.saturating_mul(smallest.max(1));
        if needed > self.left.len() {
            return Err(DecodeError::Truncated { needed, left: self.left.len() });
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Reads a vector of strings.
    pub fn strings(&mut self) -> Result<Vec<String>, DecodeError> {
        self.vector(4, Self::string)
    }

    /// A length or count; `None` is null.
    fn length(&mut self) -> Result<Option<usize>, DecodeError> {
        match self.i32()? {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| DecodeError::NegativeLength(length)),
        }
    }

    fn bytes(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        self.length()?.map(|length| self.take(length)).transpose()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, left) = self
            .left
            .split_at_checked(count)
            .ok_or(DecodeError::Truncated { needed: count, left: self.left.len() })?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, left) = self
            .left
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated { needed: N, left: self.left.len() })?;
        self.left = left;
        Ok(*taken)
    }
}

/// Puts a record together at the end of a buffer.
///
/// Lengths above `i32::MAX` are written as `i32::MAX` rather than wrapped: the frame around them is then too
/// long in any case, and [`write_frame`](crate::frame::write_frame) refuses it.
#[derive(Debug)]
pub struct Writer<'a> {
    buf: &'a mut BytesMut,
}

impl<'a> Writer<'a> {
    /// A writer that appends to `buf`.
    #[must_use]
    pub fn new(buf: &'a mut BytesMut) -> Self {
        Self { buf }
    }

    /// Writes one byte, 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.buf.put_u8(u8::from(value));
    }

    /// Writes an int.
    pub fn i32(&mut self, value: i32) {
        self.buf.put_i32(value);
    }

    /// Writes a long.
    pub fn i64(&mut self, value: i64) {
        self.buf.put_i64(value);
    }

    /// Writes a buffer; `None` is the null buffer.
    pub fn buffer(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.i32(-1),
            Some(bytes) => {
                self.length(bytes.len());
                self.buf.put_slice(bytes);
            }
        }
    }

    /// Writes a string.
    pub fn string(&mut self, value: &str) {
        self.buffer(Some(value.as_bytes()));
    }

    /// Writes a vector, each item by `item`.
    pub fn vector<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.length(items.len());
        for each in items {
            item(self, each);
        }
    }

    /// Writes a vector of strings.
    pub fn strings(&mut self, items: &[String]) {
        self.vector(items, |w, each| w.string(each));
    }

    fn length(&mut self, length: usize) {
        self.i32(i32::try_from(length).unwrap_or(i32::MAX));
    }
}
