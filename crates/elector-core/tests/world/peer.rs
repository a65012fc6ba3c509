//! One candidate with what surrounds it: a clock, a session's client side, an application.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use elector_core::{Candidate, Entropy, Input, Layout, Margins, Moment, OnDisconnect, RequestId, Token};

use crate::ensemble::Frame;
use crate::world::Random;

/// What the application has been told of its present term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    Leading(Token),
    Stopping(Token),
}

pub(crate) struct Peer {
    pub(crate) candidate: Candidate,
    clock: Clock,
    pub(crate) paused_until: u64,
    pub(crate) unreachable_until: u64,

    // The session's client side.
    pub(crate) session: Option<i64>,
    pub(crate) connection: Option<u64>,
    /// The connection was answered; requests may go out on it.
    pub(crate) attached: bool,
    pub(crate) connect_sent: Moment,
    pub(crate) watches: BTreeSet<String>,
    /// When each request without an answer went out; none if it could not.
    pub(crate) asked: BTreeMap<RequestId, Option<Moment>>,
    pub(crate) pings: VecDeque<Moment>,
    pub(crate) last_sent: u64,
    pub(crate) last_heard: u64,
    pub(crate) closing: bool,
    /// Frames in the receive buffer.
    pub(crate) inbox: VecDeque<(u64, Frame)>,
    /// Told by ourselves rather than by a server.
    pub(crate) pending: VecDeque<Pending>,

    // The application.
    pub(crate) told: Told,
    pub(crate) wants: bool,
    pub(crate) resting: bool,
}

/// What waits to be told besides frames.
#[derive(Debug)]
pub(crate) enum Pending {
    Tell(Input),
    /// The connection is gone: each request without an answer, and then that.
    Gone,
}

/// A clock with an origin and a rate of its own.
#[derive(Debug)]
struct Clock {
    offset: u64,
    /// Microseconds for each true millisecond.
    rate: u64,
}

impl Peer {
    pub(crate) fn new(layout: Layout, timeout: u64, margins: Margins, random: &mut Random) -> Peer {
        let on_disconnect = if random.one_in(4) { OnDisconnect::Stop } else { OnDisconnect::Hold };
        let mut own = Random(random.next());
        let entropy = Entropy::new(move || own.next());
        Peer {
            candidate: Candidate::new(
                layout,
                Duration::from_millis(timeout),
                margins,
                on_disconnect,
                entropy,
            ),
            clock: Clock { offset: random.below(1 << 40), rate: 995 + random.below(11) },
            paused_until: 0,
            unreachable_until: 0,
            session: None,
            connection: None,
            attached: false,
            connect_sent: Moment::default(),
            watches: BTreeSet::new(),
            asked: BTreeMap::new(),
            pings: VecDeque::new(),
            last_sent: 0,
            last_heard: 0,
            closing: false,
            inbox: VecDeque::new(),
            pending: VecDeque::from([Pending::Tell(Input::Campaign)]),
            told: Told::Nothing,
            wants: true,
            resting: true,
        }
    }

    pub(crate) fn local(&self, now: u64) -> Moment {
        Moment::from_origin(Duration::from_micros(self.clock.offset + now * self.clock.rate))
    }

    /// The first true millisecond at which our clock shows `local`.
    pub(crate) fn true_time(&self, local: Moment) -> u64 {
        let micros = local.since_origin().as_nanos().div_ceil(1_000) as u64;
        micros.saturating_sub(self.clock.offset).div_ceil(self.clock.rate)
    }

    /// The term in which this candidate is, judged at one true time, however late it looks itself.
    pub(crate) fn term(&self, now: u64) -> Option<Token> {
        let deadlines = self.candidate.deadlines()?;
        match self.told {
            Told::Leading(token) | Told::Stopping(token) if self.local(now) < deadlines.safe => Some(token),
            _ => None,
        }
    }

    /// The candidate will hear of it after what is told already.
    pub(crate) fn detach(&mut self) {
        self.connection = None;
        let attached = std::mem::take(&mut self.attached);
        self.pings.clear();
        if attached {
            self.pending.push_back(Pending::Gone);
        }
    }
}
