//! A program under test that speaks in lines.
//!
//! Invariant: it dies with this value or with the test process (see [`crate::spawn`]); every line that it wrote is
//! kept with the time at which it was read. For foreign contenders, and for the project's own command in tests.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::boot_time;
use crate::spawn::{Owned, spawn};

/// Which of its outputs a line came on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
}

/// One line that the program wrote, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was read, on CLOCK_BOOTTIME.
    pub at: Duration,
    /// Where it came from.
    pub output: Output,
    /// The text; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// A running program, its lines so far, and its standard input.
#[derive(Debug)]
pub struct LineProcess {
    process: Owned,
    input: Option<ChildStdin>,
    heard: Arc<Heard>,
    /// How many lines earlier waits have gone past.
    seen: usize,
}

#[derive(Debug, Default)]
struct Heard {
    lines: Mutex<Vec<Line>>,
    more: Condvar,
}

impl LineProcess {
    /// Starts a command made by [`crate::bound_command`], with pipes for its three standard streams.
    ///
    /// # Errors
    /// As [`spawn`].
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use zk_ensemble::{LineProcess, bound_command};
    ///
    /// let mut command = bound_command("elector");
    /// command.args(["run", "-z", "127.0.0.1:2181", "/billing", "--", "sleep", "1"]);
    /// let mut contender = LineProcess::start(command)?;
    /// let line = contender.wait_for("leading with token", Duration::from_secs(20));
    /// println!("leads since {:?}", line.at);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = spawn(command)?;
        let heard = Arc::<Heard>::default();
        let child = process.child();
        let input = child.stdin.take();
        heard.clone().listen(Output::Stdout, child.stdout.take().expect("piped"));
        heard.clone().listen(Output::Stderr, child.stderr.take().expect("piped"));
        Ok(Self { process, input, heard, seen: 0 })
    }

    /// The process, to be signalled, killed, stopped, or waited for.
    pub fn process(&mut self) -> &mut Owned {
        &mut self.process
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// The program has closed it, or ended.
    pub fn send(&mut self, line: &str) -> io::Result<()> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(input, "{line}")
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// All lines so far, in the order in which they were read.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.heard.lines().clone()
    }

    /// Waits for the next line that contains `text`; lines up to it are gone past, so the same call again waits for
    /// another.
    ///
    /// # Panics
    /// When none comes within `limit`, with all that the program has said.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Line {
        self.try_wait_for(limit, |line| line.text.contains(text)).unwrap_or_else(|| {
            panic!("no line with {text:?} within {limit:?}; it said:\n{}", self.transcript())
        })
    }

    /// Waits for the next line that `wanted` accepts; `None` when none comes within `limit`.
    pub fn try_wait_for(&mut self, limit: Duration, mut wanted: impl FnMut(&Line) -> bool) -> Option<Line> {
        let end = Instant::now() + limit;
        let mut lines = self.heard.lines();
        let mut next = self.seen;
        loop {
            while let Some(line) = lines.get(next) {
                next += 1;
                if wanted(line) {
                    self.seen = next;
                    return Some(line.clone());
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            lines = self.heard.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the program has ended.
    ///
    /// # Panics
    /// When it has not within `limit`, with all that it has said.
    pub fn wait_for_end(&mut self, limit: Duration) -> ExitStatus {
        let status = self.process.wait(limit);
        status.unwrap_or_else(|| panic!("not ended within {limit:?}; it said:\n{}", self.transcript()))
    }

    /// All that it has said, for a failed test's message.
    #[must_use]
    pub fn transcript(&self) -> String {
        let mut text = String::new();
        for line in self.heard.lines().iter() {
            let mark = if line.output == Output::Stderr { "!" } else { " " };
            let _ = writeln!(text, "{:12.3}{mark} {}", line.at.as_secs_f64(), line.text);
        }
        text
    }
}

impl Heard {
    fn listen(self: Arc<Self>, output: Output, stream: impl Read + Send + 'static) {
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut bytes = Vec::new();
            while let Ok(1..) = stream.read_until(b'\n', &mut bytes) {
                let text = String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(&bytes)).into_owned();
                self.lines().push(Line { at: boot_time(), output, text });
                self.more.notify_all();
                bytes.clear();
            }
        });
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
