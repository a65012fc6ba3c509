//! Until when a leader may believe it: the arithmetic of deadlines.
//!
//! A server answers pings and reads by itself, also when it is cut off from the others; an
//! acknowledged write shows a quorum, but not that the session was touched by it; and a
//! re-attachment may be answered by a deposed quorum leader. So time counts from the sending of a
//! request that *provably reached the quorum leader's session table*: its reply was received a
//! touch lag Δ before a later transaction was sent which a quorum acknowledged.
//!
//! Invariant: `base` is never later than the last moment at which the quorum leader renewed the
//! session, as long as the conditions in the project's guarantees hold.

use std::collections::VecDeque;
use std::time::Duration;

use elector_teeth::{Tooth, bites};

use crate::error::{BudgetError, Warning};
use crate::moment::Moment;

/// What a quorum leader's pings may add to the touch lag before they reach a follower.
const PING_SLACK: Duration = Duration::from_millis(250);
/// Probes start a little before they are due, so that a lag of exactly Δ is met.
const PROBE_SLACK: Duration = Duration::from_millis(50);
/// The shortest time between two probes.
pub(crate) const PROBE_FLOOR: Duration = Duration::from_millis(200);
/// Taken off every lease besides 1 % for unequal clock rates.
const SAFETY: Duration = Duration::from_millis(100);
/// A lease must outlast its probes by so much.
const REQUIRED: Duration = Duration::from_millis(500);
/// Twice the 99th percentile of a quorum-leader change, measured over 35 kills.
const COMFORTABLE: Duration = Duration::from_millis(2_600);
/// Acknowledgements remembered for each touch lag, however fast the application writes.
const ACKS_PER_LAG: u32 = 64;

/// What the operator chose around the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Margins {
    /// The ensemble's tickTime, if known. Without it a tick of half the session timeout is
    /// assumed, the longest that an ensemble's defaults allow.
    pub ensemble_tick: Option<Duration>,
    /// How long before the end of the lease the work is told to stop: the graces together.
    pub early: Duration,
}

/// The periods that follow from a session timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timing {
    /// T: the smallest timeout negotiated in the session's life.
    pub timeout: Duration,
    /// Δ: how late a follower may report that it heard from us.
    pub touch_lag: Duration,
    /// P: the period of the probes.
    pub probe_every: Duration,
    /// n: how many probes make up one touch lag.
    pub probes: u32,
    /// How long before the end of the lease the work is told to stop.
    pub early: Duration,
}

/// The two ends of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Deadlines {
    /// D_term: the work is told to stop.
    pub term: Moment,
    /// D_safe: nobody acts for us from here on.
    pub safe: Moment,
}

impl Timing {
    /// The periods for session timeout `timeout`.
    pub fn new(timeout: Duration, margins: &Margins) -> Timing {
        let touch_lag = match margins.ensemble_tick {
            Some(Duration::ZERO) => Duration::ZERO,
            Some(tick) => tick / 2 + PING_SLACK,
            None => timeout / 4 + PING_SLACK,
        };
        let (probes, probe_every) = if touch_lag.is_zero() {
            (1, timeout / 10)
        } else {
            let eighth = (timeout / 8).as_millis().max(1);
            // The slack counts in n too, so that the period never passes an eighth of the timeout.
            let n = (touch_lag + PROBE_SLACK).as_millis().div_ceil(eighth).clamp(1, 64) as u32;
            (n, (touch_lag + PROBE_SLACK) / n)
        };
        Timing { timeout, touch_lag, probe_every: probe_every.max(PROBE_FLOOR), probes, early: margins.early }
    }

    /// When a lease that counts from `base` ends.
    pub fn deadlines(&self, base: Moment) -> Deadlines {
        let safe = base + self.lease();
        // Saturating differently would put the end of a too short lease before its base.
        Deadlines { term: Moment::max(safe - self.early, base), safe: Moment::max(safe, base) }
    }

    fn lease(&self) -> Duration {
        if bites(Tooth::NoMargins) {
            return self.timeout;
        }
        (self.timeout - self.timeout / 100).saturating_sub(SAFETY)
    }

    /// D_term − base: how long the work may run on one proof.
    pub fn usable(&self) -> Duration {
        self.lease().saturating_sub(self.early)
    }

    fn probing(&self) -> Duration {
        self.probe_every * (self.probes + 1)
    }

    /// What [`Timing::usable`] must reach.
    pub fn needed(&self) -> Duration {
        self.probing() + REQUIRED
    }

    /// What is left of the lease when the oldest base that probing allows is in force.
    pub fn spare(&self) -> Duration {
        self.usable().saturating_sub(self.probing())
    }

    /// Refuses a session timeout that cannot hold its probes and graces.
    pub fn check(&self) -> Result<(), BudgetError> {
        if self.usable() >= self.needed() { Ok(()) } else { Err(BudgetError(*self)) }
    }

    /// Whether a slow change of the quorum leader would cost the leadership. A server that is alone has
    /// nobody to change with.
    pub fn warning(&self) -> Option<Warning> {
        (!self.touch_lag.is_zero() && self.spare() < COMFORTABLE).then_some(Warning::Tight(*self))
    }
}

