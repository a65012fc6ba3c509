//! The simulator's commands; `docs/simulation.md` says what they are for.

mod command;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    command::Command::parse().run().unwrap_or_else(|wrong| {
        eprintln!("elector-sim: {wrong}");
        ExitCode::from(2)
    })
}
