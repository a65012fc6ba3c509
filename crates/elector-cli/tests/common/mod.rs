//! Running the built command in tests: to its end, or under watch.

// Each test file is a crate of its own and uses a part of this.
#![allow(dead_code)]

pub(crate) mod serving;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use zk_ensemble::{Ensemble, Owned, bound_command};

/// A safety bound: what a test waits for comes long before.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The servers' tick in tests: short, so that short sessions are granted.
pub(crate) const TICK: Duration = Duration::from_millis(500);
/// Options for the shortest session that leaves room for a lease and a grace at that tick.
pub(crate) const SHORT: &str = "--session-timeout 4s --ensemble-tick 500ms";
/// That session's timeout.
pub(crate) const SHORT_TIMEOUT: Duration = Duration::from_secs(4);

/// A command line in the making.
#[derive(Clone)]
pub(crate) struct Elector {
    /// A program and its arguments that start the command, such as `nohup`.
    through: Vec<OsString>,
    words: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
}

/// What a run to the end left.
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Elector {
    /// Without any word.
    pub(crate) fn bare() -> Elector {
        Elector { through: Vec::new(), words: Vec::new(), variables: Vec::new() }
    }

    pub(crate) fn new(command: &str) -> Elector {
        Elector::bare().word(command)
    }

    /// `elector run` against these servers, with a readable id.
    pub(crate) fn run(servers: &str, id: &str, options: &str) -> Elector {
        Elector::new("run").words("-z").word(servers).words("--id").word(id).words(options)
    }

    /// Adds words that are separated by spaces.
    pub(crate) fn words(mut self, words: &str) -> Elector {
        self.words.extend(words.split_ascii_whitespace().map(OsString::from));
        self
    }

    /// Adds one word as it stands.
    pub(crate) fn word(mut self, word: &str) -> Elector {
        self.words.push(word.into());
        self
    }

    /// Adds one word of any bytes.
    pub(crate) fn bytes(mut self, word: &[u8]) -> Elector {
        self.words.push(OsStr::from_bytes(word).to_os_string());
        self
    }

    /// Adds `-- sh -c SCRIPT`.
    pub(crate) fn script(self, script: &str) -> Elector {
        self.words("-- sh -c").word(script)
    }

    /// Starts it through another program, which has to become it under the same process id.
    pub(crate) fn through(mut self, program: &[&str]) -> Elector {
        self.through = program.iter().map(OsString::from).collect();
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Elector {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Runs to the end. Nothing in a test may take longer than [`LONG`].
    pub(crate) fn output(self) -> Output {
        let mut running = self.start();
        let code = running.end(LONG);
        Output { code, stdout: running.printed(), stderr: running.said() }
    }

    /// Starts it. It is killed when the value is dropped, or the test's process ends.
    pub(crate) fn start(self) -> Running {
        let mut all = self.through.clone();
        all.push(env!("CARGO_BIN_EXE_elector").into());
        all.extend(self.words.iter().cloned());
        let mut command = bound_command(&all[0]);
        command.args(&all[1..]).envs(self.variables.clone());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut owned = zk_ensemble::spawn(command).expect("elector starts");
        let child = owned.child();
        let stdout = Lines::read(child.stdout.take().expect("a pipe"));
        let stderr = Lines::read(child.stderr.take().expect("a pipe"));
        Running { owned, stdout, stderr }
    }
}

impl fmt::Debug for Elector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.words.iter().map(|word| word.to_string_lossy()).collect();
        let words = words.join(" ");
        f.write_str(&words.chars().take(200).collect::<String>())
    }
}

/// A started command and what it has said so far.
pub(crate) struct Running {
    owned: Owned,
    stdout: Lines,
    stderr: Lines,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.owned.pid()
    }

    /// Waits until a line on standard error holds `part`, and returns it. Lines are looked at once each.
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        self.stderr.wait_for(part)
    }

    /// Waits until a line on standard output, the program's, holds `part`.
    pub(crate) fn wait_for_output(&mut self, part: &str) -> String {
        self.stdout.wait_for(part)
    }

    /// Everything on standard error so far.
    pub(crate) fn said(&self) -> String {
        self.stderr.text()
    }

    /// Everything on standard output so far.
    pub(crate) fn printed(&self) -> String {
        self.stdout.text()
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        self.owned.signal(signal);
    }

    /// SIGKILL to the command alone.
    pub(crate) fn kill(&mut self) {
        self.owned.kill();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.owned.try_wait().is_none()
    }

    /// Waits for the end; the exit status, or none where a signal ended it.
    pub(crate) fn end(&mut self, limit: Duration) -> Option<i32> {
        let status = self.owned.wait(limit);
        let Some(status) = status else { panic!("still running after {limit:?}: {}", self.said()) };
        self.stdout.wait_for_close();
        self.stderr.wait_for_close();
        status.code()
    }
}

/// Whether this test was started with HUP ignored, as by `nohup`; then so is the command, and leaves HUP alone.
pub(crate) fn hup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("our own");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("its mask");
    u64::from_str_radix(mask.trim(), 16).expect("a number") & 1 == 1
}

/// Sends a signal to the command alone.
pub(crate) fn signal(running: &Running, signal: Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(running.pid()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, signal).expect("it is ours");
}

