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
