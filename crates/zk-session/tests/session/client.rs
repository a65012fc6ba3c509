//! The handle for plain use.

use std::time::Duration;

use tokio::sync::mpsc;
use zk_session::wire::{CreateMode, ErrorCode, EventKind, Request, Response};
use zk_session::{CallError, Client, ClientEvent, Config, ConnectError, Credential, NotSent, SessionEnd};

use crate::support::{Manner, Net, Peer, T, TestClock, data, stat};

struct Setting {
    net: Net,
    clock: TestClock,
    arrivals: mpsc::UnboundedReceiver<Peer>,
}

impl Setting {
    fn new() -> Self {
        let clock = TestClock::new();
        let (net, arrivals) = Net::new(clock.clone());
        Self { net, clock, arrivals }
    }

    async fn connect(&self, config: Config) -> Result<Client, ConnectError> {
        Client::connect_with(config, self.net.clone(), self.clock.clone(), T).await
    }

    async fn peer(&mut self) -> Peer {
        self.arrivals.recv().await.expect("the network exists")
    }

    async fn connected(servers: &str) -> (Self, Client, Peer) {
        let mut setting = Self::new();
        let net = setting.net.clone();
        let clock = setting.clock.clone();
        let connecting = Client::connect_with(config(servers), net, clock, T);
        let serving = async {
            let mut peer = setting.peer().await;
            peer.welcome().await;
            peer
        };
        let (client, peer) = tokio::join!(connecting, serving);
        (setting, client.expect("connected"), peer)
    }
}

fn config(servers: &str) -> Config {
    Config::new(servers.parse().expect("a connect string"))
}

