//! `elector serve`: the embedded server on TCP, for any ZooKeeper client, until it is told to end.
//!
//! The server has threads of its own; this thread only waits, for a signal or for the server's failure. Where
//! the server cannot keep its promises any more, the process ends rather than answer without keeping anything.

use crate::args::ServeOptions;
use crate::log::{About, Entry, Level, Log};
use crate::signals::{Asked, Signals, outlast_the_terminal};
use crate::{exit, log, notify};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Weak};
use tokio::task::spawn_blocking;
use zk_embedded::journal::OpenError;
use zk_embedded::{Config, Fatal, Listener, Notice, Notices, Server, StartError, Storage};

/// Serves to the end and tells the exit status.
pub(crate) fn serve(options: &ServeOptions) -> u8 {
    let refused = |error: io::Error| {
        log::complain(&format!("the system refused what elector needs: {error}"));
        exit::FAILURE
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refused(error),
    };
    let code = runtime.block_on(async {
        outlast_the_terminal()?;
        let signals = Signals::new()?;
        let log = Arc::new(Log::of_a_server(options.log)?);
        Ok(Serving { options, signals, log }.play_out().await)
    });
    // A disk that hangs must not hold up an end that was asked for twice.
    runtime.shutdown_background();
    code.unwrap_or_else(refused)
}

/// Everything of one server's life.
struct Serving<'a> {
    options: &'a ServeOptions,
    signals: Signals,
    log: Arc<Log>,
}

impl Serving<'_> {
    async fn play_out(mut self) -> u8 {
        allow_many_files();
        let (config, listen) = (self.config(), self.options.listen);
        let starting = spawn_blocking(move || start(config, listen));
        let started = tokio::select! {
            started = starting => started,
            // Nothing was promised to anybody yet, and the next start replays all the same.
            signal = asked_to_end(&mut self.signals, &self.log) => {
                self.say(Level::Info, About::Asked, format!("{} received: ending before the start", name(signal)));
                return exit::OK;
            }
        };
        let (server, address) = match started {
            Ok(Ok(started)) => started,
            Ok(Err(error)) => {
                self.say(Level::Error, About::Error, error.to_string());
                return start_code(&error);
            }
            Err(panicked) => {
                self.say(Level::Error, About::Error, panicked.to_string());
                return exit::FAILURE;
            }
        };
        self.greet(address, server.room());
        notify::tell(notify::READY);
        let signal = tokio::select! {
            signal = asked_to_end(&mut self.signals, &self.log) => signal,
            why = server.failed() => return self.fail(&why),
        };
        notify::tell(notify::STOPPING);
        self.end(server, signal).await
    }

    fn config(&self) -> Config {
        Config {
            storage: Some(Storage::new(&self.options.data_dir)),
            notices: listen_to(Arc::downgrade(&self.log)),
            // The sessions of an earlier boot go on: a client may be on another machine, behind a tunnel too.
            boot: None,
            ..Config::default()
        }
    }

    fn greet(&self, address: SocketAddr, room: usize) {
        let message = format!(
            "a ZooKeeper server for development and tests listens on {address}; data in {}; one machine, no quorum",
            crate::text::escape(&self.options.data_dir.to_string_lossy())
        );
        let entry = Entry { level: Level::Info, about: About::Serving, token: None, message };
        self.log.say_of(&entry, Some(&address.to_string()));
        let wanted = Config::default().connections;
        if room < wanted {
            let message = format!(
                "room for {room} connections, not {wanted}: the limit of open files is too low (ulimit -n)"
            );
            self.say(Level::Warn, About::Error, message);
        }
        for warning in &self.options.warnings {
            self.say(Level::Warn, About::Error, warning.clone());
        }
        for detail in &self.options.details {
            self.say(Level::Debug, About::Serving, detail.clone());
        }
    }

    fn fail(&self, why: &Fatal) -> u8 {
        let message = format!("the server had to end: {why}; nothing that it acknowledged came after that");
        self.say(Level::Error, About::Error, message);
        exit::FAILURE
    }

    /// Stops in order, unless somebody has no patience for it.
    async fn end(mut self, server: Server, signal: Signal) -> u8 {
        let message = format!("{} received: no more clients, then the data is synced", name(signal));
        self.say(Level::Info, About::Asked, message);
        tokio::select! {
            stopped = spawn_blocking(move || server.stop()) => match stopped {
                Ok(()) => {
                    self.say(Level::Info, About::Exited, "ended; the directory is free".into());
                    if signal == Signal::INT { exit::by_signal(signal.as_raw()) } else { exit::OK }
                }
                Err(panicked) => {
                    self.say(Level::Error, About::Error, panicked.to_string());
                    exit::FAILURE
                }
            },
            signal = asked_to_end(&mut self.signals, &self.log) => {
                let message = format!("{} received again: ended at once; what was acknowledged is kept", name(signal));
                self.say(Level::Warn, About::Exited, message);
                exit::FAILURE
            }
        }
    }

    fn say(&self, level: Level, about: About, message: String) {
        say(&self.log, level, about, message);
    }
}

