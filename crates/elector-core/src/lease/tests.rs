//! The arithmetic of deadlines: by example, and against the rule itself over random histories.

use proptest::prelude::*;

use super::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn at(n: u64) -> Moment {
    Moment::from_origin(ms(n))
}

fn program(timeout: u64) -> Timing {
    let grace = ms(2_000).min(ms(timeout) / 5);
    Timing::new(ms(timeout), &Margins { ensemble_tick: None, early: ms(500) + grace })
}

#[test]
fn the_periods_of_the_design() {
    let ten = program(10_000);
    assert_eq!((ten.probes, ten.probe_every.as_millis(), ten.touch_lag), (3, 933, ms(2_750)));
    let known_tick = Margins { ensemble_tick: Some(ms(2_000)), early: ms(2_500) };
    assert_eq!(Timing::new(ms(10_000), &known_tick).probe_every, ms(650));
    let direct = Timing::new(ms(5_000), &Margins { ensemble_tick: Some(ms(0)), early: ms(0) });
    assert_eq!((direct.touch_lag, direct.probe_every), (ms(0), ms(500)));
    let short = Timing::new(ms(1_500), &Margins { ensemble_tick: Some(ms(0)), early: ms(0) });
    assert_eq!(short.probe_every, ms(200), "no faster, however short the timeout");
}

#[test]
fn a_budget_that_just_suffices_is_no_error() {
    let with = |early| Timing::new(ms(10_000), &Margins { ensemble_tick: Some(ms(2_000)), early });
    let most = with(ms(0)).usable() - with(ms(0)).needed();
    assert!(with(most).check().is_ok());
    assert!(with(most + ms(1)).check().is_err());
}

#[test]
fn what_each_timeout_leaves_to_spare() {
    let spare = |t| program(t).spare().as_millis() / 100;
    assert_eq!([spare(10_000), spare(8_000), spare(6_000), spare(5_000)], [35, 26, 17, 12]);
    assert!(program(10_000).warning().is_none());
    assert!(program(6_000).warning().is_some());
    let alone = Margins { ensemble_tick: Some(ms(0)), early: ms(1_500) };
    assert_eq!(Timing::new(ms(5_000), &alone).warning(), None, "no quorum leader to change");
    assert!(program(5_000).check().is_ok());
    let message = program(3_000).check().unwrap_err().to_string();
    assert_eq!(
        message,
        "a session timeout of 3s is too short: less 1 % and 100 ms, less 1.1s to stop the program, 1.77s remain; \
         needed are 4 x 0.35s between probes + 500 ms = 1.9s; lengthen the session timeout or shorten the loss grace"
    );
}

fn attached(connect_sent: u64) -> Lease {
    let mut lease = Lease::new(ms(10_000), Margins::default());
    lease.begin_session(ms(10_000));
    lease.attach(1, at(connect_sent), ms(10_000));
    lease
}

fn base(lease: &Lease) -> Option<u64> {
    lease.base.map(|b| b.since_origin().as_millis() as u64)
}

#[test]
fn a_connection_alone_moves_no_deadline() {
    let mut lease = attached(100);
    assert_eq!(lease.deadlines(), None);
    lease.acknowledged(1, at(150), at(160), false);
    assert_eq!(lease.deadlines(), None, "a read or a ping needs no quorum");
    lease.acknowledged(1, at(200), at(210), true);
    assert_eq!(base(&lease), Some(100), "the connect request, now that a quorum has answered");
    assert_eq!(lease.deadlines().unwrap().safe, at(100 + 9_800));
}

#[test]
fn the_lag_counts_from_the_receipt_and_ends_at_the_sending() {
    let mut lease = attached(0);
    lease.acknowledged(1, at(1_000), at(3_700), false); // delivered late
    lease.acknowledged(1, at(6_449), at(6_460), true); // 1 ms too early for it
    assert_eq!(base(&lease), Some(0));
    lease.acknowledged(1, at(6_450), at(6_470), true);
    assert_eq!(base(&lease), Some(1_000));
}

