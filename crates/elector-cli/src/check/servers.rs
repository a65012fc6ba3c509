//! What the servers say: whether each answers, which timeout it grants, and which rights there are on the path.
//!
//! Invariant: nothing is left in the election, not even for a moment. Rights are tried in a transaction whose last
//! part always fails, so that the servers judge all of it and do none of it.

use super::report::Report;
use crate::args::RunOptions;
use crate::text::{compact, escape, spaced};
use std::time::{Duration, Instant};
use zk_session::wire::{Acl, CreateMode, ErrorCode, MultiOp, MultiResult, perms};
use zk_session::{CallError, Client, Config, ConnectError, ConnectString, Credential};

/// The name that the tried znode would have. It ends in no number, so it would be no contender either.
const TRIED: &str = "elector-check";
/// No znode is ever written so often.
const NO_VERSION: i32 = i32::MAX;

/// Connects to each server by itself. The client of the first one that answers, and the shortest timeout granted.
pub(super) async fn ask_each(
    options: &RunOptions,
    servers: &ConnectString,
    report: &mut Report,
) -> Option<(Client, Duration)> {
    let mut first: Option<(Client, Duration)> = None;
    for host in &servers.hosts {
        let name = escape(&host.to_string());
        let alone = ConnectString { hosts: vec![host.clone()], chroot: servers.chroot.clone() };
        let begun = Instant::now();
        match connect(options, alone).await {
            Ok((client, granted)) => {
                let took = spaced(begun.elapsed());
                let granted_text = compact(granted);
                if granted == options.session_timeout {
                    report.good(format!(
                        "{name} answers in {took} and grants a session timeout of {granted_text}"
                    ));
                } else {
                    let asked = compact(options.session_timeout);
                    report.mend(format!(
                        "{name} grants a session timeout of {granted_text} where {asked} was asked: use a \
                         --session-timeout within the servers' limits, which must be equal on all"
                    ));
                }
                let (kept, shortest) = first.take().unwrap_or((client, granted));
                first = Some((kept, shortest.min(granted)));
            }
            Err(ConnectError::Unreachable { tried }) => {
                let why = tried.first().map_or("no answer in time", |(_, error)| error);
                report.unknown(format!("{name} gives no session: {}", escape(why)));
            }
            Err(error) => report.mend(format!("{name}: {error}: look at --auth-file")),
        }
    }
    first
}

async fn connect(options: &RunOptions, servers: ConnectString) -> Result<(Client, Duration), ConnectError> {
    let credentials = options.common.credentials.iter();
    let credentials = credentials
        .map(|credential| Credential::new(credential.scheme.clone(), credential.auth.clone()))
        .collect();
    let config = Config { timeout: options.session_timeout, credentials, ..Config::new(servers) };
    let client = Client::connect_within(config, super::limit(options)).await?;
    let granted = client.attachment().map_or(options.session_timeout, |attachment| attachment.timeout);
    Ok((client, granted))
}

/// What may be done on the path, or above it where it is not there yet. Whether it may be read.
pub(super) async fn try_rights(
    client: &Client,
    election: &str,
    report: &mut Report,
) -> Result<bool, CallError> {
    let shown = escape(election);
    let mut there = election;
    loop {
        match client.get_children2(there, false).await {
            Ok(_) => break,
            Err(CallError::Refused(ErrorCode::NoNode)) if there != "/" => there = above(there),
            Err(CallError::Refused(ErrorCode::NoNode)) => {
                report.note("the chroot is not there yet; the first contender makes it");
                return Ok(true);
            }
            Err(CallError::Refused(ErrorCode::NoAuth)) => {
                let there = escape(there);
                report.mend(format!(
                    "no permission to read {there}: give --auth-file, or mend its access list"
                ));
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    let made = if there == election { format!("{election}/{TRIED}") } else { next_below(election, there) };
    let acl = vec![Acl::anyone(perms::ALL)];
    let ops = vec![
        MultiOp::Create { path: made.clone(), data: None, acl, mode: CreateMode::Persistent },
        MultiOp::Delete { path: made, version: -1 },
        MultiOp::Check { path: there.to_owned(), version: NO_VERSION },
    ];
    let answer = client.multi(ops).await?;
    let refused =
        |index: usize| matches!(answer.value.get(index), Some(MultiResult::Failed(ErrorCode::NoAuth)));
    let below = escape(there);
    match (refused(0), refused(1)) {
        (true, _) => report.mend(format!(
            "no permission to create below {below}: give --auth-file, or mend its access list"
        )),
        (_, true) => report.mend(format!(
            "no permission to delete below {below}, so nobody could hand over: mend its access list"
        )),
        _ if there == election => {
            report.good(format!("{shown} may be read, and contenders made and deleted there"))
        }
        _ => report.note(format!("{shown} is not there yet and may be made below {below}")),
    }
    Ok(true)
}

fn above(path: &str) -> &str {
    match path.rfind('/') {
        Some(at) if at > 0 => &path[..at],
        _ => "/",
    }
}

/// The first part of `path` that is missing below `there`.
fn next_below(path: &str, there: &str) -> String {
    let from = if there == "/" { 1 } else { there.len() + 1 };
    let end = path[from..].find('/').map_or(path.len(), |at| from + at);
    path[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_walked_one_part_at_a_time() {
        assert_eq!((above("/a/b/c"), above("/a"), above("/")), ("/a/b", "/", "/"));
        assert_eq!(next_below("/a/b/c", "/"), "/a");
        assert_eq!(next_below("/a/b/c", "/a"), "/a/b");
        assert_eq!(next_below("/a/b", "/a"), "/a/b");
    }
}
