//! Completions in the shells themselves, and man pages as `man` shows them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn elector(words: &[&str]) -> Output {
    zk_ensemble::bound_command(env!("CARGO_BIN_EXE_elector")).args(words).output().expect("elector starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether the tool is there. In the gate everything is.
fn there(tool: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().expect("a shell");
    if !found.status.success() {
        assert!(std::env::var_os("ELECTOR_REQUIRE_ALL").is_none(), "{tool} is missing; run scripts/setup");
        println!("SKIPPED: {tool} is not installed");
    }
    found.status.success()
}

fn script(folder: &Path, shell: &str, name: &str) -> PathBuf {
    let output = elector(&["completions", shell]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let path = folder.join(name);
    std::fs::write(&path, output.stdout).expect("written");
    path
}

/// What bash offers for the last of `words`.
fn bash(script: &Path, words: &str) -> String {
    let ask = format!(
        "source '{}'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _elector elector \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\" 2>/dev/null; \
         echo \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let output = Command::new("bash").args(["--norc", "-c", &ask]).output().expect("bash starts");
    text(&output.stdout)
}

#[test]
fn bash_completes_commands_options_and_choices() {
    if !there("bash") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = script(folder.path(), "bash", "elector.bash");
    let commands = bash(&script, "elector ''");
    for command in ["run", "status", "observe", "why", "demo", "serve", "completions", "man"] {
        assert!(commands.split_whitespace().any(|word| word == command), "{command}: {commands}");
    }
    assert_eq!(bash(&script, "elector ob").trim(), "observe");
    assert_eq!(bash(&script, "elector run --stop-g").trim(), "--stop-grace");
    let layouts = bash(&script, "elector run --layout ''");
    assert!(["latch", "lock", "kazoo", "single"].iter().all(|layout| layouts.contains(layout)), "{layouts}");
    assert_eq!(bash(&script, "elector completions f").trim(), "fish");
    // Behind the dashes stands a program.
    let programs = bash(&script, "elector run --local /b -- printen");
    assert!(programs.split_whitespace().any(|word| word == "printenv"), "{programs}");
    assert_eq!(bash(&script, "elector run --local /b -- printenv --").trim(), "");
}

#[test]
fn zsh_takes_the_script_as_it_is() {
    if !there("zsh") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = script(folder.path(), "zsh", "_elector");
    let load = format!(
        "fpath=('{}' $fpath); autoload -Uz compinit && compinit -u -d '{}'; \
         autoload +X _elector && print -r -- \"$_comps[elector]\"",
        folder.path().display(),
        folder.path().join("dump").display()
    );
    let output = Command::new("zsh").args(["-f", "-c", &load]).output().expect("zsh starts");
    assert_eq!((text(&output.stdout).trim(), text(&output.stderr).as_str()), ("_elector", ""));
    let words = std::fs::read_to_string(script).expect("readable");
    assert!(words.contains("--stop-grace") && words.contains("first signal to PROGRAM"));
}

/// What zsh makes of `line` and a tab, in a folder of its own with one file in it.
fn zsh(folder: &Path, line: &str) -> String {
    let keys = format!(
        "zmodload zsh/zpty
         zpty -b z zsh -f -i
         zpty -w z \"PS1=; fpath=('{0}' \\$fpath); cd '{0}'; autoload -Uz compinit; compinit -u -d '{0}/dump'; echo RE''ADY\"
         zpty -m z '*READY*'
         zpty -n -w z '{line}'$'\\t'
         for ((i = 0; i < 30; i++)); do
             sleep 0.1
             while zpty -r -t z more; do said+=$more; done
         done
         print -r -- $said",
        folder.display()
    );
    let output = Command::new("zsh").args(["-f", "-c", &keys]).env("TERM", "dumb").output();
    text(&output.expect("zsh starts").stdout)
}

#[test]
fn zsh_completes_the_program_and_its_files() {
    if !there("zsh") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    script(folder.path(), "zsh", "_elector");
    std::fs::write(folder.path().join("the-only-file"), "").expect("written");
    for (line, whole) in [
        ("elector ob", "observe"),
        ("elector run --local /b -- printen", "printenv"),
        ("elector run --local /b -- cat the-on", "the-only-file"),
    ] {
        let shown = zsh(folder.path(), line);
        assert!(shown.contains(whole), "{line}: {shown:?}");
    }
    let shown = zsh(folder.path(), "elector run --local /b -- printenv --stop-g");
    assert!(!shown.contains("--stop-grace"), "{shown:?}");
}

#[test]
fn fish_completes_with_descriptions() {
    if !there("fish") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = script(folder.path(), "fish", "elector.fish");
    let complete = |line: &str| {
        let ask = format!("source '{}'; complete -C '{line}'", script.display());
        let output = Command::new("fish")
            .args(["-N", "-c", &ask])
            .env("HOME", folder.path())
            .output()
            .expect("fish starts");
        text(&output.stdout)
    };
    assert!(
        complete("elector obs").starts_with("observe\tPrint each change of leader"),
        "{}",
        complete("elector obs")
    );
    assert!(complete("elector run --stop-g").contains("then KILL"), "{}", complete("elector run --stop-g"));
    assert!(complete("elector run --on-exit r").contains("restart"));
    // Behind the dashes stands a program, whose options are its own.
    assert!(complete("elector run --local /b -- printen").starts_with("printenv"));
    std::fs::write(folder.path().join("a-file"), "").expect("written");
    let file = format!("elector run --local /b -- cat {}/a-fi", folder.path().display());
    assert!(complete(&file).contains("/a-file"), "{}", complete(&file));
    assert_eq!(complete("elector run --local /b -- printenv --stop-g"), "");
}

#[test]
fn the_man_pages_are_clean_and_say_what_the_help_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("man1");
    let output = elector(&["man", pages.to_str().expect("a plain path")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut names: Vec<String> = std::fs::read_dir(&pages)
        .expect("made")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(
        names.contains(&"elector.1".to_string()) && names.contains(&"elector-run.1".to_string()),
        "{names:?}"
    );
    if !there("groff") {
        return;
    }
    for name in &names {
        let output = Command::new("groff").args(["-ww", "-man", "-Tutf8"]).arg(pages.join(name)).output();
        let output = output.expect("groff starts");
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {}", text(&output.stderr));
    }
    let shown =
        Command::new("man").arg("-l").arg(pages.join("elector-run.1")).env("MANWIDTH", "200").output();
    let Ok(shown) = shown else { return };
    let shown = text(&shown.stdout);
    for word in [
        "elector run [OPTIONS] ELECTION -- PROGRAM",
        "--stop-grace",
        "lines of scheme:credential",
        "Exit status",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
}

#[test]
fn what_is_misspelt_is_one_line() {
    for (words, part) in [
        (&["completions"][..], "no shell given; there are bash, zsh and fish"),
        (&["completions", "bsh"], "did you mean bash?"),
        (&["man"], "no directory given"),
    ] {
        let output = elector(words);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.starts_with("elector: ") && said.contains(part), "{said}");
    }
    let output = elector(&["man", "/dev/null/pages"]);
    assert_eq!(output.status.code(), Some(125), "{}", text(&output.stderr));
}
