//! ZooKeeper's wire protocol: jute records, frames, paths and error codes, both directions, no I/O.
//!
//! A client writes [`ConnectRequest`] and [`Request`]s and reads [`ConnectResponse`], [`ReplyHeader`]s,
//! [`Response`]s and [`WatchEvent`]s; a server does the opposite with the same types. Everything that comes
//! from outside is bytes nobody vouches for: decoding never panics, every length is held against the bytes
//! that are really there before anything is allocated for it, and what a record turns into in memory is at
//! most a small multiple of its frame.
//!
//! ```
//! use bytes::BytesMut;
//! use zk_wire::{Request, RequestHeader, frame};
//!
//! let mut buf = BytesMut::new();
//! let request = Request::GetData { path: "/election".into(), watch: true };
//! request.encode(7, frame::DEFAULT_LIMIT, &mut buf)?;
//!
//! let frame = frame::take_frame(&mut buf, frame::DEFAULT_LIMIT)?.expect("the frame is complete");
//! let (header, body) = RequestHeader::decode(&frame)?;
//! assert_eq!((header.xid, header.op), (7, zk_wire::op::GET_DATA));
//! assert_eq!(Request::decode(header.op, body)?, request);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What all records have in common:
//!
//! - Bytes left over after a record are ignored, as ZooKeeper does; a record that ends early is a
//!   [`DecodeError`].
//! - A null data buffer and an empty one stay different. A null string reads as the empty string and a null
//!   vector as the empty vector, except where ZooKeeper fails over a null: paths that are read, made or
//!   deleted, the ids of `world` and `digest`, and a `digest` credential.
//! - Text that is not UTF-8 is read with U+FFFD in place of what is wrong, as ZooKeeper does; [`path`]
//!   refuses that character, so it never becomes the name of a node.
//! - Numbers that stand for a choice (error codes, create modes, event kinds) keep values that this crate
//!   does not know, so that a peer newer than it is passed on truthfully.

#![forbid(unsafe_code)]

pub mod frame;
pub mod jute;
pub mod op;
pub mod path;
pub mod xid;

mod acl;
mod code;
mod connect;
mod event;
mod header;
mod mode;
mod multi;
mod request;
mod response;
mod secret;
mod stat;

pub use acl::{Acl, perms};
pub use code::ErrorCode;
pub use connect::{ConnectRequest, ConnectResponse};
pub use event::{EventKind, WatchEvent};
pub use frame::FrameError;
pub use header::{ReplyHeader, RequestHeader};
pub use jute::DecodeError;
pub use mode::{CreateMode, WatchKind};
pub use multi::{MultiOp, MultiResult};
pub use path::PathError;
pub use request::Request;
pub use response::Response;
pub use secret::Secret;
pub use stat::Stat;
