//! What packages and users' set-ups are made from: completions for shells, and man pages.
//!
//! Both come from the grammar with the words of the help, so they never say anything else than `--help`.

use crate::{args, exit, log, text};
use clap_complete::Shell;
use clap_mangen::Man;
use std::fs;
use std::io;
use std::path::Path;

/// Where each shell's script is amended, and with what: behind `--` stands a program with arguments of its own, which
/// the generator knows nothing of.
const AMENDED: [(Shell, &str, &str); 3] = [
    // A command first, then the shell's own files, to which no answer leads.
    (
        Shell::Bash,
        "    local i cur prev opts cmd\n    COMPREPLY=()\n",
        r#"    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == -- ]]; then
            if ((i + 1 == COMP_CWORD)); then
                mapfile -t COMPREPLY < <(compgen -c -- "$2")
            fi
            return 0
        fi
    done
"#,
    ),
    (
        Shell::Zsh,
        "    local ret=1\n",
        r#"    integer dashes=${words[(i)--]}
    if (( dashes < CURRENT )); then
        shift dashes words
        (( CURRENT -= dashes ))
        _normal
        return
    fi
"#,
    ),
    (
        Shell::Fish,
        "",
        r#"function __elector_program
    set -l words (commandline -opc)
    set -l dashes (contains -i -- -- $words); or return
    complete -C (string join -- ' ' (string escape -- $words[(math $dashes + 1)..]) (commandline -ct))
end
complete -c elector -n 'contains -- -- (commandline -opc)' -f -a '(__elector_program)'
"#,
    ),
];

/// Writes a shell's completions to standard output.
pub(crate) fn completions(shell: Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::described(), "elector", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    for (_, begins, amendment) in AMENDED.iter().filter(|(of, ..)| *of == shell) {
        script = script.replacen(begins, &format!("{begins}{amendment}"), 1);
    }
    text::answer(&script, exit::OK)
}

/// Writes `elector.1` and a page for each command into a directory, which it makes where it is missing.
pub(crate) fn man_pages(directory: &Path) -> u8 {
    match write_pages(directory) {
        Ok(()) => exit::OK,
        Err(error) => {
            let shown = text::escape(&directory.to_string_lossy());
            log::complain(&format!("{shown}: the man pages cannot be written: {error}"));
            exit::FAILURE
        }
    }
}

fn write_pages(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let whole = args::described();
    for sub in whole.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = format!("elector-{}", sub.get_name());
        write_page(directory, &sub.clone().name(&name).display_name(&name), &name)?;
    }
    write_page(directory, &whole, "elector")
}

fn write_page(directory: &Path, command: &clap::Command, name: &str) -> io::Result<()> {
    let man = Man::new(command.clone()).manual("Elector").date("");
    let mut page = Vec::new();
    man.render(&mut page)?;
    fs::write(directory.join(format!("{name}.1")), page)
}
