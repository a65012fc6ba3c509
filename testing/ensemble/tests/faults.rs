//! The relays and the partitions do to real servers what they say.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use zk_ensemble::{
    Direction, Ensemble, Kind, Mode, Onlooker, Proxy, Trouble, Verdict, boot_time, op, require,
};

/// Enough that an answer that slips through before its connection is cut shows.
const ROUNDS: u64 = 200;

fn create(onlooker: &mut Onlooker, path: &str) -> Result<String, Trouble> {
    onlooker.create(path, b"x", Kind::Persistent)
}

fn wait_until(what: &str, limit: Duration, mut check: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !check() {
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_onlooker_sees_what_is_there() {
    if !require() {
        return;
    }
    let mut ensemble = Ensemble::start(1);
    let server = ensemble.server(0).address();
    let mut onlooker = Onlooker::connect(server).unwrap();
    let mut other = Onlooker::connect(server).unwrap();
    assert_eq!(onlooker.exists("/a").unwrap(), None);
    create(&mut onlooker, "/a").unwrap();
    assert!(matches!(create(&mut onlooker, "/a"), Err(Trouble::Refused(-110))));
    let path = other.create("/a/n-", b"id", Kind::EphemeralSequential).unwrap();
    assert_eq!(path, "/a/n-0000000000");
    assert_eq!(onlooker.children("/a").unwrap(), ["n-0000000000"]);
    let (data, stat) = onlooker.data(&path).unwrap().unwrap();
    assert_eq!((data.as_slice(), stat.owner), (b"id".as_slice(), other.session_id()));
    onlooker.ping().unwrap();
    onlooker.sync("/a").unwrap();

    let before = boot_time();
    Onlooker::close_session_of_another(server, other.session_id()).unwrap();
    assert_eq!(onlooker.exists(&path).unwrap(), None);
    assert!(onlooker.times().0 >= before);
    assert!(other.exists("/a").is_err(), "a closed session's connection is closed too");
    onlooker.delete("/a").unwrap();
    onlooker.close().unwrap();
}

#[test]
fn a_znode_is_watched_until_it_goes() {
    if !require() {
        return;
    }
    let mut ensemble = Ensemble::start(1);
    let server = ensemble.server(0).address();
    let proxy = Proxy::new(server);
    let mut onlooker = Onlooker::connect(proxy.address()).unwrap();
    let mut owner = Onlooker::connect(server).unwrap();
    owner.create("/gone", b"", Kind::Ephemeral).unwrap();
    let watching =
        std::thread::spawn(move || onlooker.watch_gone("/gone", Duration::from_secs(20)).unwrap().unwrap());
    wait_until("a few looks", Duration::from_secs(10), || proxy.counts().replies >= 5);
    let before = boot_time();
    owner.close().unwrap();
    let after = boot_time();
    let gone = watching.join().unwrap();
    assert!(gone.last_there <= after && gone.gone >= before, "{gone:?} against {before:?} to {after:?}");
}

#[test]
fn a_request_is_delivered_and_its_answer_lost() {
    if !require() {
        return;
    }
    let mut ensemble = Ensemble::start(1);
    let server = ensemble.server(0).address();
    let proxy = Proxy::new(server);
    let mut direct = Onlooker::connect(server).unwrap();
    for round in 0..ROUNDS {
        let path = format!("/round-{round}");
        proxy.cut_after_request(|frame| frame.is_op(&[op::CREATE]));
        let mut victim = Onlooker::connect(proxy.address()).unwrap();
        assert!(matches!(create(&mut victim, &path), Err(Trouble::Io(_))));
        wait_until("the create takes place", Duration::from_secs(10), || {
            direct.exists(&path).unwrap().is_some()
        });
    }
    proxy.on_frame(Direction::Up, |frame| match frame.op() {
        Some(op::CREATE) => Verdict::CutBefore,
        _ => Verdict::Pass,
    });
    let mut victim = Onlooker::connect(proxy.address()).unwrap();
    assert!(create(&mut victim, "/never").is_err());
    assert_eq!(direct.exists("/never").unwrap(), None);
    assert_eq!(proxy.counts().connections, ROUNDS + 1);
    assert!(proxy.counts().requests > 2 * ROUNDS, "{:?}", proxy.counts());
}

#[test]
fn held_bytes_arrive_after_the_release() {
    if !require() {
        return;
    }
    let mut ensemble = Ensemble::start(1);
    let server = ensemble.server(0).address();
    let proxy = Proxy::new(server);
    let mut direct = Onlooker::connect(server).unwrap();
    let mut client = Onlooker::connect(proxy.address()).unwrap();
    proxy.hold(Direction::Down);
    let waiting = std::thread::spawn(move || {
        let answer = create(&mut client, "/held");
        (answer.is_ok(), client)
    });
    wait_until("the request arrives", Duration::from_secs(10), || direct.exists("/held").unwrap().is_some());
    assert!(!waiting.is_finished(), "the answer is held");
    proxy.release(Direction::Down);
    let (answered, mut client) = waiting.join().unwrap();
    assert!(answered);

    proxy.delay(Direction::Up, Duration::from_millis(300));
    client.ping().unwrap();
    let (sent, received) = client.times();
    assert!(received - sent >= Duration::from_millis(300));
    proxy.heal();

    proxy.cut_after_bytes(Direction::Up, 10);
    assert!(client.exists("/held").is_err());
    assert_eq!(proxy.counts().open, 0);
    proxy.refuse();
    assert!(TcpStream::connect(proxy.address()).is_err());
    proxy.accept_again();
    let mut client = Onlooker::connect(proxy.address()).unwrap();
    proxy.cut();
    assert!(client.exists("/held").is_err());
}

#[test]
fn a_follower_cut_off_from_its_peers_loses_its_clients_and_returns() {
    if !require() {
        return;
    }
    let mut ensemble = Ensemble::builder(3).peer_links_through_proxies().start();
    let (leader, cut) = (ensemble.leader_index(), ensemble.follower_indexes()[0]);
    let mut client = Onlooker::connect(ensemble.server(cut).address()).unwrap();
    let mut outside = Onlooker::connect(ensemble.server(leader).address()).unwrap();
    create(&mut client, "/before").unwrap();

    ensemble.isolate_peers(cut);
    create(&mut outside, "/quorum-goes-on").unwrap();
    assert!(client.exists("/before").unwrap().is_some(), "it answers reads by itself");
    assert_eq!(client.exists("/quorum-goes-on").unwrap(), None, "and does not know what it misses");
    // The follower hears nothing for syncLimit ticks, 10 s, and then closes its clients' connections.
    wait_until("the follower gives up", Duration::from_secs(30), || client.exists("/before").is_err());
    wait_until("it serves nobody", Duration::from_secs(10), || ensemble.server(cut).mode().is_none());
    assert_eq!(ensemble.server(leader).mode(), Some(Mode::Leader));

    ensemble.heal_peers(cut);
    ensemble.wait_until_serving();
    let mut client = Onlooker::connect(ensemble.server(cut).address()).unwrap();
    client.sync("/").unwrap();
    assert!(client.exists("/quorum-goes-on").unwrap().is_some());
}

#[test]
fn the_others_elect_a_leader_when_theirs_is_cut_off() {
    if !require() {
        return;
    }
    let mut ensemble =
        Ensemble::builder(3).tick_time(Duration::from_millis(500)).peer_links_through_proxies().start();
    let deposed = ensemble.leader_index();
    ensemble.isolate_peers(deposed);
    let others: Vec<usize> = (0..3).filter(|index| *index != deposed).collect();
    let mut led_by = None;
    wait_until("another leads", Duration::from_secs(60), || {
        led_by = others.iter().copied().find(|i| ensemble.server(*i).mode() == Some(Mode::Leader));
        led_by.is_some()
    });
    wait_until("the deposed one stops", Duration::from_secs(60), || {
        ensemble.server(deposed).mode().is_none()
    });
    ensemble.heal_peers(deposed);
    ensemble.wait_until_serving();
    assert_eq!(ensemble.find_leader(), led_by);
    assert_eq!(ensemble.server(deposed).mode(), Some(Mode::Follower));
}
