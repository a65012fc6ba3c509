//! Leader election as pure decisions: queue order, lease arithmetic, the state machine of a candidate.
