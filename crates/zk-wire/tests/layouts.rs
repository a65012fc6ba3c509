//! Exact bytes, written out by hand from the protocol's layouts: what round trips cannot show, since both
//! sides could be wrong in the same way.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

use bytes::BytesMut;
use zk_wire::frame::{LENGTH_LIMIT, take_frame};
use zk_wire::{
    Acl, ConnectRequest, ConnectResponse, CreateMode, ErrorCode, EventKind, MultiOp, MultiResult,
    ReplyHeader, Request, RequestHeader, Response, Stat, WatchEvent, WatchKind, perms, xid,
};

/// Parts of a layout: numbers in their width, text and raw bytes as they are.
enum Part {
    Byte(u8),
    Int(i32),
    Long(i64),
    Raw(&'static [u8]),
}
use Part::{Byte, Int, Long, Raw};

fn bytes(parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        match part {
            Byte(n) => out.push(*n),
            Int(n) => out.extend(n.to_be_bytes()),
            Long(n) => out.extend(n.to_be_bytes()),
            Raw(raw) => out.extend(*raw),
        }
    }
    out
}

/// The content of the one frame that `encode` writes.
fn written(encode: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut buf = BytesMut::new();
    encode(&mut buf);
    assert_eq!(buf[..4], u32::try_from(buf.len() - 4).unwrap().to_be_bytes());
    take_frame(&mut buf, LENGTH_LIMIT).unwrap().unwrap().to_vec()
}

fn assert_request(request: Request, xid: i32, layout: &[Part]) {
    let layout = bytes(layout);
    assert_eq!(written(|buf| request.encode(xid, LENGTH_LIMIT, buf).unwrap()), layout, "{request:?}");
    let (header, body) = RequestHeader::decode(&layout).unwrap();
    assert_eq!((header.xid, header.op), (xid, request.op()));
    assert_eq!(Request::decode(header.op, body).unwrap(), request);
}

/// Checks a response to a request of type `op`; the header is xid 5, zxid 0x900.
fn assert_response(op: i32, response: Response, layout: &[Part]) {
    let layout = [bytes(&[Int(5), Long(0x900), Int(0)]), bytes(layout)].concat();
    assert_eq!(written(|buf| response.encode(5, 0x900, LENGTH_LIMIT, buf).unwrap()), layout, "{response:?}");
    let (header, body) = ReplyHeader::decode(&layout).unwrap();
    assert_eq!(header, ReplyHeader { xid: 5, zxid: 0x900, err: ErrorCode::Ok });
    assert_eq!(Response::decode(op, body).unwrap(), response);
}

const STAT: Stat = Stat {
    czxid: 1,
    mzxid: 2,
    ctime: 3,
    mtime: 4,
    version: 5,
    cversion: 6,
    aversion: 7,
    ephemeral_owner: 8,
    data_length: 9,
    num_children: 10,
    pzxid: 11,
};
/// The stat above.
const STAT_BYTES: &[u8] = &[
    0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
    4, // zxids, times
    0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, // versions
    0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0,
    11, // owner, length, children, pzxid
];

#[test]
fn the_connect_request_has_44_or_45_bytes() {
    let mut request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0x1_0000_0002,
        timeout_ms: 10_000,
        session_id: 0x0100_0000_0000_0003,
        password: vec![7; 16].into(),
        read_only: None,
    };
    let old = bytes(&[
        Int(0),
        Long(0x1_0000_0002),
        Int(10_000),
        Long(0x0100_0000_0000_0003),
        Int(16),
        Raw(&[7; 16]),
    ]);
    assert_eq!(old.len(), 44);
    assert_eq!(written(|buf| request.encode(LENGTH_LIMIT, buf).unwrap()), old);
    assert_eq!(ConnectRequest::decode(&old).unwrap(), request);

    for (read_only, byte) in [(false, 0), (true, 1)] {
        request.read_only = Some(read_only);
        let new = [&old[..], &[byte]].concat();
        assert_eq!(new.len(), 45);
        assert_eq!(written(|buf| request.encode(LENGTH_LIMIT, buf).unwrap()), new);
        assert_eq!(ConnectRequest::decode(&new).unwrap(), request);
    }
}

#[test]
fn the_connect_response_has_36_or_37_bytes() {
    let mut response = ConnectResponse {
        protocol_version: 0,
        timeout_ms: 4000,
        session_id: -2,
        password: vec![9; 16].into(),
        read_only: None,
    };
    let old = bytes(&[Int(0), Int(4000), Long(-2), Int(16), Raw(&[9; 16])]);
    assert_eq!(old.len(), 36);
    assert_eq!(written(|buf| response.encode(LENGTH_LIMIT, buf).unwrap()), old);
    assert_eq!(ConnectResponse::decode(&old).unwrap(), response);

    response.read_only = Some(false);
    let new = [&old[..], &[0]].concat();
    assert_eq!(new.len(), 37);
    assert_eq!(written(|buf| response.encode(LENGTH_LIMIT, buf).unwrap()), new);
    assert_eq!(ConnectResponse::decode(&new).unwrap(), response);
}

