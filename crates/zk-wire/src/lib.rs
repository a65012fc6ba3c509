//! ZooKeeper's wire protocol: jute records, frames, paths and error codes, both directions, no I/O.
