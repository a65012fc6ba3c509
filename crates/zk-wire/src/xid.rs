//! Xids with a meaning of their own. Requests in general carry positive ones of the client's choice.

/// A notification from the server; the body is a [`WatchEvent`](crate::WatchEvent).
pub const NOTIFICATION: i32 = -1;
/// A ping and its reply, which is matched by this xid and may overtake other replies.
pub const PING: i32 = -2;
/// A credential and its reply, which is matched by this xid and may overtake other replies.
pub const AUTH: i32 = -4;
/// Watches set again after a reconnect; the reply comes in its order.
pub const SET_WATCHES: i32 = -8;
