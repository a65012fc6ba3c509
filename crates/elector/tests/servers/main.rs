//! The library on real ZooKeeper servers, beside real programs of other families.

mod cost;
mod families;
mod faults;
mod peers;
mod reading;
mod succession;
mod support;
