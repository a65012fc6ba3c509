//! What a server reads: the stream of a client, as frames, as a connect request and as requests.
//!
//! Nothing may panic, and what has been read must come through being written and read again unchanged.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use zk_wire::frame::{DEFAULT_LIMIT, LENGTH_LIMIT, take_frame};
use zk_wire::{ConnectRequest, Request, RequestHeader, path};

fuzz_target!(|data: &[u8]| {
    connect_request(data);
    request(data);

    let mut stream = BytesMut::from(data);
    while let Ok(Some(frame)) = take_frame(&mut stream, DEFAULT_LIMIT) {
        request(&frame);
    }
});

fn connect_request(bytes: &[u8]) {
    let Ok(request) = ConnectRequest::decode(bytes) else { return };
    let mut buf = BytesMut::new();
    request.encode(LENGTH_LIMIT, &mut buf).expect("no longer than what it came from");
    assert_eq!(ConnectRequest::decode(&buf[4..]), Ok(request));
}

fn request(bytes: &[u8]) {
    let Ok((header, body)) = RequestHeader::decode(bytes) else { return };
    let request = match Request::decode(header.op, body) {
        Ok(request) => request,
        Err(error) => {
            // The server has an answer to all of these.
            let _ = error.code();
            return;
        }
    };
    if let Request::Create { path, mode, .. } = &request {
        let verdict =
            if mode.is_sequential() { path::validate_sequential(path) } else { path::validate(path) };
        if let Err(error) = verdict {
            assert!(error.position() <= path.chars().count(), "{error} is within {path:?}");
        }
    }
    let mut buf = BytesMut::new();
    request.encode(header.xid, LENGTH_LIMIT, &mut buf).expect("no longer than what it came from, thrice");
    let frame = take_frame(&mut buf, LENGTH_LIMIT).expect("a good length").expect("a whole frame");
    assert!(buf.is_empty());
    let (again, body) = RequestHeader::decode(&frame).expect("a header");
    assert_eq!(again, header);
    assert_eq!(Request::decode(again.op, body), Ok(request));
}
