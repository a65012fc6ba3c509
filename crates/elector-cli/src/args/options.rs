//! What the commands work with: every option judged, from its flag or else from its variable.
//!
//! Invariant: a value of these types is usable as it stands, so that nothing about the command line can fail
//! later. Each refusal is one line: what, where, how to mend.

use super::env::{Environment, variable};
use super::grammar::{CommonArgs, LogArgs, ObserveArgs, RunArgs, StatusArgs};
use super::place::{self, Where};
use super::secrets::{self, Credential};
use super::values::{self, Given};
use crate::log::{Color, Format, LogOptions};
use crate::program;
use crate::text;
use elector::Layout;
use rustix::process::Signal;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// Every long option that a variable can set. The order is that of the help of `run`.
pub(super) const NAMES: [&str; 29] = [
    "zookeeper",
    "local",
    "id",
    "wait",
    "nonblock",
    "conflict-exit-code",
    "at-least",
    "once",
    "on-exit",
    "stop-signal",
    "stop-grace",
    "on-disconnect",
    "session-timeout",
    "connect-timeout",
    "auth-file",
    "quiet",
    "verbose",
    "log-format",
    "color",
    "layout",
    "acl",
    "ensemble-tick",
    "loss-grace",
    "takeover-delay",
    "containment",
    // Read by status only, or by serve, but no typing error in the environment of all.
    "json",
    "data-dir",
    "listen",
    "allow-remote",
];

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const MONTH: Duration = Duration::from_secs(30 * 86400);
/// How long a program or its group may be asked to end.
const MAX_GRACE: Duration = Duration::from_secs(86400);
/// `status` and `why` answer "unknown" after this long.
const STATUS_LIMIT: Duration = Duration::from_secs(3);

/// What to do when the program ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnExit {
    Resign,
    Restart,
}

/// What every command needs.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) place: Where,
    pub(crate) election: String,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) credentials: Vec<Credential>,
    pub(crate) quiet: bool,
    /// What to say once, after the first line: doubtful, but no reason to stop.
    pub(crate) warnings: Vec<String>,
    /// What to say to those who want details.
    pub(crate) details: Vec<String>,
}

/// All of `elector run`.
#[derive(Debug, Clone)]
pub(crate) struct RunOptions {
    pub(crate) common: Common,
    pub(crate) log: LogOptions,
    pub(crate) program: Vec<OsString>,
    pub(crate) id: String,
    pub(crate) wait: Option<Duration>,
    pub(crate) give_up_code: u8,
    pub(crate) at_least: Duration,
    pub(crate) once: bool,
    pub(crate) on_exit: OnExit,
    pub(crate) stop_signal: Signal,
    pub(crate) stop_grace: Duration,
    pub(crate) stop_on_disconnect: bool,
    pub(crate) session_timeout: Duration,
    pub(crate) layout: Layout,
    pub(crate) acl: Option<String>,
    pub(crate) ensemble_tick: Option<Duration>,
    pub(crate) loss_grace: Duration,
    pub(crate) takeover_delay: Duration,
    /// Refuse to run without a control group for the program.
    pub(crate) require_cgroup: bool,
}

/// All of `elector status`, and of `elector why`, which takes the same.
#[derive(Debug, Clone)]
pub(crate) struct StatusOptions {
    pub(crate) common: Common,
    pub(crate) limit: Duration,
    pub(crate) json: bool,
}

/// All of `elector observe`.
#[derive(Debug, Clone)]
pub(crate) struct ObserveOptions {
    pub(crate) common: Common,
    pub(crate) json: bool,
    pub(crate) log: LogOptions,
}

/// One command's flags over the environment.
pub(super) struct Sources<'a> {
    pub(super) env: &'a Environment,
    pub(super) details: Vec<String>,
}

impl<'a> Sources<'a> {
    /// The flag's value, else the variable's.
    pub(super) fn pick(&mut self, option: &str, flag: Option<&'a OsString>) -> Option<Given<'a>> {
        let set = self.env.get(option);
        match (flag, set) {
            (Some(flag), set) => {
                if set.is_some_and(|set| set != flag) {
                    self.details.push(format!("--{option} is a flag and wins over {}", variable(option)));
                }
                Some(Given { value: flag, from: format!("--{option}") })
            }
            (None, Some(value)) => Some(Given { value, from: variable(option) }),
            (None, None) => None,
        }
    }

    fn duration(
        &mut self,
        option: &str,
        flag: Option<&'a OsString>,
        range: (Duration, Duration),
    ) -> Result<Option<Duration>, String> {
        self.pick(option, flag).map(|given| given.duration(range.0, range.1)).transpose()
    }

    fn choice<'n>(
        &mut self,
        option: &str,
        flag: Option<&'a OsString>,
        names: &[&'n str],
    ) -> Result<&'n str, String> {
        self.pick(option, flag).map_or(Ok(names[0]), |given| given.choice(names))
    }

