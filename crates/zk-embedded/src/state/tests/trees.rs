//! Zxids, stats, sequence numbers, containers, multis.

use super::*;

#[test]
fn every_write_takes_a_zxid_and_no_read_does() {
    let mut lab = Lab::new();
    let me = lab.connect();
    assert_eq!(
        lab.call_with_zxid(me, create("/a", CreateMode::Persistent)).0,
        2,
        "createSession was the first"
    );
    assert_eq!(lab.call_with_zxid(me, get("/a", true)).0, 2);
    assert_eq!(lab.call_with_zxid(me, Request::Sync { path: "/no".into() }).0, 2);
    let refused = lab.call_with_zxid(me, create("/a", CreateMode::Persistent));
    assert_eq!(refused, (3, Err(ErrorCode::NodeExists)), "a refused write, too");
    assert_eq!(lab.call_with_zxid(me, exists("/a", false)).0, 3);
    assert_eq!(lab.call_with_zxid(me, Request::Close).0, 4);
    let zxids: Vec<i64> = lab.records.iter().map(|(zxid, _)| zxid - BASE).collect();
    assert_eq!(zxids, [1, 2, 3, 4], "each is on record, without a gap");
}

#[test]
fn stats_move_as_they_should() {
    let mut lab = Lab::new();
    let me = lab.connect();
    lab.create(me, "/a", CreateMode::Persistent).unwrap();
    let fresh = lab.stat(me, "/a").unwrap();
    assert_eq!((fresh.czxid, fresh.mzxid, fresh.pzxid), (2, 2, 2));
    assert_eq!((fresh.version, fresh.cversion, fresh.aversion, fresh.data_length), (0, 0, 0, 1));
    lab.wait(Duration::from_millis(5));
    lab.call(me, set("/a", b"data")).unwrap();
    let set = lab.stat(me, "/a").unwrap();
    assert_eq!((set.mzxid, set.version, set.data_length, set.mtime - set.ctime), (3, 1, 4, 5));
    let acl = vec![Acl::anyone(perms::ALL)];
    lab.call(me, Request::SetAcl { path: "/a".into(), acl, version: 0 }).unwrap();
    let listed = lab.stat(me, "/a").unwrap();
    assert_eq!(listed, Stat { aversion: 1, ..set }, "a new list moves its own version only");
    lab.create(me, "/a/b", CreateMode::Persistent).unwrap();
    lab.create(me, "/a/b/c", CreateMode::Persistent).unwrap();
    let parent = lab.stat(me, "/a").unwrap();
    let expected = Stat { pzxid: 5, cversion: 1, num_children: 1, ..listed };
    assert_eq!(parent, expected, "a child moves pzxid and cversion, a grandchild nothing");
}

#[test]
fn a_fresh_tree_is_the_one_that_apache_makes() {
    let mut lab = Lab::new();
    let me = lab.connect();
    assert_eq!(lab.state.counts().nodes, 4);
    for (path, cversion, children) in
        [("/", -1, 1), ("/zookeeper", -2, 2), ("/zookeeper/quota", 0, 0), ("/zookeeper/config", 0, 0)]
    {
        let stat = lab.stat(me, path).unwrap();
        assert_eq!((stat.czxid, stat.pzxid, stat.cversion, stat.num_children), (0, 0, cversion, children));
        assert_eq!(lab.call(me, delete(path)), Err(ErrorCode::BadArguments), "{path}");
    }
}

#[test]
fn what_would_be_a_quota_is_refused_by_name() {
    let mut lab = Lab::new();
    let me = lab.connect();
    for path in ["/zookeeper/quota/a", "/zookeeper/quota/a/zookeeper_limits"] {
        assert_eq!(lab.create(me, path, CreateMode::Persistent), Err(ErrorCode::Unimplemented), "{path}");
    }
    assert!(lab.create(me, "/zookeeper/quotas", CreateMode::Persistent).is_ok());
}

