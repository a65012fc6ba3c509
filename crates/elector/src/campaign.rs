//! Waiting for one's turn.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::{oneshot, watch};

use crate::error::CampaignError;
use crate::leadership::Leadership;
use crate::role::Role;

/// A place in the queue, and the future of the leadership that it may bring.
///
/// It contends from the moment it is made, polled or not. `&mut campaign` serves in `select!`
/// loops. Dropping it withdraws, also when it has won already; losing the connection or the session
/// while waiting costs no more than the place.
///
/// Resolves to a [`Leadership`], or to the [`CampaignError`] that no retry mends.
#[must_use = "dropping a campaign withdraws from the election"]
pub struct Campaign {
    answer: Answer,
    role: watch::Receiver<Role>,
}

enum Answer {
    Coming(oneshot::Receiver<Result<Leadership, CampaignError>>),
    Refused(Option<CampaignError>),
}

impl Campaign {
    pub(crate) fn new(
        answer: oneshot::Receiver<Result<Leadership, CampaignError>>,
        role: watch::Receiver<Role>,
    ) -> Campaign {
        Campaign { answer: Answer::Coming(answer), role }
    }

    pub(crate) fn refused(error: CampaignError, role: watch::Receiver<Role>) -> Campaign {
        Campaign { answer: Answer::Refused(Some(error)), role }
    }

    /// How many contenders are known to be ahead; none before we are in the queue.
    pub fn position(&self) -> Option<usize> {
        match &*self.role.borrow() {
            Role::Waiting { ahead, .. } => Some(*ahead),
            Role::Leading { .. } => Some(0),
            _ => None,
        }
    }
}

impl Future for Campaign {
    type Output = Result<Leadership, CampaignError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.answer {
            Answer::Coming(answer) => {
                Pin::new(answer).poll(cx).map(|answer| answer.unwrap_or(Err(CampaignError::Closed)))
            }
            Answer::Refused(error) => Poll::Ready(Err(error.take().unwrap_or(CampaignError::Closed))),
        }
    }
}

impl fmt::Debug for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Campaign").field("role", &*self.role.borrow()).finish_non_exhaustive()
    }
}