#[test]
fn a_null_password_reads_as_empty() {
    let request =
        ConnectRequest::decode(&bytes(&[Int(0), Long(0), Int(1), Long(0), Int(-1), Byte(0)])).unwrap();
    assert_eq!((request.password.expose(), request.read_only), (&[][..], Some(false)));
}

#[test]
fn creates() {
    let path = || "/a".to_string();
    let acl = || vec![Acl::anyone(perms::ALL)];
    let data = || Some(b"xy".to_vec());
    let layout = |op, flags| {
        [
            Int(3),
            Int(op),
            Int(2),
            Raw(b"/a"),
            Int(2),
            Raw(b"xy"),
            Int(1),
            Int(31),
            Int(5),
            Raw(b"world"),
            Int(6),
            Raw(b"anyone"),
            Int(flags),
        ]
    };
    let mode = CreateMode::EphemeralSequential;
    assert_request(Request::Create { path: path(), data: data(), acl: acl(), mode }, 3, &layout(1, 3));
    assert_request(Request::Create2 { path: path(), data: data(), acl: acl(), mode }, 3, &layout(15, 3));
    let mode = CreateMode::Container;
    assert_request(
        Request::CreateContainer { path: path(), data: data(), acl: acl(), mode },
        3,
        &layout(19, 4),
    );
}

/// A node made with null data is read back with length -1, one made with no data with length 0.
#[test]
fn null_and_empty_data_stay_different() {
    for (data, length) in [(None, -1), (Some(vec![]), 0)] {
        let request = Request::SetData { path: "/a".into(), data: data.clone(), version: -1 };
        assert_request(request, 1, &[Int(1), Int(5), Int(2), Raw(b"/a"), Int(length), Int(-1)]);
        let acl = vec![];
        let create =
            Request::Create2 { path: "/a".into(), data: data.clone(), acl, mode: CreateMode::Ephemeral };
        assert_request(create, 1, &[Int(1), Int(15), Int(2), Raw(b"/a"), Int(length), Int(0), Int(1)]);
        assert_response(4, Response::Data { data, stat: STAT }, &[Int(length), Raw(STAT_BYTES)]);
    }
}

#[test]
fn null_strings_and_vectors_read_as_empty() {
    let body = bytes(&[Long(4), Int(-1), Int(-1), Int(1), Int(-1)]);
    let expected =
        Request::SetWatches { relative_zxid: 4, data: vec![], exist: vec![], child: vec![String::new()] };
    assert_eq!(Request::decode(101, &body).unwrap(), expected);
}

#[test]
fn text_that_is_not_utf8_has_a_character_that_paths_refuse() {
    let Request::Sync { path } = Request::decode(9, &bytes(&[Int(3), Raw(b"/a\xff")])).unwrap() else {
        panic!("a sync");
    };
    assert_eq!(path, "/a\u{fffd}");
    assert_eq!(zk_wire::path::validate(&path).unwrap_err().position(), 2);
}

#[test]
fn requests_on_one_path() {
    let path = || "/a".to_string();
    let head = |op| [Int(2), Int(op), Int(2), Raw(b"/a")];
    let with = |op, last: Part| head(op).into_iter().chain([last]).collect::<Vec<_>>();
    assert_request(Request::Delete { path: path(), version: 6 }, 2, &with(2, Int(6)));
    assert_request(Request::Exists { path: path(), watch: true }, 2, &with(3, Byte(1)));
    assert_request(Request::GetData { path: path(), watch: false }, 2, &with(4, Byte(0)));
    assert_request(Request::GetChildren2 { path: path(), watch: true }, 2, &with(12, Byte(1)));
    assert_request(Request::Sync { path: path() }, 2, &head(9));
    for (kind, number) in [
        (WatchKind::Children, 1),
        (WatchKind::Data, 2),
        (WatchKind::Any, 3),
        (WatchKind::Persistent, 4),
        (WatchKind::Recursive, 5),
    ] {
        assert_request(Request::RemoveWatches { path: path(), kind }, 2, &with(18, Int(number)));
    }
}

