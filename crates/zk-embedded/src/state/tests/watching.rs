//! Watches: what fires what, for whom, and in which order.

use super::*;
use zk_wire::WatchKind;

fn names(events: &[(i64, EventKind, String)]) -> Vec<(EventKind, &str)> {
    events.iter().map(|(_, kind, path)| (*kind, path.as_str())).collect()
}

#[test]
fn each_change_tells_those_whom_it_concerns() {
    use EventKind::{ChildrenChanged, Created, DataChanged, Deleted};
    let mut lab = Lab::new();
    let (me, you) = (lab.connect(), lab.connect());
    lab.create(me, "/p", CreateMode::Persistent).unwrap();
    lab.call(you, exists("/p/a", true)).unwrap_err();
    lab.call(you, children("/p", true)).unwrap();
    lab.create(me, "/p/a", CreateMode::Persistent).unwrap();
    let events = lab.events(you);
    assert_eq!(names(&events), [(Created, "/p/a"), (ChildrenChanged, "/p")]);
    assert!(events.iter().all(|(zxid, ..)| *zxid == 4), "the zxid is that of the change");

    lab.create(me, "/p/b", CreateMode::Persistent).unwrap();
    assert!(lab.events(you).is_empty(), "they were one-shot");

    lab.call(you, get("/p/a", true)).unwrap();
    lab.call(you, get("/p/a", true)).unwrap();
    lab.call(me, set("/p/a", b"1")).unwrap();
    lab.call(me, set("/p/a", b"2")).unwrap();
    assert_eq!(names(&lab.events(you)), [(DataChanged, "/p/a")], "asked twice, told once");

    lab.call(you, get("/p/a", true)).unwrap();
    lab.call(you, children("/p/a", true)).unwrap();
    lab.call(you, children("/p", true)).unwrap();
    lab.call(me, delete("/p/a")).unwrap();
    assert_eq!(names(&lab.events(you)), [(Deleted, "/p/a"), (ChildrenChanged, "/p")], "one deletion");
    assert_eq!(lab.state.counts().watches, 0, "both were used up");

    lab.call(you, exists("/p", true)).unwrap();
    let acl = vec![Acl::anyone(perms::ALL)];
    lab.call(me, Request::SetAcl { path: "/p".into(), acl, version: -1 }).unwrap();
    assert!(lab.events(you).is_empty(), "a new list is no event");
}

#[test]
fn reads_of_what_is_not_there_leave_no_watch() {
    let mut lab = Lab::new();
    let me = lab.connect();
    lab.call(me, get("/a", true)).unwrap_err();
    lab.call(me, children("/a", true)).unwrap_err();
    assert_eq!(lab.state.counts().watches, 0);
    lab.call(me, exists("/a", true)).unwrap_err();
    assert_eq!(lab.state.counts().watches, 1);
}

#[test]
fn persistent_watches_stay_and_tell_each_change_once() {
    use EventKind::{ChildrenChanged, Created, DataChanged, Deleted};
    let mut lab = Lab::new();
    let me = lab.connect();
    lab.call(me, Request::AddWatch { path: "/a".into(), mode: 0 }).unwrap();
    lab.create(me, "/a", CreateMode::Persistent).unwrap();
    lab.call(me, get("/a", true)).unwrap();
    lab.call(me, set("/a", b"")).unwrap();
    lab.create(me, "/a/b", CreateMode::Persistent).unwrap();
    lab.call(me, delete("/a/b")).unwrap();
    lab.call(me, delete("/a")).unwrap();
    let expected = [Created, DataChanged, ChildrenChanged, ChildrenChanged, Deleted].map(|kind| (kind, "/a"));
    assert_eq!(names(&lab.events(me)), expected);
    assert_eq!(
        lab.call(me, Request::AddWatch { path: "/a".into(), mode: 7 }),
        Err(ErrorCode::MarshallingError)
    );
    assert_eq!(lab.call(me, Request::AddWatch { path: "/a".into(), mode: 1 }), Err(ErrorCode::Unimplemented));
}

#[test]
fn an_event_comes_before_every_answer_that_shows_the_change() {
    let mut lab = Lab::new();
    let (me, you) = (lab.connect(), lab.connect());
    lab.create(me, "/a", CreateMode::Persistent).unwrap();
    for watcher in [me, you] {
        lab.call(watcher, get("/a", true)).unwrap();
    }
    lab.outputs.clear();
    lab.run(|state, now, effects| {
        state.request(me, 1, set("/a", b"").op(), Ok(set("/a", b"")), now, effects);
        state.request(you, 2, get("/a", false).op(), Ok(get("/a", false)), now, effects);
    });
    for watcher in [me, you] {
        let mut own = lab.outputs.iter().filter(|(to, _)| *to == watcher).map(|(_, output)| output);
        assert!(matches!(own.next(), Some(Output::Event { .. })));
        assert!(matches!(own.next(), Some(Output::Reply { .. })));
    }
}

