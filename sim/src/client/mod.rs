//! What a contender sees of the world: a clock of its own, and byte streams to servers.

pub(crate) mod clock;
pub(crate) mod wire;
