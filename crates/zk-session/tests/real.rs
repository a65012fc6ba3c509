//! The session against real Apache ZooKeeper servers.

use std::time::{Duration, Instant};

use tokio::sync::broadcast::Receiver;
use zk_ensemble::{Ensemble, Kind, Onlooker, Trouble};
use zk_session::wire::{Acl, CreateMode, ErrorCode, EventKind, MultiOp, MultiResult, perms};
use zk_session::{Attachment, CallError, Client, ClientEvent, Config, ConnectError, Credential, SessionEnd};

/// A bound on patience, not on speed.
const LIMIT: Duration = Duration::from_secs(30);

fn config(ensemble: &Ensemble, chroot: &str) -> Config {
    Config::new(format!("{}{chroot}", ensemble.connect_string()).parse().expect("a connect string"))
}

async fn connect(config: Config) -> Client {
    Client::connect_within(config, LIMIT).await.expect("connected")
}

fn open() -> Vec<Acl> {
    vec![Acl::anyone(perms::ALL)]
}

async fn find<T>(events: &mut Receiver<ClientEvent>, pick: impl Fn(&ClientEvent) -> Option<T>) -> T {
    let looking = async {
        loop {
            let event = events.recv().await.expect("the session goes on");
            if let Some(found) = pick(&event) {
                return found;
            }
        }
    };
    tokio::time::timeout(LIMIT, looking).await.expect("in time")
}

fn attachment(event: &ClientEvent) -> Option<Attachment> {
    match event {
        ClientEvent::Attached(attachment) => Some(attachment.clone()),
        _ => None,
    }
}

fn watch(event: &ClientEvent) -> Option<(EventKind, String)> {
    match event {
        ClientEvent::Watch(event) => Some((event.kind, event.path.clone())),
        _ => None,
    }
}

