//! Sessions: handshake, take-over, end.

use super::*;

#[test]
fn a_session_is_resumed_by_its_password_only() {
    let mut lab = Lab::new();
    let (old, session, password) = lab.handshake(0, &[], 10_000);
    let before = lab.records.len();
    let (_, nobody, _) = lab.handshake(session, &[0; PASSWORD], 10_000);
    assert_eq!(nobody, 0);
    assert_eq!(lab.hung_up(old), None, "a stranger disturbs nobody");
    let (new, same, _) = lab.handshake(session, &password, 10_000);
    assert_eq!(same, session);
    assert_eq!(lab.hung_up(old), Some(Farewell::TakenOver));
    assert_eq!(lab.records.len(), before, "a resumption is no transaction");
    lab.run(|state, now, effects| {
        state.request(old, 1, delete("/a").op(), Ok(delete("/a")), now, effects);
    });
    assert_eq!(lab.records.len(), before, "the old connection gets nothing in any more");
    assert!(lab.call(new, exists("/", false)).is_ok());
}

#[test]
fn timeouts_are_clamped_and_the_last_handshake_counts() {
    let mut lab = Lab::new();
    let (_, session, password) = lab.handshake(0, &[], 0);
    assert_eq!(lab.state.next_deadline(), Some(lab.now.elapsed + Duration::from_secs(4)));
    let records = lab.records.len();
    lab.handshake(session, &password, i32::MAX);
    assert_eq!(lab.state.next_deadline(), Some(lab.now.elapsed + Duration::from_secs(40)));
    assert_eq!(lab.records.len(), records + 1, "a longer timeout is on record, for a restart");
    lab.handshake(session, &password, 5000);
    assert_eq!(lab.records.len(), records + 1);
    assert_eq!(lab.state.next_deadline(), Some(lab.now.elapsed + Duration::from_secs(5)));
}

#[test]
fn a_clients_zxid_from_elsewhere_is_refused() {
    let mut lab = Lab::new();
    let connection = ConnectionId(99);
    let asked = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: BASE + 1,
        timeout_ms: 10_000,
        session_id: 0,
        password: Secret::default(),
        read_only: None,
    };
    lab.run(|state, now, effects| {
        state.open(connection, Ipv4Addr::LOCALHOST.into());
        state.connect(connection, &asked, [0; PASSWORD], now, effects);
    });
    assert_eq!(lab.hung_up(connection), Some(Farewell::Ahead { theirs: BASE + 1, ours: BASE }));
    assert!(lab.records.is_empty());
}

#[test]
fn the_end_of_a_session_is_one_transaction() {
    let mut lab = Lab::new();
    let (me, you) = (lab.connect(), lab.connect());
    lab.create(you, "/p", CreateMode::Persistent).unwrap();
    for _ in 0..3 {
        lab.create(me, "/p/e-", CreateMode::EphemeralSequential).unwrap();
    }
    lab.call(you, exists("/p/e-0000000001", true)).unwrap();
    lab.call(you, children("/p", true)).unwrap();
    let before = lab.state.last_zxid();
    let (zxid, _) = lab.call_with_zxid(me, Request::Close);
    assert_eq!(zxid, before + 1 - BASE);
    assert_eq!(lab.hung_up(me), Some(Farewell::Closed));
    assert_eq!(lab.events(you).len(), 2);
    let stat = lab.stat(you, "/p").unwrap();
    assert_eq!((stat.num_children, stat.cversion, stat.pzxid), (0, 6, zxid));
    assert_eq!(lab.state.counts().ephemerals, 0);
}

