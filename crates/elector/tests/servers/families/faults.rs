//! What the peers do wrong by themselves, and what strangers do to znodes. Ours leads rightly in each case; where
//! a peer works on beside it, that is the peer's known fault, and the test says so.

use std::time::Duration;

use elector::{Layout, Notice};
use zk_ensemble::{
    Direction, Ensemble, Kind, LineProcess, Onlooker, Peer, Proxy, Verdict, monotonic_time, op,
    require_peers, start_curator_latch,
};

use super::beliefs::told;
use super::{PEER, layout, ours, servers, until_contending};
use crate::support::{TIMEOUT, children, soon, until_waiting, within};

/// A time in which a peer would have said that it lost, had it seen it.
const UNSEEN: Duration = Duration::from_secs(1);

/// The children of `path` in the order of their numbers.
fn in_order(onlooker: &mut Onlooker, path: &str) -> Vec<String> {
    let mut names = onlooker.children(path).expect("the path is there");
    names.sort_by_key(|name| name[name.len() - 10..].to_owned());
    names
}

fn works_on(peer: &LineProcess) -> bool {
    told(peer).last().expect("it led").to.is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_into_znodes_keep_nobody_from_leading() {
    for peers in [[Peer::CuratorSelector, Peer::GoLock], [Peer::KazooElection, Peer::KazooLock]] {
        if !peers.iter().all(|peer| peer.require()) {
            return;
        }
        let ensemble = servers();
        let (servers, address) = (ensemble.connect_string(), ensemble.servers()[0].address());
        let layout = layout(peers[0]);
        let first = ours(&servers, "/written", "first", layout).await;
        let leadership = soon(first.campaign()).await.unwrap();
        let mut second = peers[0].start(&servers, "/written", "second", TIMEOUT);
        until_contending(address, "/written", 2).await;
        let third = ours(&servers, "/written", "third", layout).await;
        let campaign = third.campaign();
        until_waiting(&third, 2).await;
        let mut fourth = peers[1].start(&servers, "/written", "fourth", TIMEOUT);
        until_contending(address, "/written", 4).await;

        let mut stranger = Onlooker::connect(address).unwrap();
        for round in 0..3_u8 {
            for name in children(address, "/written") {
                stranger.set_data(&format!("/written/{name}"), &[b'x', round]).unwrap();
            }
        }
        assert!(leadership.check());
        soon(leadership.resign()).await.unwrap();
        second.wait_for("LEADING", PEER);
        second.send("close").unwrap();
        let leadership = soon(campaign).await.unwrap();
        assert!(told(&fourth).is_empty(), "two leaders");
        soon(leadership.resign()).await.unwrap();
        fourth.wait_for("LEADING", PEER);
    }
}

/// None of them watches its own znode, so none sees that it was deleted while it leads.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_znode_is_deleted_works_on_beside_ours() {
    for peer in
        [Peer::CuratorSelector, Peer::CuratorMutex, Peer::GoLock, Peer::KazooJoined, Peer::KazooElection]
    {
        if !peer.require() {
            return;
        }
        let ensemble = servers();
        let (servers, address) = (ensemble.connect_string(), ensemble.servers()[0].address());
        let mut theirs = peer.start(&servers, "/deleted", "theirs", TIMEOUT);
        theirs.wait_for("LEADING", PEER);
        let ours = ours(&servers, "/deleted", "ours", layout(peer)).await;
        let campaign = ours.campaign();
        until_waiting(&ours, 1).await;
        let mut operator = Onlooker::connect(address).unwrap();
        let leader = in_order(&mut operator, "/deleted").remove(0);
        operator.delete(&format!("/deleted/{leader}")).unwrap();
        let leadership = soon(campaign).await.unwrap();
        tokio::time::sleep(UNSEEN).await;
        assert!(leadership.check());
        assert!(works_on(&theirs), "{peer:?} has learnt to watch its own znode: say so in docs/peers.md");
    }
}

