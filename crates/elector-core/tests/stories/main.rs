//! The candidate's behaviour as stories: what it is told, and line by line what it then does.
//!
//! Times are virtual milliseconds. In the lines, `A3` is our own znode with number 3 (`A` stands
//! for the guid of our first create, `B` for that of the second), and `p1` somebody else's.

mod ambiguous;
mod audit;
mod connection;
mod enrol;
mod gone;
mod leave;
mod pace;
mod parent;
mod promotion;
mod refused;
mod session;
mod single;
mod support;
mod timeout;