#[test]
fn requests_with_an_xid_of_their_own() {
    assert_request(Request::Ping, xid::PING, &[Int(-2), Int(11)]);
    let auth = Request::Auth { scheme: "digest".into(), auth: b"u:p".to_vec().into() };
    let layout = [Int(-4), Int(100), Int(0), Int(6), Raw(b"digest"), Int(3), Raw(b"u:p")];
    assert_request(auth, xid::AUTH, &layout);

    let (data, exist, child) = (vec!["/d".into()], vec!["/e".into(), "/f".into()], vec![]);
    let lists =
        [Long(0x77), Int(1), Int(2), Raw(b"/d"), Int(2), Int(2), Raw(b"/e"), Int(2), Raw(b"/f"), Int(0)];
    let old =
        Request::SetWatches { relative_zxid: 0x77, data: data.clone(), exist: exist.clone(), child: vec![] };
    let layout: Vec<Part> = [Int(-8), Int(101)].into_iter().chain(lists).collect();
    assert_request(old, xid::SET_WATCHES, &layout);

    let new = Request::SetWatches2 {
        relative_zxid: 0x77,
        data,
        exist,
        child,
        persistent: vec!["/p".into()],
        recursive: vec!["/r".into()],
    };
    let mut layout = layout;
    layout[1] = Int(105);
    layout.extend([Int(1), Int(2), Raw(b"/p"), Int(1), Int(2), Raw(b"/r")]);
    assert_request(new, xid::SET_WATCHES, &layout);
}

#[test]
fn requests_without_a_record() {
    assert_request(Request::Close, 9, &[Int(9), Int(-11)]);
    assert_request(Request::WhoAmI, 9, &[Int(9), Int(107)]);
}

#[test]
fn responses() {
    let path = || "/a".to_string();
    assert_response(1, Response::Created { path: path() }, &[Int(2), Raw(b"/a")]);
    for op in [15, 19] {
        let layout = [Int(2), Raw(b"/a"), Raw(STAT_BYTES)];
        assert_response(op, Response::Created2 { path: path(), stat: STAT }, &layout);
    }
    for op in [3, 5] {
        assert_response(op, Response::Stat(STAT), &[Raw(STAT_BYTES)]);
    }
    let data = Some(b"xyz".to_vec());
    assert_response(4, Response::Data { data, stat: STAT }, &[Int(3), Raw(b"xyz"), Raw(STAT_BYTES)]);
    let names = vec!["b".into(), "c".into()];
    let layout = [Int(2), Int(1), Raw(b"b"), Int(1), Raw(b"c"), Raw(STAT_BYTES)];
    assert_response(12, Response::Children2 { names, stat: STAT }, &layout);
    assert_response(9, Response::Synced { path: path() }, &[Int(2), Raw(b"/a")]);
    let identities = vec![("ip".into(), "::1".into())];
    assert_response(107, Response::WhoAmI(identities), &[Int(1), Int(2), Raw(b"ip"), Int(3), Raw(b"::1")]);
    for op in [2, 11, 18, 100, 101, 105, -11] {
        assert_response(op, Response::Empty, &[]);
    }
}

#[test]
fn an_error_is_a_header_alone() {
    let header = ReplyHeader { xid: 5, zxid: 0x900, err: ErrorCode::NodeExists };
    let layout = bytes(&[Int(5), Long(0x900), Int(-110)]);
    assert_eq!(written(|buf| header.encode(buf)), layout);
    assert_eq!(ReplyHeader::decode(&layout).unwrap(), (header, &[][..]));
}

#[test]
fn events() {
    for (kind, number) in [
        (EventKind::None, -1),
        (EventKind::Created, 1),
        (EventKind::Deleted, 2),
        (EventKind::DataChanged, 3),
        (EventKind::ChildrenChanged, 4),
    ] {
        let event = WatchEvent { kind, state: WatchEvent::SYNC_CONNECTED, path: "/a".into() };
        let layout = bytes(&[Int(-1), Long(0x12), Int(0), Int(number), Int(3), Int(2), Raw(b"/a")]);
        assert_eq!(written(|buf| event.encode(0x12, LENGTH_LIMIT, buf).unwrap()), layout);
        let (header, body) = ReplyHeader::decode(&layout).unwrap();
        assert_eq!((header.xid, header.zxid), (xid::NOTIFICATION, 0x12));
        assert_eq!(WatchEvent::decode(body).unwrap(), event);
    }
}

