//! Clocks that go wrong under elector and the process that keeps its program, by a library that is loaded into both
//! (`clocks.c`); the programs and the servers keep the true time.

use crate::common::{Elector, Running, SHORT, SHORT_TIMEOUT, shared_server, wait_until_all_gone};
use crate::witness::{Fault, PYTHON, Terms, Witness};
use rustix::process::Signal;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use zk_ensemble::{Proxy, boot_time, require_programs};

/// What the clocks show; as `struct rule` of `clocks.c`.
#[derive(Clone, Copy)]
struct Rule {
    boot_offset: Duration,
    /// In seconds.
    real_offset: i64,
    /// In millionths; of the clocks that count from the boot.
    rate: i64,
}

const TRUE_TIME: Rule = Rule { boot_offset: Duration::ZERO, real_offset: 0, rate: 1_000_000 };

/// A library to be loaded, and what it reads.
struct Clocks {
    directory: tempfile::TempDir,
    base: i64,
}

impl Clocks {
    /// None where this cannot be done here.
    fn build() -> Option<Clocks> {
        if !zk_ensemble::require() || !require_programs(&["gcc", PYTHON]) {
            return None;
        }
        if !cfg!(target_arch = "x86_64") {
            eprintln!("SKIPPED: clocks are rewritten for x86-64 only");
            return None;
        }
        let directory = tempfile::tempdir().expect("a folder");
        let base = i64::try_from(boot_time().as_nanos()).expect("not that long ago");
        let clocks = Clocks { directory, base };
        std::fs::write(clocks.path("rule"), [0; 40]).expect("written");
        clocks.set(TRUE_TIME);
        std::fs::write(clocks.path("clocks.c"), include_str!("clocks.c")).expect("written");
        let mut build = Command::new("gcc");
        build
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(clocks.path("clocks.so"))
            .arg(clocks.path("clocks.c"));
        assert!(build.status().expect("it starts").success());
        Some(clocks)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// From here on the clocks show this.
    fn set(&self, rule: Rule) {
        let boot = i64::try_from(rule.boot_offset.as_nanos()).expect("less than centuries");
        let words = [boot, 0, rule.real_offset * 1_000_000_000, rule.rate, self.base];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        // Written in place, since it is mapped.
        let file = std::fs::File::options().write(true).open(self.path("rule")).expect("there");
        file.write_all_at(&bytes, 0).expect("written");
    }

    fn under(&self, elector: Elector) -> Elector {
        let text = |name| self.path(name).to_str().expect("a plain path").to_owned();
        elector.env("LD_PRELOAD", &text("clocks.so")).env("CLOCKS", &text("rule"))
    }
}

fn contend(servers: &str, id: &str, election: &str, witness: &Witness) -> Elector {
    witness.program(Elector::run(servers, id, SHORT).word(election))
}

fn leading(run: &Running) -> usize {
    run.said().matches("leading with token").count()
}

/// E22: what CLOCK_BOOTTIME shows after a suspend of 30 s.
#[test]
fn e22_after_a_suspend_the_program_is_stopped_at_once() {
    let Some(clocks) = Clocks::build() else { return };
    let server = shared_server();
    let witness = Witness::new();
    let id = format!("suspended-{}", std::process::id());
    let mut leader = clocks.under(contend(&server.connect_string(), &id, "/suspended", &witness)).start();
    witness.until_terms(1);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(leading(&leader), 1, "{}", leader.said());
    clocks.set(Rule { boot_offset: Duration::from_secs(30), ..TRUE_TIME });
    // Not what it says of it: that waits for a timer of the kernel's, which has not moved on with the clock here.
    let took = wait_until_all_gone(&id, Duration::from_secs(1));
    println!("nothing of the program was left {took:?} after the jump");
    leader.kill();
}

/// E23: the wall clock decides nothing.
#[test]
fn e23_the_wall_clock_may_show_anything() {
    let Some(clocks) = Clocks::build() else { return };
    let server = shared_server();
    let witness = Witness::new();
    let servers = server.connect_string();
    let mut leader = clocks.under(contend(&servers, "hours", "/hours", &witness)).start();
    witness.until_terms(1);
    let (hour, year) = (3_600, 31_557_600);
    for real_offset in [hour, -hour, 20 * year, -20 * year] {
        clocks.set(Rule { real_offset, ..TRUE_TIME });
        std::thread::sleep(SHORT_TIMEOUT / 2);
        assert_eq!((leading(&leader), leader.said().contains("stopping")), (1, false), "{}", leader.said());
    }
    clocks.set(Rule { real_offset: 20 * year, ..TRUE_TIME });
    let mut next = clocks.under(contend(&servers, "later", "/hours", &witness)).start();
    assert!(next.wait_for("waiting, 2nd of 2").starts_with("204"), "{}", next.said());
    leader.kill();
    next.wait_for("leading with token");
    witness.until_terms(2);
    println!("{:?}", witness.judge().expect("no two programs at a time"));
    next.signal(Signal::TERM);
    next.signal(Signal::TERM);
}

/// A leader whose clocks go at this rate is cut off; how the terms followed one another.
fn cut_off_at(clocks: &Clocks, rate: i64) -> Result<Terms, Fault> {
    let server = shared_server();
    let witness = Witness::new();
    let proxy = Proxy::new(server.servers()[0].address());
    let election = format!("/rate-{rate}");
    clocks.set(Rule { rate, ..TRUE_TIME });
    let mut leader =
        clocks.under(contend(&proxy.address().to_string(), "rated", &election, &witness)).start();
    witness.until_terms(1);
    let mut next = contend(&server.connect_string(), "next", &election, &witness).start();
    next.wait_for("waiting, 2nd of 2");
    std::thread::sleep(SHORT_TIMEOUT / 2);
    assert_eq!(leading(&leader), 1, "{}", leader.said());
    proxy.blackhole();
    next.wait_for("leading with token");
    witness.until_terms(2);
    std::thread::sleep(Duration::from_millis(300));
    let terms = witness.judge();
    println!("clocks at {rate} millionths: {terms:?}");
    leader.kill();
    next.kill();
    terms
}

/// E24: one per cent is within what is promised.
#[test]
fn e24_clocks_that_are_one_per_cent_off_let_no_two_programs_run_at_a_time() {
    let Some(clocks) = Clocks::build() else { return };
    for rate in [990_000, 1_010_000] {
        cut_off_at(&clocks, rate).expect("no two programs at a time");
    }
}

/// The control of the row above: a clock at half the rate is outside of what is promised, and the checker sees it.
#[test]
fn control_with_a_clock_at_half_the_rate_the_checker_sees_two_programs_at_a_time() {
    let Some(clocks) = Clocks::build() else { return };
    assert!(matches!(cut_off_at(&clocks, 500_000), Err(Fault::Overlap(_))));
}
