//! Elections on the one server of this machine, over its unix socket.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use elector::{
    Builder, Campaign, Elector, Layout, Leadership, LeaseClock, Lost, Notice, Place, ReadError, Reader, Role,
};
use tokio::sync::broadcast::Receiver;
use zk_embedded::testing::TestServer;
use zk_ensemble::{Onlooker, report};

/// Long enough for any step that is not meant to wait for a session timeout.
const SOON: Duration = Duration::from_secs(5);
/// Short, so that a test can wait for it.
const T: Duration = Duration::from_secs(2);
const PATH: &str = "/billing";

/// A server with a journal, on a socket in a directory of its own.
struct Machine {
    server: TestServer,
    directory: tempfile::TempDir,
}

impl Machine {
    fn start() -> Machine {
        let directory = tempfile::tempdir().expect("a directory");
        let server = TestServer::builder()
            .socket(directory.path().join("socket"))
            .data_dir(directory.path().join("data"))
            .start()
            .expect("the server starts");
        Machine { server, directory }
    }

    fn place(&self) -> Place {
        Place::Local(self.directory.path().join("socket"))
    }

    fn builder(&self, id: &str) -> Builder {
        Elector::builder(self.place(), PATH).id(id)
    }

    async fn candidate(&self, id: &str) -> Elector {
        self.builder(id).session_timeout(T).connect().await.expect("the server is up")
    }

    fn zxid(&self) -> u64 {
        report(self.server.address()).expect("the server is up").zxid
    }
}

async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(SOON, what).await.expect("soon")
}

async fn until_waiting(elector: &Elector) {
    let mut roles = elector.role();
    soon(roles.wait_for(|role| matches!(role, Role::Waiting { ahead: 1, .. })))
        .await
        .expect("the driver lives");
}

/// The first leads, the second waits behind it.
async fn two(machine: &Machine) -> (Elector, Leadership, Elector, Campaign) {
    let (first, second) = (machine.candidate("first").await, machine.candidate("second").await);
    let leadership = soon(first.campaign()).await.expect("nobody else is there");
    let next = second.campaign();
    until_waiting(&second).await;
    (first, leadership, second, next)
}

/// Waits until a server carries the session again.
async fn connected(notices: &mut Receiver<Notice>) {
    while !matches!(notices.recv().await.expect("the driver lives"), Notice::Connected { .. }) {}
}

/// What was noticed up to now.
fn noticed(notices: &mut Receiver<Notice>) -> Vec<Notice> {
    std::iter::from_fn(|| notices.try_recv().ok()).collect()
}

#[test]
fn what_a_local_place_brings() {
    let place = Place::Local(PathBuf::from("/run/elections/socket"));
    assert_eq!(place.clock(), LeaseClock::Monotonic);
    assert_eq!(Place::from("zk1:2181").clock(), LeaseClock::Boot);
    let timing = Elector::builder(place.clone(), PATH).ensemble_tick(T).timing();
    assert_eq!((timing.timeout, timing.touch_lag), (Duration::from_secs(5), Duration::ZERO));
    assert_eq!(timing.probe_every, timing.timeout / 10);
    assert_eq!(Elector::builder(place, PATH).session_timeout(T).timing().timeout, T);
}

#[tokio::test]
async fn one_leads_and_hands_over() {
    let machine = Machine::start();
    let first = machine.builder("first").connect().await.unwrap();
    let mut notices = first.notices();
    let leadership = soon(first.campaign()).await.unwrap();
    let second = machine.candidate("second").await;
    let next = second.campaign();
    until_waiting(&second).await;
    let token = leadership.token();
    soon(leadership.resign()).await.unwrap();
    let next = soon(next).await.unwrap();
    assert!(next.check() && next.token() > token);
    let warnings = noticed(&mut notices);
    assert!(warnings.is_empty(), "of 5 s nobody needs to be warned here: {warnings:?}");
}

/// Nobody writes to stay what it is: neither the leader, nor who waits.
#[tokio::test]
async fn an_election_at_rest_spends_no_zxid() {
    for layout in [Layout::Latch, Layout::Single] {
        let machine = Machine::start();
        let mut electors = Vec::new();
        for id in ["first", "second", "third", "fourth"] {
            let elector = machine.builder(id).layout(layout).session_timeout(T).connect().await.unwrap();
            electors.push(elector);
        }
        let leadership = soon(electors[0].campaign()).await.unwrap();
        let waiting: Vec<Campaign> = electors[1..].iter().map(Elector::campaign).collect();
        for elector in &electors[1..] {
            let mut roles = elector.role();
            soon(roles.wait_for(|role| matches!(role, Role::Waiting { .. }))).await.unwrap();
        }
        let (before, began) = (machine.zxid(), report(machine.server.address()).unwrap().received);
        tokio::time::sleep(T * 2).await;
        assert_eq!(machine.zxid(), before, "{layout}");
        assert!(report(machine.server.address()).unwrap().received > began + 10, "they were at work");
        assert!(leadership.check(), "{layout}");
        drop(waiting);
    }
}

