//! Ours and one peer, in turns: each way in which a term ends, in both orders of succession.

use std::time::Duration;

use elector::{Elector, Layout, Leadership};
use zk_ensemble::{Ensemble, LineProcess, Peer, Proxy, monotonic_time};

use super::beliefs::{Term, one_after_the_other, told};
use super::{PEER, layout, ours, servers, until_contending};
use crate::support::{TIMEOUT, soon, until_waiting, within};

const PATH: &str = "/turns";

#[tokio::test(flavor = "multi_thread")]
async fn curators_leader_selector_takes_turns_with_us() {
    takes_turns(Peer::CuratorSelector).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curators_mutex_takes_turns_with_us() {
    takes_turns(Peer::CuratorMutex).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gos_lock_takes_turns_with_us() {
    takes_turns(Peer::GoLock).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kazoo_with_its_three_lines_takes_turns_with_us() {
    takes_turns(Peer::KazooJoined).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kazoos_election_takes_turns_with_us() {
    takes_turns(Peer::KazooElection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kazoos_lock_takes_turns_with_us() {
    takes_turns(Peer::KazooLock).await;
}

/// The crate zookeeper-client has a lock that follows Curator's; it runs in this process, so it is not killed.
#[tokio::test(flavor = "multi_thread")]
async fn the_rust_clients_lock_takes_turns_with_us() {
    use zookeeper_client as zk;
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = servers();
    let (servers, address) = (ensemble.connect_string(), ensemble.servers()[0].address());
    let ours = ours(&servers, PATH, "ours", Layout::Lock).await;
    let leadership = soon(ours.campaign()).await.unwrap();
    let client = zk::Client::connect(&servers).await.unwrap();
    let (held, mut holds) = tokio::sync::mpsc::unbounded_channel();
    let (release, mut released) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let prefix = zk::LockPrefix::new_curator(PATH, "lock-").unwrap();
            let lock = client.lock(prefix, b"theirs", zk::Acls::anyone_all()).await.unwrap();
            let mut term = Term::begin("theirs");
            held.send(None).unwrap();
            let () = released.recv().await.unwrap();
            term.end();
            held.send(Some(term)).unwrap();
            drop(lock); // which deletes its znode
        }
    });
    until_contending(address, PATH, 2).await;
    assert!(holds.try_recv().is_err(), "two leaders");
    let mut terms = vec![Term::begin("ours")];
    let mut leadership = Some(leadership);
    for _ in 0..10 {
        let leads = leadership.take().expect("our turn");
        terms.last_mut().expect("it is ours").end();
        soon(leads.resign()).await.unwrap();
        assert!(soon(holds.recv()).await.unwrap().is_none());
        let campaign = ours.campaign();
        until_waiting(&ours, 1).await;
        release.send(()).unwrap();
        terms.extend(soon(holds.recv()).await.unwrap());
        leadership = Some(soon(campaign).await.unwrap());
        terms.push(Term::begin("ours"));
        until_contending(address, PATH, 2).await;
    }
    assert_eq!(one_after_the_other(terms).len(), 21);
}

/// Both contenders, each behind a relay of its own.
struct Pair {
    ensemble: Ensemble,
    ours: Elector,
    our_link: Proxy,
    theirs: LineProcess,
    their_link: Proxy,
    /// Our terms so far.
    terms: Vec<Term>,
}

impl Pair {
    /// We lead, the peer waits.
    async fn start(peer: Peer) -> (Pair, Leadership) {
        let ensemble = servers();
        let address = ensemble.servers()[0].address();
        let (our_link, their_link) = (Proxy::new(address), Proxy::new(address));
        let ours = ours(&our_link.address().to_string(), PATH, "ours", layout(peer)).await;
        let leadership = soon(ours.campaign()).await.expect("nobody else is there");
        let terms = vec![Term::begin("ours")];
        let theirs = peer.start(&their_link.address().to_string(), PATH, "theirs", TIMEOUT);
        let pair = Pair { ensemble, ours, our_link, theirs, their_link, terms };
        pair.until_both_contend().await;
        (pair, leadership)
    }

    async fn until_both_contend(&self) {
        until_contending(self.ensemble.servers()[0].address(), PATH, 2).await;
    }

    /// The end of our work, then of our leadership.
    async fn resign(&mut self, leadership: Leadership) {
        self.our_term().end();
        soon(leadership.resign()).await.expect("a server is up");
        self.theirs.wait_for("LEADING theirs", PEER);
    }

    /// We wait behind the peer until `end` has taken its leadership away.
    async fn succeed(&mut self, end: impl FnOnce(&mut Pair)) -> Leadership {
        let mut campaign = self.ours.campaign();
        until_waiting(&self.ours, 1).await;
        let early = tokio::time::timeout(Duration::from_millis(300), &mut campaign).await;
        assert!(early.is_err(), "two leaders");
        end(self);
        let leadership = within(PEER, campaign).await.expect("our turn");
        self.terms.push(Term::begin("ours"));
        leadership
    }

    fn our_term(&mut self) -> &mut Term {
        self.terms.last_mut().expect("we have led")
    }
}

async fn takes_turns(peer: Peer) {
    if !peer.require() {
        return;
    }
    let (mut pair, leadership) = Pair::start(peer).await;
    if peer != Peer::GoLock && peer != Peer::CuratorMutex {
        pair.theirs.send("contenders").expect("it listens");
        pair.theirs.wait_for("CONTENDERS ours theirs", PEER);
    }

    // Planned, in both orders.
    pair.resign(leadership).await;
    let leadership = pair.succeed(|pair| pair.theirs.send("close").expect("it listens")).await;
    pair.theirs.wait_for("CLOSED", PEER);
    pair.theirs.send("start").expect("it listens");
    pair.until_both_contend().await;

    // Expiry, in both orders: the network takes one of them away.
    pair.our_link.blackhole();
    within(2 * TIMEOUT, leadership.lost()).await;
    pair.our_term().end();
    assert!(!leadership.check());
    pair.theirs.wait_for("LEADING theirs", PEER);
    drop(leadership);
    pair.our_link.heal();
    let leadership = pair.succeed(|pair| pair.their_link.blackhole()).await;
    pair.theirs.wait_for("LOST theirs", PEER);
    pair.their_link.heal();
    pair.until_both_contend().await;
    one_after_the_other([told(&pair.theirs), pair.terms.clone()].concat());

    // Frozen, it has no deadline of its own: it works on when it thaws, until it reads that all is lost.
    pair.resign(leadership).await;
    let frozen = told(&pair.theirs).len() - 1;
    let leadership = pair.succeed(|pair| pair.theirs.process().stop()).await;
    pair.theirs.process().cont();
    pair.theirs.wait_for("LOST theirs", PEER);
    let late = told(&pair.theirs)[frozen].to.expect("it was told") - pair.our_term().from;
    println!("{peer:?} worked on for {late:?} after our term had begun: its own fault, it was frozen");
    assert!(leadership.check());
    pair.until_both_contend().await;

    // Killed, as its machine would be.
    pair.resign(leadership).await;
    let mut killed = None;
    let leadership = pair
        .succeed(|pair| {
            pair.theirs.process().kill();
            killed = Some(monotonic_time());
        })
        .await;
    let mut theirs = told(&pair.theirs);
    theirs.last_mut().expect("it led").to = killed;
    theirs.remove(frozen);
    one_after_the_other([theirs, pair.terms.clone()].concat());
    soon(leadership.resign()).await.expect("a server is up");
}