/// Sends a signal to a process that a test knows to be there, and to be its own. One that is to be killed may have
/// died since.
pub(crate) fn signal_process(pid: u64, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    match rustix::process::kill_process(pid, signal) {
        Err(rustix::io::Errno::SRCH) if signal == Signal::KILL => {}
        sent => sent.expect("it is there"),
    }
}

/// The process that started this one, or adopted it: of a program, the one that keeps it.
pub(crate) fn parent_of(pid: u64) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there");
    let fields = stat.rsplit_once(')').expect("a name in parentheses").1;
    fields.split_ascii_whitespace().nth(1).and_then(|parent| parent.parse().ok()).expect("a parent")
}

/// The processes that this one started, or adopted.
pub(crate) fn children_of(pid: u64) -> Vec<u64> {
    // One that is gone has none.
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_ascii_whitespace().map(|pid| pid.parse().expect("a pid")).collect::<Vec<_>>()
        })
        .collect()
}

/// The processes that keep the program of this elector: one, or none while it is being replaced. What a dead one had
/// started comes to elector as well and is none.
pub(crate) fn keeping_of(elector: u64) -> Vec<u64> {
    let keeps = |pid: &u64| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"elector (keeping a program)")
    };
    children_of(elector).into_iter().filter(keeps).collect()
}

/// The process that waits to become the program of this elector, once it is there.
pub(crate) fn waiting_program_of(elector: u64) -> u64 {
    let began = Instant::now();
    loop {
        let waits = |pid: &u64| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(b"elector (waiting to start a program)")
        };
        if let Some(pid) = keeping_of(elector).into_iter().flat_map(children_of).find(waits) {
            return pid;
        }
        assert!(began.elapsed() < LONG, "nothing waits to become the program");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Kills elector and the process that keeps its program at once, as a machine's death does: nobody is left to close
/// its session. What the program started may be there still where no control group holds it.
pub(crate) fn kill_both(elector: &mut Running, program: u64) {
    elector.signal(Signal::STOP); // so that it does not see the other one's death
    signal_process(parent_of(program), Signal::KILL);
    elector.kill();
}

/// All living processes that came of the program of the elector with this id.
pub(crate) fn survivors(id: &str) -> Vec<u64> {
    let id = format!("ELECTOR_ID={id}");
    let pids = std::fs::read_dir("/proc").expect("it is mounted").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        let ours = variables.clone().any(|variable| variable == id.as_bytes());
        ours && variables.any(|variable| variable.starts_with(b"ELECTOR_TOKEN=")) && is_there(*pid)
    })
    .collect()
}

/// Waits until nothing is left of that program.
pub(crate) fn wait_until_all_gone(id: &str, limit: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let left = survivors(id);
        if left.is_empty() {
            return began.elapsed();
        }
        assert!(began.elapsed() < limit, "{left:?} are still there after {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Lines of a pipe, read by a thread so that nobody is ever held up by us.
pub(crate) struct Lines {
    shared: Arc<(Mutex<Text>, Condvar)>,
    looked_at: usize,
}

#[derive(Default)]
struct Text {
    lines: Vec<String>,
    closed: bool,
}

impl Lines {
    pub(crate) fn read(pipe: impl Read + Send + 'static) -> Lines {
        let shared = Arc::new((Mutex::new(Text::default()), Condvar::new()));
        let writer = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            loop {
                line.clear();
                let more = reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0);
                let mut text = writer.0.lock().expect("no panic while held");
                if more {
                    text.lines.push(String::from_utf8_lossy(&line).into_owned());
                } else {
                    text.closed = true;
                }
                writer.1.notify_all();
                if !more {
                    return;
                }
            }
        });
        Lines { shared, looked_at: 0 }
    }

    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        let until = Instant::now() + LONG;
        let mut text = self.shared.0.lock().expect("no panic while held");
        loop {
            while self.looked_at < text.lines.len() {
                let line = text.lines[self.looked_at].clone();
                self.looked_at += 1;
                if line.contains(part) {
                    return line.trim_end().to_string();
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!text.closed && !left.is_zero(), "no line with {part:?} in {}", text.lines.concat());
            text = self.shared.1.wait_timeout(text, left).expect("no panic while held").0;
        }
    }

    /// A process that the command left behind would keep the pipe open for ever; so this has a bound, too.
    fn wait_for_close(&self) {
        let text = self.shared.0.lock().expect("no panic while held");
        let closed = self.shared.1.wait_timeout_while(text, Duration::from_secs(5), |text| !text.closed);
        drop(closed);
    }

    pub(crate) fn text(&self) -> String {
        self.shared.0.lock().expect("no panic while held").lines.concat()
    }
}

/// One standalone server, shared by the tests of a file that run at the same time.
pub(crate) fn shared_server() -> Arc<Ensemble> {
    static SHARED: Mutex<Weak<Ensemble>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(Ensemble::builder(1).tick_time(TICK).start());
    *shared = Arc::downgrade(&server);
    server
}

/// Waits until no process has this id, or only a zombie.
pub(crate) fn wait_until_gone(pid: u64, limit: Duration) {
    let until = Instant::now() + limit;
    while is_there(pid) {
        assert!(Instant::now() < until, "process {pid} is still there after {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process that is no zombie has this id.
pub(crate) fn is_there(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// The number behind `word` in a line of the log.
pub(crate) fn number_after(line: &str, word: &str) -> u64 {
    let rest = line.split(word).nth(1).unwrap_or_else(|| panic!("no {word:?} in {line:?}"));
    let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number behind {word:?} in {line:?}"))
}