/// LeaderLatch does not see its own znode's end either; and whoever writes into the znode ahead of it uses up its
/// only watch.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_latch_works_on_after_a_delete_and_waits_for_ever_after_a_write() {
    if !require_peers() {
        return;
    }
    let ensemble = servers();
    let (servers, address) = (ensemble.connect_string(), ensemble.servers()[0].address());
    let mut stranger = Onlooker::connect(address).unwrap();
    let mut theirs = start_curator_latch(&servers, "/latch", "theirs", TIMEOUT);
    theirs.wait_for("LEADING", PEER);
    let ours = ours(&servers, "/latch", "ours", Layout::Latch).await;
    let campaign = ours.campaign();
    until_waiting(&ours, 1).await;
    let leader = in_order(&mut stranger, "/latch").remove(0);
    stranger.delete(&format!("/latch/{leader}")).unwrap();
    let leadership = soon(campaign).await.unwrap();
    assert!(theirs.try_wait_for(UNSEEN, |line| line.text.contains("LOST")).is_none());
    assert!(leadership.check());

    let mut waits = start_curator_latch(&servers, "/latch", "waits", TIMEOUT);
    waits.wait_for("NODE", PEER);
    tokio::time::sleep(UNSEEN).await; // it has read the znode ahead by then
    let leader = in_order(&mut stranger, "/latch").remove(0);
    stranger.set_data(&format!("/latch/{leader}"), b"scribble").unwrap();
    soon(leadership.resign()).await.unwrap();
    assert_eq!(children(address, "/latch").len(), 1);
    assert!(waits.try_wait_for(UNSEEN, |line| line.text.contains("LEADING")).is_none());
}

/// Nobody can mend that: the libraries sort each other's names wrongly. We keep out of it.
#[tokio::test(flavor = "multi_thread")]
async fn two_families_in_one_directory_both_lead_and_we_refuse() {
    if !Peer::CuratorSelector.require() || !Peer::KazooElection.require() {
        return;
    }
    let ensemble = servers();
    let servers = ensemble.connect_string();
    for path in ["/latch-selector", "/selector-kazoo"] {
        let mut first = match path {
            "/latch-selector" => start_curator_latch(&servers, path, "first", TIMEOUT),
            _ => Peer::KazooElection.start(&servers, path, "first", TIMEOUT),
        };
        first.wait_for("LEADING", PEER);
        let mut second = Peer::CuratorSelector.start(&servers, path, "second", TIMEOUT);
        second.wait_for("LEADING", PEER);
        assert!(first.try_wait_for(Duration::ZERO, |line| line.text.contains("LOST")).is_none());
        for layout in [Layout::Latch, Layout::Lock, Layout::Kazoo] {
            let ours = ours(&servers, path, "ours", layout).await;
            let refusal = soon(ours.campaign()).await.unwrap_err().to_string();
            assert!(refusal.contains("use another path"), "{refusal}");
        }
    }
}

/// The znode of a peer that waits is deleted: Curator and kazoo enrol anew when they wake up; go-zookeeper's Lock
/// takes "nobody is lower" for its turn, and works without any znode.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_waiting_znode_is_deleted_enrols_anew_but_for_gos_lock() {
    for peer in [Peer::CuratorSelector, Peer::KazooJoined, Peer::KazooElection, Peer::GoLock] {
        if !peer.require() {
            return;
        }
        let ensemble = servers();
        let (servers, address) = (ensemble.connect_string(), ensemble.servers()[0].address());
        let first = ours(&servers, "/waiting", "first", layout(peer)).await;
        let leadership = soon(first.campaign()).await.unwrap();
        let mut theirs = peer.start(&servers, "/waiting", "theirs", TIMEOUT);
        until_contending(address, "/waiting", 2).await;
        let last = ours(&servers, "/waiting", "last", layout(peer)).await;
        let campaign = last.campaign();
        until_waiting(&last, 2).await;
        let mut operator = Onlooker::connect(address).unwrap();
        let waiting = in_order(&mut operator, "/waiting").remove(1);
        operator.delete(&format!("/waiting/{waiting}")).unwrap();

        soon(leadership.resign()).await.unwrap();
        let leadership = soon(campaign).await.unwrap();
        if peer == Peer::GoLock {
            theirs.wait_for("LEADING", PEER);
            assert!(leadership.check() && works_on(&theirs));
            assert_eq!(children(address, "/waiting").len(), 1, "it works without a znode");
        } else {
            until_contending(address, "/waiting", 2).await;
            assert!(told(&theirs).is_empty(), "two leaders");
            soon(leadership.resign()).await.unwrap();
            theirs.wait_for("LEADING", PEER);
        }
    }
}