#[test]
fn a_multi_request() {
    let path = || "/a".to_string();
    let create =
        |mode| (path(), Some(vec![1]), vec![Acl { perms: 1, scheme: "s".into(), id: "i".into() }], mode);
    let (p1, d1, a1, m1) = create(CreateMode::Persistent);
    let (p2, d2, a2, m2) = create(CreateMode::EphemeralSequential);
    let (p3, d3, a3, m3) = create(CreateMode::Container);
    let multi = Request::Multi(vec![
        MultiOp::Check { path: path(), version: 7 },
        MultiOp::Create { path: p1, data: d1, acl: a1, mode: m1 },
        MultiOp::Create2 { path: p2, data: d2, acl: a2, mode: m2 },
        MultiOp::CreateContainer { path: p3, data: d3, acl: a3, mode: m3 },
        MultiOp::SetData { path: path(), data: None, version: 2 },
        MultiOp::Delete { path: path(), version: -1 },
    ]);
    let head = |op| [Int(op), Byte(0), Int(-1), Int(2), Raw(b"/a")];
    let rest = |flags| [Int(1), Byte(1), Int(1), Int(1), Int(1), Raw(b"s"), Int(1), Raw(b"i"), Int(flags)];
    let mut layout = vec![Int(4), Int(14)];
    layout.extend(head(13).into_iter().chain([Int(7)]));
    layout.extend(head(1).into_iter().chain(rest(0)));
    layout.extend(head(15).into_iter().chain(rest(3)));
    layout.extend(head(19).into_iter().chain(rest(4)));
    layout.extend(head(5).into_iter().chain([Int(-1), Int(2)]));
    layout.extend(head(2).into_iter().chain([Int(-1)]));
    layout.extend([Int(-1), Byte(1), Int(-1)]);
    assert_request(multi, 4, &layout);
}

#[test]
fn a_multi_that_went_well() {
    let path = || "/a".to_string();
    let results = vec![
        MultiResult::Checked,
        MultiResult::Created { path: path() },
        MultiResult::Created2 { path: path(), stat: STAT },
        MultiResult::Stat(STAT),
        MultiResult::Deleted,
    ];
    let head = |op| [Int(op), Byte(0), Int(0)];
    let mut layout = vec![];
    layout.extend(head(13));
    layout.extend(head(1).into_iter().chain([Int(2), Raw(b"/a")]));
    layout.extend(head(15).into_iter().chain([Int(2), Raw(b"/a"), Raw(STAT_BYTES)]));
    layout.extend(head(5).into_iter().chain([Raw(STAT_BYTES)]));
    layout.extend(head(2));
    layout.extend([Int(-1), Byte(1), Int(-1)]);
    assert_response(14, Response::Multi(results), &layout);
}

#[test]
fn a_multi_that_failed_has_a_code_for_each_operation() {
    let codes = [ErrorCode::Ok, ErrorCode::BadVersion, ErrorCode::RuntimeInconsistency];
    let mut layout = vec![];
    for code in [0, -103, -2] {
        layout.extend([Int(-1), Byte(0), Int(code), Int(code)]);
    }
    layout.extend([Int(-1), Byte(1), Int(-1)]);
    assert_response(14, Response::Multi(codes.map(MultiResult::Failed).into()), &layout);
}

#[test]
fn an_empty_multi_is_the_end_mark_alone() {
    let end = || [Int(-1), Byte(1), Int(-1)];
    let layout: Vec<Part> = [Int(4), Int(14)].into_iter().chain(end()).collect();
    assert_request(Request::Multi(vec![]), 4, &layout);
    assert_response(14, Response::Multi(vec![]), &end());
}

#[test]
fn codes_have_their_numbers() {
    for (code, number) in [
        (ErrorCode::Ok, 0),
        (ErrorCode::RuntimeInconsistency, -2),
        (ErrorCode::MarshallingError, -5),
        (ErrorCode::Unimplemented, -6),
        (ErrorCode::BadArguments, -8),
        (ErrorCode::NoNode, -101),
        (ErrorCode::NoAuth, -102),
        (ErrorCode::BadVersion, -103),
        (ErrorCode::NoChildrenForEphemerals, -108),
        (ErrorCode::NodeExists, -110),
        (ErrorCode::NotEmpty, -111),
        (ErrorCode::SessionExpired, -112),
        (ErrorCode::InvalidAcl, -114),
        (ErrorCode::AuthFailed, -115),
        (ErrorCode::SessionMoved, -118),
        (ErrorCode::NoWatcher, -121),
        (ErrorCode::ThrottledOp, -127),
        (ErrorCode::Unknown(-9999), -9999),
    ] {
        assert_eq!(ErrorCode::from(number), code);
        assert_eq!(i32::from(code), number);
    }
    assert_eq!(ErrorCode::NAMED.len(), 32);
    for &code in ErrorCode::NAMED {
        assert_eq!(ErrorCode::from(i32::from(code)), code);
    }
    assert_eq!(ErrorCode::NodeExists.to_string(), "node exists");
    assert_eq!(ErrorCode::Unknown(-9).to_string(), "error -9");
}
