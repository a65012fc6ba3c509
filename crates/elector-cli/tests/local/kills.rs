//! The host is killed again and again: always one leader, everybody else's session unbroken, and no leadership lost
//! but the killed one's.

use crate::common::{LONG, Running, signal};
use crate::support::{Place, only_session, stop};
use rustix::process::Signal;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use zk_ensemble::rounds;

/// Names the file of the steps, and is set for programs only.
const STEPS: &str = "LOCAL_STEPS";
/// A lease that a busy machine does not cost anybody.
const SESSION: &str = "--session-timeout 3s";
const SESSION_TIMEOUT: Duration = Duration::from_secs(3);
/// Beyond the session timeout, until somebody leads again.
const SLACK: Duration = Duration::from_millis(500);
/// What counts as having been kept from running, for the server too.
const STALL: Duration = Duration::from_millis(40);
/// In one round of so many the host may be the leader, which takes a session timeout.
const LEADER_EVERY: usize = 5;
/// How soon another one serves.
const TAKEOVER: Duration = Duration::from_millis(100);

/// What the contenders run: it writes its token and the time into one file, again and again.
#[test]
fn steps() {
    let Some(path) = std::env::var_os(STEPS) else { return };
    let token = std::env::var("ELECTOR_TOKEN").expect("elector gives it");
    let mut file = OpenOptions::new().append(true).open(path).expect("the test has made it");
    loop {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let line = format!("{token} {}\n", now.tv_sec * 1_000_000_000 + now.tv_nsec);
        file.write_all(line.as_bytes()).expect("written");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The tokens in the order of the steps, each once: a token that comes back was led beside another.
fn terms(path: &Path) -> Vec<u64> {
    let text = fs::read_to_string(path).expect("there");
    let mut terms: Vec<u64> = Vec::new();
    let mut last = 0;
    for line in text.lines() {
        let (token, at) = line.split_once(' ').expect("a whole line");
        let (token, at) = (token.parse().expect("a token"), at.parse::<u64>().expect("a time"));
        if terms.last() != Some(&token) {
            assert!(terms.last().is_none_or(|before| *before < token), "{token} after {terms:?}");
            terms.push(token);
        }
        assert!(at + 1_000_000 >= last, "steps of {terms:?} are mixed");
        last = last.max(at);
    }
    terms
}

/// How well this machine runs: how late a thread that sleeps is woken, and how long a small file takes to be
/// synced. A server that is kept from running, or waits for its disk, counts that against nobody's session.
struct Machine(Arc<Mutex<Vec<(Instant, Duration)>>>);

impl Machine {
    fn watch(file: PathBuf) -> Machine {
        let delays = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::downgrade(&delays);
        std::thread::spawn(move || {
            let step = Duration::from_millis(10);
            let mut file = fs::File::create(file).expect("made");
            while let Some(list) = list.upgrade() {
                let began = Instant::now();
                std::thread::sleep(step);
                file.write_all(b".").and_then(|()| file.sync_data()).expect("written");
                let late = began.elapsed().saturating_sub(step);
                if late > STALL {
                    list.lock().expect("no panic while held").push((began, late));
                }
            }
        });
        Machine(delays)
    }

    fn stood_still_since(&self, since: Instant) -> bool {
        self.0.lock().expect("no panic while held").iter().any(|(at, _)| *at >= since)
    }
}

/// The token of the last step.
fn newest_token(path: &Path) -> Option<String> {
    /// Longer than two lines.
    const TAIL: u64 = 128;
    let mut file = fs::File::open(path).expect("there");
    let length = file.metadata().expect("there").len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).expect("a file");
    let mut tail = String::new();
    file.read_to_string(&mut tail).expect("text");
    tail.lines().last()?.split_once(' ').map(|(token, _)| token.to_string())
}

struct Contender {
    run: Running,
    session: String,
}

fn contend(place: &Place, steps: &Path, id: usize) -> Contender {
    let program = std::env::current_exe().expect("this test");
    let run = place.run(&id.to_string(), SESSION).words("/job --").word(program.to_str().expect("plain"));
    let run = run.words("--exact kills::steps --nocapture").env(STEPS, steps.to_str().expect("plain"));
    let mut run = run.start();
    run.wait_for("connected to the host");
    let session = only_session(&run);
    Contender { run, session }
}

/// The one whose program runs; it must not have lost anything since.
fn leader(contenders: &[Contender], steps: &Path) -> Option<u32> {
    let newest = newest_token(steps)?;
    let leads = |run: &Running| {
        let said = run.said();
        assert!(!said.contains("lost after") && !said.contains("stopping the program"), "{said}");
        said.contains(&format!("leading with token {newest};"))
            || said.contains(&format!("leading with token {newest} ("))
    };
    let leaders: Vec<u32> =
        contenders.iter().filter(|one| leads(&one.run)).map(|one| one.run.pid()).collect();
    assert!(leaders.len() <= 1, "{leaders:?}");
    leaders.first().copied()
}

#[test]
fn the_host_is_killed_again_and_again() {
    let place = Place::new();
    let steps = place.path.with_file_name("steps");
    fs::write(&steps, "").expect("written");
    let machine = Machine::watch(place.path.with_file_name("synced"));
    let mut contenders: Vec<Contender> = (0..3).map(|id| contend(&place, &steps, id)).collect();
    let (mut takeovers, mut successions, mut late) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds(50, 300) {
        let led_by = until_led(&contenders, &steps);
        let host = place.next_host(0);
        if round % LEADER_EVERY != 0 {
            // Who leads then, or leads already.
            let oldest = contenders.iter().find(|one| one.run.pid() != host).expect("two others");
            to_the_end_of_the_line(&oldest.run);
        }
        let at = contenders.iter().position(|one| one.run.pid() == host).expect("one of ours");
        let mut dead = contenders.remove(at);
        let killed = Instant::now();
        dead.run.kill();
        place.next_host(host);
        takeovers.push(killed.elapsed());
        contenders.push(contend(&place, &steps, round + 3));
        let now_led_by = until_led(&contenders, &steps);
        if host == led_by {
            let took = killed.elapsed();
            successions.push(took);
            if took > SESSION_TIMEOUT + SLACK && !machine.stood_still_since(killed) {
                late.push(took);
            }
        } else {
            assert_eq!(now_led_by, led_by, "a leadership was lost that was not the killed one's");
        }
        for one in &contenders {
            assert_eq!(only_session(&one.run), one.session);
        }
    }
    takeovers.sort();
    successions.sort();
    let median = takeovers[takeovers.len() / 2];
    println!("the next served after {median:?}, at most {:?}", takeovers.last());
    println!(
        "{} that led were killed; somebody led after at most {:?}",
        successions.len(),
        successions.last()
    );
    assert!(median < TAKEOVER, "{takeovers:?}");
    assert!(late.is_empty(), "late on a machine that ran well: {late:?}");
    assert_eq!(terms(&steps).len(), successions.len() + 1);
    contenders.into_iter().map(|one| one.run).for_each(stop);
}

/// Whoever waited longest hosts next, which is mostly the leader. A process that is interrupted in its wait begins
/// it anew.
fn to_the_end_of_the_line(run: &Running) {
    signal(run, Signal::STOP);
    std::thread::sleep(Duration::from_millis(2));
    signal(run, Signal::CONT);
    std::thread::sleep(Duration::from_millis(5));
}

/// Waits until one of them leads.
fn until_led(contenders: &[Contender], steps: &Path) -> u32 {
    let until = Instant::now() + LONG;
    loop {
        if let Some(pid) = leader(contenders, steps) {
            return pid;
        }
        let said = || contenders.iter().map(|one| one.run.said()).collect::<String>();
        assert!(Instant::now() < until, "nobody leads: {}", said());
        std::thread::sleep(Duration::from_millis(5));
    }
}
