//! Credentials, and who may do and hear what.

use super::*;
use crate::state::digest_id;

fn auth(user: &str) -> Request {
    Request::Auth { scheme: "digest".into(), auth: user.as_bytes().into() }
}

#[test]
fn a_creators_list_holds_what_the_connection_has_proved() {
    let mut lab = Lab::new();
    let (me, you) = (lab.connect(), lab.connect());
    let mine = || create_with("/mine", CreateMode::Persistent, vec![Acl::creator(perms::ALL)]);
    assert_eq!(lab.call(me, mine()), Err(ErrorCode::InvalidAcl), "nothing proved yet");
    assert_eq!(lab.call_with_zxid(me, auth("me:1")), (-BASE, Ok(Response::Empty)), "under the zxid 0");
    lab.call(me, mine()).unwrap();
    let list = vec![Acl::new(perms::ALL, "digest", digest_id("me:1"))];
    let answer = lab.call(me, Request::GetAcl { path: "/mine".into() });
    assert!(matches!(answer, Ok(Response::Acl { acl, .. }) if acl == list));
    for request in [get("/mine", false), children("/mine", false), exists("/mine", true), set("/mine", b"")] {
        assert_eq!(lab.call(you, request), Err(ErrorCode::NoAuth));
    }
    lab.call(you, auth("you:2")).unwrap();
    lab.call(you, auth("me:1")).unwrap();
    assert!(lab.call(you, get("/mine", false)).is_ok(), "several may pile up");
    let who = lab.call(you, Request::WhoAmI).unwrap();
    let expected = [("ip", "127.0.0.1"), ("digest", "you"), ("digest", "me")];
    assert_eq!(who, Response::WhoAmI(expected.map(|(s, u)| (s.to_owned(), u.to_owned())).into()));
}

/// W15: getACL.
#[test]
fn a_list_is_masked_for_those_who_may_not_change_it() {
    let mut lab = Lab::new();
    let (me, you) = (lab.connect(), lab.connect());
    lab.call(me, auth("me:1")).unwrap();
    let list = vec![Acl::creator(perms::ALL), Acl::anyone(perms::READ)];
    lab.call(me, create_with("/a", CreateMode::Persistent, list)).unwrap();
    let answer = lab.call(you, Request::GetAcl { path: "/a".into() });
    let masked = vec![Acl::new(perms::ALL, "digest", "me:x"), Acl::anyone(perms::READ)];
    assert!(matches!(answer, Ok(Response::Acl { acl, .. }) if acl == masked));
    lab.call(me, create_with("/b", CreateMode::Persistent, vec![Acl::creator(perms::ALL)])).unwrap();
    assert_eq!(lab.call(you, Request::GetAcl { path: "/b".into() }), Err(ErrorCode::NoAuth));
}

#[test]
fn the_superuser_passes_every_check() {
    let limits = Limits { superuser: Some(digest_id("super:test")), ..Limits::default() };
    let mut lab = Lab::with(limits);
    let me = lab.connect();
    let closed = vec![Acl::new(0, "world", "anyone")];
    lab.call(me, create_with("/closed", CreateMode::Persistent, closed)).unwrap();
    assert_eq!(lab.call(me, get("/closed", false)), Err(ErrorCode::NoAuth));
    lab.call(me, auth("super:wrong")).unwrap();
    assert_eq!(lab.call(me, get("/closed", false)), Err(ErrorCode::NoAuth));
    lab.call(me, auth("super:test")).unwrap();
    assert!(lab.call(me, get("/closed", false)).is_ok());
}

