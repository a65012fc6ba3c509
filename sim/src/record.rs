//! What happened in a world: a hash of all of it, counts, and the entries themselves when somebody wants them.
//!
//! Invariant: keeping the entries changes nothing else, and the hash is the same in every build.

/// Kinds of entries. What `a` and `b` mean is said with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum What {
    /// A contender asks to lead.
    Campaigns,
    /// What it is now, by the library's word: `a` is a [`RoleKind`], and `b` are ahead of it.
    Role,
    /// It has connected to server `a`.
    Connects,
    /// Its connection to server `a` has ended.
    Disconnects,
    /// It leads; `a` is the token.
    Leads,
    /// It is told to stop; `a` is the token.
    ToldToStop,
    /// It does not act any more for the term `a`.
    Ends,
    /// It wants to lead no more, or gives its turn away.
    Leaves,
    /// No retry mends what it was told.
    Fails,
    /// Its process starts.
    Starts,
    /// Its process has died.
    Died,
    /// The end of its lease, at the true time `a`.
    Deadline,
    /// A session is made; `a` is its id, `b` its timeout in milliseconds.
    SessionMade,
    /// A session ends; `a` is its id, `b` the cause.
    SessionOver,
    /// A znode is made at the zxid `a` by the session `b`.
    Enrolled,
    /// The znode made at the zxid `a` is gone, for the cause `b`.
    Gone,
    /// Server `a` has lost its peers and goes on leading by itself.
    Deposed,
    /// Server `a` leads the ensemble, in the epoch `b`.
    QuorumLeader,
    /// The embedded server starts for the `a`th time.
    HostStarted,
    /// The embedded server has died.
    HostDied,
    /// The `a`th fault of the plan begins.
    FaultBegins,
    /// The `a`th fault of the plan ends.
    FaultEnds,
    /// Its connection to server `a` breaks with a create on the way.
    BrokenAtCreate,
    /// It is cut off right after an answer.
    Stranded,
    /// There are no more faults.
    Healed,
    /// Everybody gives up, and nothing may be left.
    AllLeave,
    /// Something happened that must not.
    Violation,
}

/// The library's roles, less what they carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are elector::Role's")]
pub enum RoleKind {
    Idle,
    Enrolling,
    Waiting,
    Leading,
    Suspended,
    Stopping,
    Closed,
}

/// What a harsh world shows, for counting only: neither part of the story nor of the hash. Each is what some rule of
/// the library is there for; a large number of runs in which one was never seen proves nothing about that rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// A server that had lost its peers answered a ping.
    AlonePing,
    /// A server that had lost its peers answered a read.
    AloneRead,
    /// A server answered a read from a tree that lacked what was committed.
    StaleRead,
    /// A deposed quorum leader took a session back.
    AloneAttach,
    /// A deposed quorum leader answered a sync.
    AloneSync,
    /// A session came back at another server.
    Moved,
    /// A session ended while a server had heard from it and not told so yet.
    EndedUnreported,
    /// A new quorum leader gave a session another timeout than was in force.
    CreatedTimeout,
    /// A server hung up on a client that had seen what it had not.
    Behind,
    /// A proposal went with its quorum leader.
    ProposalLost,
    /// A proposal of the quorum leader before was carried out by the next one.
    ProposalKept,
    /// A request, or an answer, was held up between a server and its quorum leader, and came through.
    HeldUp,
    /// A request came after the end of its connection.
    LateRequest,
    /// A request was lost with its connection.
    LostRequest,
    /// A packet was held up by a cut in its direction only.
    OneWay,
    /// A packet was lost and sent again.
    SentAgain,
    /// A leader stood still for longer than its lease.
    PausedPastLease,
    /// The clock of a leader was moved past its lease.
    JumpedPastLease,
    /// A leader died.
    LeaderDied,
    /// Somebody else deleted a leader's znode, or closed its session.
    LeaderMeddled,
    /// A crash took unsynced writes.
    TailLost,
    /// A crash left a write in part.
    WriteTorn,
    /// A torn end was found and cut off.
    TailCut,
    /// A sync failed.
    SyncFailed,
    /// A flipped bit was found, and the directory refused.
    FlipRefused,
    /// A snapshot was read.
    SnapshotRead,
}

