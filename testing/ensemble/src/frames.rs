//! Frames of ZooKeeper's client protocol as they pass through a relay.
//!
//! Only what hooks need is read from them; this is no decoder, and knows nothing of the project's own.

use crate::link::Direction;

/// Longer "lengths" are no frames: four-letter words, or a stranger's protocol.
const FRAME_LIMIT: usize = 16 << 20;

/// A whole frame, without its length.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// The connection that it is on, counted from 1.
    pub connection: u64,
    /// Its place in this direction of that connection; 0 is the connect request or its response.
    pub index: u64,
    /// All bytes after the length.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// The xid; `None` for a connect request or response.
    #[must_use]
    pub fn xid(&self) -> Option<i32> {
        (self.index > 0).then(|| self.int(0)).flatten()
    }

    /// A request's type, such as 15 for create2 (see [`op`]); `None` for replies and connect requests.
    #[must_use]
    pub fn op(&self) -> Option<i32> {
        (self.index > 0 && self.direction == Direction::Up).then(|| self.int(4)).flatten()
    }

    /// Whether it is a request of one of these types.
    #[must_use]
    pub fn is_op(&self, ops: &[i32]) -> bool {
        self.op().is_some_and(|op| ops.contains(&op))
    }

    /// Whether these bytes occur anywhere in it, such as a path.
    #[must_use]
    pub fn contains(&self, needle: &str) -> bool {
        self.body.windows(needle.len()).any(|window| window == needle.as_bytes())
    }

    fn int(&self, at: usize) -> Option<i32> {
        Some(i32::from_be_bytes(self.body.get(at..at + 4)?.try_into().ok()?))
    }
}

/// Request types that tests ask for.
pub mod op {
    /// create
    pub const CREATE: i32 = 1;
    /// delete
    pub const DELETE: i32 = 2;
    /// exists
    pub const EXISTS: i32 = 3;
    /// getData
    pub const GET_DATA: i32 = 4;
    /// setData
    pub const SET_DATA: i32 = 5;
    /// getChildren
    pub const GET_CHILDREN: i32 = 8;
    /// sync
    pub const SYNC: i32 = 9;
    /// ping
    pub const PING: i32 = 11;
    /// getChildren2
    pub const GET_CHILDREN2: i32 = 12;
    /// multi
    pub const MULTI: i32 = 14;
    /// create2
    pub const CREATE2: i32 = 15;
    /// createContainer
    pub const CREATE_CONTAINER: i32 = 19;
    /// auth
    pub const AUTH: i32 = 100;
    /// setWatches
    pub const SET_WATCHES: i32 = 101;
    /// setWatches2
    pub const SET_WATCHES2: i32 = 105;
    /// closeSession
    pub const CLOSE: i32 = -11;
}

/// Cuts one direction of one connection into frames.
pub(crate) struct Splitter {
    direction: Direction,
    connection: u64,
    next_index: u64,
    buffer: Vec<u8>,
    /// Set once something came that is no frame; the rest passes as it is.
    raw: bool,
}

/// Bytes to deliver together: a frame with its length, or something else.
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    place: Option<(Direction, u64, u64)>,
}

impl Piece {
    pub(crate) fn frame(&self) -> Option<Frame<'_>> {
        let (direction, connection, index) = self.place?;
        Some(Frame { direction, connection, index, body: &self.bytes[4..] })
    }
}

impl Splitter {
    pub(crate) fn new(direction: Direction, connection: u64) -> Self {
        Self { direction, connection, next_index: 0, buffer: Vec::new(), raw: false }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole piece, if there is one.
    pub(crate) fn next_piece(&mut self) -> Option<Piece> {
        let length = self.buffer.first_chunk().map(|bytes| i32::from_be_bytes(*bytes));
        self.raw |=
            length.is_some_and(|length| usize::try_from(length).is_err() || length as usize > FRAME_LIMIT);
        if self.raw {
            let bytes = std::mem::take(&mut self.buffer);
            return (!bytes.is_empty()).then_some(Piece { bytes, place: None });
        }
        let whole = 4 + length? as usize;
        if self.buffer.len() < whole {
            return None;
        }
        let rest = self.buffer.split_off(whole);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        let place = Some((self.direction, self.connection, self.next_index));
        self.next_index += 1;
        Some(Piece { bytes, place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(op: i32, path: &str) -> Vec<u8> {
        let body = [7_i32.to_be_bytes().as_slice(), &op.to_be_bytes(), path.as_bytes()].concat();
        [(body.len() as i32).to_be_bytes().as_slice(), &body].concat()
    }

    #[test]
    fn frames_come_out_whole_whatever_the_chunks() {
        let stream = [vec![0, 0, 0, 2, 9, 9], request(op::CREATE2, "/a"), request(op::PING, "")].concat();
        let mut splitter = Splitter::new(Direction::Up, 1);
        let mut seen = Vec::new();
        for byte in &stream {
            splitter.push(&[*byte]);
            while let Some(piece) = splitter.next_piece() {
                let frame = piece.frame().unwrap();
                seen.push((frame.index, frame.xid(), frame.op()));
            }
        }
        assert_eq!(seen, [(0, None, None), (1, Some(7), Some(15)), (2, Some(7), Some(11))]);
    }

    #[test]
    fn a_four_letter_word_passes_as_it_is() {
        let mut splitter = Splitter::new(Direction::Up, 1);
        splitter.push(b"srvr");
        let piece = splitter.next_piece().unwrap();
        assert!(piece.frame().is_none());
        assert_eq!(piece.bytes, b"srvr");
    }
}