    pub(super) fn switch(&mut self, option: &str, flag: bool) -> Result<bool, String> {
        if flag {
            return Ok(true);
        }
        self.pick(option, None).map_or(Ok(false), |given| given.switch())
    }

    fn common(&mut self, args: &'a CommonArgs, election: Option<&OsString>) -> Result<Common, String> {
        let place = place::pick(self, args)?;
        let election = place::election(election)?;
        let connect_timeout =
            self.duration("connect-timeout", args.connect_timeout.as_ref(), (100 * MS, 24 * HOUR))?;
        let credentials = match self.pick("auth-file", args.auth_file.as_ref()) {
            Some(given) => credentials(&given)?,
            None => Vec::new(),
        };
        let quiet = self.switch("quiet", args.quiet)?;
        let mut warnings = self.env.unknown(&NAMES);
        let has_password = credentials.iter().any(|credential| credential.scheme == "digest");
        if has_password && place.is_beyond_this_machine() {
            warnings.push(
                "the digest password goes over the network in clear text: anybody on the way can read it"
                    .into(),
            );
        }
        Ok(Common { place, election, connect_timeout, credentials, quiet, warnings, details: Vec::new() })
    }
}

/// Judges `elector run`.
pub(super) fn run(args: &RunArgs, env: &Environment, own_name: &str) -> Result<RunOptions, String> {
    let options = contender(args, env, own_name)?;
    if options.program.is_empty() {
        return Err(format!(
            "no program given after --; write it like: elector run -z LIST {} -- ./worker",
            shown(&options.common.election)
        ));
    }
    Ok(options)
}

/// Judges `elector check`, which takes what a run takes. Its answer is for people; a variable that is there for the
/// run to be checked may ask for JSON all the same.
pub(super) fn check(args: &RunArgs, env: &Environment, own_name: &str) -> Result<RunOptions, String> {
    if args.log.log_format.as_ref().is_some_and(|format| format == "json") {
        return Err("--log-format json: check answers in text only; leave it out".into());
    }
    contender(args, env, own_name)
}

/// Judges what a run would be, with a program or without.
fn contender(args: &RunArgs, env: &Environment, own_name: &str) -> Result<RunOptions, String> {
    let mut sources = Sources { env, details: Vec::new() };
    let s = &mut sources;
    let common = s.common(&args.common, args.election.as_ref())?;
    let log = log(s, &args.log, common.quiet)?;
    let id = match s.pick("id", args.id.as_ref()) {
        Some(given) => {
            let id = given.text()?;
            values::id(id).map_err(|rule| given.refuse(id, &rule))?;
            id.to_string()
        }
        None => own_name.to_string(),
    };
    let session_timeout = s
        .duration("session-timeout", args.session_timeout.as_ref(), (100 * MS, HOUR))?
        .unwrap_or_else(|| common.place.session_timeout());
    let loss_grace = s
        .duration("loss-grace", args.loss_grace.as_ref(), (Duration::ZERO, HOUR))?
        .unwrap_or((2 * SECOND).min(session_timeout / 5));
    let stop_signal =
        s.pick("stop-signal", args.stop_signal.as_ref()).map_or(Ok(Signal::TERM), stop_signal)?;
    let mut options = RunOptions {
        program: args.program.clone(),
        id,
        wait: wait(s, args)?,
        give_up_code: s
            .pick("conflict-exit-code", args.conflict_exit_code.as_ref())
            .map_or(Ok(crate::exit::GAVE_UP), |given| given.exit_code())?,
        at_least: s
            .duration("at-least", args.at_least.as_ref(), (Duration::ZERO, MONTH))?
            .unwrap_or_default(),
        once: s.switch("once", args.once)?,
        on_exit: match s.choice("on-exit", args.on_exit.as_ref(), &["resign", "restart"])? {
            "restart" => OnExit::Restart,
            _ => OnExit::Resign,
        },
        stop_signal,
        stop_grace: s
            .duration("stop-grace", args.stop_grace.as_ref(), (Duration::ZERO, MAX_GRACE))?
            .unwrap_or(10 * SECOND),
        stop_on_disconnect: s.choice("on-disconnect", args.on_disconnect.as_ref(), &["hold", "stop"])?
            == "stop",
        session_timeout,
        layout: layout(s, args)?,
        acl: s.pick("acl", args.acl.as_ref()).map(|given| given.text().map(str::to_string)).transpose()?,
        ensemble_tick: ensemble_tick(s, args, &common.place)?,
        loss_grace,
        takeover_delay: s
            .duration("takeover-delay", args.takeover_delay.as_ref(), (Duration::ZERO, 24 * HOUR))?
            .unwrap_or_default(),
        require_cgroup: s
            .choice("containment", args.containment.as_ref(), &["auto", "require-cgroup"])?
            .eq("require-cgroup"),
        log,
        common,
    };
    if options.on_exit == OnExit::Restart && !options.at_least.is_zero() {
        return Err("--at-least says nothing with --on-exit restart: a program that is started again and again holds \
                    the place anyway; leave one of them out"
            .into());
    }
    options.common.details = sources.details;
    Ok(options)
}