impl Sight {
    /// All of them, each with what it is counted as.
    pub const ALL: [(Sight, &str); 26] = [
        (Sight::AlonePing, "pings answered by a server without its peers"),
        (Sight::AloneRead, "reads answered by a server without its peers"),
        (Sight::StaleRead, "reads answered from a stale tree"),
        (Sight::AloneAttach, "sessions taken back by a deposed quorum leader"),
        (Sight::AloneSync, "syncs answered by a deposed quorum leader"),
        (Sight::Moved, "sessions come back at another server"),
        (Sight::EndedUnreported, "sessions ended though a server had heard from them"),
        (Sight::CreatedTimeout, "sessions put back to the timeout they were created with"),
        (Sight::Behind, "clients turned away by a server that was behind"),
        (Sight::ProposalLost, "proposals lost with their quorum leader"),
        (Sight::ProposalKept, "proposals carried out by the next quorum leader"),
        (Sight::HeldUp, "requests held up between servers, and come through"),
        (Sight::LateRequest, "requests that came after the end of their connection"),
        (Sight::LostRequest, "requests lost with their connection"),
        (Sight::OneWay, "packets held up in one direction"),
        (Sight::SentAgain, "packets lost and sent again"),
        (Sight::PausedPastLease, "leaders that stood still past their lease"),
        (Sight::JumpedPastLease, "leaders whose clock was moved past their lease"),
        (Sight::LeaderDied, "leaders that died"),
        (Sight::LeaderMeddled, "leaders whose znode somebody else took"),
        (Sight::TailLost, "crashes that took unsynced writes"),
        (Sight::WriteTorn, "crashes that tore a write"),
        (Sight::TailCut, "torn ends cut off"),
        (Sight::SyncFailed, "syncs failed"),
        (Sight::FlipRefused, "directories refused for a flipped bit"),
        (Sight::SnapshotRead, "starts from a snapshot"),
    ];
}

/// Kinds there are.
const KINDS: usize = What::Violation as usize + 1;

/// Roles there are at most.
const ROLES: usize = 8;

/// One entry.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// True time in nanoseconds.
    pub at: u64,
    /// The contender it is about.
    pub who: Option<u8>,
    /// What happened.
    pub what: What,
    /// See [`What`].
    pub a: u64,
    /// See [`What`].
    pub b: u64,
}

/// The record of one world.
#[derive(Debug)]
pub struct Record {
    hash: u64,
    counts: [u32; KINDS],
    roles: [u32; ROLES],
    sights: [u32; Sight::ALL.len()],
    kept: Option<Vec<Entry>>,
}

impl Record {
    pub(crate) fn new(keep: bool) -> Record {
        Record {
            hash: 0xcbf2_9ce4_8422_2325,
            counts: [0; KINDS],
            roles: [0; ROLES],
            sights: [0; Sight::ALL.len()],
            kept: keep.then(Vec::new),
        }
    }

    pub(crate) fn note(&mut self, at: u64, who: Option<usize>, what: What, a: u64, b: u64) {
        let who = who.map(|who| who as u8);
        self.mix(at);
        self.mix(u64::from(who.unwrap_or(u8::MAX)) << 8 | what as u64);
        self.mix(a);
        self.mix(b);
        self.counts[what as usize] += 1;
        if what == What::Role {
            self.roles[a as usize % ROLES] += 1;
        }
        if let Some(kept) = &mut self.kept {
            kept.push(Entry { at, who, what, a, b });
        }
    }

    pub(crate) fn saw(&mut self, sight: Sight) {
        self.sights[sight as usize] += 1;
    }

    /// For pictures only: no part of the hash.
    pub(crate) fn sketch(&mut self, at: u64, who: usize, what: What, a: u64) {
        if let Some(kept) = &mut self.kept {
            kept.push(Entry { at, who: Some(who as u8), what, a, b: 0 });
        }
    }

    /// Whether entries are kept.
    pub(crate) fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    /// Something too frequent to be an entry.
    pub(crate) fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    /// The hash of all that happened.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How often this happened.
    pub fn count(&self, what: What) -> u32 {
        self.counts[what as usize]
    }

    /// How often a contender came into this role.
    pub fn count_role(&self, role: u64) -> u32 {
        self.roles[role as usize % ROLES]
    }

    /// How often this was seen.
    pub fn sights(&self, sight: Sight) -> u32 {
        self.sights[sight as usize]
    }

    /// All entries, if they were kept.
    pub fn entries(&self) -> &[Entry] {
        self.kept.as_deref().unwrap_or_default()
    }
}
