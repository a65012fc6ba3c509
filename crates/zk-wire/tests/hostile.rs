//! Bytes that nobody vouches for: no panic, and no more memory than the frame is worth.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

mod common;

use allocation_counter::measure;
use bytes::{BufMut, BytesMut};
use common::{ALL_OPS, any_op, plausible_bytes, request, response};
use proptest::prelude::*;
use zk_wire::frame::{DEFAULT_LIMIT, LENGTH_LIMIT, take_frame, write_frame};
use zk_wire::jute::Reader;
use zk_wire::{
    ConnectRequest, ConnectResponse, DecodeError, ErrorCode, FrameError, ReplyHeader, Request, RequestHeader,
    Response, WatchEvent, op,
};

/// Memory in use while a record is read, at most, for each byte of it. The worst case is a multi of deletes
/// that went well: nine bytes become a `MultiResult`, in a vector that is just being moved to one twice as
/// large.
const BYTES_FOR_A_BYTE: u64 = 36;

/// What the first few items of a vector may take on top, since it begins with room for four.
const BYTES_TO_BEGIN_WITH: u64 = 512;

/// Reads bytes as everything that they could be.
fn read_as_everything(op: i32, bytes: &[u8]) {
    let _ = Request::decode(op, bytes);
    let _ = Response::decode(op, bytes);
    let _ = WatchEvent::decode(bytes);
    let _ = ConnectRequest::decode(bytes);
    let _ = ConnectResponse::decode(bytes);
    if let Ok((header, body)) = RequestHeader::decode(bytes) {
        let _ = Request::decode(header.op, body);
    }
    if let Ok((_, body)) = ReplyHeader::decode(bytes) {
        let _ = Response::decode(op, body);
    }
}

fn costs_in_proportion(op: i32, bytes: &[u8]) {
    let cost = measure(|| read_as_everything(op, bytes));
    let allowed = BYTES_FOR_A_BYTE * u64::try_from(bytes.len()).unwrap() + BYTES_TO_BEGIN_WITH;
    assert!(cost.bytes_max <= allowed, "{} bytes in use for {} read as {op}", cost.bytes_max, bytes.len());
    assert_eq!(cost.bytes_current, 0, "all given back");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn noise(op in any_op(), bytes: Vec<u8>) {
        costs_in_proportion(op, &bytes);
    }

    #[test]
    fn plausible_noise(op in any_op(), bytes in plausible_bytes()) {
        costs_in_proportion(op, &bytes);
    }

    /// Records that were good until four bytes of them were replaced.
    #[test]
    fn damaged_requests(request in request(), at: prop::sample::Index, word: i32) {
        let mut buf = BytesMut::new();
        request.encode(1, LENGTH_LIMIT, &mut buf).unwrap();
        let mut body = buf.split_off(12);
        damage(&mut body, at, word);
        costs_in_proportion(request.op(), &body);
    }

    #[test]
    fn damaged_responses((op, response) in response(), at: prop::sample::Index, word: i32) {
        let mut buf = BytesMut::new();
        response.encode(1, 1, LENGTH_LIMIT, &mut buf).unwrap();
        let mut body = buf.split_off(20);
        damage(&mut body, at, word);
        costs_in_proportion(op, &body);
    }

    #[test]
    fn frames_of_noise(bytes: Vec<u8>, limit in 0..2000usize) {
        let mut buf = BytesMut::from(&bytes[..]);
        let cost = measure(|| while let Ok(Some(frame)) = take_frame(&mut buf, limit) {
            assert!(frame.len() <= limit);
        });
        prop_assert!(cost.bytes_max < 256, "frames are cut, not copied: {} bytes", cost.bytes_max);
    }
}

fn damage(body: &mut [u8], at: prop::sample::Index, word: i32) {
    if body.len() >= 4 {
        let at = at.index(body.len() - 3);
        body[at..at + 4].copy_from_slice(&word.to_be_bytes());
    }
}

