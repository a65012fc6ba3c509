//! What is on record is what was there: replay and snapshots.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// One step of a random life of a state.
#[derive(Debug, Clone)]
enum Step {
    Connect,
    Close(usize),
    Expire,
    Containers,
    Wait(u64),
    Ask(usize, Request),
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof!["(/[ab]){1,3}", Just("/".to_owned()), Just("/a/s0000000000".to_owned())]
}

fn mode() -> impl Strategy<Value = CreateMode> {
    (0..5_i32).prop_map(CreateMode::from)
}

fn acl() -> impl Strategy<Value = Vec<Acl>> {
    prop_oneof![
        4 => Just(vec![Acl::anyone(perms::ALL)]),
        1 => Just(vec![Acl::new(perms::ALL, "ip", "127.0.0.1"), Acl::anyone(perms::READ)]),
    ]
}

fn op() -> impl Strategy<Value = MultiOp> {
    let data = || proptest::option::of(vec(any::<u8>(), 0..4));
    prop_oneof![
        4 => (path(), data(), acl(), mode())
            .prop_map(|(path, data, acl, mode)| MultiOp::Create2 { path, data, acl, mode }),
        1 => (path(), data(), acl())
            .prop_map(|(path, data, acl)| MultiOp::CreateContainer { path, data, acl, mode: CreateMode::Container }),
        2 => (path(), -1..2_i32).prop_map(|(path, version)| MultiOp::Delete { path, version }),
        2 => (path(), data(), -1..2_i32)
            .prop_map(|(path, data, version)| MultiOp::SetData { path, data, version }),
        1 => (path(), -1..2_i32).prop_map(|(path, version)| MultiOp::Check { path, version }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        3 => vec(op(), 0..5).prop_map(Request::Multi),
        3 => (path(), acl(), mode())
            .prop_map(|(path, acl, mode)| Request::Create { path, data: None, acl, mode }),
        2 => (path(), -1..2_i32).prop_map(|(path, version)| Request::Delete { path, version }),
        1 => (path(), acl(), -1..2_i32)
            .prop_map(|(path, acl, version)| Request::SetAcl { path, acl, version }),
        1 => (path(), any::<bool>()).prop_map(|(path, watch)| Request::Exists { path, watch }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Connect),
        1 => (0..4_usize).prop_map(Step::Close),
        1 => Just(Step::Expire),
        1 => Just(Step::Containers),
        1 => (0..6000_u64).prop_map(Step::Wait),
        20 => (0..4_usize, request()).prop_map(|(on, request)| Step::Ask(on, request)),
    ]
}

fn live(lab: &mut Lab, steps: Vec<Step>) {
    let mut connections = vec![lab.connect()];
    for step in steps {
        match step {
            Step::Connect if connections.len() < 40 => connections.push(lab.connect()),
            Step::Connect => {}
            Step::Close(on) => {
                let on = connections[on % connections.len()];
                lab.run(|state, now, effects| {
                    state.request(on, 0, Request::Close.op(), Ok(Request::Close), now, effects);
                });
            }
            Step::Expire => lab.run(State::expire),
            Step::Containers => lab.run(State::delete_spent_containers),
            Step::Wait(millis) => lab.wait(Duration::from_millis(millis)),
            Step::Ask(on, request) => {
                let on = connections[on % connections.len()];
                lab.run(|state, now, effects| {
                    state.request(on, 0, request.op(), Ok(request), now, effects);
                });
            }
        }
    }
}

proptest! {
    #[test]
    fn a_replay_gives_the_same_state(first in vec(step(), 0..60), then in vec(step(), 0..60)) {
        let mut lab = Lab::new();
        live(&mut lab, first);
        let (middle, so_far) = (lab.state.snapshot(), lab.records.len());
        live(&mut lab, then);
        let end = lab.state.snapshot();

        let mut replayed = State::new(Limits::default(), BASE);
        for (zxid, record) in &lab.records {
            replayed.replay(*zxid, record).unwrap();
        }
        prop_assert_eq!(&replayed.snapshot(), &end);
        prop_assert_eq!(&replayed.tree, &lab.state.tree);

        let mut restored = State::from_snapshot(&middle, Limits::default()).unwrap();
        prop_assert_eq!(&restored.snapshot(), &middle);
        for (zxid, record) in &lab.records[so_far..] {
            restored.replay(*zxid, record).unwrap();
        }
        prop_assert_eq!(&restored.snapshot(), &end);
        prop_assert_eq!(&restored.tree, &lab.state.tree);
    }

    #[test]
    fn records_that_do_not_fit_are_refused_without_a_panic(
        steps in vec(step(), 0..40),
        skip in 0..20_usize,
        noise in vec(any::<u8>(), 0..80),
    ) {
        let mut lab = Lab::new();
        live(&mut lab, steps);
        let mut state = State::new(Limits::default(), BASE);
        prop_assert!(state.replay(BASE + 2, &noise).is_err(), "not the next zxid");
        let _ = state.replay(BASE + 1, &noise);
        let mut state = State::new(Limits::default(), BASE);
        for (index, (_, record)) in lab.records.iter().enumerate() {
            // One is left out: what comes after it may not fit, and must not panic.
            if index != skip && state.replay(state.last_zxid() + 1, record).is_err() {
                break;
            }
        }
        let _ = State::from_snapshot(&noise, Limits::default());
        let snapshot = lab.state.snapshot();
        for cut in 0..snapshot.len() {
            prop_assert!(State::from_snapshot(&snapshot[..cut], Limits::default()).is_err());
        }
    }
}

#[test]
fn sequence_numbers_and_session_ids_are_not_given_twice_after_a_restart() {
    let mut lab = Lab::new();
    let (me, session, _) = lab.handshake(0, &[], 10_000);
    lab.create(me, "/p", CreateMode::Persistent).unwrap();
    lab.create(me, "/p/s", CreateMode::PersistentSequential).unwrap();
    lab.call(me, delete("/p/s0000000000")).unwrap();
    lab.call(me, Request::Close).unwrap();
    lab.state = State::from_snapshot(&lab.state.snapshot(), Limits::default()).unwrap();
    // The clock was set back meanwhile.
    lab.now.wall_ms -= 3_600_000;
    let (me, later, _) = lab.handshake(0, &[], 10_000);
    assert!(later > session);
    assert_eq!(lab.create(me, "/p/s", CreateMode::PersistentSequential).unwrap(), "/p/s0000000001");
}

/// A client that was promised a longer timeout when it came back has it after a restart too, whether the
/// promise is read from the log or from a snapshot.
#[test]
fn a_timeout_that_a_resumption_made_longer_is_the_one_that_a_restart_begins_with() {
    let mut lab = Lab::new();
    let (_, session, password) = lab.handshake(0, &[], 4_000);
    let (early, so_far) = (lab.state.snapshot(), lab.records.len());
    lab.handshake(session, &password, 30_000);
    let replay = |mut state: State, records: &[(i64, Vec<u8>)]| {
        for (zxid, record) in records {
            state.replay(*zxid, record).unwrap();
        }
        state
    };
    let snapshot = |bytes: &[u8]| State::from_snapshot(bytes, Limits::default()).unwrap();
    for mut state in [
        replay(State::new(Limits::default(), BASE), &lab.records),
        replay(snapshot(&early), &lab.records[so_far..]),
        snapshot(&lab.state.snapshot()),
    ] {
        state.revive(lab.now);
        assert_eq!(state.next_deadline(), Some(lab.now.elapsed + Duration::from_secs(30)));
    }
}
