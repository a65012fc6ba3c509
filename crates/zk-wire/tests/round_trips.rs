//! What one side writes, the other reads: every record, in both directions.

mod common;

use bytes::{Bytes, BytesMut};
use common::{connect_request, connect_response, event, request, response};
use proptest::prelude::*;
use zk_wire::frame::{self, LENGTH_LIMIT};
use zk_wire::{
    ConnectRequest, ConnectResponse, DecodeError, ErrorCode, ReplyHeader, Request, RequestHeader, Response,
    WatchEvent, xid,
};

/// The only frame in a buffer.
fn only_frame(mut buf: BytesMut) -> Bytes {
    let frame = frame::take_frame(&mut buf, LENGTH_LIMIT).expect("a good length").expect("a whole frame");
    assert!(buf.is_empty(), "nothing behind the frame");
    frame
}

fn with_leftovers(record: &[u8], leftovers: &[u8]) -> Vec<u8> {
    [record, leftovers].concat()
}

proptest! {
    #[test]
    fn requests(request in request(), xid: i32, leftovers: Vec<u8>) {
        let mut buf = BytesMut::new();
        request.encode(xid, LENGTH_LIMIT, &mut buf).unwrap();
        let frame = only_frame(buf);
        let (header, body) = RequestHeader::decode(&frame).unwrap();
        prop_assert_eq!(header, RequestHeader { xid, op: request.op() });
        prop_assert_eq!(&Request::decode(header.op, body).unwrap(), &request);
        prop_assert_eq!(Request::decode(header.op, &with_leftovers(body, &leftovers)).unwrap(), request);
    }

    #[test]
    fn a_request_that_ends_early_is_an_error(request in request(), xid: i32) {
        let mut buf = BytesMut::new();
        request.encode(xid, LENGTH_LIMIT, &mut buf).unwrap();
        let frame = only_frame(buf);
        let (header, body) = RequestHeader::decode(&frame).unwrap();
        for end in 0..body.len() {
            let error = Request::decode(header.op, &body[..end]).unwrap_err();
            prop_assert!(matches!(error, DecodeError::Truncated { .. }), "{error:?}");
            prop_assert_eq!(error.code(), ErrorCode::MarshallingError);
        }
    }

    #[test]
    fn responses((op, response) in response(), xid: i32, zxid: i64, leftovers: Vec<u8>) {
        let mut buf = BytesMut::new();
        response.encode(xid, zxid, LENGTH_LIMIT, &mut buf).unwrap();
        let frame = only_frame(buf);
        let (header, body) = ReplyHeader::decode(&frame).unwrap();
        prop_assert_eq!(header, ReplyHeader { xid, zxid, err: ErrorCode::Ok });
        prop_assert_eq!(&Response::decode(op, body).unwrap(), &response);
        prop_assert_eq!(Response::decode(op, &with_leftovers(body, &leftovers)).unwrap(), response);
    }

    #[test]
    fn a_response_that_ends_early_is_an_error((op, response) in response()) {
        let mut buf = BytesMut::new();
        response.encode(1, 1, LENGTH_LIMIT, &mut buf).unwrap();
        let frame = only_frame(buf);
        let (_, body) = ReplyHeader::decode(&frame).unwrap();
        for end in 0..body.len() {
            let error = Response::decode(op, &body[..end]).unwrap_err();
            prop_assert!(matches!(error, DecodeError::Truncated { .. }), "{error:?}");
        }
    }

    #[test]
    fn reply_headers_alone(xid: i32, zxid: i64, err: i32) {
        let header = ReplyHeader { xid, zxid, err: ErrorCode::from(err) };
        let mut buf = BytesMut::new();
        header.encode(&mut buf);
        let frame = only_frame(buf);
        prop_assert_eq!(ReplyHeader::decode(&frame).unwrap(), (header, &[][..]));
        prop_assert_eq!(i32::from(header.err), err);
        for end in 0..frame.len() {
            prop_assert!(ReplyHeader::decode(&frame[..end]).is_err());
        }
    }

    #[test]
    fn events(event in event(), zxid: i64, leftovers: Vec<u8>) {
        let mut buf = BytesMut::new();
        event.encode(zxid, LENGTH_LIMIT, &mut buf).unwrap();
        let frame = only_frame(buf);
        let (header, body) = ReplyHeader::decode(&frame).unwrap();
        prop_assert_eq!(header, ReplyHeader { xid: xid::NOTIFICATION, zxid, err: ErrorCode::Ok });
        prop_assert_eq!(&WatchEvent::decode(body).unwrap(), &event);
        prop_assert_eq!(&WatchEvent::decode(&with_leftovers(body, &leftovers)).unwrap(), &event);
        for end in 0..body.len() {
            prop_assert!(WatchEvent::decode(&body[..end]).is_err());
        }
    }

    #[test]
    fn connect_requests(request in connect_request()) {
        let mut buf = BytesMut::new();
        request.encode(LENGTH_LIMIT, &mut buf).unwrap();
        let frame = only_frame(buf);
        prop_assert_eq!(&ConnectRequest::decode(&frame).unwrap(), &request);
        let needed = frame.len() - usize::from(request.read_only.is_some());
        for end in 0..needed {
            prop_assert!(ConnectRequest::decode(&frame[..end]).is_err());
        }
        let without = ConnectRequest { read_only: None, ..request };
        prop_assert_eq!(ConnectRequest::decode(&frame[..needed]).unwrap(), without);
    }

    #[test]
    fn connect_responses(response in connect_response()) {
        let mut buf = BytesMut::new();
        response.encode(LENGTH_LIMIT, &mut buf).unwrap();
        let frame = only_frame(buf);
        prop_assert_eq!(&ConnectResponse::decode(&frame).unwrap(), &response);
        let needed = frame.len() - usize::from(response.read_only.is_some());
        for end in 0..needed {
            prop_assert!(ConnectResponse::decode(&frame[..end]).is_err());
        }
        let without = ConnectResponse { read_only: None, ..response };
        prop_assert_eq!(ConnectResponse::decode(&frame[..needed]).unwrap(), without);
    }

    /// Frames come out whole and in order, however the stream was cut.
    #[test]
    fn frames_in_pieces(requests in proptest::collection::vec(request(), 0..5), piece in 1..40usize) {
        let mut stream = BytesMut::new();
        for (request, xid) in requests.iter().zip(0..) {
            request.encode(xid, LENGTH_LIMIT, &mut stream).unwrap();
        }
        let mut buf = BytesMut::new();
        let mut seen = Vec::new();
        for piece in stream.chunks(piece) {
            buf.extend_from_slice(piece);
            while let Some(frame) = frame::take_frame(&mut buf, LENGTH_LIMIT).unwrap() {
                let (header, body) = RequestHeader::decode(&frame).unwrap();
                prop_assert_eq!(usize::try_from(header.xid).unwrap(), seen.len());
                seen.push(Request::decode(header.op, body).unwrap());
            }
        }
        prop_assert!(buf.is_empty());
        prop_assert_eq!(seen, requests);
    }
}
