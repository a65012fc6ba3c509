//! Access control entries.

use crate::jute::{DecodeError, Reader, Writer};

/// Permissions, to be added up.
pub mod perms {
    /// Read data, list children.
    pub const READ: i32 = 1;
    /// Set data.
    pub const WRITE: i32 = 2;
    /// Create children.
    pub const CREATE: i32 = 4;
    /// Delete children.
    pub const DELETE: i32 = 8;
    /// Set the list itself.
    pub const ADMIN: i32 = 16;
    /// All of them.
    pub const ALL: i32 = 31;
}

/// One entry of a node's access control list: who may do what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Acl {
    /// The sum of [`perms`].
    pub perms: i32,
    /// How the id is to be understood: `world`, `auth`, `digest`, `ip`, and others that a server may know.
    pub scheme: String,
    /// Who; for `world` always `anyone`, for `auth` nothing.
    pub id: String,
}

impl Acl {
    /// Least bytes of an entry on the wire.
    const SMALLEST: usize = 12;

    /// An entry.
    pub fn new(perms: i32, scheme: impl Into<String>, id: impl Into<String>) -> Self {
        Self { perms, scheme: scheme.into(), id: id.into() }
    }

    /// Everybody has these permissions.
    #[must_use]
    pub fn anyone(perms: i32) -> Self {
        Self::new(perms, "world", "anyone")
    }

    /// Whoever makes the node has these permissions, by the credentials that the connection then has. The
    /// server refuses it ([`InvalidAcl`](crate::ErrorCode::InvalidAcl)) on a connection that has none.
    #[must_use]
    pub fn creator(perms: i32) -> Self {
        Self::new(perms, "auth", "")
    }

    pub(crate) fn write_all(entries: &[Self], w: &mut Writer<'_>) {
        w.vector(entries, |w, entry| {
            w.i32(entry.perms);
            w.string(&entry.scheme);
            w.string(&entry.id);
        });
    }

    pub(crate) fn read_all(r: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        r.vector(Self::SMALLEST, |r| {
            let (perms, scheme) = (r.i32()?, r.string()?);
            // Apache's server fails over a null id where it has to look at it, and takes the others.
            let id = match scheme.as_str() {
                "world" | "digest" => r.present_string()?,
                _ => r.string()?,
            };
            Ok(Self { perms, scheme, id })
        })
    }
}