fn say(log: &Log, level: Level, about: About, message: String) {
    log.say(&Entry { level, about, token: None, message });
}

/// Every connection is an open file, and the usual limit is low for the sake of programs that use `select`.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    // If it is refused, the server has less room, and says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Waits for a signal that ends the server. Cancel safe.
async fn asked_to_end(signals: &mut Signals, log: &Log) -> Signal {
    loop {
        match signals.next().await {
            Asked::Stop(signal) | Asked::Forward(signal @ (Signal::HUP | Signal::QUIT)) => return signal,
            Asked::Forward(_) => {}
            Asked::Pause => {
                let message = "Ctrl-Z is refused: a paused server keeps its clients waiting";
                say(log, Level::Warn, About::Error, message.to_string());
            }
        }
    }
}

/// Starts the server; the socket is bound only when the directory is ours. Blocks for as long as the replay takes.
fn start(config: Config, listen: SocketAddr) -> Result<(Server, SocketAddr), StartError> {
    let mut address = listen;
    let server = Server::start_then_bind(config, || {
        let unusable = |error: io::Error| {
            let why = match error.kind() {
                io::ErrorKind::AddrInUse => "the port is taken".to_string(),
                _ => error.to_string(),
            };
            io::Error::new(error.kind(), format!("cannot listen on {listen}: {why}"))
        };
        let listener = TcpListener::bind(listen).map_err(unusable)?;
        address = listener.local_addr()?;
        Ok(vec![Listener::Tcp(listener)])
    })?;
    Ok((server, address))
}

/// Whether another start could go better with nothing changed.
fn start_code(error: &StartError) -> u8 {
    let by_kind = |error: &io::Error| match error.kind() {
        io::ErrorKind::AddrInUse
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotFound
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::InvalidFilename => exit::USAGE,
        _ => exit::FAILURE,
    };
    match error {
        StartError::Journal(OpenError::Io { source, .. }) | StartError::Io(source) => by_kind(source),
        StartError::Journal(_) | StartError::Replay { .. } => exit::USAGE,
        StartError::Write(_) => exit::FAILURE,
    }
}

/// What the server tells goes into the log for as long as there is one.
fn listen_to(log: Weak<Log>) -> Notices {
    Notices::new(move |notice| {
        if let Some(log) = log.upgrade() {
            say(&log, level_of(&notice), About::Error, notice.to_string());
        }
    })
}

/// How much a word of the embedded server matters to whoever runs it.
pub(crate) fn level_of(notice: &Notice) -> Level {
    match notice {
        // Clients come and go; one that was sent away is told so itself.
        Notice::Ended { .. } => Level::Debug,
        _ => Level::Warn,
    }
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::TERM => "TERM",
        Signal::INT => "INT",
        Signal::HUP => "HUP",
        _ => "QUIT",
    }
}
