//! The command `elector`.
fn main() {}