/// Records that are nothing but the smallest items, where a byte turns into most memory.
#[test]
fn the_worst_frames_cost_in_proportion() {
    let deleted = [&op::DELETE.to_be_bytes()[..], &[0; 5]].concat();
    let delete = [&deleted[..], &[0; 8]].concat();
    for item in [deleted, delete] {
        for count in [1, 5, 4097, (1 << 15) + 1, DEFAULT_LIMIT / item.len()] {
            costs_in_proportion(op::MULTI, &item.repeat(count));
        }
    }
    for Vector { op, smallest, before, .. } in VECTORS {
        let count = DEFAULT_LIMIT / smallest - 10;
        costs_in_proportion(op, &zeros(before, count, count * smallest));
    }
}

/// A record with a vector in it, all of which may be zero.
struct Vector {
    op: i32,
    /// Bytes that the smallest item takes.
    smallest: usize,
    /// Bytes in front of the vector.
    before: usize,
    decode: fn(i32, &[u8]) -> Result<(), DecodeError>,
}

const VECTORS: [Vector; 4] = [
    Vector { op: op::GET_CHILDREN2, smallest: 4, before: 0, decode: decode_response },
    Vector { op: op::WHO_AM_I, smallest: 8, before: 0, decode: decode_response },
    Vector { op: op::SET_WATCHES, smallest: 4, before: 8, decode: decode_request },
    Vector { op: op::CREATE, smallest: 12, before: 8, decode: decode_request },
];

fn decode_request(op: i32, bytes: &[u8]) -> Result<(), DecodeError> {
    Request::decode(op, bytes).map(drop)
}

fn decode_response(op: i32, bytes: &[u8]) -> Result<(), DecodeError> {
    Response::decode(op, bytes).map(drop)
}

/// Zeros, then a count, then `after` more zeros.
fn zeros(before: usize, count: usize, after: usize) -> Vec<u8> {
    let mut body = vec![0; before];
    body.put_i32(i32::try_from(count).unwrap());
    body.resize(body.len() + after, 0);
    body
}

/// As many items as there can be are read; if one byte is missing, nothing is reserved.
#[test]
fn counts_at_the_edge() {
    const REST_OF_THE_RECORD: usize = 68;
    for Vector { op, smallest, before, decode } in VECTORS {
        let needed = 4 * smallest;
        assert_eq!(decode(op, &zeros(before, 4, needed + REST_OF_THE_RECORD)), Ok(()));
        let lie = zeros(before, 4, needed - 1);
        let cost = measure(|| {
            assert_eq!(decode(op, &lie), Err(DecodeError::Truncated { needed, left: needed - 1 }));
        });
        assert_eq!(cost.count_total, 0, "{op}");
    }
}

#[test]
fn an_absurd_count_allocates_nothing() {
    for count in [i32::MAX, i32::MAX - 1, 1 << 30, 9] {
        let mut body = vec![0; 8];
        body.put_i32(count);
        assert_eq!(body.len(), 12);
        // Read as it is, as a vector or a buffer that is the first field, and as one behind a long.
        for &op in ALL_OPS {
            for bytes in [&body[..], &body[8..]] {
                let cost = measure(|| read_as_everything(op, bytes));
                assert_eq!(cost.count_total, 0, "count {count} read as {op}");
            }
        }
        let watches = Request::decode(op::SET_WATCHES, &body);
        let needed = usize::try_from(count).unwrap() * 4;
        assert_eq!(watches, Err(DecodeError::Truncated { needed, left: 0 }));
    }
}

#[test]
fn a_count_is_held_against_what_its_items_take_at_least() {
    let mut body = vec![];
    body.put_i32(3);
    body.put_slice(&[0; 11]);
    assert_eq!(Reader::new(&body).strings(), Err(DecodeError::Truncated { needed: 12, left: 11 }));
    body.put_u8(0);
    assert_eq!(Reader::new(&body).strings(), Ok(vec![String::new(); 3]));
}

