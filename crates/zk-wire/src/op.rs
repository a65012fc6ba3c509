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
/// Read a node's access control list.
pub const GET_ACL: i32 = 6;
/// Set a node's access control list.
pub const SET_ACL: i32 = 7;
/// List a node's children.
pub const GET_CHILDREN: i32 = 8;
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
/// Make servers members of the ensemble, or not.
pub const RECONFIG: i32 = 16;
/// Ask whether there are such watches.
pub const CHECK_WATCHES: i32 = 17;
/// Take watches back.
pub const REMOVE_WATCHES: i32 = 18;
/// Make a container node.
pub const CREATE_CONTAINER: i32 = 19;
/// Remove a container; the server asks this of itself.
pub const DELETE_CONTAINER: i32 = 20;
/// Make a node that goes when it was not used for a time.
pub const CREATE_TTL: i32 = 21;
/// Several reads in one request.
pub const MULTI_READ: i32 = 22;
/// Present a credential.
pub const AUTH: i32 = 100;
/// Set one-shot watches again after a reconnect.
pub const SET_WATCHES: i32 = 101;
/// One step of SASL.
pub const SASL: i32 = 102;
/// List the session's own ephemeral nodes.
pub const GET_EPHEMERALS: i32 = 103;
/// Count all that is below a node.
pub const COUNT_DESCENDANTS: i32 = 104;
/// Set all kinds of watches again after a reconnect.
pub const SET_WATCHES2: i32 = 105;
/// Watch until the watch is taken back.
pub const ADD_WATCH: i32 = 106;
/// Ask for the identities of the connection.
pub const WHO_AM_I: i32 = 107;
/// End the session.
pub const CLOSE: i32 = -11;