#[test]
fn what_was_acknowledged_on_an_earlier_connection_is_no_ground_to_build_on() {
    let mut lease = attached(0);
    lease.acknowledged(1, at(10), at(20), true);
    lease.acknowledged(1, at(5_000), at(5_010), false);
    lease.detach();
    lease.attach(2, at(6_000), ms(10_000));
    assert_eq!(base(&lease), Some(0), "a re-attachment may be answered without a quorum");
    lease.acknowledged(1, at(5_500), at(9_000), true);
    assert_eq!(base(&lease), Some(0), "a late reply of another connection");
    lease.acknowledged(2, at(9_000), at(9_010), true);
    assert_eq!(base(&lease), Some(6_000));
}

#[test]
fn nothing_counts_without_a_connection_nor_from_one_session_in_the_next() {
    let mut lease = attached(0);
    lease.acknowledged(1, at(10), at(20), true);
    lease.acknowledged(1, at(5_000), at(5_010), false);
    lease.detach();
    lease.acknowledged(1, at(9_000), at(9_010), true);
    assert_eq!((base(&lease), lease.newer_base_from()), (Some(0), None));
    lease.begin_session(ms(10_000));
    assert_eq!(base(&lease), None);
}

#[test]
fn a_proof_is_worth_sending_as_soon_as_it_yields_a_newer_base() {
    let mut lease = attached(0);
    lease.acknowledged(1, at(10), at(20), true);
    lease.acknowledged(1, at(1_000), at(1_010), false);
    lease.acknowledged(1, at(2_770), at(2_780), true); // makes the one of 10 ms the base
    assert_eq!(base(&lease), Some(10));
    assert_eq!(lease.newer_base_from(), Some(at(1_010 + 2_750)));
    lease.acknowledged(1, at(3_760), at(3_770), true);
    assert_eq!(base(&lease), Some(1_000), "and so it does");
}

#[test]
fn the_smallest_timeout_of_the_session_counts() {
    let mut lease = attached(0);
    lease.acknowledged(1, at(10), at(20), true);
    assert_eq!(lease.attach(2, at(30), ms(40_000)), None);
    assert_eq!(lease.timing().timeout, ms(10_000), "a grown timeout is not believed");
    assert_eq!(lease.attach(3, at(40), ms(6_000)), Some(ms(10_000)));
    assert_eq!(lease.deadlines().unwrap().safe, at(5_840));
}

#[test]
fn a_newer_base_is_due_a_lag_after_the_first_unused_receipt() {
    let mut lease = attached(0);
    assert_eq!(lease.newer_base_from(), Some(at(0)));
    lease.acknowledged(1, at(10), at(20), true);
    assert_eq!(lease.newer_base_from(), Some(at(20 + 2_750)));
}

#[test]
fn a_long_wait_with_pings_alone_stays_bounded_and_loses_nothing() {
    let mut lease = attached(0);
    for i in 0..10_000 {
        lease.acknowledged(1, at(i * 100), at(i * 100 + 5), false);
    }
    assert!(lease.connection.as_ref().unwrap().acks.len() < 64);
    lease.acknowledged(1, at(1_000_000), at(1_000_010), true);
    assert_eq!(base(&lease), Some(997_200), "the newest ping received 2.75 s before");
}

#[test]
fn however_fast_the_application_writes_what_is_remembered_stays_bounded() {
    let mut lease = attached(0);
    for i in 0..20_000 {
        lease.acknowledged(1, at(i), at(i + 5), true);
    }
    assert!(lease.connection.as_ref().unwrap().acks.len() <= ACKS_PER_LAG as usize + 2);
}

/// The rule as it is written down: everything is remembered, and nothing becomes one.
struct Exact {
    lag: Duration,
    connect_sent: Moment,
    acks: Vec<(Moment, Moment)>,
    base: Option<Moment>,
}

impl Exact {
    fn attach(&mut self, connect_sent: Moment) {
        self.connect_sent = connect_sent;
        self.acks.clear();
    }

