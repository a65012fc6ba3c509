//! One election with programs of other families: the real ones.

use std::time::Duration;

use crate::support::{TIMEOUT, builder, candidate, children, soon, within};
use elector::{Error, Layout, StartError};
use zk_ensemble::{
    Ensemble, Kind, LineProcess, Onlooker, require_peers, start_curator_latch, start_go_master,
};

/// A JVM starts in this time, and a dead session ends in it.
const PEER: Duration = Duration::from_secs(20);

/// Whether the peer says that it leads within a time in which it must not.
fn leads_within(peer: &mut LineProcess, limit: Duration) -> bool {
    peer.try_wait_for(limit, |line| line.text.contains("LEADING")).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn curators_leader_latch_takes_turns_with_us() {
    if !require_peers() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let (servers, address) = (ensemble.connect_string(), ensemble.servers()[0].address());

    // Ours first, then Curator.
    let ours = candidate(&servers, "/latch", "ours").await;
    let leadership = soon(ours.campaign()).await.unwrap();
    let mut curator = start_curator_latch(&servers, "/latch", "curator", TIMEOUT);
    curator.wait_for("NODE", PEER);
    assert!(!leads_within(&mut curator, Duration::from_secs(1)), "two leaders");
    soon(leadership.resign()).await.unwrap();
    curator.wait_for("LEADING", PEER);

    // Curator first, then ours: by its close, and by its death.
    for end in ["close", "kill"] {
        let mut campaign = ours.campaign();
        assert!(tokio::time::timeout(Duration::from_secs(1), &mut campaign).await.is_err(), "two leaders");
        if end == "close" {
            curator.send("close").unwrap();
        } else {
            curator.process().kill();
        }
        let leadership = within(PEER, campaign).await.unwrap();
        assert_eq!(children(address, "/latch").len(), 1);
        if end == "close" {
            curator.send("start").unwrap();
            curator.wait_for("NODE", PEER);
            soon(leadership.resign()).await.unwrap();
            curator.wait_for("LEADING", PEER);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_go_program_takes_turns_with_us() {
    if !require_peers() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let servers = ensemble.connect_string();
    let builder = || builder(&servers, "/test04/master", "ours").layout(Layout::Single);
    let ours = builder().connect().await.unwrap();

    // Ours first, then the Go program.
    let leadership = soon(ours.campaign()).await.unwrap();
    let token = leadership.token();
    let mut go = start_go_master(&servers, "/test04", "/master", "go");
    go.wait_for("WAITING", PEER);
    assert!(!leads_within(&mut go, Duration::from_secs(1)), "two leaders");
    soon(leadership.resign()).await.unwrap();
    go.wait_for("LEADING", PEER);

    // The Go program first, then ours, when it dies.
    let mut campaign = ours.campaign();
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut campaign).await.is_err(), "two leaders");
    go.process().kill();
    let leadership = within(PEER, campaign).await.unwrap();
    assert!(leadership.token() > token);
    drop(leadership);
    ours.close().await;
}

#[tokio::test]
async fn families_that_the_layout_does_not_exclude_are_refused() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let (servers, address) = (ensemble.connect_string(), ensemble.servers()[0].address());
    let mut onlooker = Onlooker::connect(address).unwrap();
    let cases = [
        ("/lock", "_c_8a1d3f6e-1111-4222-8333-444455556666-lock-", Some(Layout::Lock)),
        ("/kazoo", "0123456789abcdef0123456789abcdef__lock__", Some(Layout::Kazoo)),
        ("/other", "n_", None),
    ];
    for (path, stem, expected) in cases {
        onlooker.create(path, b"", Kind::Persistent).unwrap();
        onlooker.create(&format!("{path}/{stem}"), b"x", Kind::EphemeralSequential).unwrap();
        let elector = candidate(&servers, path, "ours").await;
        let error = soon(elector.campaign()).await.unwrap_err();
        match error {
            elector::CampaignError::Refused(Error::Foreign { fits, .. }) => {
                assert_eq!(fits, expected, "{path}")
            }
            other => panic!("{path}: {other}"),
        }
        assert_eq!(children(address, path).len(), 1, "nothing of ours was made");
    }

    // One-znode elections and queues do not go together in either direction.
    onlooker.create("/single", b"go", Kind::Ephemeral).unwrap();
    let elector = candidate(&servers, "/single", "ours").await;
    let error = soon(elector.campaign()).await.unwrap_err();
    assert!(error.to_string().contains("layout single"), "{error}");
    let elector = builder(&servers, "/lock", "ours").layout(Layout::Single).connect().await.unwrap();
    let error = soon(elector.campaign()).await.unwrap_err();
    assert!(error.to_string().contains("persistent"), "{error}");
}

#[tokio::test]
async fn refused_credentials_and_permissions_end_at_once() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let servers = ensemble.connect_string();
    let owner = builder(&servers, "/owned", "owner").credential("digest", "user:right");
    let entry = |scheme: &str, permissions: &str| elector::AclEntry {
        scheme: scheme.to_owned(),
        id: String::new(),
        permissions: permissions.to_owned(),
    };
    let owner = owner.acl(vec![entry("auth", "cdrwa")]).connect().await.unwrap();
    let leadership = soon(owner.campaign()).await.unwrap();
    assert!(leadership.check());

    let unknown = builder(&servers, "/owned", "other").credential("nosuchscheme", "x").connect();
    let error = soon(unknown).await.unwrap_err();
    assert!(matches!(error, StartError::Failed(_)) && error.to_string().contains("credentials"), "{error}");
}
