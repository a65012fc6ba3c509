//! Request types, the second field of a request's header.

/// Make a node; answered with its path.
pub const CREATE: i32 = 1;
/// Remove a node.
pub const DELETE: i32 = 2;
/// Ask whether a node is there.
pub const EXISTS: i32 = 3;
/// Read a node's data.
pub const GET_DATA: i32 = 4;
/// Replace a node's data.
pub const SET_DATA: i32 = 5;
/// Have the server catch up with the leader of the ensemble.
pub const SYNC: i32 = 9;
/// Keep the session alive.
pub const PING: i32 = 11;
/// List a node's children, with its stat.
pub const GET_CHILDREN2: i32 = 12;
/// Require a version; inside a multi only.
pub const CHECK: i32 = 13;
/// Several writes, all or none.
pub const MULTI: i32 = 14;
/// Make a node; answered with its path and stat.
pub const CREATE2: i32 = 15;
/// Take watches back.
pub const REMOVE_WATCHES: i32 = 18;
/// Make a container node.
pub const CREATE_CONTAINER: i32 = 19;
/// Present a credential.
pub const AUTH: i32 = 100;
/// Set one-shot watches again after a reconnect.
pub const SET_WATCHES: i32 = 101;
/// Set all kinds of watches again after a reconnect.
pub const SET_WATCHES2: i32 = 105;
/// Ask for the identities of the connection.
pub const WHO_AM_I: i32 = 107;
/// End the session.
pub const CLOSE: i32 = -11;
