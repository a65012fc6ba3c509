//! `elector observe`: each change of leader as a line, until interrupted.
//!
//! The lines are on standard output; everything else is on standard error. Invariant: nobody's slowness stops the
//! watching. A reader that does not read holds up the thread that writes, while what is seen waits in the
//! observer's own queue; when even that is full, the next line says that changes may be missing.

mod show;

use crate::args::ObserveOptions;
use crate::local::{Outlook, Site, look_for_a_host, served_line, shown};
use crate::log::{About, Entry, Level, Log};
use crate::run::At;
use crate::text::escape;
use crate::{exit, log};
use elector::{Observer, ReadError, Sighting, View};
use rustix::event::{PollFd, PollFlags, poll};
use show::Show;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// While no server answers, this often it is said again.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// While a local election's host does not answer, this often it is looked at from outside.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long closing the session may take; its timeout does it otherwise.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// Observes to the end and tells the exit status.
pub(crate) fn observe(options: &ObserveOptions) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refused_by_the_system(&error),
    };
    let code = runtime.block_on(async {
        match Observing::start(options) {
            Ok(observing) => observing.play_out().await,
            Err(code) => code,
        }
    });
    // A look-up of a name or a write that hangs must not hold up the end.
    runtime.shutdown_background();
    code
}

fn refused_by_the_system(error: &io::Error) -> u8 {
    log::complain(&format!("the system refused what elector needs: {error}"));
    exit::FAILURE
}

struct Observing<'a> {
    options: &'a ObserveOptions,
    /// Keeps a local election's directory open.
    site: Site,
    at: At,
    observer: Observer,
    show: Show,
    log: Log,
    /// A server has told who leads, or that nobody does.
    seen: bool,
    /// It was said that nothing is running in the directory.
    idle_said: bool,
    /// The host of a local election does not answer, and this was shown of it.
    silence: Option<View>,
}