#[test]
fn unknown_credentials_end_the_connection_but_not_the_session() {
    let mut lab = Lab::new();
    let (me, session, password) = lab.handshake(0, &[], 10_000);
    let request = Request::Auth { scheme: "kerberos".into(), auth: Secret::default() };
    assert_eq!(lab.call(me, request), Err(ErrorCode::AuthFailed));
    assert_eq!(lab.hung_up(me), Some(Farewell::AuthFailed));
    let (again, same, _) = lab.handshake(session, &password, 10_000);
    assert_eq!(same, session);
    for number in 0..Limits::default().identities {
        let last = lab.call(again, auth(&format!("u{number}:p")));
        assert_eq!(last.is_err(), number + 1 == Limits::default().identities, "credentials are bounded");
    }
}

/// W15: neither do events tell.
#[test]
fn events_go_to_those_who_may_read() {
    let mut lab = Lab::new();
    let (me, you) = (lab.connect(), lab.connect());
    lab.call(me, auth("me:1")).unwrap();
    for watcher in [me, you] {
        lab.call(watcher, exists("/secret", true)).unwrap_err();
        lab.call(watcher, children("/", true)).unwrap();
    }
    lab.call(me, create_with("/secret", CreateMode::Persistent, vec![Acl::creator(perms::ALL)])).unwrap();
    assert_eq!(lab.events(me).len(), 2);
    let heard = lab.events(you);
    assert_eq!(heard, [(3, EventKind::ChildrenChanged, "/".to_owned())], "of the root everybody may hear");
    lab.call(you, Request::AddWatch { path: "/secret".into(), mode: 0 }).unwrap();
    lab.call(me, set("/secret", b"new")).unwrap();
    lab.call(me, delete("/secret")).unwrap();
    assert!(lab.events(you).iter().all(|(_, _, path)| path != "/secret"));
}

/// W15.
#[test]
fn a_watch_that_was_refused_is_not_set() {
    let mut lab = Lab::new();
    let (me, you) = (lab.connect(), lab.connect());
    lab.call(me, auth("me:1")).unwrap();
    lab.call(me, create_with("/a", CreateMode::Persistent, vec![Acl::creator(perms::ALL)])).unwrap();
    for request in [get("/a", true), exists("/a", true), children("/a", true)] {
        assert_eq!(lab.call(you, request), Err(ErrorCode::NoAuth));
    }
    assert_eq!(lab.state.counts().watches, 0);
}

#[test]
fn lists_that_grow_when_they_are_resolved_do_not_outgrow_a_record() {
    let mut lab = Lab::new();
    let me = lab.connect();
    for number in 0..20 {
        lab.call(me, auth(&format!("{}{number}:p", "u".repeat(4000)))).unwrap();
    }
    let create = |number: i32| MultiOp::Create {
        path: format!("/n{number}"),
        data: None,
        acl: vec![Acl::creator(perms::ALL)],
        mode: CreateMode::Persistent,
    };
    let answer = lab.call(me, Request::Multi((0..1000).map(create).collect())).unwrap();
    let Response::Multi(results) = answer else { panic!("{answer:?}") };
    assert!(results.contains(&MultiResult::Failed(ErrorCode::QuotaExceeded)));
    let longest = lab.records.iter().map(|(_, record)| record.len()).max().unwrap();
    assert!(longest < crate::journal::RECORD_LIMIT);
    assert_eq!(lab.call(me, auth(&"u".repeat(5000))), Err(ErrorCode::AuthFailed));
}

/// W14: lists that say nothing, or nothing that the server knows.
#[test]
fn lists_without_sense_are_refused() {
    let mut lab = Lab::new();
    let me = lab.connect();
    for (scheme, id) in
        [("digest", "no-colon"), ("world", "somebody"), ("nobody-knows", "x"), ("", ""), ("ip", "x")]
    {
        let acl = vec![Acl { perms: perms::ALL, scheme: scheme.into(), id: id.into() }];
        let made = lab.call(me, create_with("/a", CreateMode::Persistent, acl));
        assert_eq!(made, Err(ErrorCode::InvalidAcl), "{scheme}:{id}");
    }
    assert_eq!(lab.call(me, create_with("/a", CreateMode::Persistent, vec![])), Err(ErrorCode::InvalidAcl));
}
