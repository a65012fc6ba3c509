//! When to probe, and when an unanswered probe condemns its connection.

use std::collections::VecDeque;
use std::time::Duration;

use crate::lease::{Lease, PROBE_FLOOR};
use crate::message::RequestId;
use crate::moment::Moment;

/// The rhythm of one candidate's probes. At most one is outstanding.
#[derive(Debug, Clone, Default, Hash)]
pub(crate) struct Pulse {
    outstanding: Option<Outstanding>,
    last_sent: Option<Moment>,
    /// When the last acknowledgements of probes were received, newest last.
    received: VecDeque<Moment>,
    at_once: bool,
    /// 0 to 20 thousandths, drawn with each probe: jitter upwards only.
    jitter: u32,
}

#[derive(Debug, Clone, Hash)]
struct Outstanding {
    id: RequestId,
    give_up: Moment,
}

impl Pulse {
    /// Probe without waiting for the rhythm: on becoming second, and as a new leader.
    pub(crate) fn hurry(&mut self) {
        self.at_once = true;
    }

    /// When the next probe is due; none while one is outstanding.
    pub(crate) fn due(&self, lease: &Lease, now: Moment) -> Option<Moment> {
        if self.outstanding.is_some() {
            return None;
        }
        let Some(last) = self.last_sent.filter(|_| !self.at_once) else { return Some(Moment::default()) };
        let timing = lease.timing();
        // The n-th last acknowledgement is Δ old: then this probe makes it the base.
        let pipelined = self.received.len().checked_sub(timing.probes as usize).map(|i| self.received[i]);
        let regular = match pipelined {
            Some(received) if !timing.touch_lag.is_zero() => {
                // Probes that once went close together would leave as long a gap behind them, each
                // lag again, and the base would grow older than n + 1 periods.
                let newest = self.received.back().copied().unwrap_or(received);
                Moment::min(received + timing.touch_lag, newest + timing.probe_every)
            }
            _ => last + timing.probe_every,
        };
        // Whoever has no live deadline asks as soon as asking can yield one.
        let wanted = match lease.live(now) {
            Some(_) => regular,
            None => lease.newer_base_from().map_or(regular, |newer| newer.min(regular)),
        };
        let jitter = wanted.since(last) * self.jitter / 1_000;
        Some(Moment::max(wanted + jitter, last + PROBE_FLOOR))
    }

    /// A probe went out. It is given half of what remains of the lease to be answered.
    pub(crate) fn sent(&mut self, id: RequestId, lease: &Lease, now: Moment, random: u64) {
        let patience = match lease.live(now) {
            Some(deadlines) => deadlines.term.since(now) / 2,
            None => lease.timing().timeout / 4,
        };
        self.outstanding = Some(Outstanding { id, give_up: now + patience.max(PROBE_FLOOR) });
        self.last_sent = Some(now);
        self.at_once = false;
        self.jitter = (random % 21) as u32;
    }

    /// The probe `id` was answered.
    pub(crate) fn answered(&mut self, id: RequestId, received: Moment) {
        if self.outstanding.take_if(|probe| probe.id == id).is_some() {
            if self.received.len() == 64 {
                self.received.pop_front();
            }
            self.received.push_back(received);
        }
    }

    /// When the connection is to be given up for an unanswered probe.
    pub(crate) fn gives_up(&self) -> Option<Moment> {
        self.outstanding.as_ref().map(|probe| probe.give_up)
    }

    /// A new connection: its acknowledgements are counted anew, and its first probe goes at once.
    pub(crate) fn reset(&mut self) {
        *self = Pulse { at_once: true, ..Pulse::default() };
    }
}

/// A time between `from` and twice that, chosen by `random`.
pub(crate) fn jittered(from: Duration, random: u64) -> Duration {
    from + from * (random % 1_000) as u32 / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::Margins;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn at(n: u64) -> Moment {
        Moment::from_origin(ms(n))
    }

    /// T = 10 s, Δ = 2.75 s, P = 933 ms; the connect request went out at 0.
    fn lease(proved: bool) -> Lease {
        let mut lease = Lease::new(ms(10_000), Margins::default());
        lease.begin_session(ms(10_000));
        lease.attach(1, at(0), ms(10_000));
        if proved {
            lease.acknowledged(1, at(10), at(20), true);
        }
        lease
    }

    #[test]
    fn the_jitter_goes_upwards_by_two_in_a_hundred_at_most() {
        let lease = lease(true);
        let due = |random| {
            let mut pulse = Pulse::default();
            pulse.sent(RequestId(1), &lease, at(1_000), random);
            pulse.answered(RequestId(1), at(1_000));
            pulse.due(&lease, at(1_000)).unwrap().since(at(1_000))
        };
        let period = lease.timing().probe_every;
        assert_eq!((due(0), due(20)), (period, period + period / 50));
    }

    #[test]
    fn without_a_live_deadline_it_asks_again_soon_but_not_at_once() {
        let lease = lease(false);
        let mut pulse = Pulse::default();
        pulse.sent(RequestId(1), &lease, at(1_000), 0);
        assert_eq!(pulse.gives_up(), Some(at(1_000 + 10_000 / 4)));
        pulse.answered(RequestId(1), at(1_010));
        assert_eq!(pulse.due(&lease, at(1_010)), Some(at(1_000) + PROBE_FLOOR));
    }

    #[test]
    fn slow_answers_are_waited_for_so_that_each_probe_yields_a_newer_base() {
        let mut lease = lease(true);
        let mut pulse = Pulse::default();
        for number in 0..200 {
            let before = lease.base();
            let due = pulse.due(&lease, at(0)).unwrap().max(at(20));
            pulse.sent(RequestId(number), &lease, due, 0);
            lease.acknowledged(1, due, due + ms(400), true);
            pulse.answered(RequestId(number), due + ms(400));
            assert!(number < 4 || lease.base() > before, "probe {number} in vain");
            assert!(pulse.received.len() <= 64);
        }
    }
}
