//! The command line: from words and variables to options that are known to be good, or one line about what is not.
//!
//! Nothing here connects, starts or prints anything. `main` is the only caller.

mod demo;
mod described;
mod duration;
mod env;
mod grammar;
mod help;
mod nearest;
mod options;
mod packaging;
mod place;
mod secrets;
mod serve;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use demo::DemoOptions;
pub(crate) use described::command as described;
pub(crate) use env::Environment;
pub(crate) use options::{Common, ObserveOptions, OnExit, RunOptions, StatusOptions};
pub(crate) use place::Where;
pub(crate) use serve::ServeOptions;

use crate::log::Format;
use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::PathBuf;

/// The commands of this version, as they stand in the help.
const COMMANDS: [&str; 9] =
    ["run", "check", "status", "observe", "why", "demo", "serve", "completions", "man"];

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Request {
    Run(Box<RunOptions>),
    Check(Box<RunOptions>),
    Status(Box<StatusOptions>),
    Observe(Box<ObserveOptions>),
    Why(Box<StatusOptions>),
    Serve(Box<ServeOptions>),
    Demo(DemoOptions),
    Completions(Shell),
    Man(PathBuf),
    /// A text for standard output, and nothing else to do.
    Print(String),
}

/// Reads a command line; `words` begins with the program's own name. The error is what to say after `elector: `.
pub(crate) fn parse(words: &[OsString], env: &Environment) -> Result<Request, String> {
    if words.len() < 2 {
        return Err(format!("no command given; there are {} (elector --help)", known_commands()));
    }
    if let Some(refusal) = secret_on_the_command_line(words) {
        return Err(refusal);
    }
    if words[1] == "help" {
        // `elector help run` is what many type for `elector run --help`.
        let asked = words[..1].iter().chain(&words[2..]).cloned().chain(["--help".into()]);
        return parse(&asked.collect::<Vec<_>>(), env);
    }
    match grammar::Cli::try_parse_from(words) {
        Ok(cli) => judge(&cli, env).map_err(|refusal| with_unknown(refusal, env)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp => Ok(Request::Print(help_for(words))),
            ErrorKind::DisplayVersion => {
                Ok(Request::Print(format!("elector {}\n", env!("CARGO_PKG_VERSION"))))
            }
            _ => Err(explain(&error, words)),
        },
    }
}

fn judge(cli: &grammar::Cli, env: &Environment) -> Result<Request, String> {
    match &cli.command {
        grammar::Command::Run(args) => {
            options::run(args, env, &options::own_name()).map(|options| Request::Run(Box::new(options)))
        }
        grammar::Command::Check(args) => {
            options::check(args, env, &options::own_name()).map(|options| Request::Check(Box::new(options)))
        }
        grammar::Command::Status(args) => {
            options::status(args, env).map(|options| Request::Status(Box::new(options)))
        }
        grammar::Command::Observe(args) => {
            options::observe(args, env).map(|options| Request::Observe(Box::new(options)))
        }
        grammar::Command::Why(args) => {
            options::status(args, env).map(|options| Request::Why(Box::new(options)))
        }
        grammar::Command::Serve(args) => {
            serve::serve(args, env).map(|options| Request::Serve(Box::new(options)))
        }
        grammar::Command::Completions(args) => packaging::completions(args).map(Request::Completions),
        grammar::Command::Man(args) => packaging::man(args).map(Request::Man),
        grammar::Command::Demo(args) => demo::demo(args, env).map(Request::Demo),
    }
}

/// A refusal may come of a variable that is misspelt, and so was not read.
fn with_unknown(refusal: String, env: &Environment) -> String {
    std::iter::once(refusal).chain(env.unknown(&options::NAMES)).collect::<Vec<_>>().join("\n  ")
}

/// The words before `--`, which are ours.
fn own_words(words: &[OsString]) -> impl Iterator<Item = &OsString> {
    words.iter().skip(1).take_while(|word| *word != "--")
}

/// How to put a refusal, if the command's log has a form: what was refused may stand before the option that says so.
pub(crate) fn log_format(words: &[OsString], env: &Environment) -> Format {
    const NAME: &str = "log-format";
    if !grammar::long_names(command(words)).iter().any(|name| name == NAME) {
        return Format::Text;
    }
    let own: Vec<&str> = own_words(words).filter_map(|word| word.to_str()).collect();
    let flag = own.iter().enumerate().find_map(|(at, word)| match word.strip_prefix("--log-format")? {
        "" => own.get(at + 1).copied(),
        rest => rest.strip_prefix('='),
    });
    let said = flag.or_else(|| env.get(NAME).and_then(|value| value.to_str()));
    if said == Some("json") { Format::Json } else { Format::Text }
}

