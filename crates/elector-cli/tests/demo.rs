//! `elector demo`: what somebody sees who has just cloned the repository, and that nothing of it is left behind.

mod common;

use common::{Elector, LONG, Lines, Output, is_there, wait_until_gone};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{ChildStdin, Stdio};
use std::time::{Duration, Instant};
use zk_ensemble::{Owned, bound_command};

/// From the end of the demo's process to that of all others: the kernel does it.
const CLEARED: Duration = Duration::from_secs(5);

/// The processes of the demo with this process id, itself left out.
fn below(root: u64) -> Vec<u64> {
    let parent = |pid: u64| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let entries = fs::read_dir("/proc").expect("it is there").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let pairs: Vec<(u64, u64)> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let of = found[next];
        found.extend(pairs.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// The control groups that electors with these process ids made and that are still there.
fn groups_of(company: &[u64]) -> Vec<String> {
    let own = fs::read_to_string("/proc/self/cgroup").expect("it is there");
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("it is there");
    let mounted = mounts.lines().find(|line| line.contains(" - cgroup2 "));
    let Some(mounted) = mounted.and_then(|line| line.split(' ').nth(4)) else { return Vec::new() };
    let entries = fs::read_dir(Path::new(mounted).join(own)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| company.iter().any(|pid| name.starts_with(&format!("elector-{pid}-")))).collect()
}

/// The contenders and one program at least.
fn wait_for_company(root: u64) -> Vec<u64> {
    let until = Instant::now() + LONG;
    loop {
        let company = below(root);
        if company.len() >= 4 {
            return company;
        }
        assert!(Instant::now() < until, "only {company:?} were started");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn tokens(printed: &str) -> Vec<u64> {
    let leading = printed.lines().filter(|line| line.contains(" leads with token "));
    leading.map(|line| common::number_after(line, "leads with token")).collect()
}

#[test]
fn without_a_terminal_one_of_each_fall_is_shown() {
    let mut demo = Elector::new("demo").start();
    let company = wait_for_company(demo.pid().into());
    let code = demo.end(LONG);
    let Output { code, stdout, stderr } = Output { code, stdout: demo.printed(), stderr: demo.said() };
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    for part in [
        "web1 leads with token",
        "web3 waits, 3rd in the queue",
        "kill -9 web1",
        "s after web1 was killed",
        "is frozen",
        "learns that it lost: its program is dead",
        "was told to stop",
        "done: 3 changes of leader",
    ] {
        assert!(stdout.contains(part), "no {part:?} in:\n{stdout}");
    }
    let tokens = tokens(&stdout);
    assert_eq!(tokens.len(), 4, "{stdout}");
    assert!(tokens.is_sorted_by(|a, b| a < b), "{stdout}");
    assert!(!stdout.contains('\x1b'), "{stdout}");
    assert_eq!(groups_of(&company), [""; 0]);
    assert!(company.into_iter().all(|pid| !is_there(pid)));
}

#[test]
fn however_it_ends_nothing_is_left() {
    for (signal, expected) in
        [(Signal::INT, Some(130)), (Signal::TERM, Some(0)), (Signal::HUP, Some(0)), (Signal::KILL, None)]
    {
        // HUP does nothing where it was ignored from the start.
        if signal == Signal::HUP && common::hup_is_ignored() {
            continue;
        }
        let mut demo = Elector::new("demo").start();
        demo.wait_for_output("web3 waits");
        let company = wait_for_company(demo.pid().into());
        common::signal(&demo, signal);
        assert_eq!(demo.end(LONG), expected, "{signal:?}: {}", demo.printed());
        if expected.is_some() {
            assert_eq!(groups_of(&company), [""; 0], "{signal:?}");
        }
        for pid in company {
            wait_until_gone(pid, if expected.is_some() { Duration::ZERO } else { CLEARED });
        }
    }
}

#[test]
fn a_frozen_contender_does_not_survive_the_demo() {
    let mut demo = Elector::new("demo").start();
    demo.wait_for_output("is frozen");
    let company = below(demo.pid().into());
    demo.kill();
    company.into_iter().for_each(|pid| wait_until_gone(pid, CLEARED));
}

#[test]
fn where_nobody_takes_over_it_says_so() {
    let mut demo = Elector::new("demo").start();
    demo.wait_for_output("kill -9 web1");
    let mut company = Vec::new();
    // Whoever could follow is stopped, newcomers too.
    while demo.is_running() {
        company = below(demo.pid().into());
        for pid in company.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
            let _ = kill_process(pid, Signal::STOP);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(demo.end(LONG), Some(125), "{}", demo.printed());
    assert!(demo.said().contains("nobody took over within 10 s"), "{}", demo.said());
    assert!(company.into_iter().all(|pid| !is_there(pid)));
}

#[test]
fn a_reader_that_has_seen_enough_ends_it() {
    let mut demo = Terminal::open("exec </dev/null; $ELECTOR demo | head -n 2");
    assert_eq!(demo.end(), Some(0));
    // The contenders are processes, so any of them may be heard of first.
    assert_eq!(demo.text().lines().count(), 2, "{}", demo.text());
    assert!(demo.text().contains("a ZooKeeper server runs in this process"), "{}", demo.text());
}

#[test]
fn other_elections_and_their_settings_do_not_matter() {
    let elector = Elector::new("demo").env("ELECTOR_ZOOKEEPER", "nowhere:1").env("ELECTOR_LAYOUT", "single");
    let mut demo = elector.env("ELECTOR_ID", "me").start();
    demo.wait_for_output("web3 waits");
    demo.signal(Signal::TERM);
    assert_eq!(demo.end(LONG), Some(0));
}

#[test]
fn wrong_words_are_refused() {
    for (words, part) in [
        ("demo /billing", "unexpected /billing"),
        ("demo --colour never", "did you mean --color?"),
        ("demo --color blue", "allowed is auto, always, never"),
    ] {
        let output = Elector::bare().words(words).output();
        assert_eq!(output.code, Some(2), "{words}: {}", output.stderr);
        assert!(output.stderr.contains(part), "{words}: {}", output.stderr);
    }
    let help = Elector::new("demo").word("--help").output();
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("kill the leader and watch"), "{}", help.stdout);
}

/// A shell on a pseudo-terminal, with the command's path in `$ELECTOR`.
struct Terminal {
    owned: Owned,
    keyboard: ChildStdin,
    output: Lines,
    /// Screens that were looked at.
    seen: usize,
}

impl Terminal {
    fn open(script: &str) -> Terminal {
        let mut command = bound_command("script");
        command.args(["--quiet", "--return", "--flush", "--command"]).arg(script).arg("/dev/null");
        command.env("ELECTOR", env!("CARGO_BIN_EXE_elector")).env("TERM", "xterm").env("SHELL", "/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut owned = zk_ensemble::spawn(command).expect("script starts");
        let keyboard = owned.child().stdin.take().expect("a pipe");
        let output = Lines::read(owned.child().stdout.take().expect("a pipe"));
        Terminal { owned, keyboard, output, seen: 0 }
    }

    /// The demo without colours.
    fn demo() -> Terminal {
        // The shell waits for the demo's status also when Ctrl-C was meant for both.
        Terminal::open(
            "trap : INT; stty cols 100 rows 30; stty -g; $ELECTOR demo --color never; c=$?; stty -g; exit $c",
        )
    }

    fn press(&mut self, key: u8) {
        self.keyboard.write_all(&[key]).expect("a terminal");
    }

    fn text(&self) -> String {
        self.output.text()
    }

    /// Waits until a screen, of those since the last one that was waited for, holds all of `parts`; returns it.
    fn wait_for(&mut self, parts: &[&str]) -> String {
        let until = Instant::now() + LONG;
        loop {
            let text = self.text();
            // A whole one ends with the row of help.
            let screens: Vec<&str> =
                text.split("\x1b[H").filter(|screen| screen.contains("q quit")).collect();
            let found = screens[self.seen.min(screens.len())..]
                .iter()
                .position(|screen| parts.iter().all(|part| screen.contains(part)));
            if let Some(found) = found {
                self.seen += found;
                return screens[self.seen].to_string();
            }
            assert!(Instant::now() < until, "no {parts:?} in:\n{}", screens.last().unwrap_or(&&*text));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(&mut self) -> Option<i32> {
        let status = self.owned.wait(LONG);
        status.unwrap_or_else(|| panic!("still running: {}", self.text())).code()
    }
}

/// The terminal's settings as `stty -g` told them before and after.
fn settings(text: &str) -> Vec<&str> {
    let told = text.lines().map(str::trim).filter(|line| line.matches(':').count() > 20);
    told.collect()
}

#[test]
fn the_keys_strike_the_leader() {
    let mut demo = Terminal::demo();
    demo.wait_for(&["web1  LEADS", "web2  waits   2nd", "web3  waits   3rd"]);
    let company = below(demo.owned.pid().into());
    demo.press(b'k');
    demo.wait_for(&["web1  dead    its session lives"]);
    demo.wait_for(&["web2  LEADS", "s after web1 was killed", "s after kill -9"]);
    demo.wait_for(&["web1  waits   3rd"]);
    demo.press(b'f');
    demo.wait_for(&["web2  frozen"]);
    demo.wait_for(&["web3  LEADS", "s after web2 was frozen"]);
    // It goes on by itself.
    demo.wait_for(&["goes on after", "learns that it lost: its program is dead", "web2  waits"]);
    demo.press(b'r');
    demo.wait_for(&["web1  LEADS", "after web3 was told to stop", "when planned"]);
    demo.press(b'q');
    assert_eq!(demo.end(), Some(0));
    let text = demo.text();
    assert!(text.contains("3 changes of leader, nobody led for"), "{text}");
    let settings = settings(&text);
    assert!(settings.len() == 2 && settings[0] == settings[1], "{settings:?}");
    assert!(company.into_iter().all(|pid| !is_there(pid)));
}

#[test]
fn a_leader_that_is_frozen_for_a_moment_leads_on() {
    let mut demo = Terminal::demo();
    demo.wait_for(&["web1  LEADS", "web3  waits   3rd"]);
    demo.press(b'f');
    demo.press(b'f');
    let screen = demo.wait_for(&["web1 is frozen", "web1 goes on after", "web1  LEADS"]);
    assert!(!screen.contains("believes"), "{screen}");
    demo.press(b'q');
    assert_eq!(demo.end(), Some(0));
}

#[test]
fn the_terminal_is_given_back_after_a_signal() {
    let mut demo = Terminal::demo();
    demo.wait_for(&["web1  LEADS", "web3  waits   3rd"]);
    demo.press(3); // Ctrl-C
    assert_eq!(demo.end(), Some(130));
    let text = demo.text();
    let settings = settings(&text);
    assert!(settings.len() == 2 && settings[0] == settings[1], "{settings:?}");
    assert_eq!(text.matches("\x1b[?1049h").count(), text.matches("\x1b[?1049l").count());
}

/// A terminal that cannot move its cursor gets the script, and is not told of keys that it has not.
#[test]
fn a_terminal_without_a_screen_sees_the_script() {
    let mut demo = Terminal::open("TERM=dumb $ELECTOR demo --color never");
    assert_eq!(demo.end(), Some(0), "{}", demo.text());
    let text = demo.text();
    assert!(text.contains("done: ") && !text.contains("the keys are yours"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
}

#[test]
fn a_tiny_terminal_shows_the_contenders() {
    let mut demo = Terminal::open("stty cols 20 rows 4; $ELECTOR demo --color never");
    let until = Instant::now() + LONG;
    while !demo.text().contains("web3  waits   3rd") {
        assert!(Instant::now() < until, "{}", demo.text());
        std::thread::sleep(Duration::from_millis(20));
    }
    let text = demo.text();
    let screens = text.split("\x1b[H").skip(1);
    let rows = screens.flat_map(|screen| screen.split("\r\n"));
    for row in rows.map(|row| row.replace("\x1b[K", "").replace("\x1b[J", "")) {
        assert!(row.trim_end_matches('\r').chars().count() < 20, "{row:?}");
    }
    demo.press(b'q');
    assert_eq!(demo.end(), Some(0));
}
