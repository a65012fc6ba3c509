//! The rules for a node's path, ZooKeeper's own.
//!
//! A server checks paths at create only, and answers with a bare code; a client that checks first can say
//! which character it is. Positions count characters from 0. They agree with ZooKeeper's own, which count
//! UTF-16 units, since everything above U+FFFF is refused.

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It has no characters at all.
    #[error("path is empty")]
    Empty,
    /// It does not begin with a slash.
    #[error("path must begin with '/'")]
    NotAbsolute,
    /// It ends with a slash and is not the root.
    #[error("path must not end with '/' (position {position})")]
    TrailingSlash {
        /// Where the slash is.
        position: usize,
    },
    /// Two slashes in a row.
    #[error("empty name in path at position {position}")]
    EmptyName {
        /// Where the second slash is.
        position: usize,
    },
    /// A segment `.` or `..`.
    #[error("relative name in path at position {position}")]
    RelativeName {
        /// Where the segment begins.
        position: usize,
    },
    /// A character that ZooKeeper does not take.
    #[error("character U+{:04X} not allowed in path, at position {position}", u32::from(*.character))]
    Character {
        /// The character.
        character: char,
        /// Where it is.
        position: usize,
    },
}

impl PathError {
    /// Where the first bad character is, counted in characters from 0.
    #[must_use]
    pub fn position(&self) -> usize {
        match *self {
            Self::Empty | Self::NotAbsolute => 0,
            Self::TrailingSlash { position }
            | Self::EmptyName { position }
            | Self::RelativeName { position }
            | Self::Character { position, .. } => position,
        }
    }
}

/// Checks the whole path of a node.
pub fn validate(path: &str) -> Result<(), PathError> {
    check(path, false)
}

/// Checks a path to which the server will append a number. Other than a whole path it may end with a slash,
/// a `.` or a `..`.
pub fn validate_sequential(path: &str) -> Result<(), PathError> {
    check(path, true)
}

fn check(path: &str, goes_on: bool) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    let Some(names) = path.strip_prefix('/') else { return Err(PathError::NotAbsolute) };
    if names.is_empty() {
        return Ok(());
    }
    let mut start = 1;
    let mut segments = names.split('/').peekable();
    while let Some(name) = segments.next() {
        let last = segments.peek().is_none();
        let mut length = 0;
        for character in name.chars() {
            if !allowed(character) {
                return Err(PathError::Character { character, position: start + length });
            }
            length += 1;
        }
        match name {
            _ if last && goes_on => {}
            "" if last => return Err(PathError::TrailingSlash { position: start - 1 }),
            "" => return Err(PathError::EmptyName { position: start }),
            "." | ".." => return Err(PathError::RelativeName { position: start }),
            _ => {}
        }
        start += length + 1;
    }
    Ok(())
}

/// U+D800 to U+DFFF are no characters in Rust; they are named to match the rule as ZooKeeper has it.
fn allowed(character: char) -> bool {
    !matches!(u32::from(character), 0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..)
}
