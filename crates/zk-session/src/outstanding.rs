//! Requests that wait for their answers.
//!
//! Purpose: answers come in the order of requests, so this is a queue, and an answer to any but the oldest
//! is nonsense. Invariant: at most [`MAX_OUTSTANDING`] of the owner's requests, plus those that set watches
//! again; every request of the owner leaves it by an answer or by [`lost`](Outstanding::lost). Used by the
//! session only.

use std::collections::VecDeque;
use std::time::Duration;

use elector_teeth::{Tooth, bites};
use zk_wire::{ErrorCode, WatchKind};

use crate::config::MAX_OUTSTANDING;
use crate::happening::{Lost, RequestId};
use crate::watches::WatchSet;

/// One request on its way.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) xid: i32,
    pub(crate) op: i32,
    pub(crate) sent: Duration,
    /// Position of its first byte on the connection.
    pub(crate) start: u64,
    pub(crate) purpose: Purpose,
}

/// For whom a request goes, and what its answer changes.
#[derive(Debug)]
pub(crate) enum Purpose {
    Call {
        id: RequestId,
        effect: Effect,
    },
    /// One of several requests that the owner sees as one.
    Ensure {
        id: RequestId,
        step: Step,
    },
    /// Sets watches again.
    Restore,
    /// Closes the session.
    Close,
}

/// Where in the row of an ensure a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A create; `first` if nothing of the row was sent before it.
    Create { first: bool },
    /// The look at the end.
    Check { first: bool },
}

/// What the answer to a call does to the remembered watches.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    /// A read with a watch; `absent` for exists, which leaves a watch where there is no node.
    Watch {
        path: String,
        present: WatchSet,
        absent: Option<WatchSet>,
    },
    SetWatches,
    Remove {
        path: String,
        kind: WatchKind,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Outstanding {
    queue: VecDeque<Pending>,
    /// The first refusal in the row of an ensure that is being answered.
    pub(crate) ensure_error: Option<ErrorCode>,
}

impl Outstanding {
    pub(crate) fn has_room(&self, requests: usize) -> bool {
        self.queue.len() + requests <= MAX_OUTSTANDING
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn push(&mut self, pending: Pending) {
        self.queue.push_back(pending);
    }

    /// The operation of the oldest, and whether the owner sees its answer, if the xid is its own; else the
    /// xid that should have come.
    pub(crate) fn oldest(&self, xid: i32) -> Result<(i32, bool), Option<i32>> {
        match self.queue.front() {
            Some(oldest) if oldest.xid == xid => {
                Ok((oldest.op, matches!(oldest.purpose, Purpose::Call { .. })))
            }
            oldest => Err(oldest.map(|oldest| oldest.xid)),
        }
    }

    /// Takes the oldest out, now that its answer is known to be good.
    pub(crate) fn pop(&mut self) -> Option<Pending> {
        self.queue.pop_front()
    }

    /// Whether a request with a watch on this path is on its way: its event may overtake its answer.
    pub(crate) fn watches(&self, path: &str) -> bool {
        self.queue.iter().any(|pending| {
            matches!(&pending.purpose,
                Purpose::Call { effect: Effect::Watch { path: watched, .. }, .. } if watched == path)
        })
    }

    /// What became of each request of the owner, now that the connection is gone.
    pub(crate) fn lost(self, was_handed: impl Fn(u64) -> bool) -> Vec<(RequestId, Lost)> {
        let mut all: Vec<(RequestId, Lost)> = Vec::new();
        for pending in self.queue {
            let (id, first) = match pending.purpose {
                Purpose::Call { id, .. } => (id, true),
                Purpose::Ensure { id, step: Step::Create { first } | Step::Check { first } } => (id, first),
                Purpose::Restore | Purpose::Close => continue,
            };
            // A row is told once, by what is left of its beginning: if that was answered, much was sent.
            if all.last().is_some_and(|(told, _)| *told == id) {
                continue;
            }
            let unsent = (first && !was_handed(pending.start)) || bites(Tooth::LostIsNotSent);
            all.push((id, if unsent { Lost::NotSent } else { Lost::OutcomeUnknown }));
        }
        all
    }
}
