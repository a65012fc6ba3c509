//! The floor: a bare delete on one session, the notification on another, each in a process of its own.

use std::time::Duration;

use zk_ensemble::monotonic_time;
use zk_session::wire::{Acl, CreateMode, Request, Response, perms};
use zk_session::{BootClock, Config, Happening, RequestId, Session, TcpConnector};

use crate::TIMEOUT;
use crate::child::{DELETE, WATCH};
use crate::fleet::{Fleet, Orders};

type Error = Box<dyn std::error::Error>;

/// The znode is there; it is watched; its delete is about to be sent; the notification came.
const MADE: &str = "made";
const WATCHED: &str = "watched";
const DELETING: &str = "deleting";
const TOLD: &str = "told";

/// Pairs of sessions, driven by hand: nothing of ours is between the caller and the bytes.
pub(crate) struct Floor {
    fleet: Fleet,
    deleter: usize,
    watcher: usize,
}

impl Floor {
    /// One session on each of the servers, and a znode's path that nobody else uses.
    pub(crate) fn connect(deleter: &str, watcher: &str, path: &str) -> Result<Floor, Error> {
        let mut fleet = Fleet::new()?;
        let deleter = fleet.start(DELETE, deleter, path)?;
        let watcher = fleet.start(WATCH, watcher, path)?;
        Ok(Floor { fleet, deleter, watcher })
    }

    /// One round: from just before the delete is handed to its session until the other has told of it.
    pub(crate) fn round(&mut self, pause: Duration) -> Result<Duration, Error> {
        let Floor { fleet, deleter, watcher } = self;
        fleet.tell(*deleter)?;
        fleet.hear(*deleter, MADE)?;
        fleet.tell(*watcher)?;
        fleet.hear(*watcher, WATCHED)?;
        std::thread::sleep(pause);
        fleet.tell(*deleter)?;
        fleet.both((DELETING, *deleter), TOLD).map(|(_, time)| time)
    }
}

/// Makes the znode and deletes it, in turns, each when told.
pub(crate) async fn delete(server: &str, path: &str, member: &str) -> Result<(), Error> {
    let mut orders = Orders::listen(member);
    let mut session = connect(server).await?;
    orders.say_now("ready")?;
    while driven(&mut session, &mut orders).await?.is_some() {
        make(&mut session, path).await?;
        orders.say_now(MADE)?;
        if driven(&mut session, &mut orders).await?.is_none() {
            break;
        }
        let began = monotonic_time();
        let delete = session.submit(Request::Delete { path: path.to_owned(), version: -1 })?;
        answered(&mut session, delete).await?;
        orders.say(DELETING, began)?;
    }
    Ok(())
}

/// Watches the znode when told, and says when it is gone.
pub(crate) async fn watch(server: &str, path: &str, member: &str) -> Result<(), Error> {
    let mut orders = Orders::listen(member);
    let mut session = connect(server).await?;
    orders.say_now("ready")?;
    while driven(&mut session, &mut orders).await?.is_some() {
        let sync = session.submit(Request::Sync { path: path.to_owned() })?;
        answered(&mut session, sync).await?;
        let watch = session.submit(Request::GetData { path: path.to_owned(), watch: true })?;
        answered(&mut session, watch).await?;
        orders.say_now(WATCHED)?;
        while !session.next().await.iter().any(|happening| matches!(happening, Happening::Event { .. })) {}
        orders.say_now(TOLD)?;
    }
    Ok(())
}

/// Keeps the session alive until the next order.
async fn driven(session: &mut Session, orders: &mut Orders) -> Result<Option<()>, Error> {
    loop {
        tokio::select! {
            order = orders.next() => return Ok(order),
            batch = session.next() => {
                if let Some(end) = batch.into_iter().find(|h| !matches!(h, Happening::Pong { .. })) {
                    return Err(format!("disturbed: {end:?}").into());
                }
            }
        }
    }
}

/// A new session on this server.
pub(crate) async fn connect(server: &str) -> Result<Session, Error> {
    let config = Config { timeout: TIMEOUT, ..Config::new(server.parse()?) };
    let mut session = Session::new(config, TcpConnector, BootClock);
    loop {
        for happening in session.next().await {
            match happening {
                Happening::Restored { .. } => return Ok(session),
                Happening::Attached(_) => {}
                other => return Err(format!("{server}: {other:?}").into()),
            }
        }
    }
}

/// Makes an ephemeral znode.
pub(crate) async fn make(session: &mut Session, path: &str) -> Result<(), Error> {
    let acl = vec![Acl::anyone(perms::ALL)];
    let create = Request::Create2 {
        path: path.to_owned(),
        data: Some(b"floor".to_vec()),
        acl,
        mode: CreateMode::Ephemeral,
    };
    let create = session.submit(create)?;
    answered(session, create).await
}

async fn answered(session: &mut Session, request: RequestId) -> Result<(), Error> {
    while reply(session.next().await, request)?.is_none() {}
    Ok(())
}

fn reply(batch: Vec<Happening>, request: RequestId) -> Result<Option<Response>, Error> {
    for happening in batch {
        match happening {
            Happening::Reply { id, outcome, .. } if id == request => return Ok(Some(outcome?)),
            Happening::Reply { .. } | Happening::Pong { .. } | Happening::Event { .. } => {}
            other => return Err(format!("disturbed: {other:?}").into()),
        }
    }
    Ok(None)
}