#[test]
fn a_multis_events_come_in_the_order_of_its_operations() {
    let mut lab = Lab::new();
    let (me, you) = (lab.connect(), lab.connect());
    for path in ["/b", "/a"] {
        lab.create(me, path, CreateMode::Persistent).unwrap();
        lab.call(you, get(path, true)).unwrap();
    }
    let set = |path: &str| MultiOp::SetData { path: path.into(), data: None, version: -1 };
    lab.call(me, Request::Multi(vec![set("/a"), delete_op("/b")])).unwrap();
    let events = lab.events(you);
    assert_eq!(names(&events), [(EventKind::DataChanged, "/a"), (EventKind::Deleted, "/b")]);
}

#[test]
fn what_was_missed_is_made_up_for_when_watches_are_set_again() {
    use EventKind::{ChildrenChanged, Created, DataChanged, Deleted};
    let mut lab = Lab::new();
    let me = lab.connect();
    for path in ["/same", "/set", "/grown"] {
        lab.create(me, path, CreateMode::Persistent).unwrap();
    }
    let seen = lab.state.last_zxid();
    lab.call(me, set("/set", b"")).unwrap();
    lab.create(me, "/grown/c", CreateMode::Persistent).unwrap();
    let paths = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let again = Request::SetWatches2 {
        relative_zxid: seen,
        data: paths(&["/gone", "/same", "/set", "/grown"]),
        exist: paths(&["/same", "/never"]),
        child: paths(&["/gone", "/grown", "/same", "/set"]),
        persistent: paths(&["/p"]),
        recursive: Vec::new(),
    };
    let (zxid, answer) = lab.call_with_zxid(me, again);
    assert_eq!((zxid, answer), (6, Ok(Response::Empty)));
    let events = lab.events(me);
    let expected = [
        (Deleted, "/gone"),
        (DataChanged, "/set"),
        (Created, "/same"),
        (Deleted, "/gone"),
        (ChildrenChanged, "/grown"),
    ];
    assert_eq!(names(&events), expected);
    assert!(events.iter().all(|(zxid, ..)| *zxid == -1));
    // What did not happen is waited for: data of /same and /grown, /never, children of /same and /set, /p.
    assert_eq!(lab.state.counts().watches, 6);
    let recursive = Request::SetWatches2 {
        relative_zxid: seen,
        data: Vec::new(),
        exist: Vec::new(),
        child: Vec::new(),
        persistent: Vec::new(),
        recursive: paths(&["/"]),
    };
    assert_eq!(lab.call(me, recursive), Err(ErrorCode::Unimplemented));
}

#[test]
fn watches_are_taken_back_by_their_kind() {
    let mut lab = Lab::new();
    let me = lab.connect();
    lab.create(me, "/a", CreateMode::Persistent).unwrap();
    let remove = |kind: i32| Request::RemoveWatches { path: "/a".into(), kind: WatchKind::from(kind) };
    let check = |kind: i32| Request::CheckWatches { path: "/a".into(), kind: WatchKind::from(kind) };
    let set_all = |lab: &mut Lab| {
        lab.call(me, get("/a", true)).unwrap();
        lab.call(me, children("/a", true)).unwrap();
        lab.call(me, Request::AddWatch { path: "/a".into(), mode: 0 }).unwrap();
    };
    set_all(&mut lab);
    for kind in [1, 2, 4] {
        assert_eq!(lab.call(me, check(kind)), Ok(Response::Empty));
        assert_eq!(lab.call(me, remove(kind)), Ok(Response::Empty));
        assert_eq!(lab.call(me, remove(kind)), Err(ErrorCode::NoWatcher));
        assert_eq!(lab.call(me, check(kind)), Err(ErrorCode::NoWatcher));
    }
    set_all(&mut lab);
    assert_eq!(lab.call(me, remove(5)), Err(ErrorCode::NoWatcher));
    assert_eq!(lab.call(me, remove(3)), Ok(Response::Empty));
    assert_eq!(lab.state.counts().watches, 0);
    assert_eq!(lab.call(me, remove(6)), Err(ErrorCode::MarshallingError));
}

#[test]
fn watches_are_the_connections_and_go_with_it() {
    let mut lab = Lab::new();
    let (old, session, password) = lab.handshake(0, &[], 10_000);
    lab.call(old, exists("/a", true)).unwrap_err();
    let (new, _, _) = lab.handshake(session, &password, 10_000);
    assert_eq!(lab.state.counts().watches, 0);
    lab.create(new, "/a", CreateMode::Persistent).unwrap();
    assert!(lab.events(new).is_empty() && lab.events(old).is_empty());
}

/// W16: more watches than there may be.
#[test]
fn too_many_watches_end_the_connection() {
    let watches = crate::state::WatchLimits { per_connection: 3 * (WATCH_OVERHEAD + 2), total: 1 << 20 };
    let mut lab = Lab::with(Limits { watches, ..Limits::default() });
    let me = lab.connect();
    let data = (0..5).map(|number| format!("/{number}")).collect();
    let request = Request::SetWatches { relative_zxid: 0, data: Vec::new(), exist: data, child: Vec::new() };
    let op = request.op();
    lab.run(|state, now, effects| state.request(me, 1, op, Ok(request), now, effects));
    assert_eq!(lab.hung_up(me), Some(Farewell::TooManyWatches));
    assert_eq!(lab.state.counts().watches, 0);
}
