//! What happens to servers and connections, and what a leadership makes of it. Rows of the fault
//! catalogue are named by their numbers.

use std::time::{Duration, Instant};

use crate::support::{TIMEOUT, builder, candidate, children, soon, until_waiting, within};
use elector::{Elector, Lost, Notice, Role};
use zk_ensemble::{Direction, Ensemble, Onlooker, Proxy, boot_time, op, rounds};

/// The longest that a failover may take: the session's expiry, rounded up to a tick, and a second.
fn failover(tick: Duration) -> Duration {
    TIMEOUT + tick + Duration::from_secs(1)
}

const TICK: Duration = Duration::from_secs(2);

/// E1 and E2: the server that the leader uses is killed, whoever it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_costs_no_leadership() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::start(3);
    let timeout = Duration::from_secs(10);
    let elector = builder(&ensemble.connect_string(), "/e1", "leader").session_timeout(timeout);
    let mut notices;
    let elector = {
        let elector = elector.start().unwrap();
        notices = elector.notices();
        elector
    };
    let leadership = within(timeout, elector.campaign()).await.unwrap();
    let connected = |notice| match notice {
        Notice::Connected { server, session, same_session, .. } => Some((server, session, same_session)),
        _ => None,
    };
    let mut present = connected(notices.recv().await.unwrap()).unwrap();
    for _ in 0..3 {
        let index = ensemble.servers().iter().position(|s| s.address().to_string() == present.0).unwrap();
        ensemble.server(index).kill();
        let next = loop {
            let notice = within(timeout, notices.recv()).await.unwrap();
            println!("{:?}: {notice:?}, {:?} left", boot_time(), leadership.remaining());
            if let Some(next) = connected(notice) {
                break next;
            }
        };
        assert_eq!((next.1, next.2), (present.1, true), "another session");
        assert!(leadership.check());
        present = next;
        ensemble.server(index).restart();
        ensemble.wait_until_serving();
        assert!(leadership.check());
        // The lease is renewed on the new connection before the next one goes.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(leadership.remaining() > timeout / 2);
    }
    soon(leadership.resign()).await.unwrap();
}

/// E3: the only server that the leader reaches is cut off from its peers, and goes on answering.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_behind_a_cut_off_follower_is_gone_before_its_znode() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::builder(3).peer_links_through_proxies().start();
    for round in 0..rounds(2, 30) {
        let follower = ensemble.follower_indexes()[0];
        let other = ensemble.leader_index();
        let path = format!("/e3-{round}");
        let reached = ensemble.server(follower).address().to_string();
        let elector = candidate(&reached, &path, "leader").await;
        let leadership = within(Duration::from_secs(10), elector.campaign()).await.unwrap();
        let address = ensemble.server(other).address();
        let znode = format!("{path}/{}", children(address, &path).remove(0));
        let watch = std::thread::spawn(move || {
            let mut onlooker = Onlooker::connect(address).unwrap();
            onlooker.watch_gone(&znode, Duration::from_secs(20)).unwrap().expect("the session expires")
        });
        tokio::time::sleep(Duration::from_millis(700 + 311 * (round as u64 % 7))).await;
        ensemble.isolate_peers(follower);
        let why = within(2 * TIMEOUT, leadership.lost()).await;
        let (lost, checked) = (boot_time(), leadership.check());
        assert!(!checked, "{why}");
        let gone = tokio::task::spawn_blocking(|| watch.join().unwrap()).await.unwrap();
        println!("round {round}: lost ({why}) {:?} before the znode went", gone.last_there.checked_sub(lost));
        assert!(lost < gone.gone, "the others saw the znode go {:?} earlier", lost - gone.gone);
        drop(leadership);
        drop(elector);
        ensemble.heal_peers(follower);
        ensemble.wait_until_serving();
    }
}