/// A follower that is cut off from the others goes on answering by itself, and they believe it, longer than their
/// session lives. Ours, on such a follower, is gone before the next one leads.
#[tokio::test(flavor = "multi_thread")]
async fn peers_on_a_cut_off_follower_work_on_and_ours_does_not() {
    let peers = [Peer::CuratorSelector, Peer::GoLock, Peer::KazooJoined, Peer::KazooElection];
    if !peers.iter().all(|peer| peer.require()) {
        return;
    }
    let mut ensemble = Ensemble::builder(3).peer_links_through_proxies().start();
    let follower = ensemble.follower_indexes()[0];
    let cut_off = ensemble.servers()[follower].address().to_string();
    let others = ensemble.servers()[ensemble.leader_index()].address();

    // They lead through the follower, ours waits elsewhere.
    let mut waiting = Vec::new();
    for peer in peers {
        let path = format!("/cut-{peer:?}");
        let mut theirs = peer.start(&cut_off, &path, "theirs", TIMEOUT);
        theirs.wait_for("LEADING", PEER);
        let ours = ours(&others.to_string(), &path, "ours", layout(peer)).await;
        let campaign = ours.campaign();
        until_waiting(&ours, 1).await;
        let led = tokio::spawn(async move { (campaign.await, monotonic_time(), ours) });
        waiting.push((peer, theirs, led));
    }
    ensemble.isolate_peers(follower);
    for (peer, mut theirs, led) in waiting {
        let (leadership, led, _ours) = within(PEER, led).await.unwrap();
        let leadership = leadership.unwrap();
        theirs.wait_for("LOST", PEER);
        let lost = told(&theirs)[0].to.expect("it was told");
        assert!(leadership.check());
        match lost.checked_sub(led) {
            Some(late) => {
                println!("{peer:?} worked on for {late:?} beside ours: its own fault, it has no deadline")
            }
            None => panic!("{peer:?} stopped in time: say so in docs/peers.md"),
        }
    }
    ensemble.heal_peers(follower);
    ensemble.wait_until_serving();

    // The other way round.
    let follower = ensemble.follower_indexes()[0];
    let cut_off = ensemble.servers()[follower].address().to_string();
    let others = ensemble.servers()[ensemble.leader_index()].address();
    let mut leading = Vec::new();
    for peer in peers {
        let path = format!("/safe-{peer:?}");
        let ours = ours(&cut_off, &path, "ours", layout(peer)).await;
        let leadership = within(PEER, ours.campaign()).await.unwrap();
        let theirs = peer.start(&others.to_string(), &path, "theirs", TIMEOUT);
        until_contending(others, &path, 2).await;
        leading.push(tokio::spawn(async move {
            leadership.lost().await;
            (peer, ours, monotonic_time(), theirs)
        }));
    }
    ensemble.isolate_peers(follower);
    for leading in leading {
        let (peer, _ours, lost, mut theirs) = within(PEER, leading).await.unwrap();
        theirs.wait_for("LEADING", PEER);
        let led = told(&theirs)[0].from;
        assert!(lost < led, "two leaders: {peer:?} led {:?} before ours was gone", lost - led);
        println!("ours was gone {:?} before {peer:?} led", led - lost);
    }
    ensemble.heal_peers(follower);
}

/// Families that do not exclude each other are refused at the start; one that slips in between is warned of.
#[tokio::test(flavor = "multi_thread")]
async fn a_family_that_comes_later_is_warned_of() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = servers();
    let address = ensemble.servers()[0].address();
    let cases = [
        (Layout::Lock, "0f8fad5bd9cb469fa16570867728950e__lock__", "kazoo (layout kazoo)"),
        (Layout::Kazoo, "_c_0f8fad5bd9cb469fa16570867728950e-lock-", "Go's Lock (layout lock)"),
    ];
    for (layout, stem, named) in cases {
        let path = format!("/late-{layout}");
        let mut stranger = Onlooker::connect(address).unwrap();
        stranger.create(&path, b"", Kind::Persistent).unwrap();
        let link = Proxy::new(address);
        // It enrols after our look at who is there, and before our znode.
        let theirs = format!("{path}/{stem}");
        link.on_frame(Direction::Up, move |frame| {
            if frame.is_op(&[op::CREATE2]) && frame.contains("lock") {
                stranger.create(&theirs, b"", Kind::EphemeralSequential).expect("a server is up");
            }
            Verdict::Pass
        });
        let ours = ours(&link.address().to_string(), &path, "ours", layout).await;
        let mut notices = ours.notices();
        let campaign = ours.campaign();
        until_waiting(&ours, 1).await;
        let warning = loop {
            if let Notice::Warning(text) = soon(notices.recv()).await.unwrap() {
                break text;
            }
        };
        assert!(warning.contains(named) && warning.contains(stem), "{warning}");
        drop(campaign);
    }
}
