//! The command lines of the README and of `docs/` are run as they stand, each page from top to bottom in a folder of its
//! own: a run has to lead or wait, a server to listen, and a question to be answered. What a reader has to put in its
//! place (servers, the home's directory, the worker) is put there. The README's example with three servers is run by a
//! script of its own.

mod common;

use common::{Elector, LONG, Running};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Servers as the pages name them.
const NAMED: [&str; 2] = ["zk1:2181,zk2:2181,zk3:2181", "127.0.0.1:2181"];

/// A page's own world.
struct Reader {
    folder: tempfile::TempDir,
    server: Running,
    address: String,
    runs: Vec<Running>,
}

impl Reader {
    fn new() -> Reader {
        let folder = tempfile::tempdir().expect("a folder");
        for worker in ["billing-worker", "backup-worker"] {
            let file = folder.path().join(worker);
            fs::write(&file, "#!/bin/sh\nexec sleep 1000\n").expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).expect("its mode");
        }
        let data = folder.path().join("ensemble");
        let serve = Elector::new("serve").words("--listen 127.0.0.1:0 --data-dir");
        let mut server = serve.word(data.to_str().expect("a plain path")).start();
        let told = server.wait_for("listens on");
        let address = told.split("listens on ").nth(1).and_then(|rest| rest.split(';').next());
        let address = address.expect("an address").to_string();
        Reader { folder, server, address, runs: Vec::new() }
    }

    /// The words of a line, with what a reader puts into them.
    fn command(&self, line: &str) -> Elector {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        line.split_ascii_whitespace().skip(1).fold(Elector::bare(), |elector, word| match word {
            "--local" => elector.word(&format!("--local={}", path("home"))),
            "./zk" => elector.word(&path("zk")),
            named if NAMED.contains(&named) => elector.word(&self.address),
            worker if worker.starts_with("./") => elector.word(&path(&worker[2..])),
            word => elector.word(word),
        })
    }

    fn type_in(&mut self, page: &Path, line: &str) {
        let shown = format!("{}: {line}", page.display());
        match line.split_ascii_whitespace().nth(1) {
            Some("run") => {
                let mut run = self.command(line).start();
                run.wait_for("session 0x");
                self.runs.push(run);
            }
            Some("serve") => {
                // Any port will do: that of the page may be somebody else's on this machine.
                let listen = if line.contains("--listen") { "" } else { "--listen 127.0.0.1:0" };
                let mut server = self.command(line).words(listen).start();
                server.wait_for("listens on");
                server.signal(Signal::TERM);
                assert_eq!(server.end(LONG), Some(0), "{shown}: {}", server.said());
            }
            Some("status") => {
                self.runs.last_mut().expect("a run above").wait_for("leading with token");
                self.answered(line, &shown);
            }
            _ => self.answered(line, &shown),
        }
    }

    fn answered(&self, line: &str, shown: &str) {
        let output = self.command(line).output();
        assert_eq!(output.code, Some(0), "{shown}: {}{}", output.stdout, output.stderr);
        assert!(!output.stdout.is_empty(), "{shown}");
    }

    fn leave(mut self) {
        for mut run in self.runs.drain(..).rev() {
            run.signal(Signal::TERM);
            assert_eq!(run.end(LONG), Some(0), "{}", run.said());
        }
        self.server.signal(Signal::TERM);
        assert_eq!(self.server.end(LONG), Some(0), "{}", self.server.said());
    }
}

/// The lines of a page's fenced blocks that begin with the command. Those that end in `&` are the script's.
fn lines(text: &str) -> Vec<&str> {
    let fenced = text.split("```").skip(1).step_by(2);
    let scripts = fenced.filter(|block| !block.contains("scripts/ensemble"));
    let lines = scripts.flat_map(str::lines).filter(|line| line.starts_with("elector "));
    lines.map(|line| line.split('#').next().unwrap_or_default().trim()).collect()
}

#[test]
fn the_command_lines_of_the_pages_do_what_they_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = fs::read_dir(root.join("docs")).expect("the pages").flatten().map(|entry| entry.path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let pages: Vec<PathBuf> = pages.chain([root.join("README.md")]).collect();
    let mut run = 0;
    for page in pages {
        let text = fs::read_to_string(&page).expect("a page");
        let lines = lines(&text);
        if lines.is_empty() {
            continue;
        }
        let mut reader = Reader::new();
        for line in &lines {
            println!("{}: {line}", page.display());
            reader.type_in(&page, line);
        }
        reader.leave();
        run += lines.len();
    }
    assert!(run >= 9, "only {run} command lines were found");
}
