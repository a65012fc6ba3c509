//! What a client reads: the stream of a server, as frames, as a connect response, as replies to each type of
//! request and as watch events.
//!
//! Nothing may panic, and what has been read must come through being written and read again unchanged.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use zk_wire::frame::{DEFAULT_LIMIT, LENGTH_LIMIT, take_frame};
use zk_wire::{ConnectResponse, ErrorCode, ReplyHeader, Response, WatchEvent, op, xid};

/// All types that a reply can answer.
const OPS: [i32; 17] = [
    op::CREATE,
    op::DELETE,
    op::EXISTS,
    op::GET_DATA,
    op::SET_DATA,
    op::SYNC,
    op::PING,
    op::GET_CHILDREN2,
    op::MULTI,
    op::CREATE2,
    op::REMOVE_WATCHES,
    op::CREATE_CONTAINER,
    op::AUTH,
    op::SET_WATCHES,
    op::SET_WATCHES2,
    op::WHO_AM_I,
    op::CLOSE,
];

fuzz_target!(|data: &[u8]| {
    connect_response(data);
    reply(data);

    let mut stream = BytesMut::from(data);
    while let Ok(Some(frame)) = take_frame(&mut stream, DEFAULT_LIMIT) {
        reply(&frame);
    }
});

fn connect_response(bytes: &[u8]) {
    let Ok(response) = ConnectResponse::decode(bytes) else { return };
    let mut buf = BytesMut::new();
    response.encode(LENGTH_LIMIT, &mut buf).expect("no longer than what it came from");
    assert_eq!(ConnectResponse::decode(&buf[4..]), Ok(response));
}

fn reply(bytes: &[u8]) {
    let Ok((header, body)) = ReplyHeader::decode(bytes) else { return };
    if header.err != ErrorCode::Ok {
        let mut buf = BytesMut::new();
        header.encode(&mut buf);
        assert_eq!(ReplyHeader::decode(&buf[4..]), Ok((header, &[][..])));
    }
    event(header.zxid, body);
    for op in OPS {
        response(op, header, body);
    }
}

fn event(zxid: i64, body: &[u8]) {
    let Ok(event) = WatchEvent::decode(body) else { return };
    let mut buf = BytesMut::new();
    event.encode(zxid, LENGTH_LIMIT, &mut buf).expect("no longer than what it came from, thrice");
    let (header, body) = ReplyHeader::decode(&buf[4..]).expect("a header");
    assert_eq!(header, ReplyHeader { xid: xid::NOTIFICATION, zxid, err: ErrorCode::Ok });
    assert_eq!(WatchEvent::decode(body), Ok(event));
}

fn response(op: i32, header: ReplyHeader, body: &[u8]) {
    let Ok(response) = Response::decode(op, body) else { return };
    let mut buf = BytesMut::new();
    response
        .encode(header.xid, header.zxid, LENGTH_LIMIT, &mut buf)
        .expect("no longer than what it came from, thrice");
    let (again, body) = ReplyHeader::decode(&buf[4..]).expect("a header");
    assert_eq!(again, ReplyHeader { err: ErrorCode::Ok, ..header });
    assert_eq!(Response::decode(op, body), Ok(response));
}
