//! The command `elector`: run a program only while it leads, show who leads and why, serve where there is no server, and
//! show all of it in a demo.
//!
//! `args` turns words and variables into options, `run`, `status`, `why`, `serve` and `demo` do what they say, `program` owns the
//! process tree, `exit` has every exit status.

mod args;
mod asking;
mod check;
mod demo;
mod exit;
mod generate;
mod history;
mod json;
mod local;
mod log;
mod notify;
mod observe;
mod program;
mod run;
mod serve;
mod signals;
mod status;
mod text;
mod why;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use std::ffi::OsString;
use std::process::ExitCode;

/// Files that must be allowed to be open at a time. With fewer, what we are built on would not start, without a word
/// that says why.
const FEWEST_FILES: u64 = 32;

fn main() -> ExitCode {
    // Credentials and session passwords are in our memory, in that of the helpers too, and belong in no core dump. Exec
    // undoes it for the program. Where a filter of system calls forbids even this, all else still holds.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let words: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = program::enter_helper(&words) {
        return code;
    }
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if files.is_some_and(|files| files < FEWEST_FILES) {
        log::complain(&format!(
            "too few files may be open for elector to run: ulimit -n {FEWEST_FILES} at least"
        ));
        return ExitCode::from(exit::FAILURE);
    }
    if let Err(error) = signals::start_afresh() {
        log::complain(&format!("the system refused what elector needs: {error}"));
        return ExitCode::from(exit::FAILURE);
    }
    if demo::is_worker(&words) {
        return demo::work();
    }
    let environment = args::Environment::new(std::env::vars_os());
    match args::parse(&words, &environment) {
        Ok(args::Request::Print(text)) => ExitCode::from(text::answer(&text, exit::OK)),
        Ok(args::Request::Run(options)) => ExitCode::from(run::run(&options)),
        Ok(args::Request::Observe(options)) => ExitCode::from(observe::observe(&options)),
        Ok(args::Request::Check(options)) => ExitCode::from(check::check(&options)),
        Ok(args::Request::Status(options)) => ExitCode::from(status::status(&options)),
        Ok(args::Request::Why(options)) => ExitCode::from(why::why(&options)),
        Ok(args::Request::Serve(options)) => ExitCode::from(serve::serve(&options)),
        Ok(args::Request::Completions(shell)) => ExitCode::from(generate::completions(shell)),
        Ok(args::Request::Man(directory)) => ExitCode::from(generate::man_pages(&directory)),
        Ok(args::Request::Demo(options)) => ExitCode::from(demo::demo(&options)),
        Err(message) => {
            log::complain_in(args::log_format(&words, &environment), &message);
            ExitCode::from(exit::USAGE)
        }
    }
}
