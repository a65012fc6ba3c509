//! Finds a short plan that still goes wrong.
//!
//! Faults are left out, many at a time and then one by one, as long as something goes wrong without them. What
//! goes wrong may be another thing than before: the shortest story is what is wanted.

use crate::plan::Plan;
use crate::world::play;

/// Plays that a shrinking may take.
const PLAYS: usize = 600;

/// A plan with as few of the faults as it takes; the plan itself if nothing is wrong with it.
pub fn shrink(plan: &Plan) -> Plan {
    let mut best = plan.clone();
    let mut plays = 0;
    let mut goes_wrong = |plan: &Plan| {
        plays += 1;
        plays <= PLAYS && play(plan, false).violation.is_some()
    };
    let mut part = best.faults.len().div_ceil(2);
    while part > 0 {
        let mut at = 0;
        while at < best.faults.len() {
            let mut less = best.clone();
            less.faults.drain(at..(at + part).min(less.faults.len()));
            if goes_wrong(&less) {
                best = less;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    // Then the shortest each may be, in halves.
    for at in 0..best.faults.len() {
        for _ in 0..6 {
            let mut less = best.clone();
            less.faults[at].lasts /= 2;
            if !goes_wrong(&less) {
                break;
            }
            best = less;
        }
    }
    best
}