#[tokio::test]
async fn whose_znode_is_deleted_has_lost_at_once() {
    let machine = Machine::start();
    let (_first, leadership, _second, next) = two(&machine).await;
    let mut third = Onlooker::connect(machine.server.address()).unwrap();
    let own = third.children(PATH).unwrap().into_iter().min_by_key(|name| name[name.len() - 10..].to_owned());
    third.delete(&format!("{PATH}/{}", own.unwrap())).unwrap();
    assert_eq!(soon(leadership.lost()).await, Lost::Deposed);
    assert!(!leadership.check());
    assert!(soon(next).await.unwrap().token() > leadership.token());
}

#[tokio::test]
async fn a_one_znode_election_hands_over_and_is_lost_with_its_znode() {
    let machine = Machine::start();
    let builder = |id| machine.builder(id).layout(Layout::Single).session_timeout(T);
    let (first, second) = (builder("1").connect().await.unwrap(), builder("2").connect().await.unwrap());
    let leadership = soon(first.campaign()).await.unwrap();
    let next = second.campaign();
    until_waiting(&second).await;
    soon(leadership.resign()).await.unwrap();
    let next = soon(next).await.unwrap();
    Onlooker::connect(machine.server.address()).unwrap().delete(PATH).unwrap();
    assert_eq!(soon(next.lost()).await, Lost::Deposed);
}

/// The next host serves the same socket from the same journal. However often that happens, it does not look
/// like somebody else's use of the session.
#[tokio::test]
async fn a_host_that_dies_and_is_replaced_costs_no_leadership_and_no_place() {
    let mut machine = Machine::start();
    let (first, leadership, second, next) = two(&machine).await;
    let (mut of_first, mut of_second) = (first.notices(), second.notices());
    for _ in 0..6 {
        let mut notices = [first.notices(), second.notices()];
        machine.server.kill();
        machine.server.restart().unwrap();
        for notices in &mut notices {
            soon(connected(notices)).await;
        }
        assert!(leadership.check());
    }
    tokio::time::sleep(T).await;
    assert!(leadership.check() && leadership.remaining() > T / 4, "it is renewed as ever");
    for notice in noticed(&mut of_first).into_iter().chain(noticed(&mut of_second)) {
        match notice {
            Notice::Connected { same_session, .. } => assert!(same_session),
            Notice::SessionEnded { .. } | Notice::Warning(_) => panic!("{notice:?}"),
            _ => {}
        }
    }
    soon(leadership.resign()).await.unwrap();
    assert!(soon(next).await.unwrap().check());
}

/// As a stopped process: nobody leads while the host stands still, and the leader knows by its deadline.
#[tokio::test]
async fn a_host_that_stands_still_stops_the_leader_and_makes_no_other() {
    let mut machine = Machine::start();
    let (_first, leadership, _second, mut next) = two(&machine).await;
    machine.server.freeze();
    let frozen = Instant::now();
    // The clock is read first, since a busy machine may let any time pass between the two.
    let mut asked = frozen.elapsed();
    while leadership.check() {
        assert!(asked < T, "its session may be over from here on");
        tokio::time::sleep(Duration::from_millis(1)).await;
        asked = frozen.elapsed();
    }
    tokio::select! {
        won = &mut next => panic!("{won:?} while the host stood still"),
        why = leadership.lost() => assert_eq!(why, Lost::NoQuorum),
    }
    tokio::select! {
        won = &mut next => panic!("{won:?} while the host stood still"),
        () = tokio::time::sleep(T) => {}
    }
    machine.server.thaw();
    let next = tokio::time::timeout(SOON + T * 2, next).await.expect("all goes on").unwrap();
    assert!(next.check() && !leadership.check());
    assert!(next.token() > leadership.token());
}

#[tokio::test]
async fn an_election_on_this_machine_is_read_without_a_trace() {
    let machine = Machine::start();
    let (_first, leadership, _second, _next) = two(&machine).await;
    let reader = Reader::connect(machine.place(), PATH, Vec::new(), SOON).await.unwrap();
    let before = machine.zxid();
    let seen = soon(reader.snapshot()).await.unwrap();
    assert_eq!(machine.zxid(), before);
    let ids: Vec<&str> = seen.contenders.iter().map(|contender| contender.id.as_str()).collect();
    assert_eq!(ids, ["first", "second"]);
    assert_eq!(seen.contenders[0].token, leadership.token());
    assert_eq!(Place::Local(PathBuf::from(&seen.server)), machine.place());
    assert!(seen.age < SOON);
}

#[tokio::test]
async fn where_nobody_hosts_nothing_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let place = Place::Local(socket.clone());
    let outcome = Reader::connect(place, PATH, Vec::new(), Duration::from_millis(100)).await;
    let Err(ReadError::Unreachable { tried }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(tried[0].0, socket.display().to_string());
}
