//! Generators for every record.

#![allow(dead_code, reason = "each test file uses some of them")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use zk_wire::{
    Acl, ConnectRequest, ConnectResponse, CreateMode, ErrorCode, EventKind, MultiOp, MultiResult, Request,
    Response, Secret, Stat, WatchEvent, WatchKind, op,
};

/// Numbers near what is known, and any others.
fn number() -> impl Strategy<Value = i32> {
    prop_oneof![-20..20i32, any::<i32>()]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "/[a-z/._-]{0,12}", any::<String>()]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..4)
}

fn data() -> impl Strategy<Value = Option<Vec<u8>>> {
    option::of(vec(any::<u8>(), 0..32))
}

fn secret() -> impl Strategy<Value = Secret> {
    vec(any::<u8>(), 0..20).prop_map(Secret::from)
}

fn mode() -> impl Strategy<Value = CreateMode> {
    number().prop_map(CreateMode::from)
}

fn code() -> impl Strategy<Value = ErrorCode> {
    prop_oneof![proptest::sample::select(ErrorCode::NAMED), number().prop_map(ErrorCode::from)]
}

fn acl() -> impl Strategy<Value = Vec<Acl>> {
    vec((number(), text(), text()).prop_map(|(perms, scheme, id)| Acl { perms, scheme, id }), 0..3)
}

fn create() -> impl Strategy<Value = (String, Option<Vec<u8>>, Vec<Acl>, CreateMode)> {
    (text(), data(), acl(), mode())
}

pub(crate) fn stat() -> impl Strategy<Value = Stat> {
    (any::<[i64; 6]>(), any::<[i32; 5]>()).prop_map(|(l, i)| Stat {
        czxid: l[0],
        mzxid: l[1],
        ctime: l[2],
        mtime: l[3],
        version: i[0],
        cversion: i[1],
        aversion: i[2],
        ephemeral_owner: l[4],
        data_length: i[3],
        num_children: i[4],
        pzxid: l[5],
    })
}

pub(crate) fn connect_request() -> impl Strategy<Value = ConnectRequest> {
    (any::<(i32, i64, i32, i64)>(), secret(), any::<Option<bool>>()).prop_map(|(n, password, read_only)| {
        ConnectRequest {
            protocol_version: n.0,
            last_zxid_seen: n.1,
            timeout_ms: n.2,
            session_id: n.3,
            password,
            read_only,
        }
    })
}

pub(crate) fn connect_response() -> impl Strategy<Value = ConnectResponse> {
    (any::<(i32, i32, i64)>(), secret(), any::<Option<bool>>()).prop_map(|(n, password, read_only)| {
        ConnectResponse { protocol_version: n.0, timeout_ms: n.1, session_id: n.2, password, read_only }
    })
}

pub(crate) fn event() -> impl Strategy<Value = WatchEvent> {
    (number(), number(), text()).prop_map(|(kind, state, path)| WatchEvent {
        kind: EventKind::from(kind),
        state,
        path,
    })
}

fn multi_op() -> impl Strategy<Value = MultiOp> {
    prop_oneof![
        create().prop_map(|(path, data, acl, mode)| MultiOp::Create { path, data, acl, mode }),
        create().prop_map(|(path, data, acl, mode)| MultiOp::Create2 { path, data, acl, mode }),
        create().prop_map(|(path, data, acl, mode)| MultiOp::CreateContainer { path, data, acl, mode }),
        (text(), number()).prop_map(|(path, version)| MultiOp::Delete { path, version }),
        (text(), data(), number()).prop_map(|(path, data, version)| MultiOp::SetData { path, data, version }),
        (text(), number()).prop_map(|(path, version)| MultiOp::Check { path, version }),
    ]
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        create().prop_map(|(path, data, acl, mode)| Request::Create { path, data, acl, mode }),
        create().prop_map(|(path, data, acl, mode)| Request::Create2 { path, data, acl, mode }),
        create().prop_map(|(path, data, acl, mode)| Request::CreateContainer { path, data, acl, mode }),
        (text(), number()).prop_map(|(path, version)| Request::Delete { path, version }),
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::Exists { path, watch }),
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::GetData { path, watch }),
        (text(), data(), number()).prop_map(|(path, data, version)| Request::SetData { path, data, version }),
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::GetChildren2 { path, watch }),
        text().prop_map(|path| Request::Sync { path }),
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::GetChildren { path, watch }),
        text().prop_map(|path| Request::GetAcl { path }),
        (text(), acl(), number()).prop_map(|(path, acl, version)| Request::SetAcl { path, acl, version }),
        text().prop_map(|prefix| Request::GetEphemerals { prefix }),
        text().prop_map(|path| Request::CountDescendants { path }),
        (text(), number()).prop_map(|(path, kind)| Request::CheckWatches { path, kind: kind.into() }),
        (text(), number()).prop_map(|(path, mode)| Request::AddWatch { path, mode }),
        vec(multi_op(), 0..6).prop_map(Request::Multi),
        (any::<i64>(), texts(), texts(), texts()).prop_map(|(relative_zxid, data, exist, child)| {
            Request::SetWatches { relative_zxid, data, exist, child }
        }),
        (any::<i64>(), texts(), texts(), texts(), texts(), texts()).prop_map(
            |(relative_zxid, data, exist, child, persistent, recursive)| Request::SetWatches2 {
                relative_zxid,
                data,
                exist,
                child,
                persistent,
                recursive
            }
        ),
        (text(), number())
            .prop_map(|(path, kind)| Request::RemoveWatches { path, kind: WatchKind::from(kind) }),
        (text(), secret()).prop_map(|(scheme, auth)| Request::Auth { scheme, auth }),
        Just(Request::Ping),
        Just(Request::Close),
        Just(Request::WhoAmI),
    ]
}