#[test]
fn who_is_silent_for_too_long_is_gone_and_hears_nothing_of_it() {
    let mut lab = Lab::new();
    let me = lab.connect();
    lab.create(me, "/e", CreateMode::Ephemeral).unwrap();
    lab.call(me, exists("/e", true)).unwrap();
    lab.wait(Duration::from_millis(9_999));
    lab.run(State::expire);
    assert_eq!(lab.hung_up(me), None);
    let heard = lab.now.elapsed;
    lab.state.touch(me, heard);
    lab.wait(Duration::from_millis(9_999));
    lab.run(State::expire);
    assert_eq!(lab.hung_up(me), None, "it was heard of in the meantime");
    lab.wait(Duration::from_millis(1));
    lab.run(State::expire);
    assert_eq!(lab.hung_up(me), Some(Farewell::Expired));
    assert!(lab.events(me).is_empty());
    let you = lab.connect();
    assert_eq!(lab.stat(you, "/e"), Err(ErrorCode::NoNode));
}

#[test]
fn a_session_outlives_its_connection() {
    let mut lab = Lab::new();
    let (me, session, password) = lab.handshake(0, &[], 10_000);
    lab.create(me, "/e", CreateMode::Ephemeral).unwrap();
    lab.state.close(me);
    lab.wait(Duration::from_secs(9));
    let (again, same, _) = lab.handshake(session, &password, 10_000);
    assert_eq!(same, session);
    lab.wait(Duration::from_secs(9));
    lab.run(State::expire);
    assert!(lab.stat(again, "/e").is_ok());
    assert_eq!(lab.call(again, Request::GetEphemerals { prefix: "/".into() }), {
        Ok(Response::Ephemerals(vec!["/e".into()]))
    });
}

#[test]
fn there_are_not_more_sessions_than_there_may_be() {
    let mut lab = Lab::with(Limits { sessions: 1, ..Limits::default() });
    lab.connect();
    let connection = ConnectionId(50);
    let asked = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms: 10_000,
        session_id: 0,
        password: Secret::default(),
        read_only: None,
    };
    lab.run(|state, now, effects| {
        state.open(connection, Ipv4Addr::LOCALHOST.into());
        state.connect(connection, &asked, [0; PASSWORD], now, effects);
    });
    assert_eq!(lab.hung_up(connection), Some(Farewell::TooManySessions));
}

#[test]
fn another_boot_ends_all_sessions() {
    let mut lab = Lab::new();
    lab.run(|state, now, effects| state.begin_boot("one", now, effects));
    let me = lab.connect();
    lab.create(me, "/e", CreateMode::Ephemeral).unwrap();
    lab.run(|state, now, effects| state.begin_boot("one", now, effects));
    assert_eq!(lab.state.counts().sessions, 1);
    lab.run(|state, now, effects| state.begin_boot("two", now, effects));
    assert_eq!((lab.state.counts().sessions, lab.state.counts().ephemerals), (0, 0));
}

/// S18: the wall clock goes back by an hour. Sessions end by the other clock; ids and zxids rise on; only the
/// times in stats fall.
#[test]
fn the_wall_clock_may_go_back() {
    let mut lab = Lab::new();
    let (me, first, _) = lab.handshake(0, &[], 10_000);
    lab.call(me, create("/before", CreateMode::Persistent)).unwrap();
    lab.now.wall_ms -= 3_600_000;
    let (_, second, _) = lab.handshake(0, &[], 20_000);
    assert!(second > first, "{second:#x} after {first:#x}");
    lab.call(me, create("/after", CreateMode::Persistent)).unwrap();
    let (before, after) = (lab.stat(me, "/before").unwrap(), lab.stat(me, "/after").unwrap());
    assert!(after.czxid > before.czxid && after.ctime < before.ctime);
    lab.wait(Duration::from_secs(9));
    lab.run(|state, now, effects| state.expire(now, effects));
    assert!(lab.stat(me, "/").is_ok(), "nobody ends early");
    lab.wait(Duration::from_secs(1));
    lab.run(|state, now, effects| state.expire(now, effects));
    assert_eq!(lab.hung_up(me), Some(Farewell::Expired));
    assert_eq!(lab.state.counts().sessions, 1, "and nobody late");
}
