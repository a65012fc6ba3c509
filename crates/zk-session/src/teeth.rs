//! Deliberate faults, to show that the tests would notice them: `docs/simulation.md`, "Teeth".
//!
//! Invariant: in a build without `--cfg elector_teeth`, which no feature and no profile of the project sets,
//! none of them can be switched on, and [`bites`] is the constant `false`. Each place that asks stands beside the
//! rule that it breaks, so whoever changes the rule sees what must fail.

/// One rule left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tooth {
    /// What a dying connection left unanswered counts as never sent.
    LostIsNotSent,
    /// Watches are not set again after a reconnect.
    WatchesForgotten,
    /// Events that come while watches are being set again are dropped.
    EventsOfRestoringLost,
    /// The sending of a connect request is timed by its answer.
    AttachedAtReceipt,
}

impl Tooth {
    /// All of them.
    pub const ALL: &[Tooth] = &[
        Tooth::LostIsNotSent,
        Tooth::WatchesForgotten,
        Tooth::EventsOfRestoringLost,
        Tooth::AttachedAtReceipt,
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
