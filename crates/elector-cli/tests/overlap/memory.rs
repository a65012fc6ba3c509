//! Out of memory: the kernel ends the program, or elector itself. Nothing of the program is left either way.

use crate::common::{Elector, LONG, SHORT, number_after, shared_server, wait_until_all_gone};
use crate::witness::PYTHON;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zk_ensemble::require_programs;

/// What elector, the process that keeps the program, and the program may use together.
const LIMIT: &str = "100000000";
/// From the kernel's choice until nothing of the program is left.
const ALL_GONE: Duration = Duration::from_secs(1);
/// How long elector's own processes may stay in the test's control group.
const GROUP_EMPTY: Duration = Duration::from_secs(5);

/// Has a runaway, and takes memory once it is told to; more each time.
const GREEDY: &str = "
import os, sys
if os.fork() == 0:
    os.setsid()
    os.execvp('sleep', ['sleep', '1000'])
print('ready', flush=True)
while not os.path.exists(sys.argv[1]):
    os.sched_yield()
held = []
while True:
    held.append(b'x' * (1 << 20))
";

/// A control group of this test's with a limit of memory, removed with the value.
struct Limited(PathBuf);

impl Limited {
    /// None where this machine has no such groups, or not for us.
    fn make() -> Option<Limited> {
        let name = format!("elector-test-{}", std::process::id());
        [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
            .into_iter()
            .find_map(|(root, limit)| {
                let group = Limited(Path::new(root).join(&name));
                fs::create_dir(&group.0).ok()?;
                fs::write(group.0.join(limit), LIMIT).ok()?;
                Some(group)
            })
    }

    fn kills(&self) -> String {
        ["memory.oom_control", "memory.events"]
            .iter()
            .filter_map(|file| fs::read_to_string(self.0.join(file)).ok())
            .collect()
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        // The last of its processes, which closes elector's session, may be there for a moment yet.
        let until = Instant::now() + GROUP_EMPTY;
        while fs::remove_dir(&self.0).is_err() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// C13.
#[test]
fn c13_out_of_memory_nothing_of_the_program_is_left() {
    if !zk_ensemble::require() || !require_programs(&[PYTHON]) {
        return;
    }
    let Some(group) = Limited::make() else {
        eprintln!("SKIPPED: no control group with a limit of memory can be made here");
        return;
    };
    let server = shared_server();
    let directory = tempfile::tempdir().expect("a folder");
    for chosen in ["program", "elector"] {
        let go = directory.path().join(chosen);
        let go = go.to_str().expect("a plain path");
        let id = format!("greedy-{chosen}-{}", std::process::id());
        let enter = format!("echo $$ >{}/cgroup.procs && exec \"$@\"", group.0.display());
        let mut run = Elector::run(&server.connect_string(), &id, SHORT)
            .words("--once")
            .word(&format!("/greedy-{chosen}"))
            .words("--")
            .words(PYTHON)
            .words("-c")
            .word(GREEDY)
            .word(go)
            .through(&["sh", "-c", &enter, "sh"])
            .start();
        let program = number_after(&run.wait_for("leading with token"), "pid");
        run.wait_for_output("ready");
        // Whom the kernel takes first.
        let first = if chosen == "elector" { u64::from(run.pid()) } else { program };
        fs::write(format!("/proc/{first}/oom_score_adj"), "1000").expect("root may");
        fs::write(go, "").expect("written");
        let code = run.end(LONG);
        wait_until_all_gone(&id, ALL_GONE);
        println!("{chosen}: {code:?}; {}", group.kills().replace('\n', ", "));
        match chosen {
            "program" => {
                assert_eq!(code, Some(137), "{}", run.said());
                assert!(run.said().contains("resigned; program ended by KILL"), "{}", run.said());
            }
            _ => assert_eq!(code, None, "the kernel was to take elector: {}", run.said()),
        }
    }
}