#[test]
fn negative_lengths() {
    for length in [-2, i32::MIN] {
        let body = length.to_be_bytes();
        let error = DecodeError::NegativeLength(length);
        assert_eq!(Request::decode(op::SYNC, &body), Err(error));
        assert_eq!(Response::decode(op::GET_DATA, &body), Err(error));
        assert_eq!(Response::decode(op::GET_CHILDREN2, &body), Err(error));
        assert_eq!(error.code(), ErrorCode::MarshallingError);
    }
    let mut buf = BytesMut::from(&(-1i32).to_be_bytes()[..]);
    assert_eq!(take_frame(&mut buf, LENGTH_LIMIT), Err(FrameError::Negative(-1)));
}

/// A length at the edge passes and one beyond is refused before the frame has arrived.
#[test]
fn frame_lengths_at_the_edge() {
    let prefix = |length: usize| BytesMut::from(&u32::try_from(length).unwrap().to_be_bytes()[..]);
    assert_eq!(take_frame(&mut prefix(DEFAULT_LIMIT), DEFAULT_LIMIT), Ok(None));
    assert_eq!(
        take_frame(&mut prefix(DEFAULT_LIMIT + 1), DEFAULT_LIMIT),
        Err(FrameError::TooLong { length: 1_048_576, limit: 1_048_575 })
    );
    assert_eq!(take_frame(&mut BytesMut::from(&[0, 0, 0][..]), 0), Ok(None));
    assert_eq!(take_frame(&mut BytesMut::from(&[0, 0, 0, 0][..]), 0).unwrap().unwrap(), &[][..]);
}

#[test]
fn a_frame_too_long_to_send_leaves_the_buffer_alone() {
    let mut buf = BytesMut::from(&b"before"[..]);
    let request = |size| Request::SetData { path: "/a".into(), data: Some(vec![0; size]), version: -1 };
    // Header 8, path 6, length of the data 4, version 4.
    request(DEFAULT_LIMIT - 22).encode(1, DEFAULT_LIMIT, &mut buf).unwrap();
    assert_eq!(buf.len(), 6 + 4 + DEFAULT_LIMIT);
    buf.truncate(6);
    let refused = request(DEFAULT_LIMIT - 21).encode(1, DEFAULT_LIMIT, &mut buf);
    assert_eq!(refused, Err(FrameError::TooLong { length: DEFAULT_LIMIT + 1, limit: DEFAULT_LIMIT }));
    assert_eq!(buf, "before");
    assert!(write_frame(&mut buf, 3, |w| w.i32(0)).is_err());
    assert_eq!(buf, "before");
}

#[test]
fn unknown_types() {
    for op in [0, 13, 16, 20, -10, 999, i32::MIN] {
        let error = Request::decode(op, &[0; 64]).unwrap_err();
        assert_eq!(error, DecodeError::UnknownOp(op));
        assert_eq!(error.code(), ErrorCode::Unimplemented);
        assert_eq!(Response::decode(op, &[0; 64]), Err(error));
    }
    // A read among the writes of a multi.
    let mut body = vec![];
    body.put_i32(op::GET_DATA);
    body.put_slice(&[0; 64]);
    let error = Request::decode(op::MULTI, &body).unwrap_err();
    assert_eq!(error, DecodeError::UnknownMultiOp(op::GET_DATA));
    assert_eq!(error.code(), ErrorCode::MarshallingError);
    assert_eq!(Response::decode(op::MULTI, &body), Err(error));
}

#[test]
fn passwords_and_credentials_stay_out_of_debug_output() {
    let request = Request::Auth { scheme: "digest".into(), auth: b"ann:swordfish".to_vec().into() };
    let shown = format!("{request:?}");
    assert!(shown.contains("Secret(13 bytes)"), "{shown}");
    assert!(!shown.contains("swordfish") && !shown.contains("115"), "{shown}");
}
