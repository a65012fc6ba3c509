//! What clap knows: names, and which of them take a value. Values are judged in `options`, where it is also known
//! whether they came from a flag or a variable.

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;

#[derive(Debug, Parser)]
#[command(
    name = "elector",
    version,
    disable_help_flag = true,
    disable_help_subcommand = true,
    arg_required_else_help = false
)]
pub(super) struct Cli {
    #[arg(short = 'h', long = "help", action = ArgAction::Help, global = true)]
    help: Option<bool>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Run(Box<RunArgs>),
    Check(Box<RunArgs>),
    Status(StatusArgs),
    Observe(ObserveArgs),
    Why(StatusArgs),
    Serve(ServeArgs),
    Demo(DemoArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// The value of `--local` without one: something that nobody can type, since no word holds it.
pub(super) const LOCAL_ALONE: &str = "\0";

/// What every command takes.
#[derive(Debug, Args, Default)]
pub(super) struct CommonArgs {
    #[arg(short = 'z', long)]
    pub(super) zookeeper: Option<OsString>,
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = LOCAL_ALONE)]
    pub(super) local: Option<OsString>,
    #[arg(long, allow_hyphen_values = true)]
    pub(super) connect_timeout: Option<OsString>,
    #[arg(long)]
    pub(super) auth_file: Option<OsString>,
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// How much a command that goes on says, and in what form.
#[derive(Debug, Args, Default)]
pub(super) struct LogArgs {
    #[arg(short, long)]
    pub(super) verbose: bool,
    #[arg(long)]
    pub(super) log_format: Option<OsString>,
    #[arg(long)]
    pub(super) color: Option<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    #[arg(long, allow_hyphen_values = true)]
    pub(super) id: Option<OsString>,
    #[arg(long, allow_hyphen_values = true)]
    pub(super) wait: Option<OsString>,
    #[arg(short, long)]
    pub(super) nonblock: bool,
    #[arg(short = 'E', long, allow_hyphen_values = true)]
    pub(super) conflict_exit_code: Option<OsString>,
    #[arg(long, allow_hyphen_values = true)]
    pub(super) at_least: Option<OsString>,
    #[arg(long)]
    pub(super) once: bool,
    #[arg(long)]
    pub(super) on_exit: Option<OsString>,
    #[arg(long)]
    pub(super) stop_signal: Option<OsString>,
    #[arg(long, allow_hyphen_values = true)]
    pub(super) stop_grace: Option<OsString>,
    #[arg(long)]
    pub(super) on_disconnect: Option<OsString>,
    #[arg(long, allow_hyphen_values = true)]
    pub(super) session_timeout: Option<OsString>,
    #[command(flatten)]
    pub(super) log: LogArgs,
    #[arg(long)]
    pub(super) layout: Option<OsString>,
    #[arg(long)]
    pub(super) acl: Option<OsString>,
    #[arg(long, allow_hyphen_values = true)]
    pub(super) ensemble_tick: Option<OsString>,
    #[arg(long, allow_hyphen_values = true)]
    pub(super) loss_grace: Option<OsString>,
    #[arg(long, allow_hyphen_values = true)]
    pub(super) takeover_delay: Option<OsString>,
    #[arg(long)]
    pub(super) containment: Option<OsString>,
    pub(super) election: Option<OsString>,
    #[arg(last = true)]
    pub(super) program: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    #[arg(long)]
    pub(super) json: bool,
    pub(super) election: Option<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct ObserveArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) log: LogArgs,
    pub(super) election: Option<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[arg(long)]
    pub(super) data_dir: Option<OsString>,
    #[arg(long)]
    pub(super) listen: Option<OsString>,
    #[arg(long)]
    pub(super) allow_remote: bool,
    #[arg(short, long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    pub(super) shell: Option<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    pub(super) directory: Option<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    #[arg(long)]
    pub(super) color: Option<OsString>,
}

/// The long options of a command, without dashes; none where there is no such command.
pub(super) fn long_names(command: Option<&str>) -> Vec<String> {
    let cli = Cli::command();
    let Some(sub) = command.and_then(|name| cli.find_subcommand(name)) else { return Vec::new() };
    let names = sub.get_arguments().filter_map(|arg| arg.get_long());
    names.filter(|name| *name != "help").map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{help, options};
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_is_in_the_help_and_has_a_variable() {
        let run = format!("{}{}", help::RUN, help::RUN_MORE);
        for name in long_names(Some("run")) {
            assert!(run.contains(&format!("--{name}")), "run: --{name}");
            assert!(options::NAMES.contains(&name.as_str()), "run: --{name}");
        }
        for (command, text) in help::PAGES {
            for name in long_names(Some(command)) {
                assert!(text.contains(&format!("--{name}")), "{command}: --{name}");
                assert!(options::NAMES.contains(&name.as_str()), "{command}: --{name}");
            }
        }
    }

    #[test]
    fn every_option_of_the_help_is_in_the_grammar() {
        for (command, text) in [("run", help::RUN), ("run", help::RUN_MORE)].into_iter().chain(help::PAGES) {
            let names = long_names(Some(command));
            let at_line_start = text.lines().filter_map(|line| {
                let line = line.strip_prefix("  ")?.trim_start();
                let line = line.split_once(", --").map_or(line, |(short, _)| &line[short.len() + 2..]);
                line.strip_prefix("--")?.split([' ', '[', '=']).next()
            });
            for name in at_line_start {
                assert!(names.iter().any(|known| known == name), "{command}: --{name}");
            }
        }
    }
}