/// What stands behind a `--local` without a directory, where that is followed by an election as well.
fn behind_local(words: &[OsString]) -> Option<String> {
    let mut behind = own_words(words).skip_while(|word| *word != "--local").skip(1);
    let is_path = |word: &OsString| word.to_str().is_some_and(|word| word.starts_with(['/', '.', '~']));
    let directory = behind.next().filter(|word| is_path(word))?;
    behind.next().filter(|word| is_path(word))?;
    Some(crate::text::escape(&directory.to_string_lossy()))
}

fn command(words: &[OsString]) -> Option<&str> {
    own_words(words).filter_map(|word| word.to_str()).find(|word| COMMANDS.contains(word))
}

/// The commands in a sentence: `run, status and serve`.
fn known_commands() -> String {
    let (last, others) = COMMANDS.split_last().expect("there are commands");
    format!("{} and {last}", others.join(", "))
}

fn help_for(words: &[OsString]) -> String {
    let long = own_words(words).any(|word| word == "--help");
    match command(words) {
        Some("run") if long => format!("{}{}", help::RUN, help::RUN_MORE),
        Some("run") => format!("{}More: --help\n", help::RUN),
        other => help::page(other).into(),
    }
}

/// Everybody on the machine can read the arguments of a process, so a password in them is refused before anything
/// else, and not repeated.
fn secret_on_the_command_line(words: &[OsString]) -> Option<String> {
    let names = ["--auth", "--password", "--passwd", "--credential", "--credentials", "--digest", "--user"];
    let word = own_words(words).filter_map(|word| word.to_str()).find(|word| {
        let name = word.split('=').next().unwrap_or_default();
        names.contains(&name)
    })?;
    let name = word.split('=').next().unwrap_or_default();
    Some(format!(
        "{name}: a password on the command line can be read by everybody on this machine: use --auth-file"
    ))
}

/// One line for what clap found.
fn explain(error: &clap::Error, words: &[OsString]) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(crate::text::escape(text)),
        Some(ContextValue::Strings(texts)) => texts.first().map(|text| crate::text::escape(text)),
        _ => None,
    };
    let whose = command(words).map_or_else(String::new, |name| format!(" {name}"));
    let see = format!("(elector{whose} --help)");
    let argument = context(ContextKind::InvalidArg).unwrap_or_default();
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            unknown_command(&context(ContextKind::InvalidSubcommand).unwrap_or_default())
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            format!("no command given; there are {} (elector --help)", known_commands())
        }
        ErrorKind::UnknownArgument if !argument.starts_with('-') => match command(words) {
            _ if let Some(directory) = behind_local(words) => {
                format!("unexpected {argument}; a directory is given in one word: --local={directory}")
            }
            Some("run") if words.iter().any(|word| word == "--") => {
                format!("unexpected {argument}: one election only, then -- and the program")
            }
            Some("run") => {
                format!("unexpected {argument}: no program given after --; the program goes there")
            }
            _ => format!("unexpected {argument} {see}"),
        },
        ErrorKind::UnknownArgument if own_words(words).next().is_some_and(is_option) => {
            format!("{argument} stands before the command; options go behind it {see}")
        }
        ErrorKind::UnknownArgument => {
            let known: Vec<String> =
                grammar::long_names(command(words)).iter().map(|name| format!("--{name}")).collect();
            let typed = argument.split('=').next().unwrap_or_default();
            match nearest::nearest(typed, known.iter().map(String::as_str)) {
                Some(meant) if typed.starts_with("--") => {
                    format!("unknown option {typed}; did you mean {meant}? {see}")
                }
                _ => format!("unknown option {typed} {see}"),
            }
        }
        ErrorKind::ArgumentConflict => format!("{} was given more than once {see}", bare(&argument)),
        ErrorKind::TooManyValues => format!("{} takes no value {see}", bare(&argument)),
        ErrorKind::InvalidValue | ErrorKind::NoEquals | ErrorKind::TooFewValues => {
            format!("{} needs a value {see}", bare(&argument))
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_string();
            format!("{} {see}", crate::text::escape(&first))
        }
    }
}

fn is_option(word: &OsString) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}

/// `--wait <WAIT>` is `--wait` to whoever typed it.
fn bare(argument: &str) -> &str {
    argument.split([' ', '[']).next().unwrap_or(argument).trim_end_matches('=')
}

fn unknown_command(name: &str) -> String {
    match nearest::nearest(name, COMMANDS) {
        Some(meant) => format!("unknown command {name}; did you mean {meant}? (elector --help)"),
        None => format!("unknown command {name}; there are {} (elector --help)", known_commands()),
    }
}
