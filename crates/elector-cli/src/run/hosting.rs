//! The run's part in a local election: being ready to host it, and telling when its host stands still.
//!
//! On an ensemble there is nothing of this.

use super::{CONFIRM_LIMIT, Run, say};
use crate::local::{Directory, Host, News, Outlook, look, served_line, shown};
use crate::log::{About, Level, Log};
use crate::serve;
use elector::Notice;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::spawn_blocking;

/// How long a start waits for whoever hosts to be ready. A replay that takes longer goes on beside it.
pub(super) const READY_LIMIT: Duration = Duration::from_secs(2);

/// Gets ready to host the elections of this directory, if there is one.
pub(super) fn start(directory: Option<&Arc<Directory>>, log: &Arc<Log>) -> io::Result<Option<Host>> {
    let Some(directory) = directory else { return Ok(None) };
    let tell = teller(shown(directory.path()), Arc::downgrade(log));
    Host::start(Arc::clone(directory), tell).map(Some)
}

/// Waits until this process has to end because it cannot host; for ever where it need not. Cancel safe.
pub(super) async fn failed(host: Option<&Host>) -> String {
    match host {
        Some(host) => format!("this process cannot host the election: {}", host.failed().await),
        None => std::future::pending().await,
    }
}

/// Leaves the hosting to the next: no more clients, a last sync, and the directory is free.
pub(super) async fn stop(host: Host, log: &Log) {
    let stopped = tokio::time::timeout(CONFIRM_LIMIT, spawn_blocking(move || host.stop())).await;
    if stopped.is_err() {
        let message = "the disk does not answer; whoever hosts next has all that was acknowledged";
        say(log, Level::Warn, About::Error, message.to_string());
    }
}

/// Puts what the host says into the log, for as long as there is one.
fn teller(directory: String, log: Weak<Log>) -> impl Fn(News) + Send + Sync {
    move |news| {
        let (level, about, message) = match news {
            News::Hosting => {
                (Level::Info, About::Serving, format!("this process hosts the elections of {directory}"))
            }
            News::TooNew(versions) => {
                let message = format!("{versions}; contending, but another process has to host");
                (Level::Warn, About::Error, message)
            }
            News::Server(notice) => (serve::level_of(&notice), About::Error, notice.to_string()),
        };
        if let Some(log) = log.upgrade() {
            say(&log, level, about, message);
        }
    }
}

impl Run<'_> {
    /// Looks at the host when it does not answer: a stopped one is told of.
    pub(super) fn watch_host(&mut self, notice: &Notice) {
        let Some(directory) = &self.site.directory else { return };
        let silent = matches!(notice, Notice::Disconnected { .. } | Notice::Unreachable { .. });
        if !silent {
            return;
        }
        let now = tokio::time::Instant::now();
        let said = match look(directory) {
            Outlook::Stopped(pid) => self.narrator.host_is_stopped(pid, now),
            Outlook::Served(pid) => self.narrator.nobody_can_host(served_line(directory, pid), now),
            Outlook::Nobody | Outlook::Starting | Outlook::Hosting => None,
        };
        said.iter().for_each(|entry| self.log.say(entry));
    }
}