/// One candidate's lease: what its session was last proved to be worth.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Lease {
    margins: Margins,
    timing: Timing,
    base: Option<Moment>,
    connection: Option<Connection>,
}

#[derive(Debug, Clone, Hash)]
struct Connection {
    number: u64,
    connect_sent: Moment,
    acks: VecDeque<Ack>,
}

/// An acknowledged request of any kind: the server we talk to has heard from us.
#[derive(Debug, Clone, Copy, Hash)]
struct Ack {
    sent: Moment,
    received: Moment,
    /// When the first of those that became one was received.
    first_received: Moment,
}

impl Lease {
    /// No session yet; `asked` is the timeout that will be asked for.
    pub(crate) fn new(asked: Duration, margins: Margins) -> Lease {
        Lease { margins, timing: Timing::new(asked, &margins), base: None, connection: None }
    }

    pub(crate) fn timing(&self) -> &Timing {
        &self.timing
    }

    /// A new session: nothing that was proved before counts.
    pub(crate) fn begin_session(&mut self, negotiated: Duration) {
        if !bites(Tooth::AskedTimeout) {
            self.timing = Timing::new(negotiated, &self.margins);
        }
        self.base = None;
        self.connection = None;
    }

    /// The session is on a connection again. Returns the timeout before, if this one shortened it.
    /// A longer one is not believed: a later quorum leader restarts the session with the first.
    pub(crate) fn attach(
        &mut self,
        number: u64,
        connect_sent: Moment,
        negotiated: Duration,
    ) -> Option<Duration> {
        self.connection = Some(Connection { number, connect_sent, acks: VecDeque::new() });
        let before = self.timing.timeout;
        if bites(Tooth::ReattachmentBelieved) {
            self.base = self.base.max(Some(connect_sent));
        }
        if bites(Tooth::AskedTimeout) {
            return None;
        }
        if negotiated < before || (bites(Tooth::GrownTimeout) && negotiated > before) {
            self.timing = Timing::new(negotiated, &self.margins);
            return Some(before);
        }
        None
    }

    pub(crate) fn detach(&mut self) {
        self.connection = None;
    }

    /// A request that was sent on `connection` at `sent` was acknowledged at `received`; `proof`
    /// says that the acknowledgement took a quorum.
    pub(crate) fn acknowledged(&mut self, connection: u64, sent: Moment, received: Moment, proof: bool) {
        let lag = if bites(Tooth::NoTouchLag) { Duration::ZERO } else { self.timing.touch_lag };
        let proof = proof || bites(Tooth::PingsAreProof);
        let Some(present) = self.connection.as_mut().filter(|c| c.number == connection) else { return };
        if proof {
            // (a) A new session or a re-attachment touches the quorum leader itself, so no Δ.
            let mut newest = present.connect_sent;
            // (b) The touch follows delivery, so Δ counts from the receipt of the acknowledgement.
            let counts_from = |ack: &Ack| if bites(Tooth::LagFromSending) { ack.sent } else { ack.received };
            for ack in present.acks.iter().filter(|ack| counts_from(ack) + lag <= sent) {
                newest = newest.max(if bites(Tooth::BaseFromReceipt) { ack.received } else { ack.sent });
            }
            if bites(Tooth::BaseFromLastProbe) {
                newest = sent;
            }
            // (c) What was proved before stays proved.
            self.base = self.base.max(Some(newest));
        }
        present.remember(Ack { sent, received, first_received: received }, lag);
    }

    /// The earliest moment at which a proof, if sent then, yields a newer base.
    pub(crate) fn newer_base_from(&self) -> Option<Moment> {
        let connection = self.connection.as_ref()?;
        if self.base.is_none_or(|base| base < connection.connect_sent) {
            return Some(Moment::default());
        }
        let newer = connection.acks.iter().filter(|ack| self.base.is_none_or(|base| ack.sent > base));
        newer.map(|ack| ack.received + self.timing.touch_lag).min()
    }

    /// From when the lease counts.
    pub(crate) fn base(&self) -> Option<Moment> {
        self.base
    }

    /// No base, no deadline.
    pub(crate) fn deadlines(&self) -> Option<Deadlines> {
        self.base.map(|base| self.timing.deadlines(base))
    }

    /// The deadlines, if the work may still go on at `now`.
    pub(crate) fn live(&self, now: Moment) -> Option<Deadlines> {
        self.deadlines().filter(|deadlines| now < deadlines.term)
    }
}

impl Connection {
    /// Keeps the acknowledgements that a later proof may build on: all of the last Δ, and of the
    /// older ones the newest.
    fn remember(&mut self, ack: Ack, lag: Duration) {
        while self.acks.len() >= 2
            && self.acks[1].received + lag <= ack.sent
            && self.acks[0].sent <= self.acks[1].sent
        {
            self.acks.pop_front();
        }
        // Two received so close together become one: the newer sending with the later receipt is
        // never too good, and what it costs is next to nothing.
        if let Some(last) = self.acks.back_mut()
            && ack.received.since(last.first_received) < lag / ACKS_PER_LAG
        {
            last.sent = last.sent.max(ack.sent);
            if !bites(Tooth::MergedTooGood) {
                last.received = last.received.max(ack.received);
            }
            return;
        }
        self.acks.push_back(ack);
    }
}

#[cfg(test)]
mod tests;
