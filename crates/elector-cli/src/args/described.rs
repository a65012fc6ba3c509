//! The grammar with the words of the help pages: what completions and man pages are made from.
//!
//! Purpose: one description of each option. The pages in `help` are written by hand, since their layout is part of
//! the interface; here they are read back, so that a shell's completions and a man page say the same. Invariant,
//! held by a test: every option and every command has its words. Called for those two outputs only.

use super::grammar::Cli;
use super::help;
use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, CommandFactory, ValueHint};

/// Where descriptions begin in a page.
const COLUMN: usize = 28;

/// A page taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    usage: String,
    about: String,
    options: Vec<Described>,
    /// What follows the options, paragraph by paragraph.
    tail: Vec<String>,
}

/// One option of a page.
#[derive(Debug, Default, PartialEq, Eq)]
struct Described {
    long: String,
    value: String,
    text: String,
}

/// The whole command.
pub(crate) fn command() -> Command {
    let top = help::TOP.lines();
    let about = top.clone().next().unwrap_or_default().trim_start_matches("elector: ").to_string();
    let mut cli = Cli::command().about(about).mut_arg("help", |arg| arg.help("Show the help"));
    let names: Vec<String> = cli.get_subcommands().map(|sub| sub.get_name().to_string()).collect();
    for name in names {
        let line = top.clone().find_map(|line| line.strip_prefix(&format!("  {name} ")));
        let short = line.unwrap_or_default().trim().to_string();
        cli = cli.mut_subcommand(&name, |sub| describe(sub, &short));
    }
    cli
}

fn describe(sub: Command, short: &str) -> Command {
    let text = match sub.get_name() {
        "run" => format!("{}{}", help::RUN, help::RUN_MORE),
        name => help::page(Some(name)).to_string(),
    };
    let mut page = read(&text);
    if sub.get_name() == "check" {
        page.options = read(&format!("{}{}", help::RUN, help::RUN_MORE)).options;
    }
    let with_args = sub.mut_args(|arg| match arg.get_long() {
        Some("help") => arg.help("Show the help"),
        Some(long) => match page.options.iter().find(|option| option.long == long) {
            Some(option) => describe_option(arg, option),
            None => arg,
        },
        None => describe_operand(arg),
    });
    let tail = page.tail.join("\n\n");
    with_args.about(short.to_string()).long_about(page.about).override_usage(page.usage).after_long_help(tail)
}

fn describe_option(arg: Arg, option: &Described) -> Arg {
    let arg = arg.help(option.text.clone());
    if option.value.is_empty() {
        return arg;
    }
    let choices: Vec<String> = option.value.split('|').map(str::to_string).collect();
    let arg = arg.value_name(option.value.clone());
    match option.value.as_str() {
        "FILE" => arg.value_hint(ValueHint::FilePath),
        "DIR" => arg.value_hint(ValueHint::DirPath),
        _ if choices.len() > 1 => {
            // The value's name shows them already.
            arg.value_parser(PossibleValuesParser::new(choices)).hide_possible_values(true)
        }
        // Names, numbers and durations are the user's own; files would be a wrong hint.
        _ => arg.value_hint(ValueHint::Other),
    }
}

fn describe_operand(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "election" => arg
            .value_name("ELECTION")
            .value_hint(ValueHint::Other)
            .help("The election's absolute path, such as /billing"),
        "program" => arg
            .value_name("PROGRAM")
            .value_hint(ValueHint::CommandName)
            .help("The program and its arguments, executed without a shell"),
        "shell" => {
            arg.value_name("SHELL").value_parser(["bash", "zsh", "fish"]).help("The shell to complete in")
        }
        "directory" => arg.value_name("DIR").value_hint(ValueHint::DirPath).help("Where the pages go"),
        _ => arg,
    }
}

/// Takes a page apart: usage and description, options, and the rest.
fn read(text: &str) -> Page {
    let mut page = Page::default();
    for paragraph in text.trim_end().split("\n\n") {
        let mut lines = paragraph.lines();
        if let Some(usage) = paragraph.strip_prefix("Usage: ") {
            let (usage, about) = usage.split_once('\n').unwrap_or((usage, ""));
            (page.usage, page.about) = (usage.to_string(), about.replace('\n', " "));
        } else if lines.clone().any(is_option) {
            lines.by_ref().for_each(|line| read_option(&mut page.options, line));
        } else {
            page.tail.push(paragraph.to_string());
        }
    }
    page
}

fn is_option(line: &str) -> bool {
    line.starts_with("  -") || line.starts_with("      --")
}

fn read_option(options: &mut Vec<Described>, line: &str) {
    if is_option(line) {
        let separated = line.as_bytes().get(COLUMN - 1) == Some(&b' ');
        let (head, text) = if separated { line.split_at(COLUMN) } else { (line, "") };
        let named = head.split_once("--").map_or("", |(_, named)| named).trim_end();
        let at = named.find([' ', '[']).unwrap_or(named.len());
        let value = named[at..].trim_matches([' ', '[', ']', '=']);
        options.push(Described { long: named[..at].into(), value: value.into(), text: text.trim().into() });
    } else if let (Some(option), true) = (options.last_mut(), line.starts_with(' ')) {
        let more = line.trim();
        if !option.text.is_empty() && !more.is_empty() {
            option.text.push(' ');
        }
        option.text.push_str(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart() {
        let page = read(
            "Usage: elector x [OPTIONS]\nDoes\nthings.\n\n\
             \x20 -E, --conflict-exit-code CODE\n\
             \x20                           exit status when\n\
             \x20                           it gave up  [124]\n\
             \x20     --local[=DIR]         only you\n\
             \x20 -q, --quiet               no warnings\n\nExit status: 0.\n",
        );
        let option = |long: &str, value: &str, text: &str| Described {
            long: long.into(),
            value: value.into(),
            text: text.into(),
        };
        assert_eq!((page.usage.as_str(), page.about.as_str()), ("elector x [OPTIONS]", "Does things."));
        assert_eq!(
            page.options,
            [
                option("conflict-exit-code", "CODE", "exit status when it gave up  [124]"),
                option("local", "DIR", "only you"),
                option("quiet", "", "no warnings"),
            ]
        );
        assert_eq!(page.tail, ["Exit status: 0."]);
    }

    #[test]
    fn every_command_and_every_option_has_its_words() {
        for sub in command().get_subcommands() {
            let name = sub.get_name();
            assert!(sub.get_about().is_some_and(|about| !about.to_string().is_empty()), "{name}");
            assert!(sub.get_long_about().is_some_and(|about| !about.to_string().is_empty()), "{name}");
            for arg in sub.get_arguments() {
                assert!(arg.get_help().is_some_and(|help| !help.to_string().is_empty()), "{name} {arg}");
                let takes_value = arg.get_action().takes_values() && arg.get_long().is_some();
                let shown = arg.get_value_names().is_some_and(|names| names[0] != arg.get_id().as_str());
                assert!(!takes_value || shown, "{name} {arg}: no word for its value");
            }
        }
        command().debug_assert();
    }
}