#[test]
fn sequence_numbers_count_every_child_ever_made() {
    let mut lab = Lab::new();
    let me = lab.connect();
    lab.create(me, "/p", CreateMode::Persistent).unwrap();
    assert_eq!(lab.create(me, "/p/", CreateMode::PersistentSequential).unwrap(), "/p/0000000000");
    lab.create(me, "/p/plain", CreateMode::Persistent).unwrap();
    assert_eq!(lab.create(me, "/p/e-", CreateMode::EphemeralSequential).unwrap(), "/p/e-0000000002");
    lab.call(me, delete("/p/e-0000000002")).unwrap();
    assert_eq!(lab.create(me, "/p/e-", CreateMode::EphemeralSequential).unwrap(), "/p/e-0000000003");
    let stat = lab.stat(me, "/p").unwrap();
    assert_eq!((stat.cversion, stat.num_children), (5, 3), "four made and one deleted");
    assert_eq!(lab.create(me, "/p/plain", CreateMode::Persistent), Err(ErrorCode::NodeExists));
    let next = lab.create(me, "/p/e-", CreateMode::PersistentSequential).unwrap();
    assert_eq!(next, "/p/e-0000000004", "a refused create takes no number");
}

#[test]
fn null_and_empty_data_stay_different() {
    let mut lab = Lab::new();
    let me = lab.connect();
    for (path, data) in [("/null", None), ("/empty", Some(Vec::new()))] {
        let acl = vec![Acl::anyone(perms::ALL)];
        let mode = CreateMode::Persistent;
        lab.call(me, Request::Create { path: path.into(), data: data.clone(), acl, mode }).unwrap();
        let answer = lab.call(me, get(path, false));
        assert!(matches!(answer, Ok(Response::Data { data: read, .. }) if read == data), "{path}");
    }
}

/// W13: children of ephemerals.
#[test]
fn only_ephemerals_have_an_owner_and_no_children() {
    let mut lab = Lab::new();
    let (me, session, _) = lab.handshake(0, &[], 10_000);
    lab.create(me, "/e", CreateMode::Ephemeral).unwrap();
    assert_eq!(lab.stat(me, "/e").unwrap().ephemeral_owner, session);
    assert_eq!(lab.create(me, "/e/c", CreateMode::Persistent), Err(ErrorCode::NoChildrenForEphemerals));
    let acl = vec![Acl::anyone(perms::ALL)];
    let container =
        Request::CreateContainer { path: "/c".into(), data: None, acl, mode: CreateMode::Container };
    lab.call(me, container).unwrap();
    assert_eq!(lab.stat(me, "/c").unwrap().ephemeral_owner, 0);
    lab.create(me, "/c/child", CreateMode::Persistent).unwrap();
}

#[test]
fn a_container_goes_when_its_last_child_has_gone() {
    let mut lab = Lab::new();
    let me = lab.connect();
    let acl = vec![Acl::anyone(perms::ALL)];
    for path in ["/used", "/unused"] {
        let (path, acl) = (path.to_owned(), acl.clone());
        let mode = CreateMode::Container;
        lab.call(me, Request::CreateContainer { path, data: None, acl, mode }).unwrap();
    }
    // Through a plain create the mode makes an ordinary node.
    lab.create(me, "/plain", CreateMode::Container).unwrap();
    for path in ["/used/c", "/plain/c"] {
        lab.create(me, path, CreateMode::Persistent).unwrap();
    }
    lab.run(State::delete_spent_containers);
    assert!(lab.stat(me, "/used").is_ok(), "it has a child");
    for path in ["/used/c", "/plain/c"] {
        lab.call(me, delete(path)).unwrap();
    }
    lab.call(me, exists("/used", true)).unwrap();
    lab.run(State::delete_spent_containers);
    assert_eq!(lab.stat(me, "/used"), Err(ErrorCode::NoNode));
    assert_eq!(lab.events(me).len(), 1, "watches hear of it");
    assert!(lab.stat(me, "/unused").is_ok() && lab.stat(me, "/plain").is_ok());
}