/// E30: the quorum leader is cut off from its peers and goes on answering re-attachments, reads and pings
/// until it notices; the connection is cut again and again, so that it has re-attachments to answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_behind_a_deposed_quorum_leader_is_gone_before_its_znode() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::builder(3).peer_links_through_proxies().start();
    for round in 0..rounds(2, 30) {
        let deposed = ensemble.leader_index();
        let other = ensemble.follower_indexes()[0];
        let path = format!("/e30-{round}");
        let proxy = Proxy::new(ensemble.server(deposed).address());
        let elector = candidate(&proxy.address().to_string(), &path, "leader").await;
        let leadership = within(Duration::from_secs(10), elector.campaign()).await.unwrap();
        let address = ensemble.server(other).address();
        let znode = format!("{path}/{}", children(address, &path).remove(0));
        tokio::time::sleep(Duration::from_millis(700 + 311 * (round as u64 % 7))).await;
        ensemble.isolate_peers(deposed);
        let cutting = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(600)).await;
                proxy.cut();
            }
        });
        let why = within(2 * TIMEOUT, leadership.lost()).await;
        let (lost, checked) = (boot_time(), leadership.check());
        cutting.abort();
        assert!(!checked, "{why}");
        // The others must elect a quorum leader before they can answer, so their first answer may come
        // after the znode's end; then nobody can have led before it either.
        let gone = tokio::task::spawn_blocking(move || first_absence(address, &znode)).await.unwrap();
        println!("round {round}: lost ({why}) {:?} before the znode went", gone.checked_sub(lost));
        assert!(lost < gone, "the others saw the znode go {:?} earlier", lost - gone);
        drop(leadership);
        drop(elector);
        ensemble.heal_peers(deposed);
        ensemble.wait_until_serving();
    }
}

/// When a server first says that the znode is not there, asked again and again over elections.
fn first_absence(server: std::net::SocketAddr, znode: &str) -> Duration {
    loop {
        if let Ok(mut onlooker) = Onlooker::connect(server)
            && let Ok(None) = onlooker.exists(znode)
        {
            return boot_time();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// E5 to E8: a blackhole in either or both directions that outlasts the session.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hears_nothing_is_gone_before_the_next_one_leads() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let address = ensemble.servers()[0].address();
    let holes: [&[Direction]; 3] = [&[Direction::Up, Direction::Down], &[Direction::Up], &[Direction::Down]];
    for (round, directions) in holes.into_iter().enumerate() {
        let path = format!("/e5-{round}");
        let proxy = Proxy::new(address);
        let first = candidate(&proxy.address().to_string(), &path, "first").await;
        let leadership = soon(first.campaign()).await.unwrap();
        let second = candidate(&address.to_string(), &path, "second").await;
        let next = second.campaign();
        until_waiting(&second, 1).await;
        directions.iter().for_each(|direction| proxy.hold(*direction));
        let began = Instant::now();
        let lost = async {
            let why = leadership.lost().await;
            (boot_time(), why)
        };
        // Where replies alone are lost, and a relay accepts connections, each try to re-attach renews
        // the session until it is given up, a session timeout after the last word.
        let limit =
            if directions == [Direction::Down] { failover(TICK) + 2 * TIMEOUT } else { failover(TICK) };
        let ((lost, why), leads) =
            within(limit, async { tokio::join!(lost, async { (next.await.unwrap(), boot_time()) }) }).await;
        assert_eq!(why, Lost::NoQuorum);
        assert!(lost < leads.1, "two leaders for {:?}", lost - leads.1);
        assert!(leads.0.token() > leadership.token());
        println!("{directions:?}: the next one leads after {:?}", began.elapsed());
        // Healed, the old one rejoins with a new session, behind.
        drop(leadership);
        let again = first.campaign();
        proxy.heal();
        let mut roles = first.role();
        within(2 * TIMEOUT, roles.wait_for(|role| matches!(role, Role::Waiting { ahead: 1, .. })))
            .await
            .unwrap();
        drop(again);
    }
}

/// E6: one that is over before the deadline costs nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_blackhole_costs_nothing() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let proxy = Proxy::new(ensemble.servers()[0].address());
    let elector = candidate(&proxy.address().to_string(), "/e6", "leader").await;
    let leadership = soon(elector.campaign()).await.unwrap();
    for _ in 0..3 {
        proxy.blackhole();
        tokio::time::sleep(Duration::from_millis(700)).await;
        proxy.heal();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(leadership.check());
    }
}

/// E11: the connection is cut right after a create reached the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_is_lost_makes_no_second_znode() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let address = ensemble.servers()[0].address();
    let proxy = Proxy::new(address);
    for round in 0..rounds(5, 200) {
        let path = format!("/e11-{round}");
        let elector = candidate(&proxy.address().to_string(), &path, "one").await;
        proxy.cut_after_request(|frame| frame.is_op(&[op::CREATE2]));
        let leadership = within(2 * TIMEOUT, elector.campaign()).await.unwrap();
        proxy.forget_hook(Direction::Up);
        assert_eq!(children(address, &path).len(), 1);
        soon(leadership.resign()).await.unwrap();
        assert_eq!(children(address, &path).len(), 0);
        soon(elector.close()).await;
    }
}

