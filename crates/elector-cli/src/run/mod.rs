//! `elector run`: wait for the turn, run the program while it lasts, hand over when nothing of it is left.
//!
//! The flow is `connect` → `waiting` → `leading`, and from there to the end or back to `waiting`. What happens
//! within a term is decided by the pure machine in `term`; this module and its children only carry things to and
//! fro between the election, the keeper of the program, the signals and the log. A local election is hosted here as
//! well, on threads of its own.

mod code;
mod failure;
mod hosting;
mod leading;
mod narrator;
mod telling;
mod term;
mod waiting;

use crate::args::RunOptions;
use crate::exit;
use crate::history::{Behind, Scribe};
use crate::local::{Host, Site};
use crate::log::{About, Entry, Level, Log};
use crate::notify::{self, Watchdog};
use crate::program::{self, Event, Keeper, NotRunnable, Spec};
use crate::signals::{Signals, outlast_the_terminal};
use crate::{log, text};
use elector::{AclEntry, Elector, LeaseClock, Notice};
pub(crate) use narrator::At;
use narrator::Narrator;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;
use waiting::asked_to_leave;

/// Before the lease's end, when SIGKILL has to be on its way: the time a killed tree needs to be gone.
const KILL_MARGIN: Duration = Duration::from_millis(500);
/// Events of the keeper that nobody has read. One start yields at most five, and the next start comes only after
/// the last of them was read, so the queue never fills.
const MAX_EVENTS: usize = 16;
/// How long the end of the run waits for a server to confirm; after that the session's timeout does the rest.
const CONFIRM_LIMIT: Duration = Duration::from_secs(3);
/// How long the end of the run waits for the history's last word, when its place is handed over.
const HISTORY_LIMIT: Duration = Duration::from_secs(1);

/// Everything of one run.
struct Run<'a> {
    options: &'a RunOptions,
    site: Site,
    /// Where the election is local, unless it ended.
    host: Option<Host>,
    log: Arc<Log>,
    keeper: Arc<Keeper>,
    events: mpsc::Receiver<Event>,
    signals: Signals,
    elector: Elector,
    notices: broadcast::Receiver<Notice>,
    narrator: Narrator,
    watchdog: Watchdog,
    scribe: Scribe,
    /// Who was seen to lead while we waited.
    leader_before: Option<Behind>,
    /// When `--wait` has passed; forgotten once it has led.
    give_up_at: Option<Instant>,
    /// No server confirmed in time that we resigned.
    unconfirmed: bool,
}

/// Runs to the end and tells the exit status.
pub(crate) fn run(options: &RunOptions) -> u8 {
    let file = match program::find(&options.program[0], std::env::var_os("PATH").as_deref()) {
        Ok(file) => file,
        Err(error) => {
            let (text, code) = match error {
                NotRunnable::NotFound(text) => (text, exit::NOT_FOUND),
                NotRunnable::NotExecutable(text) => (text, exit::NOT_EXECUTABLE),
            };
            log::complain_in(options.log.format, &text::escape(&text));
            return code;
        }
    };
    match start(options, file) {
        Ok(code) => code,
        Err(error) => {
            let message = format!("the system refused what elector needs: {error}");
            log::complain_in(options.log.format, &message);
            exit::FAILURE
        }
    }
}

fn start(options: &RunOptions, file: PathBuf) -> std::io::Result<u8> {
    if let Some(refusal) = program::hidden() {
        log::complain_in(options.log.format, &refusal);
        return Ok(exit::USAGE);
    }
    outlast_the_terminal()?;
    let prepared = Site::open(&options.common.place).map_err(|refusal| (refusal, exit::USAGE));
    let prepared = prepared.and_then(|site| {
        let builder = configure(options, &site).map_err(|refusal| (refusal, exit::USAGE))?;
        builder.check().map_err(|error| (error.to_string(), failure::start_code(&error)))?;
        Ok((site, builder))
    });
    let (site, builder) = match prepared {
        Ok(prepared) => prepared,
        Err((refusal, code)) => {
            log::complain_in(options.log.format, &refusal);
            return Ok(code);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        match Run::begin(options, file, site, builder).await? {
            Ok(run) => Ok(run.leave_estates_and_play_out().await),
            Err(code) => Ok(code),
        }
    });
    // A look-up of a name that hangs in the system's resolver must not hold up the end.
    runtime.shutdown_background();
    code
}

