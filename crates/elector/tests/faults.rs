//! Rows of the catalogue of faults that need no ZooKeeper to be installed: the library on the embedded server, behind a
//! relay. Those that need an ensemble are in `servers`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use elector::{Builder, Elector, Lost, Notice, Role};
use zk_embedded::testing::TestServer;
use zk_ensemble::{Direction, Onlooker, Proxy, Verdict, op, rounds};

/// A safety bound: what a test waits for comes long before.
const LONG: Duration = Duration::from_secs(60);
/// The session timeout of these tests.
const TIMEOUT: Duration = Duration::from_secs(4);
const PATH: &str = "/billing";

fn builder(server: SocketAddr, id: &str) -> Builder {
    Elector::builder(server.to_string(), PATH).id(id).session_timeout(TIMEOUT)
}

async fn candidate(server: SocketAddr, id: &str) -> Elector {
    builder(server, id).connect().await.expect("the server is up")
}

async fn within<F: Future>(limit: Duration, what: F) -> F::Output {
    tokio::time::timeout(limit, what).await.expect("in time")
}

async fn until_waiting(elector: &Elector, ahead: usize) {
    let mut roles = elector.role();
    let waits = |role: &Role| matches!(role, Role::Waiting { ahead: so_many, .. } if *so_many == ahead);
    within(LONG, roles.wait_for(waits)).await.expect("the driver lives");
}

fn children(server: SocketAddr) -> usize {
    Onlooker::connect(server).expect("it is up").children(PATH).expect("a list").len()
}

/// E9: each second all connections are cut, and new ones refused for half of it.
#[tokio::test(flavor = "multi_thread")]
async fn e9_flapping_connections_gather_no_herd() {
    let server = TestServer::start().unwrap();
    let proxies: Vec<Proxy> = (0..4).map(|_| Proxy::new(server.address())).collect();
    let contender = |number: usize| {
        let builder = builder(proxies[number].address(), &number.to_string());
        builder.session_timeout(Duration::from_secs(10)).connect()
    };
    let first = contender(0).await.unwrap();
    let leadership = within(LONG, first.campaign()).await.unwrap();
    let mut waiting = Vec::new();
    for number in 1..proxies.len() {
        let elector = contender(number).await.unwrap();
        let campaign = elector.campaign();
        until_waiting(&elector, number).await;
        waiting.push((elector, campaign));
    }
    let before: Vec<u64> = proxies.iter().map(|proxy| proxy.counts().connections).collect();
    let seconds = rounds(10, 60) as u64;
    for _ in 0..seconds {
        for proxy in &proxies {
            proxy.refuse();
            proxy.cut();
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        proxies.iter().for_each(Proxy::accept_again);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let spent: Vec<u64> =
        proxies.iter().zip(before).map(|(proxy, before)| proxy.counts().connections - before).collect();
    println!("connections in {seconds} s: {spent:?}; {:?}", first.role().borrow());
    assert!(leadership.check(), "at T = 10 s nothing is lost");
    assert!(spent[2..].iter().all(|connections| *connections <= 2 * seconds), "{spent:?}");
}

/// E12: the connection of the one whose turn it is breaks at any byte of what it is told.
#[tokio::test(flavor = "multi_thread")]
async fn e12_a_promotion_cut_anywhere_ends_with_one_term() {
    let server = TestServer::start().unwrap();
    let proxy = Proxy::new(server.address());
    let mut last = None;
    for bytes in (1..rounds(60, 400) as u64).step_by(4) {
        let first = candidate(server.address(), "first").await;
        let leadership = within(LONG, first.campaign()).await.unwrap();
        let second = candidate(proxy.address(), "second").await;
        let next = second.campaign();
        until_waiting(&second, 1).await;
        proxy.cut_after_bytes(Direction::Down, bytes);
        let old = leadership.token();
        within(LONG, leadership.resign()).await.unwrap();
        let next = within(LONG, next).await.unwrap();
        assert!(next.check() && next.token() > old && Some(next.token()) > last, "after {bytes} bytes");
        assert_eq!(children(server.address()), 1, "after {bytes} bytes");
        last = Some(next.token());
        // What is left of the budget is spent on whatever comes; then the next round begins.
        proxy.cut();
        within(LONG, next.resign()).await.unwrap();
        within(LONG, async { tokio::join!(first.close(), second.close()) }).await;
        proxy.cut_after_bytes(Direction::Down, u64::MAX);
    }
}

/// E13: what is acknowledged 0.9 T late prolongs nothing that counts.
#[tokio::test(flavor = "multi_thread")]
async fn e13_late_answers_do_not_keep_a_term() {
    let server = TestServer::start().unwrap();
    let proxy = Proxy::new(server.address());
    let elector = candidate(proxy.address(), "one").await;
    let leadership = within(LONG, elector.campaign()).await.unwrap();
    tokio::time::sleep(TIMEOUT / 2).await;
    let delayed = Instant::now();
    proxy.delay(Direction::Down, TIMEOUT.mul_f64(0.9));
    assert_eq!(within(LONG, leadership.lost()).await, Lost::NoQuorum);
    println!("stood down {:?} after the delay began", delayed.elapsed());
    assert!(delayed.elapsed() < TIMEOUT, "{:?}", delayed.elapsed());
    // The answers that were under way arrive now.
    tokio::time::sleep(TIMEOUT).await;
    assert!(!leadership.check(), "a late answer revived it");
}

/// E20: the servers grant less than was asked for; the lease counts what was granted, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn e20_the_deadline_follows_what_was_granted() {
    let least = Duration::from_secs(1);
    let server = TestServer::builder().session_timeouts(least, TIMEOUT).start().unwrap();
    let asked = Duration::from_secs(30);
    let elector = builder(server.address(), "one").session_timeout(asked).start().unwrap();
    let mut notices = elector.notices();
    let leadership = within(LONG, elector.campaign()).await.unwrap();
    for _ in 0..20 {
        assert!(leadership.remaining() < TIMEOUT, "{:?}", leadership.remaining());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = async {
        loop {
            match notices.recv().await.expect("the driver lives") {
                Notice::Connected { timeout, .. } if timeout == TIMEOUT => return,
                _ => {}
            }
        }
    };
    within(LONG, told).await;
}

/// E28: there are no callbacks; what the user's code can do is block the runtime that the driver needs.
#[test]
fn e28_code_that_blocks_the_runtime_leads_no_longer_than_its_lease() {
    let server = TestServer::start().unwrap();
    let address = server.address();
    let (tell, told) = std::sync::mpsc::channel();
    let blocked = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let elector = candidate(address, "blocked").await;
            let leadership = within(LONG, elector.campaign()).await.unwrap();
            let fence = leadership.fence();
            tell.send((fence.clone(), leadership.token())).unwrap();
            std::thread::sleep(2 * TIMEOUT);
            assert!(!fence.check() && !leadership.check(), "nobody had to tell it");
            within(LONG, leadership.lost()).await
        })
    });
    let (fence, token) = told.recv_timeout(LONG).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let other = candidate(address, "other").await;
        let leadership = within(LONG, other.campaign()).await.unwrap();
        assert!(!fence.check(), "two at a time");
        assert!(leadership.token() > token);
    });
    blocked.join().expect("no panic");
}

