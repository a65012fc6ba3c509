//! The processes below this one, as `/proc` shows them, and their killing.
//!
//! Invariant: a signal is sent through a descriptor of the very process that was listed, checked by its start
//! time, so that a process id used again by a stranger is never hit. The keeper calls this, and the demo.

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use rustix::process::{pidfd_open, pidfd_send_signal, waitid};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::OwnedFd;

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// Clock ticks after boot; with the process id it names a process for ever.
    pub(super) started: u64,
}

/// Reads one line of `/proc/PID/stat`. The command's name stands in parentheses and may hold anything, a closing
/// parenthesis included, so the fields are counted from the last one.
fn parse_stat(pid: i32, line: &str) -> Option<Process> {
    let mut rest = line.get(line.rfind(')')? + 1..)?.split_ascii_whitespace();
    let _state = rest.next()?;
    let parent = rest.next()?.parse().ok()?;
    let group = rest.next()?.parse().ok()?;
    // From the process group (field 5) it is sixteen fields more to the start time (field 22).
    let started = rest.nth(16)?.parse().ok()?;
    Some(Process { pid, parent, group, started })
}

fn read(pid: i32) -> Option<Process> {
    // The command's name may be any bytes; only what follows it is looked at.
    let line = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(pid, &String::from_utf8_lossy(&line))
}

/// Why the processes below this one could not be found here, if so: `/proc` is missing, or was mounted for another
/// pid namespace, in whose numbers we would look for our descendants in vain, or find a stranger's.
pub(crate) fn hidden() -> Option<String> {
    let own = own_pid();
    let trouble = match fs::read_link("/proc/self") {
        Ok(shown) if shown.to_str() == Some(own.to_string().as_str()) => return None,
        Ok(shown) => format!("/proc has other process ids: {} for {own}", shown.display()),
        Err(error) => format!("/proc does not show this process: {error}"),
    };
    Some(format!(
        "{trouble}; what comes of the program could not be found and stopped; mount it here: mount -t proc proc /proc"
    ))
}

/// All processes that this machine shows us. Those that end while we read are left out.
fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(read).collect()
}

/// Those of `processes` that descend from `root`, nearest first, without `root` and without the subtrees of
/// `except`.
fn below(root: i32, processes: &[Process], except: &HashSet<Process>) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(*process);
    }
    let mut found = Vec::new();
    let mut seen = HashSet::from([root]);
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            // A list that was read while processes came and went can hold a circle.
            if !except.contains(child) && seen.insert(child.pid) {
                found.push(*child);
                open.push(child.pid);
            }
        }
    }
    found
}

/// Every process below this one but the subtrees of `except`.
pub(crate) fn descendants(except: &HashSet<Process>) -> Vec<Process> {
    // Whoever has no child has no descendant, which is quicker asked than all of `/proc`.
    if has_no(WaitId::All) { Vec::new() } else { below(own_pid(), &all(), except) }
}

/// Every process below that one, nearest first.
pub(crate) fn descendants_of(root: Pid) -> Vec<Process> {
    below(root.as_raw_nonzero().get(), &all(), &HashSet::new())
}

/// Whether the kernel has no such child of ours, alive or dead: its end was told to somebody else, and `wait` will
/// never speak of it.
pub(super) fn is_no_child(pid: Pid) -> bool {
    has_no(WaitId::Pid(pid))
}

/// Whether there is no such child, alive or dead.
fn has_no(child: WaitId<'_>) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(child, options).is_err_and(|error| error == Errno::CHILD)
}

pub(super) fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Sends SIGKILL to each of `tree`, and to each process group that one of them leads: a group is killed as a
/// whole, so that a process forking in it cannot outrun us.
pub(crate) fn kill(tree: &[Process]) {
    for process in tree {
        signal_one(process, |pid, handle| {
            if process.group == process.pid {
                // The leader's number is held by the descriptor's process, dead or alive, until it is reaped.
                let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            }
            let _ = pidfd_send_signal(handle, Signal::KILL);
        });
    }
}

/// Sends a signal to each of `tree` in turn.
pub(crate) fn signal_all(tree: &[Process], signal: Signal) {
    for process in tree {
        signal_one(process, |_, handle| {
            let _ = pidfd_send_signal(handle, signal);
        });
    }
}

/// Calls `send` with a descriptor of that very process, if it is still there.
fn signal_one(process: &Process, send: impl FnOnce(Pid, &OwnedFd)) {
    let Some(pid) = Pid::from_raw(process.pid) else { return };
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if read(process.pid).is_some_and(|now| now.started == process.started) {
        send(pid, &handle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        Process { pid, parent, group: pid, started: 1 }
    }

    #[test]
    fn a_hostile_command_name_does_not_mislead() {
        let line = "7 (a) S 1 (b) S 3 4 4 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 9876 1 1";
        assert_eq!(parse_stat(7, line), Some(Process { pid: 7, parent: 3, group: 4, started: 9876 }));
        for broken in ["", "7", "7 (x)", "7 (x) S 1", "7 (x) S a b c"] {
            assert_eq!(parse_stat(7, broken), None, "{broken}");
        }
    }

    #[test]
    fn our_own_line_can_be_read() {
        let own = read(own_pid()).expect("we are running");
        assert!(own.started > 0 && own.parent > 0);
    }

    #[test]
    fn grandchildren_belong_and_strangers_do_not() {
        let list = [process(10, 1), process(11, 10), process(12, 11), process(20, 1), process(21, 20)];
        let found: HashSet<i32> = below(10, &list, &HashSet::new()).iter().map(|p| p.pid).collect();
        assert_eq!(found, HashSet::from([11, 12]));
    }

    #[test]
    fn a_circle_ends() {
        let list = [process(11, 12), process(12, 11), process(13, 10)];
        assert_eq!(below(11, &list, &HashSet::new()).len(), 1);
    }

    #[test]
    fn what_was_there_before_is_left_alone_with_its_children() {
        let before = process(11, 10);
        let list = [before, process(12, 11), process(13, 10)];
        let found = below(10, &list, &HashSet::from([before]));
        assert_eq!(found, vec![process(13, 10)]);
    }
}
