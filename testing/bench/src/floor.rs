//! The floor: a bare delete on one session, the notification on another.

use std::time::{Duration, Instant};

use zk_session::wire::{Acl, CreateMode, Request, Response, perms};
use zk_session::{BootClock, Config, Happening, RequestId, Session, TcpConnector};

use crate::TIMEOUT;

type Error = Box<dyn std::error::Error>;

/// Two sessions, driven by hand: nothing of ours is between the caller and the bytes.
pub(crate) struct Floor {
    deleter: Session,
    watcher: Session,
    path: String,
}

impl Floor {
    /// One session on each of the two servers, and a znode's path that nobody else uses.
    pub(crate) async fn connect(deleter: &str, watcher: &str, path: String) -> Result<Floor, Error> {
        Ok(Floor { deleter: connect(deleter).await?, watcher: connect(watcher).await?, path })
    }

    /// One round: from just before the delete is handed to its session until the other has told of it.
    pub(crate) async fn round(&mut self, pause: Duration) -> Result<Duration, Error> {
        make(&mut self.deleter, &self.path).await?;
        let watch = self.watcher.submit(Request::Sync { path: "/".into() })?;
        answered(&mut self.watcher, watch).await?;
        let watch = self.watcher.submit(Request::GetData { path: self.path.clone(), watch: true })?;
        answered(&mut self.watcher, watch).await?;
        tokio::time::sleep(pause).await;
        let began = Instant::now();
        let delete = self.deleter.submit(Request::Delete { path: self.path.clone(), version: -1 })?;
        let mut deleted = false;
        loop {
            tokio::select! {
                batch = self.watcher.next() => {
                    if batch.iter().any(|happening| matches!(happening, Happening::Event { .. })) {
                        break;
                    }
                }
                batch = self.deleter.next(), if !deleted => deleted = reply(batch, delete)?.is_some(),
            }
        }
        let time = began.elapsed();
        if !deleted {
            answered(&mut self.deleter, delete).await?;
        }
        Ok(time)
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