/// E28: work that panics is the caller's to see, and its place is free at once.
#[tokio::test(flavor = "multi_thread")]
async fn e28_work_that_panics_gives_its_place_up() {
    let server = TestServer::start().unwrap();
    let first = candidate(server.address(), "first").await;
    let second = candidate(server.address(), "second").await;
    let leadership = within(LONG, first.campaign()).await.unwrap();
    let next = second.campaign();
    until_waiting(&second, 1).await;
    let work = tokio::spawn(async move { leadership.guard(async { panic!("the work's own fault") }).await });
    let reported: Result<Result<(), Lost>, _> = within(LONG, work).await;
    assert!(reported.unwrap_err().is_panic());
    assert!(within(TIMEOUT / 2, next).await.unwrap().check());
}

/// E29: a campaign is given up at each point of its way, with answers that take their time.
#[tokio::test(flavor = "multi_thread")]
async fn e29_a_campaign_dropped_anywhere_leaves_nothing() {
    let server = TestServer::start().unwrap();
    let elector = candidate(server.address(), "one").await;
    let each = Duration::from_millis(10);
    server.delay_answers(each);
    let mut won = 0;
    for step in 0..rounds(40, 400) as u32 {
        let patience = each * step / rounds(4, 40) as u32;
        won += usize::from(tokio::time::timeout(patience, elector.campaign()).await.is_ok());
    }
    println!("{won} came so far as to lead");
    server.delay_answers(Duration::ZERO);
    let until = Instant::now() + LONG;
    while children(server.address()) > 0 {
        assert!(Instant::now() < until, "a znode is left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The elector itself is as good as new, and leaves no session.
    assert!(within(LONG, elector.campaign()).await.unwrap().check());
    within(LONG, elector.close()).await;
    assert_eq!(children(server.address()), 0);
}

/// E27: an event overtakes the answer to the read that set its watch.
#[tokio::test(flavor = "multi_thread")]
async fn e27_one_that_goes_while_it_is_being_watched_is_missed_by_nobody() {
    let server = TestServer::start().unwrap();
    let proxy = Proxy::new(server.address());
    for round in 0..rounds(5, 50) {
        let first = candidate(server.address(), "first").await;
        let leadership = std::sync::Mutex::new(Some(within(LONG, first.campaign()).await.unwrap()));
        let second = candidate(proxy.address(), "second").await;
        // The leader goes just before the second one's reads reach the server.
        proxy.on_frame(Direction::Up, move |frame| {
            if frame.is_op(&[op::GET_DATA, op::EXISTS]) {
                drop(leadership.lock().expect("no panic while held").take());
                std::thread::sleep(Duration::from_millis(2 * (round as u64 % 5)));
            }
            Verdict::Pass
        });
        assert!(within(TIMEOUT, second.campaign()).await.unwrap().check());
        proxy.forget_hook(Direction::Up);
        within(LONG, async { tokio::join!(first.close(), second.close()) }).await;
    }
}