#[tokio::test(start_paused = true)]
async fn calls_are_answered() {
    let (_setting, client, mut peer) = Setting::connected("a").await;
    let serving = async {
        let (xid, request) = peer.request().await;
        assert!(matches!(request, Request::Create2 { mode: CreateMode::EphemeralSequential, .. }));
        peer.reply(xid, 7, Response::Created2 { path: "/x-0000000000".into(), stat: stat(7) }).await;
        let (xid, _) = peer.request().await;
        peer.refuse(xid, 7, ErrorCode::NoNode).await;
    };
    let calling = async {
        let created =
            client.create2("/x-", b"me", Vec::new(), CreateMode::EphemeralSequential).await.expect("created");
        assert_eq!(created.value, ("/x-0000000000".to_owned(), stat(7)));
        assert_eq!((created.zxid, created.timeout), (7, T));
        assert!(created.sent <= created.received);
        assert_eq!(client.delete("/y", -1).await, Err(CallError::Refused(ErrorCode::NoNode)));
    };
    tokio::join!(serving, calling);
    let bad = client.exists("y", false).await;
    assert!(matches!(bad, Err(CallError::NotSent(NotSent::BadPath(_)))), "{bad:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_it_was_sent_is_never_sent() {
    let (mut setting, client, peer) = Setting::connected("a").await;
    setting.net.set("a", Manner::Refuse);
    drop(peer);
    let mut events = client.events();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(matches!(events.recv().await, Ok(ClientEvent::Detached { .. })));
    let dropped = tokio::time::timeout(Duration::from_secs(1), client.get_data("/dropped", false)).await;
    assert!(dropped.is_err());
    setting.net.set("a", Manner::Accept { pipe: 4096 });
    let serving = async {
        let mut peer = setting.peer().await;
        peer.welcome().await;
        let (xid, request) = peer.request().await;
        assert_eq!(request, Request::GetData { path: "/kept".into(), watch: false });
        peer.reply(xid, 5, data(1)).await;
        peer
    };
    let (answer, _peer) = tokio::join!(client.get_data("/kept", false), serving);
    assert!(answer.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_call_dropped_later_is_discarded() {
    let (_setting, client, mut peer) = Setting::connected("a").await;
    let calling = tokio::time::timeout(Duration::from_secs(1), client.get_data("/slow", false));
    let (dropped, (xid, _)) = tokio::join!(calling, peer.request());
    assert!(dropped.is_err());
    peer.reply(xid, 5, data(1)).await;
    let serving = async {
        let (xid, _) = peer.request().await;
        peer.reply(xid, 6, data(2)).await;
    };
    let (answer, ()) = tokio::join!(client.get_data("/next", false), serving);
    assert_eq!(answer.expect("answered").value.1, stat(2));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_connection_ends_has_an_unknown_outcome() {
    let (_setting, client, mut peer) = Setting::connected("a").await;
    let serving = async {
        peer.request().await;
        drop(peer);
    };
    let (answer, ()) = tokio::join!(client.set_data("/x", b"1", -1), serving);
    assert_eq!(answer, Err(CallError::OutcomeUnknown));
}

#[tokio::test(start_paused = true)]
async fn close_returns_after_the_server_has_closed() {
    let (_setting, client, mut peer) = Setting::connected("a").await;
    let other = client.clone();
    let serving = async {
        let (xid, request) = peer.request().await;
        assert_eq!(request, Request::Close);
        tokio::time::sleep(Duration::from_millis(700)).await;
        peer.reply(xid, 5, Response::Empty).await;
    };
    let begun = tokio::time::Instant::now();
    let (end, ()) = tokio::join!(client.close(), serving);
    assert_eq!(end, SessionEnd::Closed);
    assert!(begun.elapsed() >= Duration::from_millis(700));
    assert_eq!(other.sync("/").await, Err(CallError::Ended(SessionEnd::Closed)));
    assert_eq!(other.close().await, SessionEnd::Closed);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_the_session() {
    let (_setting, client, mut peer) = Setting::connected("a").await;
    let other = client.clone();
    drop(client);
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(other);
    assert_eq!(peer.request().await.1, Request::Close);
}

#[tokio::test(start_paused = true)]
async fn an_expiry_ends_waiting_calls() {
    let (mut setting, client, peer) = Setting::connected("a").await;
    drop(peer);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let serving = async {
        let mut peer = setting.peer().await;
        peer.connect_request().await;
        peer.answer_connect(0, 0).await;
    };
    let (answer, ()) = tokio::join!(client.sync("/"), serving);
    assert_eq!(answer, Err(CallError::Ended(SessionEnd::Expired)));
}

#[tokio::test(start_paused = true)]
async fn no_server_within_the_limit() {
    let setting = Setting::new();
    setting.net.set("a", Manner::Refuse);
    setting.net.set("b", Manner::Unknown);
    let begun = tokio::time::Instant::now();
    let error = setting.connect(config("a,b")).await.expect_err("nobody is there");
    assert!(begun.elapsed() <= T + Duration::from_millis(10));
    let text = error.to_string();
    assert!(text.contains("a:2181") && text.contains("b:2181") && text.contains("refused"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_end_a_connect_at_once() {
    let mut setting = Setting::new();
    let mut config = config("a");
    config.credentials.push(Credential::new("digest", "user:wrong"));
    let (net, clock) = (setting.net.clone(), setting.clock.clone());
    let serving = async {
        let mut peer = setting.peer().await;
        peer.welcome().await;
        let (xid, _) = peer.request().await;
        peer.refuse(xid, 0, ErrorCode::AuthFailed).await;
    };
    let (client, ()) = tokio::join!(Client::connect_with(config, net, clock, T), serving);
    assert_eq!(client.err(), Some(ConnectError::Ended(SessionEnd::AuthFailed)));
}

#[tokio::test(start_paused = true)]
async fn watches_reach_every_listener() {
    let (_setting, client, mut peer) = Setting::connected("a").await;
    let (mut one, mut two) = (client.events(), client.events());
    let serving = async {
        let (xid, _) = peer.request().await;
        peer.reply(xid, 5, data(1)).await;
        peer.event(EventKind::DataChanged, "/x").await;
    };
    let (answer, ()) = tokio::join!(client.get_data("/x", true), serving);
    answer.expect("answered");
    for events in [&mut one, &mut two] {
        let ClientEvent::Watch(event) = events.recv().await.expect("an event") else { panic!() };
        assert_eq!((event.kind, event.path.as_str()), (EventKind::DataChanged, "/x"));
    }
}
