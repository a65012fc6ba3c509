//! Leader election on Apache ZooKeeper with leases that end before anybody else can lead.
