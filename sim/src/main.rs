//! The simulator's commands; `docs/simulation.md` says what they are for.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match command::run(&args) {
        Ok(code) => code,
        Err(wrong) => {
            eprintln!("elector-sim: {wrong}\n{}", command::USAGE);
            ExitCode::from(2)
        }
    }
}
