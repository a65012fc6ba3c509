//! The state against protocol.md, a file per section.
