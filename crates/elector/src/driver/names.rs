//! Who is right ahead of us, by name: for people, never for deciding.

use elector_core::{Error, Input, Token};
use zk_session::wire::{ErrorCode, Request, Response};
use zk_session::{Clock, Connector};

use super::{Driver, UnderWay};
use crate::role::Neighbour;

/// The znode that was asked about last, and the answer when it has come.
#[derive(Default)]
pub(super) struct Neighbours {
    asked: Option<String>,
    answer: Option<Neighbour>,
}

impl Neighbours {
    /// Something happened to this znode: what was read of it may be old.
    pub(super) fn changed(&mut self, name: &str) {
        if self.asked.as_deref() == Some(name) {
            *self = Neighbours::default();
        }
    }

    /// The answer, if it is about the one who is nearest now.
    pub(super) fn shown(&self, nearest: Option<&str>) -> Option<Neighbour> {
        self.answer.clone().filter(|_| nearest.is_some() && self.asked.as_deref() == nearest)
    }
}

impl<C: Connector, K: Clock> Driver<C, K> {
    /// Asks for the name of whoever is nearest, once.
    pub(super) fn name_the_nearest(&mut self) {
        let nearest = self.candidate.nearest_ahead();
        if !self.settings.name_neighbours || nearest.is_none() || self.neighbours.asked.as_deref() == nearest
        {
            return;
        }
        let name = nearest.unwrap_or_default().to_owned();
        let read = Request::GetData { path: self.settings.znode(&name), watch: false };
        if let Ok(submitted) = self.session.submit(read) {
            self.under_way.insert(submitted, UnderWay::Name(name.clone()));
            self.neighbours = Neighbours { asked: Some(name), answer: None };
        }
    }

    pub(super) fn named(&mut self, name: String, outcome: Result<Response, ErrorCode>) {
        if self.neighbours.asked.as_ref() != Some(&name) {
            return;
        }
        if outcome == Err(ErrorCode::NoAuth) {
            // Servers tell nobody of a znode's end who may not read it: we would wait for ever.
            self.fail(Error::NoPermission { action: "read the contender ahead" });
            self.step(Input::Withdraw);
        } else if let Ok(Response::Data { data, stat }) = outcome {
            let id = String::from_utf8_lossy(&data.unwrap_or_default()).into_owned();
            let ephemeral = stat.ephemeral_owner != 0;
            self.neighbours.answer =
                Token::from_czxid(stat.czxid).map(|token| Neighbour { id, token, ephemeral });
        }
    }
}
