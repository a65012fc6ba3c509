//! One candidate after the other, on a real server.

use std::time::{Duration, Instant};

use crate::support::{candidate, children, soon, until_waiting};
use elector::{CampaignError, Leadership, Write, WriteError};
use zk_ensemble::{Ensemble, Onlooker};

#[tokio::test]
async fn terms_follow_one_another_with_rising_tokens() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let (servers, address) = (ensemble.connect_string(), ensemble.servers()[0].address());
    let first = candidate(&servers, "/made/on/demand", "first").await;
    let second = candidate(&servers, "/made/on/demand", "second").await;
    let leader: Leadership = soon(first.campaign()).await.unwrap();
    assert!(leader.check());
    assert!(leader.remaining() > Duration::from_secs(2));
    assert!(matches!(soon(first.campaign()).await, Err(CampaignError::Busy)));

    let mut next = second.campaign();
    until_waiting(&second, 1).await;
    assert_eq!(next.position(), Some(1));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut next).await.is_err());

    let fence = leader.fence();
    let before = leader.token();
    let began = Instant::now();
    soon(leader.resign()).await.unwrap();
    assert!(!fence.check());
    let leader = soon(next).await.unwrap();
    assert!(leader.token() > before);
    println!("handed over in {:?}", began.elapsed());

    // A dropped campaign leaves nothing; a dropped leadership resigns.
    let campaign = first.campaign();
    until_waiting(&first, 1).await;
    drop(campaign);
    drop(leader);
    let leader = soon(first.campaign()).await.unwrap();
    soon(second.close()).await;
    assert_eq!(children(address, "/made/on/demand").len(), 1);
    drop(leader);
    soon(first.close()).await;
    assert_eq!(children(address, "/made/on/demand").len(), 0);
}

#[tokio::test]
async fn guarded_writes_end_with_the_term() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let elector = candidate(&ensemble.connect_string(), "/billing", "writer").await;
    let leader = soon(elector.campaign()).await.unwrap();
    let path = || "/state".to_owned();
    soon(leader.write(vec![Write::Create { path: path(), data: b"1".to_vec() }])).await.unwrap();
    let set = |version| vec![Write::Set { path: path(), data: b"2".to_vec(), version }];
    soon(leader.write(set(Some(0)))).await.unwrap();
    let refused = soon(leader.write(set(Some(0)))).await.unwrap_err();
    assert!(matches!(refused, WriteError::Refused { operation: 0, code: -103, .. }), "{refused}");

    // An operator deletes the leader's znode: the term is over at once, and so are its writes.
    let mut onlooker = Onlooker::connect(ensemble.servers()[0].address()).unwrap();
    let own = onlooker.children("/billing").unwrap().remove(0);
    onlooker.delete(&format!("/billing/{own}")).unwrap();
    assert_eq!(soon(leader.lost()).await, elector::Lost::Deposed);
    assert!(!leader.check());
    assert!(matches!(soon(leader.write(set(None))).await, Err(WriteError::NotLeading(_))));
    let old = leader.token();
    drop(leader);
    assert!(soon(elector.campaign()).await.unwrap().token() > old);
}

#[tokio::test]
async fn closing_ends_also_when_the_session_ended_before_the_leadership_was_dropped() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let address = ensemble.servers()[0].address();
    let elector = candidate(&address.to_string(), "/closing", "one").await;
    let role = elector.role();
    let leadership = soon(elector.campaign()).await.unwrap();
    let closed = tokio::spawn(elector.close());
    let mut operator = Onlooker::connect(address).unwrap();
    let own = operator.children("/closing").unwrap().remove(0);
    let owner = operator.exists(&format!("/closing/{own}")).unwrap().unwrap().owner;
    Onlooker::close_session_of_another(address, owner).unwrap();
    soon(leadership.lost()).await;
    drop(leadership);
    soon(closed).await.unwrap();
    assert_eq!(*role.borrow(), elector::Role::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_does_not_wait_for_servers_that_are_gone() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::start(1);
    let servers = ensemble.connect_string();
    let first = candidate(&servers, "/gone", "first").await;
    let _leadership = soon(first.campaign()).await.unwrap();
    let second = candidate(&servers, "/gone", "second").await;
    let campaign = second.campaign();
    until_waiting(&second, 1).await;
    ensemble.server(0).kill();
    let limit = crate::support::TIMEOUT + Duration::from_secs(2);
    crate::support::within(limit, second.close()).await;
    assert!(soon(campaign).await.is_err());
}

/// A foreign program writes into a contender's znode: nobody must be kept from leading by it.
#[tokio::test]
async fn writes_into_contenders_znodes_change_nothing() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let (servers, address) = (ensemble.connect_string(), ensemble.servers()[0].address());
    let first = candidate(&servers, "/written", "first").await;
    let leadership = soon(first.campaign()).await.unwrap();
    let second = candidate(&servers, "/written", "second").await;
    let next = second.campaign();
    until_waiting(&second, 1).await;
    let mut stranger = Onlooker::connect(address).unwrap();
    for name in stranger.children("/written").unwrap() {
        stranger.set_data(&format!("/written/{name}"), b"scribble").unwrap();
    }
    let received = || ensemble.servers()[0].report().expect("it serves").received;
    let before = received();
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Two that probe and ping at their usual pace, and this test's own look.
    let requests = received() - before;
    assert!(requests < 100, "{requests} requests in 2 s");
    soon(leadership.resign()).await.unwrap();
    assert!(soon(next).await.unwrap().check());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_guarded_writes_does_not_cost_the_leadership() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::start(1);
    let builder = crate::support::builder(&ensemble.connect_string(), "/flood", "one");
    let elector = builder.session_timeout(Duration::from_secs(10)).connect().await.unwrap();
    let leadership = std::sync::Arc::new(soon(elector.campaign()).await.unwrap());
    ensemble.server(0).stop();
    let writers: Vec<_> = (0..1_500)
        .map(|i| {
            let leadership = std::sync::Arc::clone(&leadership);
            let write = Write::Create { path: format!("/flood-{i}"), data: vec![b'x'; 1_000] };
            tokio::spawn(async move { leadership.write(vec![write]).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    ensemble.server(0).cont();
    let mut written = 0;
    for writer in writers {
        match soon(writer).await.unwrap() {
            Ok(()) => written += 1,
            Err(error) => assert!(matches!(error, WriteError::NotSent(_)), "{error}"),
        }
    }
    assert!(written > 0);
    assert!(leadership.check());
    let malformed = Write::Delete { path: "no/slash".to_owned(), version: None };
    assert!(matches!(soon(leadership.write(vec![malformed])).await, Err(WriteError::Invalid(_))));
}