/// Asks again what a lost connection left unanswered.
async fn again<T, F: Future<Output = Result<T, CallError>>>(call: impl Fn() -> F) -> T {
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(CallError::OutcomeUnknown | CallError::NotSent(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_from_the_chroot_to_the_close() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::start(1);
    let address = ensemble.server(0).address();
    let client = connect(config(&ensemble, "/not/yet/there")).await;
    let mut events = client.events();

    client.ensure("/election/path").await.expect("the chroot and all parents are made");
    client.ensure("/election/path").await.expect("it may be there already");
    let mut onlooker = Onlooker::connect(address).expect("serving");
    assert!(onlooker.exists("/not/yet/there/election/path").expect("answered").is_some());

    let created = client
        .create2("/election/path/c-", b"me", open(), CreateMode::EphemeralSequential)
        .await
        .expect("created");
    let (path, stat) = created.value;
    assert_eq!(path, "/election/path/c-0000000000");
    assert_eq!(created.zxid, stat.czxid);
    assert!(created.sent < created.received);
    assert_eq!(created.timeout, Duration::from_secs(10));

    let listed = client.get_children2("/election/path", true).await.expect("listed").value.0;
    assert_eq!(listed, ["c-0000000000"]);
    client.get_data(&path, true).await.expect("read");
    let missing = client.exists("/election/missing", true).await;
    assert_eq!(missing, Err(CallError::Refused(ErrorCode::NoNode)));
    let own = format!("/not/yet/there{path}");
    onlooker.set_data(&own, b"changed").expect("set");
    onlooker.create("/not/yet/there/election/missing", b"", Kind::Persistent).expect("created");
    assert_eq!(find(&mut events, watch).await, (EventKind::DataChanged, path.clone()));
    assert_eq!(find(&mut events, watch).await, (EventKind::Created, "/election/missing".into()));

    let check = |path: &str| MultiOp::Check { path: path.into(), version: -1 };
    let probe = client.multi(vec![check(&path)]).await.expect("answered");
    assert_eq!(probe.value, [MultiResult::Checked]);
    let failed = client.multi(vec![check(&path), check("/none")]).await.expect("answered");
    let codes = [ErrorCode::Ok, ErrorCode::NoNode].map(MultiResult::Failed);
    assert_eq!(failed.value, codes);
    assert!(failed.zxid > probe.zxid, "a failed transaction uses a zxid as well");
    client.sync("/election/path").await.expect("synced");
    assert!(!client.who_am_i().await.expect("answered").value.is_empty());

    assert_eq!(client.close().await, SessionEnd::Closed);
    assert!(onlooker.exists(&own).expect("answered").is_none(), "ephemerals go with the close, not later");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_outlives_the_server_that_it_used() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::start(3);
    let mut config = config(&ensemble, "");
    config.credentials.push(Credential::new("digest", "user:secret"));
    let client = connect(config).await;
    let mut events = client.events();
    // So much to watch that setting it again takes three frames.
    let path = |n: usize| format!("/{n:0>900}");
    for n in 0..400 {
        let missing = client.exists(&path(n), true).await;
        assert_eq!(missing, Err(CallError::Refused(ErrorCode::NoNode)));
    }
    let own = vec![Acl::creator(perms::ALL)];
    let (mine, stat) =
        client.create2("/mine", b"1", own, CreateMode::Ephemeral).await.expect("created").value;

    let used = used_server(&mut ensemble, stat.ephemeral_owner);
    ensemble.server(used).kill();
    create_somewhere(&ensemble, &path(399));

    let attached = find(&mut events, attachment).await;
    assert!(attached.resumed);
    assert_eq!(attached.session, stat.ephemeral_owner);
    assert_ne!(attached.server, ensemble.server(used).address().to_string());
    assert_eq!(find(&mut events, watch).await, (EventKind::Created, path(399)));
    // Credentials are in force again: nobody else may read this.
    let read = again(|| client.get_data(&mine, false)).await;
    assert_eq!(read.value.0.as_deref(), Some(b"1".as_slice()));
    assert_eq!(read.value.1.czxid, stat.czxid);
    assert_eq!(client.close().await, SessionEnd::Closed);
}

/// Makes a node from outside, through whichever server serves again first.
fn create_somewhere(ensemble: &Ensemble, path: &str) {
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        for server in ensemble.servers() {
            let made = Onlooker::connect(server.address())
                .and_then(|mut onlooker| onlooker.create(path, b"", Kind::Persistent));
            match made {
                Ok(_) | Err(Trouble::Refused(-110)) => return,
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
    panic!("no server serves");
}

/// Which server carries this session: the one whose connections name it.
fn used_server(ensemble: &mut Ensemble, session: i64) -> usize {
    let name = format!("0x{session:x}");
    (0..ensemble.size())
        .find(|server| {
            let address = ensemble.server(*server).address();
            zk_ensemble::four_letter(address, "cons").is_ok_and(|text| text.contains(&name))
        })
        .expect("some server carries the session")
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_told_apart() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::start(1);
    let address = ensemble.server(0).address();
    let mut unknown_scheme = config(&ensemble, "");
    unknown_scheme.credentials.push(Credential::new("no-such-scheme", "secret"));
    let refused = Client::connect_within(unknown_scheme, LIMIT).await.err();
    assert_eq!(refused, Some(ConnectError::Ended(SessionEnd::AuthFailed)));

    let client = connect(config(&ensemble, "")).await;
    let mut events = client.events();
    let created = client.create2("/e", b"", open(), CreateMode::Ephemeral).await.expect("created");
    Onlooker::close_session_of_another(address, created.value.1.ephemeral_owner).expect("closed");
    let end = find(&mut events, |event| match event {
        ClientEvent::Ended(end) => Some(*end),
        _ => None,
    })
    .await;
    assert_eq!(end, SessionEnd::Expired);

    // A server that stands still is noticed, and a close does not wait for it for ever.
    let client = connect(config(&ensemble, "")).await;
    ensemble.server(0).stop();
    let begun = Instant::now();
    assert_eq!(client.close().await, SessionEnd::Closed);
    assert!(begun.elapsed() < LIMIT);
}