/// E14 and E15: somebody closes our session, or deletes our znode, or the whole path.
#[tokio::test(flavor = "multi_thread")]
async fn what_operators_do_ends_the_term_at_once_and_a_new_one_follows() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let address = ensemble.servers()[0].address();
    let elector = candidate(&address.to_string(), "/parent/e15", "leader").await;
    let mut last = None;
    for round in 0..4 {
        let leadership = within(2 * TIMEOUT, elector.campaign()).await.unwrap();
        assert!(last < Some(leadership.token()));
        last = Some(leadership.token());
        let mut operator = Onlooker::connect(address).unwrap();
        let znode = format!("/parent/e15/{}", operator.children("/parent/e15").unwrap().remove(0));
        match round {
            0 | 1 => operator.delete(&znode).unwrap(),
            2 => {
                let owner = operator.exists(&znode).unwrap().unwrap().owner;
                Onlooker::close_session_of_another(address, owner).unwrap();
            }
            _ => {
                for path in [&znode, "/parent/e15", "/parent"] {
                    operator.delete(path).unwrap();
                }
            }
        }
        let why = soon(leadership.lost()).await;
        let expected: &[Lost] =
            if round == 2 { &[Lost::Deposed, Lost::SessionExpired] } else { &[Lost::Deposed] };
        assert!(expected.contains(&why), "{round}: {why:?}");
    }
}

/// E17: the quorum is gone for a while.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_nobody_leads_and_afterwards_one_does() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::start(3);
    let electors: [Elector; 2] = [
        candidate(&ensemble.connect_string(), "/e17", "a").await,
        candidate(&ensemble.connect_string(), "/e17", "b").await,
    ];
    let leadership = within(2 * TIMEOUT, electors[0].campaign()).await.unwrap();
    let other = electors[1].campaign();
    until_waiting(&electors[1], 1).await;
    for index in [0, 1] {
        ensemble.server(index).kill();
    }
    assert_eq!(within(2 * TIMEOUT, leadership.lost()).await, Lost::NoQuorum);
    drop(leadership);
    let again = electors[0].campaign();
    let mut one = std::pin::pin!(async {
        tokio::select! {
            leadership = other => leadership.unwrap(),
            leadership = again => leadership.unwrap(),
        }
    });
    // As long as the row says in release, and longer than a session in the gate.
    let outage = Duration::from_secs(rounds(5, 60) as u64);
    assert!(tokio::time::timeout(outage, &mut one).await.is_err(), "somebody leads without a quorum");
    for index in [0, 1] {
        ensemble.server(index).restart();
    }
    ensemble.wait_until_serving();
    let serving = Instant::now();
    assert!(within(TIMEOUT + Duration::from_secs(5), &mut one).await.check());
    println!("out for {outage:?}; one leads {:?} after the servers serve", serving.elapsed());
}

/// A copy of a running machine uses our session too, and takes it from us again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_somebody_else_uses_is_given_up_with_a_warning() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let address = ensemble.servers()[0].address();
    let builder = builder(&address.to_string(), "/shared", "one").session_timeout(Duration::from_secs(10));
    let elector = builder.connect().await.unwrap();
    let mut notices = elector.notices();
    let leadership = soon(elector.campaign()).await.unwrap();
    let mut operator = Onlooker::connect(address).unwrap();
    let own = operator.children("/shared").unwrap().remove(0);
    let owner = operator.exists(&format!("/shared/{own}")).unwrap().unwrap().owner;
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let thief = std::thread::spawn({
        let over = over.clone();
        move || {
            while !over.load(std::sync::atomic::Ordering::SeqCst) {
                let taken = Onlooker::take_session_of_another(address, owner);
                std::thread::sleep(Duration::from_millis(400));
                drop(taken);
            }
        }
    });
    let why = within(Duration::from_secs(10), leadership.lost()).await;
    over.store(true, std::sync::atomic::Ordering::SeqCst);
    thief.join().unwrap();
    assert_eq!(why, Lost::SessionShared);
    drop(leadership);
    let warned = async {
        while !matches!(notices.recv().await, Ok(Notice::Warning(text)) if text.contains("somebody else uses"))
        {
        }
    };
    soon(warned).await;
    // It goes on with a session of its own.
    assert!(within(Duration::from_secs(20), elector.campaign()).await.unwrap().check());
}