/// The program for these options.
fn spec(options: &RunOptions, file: PathBuf, clock: LeaseClock) -> Spec {
    let variable = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    Spec {
        file,
        name: options.program[0].clone(),
        args: options.program[1..].to_vec(),
        env: vec![
            variable("ELECTOR_ELECTION", &options.common.election),
            variable("ELECTOR_ID", &options.id),
        ],
        env_remove: vec!["NOTIFY_SOCKET".into()],
        null_stdin: std::io::stdin().is_terminal(),
        stop_signal: options.stop_signal,
        leftover_grace: options.stop_grace,
        clock,
    }
}

/// The library's builder for these options.
fn configure(options: &RunOptions, site: &Site) -> Result<elector::Builder, String> {
    let common = &options.common;
    let mut builder = Elector::builder(site.place.clone(), &common.election)
        .id(options.id.as_str())
        .session_timeout(options.session_timeout)
        .layout(options.layout)
        .stop_early(options.loss_grace + KILL_MARGIN)
        .on_disconnect(match options.stop_on_disconnect {
            true => elector::OnDisconnect::Stop,
            false => elector::OnDisconnect::Hold,
        })
        .name_neighbours(true);
    for credential in &common.credentials {
        builder = builder.credential(credential.scheme.as_str(), credential.auth.as_slice());
    }
    if let Some(tick) = options.ensemble_tick {
        builder = builder.ensemble_tick(tick);
    }
    if let Some(acl) = acl(options)? {
        builder = builder.acl(acl);
    }
    Ok(builder)
}

/// `--acl`; nothing where the library's default is meant.
fn acl(options: &RunOptions) -> Result<Option<Vec<AclEntry>>, String> {
    let Some(list) = &options.acl else { return Ok(None) };
    let entry = |scheme: &str, id: &str, permissions: &str| AclEntry {
        scheme: scheme.into(),
        id: id.into(),
        permissions: permissions.into(),
    };
    let refuse = |part: &str, rule: &str| Err(format!("--acl {}: {rule}", text::escape(part)));
    match list.as_str() {
        "open" => return Ok(Some(vec![entry("world", "anyone", "cdrwa")])),
        "creator" if options.common.credentials.is_empty() => {
            return refuse(
                list,
                "it means the owner of the credentials, and there are none: give --auth-file",
            );
        }
        "creator" => return Ok(None),
        _ => {}
    }
    let mut entries = Vec::new();
    for part in list.split(',') {
        // The id may hold colons itself, as digest's user:hash does.
        let pieces = part.split_once(':').and_then(|(scheme, rest)| {
            let (id, permissions) = rest.rsplit_once(':')?;
            Some((scheme, id, permissions))
        });
        match pieces {
            Some((scheme, id, permissions)) if !scheme.is_empty() => {
                entries.push(entry(scheme, id, permissions));
            }
            _ => {
                return refuse(
                    part,
                    "an entry is scheme:id:rights, such as world:anyone:r or auth::cdrwa; or say creator or open",
                );
            }
        }
    }
    Ok(Some(entries))
}

