//! Deliberate faults, to show that the tests would notice them: `docs/simulation.md`, "Teeth".
//!
//! Invariant: in a build without `--cfg elector_teeth`, which no feature and no profile of the project sets,
//! none of them can be switched on, and [`bites`] is the constant `false`. Each place that asks stands beside the
//! rule that it breaks, so whoever changes the rule sees what must fail.

/// One rule left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tooth {
    /// Records are acknowledged without a sync.
    SyncSkipped,
    /// The directory is not synced after a file got its name.
    NamesNotSynced,
    /// A record's checksum is not compared.
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
    /// After a restart sessions get no new deadline.
    NotRevived,
}

impl Tooth {
    /// All of them.
    pub const ALL: &[Tooth] = &[
        Tooth::SyncSkipped,
        Tooth::NamesNotSynced,
        Tooth::ChecksumIgnored,
        Tooth::DamageCutOff,
        Tooth::ExpiryEarly,
        Tooth::PasswordIgnored,
        Tooth::EphemeralsStay,
        Tooth::WatchersNotTold,
        Tooth::SnapshotWithoutSessions,
        Tooth::NotRevived,
    ];
}

/// Whether this rule is left out.
#[cfg(not(elector_teeth))]
#[inline(always)]
pub const fn bites(_: Tooth) -> bool {
    false
}

/// Whether this rule is left out on this thread.
#[cfg(elector_teeth)]
pub fn bites(tooth: Tooth) -> bool {
    ON.get() == Some(tooth)
}

/// Leaves this rule out on this thread from now on, or none.
#[cfg(elector_teeth)]
pub fn bite(tooth: Option<Tooth>) {
    ON.set(tooth);
}

#[cfg(elector_teeth)]
std::thread_local! {
    static ON: std::cell::Cell<Option<Tooth>> = const { std::cell::Cell::new(None) };
}