    fn acknowledged(&mut self, sent: Moment, received: Moment, proof: bool) {
        if proof {
            let old_enough = self.acks.iter().filter(|(_, received)| *received + self.lag <= sent);
            let newest = old_enough.map(|(sent, _)| *sent).max();
            self.base = self.base.max(newest).max(Some(self.connect_sent));
        }
        self.acks.push((sent, received));
    }
}

/// What a client did next: after so many milliseconds it sent something, which took so many to be answered.
#[derive(Debug, Clone, Copy)]
struct Next {
    after: u64,
    takes: u64,
    proof: bool,
    reconnects: bool,
}

fn next() -> impl Strategy<Value = Next> {
    // Some answers are slow, and a reconnect is rare: most of a history must be longer than a touch lag.
    let takes = prop_oneof![9 => 0..40_u64, 1 => 0..900_u64];
    let once_in = |n: u8| (0..n).prop_map(|drawn| drawn == 0);
    (0..60_u64, takes, any::<bool>(), once_in(200)).prop_map(|(after, takes, proof, reconnects)| Next {
        after,
        takes,
        proof,
        reconnects,
    })
}

/// What came of one connection.
struct Heard {
    /// When its connect request was sent.
    asked: u64,
    /// What was acknowledged, as it was read: when it was sent, when it was received, whether it is a proof.
    acks: Vec<(u64, u64, bool)>,
}

/// The connections of a history. `in_order`: answers come as they were asked for; pings may be answered before what
/// was sent ahead of them.
fn connections(history: &[Next], in_order: bool) -> Vec<Heard> {
    let (mut sent, mut connections) = (1, Vec::new());
    let mut heard = Heard { asked: 0, acks: Vec::new() };
    for next in history {
        sent += next.after;
        if next.reconnects {
            sent += 1_000; // all answers of the connection before have come
            connections.push(std::mem::replace(&mut heard, Heard { asked: sent, acks: Vec::new() }));
        }
        let before = heard.acks.last().map_or(0, |(_, received, _)| *received);
        let received = sent + next.takes;
        heard.acks.push((sent, if in_order { received.max(before) } else { received }, next.proof));
    }
    connections.push(heard);
    for heard in &mut connections {
        heard.acks.sort_by_key(|(_, received, _)| *received);
    }
    connections
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Two acknowledgements that became one prove no more than both did, and less by no more than the time in which
    /// they came. What is kept is bounded all the while.
    #[test]
    fn what_is_remembered_proves_what_was_acknowledged_and_no_more(
        history in prop::collection::vec(next(), 1..500),
        timeout in 4_000..12_000_u64,
        tick in prop::option::of(prop_oneof![Just(0_u64), 1..3_000_u64]),
        in_order in any::<bool>(),
    ) {
        let margins = Margins { ensemble_tick: tick.map(ms), early: ms(0) };
        let mut lease = Lease::new(ms(timeout), margins);
        lease.begin_session(ms(timeout));
        let lag = lease.timing().touch_lag;
        let exact = |lag| Exact { lag, connect_sent: at(0), acks: Vec::new(), base: None };
        let (mut best, mut least) = (exact(lag), exact(lag + lag / ACKS_PER_LAG));
        for (number, Heard { asked, acks }) in (1..).zip(connections(&history, in_order)) {
            lease.attach(number, at(asked), ms(timeout));
            best.attach(at(asked));
            least.attach(at(asked));
            for (sent, received, proof) in acks {
                lease.acknowledged(number, at(sent), at(received), proof);
                best.acknowledged(at(sent), at(received), proof);
                least.acknowledged(at(sent), at(received), proof);
                prop_assert!(lease.base() <= best.base, "{:?} is later than {:?}", lease.base(), best.base);
                prop_assert!(!in_order || lease.base() >= least.base, "{:?} is earlier than {:?}", lease.base(), least.base);
            }
            lease.detach();
        }
    }
}
