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
    kept: Option<Vec<Entry>>,
}

impl Record {
    pub(crate) fn new(keep: bool) -> Record {
        Record {
            hash: 0xcbf2_9ce4_8422_2325,
            counts: [0; KINDS],
            roles: [0; ROLES],
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

    /// All entries, if they were kept.
    pub fn entries(&self) -> &[Entry] {
        self.kept.as_deref().unwrap_or_default()
    }
}
