//! One ZooKeeper session over tokio: connect, re-attach, watches set again, every reply with its send time.
