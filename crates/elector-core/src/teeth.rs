//! Deliberate faults, to show that the tests would notice them: `docs/simulation.md`, "Teeth".
//!
//! Invariant: in a build without `--cfg elector_teeth`, which no feature and no profile of the project sets,
//! none of them can be switched on, and [`bites`] is the constant `false`. Each place that asks stands beside the
//! rule that it breaks, so whoever changes the rule sees what must fail.

/// One rule left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tooth {
    /// The lease counts from the receipt of an answer.
    BaseFromReceipt,
    /// The lease counts from the last acknowledged probe.
    BaseFromLastProbe,
    /// Any answer counts as a quorum's.
    PingsAreProof,
    /// The touch lag counts from the sending of a request.
    LagFromSending,
    /// There is no touch lag.
    NoTouchLag,
    /// Nothing is taken off a lease for unequal clocks.
    NoMargins,
    /// The lease lasts as long as was asked for, whatever was granted.
    AskedTimeout,
    /// A timeout that has grown is believed.
    GrownTimeout,
    /// A re-attachment alone moves the deadline.
    ReattachmentBelieved,
    /// Whoever is entitled leads, also without a live deadline.
    PromotionWithoutDeadline,
    /// What came during a pause is looked at before the clock, and may revive a lease.
    LateAnswerRevives,
    /// A fence stays true when its leadership is dropped.
    FenceOutlivesRelease,
    /// The znode is deleted while the work is still being stopped.
    ZnodeBeforeWork,
    /// A term goes on when its session has ended.
    SessionEndIgnored,
    /// A list of which only the nearest were remembered counts as complete.
    CutListIsComplete,
    /// Those behind the remembered ones are not looked for.
    NoListWhenCut,
    /// An unanswered create is sent anew without a look, and forgotten.
    BlindRetry,
    /// A create without an answer is looked for, and then forgotten.
    AmbiguityForgotten,
    /// The watch on our own znode is never set.
    OwnWatchMissing,
    /// The event of our own znode's end is not acted upon.
    OwnEndIgnored,
    /// A delete that was sent counts as done.
    DeleteUnanswered,
    /// Layout single: whose znode it is is not compared.
    OwnerNotCompared,
    /// Layout single: a probe counts as a look at the owner.
    ProbeIsOwnership,
}

impl Tooth {
    /// All of them.
    pub const ALL: &[Tooth] = &[
        Tooth::BaseFromReceipt,
        Tooth::BaseFromLastProbe,
        Tooth::PingsAreProof,
        Tooth::LagFromSending,
        Tooth::NoTouchLag,
        Tooth::NoMargins,
        Tooth::AskedTimeout,
        Tooth::GrownTimeout,
        Tooth::ReattachmentBelieved,
        Tooth::PromotionWithoutDeadline,
        Tooth::LateAnswerRevives,
        Tooth::FenceOutlivesRelease,
        Tooth::ZnodeBeforeWork,
        Tooth::SessionEndIgnored,
        Tooth::CutListIsComplete,
        Tooth::NoListWhenCut,
        Tooth::BlindRetry,
        Tooth::AmbiguityForgotten,
        Tooth::OwnWatchMissing,
        Tooth::OwnEndIgnored,
        Tooth::DeleteUnanswered,
        Tooth::OwnerNotCompared,
        Tooth::ProbeIsOwnership,
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
