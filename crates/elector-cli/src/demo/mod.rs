//! `elector demo`: three contenders on this machine, to see a leader fall and the next one rise.
//!
//! Everything in it is real: a ZooKeeper server inside this process, three processes of `elector run`, and their
//! programs. The demo only strikes them, listens, and measures.
//!
//! `contender` has the processes, `stage` all that runs, `story` what it means (pure, with its `words`), `storage` who may write,
//! `live` and `script` are the two ways to play it, with a terminal and without. `main` is the only caller.

mod contender;
mod heard;
mod live;
mod screen;
mod script;
mod stage;
mod storage;
mod story;
mod terminal;
mod words;
mod worker;

pub(crate) use worker::{is_worker, work};

use crate::args::DemoOptions;
use crate::signals::outlast_the_terminal;
use crate::{exit, log};
use rustix::process::Signal;
use stage::Stage;
use std::io::IsTerminal;

/// Plays the demo and tells the exit status. Call it on the main thread, to which the contenders are bound.
pub(crate) fn demo(options: &DemoOptions) -> u8 {
    for warning in &options.warnings {
        log::complain(&format!("warning: {warning}"));
    }
    let played = outlast_the_terminal()
        .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build())
        .and_then(|runtime| {
            runtime.block_on(async {
                let mut stage = Stage::set()?;
                let color = log::colored(options.color, std::io::stdout().is_terminal());
                let code = match terminal::is_there() {
                    true => live::play(&mut stage, color).await,
                    false => script::play(&mut stage, color).await,
                };
                stage.clear();
                Ok(code)
            })
        });
    played.unwrap_or_else(|error| {
        log::complain(&format!("the system refused what the demo needs: {error}"));
        exit::FAILURE
    })
}

/// The exit status of an end that a signal asked for.
fn code_of(signal: Signal) -> u8 {
    if signal == Signal::INT { exit::by_signal(signal.as_raw()) } else { exit::OK }
}
