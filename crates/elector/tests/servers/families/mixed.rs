//! Six contenders of several libraries in one queue, with planned and unplanned ends of their terms in random
//! order; whoever believed to lead, and when, is looked at afterwards.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use elector::{CampaignError, Elector, Layout};
use tokio::sync::Notify;
use zk_ensemble::{LineProcess, Peer, Proxy, monotonic_time, rounds};

use super::beliefs::{Term, one_after_the_other, told};
use super::{PEER, ours, servers, until_contending};
use crate::support::TIMEOUT;

const PATH: &str = "/mixed";
/// Between two looks at who leads.
const LOOK: Duration = Duration::from_millis(2);

#[tokio::test(flavor = "multi_thread")]
async fn six_of_the_lock_family_lead_one_after_the_other() {
    let members = [
        None,
        Some(Peer::CuratorSelector),
        Some(Peer::GoLock),
        None,
        Some(Peer::KazooJoined),
        Some(Peer::CuratorMutex),
    ];
    lead_one_after_the_other(Layout::Lock, &members).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn six_of_the_kazoo_family_lead_one_after_the_other() {
    let members =
        [None, Some(Peer::KazooElection), None, Some(Peer::KazooLock), Some(Peer::KazooElection), None];
    lead_one_after_the_other(Layout::Kazoo, &members).await;
}

async fn lead_one_after_the_other(layout: Layout, kinds: &[Option<Peer>]) {
    if !kinds.iter().flatten().all(|peer| peer.require()) {
        return;
    }
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let ensemble = servers();
    let address = ensemble.servers()[0].address();
    let mut members = Vec::new();
    for (place, kind) in kinds.iter().enumerate() {
        members.push(match kind {
            None => Member::Ours(Ours::start(address, format!("elector-{place}"), layout).await),
            Some(peer) => Member::Theirs(Theirs::start(address, format!("{peer:?}-{place}"), *peer)),
        });
        until_contending(address, PATH, place + 1).await;
    }
    for _ in 0..rounds(30, 300) {
        let leader = leader(&members, Duration::ZERO).await;
        until_contending(address, PATH, members.len()).await;
        let other = (leader + random.usize(1..members.len())) % members.len();
        let now = monotonic_time();
        match random.u8(0..10) {
            0 | 1 => {
                members[leader].kill();
                self::leader(&members, now).await;
                members[leader].revive();
            }
            2 => {
                members[other].kill();
                members[leader].resign();
                self::leader(&members, now).await;
                members[other].revive();
            }
            choice => {
                // Now and then another one changes its place first, so that the order changes too.
                if choice < 6 && matches!(members[other], Member::Theirs(_)) {
                    members[other].resign();
                    until_contending(address, PATH, members.len()).await;
                }
                members[leader].resign();
                self::leader(&members, now).await;
            }
        }
    }
    let terms = one_after_the_other(members.iter().flat_map(Member::terms).collect());
    let orders = orders(&terms);
    println!("{} hand-overs: {orders:?}", terms.len() - 1);
    let is_ours = |who: &str| who == "elector";
    assert!(orders.keys().any(|(from, to)| is_ours(from) && !is_ours(to)), "{orders:?}");
    assert!(orders.keys().any(|(from, to)| !is_ours(from) && is_ours(to)), "{orders:?}");
}

/// Waits for a term that began after `since` and still runs.
async fn leader(members: &[Member], since: Duration) -> usize {
    let end = Instant::now() + PEER;
    loop {
        let leads =
            |member: &Member| member.terms().iter().any(|term| term.to.is_none() && term.from > since);
        if let Some(leader) = members.iter().position(leads) {
            return leader;
        }
        assert!(
            Instant::now() < end,
            "nobody leads: {:#?}",
            members.iter().map(Member::terms).collect::<Vec<_>>()
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// How often which kind followed on which.
fn orders(terms: &[Term]) -> BTreeMap<(&str, &str), usize> {
    let mut orders = BTreeMap::new();
    let kind = |term: &'_ Term| term.who.len() - "-0".len();
    for [one, next] in terms.array_windows() {
        *orders.entry((&one.who[..kind(one)], &next.who[..kind(next)])).or_default() += 1;
    }
    orders
}

enum Member {
    Ours(Ours),
    Theirs(Theirs),
}

impl Member {
    fn terms(&self) -> Vec<Term> {
        match self {
            Member::Ours(ours) => ours.terms.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Member::Theirs(theirs) => theirs.terms(),
        }
    }

    /// Leaves its place for the tail of the queue; one of ours only when it leads.
    fn resign(&mut self) {
        match self {
            Member::Ours(ours) => ours.resign.notify_one(),
            Member::Theirs(theirs) => {
                theirs.process.send("close").expect("it listens");
                theirs.process.wait_for("CLOSED", PEER);
                theirs.process.send("start").expect("it listens");
            }
        }
    }

    /// As if its machine were gone: a process dies, one of ours is cut off for longer than its session lives.
    fn kill(&mut self) {
        match self {
            Member::Ours(ours) => ours.link.blackhole(),
            Member::Theirs(theirs) => theirs.kill(),
        }
    }

    fn revive(&mut self) {
        match self {
            Member::Ours(ours) => ours.link.heal(),
            Member::Theirs(theirs) => theirs.revive(),
        }
    }
}

/// One of ours, behind a relay.
struct Ours {
    link: Proxy,
    resign: Arc<Notify>,
    terms: Arc<Mutex<Vec<Term>>>,
}

impl Ours {
    async fn start(server: SocketAddr, id: String, layout: Layout) -> Ours {
        let link = Proxy::new(server);
        let elector = ours(&link.address().to_string(), PATH, &id, layout).await;
        let (resign, terms) = (Arc::default(), Arc::default());
        tokio::spawn(contend(elector, id, Arc::clone(&resign), Arc::clone(&terms)));
        Ours { link, resign, terms }
    }
}

async fn contend(elector: Elector, id: String, resign: Arc<Notify>, terms: Arc<Mutex<Vec<Term>>>) {
    let terms = || terms.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let leadership = match elector.campaign().await {
            Ok(leadership) => leadership,
            Err(CampaignError::Busy) => {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(error) => panic!("{id}: {error}"),
        };
        terms().push(Term::begin(&id));
        let planned = tokio::select! {
            () = resign.notified() => true,
            _ = leadership.lost() => false,
        };
        terms().last_mut().expect("just begun").end();
        if planned {
            // Whatever goes wrong, the session's end takes the znode away.
            let _ = leadership.resign().await;
        }
    }
}

/// A contender of another library.
struct Theirs {
    peer: Peer,
    id: String,
    servers: String,
    process: LineProcess,
    killed: Option<Duration>,
    /// The terms of its earlier processes.
    past: Vec<Term>,
}

impl Theirs {
    fn start(server: SocketAddr, id: String, peer: Peer) -> Theirs {
        let servers = server.to_string();
        let process = peer.start(&servers, PATH, &id, TIMEOUT);
        Theirs { peer, id, servers, process, killed: None, past: Vec::new() }
    }

    fn terms(&self) -> Vec<Term> {
        let mut present = told(&self.process);
        for term in &mut present {
            term.to = term.to.or(self.killed);
        }
        [self.past.clone(), present].concat()
    }

    fn kill(&mut self) {
        self.process.process().kill();
        self.killed = Some(monotonic_time());
    }

    fn revive(&mut self) {
        self.past = self.terms();
        self.killed = None;
        self.process = self.peer.start(&self.servers, PATH, &self.id, TIMEOUT);
    }
}
