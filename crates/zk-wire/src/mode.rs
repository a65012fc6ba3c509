//! Numbers that stand for a choice in requests: what kind of node to make, what kind of watch to take back.

/// What kind of node a create makes; the `flags` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CreateMode {
    /// Stays until deleted.
    Persistent,
    /// Goes with the session.
    Ephemeral,
    /// Stays until deleted; the server appends ten digits to the path.
    PersistentSequential,
    /// Goes with the session; the server appends ten digits to the path.
    EphemeralSequential,
    /// The server deletes it some time after its last child has gone. Only through
    /// [`Request::CreateContainer`](crate::Request::CreateContainer); a plain create makes an ordinary node.
    Container,
    /// A value that this crate does not know. Make it with `From<i32>` only, so that values stay equal.
    Unknown(i32),
}

impl CreateMode {
    /// Whether the server appends a number to the path.
    #[must_use]
    pub fn is_sequential(self) -> bool {
        matches!(self, Self::PersistentSequential | Self::EphemeralSequential)
    }

    /// Whether the node goes with the session.
    #[must_use]
    pub fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }
}

impl From<i32> for CreateMode {
    fn from(flags: i32) -> Self {
        match flags {
            0 => Self::Persistent,
            1 => Self::Ephemeral,
            2 => Self::PersistentSequential,
            3 => Self::EphemeralSequential,
            4 => Self::Container,
            other => Self::Unknown(other),
        }
    }
}

impl From<CreateMode> for i32 {
    fn from(mode: CreateMode) -> Self {
        match mode {
            CreateMode::Persistent => 0,
            CreateMode::Ephemeral => 1,
            CreateMode::PersistentSequential => 2,
            CreateMode::EphemeralSequential => 3,
            CreateMode::Container => 4,
            CreateMode::Unknown(other) => other,
        }
    }
}

/// Which watches on a path to take back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatchKind {
    /// On the list of children.
    Children,
    /// On data and existence.
    Data,
    /// All of them.
    Any,
    /// Persistent ones. Servers before 3.9 do not know it.
    Persistent,
    /// Persistent ones on the whole subtree. Servers before 3.9 do not know it.
    Recursive,
    /// A value that this crate does not know. Make it with `From<i32>` only, so that values stay equal.
    Unknown(i32),
}

impl From<i32> for WatchKind {
    fn from(kind: i32) -> Self {
        match kind {
            1 => Self::Children,
            2 => Self::Data,
            3 => Self::Any,
            4 => Self::Persistent,
            5 => Self::Recursive,
            other => Self::Unknown(other),
        }
    }
}

impl From<WatchKind> for i32 {
    fn from(kind: WatchKind) -> Self {
        match kind {
            WatchKind::Children => 1,
            WatchKind::Data => 2,
            WatchKind::Any => 3,
            WatchKind::Persistent => 4,
            WatchKind::Recursive => 5,
            WatchKind::Unknown(other) => other,
        }
    }
}
