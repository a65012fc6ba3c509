//! What `elector completions` and `elector man` work with. They read no variable: a packager's environment says
//! nothing about elections.

use super::grammar::{CompletionsArgs, ManArgs};
use super::nearest;
use crate::text;
use clap_complete::Shell;
use std::path::PathBuf;

const SHELLS: [(&str, Shell); 3] = [("bash", Shell::Bash), ("zsh", Shell::Zsh), ("fish", Shell::Fish)];

/// Judges `elector completions`.
pub(super) fn completions(args: &CompletionsArgs) -> Result<Shell, String> {
    let known = "bash, zsh and fish";
    let Some(shell) = &args.shell else {
        return Err(format!("no shell given; there are {known}: elector completions bash"));
    };
    let name = shell.to_string_lossy();
    if let Some((_, shell)) = SHELLS.iter().find(|(known, _)| *known == name) {
        return Ok(*shell);
    }
    let shown = text::escape(&name);
    Err(match nearest::nearest(&name, SHELLS.iter().map(|(known, _)| *known)) {
        Some(meant) => format!("unknown shell {shown}; did you mean {meant}?"),
        None => format!("unknown shell {shown}; there are {known}"),
    })
}

/// Judges `elector man`.
pub(super) fn man(args: &ManArgs) -> Result<PathBuf, String> {
    let directory = args.directory.as_ref().filter(|directory| !directory.is_empty());
    directory.map(PathBuf::from).ok_or_else(|| {
        "no directory given: say where the pages go, such as elector man ~/.local/share/man/man1".to_string()
    })
}