impl Observing<'_> {
    /// An error is the exit status.
    fn start(options: &ObserveOptions) -> Result<Observing<'_>, u8> {
        let common = &options.common;
        let credentials =
            common.credentials.iter().map(|credential| (credential.scheme.clone(), credential.auth.clone()));
        let log = Log::of_an_observer(options.log, &common.election);
        let log = log.map_err(|error| refused_by_the_system(&error))?;
        let started = Site::open(&common.place).and_then(|site| {
            let started = Observer::start(site.place.clone(), &common.election, credentials.collect());
            started.map(|observer| (site, observer)).map_err(|error| escape(&error.to_string()))
        });
        match started {
            Ok((site, observer)) => {
                let at = At::of(&site);
                let colored = log::colored(options.log.color, io::stdout().is_terminal());
                let show = Show::new(&common.election, options.json, colored);
                Ok(Observing {
                    options,
                    site,
                    at,
                    observer,
                    show,
                    log,
                    seen: false,
                    idle_said: false,
                    silence: None,
                })
            }
            Err(refusal) => {
                say(&log, Level::Error, About::Error, refusal);
                Err(exit::USAGE)
            }
        }
    }

    async fn play_out(mut self) -> u8 {
        let code = self.watch().await.unwrap_or_else(|error| {
            say(
                &self.log,
                Level::Error,
                About::Error,
                format!("the system refused what elector needs: {error}"),
            );
            exit::FAILURE
        });
        let closing = tokio::time::timeout(CLOSE_LIMIT, self.observer.close());
        let _its_timeout_does_it_otherwise = closing.await;
        code
    }

    async fn watch(&mut self) -> io::Result<u8> {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let reader_left = watch_the_reader()?;
        self.begin();
        let limit = self.options.common.connect_timeout;
        let too_late = limit.map(|limit| Instant::now() + limit);
        let mut reminder = interval(SAY_EVERY);
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut writing: Option<JoinHandle<io::Result<()>>> = None;
        loop {
            let waits_for_a_server = !self.seen;
            tokio::select! {
                biased;
                _ = term.recv() => return Ok(exit::OK),
                _ = int.recv() => return Ok(exit::by_signal(SignalKind::interrupt().as_raw_value())),
                () = reader_left.notified() => return Ok(exit::OK),
                written = finished(&mut writing), if writing.is_some() => {
                    writing = None;
                    if let Some(code) = self.written(written) {
                        return Ok(code);
                    }
                }
                sighting = self.observer.changed(), if writing.is_none() => match sighting {
                    Ok(mut sighting) => {
                        self.explain_silence(&mut sighting);
                        writing = Some(self.write(&sighting));
                        reminder.reset();
                    }
                    Err(error) => return Ok(self.failed(&error)),
                },
                _ = look.tick(), if self.silence.is_some() && writing.is_none() => {
                    writing = self.news_of_the_host().map(|sighting| self.write(&sighting));
                }
                _ = reminder.tick() => self.remind(),
                () = until(too_late), if waits_for_a_server => {
                    let (limit, tried) = (limit.unwrap_or_default(), self.tried());
                    let message = self.at.unreachable_within(limit, tried.as_deref());
                    self.say(Level::Error, About::Error, message);
                    return Ok(exit::FAILURE);
                }
            }
        }
    }

    /// Says what there is to say, and begins to write the line.
    fn write(&mut self, sighting: &Sighting) -> JoinHandle<io::Result<()>> {
        self.remark(sighting);
        let line = self.show.line(sighting);
        tokio::task::spawn_blocking(move || print(&line))
    }

    fn begin(&self) {
        let common = &self.options.common;
        self.say(Level::Info, About::Connecting, self.at.connecting());
        for warning in &common.warnings {
            self.say(Level::Warn, About::Error, warning.clone());
        }
        for detail in &common.details {
            self.say(Level::Debug, About::Connecting, detail.clone());
        }
    }

    /// Of a local election more is known than that its one server does not answer: nobody leads where nobody hosts,
    /// and a process that was stopped has a number.
    fn look_at_the_host(&self) -> Option<View> {
        match look_for_a_host(self.site.directory.as_ref()?) {
            Outlook::Nobody => Some(View::Vacant { gone: None, exists: true }),
            Outlook::Stopped(pid) => Some(View::Unknown { why: is_stopped(pid) }),
            Outlook::Served(_) | Outlook::Starting | Outlook::Hosting => None,
        }
    }

    /// Puts what is seen of the host in the place of its silence.
    fn explain_silence(&mut self, sighting: &mut Sighting) {
        let is_silent = matches!(sighting.view, View::Unknown { .. }) && self.site.directory.is_some();
        if is_silent {
            let unanswered = || View::Unknown { why: "the host does not answer".into() };
            sighting.view = self.look_at_the_host().unwrap_or_else(unanswered);
        }
        self.silence = is_silent.then(|| sighting.view.clone());
    }

    /// What has become of a silent host since the line before: the observer itself sees no more than its silence.
    fn news_of_the_host(&mut self) -> Option<Sighting> {
        let view = self.look_at_the_host().filter(|view| self.silence.as_ref() != Some(view))?;
        self.silence = Some(view.clone());
        Some(Sighting { at: SystemTime::now(), view, gap: false, after: None })
    }

    /// What people should know besides the line itself.
    fn remark(&mut self, sighting: &Sighting) {
        match &sighting.view {
            View::Unknown { .. } => self.remind(),
            View::Vacant { .. } if self.site.directory.is_some() => self.remind(),
            View::Vacant { exists: false, gone: None } if !self.seen => {
                let path = escape(&self.options.common.election);
                let message = format!("no such path {path}: nobody contends there, or it is misspelt");
                self.say(Level::Warn, About::Waiting, message);
            }
            _ => {}
        }
        self.seen |= !matches!(sighting.view, View::Unknown { .. });
    }

    /// Says who was tried in vain, if nobody answers.
    fn remind(&mut self) {
        let Some(tried) = self.tried() else { return };
        let message = match &self.site.directory {
            None => format!("no server answers, trying on: {tried}"),
            Some(directory) => match look_for_a_host(directory) {
                Outlook::Nobody => {
                    let said = std::mem::replace(&mut self.idle_said, true);
                    if !said {
                        let message = format!("nothing is running in {}", shown(directory.path()));
                        self.say(Level::Warn, About::Connecting, message);
                    }
                    return;
                }
                Outlook::Stopped(pid) => format!("{}: continue or end it", is_stopped(pid)),
                Outlook::Served(pid) => served_line(directory, pid),
                Outlook::Starting | Outlook::Hosting => {
                    format!("the host does not answer, trying on: {tried}")
                }
            },
        };
        self.say(Level::Warn, About::Connecting, message);
    }

    fn tried(&self) -> Option<String> {
        let tried = self.observer.tried();
        let each = tried.iter().map(|(server, error)| format!("{}: {}", escape(server), escape(error)));
        let list = each.collect::<Vec<_>>().join("; ");
        (!list.is_empty()).then_some(list)
    }

    fn failed(&self, error: &ReadError) -> u8 {
        self.say(Level::Error, About::Error, escape(&error.to_string()));
        if error.is_retryable() { exit::FAILURE } else { exit::USAGE }
    }

    /// The exit status, if there is no use in going on.
    fn written(&self, written: io::Result<()>) -> Option<u8> {
        match written {
            Ok(()) => None,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Some(exit::OK),
            Err(error) => {
                self.say(Level::Error, About::Error, format!("a line cannot be written: {error}"));
                Some(exit::FAILURE)
            }
        }
    }

    fn say(&self, level: Level, about: About, message: String) {
        say(&self.log, level, about, message);
    }
}

fn is_stopped(pid: i32) -> String {
    format!("the host, pid {pid}, is stopped")
}

fn say(log: &Log, level: Level, about: About, message: String) {
    log.say(&Entry { level, about, token: None, message });
}

fn print(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush())
}

/// Tells when the reader of standard output has gone, as `head` does: it may be long until the next line, and
/// nobody would read that.
fn watch_the_reader() -> io::Result<Arc<Notify>> {
    let told = Arc::new(Notify::new());
    let tell = Arc::clone(&told);
    std::thread::Builder::new().name("stdout".into()).spawn(move || {
        let stdout = io::stdout();
        // No event is asked for, so only the pipe's end is told; what has no end is waited for in vain.
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        while poll(&mut watched, None).is_err_and(|error| error == rustix::io::Errno::INTR) {}
        if watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            tell.notify_one();
        }
    })?;
    Ok(told)
}

async fn finished(writing: &mut Option<JoinHandle<io::Result<()>>>) -> io::Result<()> {
    match writing {
        Some(writing) => writing.await.unwrap_or_else(|error| Err(io::Error::other(error))),
        None => Ok(()),
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
