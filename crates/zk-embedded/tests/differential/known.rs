//! Every known difference between this server, which behaves as 3.9 does, and the real server that the
//! test runs, which is Debian's 3.8.0. What is not here must not differ.

use zk_wire::{ErrorCode, MultiResult, Request, Response, WatchEvent};

/// Names, for those who read the list; the functions below say what each means for a comparison.
pub(crate) const DIFFERENCES: &[&str] = &[
    "3.8 answers a create2 inside a multi without the stat (ZOOKEEPER-4026): see `response`",
    "3.8 sends events under the zxid -1, 3.9 under that of the change: `pair` does not compare it",
    "3.8.0 tells watchers of nodes that they may not read (CVE-2024-23944): see `events`",
    "3.8.0 answers exists for nodes that may not be read (ZOOKEEPER-2590): see `answers`",
    "3.8 counts anybody's one-shot watches in checkWatches, 3.9 one's own: see `answers`",
    "3.8 answers -5 to checkWatches for a path without a slash, ours -121: see `answers`",
    "3.8 lets a one-shot watch replace a persistent one on the same path: `history` does not mix them",
    "3.8 knows the kinds of watches 1 to 3 only in removeWatches and checkWatches: `history` uses these",
    "3.8.0 never answers a check outside a multi: `history` sends none",
    "3.8 writes characters above U+FFFF as two of three bytes each, ours as UTF-8: `history` asks for none",
    "ours tells a stranger's wrong password from the right one before it closes the old connection",
];

/// Takes out of an answer what the two may differ in.
pub(crate) fn response(response: &mut Response) {
    if let Response::Multi(results) = response {
        for result in results {
            if let MultiResult::Created2 { path, .. } = result {
                *result = MultiResult::Created { path: std::mem::take(path) };
            }
        }
    }
}

/// Whether these different answers are ones that we know of.
pub(crate) fn answers(
    request: &Request,
    ours: &Result<Response, ErrorCode>,
    theirs: &Result<Response, ErrorCode>,
) -> bool {
    matches!(
        (request, ours, theirs),
        (Request::Exists { .. }, Err(ErrorCode::NoAuth), Ok(Response::Stat(_)))
            | (
                Request::CheckWatches { .. },
                Err(ErrorCode::NoWatcher),
                Ok(Response::Empty) | Err(ErrorCode::MarshallingError)
            )
    )
}

/// Whether these events of one connection count as the same, in their order. With access control lists at
/// work, 3.8.0 may tell more than ours.
pub(crate) fn events(ours: &[WatchEvent], theirs: &[WatchEvent], with_acls: bool) -> bool {
    if !with_acls {
        return ours == theirs;
    }
    let mut theirs = theirs.iter();
    ours.iter().all(|event| theirs.any(|other| other == event))
}
