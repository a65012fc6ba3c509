//! Killing what a dead warden left to us, its adoptive parent.
//!
//! Only the keeper calls this. It returns when nothing is left, however long that takes: what is there still acts for
//! a leadership that may be over.

use super::child::{LOOK_EVERY, LOOK_SELDOM, STUCK_AFTER};
use super::containment::Group;
use super::tree::{self, Process};
use rustix::io::Errno;
use rustix::process::WaitOptions;
use std::collections::HashSet;
use std::time::Instant;

/// Kills and reaps all that is below this process but the subtrees of `before`, and all of `group`. Where that takes
/// long, `tell_stuck` is called once with how many are left.
pub(super) fn all_below(before: &HashSet<Process>, group: Option<&Group>, tell_stuck: impl Fn(usize)) {
    let since = Instant::now();
    // Where others were there before us, the kernel cannot tell that no child is left, and one look could miss a
    // process that was born while we read.
    let mut empty_looks = 0;
    let mut stuck_told = false;
    loop {
        if let Some(group) = group {
            group.kill();
        }
        let left = tree::descendants(before);
        tree::kill(&left);
        let no_child_left = reap_all();
        empty_looks = if left.is_empty() { empty_looks + 1 } else { 0 };
        let gone = no_child_left || (!before.is_empty() && empty_looks >= 2);
        if gone && group.is_none_or(Group::is_empty) {
            return;
        }
        let stuck = since.elapsed() >= STUCK_AFTER;
        if stuck && !stuck_told && !left.is_empty() {
            stuck_told = true;
            tell_stuck(left.len());
        }
        std::thread::sleep(if stuck { LOOK_SELDOM } else { LOOK_EVERY });
    }
}

/// True where no child is left at all.
fn reap_all() -> bool {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}
