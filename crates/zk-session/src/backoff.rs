//! How long an attempt to connect may take, and how long to wait before the next one.
//!
//! Purpose: the arithmetic of attempts, pure, with time and chance passed in. Invariant: every limit and
//! every wait has a bound named here, and no wait is zero, so that no server is ever asked in a busy loop.

use std::time::Duration;

use crate::config::Urgency;

/// No attempt to connect, and no urgent wait for an answer, may take longer.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// An attempt that is given less cannot succeed across a slow network.
pub const SHORTEST_LIMIT: Duration = Duration::from_millis(200);
/// The first wait of a session in a hurry; it doubles with each full round of the servers.
pub const URGENT_WAIT: Duration = Duration::from_millis(20);
/// No session in a hurry waits longer between attempts.
pub const LONGEST_URGENT_WAIT: Duration = Duration::from_millis(250);
/// A session without hurry waits at least this long between attempts, so that at most two a second come.
pub const SHORTEST_RELAXED_WAIT: Duration = Duration::from_millis(500);
/// A session without hurry waits at most this long between attempts.
pub const LONGEST_RELAXED_WAIT: Duration = Duration::from_secs(1);
/// A connection that lived so long was a good one: what failed before it is forgotten.
pub const STEADY_AFTER: Duration = Duration::from_secs(2);

/// How long one address may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AttemptLimits {
    /// For looking the name up, and again for connecting.
    pub(crate) connect: Duration,
    /// From the ConnectRequest to its answer, where another address could answer instead: a server that
    /// starts up or is stopped can swallow a connection.
    pub(crate) answer: Duration,
    /// The same where this is the only address there is.
    pub(crate) only_answer: Duration,
}

/// The limits for an attempt begun at `now`, after `rounds` full rounds of the servers have failed.
///
/// `alive_until`: when the session ends at the latest if nobody is reached, `None` where there is no
/// session to lose. Once it has passed, a slow answer is worth as much as a quick one, but for this: one
/// server that hangs must not hold up who could begin on the next at once. So the patience begins short and
/// doubles with each round, up to a third of the timeout, so that an ensemble that is slow as a whole is
/// reached. A ConnectRequest for a new session that is given up may still be carried out: the session that
/// comes of it belongs to nobody, holds no znode, and ends by its timeout. There is at most one for each
/// attempt, so this bounds their rate as well.
pub(crate) fn attempt_limits(
    urgency: Urgency,
    now: Duration,
    timeout: Duration,
    alive_until: Option<Duration>,
    rounds: u32,
) -> AttemptLimits {
    let all_within = |limit| AttemptLimits { connect: limit, answer: limit, only_answer: limit };
    match (urgency, alive_until) {
        (Urgency::Until(deadline), _) if deadline > now => {
            all_within(((deadline - now) / 4).clamp(SHORTEST_LIMIT, CONNECT_LIMIT))
        }
        (_, Some(end)) if end > now => all_within(CONNECT_LIMIT),
        _ => {
            let only_answer = (timeout / 3).max(CONNECT_LIMIT);
            // The longest timeout is reached long before the exponent's bound.
            let answer = (CONNECT_LIMIT * 2u32.pow(rounds.min(16))).min(only_answer);
            AttemptLimits { connect: CONNECT_LIMIT, answer, only_answer }
        }
    }
}

/// The wait from one attempt, or from the loss of a connection, to the next attempt: `rounds` full rounds of
/// the servers have failed, and `chance` is uniform in 0..1.
pub(crate) fn wait(urgency: Urgency, now: Duration, rounds: u32, chance: f64) -> Duration {
    let chance = chance.clamp(0.0, 1.0);
    match urgency {
        Urgency::Until(deadline) if deadline > now => {
            // From the fourth round on the bound is in force, so a larger exponent says nothing.
            let full = (URGENT_WAIT * 2u32.pow(rounds.min(8))).min(LONGEST_URGENT_WAIT);
            full.mul_f64(0.5 + chance / 2.0)
        }
        _ => SHORTEST_RELAXED_WAIT + (LONGEST_RELAXED_WAIT - SHORTEST_RELAXED_WAIT).mul_f64(chance),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(10);
    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_new_session_waits_longer_for_an_answer_from_round_to_round_but_not_for_tcp() {
        let limits = |timeout, rounds| attempt_limits(Urgency::Relaxed, ms(0), timeout, None, rounds);
        for (rounds, answer) in [(0, ms(1000)), (1, ms(2000)), (2, T / 3), (3, T / 3), (u32::MAX, T / 3)] {
            let expected = AttemptLimits { connect: ms(1000), answer, only_answer: T / 3 };
            assert_eq!(limits(T, rounds), expected, "{rounds}");
        }
        assert_eq!(limits(T * 6, 4).answer, ms(16_000));
        assert_eq!(limits(ms(600), 5).answer, ms(1000), "never less than for TCP");
        let longest = crate::config::LONGEST_TIMEOUT;
        assert_eq!(limits(longest, 16).answer, longest / 3, "the bound of the exponent binds nobody");
    }

    #[test]
    fn a_session_that_may_still_live_is_looked_for_with_little_patience_everywhere() {
        let limits = |now| attempt_limits(Urgency::Relaxed, now, T, Some(ms(5000)), 9);
        let short = AttemptLimits { connect: ms(1000), answer: ms(1000), only_answer: ms(1000) };
        assert_eq!(limits(ms(4999)), short);
        assert_eq!(limits(ms(5000)).answer, T / 3);
    }

    #[test]
    fn in_a_hurry_an_attempt_has_a_quarter_of_what_remains_within_bounds() {
        let limit = |left: u64| attempt_limits(Urgency::Until(ms(5000 + left)), ms(5000), T, None, 9).answer;
        assert_eq!(limit(8000), ms(1000));
        assert_eq!(limit(2000), ms(500));
        assert_eq!(limit(100), ms(200));
    }

    #[test]
    fn past_the_deadline_there_is_no_hurry() {
        let late = Urgency::Until(ms(10));
        let limits = |urgency| attempt_limits(urgency, ms(10), T, None, 1);
        assert_eq!(limits(late), limits(Urgency::Relaxed));
        assert!(wait(late, ms(10), 0, 0.0) >= SHORTEST_RELAXED_WAIT);
    }

    #[test]
    fn waits_stay_within_their_bounds() {
        for rounds in [0, 1, 2, 3, 4, 5, 100, u32::MAX] {
            for chance in [-1.0, 0.0, 0.3, 1.0, 2.0] {
                let urgent = wait(Urgency::Until(ms(1)), ms(0), rounds, chance);
                assert!(urgent >= URGENT_WAIT / 2 && urgent <= LONGEST_URGENT_WAIT, "{urgent:?}");
                let relaxed = wait(Urgency::Relaxed, ms(0), rounds, chance);
                assert!((SHORTEST_RELAXED_WAIT..=LONGEST_RELAXED_WAIT).contains(&relaxed), "{relaxed:?}");
            }
        }
        assert_eq!(wait(Urgency::Until(ms(1)), ms(0), 2, 1.0), ms(80));
    }
}
