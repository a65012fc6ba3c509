//! What this program does in processes of its own, started by itself.
//!
//! Each says `ready` when it has what it is timed for, and ends when its standard input does.

use std::io::Read;

use elector::Elector;

use crate::{TIMEOUT, contenders, floor, runtime};

type Error = Box<dyn std::error::Error>;

/// The bare start: a session and an ephemeral znode.
pub(crate) const BARE: &str = "bare";
/// The library: leads one election.
pub(crate) const LEAD: &str = "lead";
/// The library: leads as many elections as [`crate::ELECTIONS`].
pub(crate) const MANY: &str = "many";
/// A contender that hands over when told.
pub(crate) const CONTEND: &str = "contend";
/// The floor's session that deletes.
pub(crate) const DELETE: &str = "delete";
/// The floor's session that is notified.
pub(crate) const WATCH: &str = "watch";

/// Runs one of them.
pub(crate) fn run(what: &str, servers: &str, path: &str, member: &str) -> Result<(), Error> {
    runtime()?.block_on(async {
        match what {
            BARE => {
                let mut session = floor::connect(servers).await?;
                floor::make(&mut session, &format!("{path}/bare")).await?;
                ready().await?;
                session.close();
                while !session.next().await.iter().any(|h| matches!(h, zk_session::Happening::Ended(_))) {}
            }
            LEAD => {
                let elector = Elector::builder(servers, path).session_timeout(TIMEOUT).connect().await?;
                let leadership = elector.campaign().await?;
                ready().await?;
                leadership.resign().await?;
                elector.close().await;
            }
            MANY => {
                let mut leaderships = Vec::new();
                for index in 0..crate::ELECTIONS {
                    let path = format!("{path}/{index}");
                    let elector = Elector::builder(servers, &path).session_timeout(TIMEOUT).connect().await?;
                    let leadership = elector.campaign().await?;
                    leaderships.push((elector, leadership));
                }
                ready().await?;
            }
            CONTEND => contenders::contend(servers, path, member).await?,
            DELETE => floor::delete(servers, path, member).await?,
            WATCH => floor::watch(servers, path, member).await?,
            other => return Err(format!("no child {other}").into()),
        }
        Ok(())
    })
}

/// Says so, and waits for the end of the standard input while the sessions go on.
async fn ready() -> Result<(), Error> {
    println!("ready");
    let (done, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        let _ = done.send(());
    });
    Ok(end.await?)
}