#[test]
fn the_operations_of_a_multi_see_each_other_and_share_a_zxid() {
    let mut lab = Lab::new();
    let me = lab.connect();
    let ops = vec![
        create_op("/a", CreateMode::Persistent),
        create_op("/a/s", CreateMode::PersistentSequential),
        create_op("/a/s", CreateMode::PersistentSequential),
        MultiOp::SetData { path: "/a".into(), data: Some(vec![1]), version: 0 },
        MultiOp::Check { path: "/a".into(), version: 1 },
        delete_op("/a/s0000000000"),
    ];
    let answer = lab.call(me, Request::Multi(ops)).unwrap();
    let Response::Multi(results) = answer else { panic!("{answer:?}") };
    let MultiResult::Created2 { stat, .. } = &results[0] else { panic!("{results:?}") };
    assert_eq!(stat.num_children, 0, "the stat is that of its own moment");
    assert!(matches!(&results[2], MultiResult::Created2 { path, .. } if path == "/a/s0000000001"));
    assert_eq!(results[4..], [MultiResult::Checked, MultiResult::Deleted]);
    let stat = lab.stat(me, "/a").unwrap();
    assert_eq!((stat.czxid, stat.mzxid, stat.pzxid, stat.cversion), (2, 2, 2, 3));
}

/// W12: nothing of a failed one is there.
#[test]
fn a_failed_multi_leaves_no_trace_but_its_zxid() {
    let mut lab = Lab::new();
    let me = lab.connect();
    lab.create(me, "/a", CreateMode::Persistent).unwrap();
    lab.create(me, "/a/e", CreateMode::Ephemeral).unwrap();
    lab.call(me, exists("/a", true)).unwrap();
    let before = lab.state.snapshot();
    let ops = vec![
        create_op("/a/s", CreateMode::EphemeralSequential),
        delete_op("/a/e"),
        MultiOp::SetData { path: "/a".into(), data: None, version: 0 },
        create_op("/a/x", CreateMode::Persistent),
        create_op("/a/x", CreateMode::Persistent),
        delete_op("/a"),
    ];
    let (zxid, answer) = lab.call_with_zxid(me, Request::Multi(ops));
    let codes = [ErrorCode::Ok, ErrorCode::Ok, ErrorCode::Ok, ErrorCode::Ok, ErrorCode::NodeExists];
    let mut results: Vec<MultiResult> = codes.map(MultiResult::Failed).into();
    results.push(MultiResult::Failed(ErrorCode::RuntimeInconsistency));
    assert_eq!((zxid, answer), (4, Ok(Response::Multi(results))));
    assert!(lab.events(me).is_empty());
    // Bytes 4 to 12 hold the zxid; all the rest is as it was.
    let after = lab.state.snapshot();
    assert_eq!((before[..4].to_vec(), before[12..].to_vec()), (after[..4].to_vec(), after[12..].to_vec()));
}

/// W12: no operation.
#[test]
fn an_empty_multi_is_answered_empty() {
    let mut lab = Lab::new();
    let me = lab.connect();
    assert_eq!(lab.call_with_zxid(me, Request::Multi(Vec::new())), (2, Ok(Response::Multi(Vec::new()))));
}

#[test]
fn the_tree_keeps_within_its_limits() {
    let mut lab = Lab::with(Limits { nodes: 6, bytes: 2000, ..Limits::default() });
    let me = lab.connect();
    lab.create(me, "/a", CreateMode::Persistent).unwrap();
    assert_eq!(lab.call(me, set("/a", &[0; 2000])), Err(ErrorCode::QuotaExceeded));
    lab.call(me, set("/a", &[0; 1000])).unwrap();
    lab.create(me, "/b", CreateMode::Persistent).unwrap();
    assert_eq!(lab.create(me, "/c", CreateMode::Persistent), Err(ErrorCode::QuotaExceeded));
    let weight = lab.state.counts().bytes;
    lab.call(me, delete("/b")).unwrap();
    lab.create(me, "/b", CreateMode::Persistent).unwrap();
    assert_eq!(lab.state.counts().bytes, weight);
}

#[test]
fn a_list_too_long_for_an_answer_is_not_made() {
    let mut lab = Lab::new();
    let me = lab.connect();
    lab.create(me, "/p", CreateMode::Persistent).unwrap();
    for number in 0..13 {
        let name = format!("/p/{number:02}{}", "n".repeat((1 << 20) - 64));
        lab.create(me, &name, CreateMode::Persistent).unwrap();
        if number < 12 {
            assert!(lab.call(me, children("/p", false)).is_ok(), "{number}");
        }
    }
    lab.run(|state, now, effects| state.request(me, 99, 8, Ok(children("/p", false)), now, effects));
    assert!(matches!(lab.hung_up(me), Some(Farewell::LongAnswer(13_000_000..))));
}
