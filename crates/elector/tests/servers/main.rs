//! The library on real ZooKeeper servers, beside real programs of other families.

mod faults;
mod peers;
mod succession;
mod support;
