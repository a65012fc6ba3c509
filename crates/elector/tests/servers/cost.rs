//! What a hand-over costs the servers, whatever the number of contenders.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{candidate, soon};
use elector::{Elector, Leadership, Role};
use zk_ensemble::{Direction, Ensemble, Proxy, Verdict, op, rounds};

/// Long enough for whatever a hand-over sets off.
const SETTLED: Duration = Duration::from_secs(1);
const HANDOVERS: usize = 12;

/// Requests of one hand-over with the old leader's new enrolment, at most; probes and pings apart.
const AT_MOST: usize = 6;

/// E26.
#[tokio::test]
async fn a_hand_over_takes_as_few_requests_of_many_contenders_as_of_few() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::start(1);
    let proxy = Proxy::new(ensemble.servers()[0].address());
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    proxy.control().on_frame(Direction::Up, move |frame| {
        if frame.op().is_some_and(|op| op != op::PING && op != op::MULTI) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        Verdict::Pass
    });
    let servers = proxy.address().to_string();
    for contenders in [3, 12, rounds(60, 500)] {
        let path = format!("/cost-{contenders}");
        let mut queue = enrol(&servers, &path, contenders).await;
        // Who stands behind those that enrolled together has more to learn, once.
        for _ in 0..contenders {
            queue = hand_over(queue).await;
        }
        tokio::time::sleep(SETTLED).await;
        let before = requests.load(Ordering::Relaxed);
        for _ in 0..HANDOVERS {
            queue = hand_over(queue).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(SETTLED).await;
        let spent = requests.load(Ordering::Relaxed) - before;
        println!("{contenders} contenders: {} requests a hand-over", spent as f64 / HANDOVERS as f64);
        assert!(spent <= AT_MOST * HANDOVERS, "{contenders} contenders: {spent} for {HANDOVERS} hand-overs");
    }
}

/// Those in the queue in their order, the leader first.
type Queue = std::collections::VecDeque<(Elector, elector::Campaign)>;

async fn enrol(servers: &str, path: &str, count: usize) -> (Leadership, Elector, Queue) {
    let first = candidate(servers, path, "0").await;
    let leadership = soon(first.campaign()).await.expect("alone it leads");
    let mut queue = Queue::new();
    for index in 1..count {
        queue.push_back(contend(candidate(servers, path, &index.to_string()).await).await);
    }
    (leadership, first, queue)
}

async fn contend(elector: Elector) -> (Elector, elector::Campaign) {
    let campaign = elector.campaign();
    let mut role = elector.role();
    soon(role.wait_for(|role| matches!(role, Role::Waiting { .. }))).await.expect("the driver lives");
    (elector, campaign)
}

/// The leader resigns and stands at the end of the queue; the next one leads.
async fn hand_over(
    (leadership, leader, mut queue): (Leadership, Elector, Queue),
) -> (Leadership, Elector, Queue) {
    soon(leadership.resign()).await.expect("a server answers");
    let (next, campaign) = queue.pop_front().expect("somebody waits");
    let leadership = soon(campaign).await.expect("its turn has come");
    queue.push_back(contend(leader).await);
    (leadership, next, queue)
}