fn multi_result() -> impl Strategy<Value = MultiResult> {
    prop_oneof![
        text().prop_map(|path| MultiResult::Created { path }),
        (text(), stat()).prop_map(|(path, stat)| MultiResult::Created2 { path, stat }),
        stat().prop_map(MultiResult::Stat),
        Just(MultiResult::Deleted),
        Just(MultiResult::Checked),
        code().prop_map(MultiResult::Failed),
    ]
}

/// A response, with the type of a request that it answers.
pub(crate) fn response() -> impl Strategy<Value = (i32, Response)> {
    let empty = proptest::sample::select(&[
        op::DELETE,
        op::PING,
        op::REMOVE_WATCHES,
        op::CHECK_WATCHES,
        op::AUTH,
        op::SET_WATCHES,
        op::SET_WATCHES2,
        op::CLOSE,
    ]);
    prop_oneof![
        text().prop_map(|path| (op::CREATE, Response::Created { path })),
        (proptest::sample::select(&[op::CREATE2, op::CREATE_CONTAINER]), text(), stat())
            .prop_map(|(op, path, stat)| (op, Response::Created2 { path, stat })),
        (proptest::sample::select(&[op::EXISTS, op::SET_DATA]), stat())
            .prop_map(|(op, stat)| (op, Response::Stat(stat))),
        (data(), stat()).prop_map(|(data, stat)| (op::GET_DATA, Response::Data { data, stat })),
        (texts(), stat()).prop_map(|(names, stat)| (op::GET_CHILDREN2, Response::Children2 { names, stat })),
        texts().prop_map(|names| (op::GET_CHILDREN, Response::Children { names })),
        (acl(), stat()).prop_map(|(acl, stat)| (op::GET_ACL, Response::Acl { acl, stat })),
        stat().prop_map(|stat| (op::SET_ACL, Response::Stat(stat))),
        texts().prop_map(|paths| (op::GET_EPHEMERALS, Response::Ephemerals(paths))),
        number().prop_map(|count| (op::COUNT_DESCENDANTS, Response::Count(count))),
        number().prop_map(|code| (op::ADD_WATCH, Response::WatchAdded(code))),
        text().prop_map(|path| (op::SYNC, Response::Synced { path })),
        vec(multi_result(), 0..6).prop_map(|results| (op::MULTI, Response::Multi(results))),
        vec((text(), text()), 0..4).prop_map(|ids| (op::WHO_AM_I, Response::WhoAmI(ids))),
        empty.prop_map(|op| (op, Response::Empty)),
    ]
}

/// All request types, and some that are none.
pub(crate) fn any_op() -> impl Strategy<Value = i32> {
    let known = proptest::sample::select(ALL_OPS);
    prop_oneof![9 => known, 1 => any::<i32>()]
}

/// All request types that can stand in a header.
pub(crate) const ALL_OPS: &[i32] = &[
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
    op::GET_CHILDREN,
    op::GET_ACL,
    op::SET_ACL,
    op::GET_EPHEMERALS,
    op::COUNT_DESCENDANTS,
    op::CHECK_WATCHES,
    op::ADD_WATCH,
    op::AUTH,
    op::SET_WATCHES,
    op::SET_WATCHES2,
    op::WHO_AM_I,
    op::CLOSE,
];

/// Bytes that have a chance of being a record: words that occur in records, between noise.
pub(crate) fn plausible_bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => (-2..20i32).prop_map(|n| n.to_be_bytes().to_vec()),
        1 => any::<i32>().prop_map(|n| n.to_be_bytes().to_vec()),
        1 => Just(i32::MAX.to_be_bytes().to_vec()),
        1 => Just(b"\0\0\0\x02/a".to_vec()),
        2 => vec(any::<u8>(), 0..9),
    ];
    vec(word, 0..40).prop_map(|words| words.concat())
}
