//! A program with all that descends from it, frozen and thawed as a suspended machine freezes and thaws it.

use std::collections::HashMap;

use rustix::process::{Pid, Signal, kill_process};

/// SIGSTOP to a process and all its descendants, until no new one shows up. Returns them, parents first.
pub(crate) fn freeze(root: u32) -> Vec<Pid> {
    let root = Pid::from_raw(i32::try_from(root).expect("a pid")).expect("a pid");
    let mut frozen = Vec::new();
    loop {
        let new: Vec<Pid> = descendants(root).into_iter().filter(|pid| !frozen.contains(pid)).collect();
        if new.is_empty() {
            return frozen;
        }
        for pid in new {
            // One that has ended meanwhile needs no freezing.
            let _ = kill_process(pid, Signal::STOP);
            frozen.push(pid);
        }
    }
}

/// SIGCONT, children first: whoever is to stop the program wakes after it.
pub(crate) fn thaw(frozen: &[Pid]) {
    for pid in frozen.iter().rev() {
        let _ = kill_process(*pid, Signal::CONT);
    }
}

fn descendants(root: Pid) -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<Pid>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").expect("proc is mounted").flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let (Some(pid), Some(parent)) = (pid, parent) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut all = vec![root];
    let mut next = 0;
    while let Some(pid) = all.get(next) {
        all.extend(children.remove(&pid.as_raw_nonzero().get()).unwrap_or_default());
        next += 1;
    }
    all
}
