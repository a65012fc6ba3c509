//! A program that nobody can kill, because it waits in the kernel: a write to a frozen file system.

use crate::common::{
    Elector, LONG, Running, SHORT, SHORT_TIMEOUT, TICK, is_there, number_after, shared_server,
};
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use zk_ensemble::{Proxy, require_programs};

/// A small file system of its own, which can be made to keep its writers waiting.
struct Frozen {
    directory: tempfile::TempDir,
    mounted: bool,
    frozen: bool,
}

impl Frozen {
    /// None where this machine mounts nothing for us.
    fn mount() -> Option<Frozen> {
        let directory = tempfile::tempdir().expect("a folder");
        let image = directory.path().join("image");
        let mut place = Frozen { directory, mounted: false, frozen: false };
        std::fs::create_dir(place.path()).expect("made");
        let file = std::fs::File::create(&image).expect("made");
        file.set_len(4 << 20).expect("room");
        let image = image.to_str().expect("a plain path").to_owned();
        let made = place.run(&["mkfs.ext4", "-q", "-O", "^has_journal", &image]);
        place.mounted = made && place.run(&["mount", "-o", "loop", &image, &place.place()]);
        place.mounted.then_some(place)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("mounted")
    }

    fn place(&self) -> String {
        self.path().to_str().expect("a plain path").to_owned()
    }

    fn freeze(&mut self) {
        self.frozen = self.run(&["fsfreeze", "--freeze", &self.place()]);
        assert!(self.frozen);
    }

    fn thaw(&mut self) {
        if std::mem::take(&mut self.frozen) {
            self.run(&["fsfreeze", "--unfreeze", &self.place()]);
        }
    }

    fn run(&self, words: &[&str]) -> bool {
        Command::new(words[0]).args(&words[1..]).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.thaw();
        if self.mounted {
            self.run(&["umount", "--lazy", &self.place()]);
        }
    }
}

/// Waits until the program waits where no signal reaches it.
fn until_stuck(program: u64) {
    let until = Instant::now() + LONG;
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{program}/stat")).expect("it is there");
        if stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('D')) {
            return;
        }
        assert!(Instant::now() < until, "{stat}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn leads(run: &Running) -> bool {
    run.said().contains("leading with token")
}

/// C10: told as an error, and not released: on a planned stop nobody else leads while it is there, and after a loss
/// the next one leads by the session's end, which nobody can keep from coming.
#[test]
fn c10_a_program_that_cannot_be_killed_is_told_of_and_not_released() {
    let tools = ["mkfs.ext4", "mount", "umount", "fsfreeze"];
    if !zk_ensemble::require() || !require_programs(&tools) {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: mounting a file system takes root");
        return;
    }
    let Some(mut place) = Frozen::mount() else {
        eprintln!("SKIPPED: no file system can be mounted here");
        return;
    };
    let server = shared_server();
    for planned in [true, false] {
        place.freeze();
        let proxy = Proxy::new(server.servers()[0].address());
        let election = format!("/stuck-{planned}");
        let mut leader = Elector::run(&proxy.address().to_string(), "stuck", SHORT)
            .words("--once --stop-grace 200ms")
            .word(&election)
            .script(&format!("echo > {}/file", place.place()))
            .start();
        let program = number_after(&leader.wait_for("leading with token"), "pid");
        until_stuck(program);
        let mut next = Elector::run(&server.connect_string(), "next", SHORT)
            .word(&election)
            .script("exec sleep 1000")
            .start();
        next.wait_for("waiting, 2nd of 2");
        if planned {
            leader.signal(Signal::TERM);
        } else {
            proxy.blackhole();
        }
        let told = leader.wait_for("outlive SIGKILL");
        assert!(told.contains("are not released: they wait in the kernel"), "{told}");
        if planned {
            // The session is kept, and the place with it, for as long as it takes.
            std::thread::sleep(SHORT_TIMEOUT + 2 * TICK);
            assert!(!leads(&next), "{}", next.said());
        } else {
            next.wait_for("leading with token");
        }
        assert!(is_there(program) && leader.is_running(), "{}", leader.said());
        assert!(!leader.said().contains("resigned") && !leader.said().contains("lost after"));
        place.thaw();
        proxy.heal();
        let code = if planned { 137 } else { 75 };
        assert_eq!(leader.end(LONG), Some(code), "{}", leader.said());
        if planned {
            next.wait_for("leading with token");
        }
        next.signal(Signal::TERM);
        assert_eq!(next.end(LONG), Some(0), "{}", next.said());
    }
}