impl Run<'_> {
    /// Everything up to the elector's start. A code instead is the end of the run.
    async fn begin(
        options: &RunOptions,
        file: PathBuf,
        site: Site,
        builder: elector::Builder,
    ) -> std::io::Result<Result<Run<'_>, u8>> {
        let mut signals = Signals::new()?;
        let (tell, events) = mpsc::channel(MAX_EVENTS);
        let spec = spec(options, file, site.place.clock());
        let (ready, kept) = oneshot::channel();
        let tell = move |event| drop(tell.try_send(event));
        let keeper = Keeper::new(spec, tell, move |started| drop(ready.send(started)))?;
        let keeper = Arc::new(keeper);
        let log = Arc::new(Log::new(options.log, &options.common.election, &options.id)?);
        let narrator = Narrator::new(&site, &options.id);
        greet(&log, &narrator, options);
        let host = hosting::start(site.directory.as_ref(), &log)?;
        if let Some(host) = &host {
            // Whoever hosts is mostly ready at once; connecting before that would only fail and wait.
            tokio::select! {
                biased;
                signal = asked_to_leave(&mut signals, &log) => return Ok(Err(code::left(signal))),
                () = host.settled() => {}
                () = tokio::time::sleep(hosting::READY_LIMIT) => {}
            }
        }
        let give_up_at = options.wait.map(|wait| Instant::now() + wait);
        // Nothing on this thread ever blocks (the log, the host and the program have threads of their own), so the
        // election runs here as well; and it begins only after we listen to what it tells.
        let started = builder.history().and_then(|history| Ok((history, builder.start()?)));
        let (history, elector) = match started {
            Ok(started) => started,
            Err(error) => {
                say(&log, Level::Error, About::Error, error.to_string());
                return Ok(Err(failure::start_code(&error)));
            }
        };
        let notices = elector.notices();
        // What holds and keeps the program comes about while the session connects, and is there before the turn comes.
        kept.await.map_err(std::io::Error::other)??;
        let containment = keeper.containment();
        if let Some(shortfall) = containment.shortfall().filter(|_| options.require_cgroup) {
            say(&log, Level::Error, About::Error, shortfall);
            let _no_server = tokio::time::timeout(CONFIRM_LIMIT, elector.close()).await;
            return Ok(Err(exit::USAGE));
        }
        say(&log, Level::Debug, About::Connecting, containment.describe());
        let scribe = Scribe::start(history, elector.estate(), keeper.clock(), Arc::clone(&log));
        Ok(Ok(Run {
            options,
            site,
            host,
            log,
            keeper,
            events,
            signals,
            elector,
            notices,
            narrator,
            watchdog: Watchdog::new(),
            scribe,
            leader_before: None,
            give_up_at,
            unconfirmed: false,
        }))
    }

    /// Keeps at hand all the while what it takes to close our session, for when we can no longer do it ourselves.
    async fn leave_estates_and_play_out(self) -> u8 {
        let mut estates = self.elector.estate();
        let keeper = Arc::clone(&self.keeper);
        let leave = async {
            loop {
                let estate = estates.borrow_and_update().as_ref().map(elector::Estate::to_bytes);
                keeper.leave_estate(estate.unwrap_or_default());
                if estates.changed().await.is_err() {
                    return std::future::pending::<u8>().await;
                }
            }
        };
        let code = tokio::select! {
            biased;
            never = leave => never,
            code = self.play_out() => code,
        };
        // Whatever is left of the session now is nobody's to close.
        keeper.leave_estate(Vec::new());
        code
    }

    async fn play_out(mut self) -> u8 {
        let code = match self.connect().await {
            Err(code) => code,
            Ok(()) => {
                notify::tell(notify::READY);
                self.contend().await
            }
        };
        notify::tell(notify::STOPPING);
        // Otherwise it was said already, and no server will answer the close either.
        if !self.unconfirmed {
            let closed = tokio::time::timeout(CONFIRM_LIMIT, self.elector.close()).await;
            if closed.is_err() {
                let message = "no server confirmed the end of the session; the others wait out its timeout";
                say(&self.log, Level::Warn, About::Error, message.to_string());
            } else {
                self.scribe.finish(HISTORY_LIMIT).await;
            }
        }
        if let Some(host) = self.host {
            hosting::stop(host, &self.log).await;
        }
        code
    }

    async fn contend(&mut self) -> u8 {
        loop {
            let leadership = match self.wait_for_turn().await {
                Ok(leadership) => leadership,
                Err(code) => return code,
            };
            self.give_up_at = None;
            if let Some(code) = self.lead(leadership).await {
                return code;
            }
        }
    }

    fn say(&self, level: Level, about: About, message: String) {
        say(&self.log, level, about, message);
    }

    /// Says what the election tells about its connection, outside a term.
    fn narrate(&mut self, notice: &Notice) {
        for entry in self.narrator.outside_a_term(notice, Instant::now()) {
            self.log.say(&entry);
        }
        self.watch_host(notice);
    }
}

/// The first lines: the place in force, and what is odd about the options.
fn greet(log: &Log, narrator: &Narrator, options: &RunOptions) {
    say(log, Level::Info, About::Connecting, narrator.connecting());
    for warning in &options.common.warnings {
        say(log, Level::Warn, About::Error, warning.clone());
    }
    for detail in &options.common.details {
        say(log, Level::Debug, About::Connecting, detail.clone());
    }
}

fn say(log: &Log, level: Level, about: About, message: String) {
    log.say(&Entry { level, about, token: None, message });
}

/// The next notice. Those that were missed are told of by what comes after them.
async fn next_notice(notices: &mut broadcast::Receiver<Notice>) -> Notice {
    loop {
        match notices.recv().await {
            Ok(notice) => return notice,
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            // The driver's end is told by the campaign or the leadership.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Sleeps until `at`; for ever where there is no such instant.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
