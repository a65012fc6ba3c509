//! How znodes are named, and with whom that is safe.

use std::fmt;
use std::str::FromStr;

/// How this election's znodes are named: the family of programs that it excludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Layout {
    /// `_c_<uuid>-latch-<number>`: safe together with Curator's LeaderLatch.
    #[default]
    Latch,
    /// `_c_<uuid>-lock-<number>`: safe together with Curator's LeaderSelector and InterProcessMutex,
    /// Spring's LeaderInitiator, Go's Lock and zookeeper-client's locks.
    Lock,
    /// `<uuid in hex>__lock__<number>`: safe together with kazoo's Lock and Election.
    Kazoo,
    /// The path itself, one ephemeral znode: safe together with programs that create it, watch it
    /// and create it again.
    Single,
}

impl Layout {
    /// The name of a znode of this layout before its sequence number; empty for the path itself.
    pub(crate) fn stem(self, guid: &Guid) -> String {
        match self {
            Layout::Latch => format!("_c_{guid}-latch-"),
            Layout::Lock => format!("_c_{guid}-lock-"),
            Layout::Kazoo => format!("{}__lock__", guid.to_string().replace('-', "")),
            Layout::Single => String::new(),
        }
    }

    /// The family that contenders of this layout belong to; none where the path is the contender.
    pub(crate) fn family(self) -> Option<Family> {
        match self {
            Layout::Latch => Some(Family::Latch),
            Layout::Lock => Some(Family::Lock),
            Layout::Kazoo => Some(Family::Kazoo),
            Layout::Single => None,
        }
    }
}

/// What makes the name of one create request unlike that of any other, ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guid(u128);

impl Guid {
    /// A version 4 UUID of 128 random bits.
    pub(crate) fn from_random(bits: u128) -> Guid {
        let version = (bits & !(0xf << 76)) | (0x4 << 76);
        Guid((version & !(0x3 << 62)) | (0x2 << 62))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

/// Text that names no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown layout {0:?}: expected latch, lock, kazoo or single")]
pub struct UnknownLayout(String);

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layout::Latch => "latch",
            Layout::Lock => "lock",
            Layout::Kazoo => "kazoo",
            Layout::Single => "single",
        })
    }
}

impl FromStr for Layout {
    type Err = UnknownLayout;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "latch" => Ok(Layout::Latch),
            "lock" => Ok(Layout::Lock),
            "kazoo" => Ok(Layout::Kazoo),
            "single" => Ok(Layout::Single),
            other => Err(UnknownLayout(other.chars().take(40).collect())),
        }
    }
}

/// A family of programs, told by how it names its contenders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Family {
    /// `…-latch-<number>`: Curator's LeaderLatch, and ours.
    Latch,
    /// `…-lock-<number>`: Curator's LeaderSelector and InterProcessMutex, Spring, Go, Rust.
    Lock,
    /// `…__lock__<number>`: kazoo's Lock and Election.
    Kazoo,
    /// Any other name that ends in a sequence number.
    Other,
}

impl Family {
    /// The layout that is safe beside this family.
    pub(crate) fn layout(self) -> Option<Layout> {
        match self {
            Family::Latch => Some(Layout::Latch),
            Family::Lock => Some(Layout::Lock),
            Family::Kazoo => Some(Layout::Kazoo),
            Family::Other => None,
        }
    }

    /// The family of a contender's name before its ten digits.
    pub(crate) fn of(stem: &str) -> Family {
        if stem.ends_with("-latch-") {
            Family::Latch
        } else if stem.ends_with("-lock-") {
            Family::Lock
        } else if stem.ends_with("__lock__") {
            Family::Kazoo
        } else {
            Family::Other
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Latch => "Curator LeaderLatch or elector (layout latch)",
            Family::Lock => "Curator LeaderSelector or Go's Lock (layout lock)",
            Family::Kazoo => "kazoo (layout kazoo)",
            Family::Other => "an unknown family of sequential znodes",
        })
    }
}