/// Judges `elector status` and `elector why`.
pub(super) fn status(args: &StatusArgs, env: &Environment) -> Result<StatusOptions, String> {
    let mut sources = Sources { env, details: Vec::new() };
    let mut common = sources.common(&args.common, args.election.as_ref())?;
    let json = sources.switch("json", args.json)?;
    common.details = sources.details;
    let limit = common.connect_timeout.unwrap_or(STATUS_LIMIT);
    Ok(StatusOptions { common, limit, json })
}

/// Judges `elector observe`. Who wants the log as JSON wants the lines so, too.
pub(super) fn observe(args: &ObserveArgs, env: &Environment) -> Result<ObserveOptions, String> {
    let mut sources = Sources { env, details: Vec::new() };
    let mut common = sources.common(&args.common, args.election.as_ref())?;
    let log = log(&mut sources, &args.log, common.quiet)?;
    let json = sources.switch("json", args.json)? || log.format == Format::Json;
    common.details = sources.details;
    Ok(ObserveOptions { common, json, log })
}

/// Judges how the log is to be written.
pub(super) fn log<'a>(s: &mut Sources<'a>, args: &'a LogArgs, quiet: bool) -> Result<LogOptions, String> {
    let verbose = s.switch("verbose", args.verbose)?;
    let format = match s.choice("log-format", args.log_format.as_ref(), &["text", "json"])? {
        "json" => Format::Json,
        _ => Format::Text,
    };
    Ok(LogOptions { quiet, verbose, format, color: color(s, args.color.as_ref())? })
}

/// Judges `--color`.
pub(super) fn color<'a>(s: &mut Sources<'a>, flag: Option<&'a OsString>) -> Result<Color, String> {
    Ok(match s.choice("color", flag, &["auto", "always", "never"])? {
        "always" => Color::Always,
        "never" => Color::Never,
        _ => Color::Auto,
    })
}

fn wait<'a>(s: &mut Sources<'a>, args: &'a RunArgs) -> Result<Option<Duration>, String> {
    if args.nonblock && args.wait.is_some() {
        return Err("--nonblock and --wait were both given: -n is --wait 0s, say one".into());
    }
    // A flag of one overrides the other's variable.
    if args.wait.is_none() && s.switch("nonblock", args.nonblock)? {
        return Ok(Some(Duration::ZERO));
    }
    s.duration("wait", args.wait.as_ref(), (Duration::ZERO, MONTH))
}

fn ensemble_tick<'a>(
    s: &mut Sources<'a>,
    args: &'a RunArgs,
    place: &Where,
) -> Result<Option<Duration>, String> {
    match s.pick("ensemble-tick", args.ensemble_tick.as_ref()) {
        Some(given) if matches!(place, Where::Local(_)) => {
            Err(format!("{}: the one server of a local election has no tick; leave it out", given.from))
        }
        Some(given) => given.duration(Duration::ZERO, HOUR).map(Some),
        None => Ok(None),
    }
}

fn layout<'a>(s: &mut Sources<'a>, args: &'a RunArgs) -> Result<Layout, String> {
    let name = s.choice("layout", args.layout.as_ref(), &["latch", "lock", "kazoo", "single"])?;
    name.parse().map_err(|error| format!("--layout {name}: {error}"))
}

fn stop_signal(given: Given<'_>) -> Result<Signal, String> {
    let name = given.text()?;
    program::parse_signal(name).ok_or_else(|| {
        given.refuse(name, "no signal that stops a program; take TERM, INT, QUIT, HUP, USR1, USR2 or KILL")
    })
}

fn credentials(given: &Given<'_>) -> Result<Vec<Credential>, String> {
    let path = Path::new(given.value);
    let text = given.value.to_string_lossy();
    let looks_secret = ["digest:", "ip:", "world:", "auth:", "sasl:", "x509:"];
    if looks_secret.iter().any(|scheme| text.starts_with(scheme)) && !path.exists() {
        return Err(format!(
            "{}: it takes a file, not a credential: the command line and the environment can be read by others",
            given.from
        ));
    }
    secrets::read(path).map_err(|rule| format!("{}: {rule}", given.from))
}

fn shown(text: &str) -> String {
    if text.is_empty() { "\"\"".into() } else { text::escape(text) }
}

/// `HOSTNAME:PID`, the id where none is given.
pub(super) fn own_name() -> String {
    let name = rustix::system::uname();
    let host: String =
        name.nodename().to_string_lossy().chars().filter(|character| !character.is_control()).collect();
    let host = if host.is_empty() { "localhost" } else { &host };
    format!("{host}:{}", std::process::id())
}
