//! Which of several errors a client sees.

use super::*;

fn create_code(lab: &mut Lab, me: ConnectionId, path: &str, mode: i32, acl: &[Acl]) -> ErrorCode {
    let (path, acl) = (path.to_owned(), acl.to_vec());
    lab.call(me, Request::Create { path, data: None, acl, mode: mode.into() }).expect_err("refused")
}

/// W13.
#[test]
fn create_looks_at_mode_slash_list_parent_permission_path_node_in_this_order() {
    let mut lab = Lab::new();
    let me = lab.connect();
    let open = [Acl::anyone(perms::ALL)];
    let closed = vec![Acl::anyone(perms::READ)];
    lab.call(me, create_with("/closed", CreateMode::Persistent, closed)).unwrap();
    lab.create(me, "/a", CreateMode::Persistent).unwrap();
    lab.create(me, "/e", CreateMode::Ephemeral).unwrap();
    let cases: [(&str, i32, &[Acl], ErrorCode); 17] = [
        ("abc", 7, &[], ErrorCode::BadArguments),
        ("/a/b", 5, &open, ErrorCode::BadArguments),
        ("/a/b", -1, &open, ErrorCode::BadArguments),
        ("abc", 0, &[], ErrorCode::BadArguments),
        ("/no\0/b", 0, &[], ErrorCode::BadArguments),
        ("/no/b", 0, &[], ErrorCode::InvalidAcl),
        ("/no/b/", 0, &open, ErrorCode::NoNode),
        ("/a//b", 0, &open, ErrorCode::NoNode),
        ("/closed/..", 0, &open, ErrorCode::NoAuth),
        ("/a/..", 0, &open, ErrorCode::BadArguments),
        ("/a/", 0, &open, ErrorCode::BadArguments),
        ("/a/\u{1f600}", 0, &open, ErrorCode::BadArguments),
        ("/a/\u{e000}", 0, &open, ErrorCode::BadArguments),
        ("/", 0, &open, ErrorCode::NodeExists),
        ("/a", 0, &open, ErrorCode::NodeExists),
        ("/e/..", 0, &open, ErrorCode::BadArguments),
        ("/e/x", 1, &open, ErrorCode::NoChildrenForEphemerals),
    ];
    for (path, mode, acl, code) in cases {
        assert_eq!(create_code(&mut lab, me, path, mode, acl), code, "{path:?} with mode {mode}");
    }
    assert!(lab.create(me, "/a/\u{a0}", CreateMode::Persistent).is_ok());
}

#[test]
fn delete_looks_at_the_parent_before_the_node() {
    let mut lab = Lab::new();
    let me = lab.connect();
    let closed = vec![Acl::anyone(perms::ALL - perms::DELETE)];
    lab.call(me, create_with("/closed", CreateMode::Persistent, closed)).unwrap();
    let own = vec![Acl::new(perms::ALL, "digest", "nobody:x")];
    lab.call(me, create_with("/own", CreateMode::Persistent, own)).unwrap();
    lab.create(me, "/a", CreateMode::Persistent).unwrap();
    lab.create(me, "/a/b", CreateMode::Persistent).unwrap();
    for (path, version, code) in [
        ("abc", -1, ErrorCode::BadArguments),
        ("/", -1, ErrorCode::BadArguments),
        ("/no/b", -1, ErrorCode::NoNode),
        ("/closed/no", -1, ErrorCode::NoAuth),
        ("/no", -1, ErrorCode::NoNode),
        ("/a", 1, ErrorCode::BadVersion),
        ("/a", 0, ErrorCode::NotEmpty),
    ] {
        assert_eq!(lab.call(me, Request::Delete { path: path.into(), version }), Err(code), "{path}");
    }
    assert!(lab.call(me, delete("/own")).is_ok(), "a node's own list does not guard its deletion");
}

#[test]
fn set_looks_at_path_node_permission_version() {
    let mut lab = Lab::new();
    let me = lab.connect();
    let closed = vec![Acl::anyone(perms::READ)];
    lab.call(me, create_with("/closed", CreateMode::Persistent, closed)).unwrap();
    lab.create(me, "/a", CreateMode::Persistent).unwrap();
    for (path, version, code) in [
        ("/a/", 5, ErrorCode::BadArguments),
        ("", 5, ErrorCode::BadArguments),
        ("/no", 5, ErrorCode::NoNode),
        ("/closed", 5, ErrorCode::NoAuth),
        ("/a", 5, ErrorCode::BadVersion),
    ] {
        let request = Request::SetData { path: path.into(), data: None, version };
        assert_eq!(lab.call(me, request), Err(code), "{path}");
    }
    let set = |path: &str, acl: Vec<Acl>, version| Request::SetAcl { path: path.into(), acl, version };
    let open = || vec![Acl::anyone(perms::ALL)];
    assert_eq!(lab.call(me, set("/a/", Vec::new(), 5)), Err(ErrorCode::BadArguments));
    assert_eq!(lab.call(me, set("/no", Vec::new(), 5)), Err(ErrorCode::InvalidAcl));
    assert_eq!(lab.call(me, set("/no", open(), 5)), Err(ErrorCode::NoNode));
    assert_eq!(lab.call(me, set("/closed", open(), 5)), Err(ErrorCode::NoAuth));
    assert_eq!(lab.call(me, set("/a", open(), 5)), Err(ErrorCode::BadVersion));
}

#[test]
fn reads_validate_nothing() {
    let mut lab = Lab::new();
    let me = lab.connect();
    for path in ["abc", "/a/../b", "//", "/\u{1f600}"] {
        assert_eq!(lab.call(me, get(path, true)), Err(ErrorCode::NoNode), "{path}");
    }
    assert!(lab.call(me, get("", false)).is_ok(), "the empty path is the root");
    assert_eq!(lab.call(me, exists("/\0", false)), Err(ErrorCode::BadArguments));
}
