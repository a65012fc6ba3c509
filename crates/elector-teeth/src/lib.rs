//! Deliberate faults, each one rule left out, to show that the tests would notice: `docs/teeth.md`.
//!
//! Invariant: in a build without `--cfg elector_teeth`, which no feature and no profile of the project sets, none of
//! them can be switched on, and [`bites`] is the constant `false`. Each place that asks stands beside the rule that
//! it breaks, so whoever changes the rule sees what must fail. Only the project's own crates ask.
#![forbid(unsafe_code)]

/// Makes the enum, the list of all, and what is said of each, out of one table.
macro_rules! teeth {
    ($($(#[doc = $what:literal])+ $name:ident,)+) => {
        /// One rule left out.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Tooth {
            $($(#[doc = $what])+ $name,)+
        }

        impl Tooth {
            /// All of them, in the order of their crates.
            pub const ALL: &[Tooth] = &[$(Tooth::$name,)+];

            /// What goes on without the rule.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Tooth::$name => concat!($($what),+),)+
                }
            }
        }
    };
}

teeth! {
    // The lease, in elector-core and elector.
    /// The lease counts from the receipt of an answer.
    BaseFromReceipt,
    /// The lease counts from the last acknowledged probe.
    BaseFromLastProbe,
    /// Any answer counts as a quorum's.
    PingsAreProof,
    /// The touch lag counts from the sending of a request.
    LagFromSending,
    /// Of answers that became one in memory, the newest sending has the first receipt.
    MergedTooGood,
    /// There is no touch lag.
    NoTouchLag,
    /// Nothing is taken off a lease for unequal clocks.
    NoMargins,
    /// The lease lasts as long as was asked for, whatever was granted.
    AskedTimeout,
    /// A timeout that has grown is believed.
    GrownTimeout,
    /// A token is the zxid at which the znode was last written.
    TokenOfLastWrite,
    /// A re-attachment alone moves the deadline.
    ReattachmentBelieved,
    /// Whoever is entitled leads, also without a live deadline.
    PromotionWithoutDeadline,
    /// What came during a pause is looked at before the clock, and may revive a lease.
    LateAnswerRevives,
    /// A fence stays true when its leadership is dropped.
    FenceOutlivesRelease,

    // Enrolling, waiting and leaving, in elector-core.
    /// The znode is deleted while the work is still being stopped.
    ZnodeBeforeWork,
    /// A term goes on when its session has ended.
    SessionEndIgnored,
    /// A list of which only the nearest were remembered counts as complete.
    CutListIsComplete,
    /// Those behind the remembered ones are not looked for.
    NoListWhenCut,
    /// A leader judges a list that may be older than its last probe.
    StaleListBelieved,
    /// A znode that bears our name is ours, whichever session made it.
    OldSessionTrusted,
    /// An unanswered create is sent anew without a look, and forgotten.
    BlindRetry,
    /// An unanswered create is looked for without a sync before.
    LookWithoutSync,
    /// A create without an answer is looked for, and then forgotten.
    AmbiguityForgotten,
    /// A duplicate of ours whose delete was sent may become our znode.
    DuplicateClaimed,
    /// The watch on our own znode is never set.
    OwnWatchMissing,
    /// The event of our own znode's end is not acted upon.
    OwnEndIgnored,
    /// Whoever is told while watches are set again that nobody is ahead leads at once.
    RestoringActedUpon,
    /// A delete that was sent counts as done.
    DeleteUnanswered,
    /// Layout single: whose znode it is is not compared.
    OwnerNotCompared,
    /// Layout single: a probe takes the place of the look at the owner.
    ProbeIsOwnership,

    // The session, in zk-session.
    /// What a dying connection left unanswered counts as never sent.
    LostIsNotSent,
    /// Watches are not set again after a reconnect.
    WatchesForgotten,
    /// Events that come while watches are being set again are dropped.
    EventsOfRestoringLost,
    /// The sending of a connect request is timed by its answer.
    AttachedAtReceipt,
    /// Deadlines are read from the wall clock, which can be set.
    WallClock,
    /// A server is not told what its client has seen, and may be behind it.
    LastZxidNotSent,
    /// Whoever leaves for good leaves its session to its timeout.
    CloseForgotten,
    /// A server that tells of changes counts as one that hears its client, whatever it leaves unanswered.
    EventsAreAnswers,

    // The server, in zk-embedded.
    /// Records are acknowledged without a sync.
    SyncSkipped,
    /// Answers leave before the sync of what they tell.
    AnswersBeforeSync,
    /// The directory is not synced after a file got its name.
    NamesNotSynced,
    /// A record's checksum is not compared, so that a torn end is taken for whole.
    ChecksumIgnored,
    /// Damage before records that were acknowledged passes for a torn end.
    DamageCutOff,
    /// Sessions end after three quarters of their timeout.
    ExpiryEarly,
    /// A session's password is not compared.
    PasswordIgnored,
    /// A session's end leaves its znodes.
    EphemeralsStay,
    /// Nobody is told of what a session's end deletes.
    WatchersNotTold,
    /// A snapshot has no sessions.
    SnapshotWithoutSessions,
    /// After a snapshot was read numbers begin anew.
    SequenceForgotten,
    /// After a restart sessions get no new deadline.
    NotRevived,

    // The program and the process that keeps it, in elector-cli.
    /// The kernel is not asked to kill the program when the process that keeps it is killed.
    NoParentDeathSignal,
    /// What the program has started is killed long after the program itself.
    TreeKilledLate,
    /// A program is started although its deadline has passed.
    LateStart,
    /// A term whose deadline has passed gets a program again where it is given a later one.
    SpentTermRevived,
    /// A deadline that was written for another term counts.
    OtherTermsDeadline,
    /// The deadline is acted upon by elector alone, and not by the process that keeps the program.
    DeadlineLeftToElector,
    /// Nobody wakes for the deadline; it is seen when something else happens.
    DeadlineNotAwaited,
    /// The timer of the deadline stands still while the machine sleeps.
    TimerSleepsToo,
    /// The program is killed at the end of the lease, with no time left in which to die.
    NoKillMargin,
    /// What outlives the grace of a stop is not killed.
    GraceWithoutEnd,
    /// A later stop prolongs the grace of an earlier one.
    StopProlonged,
    /// The program's own end counts as the end of all that it started.
    ProgramsEndIsAll,
    /// The program goes on when elector has died.
    ElectorsEndIgnored,
    /// A dead elector's session is closed while its program is still to be killed.
    ClosedBeforeGone,
    /// A process that keeps the program and is stopped is left as it is.
    StoppedKeeperLeft,
    /// A new term begins while what a killed keeping process left is there.
    OrphansLeft,
}

/// Whether this rule is left out.
#[cfg(not(elector_teeth))]
#[inline(always)]
pub const fn bites(_: Tooth) -> bool {
    false
}

#[cfg(elector_teeth)]
pub use switch::{bite, bites};

/// One switch for the process: a rule is left out by its name in the environment, for tests and the processes that
/// they start, or by a call, for the simulator.
#[cfg(elector_teeth)]
mod switch {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Tooth;

    /// Not one of `ELECTOR_…`: tests hide those from what they start.
    const VARIABLE: &str = "LEFT_OUT_RULE";
    /// No number of a rule.
    const NONE: usize = usize::MAX;

    static ON: LazyLock<AtomicUsize> = LazyLock::new(|| {
        let number = std::env::var(VARIABLE).map_or(NONE, |name| {
            let is_it = |tooth: &&Tooth| format!("{tooth:?}") == name;
            let tooth = Tooth::ALL.iter().find(is_it);
            *tooth.unwrap_or_else(|| panic!("{VARIABLE}: no rule is called {name}")) as usize
        });
        AtomicUsize::new(number)
    });

    /// Whether this rule is left out.
    pub fn bites(tooth: Tooth) -> bool {
        ON.load(Ordering::Relaxed) == tooth as usize
    }

    /// Leaves this rule out from now on, or none.
    pub fn bite(tooth: Option<Tooth>) {
        ON.store(tooth.map_or(NONE, |tooth| tooth as usize), Ordering::Relaxed);
    }
}
