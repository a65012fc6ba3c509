//! The demo on a terminal: the screen, and the keys that strike the leader.

use super::stage::{Next, Stage};
use super::terminal::{self, Terminal};
use super::{code_of, screen, words};
use crate::{exit, log};
use std::io;
use std::time::Instant;

/// Lines that stay on the ordinary screen when the demo has left its own.
const KEPT_LINES: usize = 20;

/// Plays until somebody has seen enough, and tells the exit status.
pub(super) async fn play(stage: &mut Stage, color: bool) -> u8 {
    let code = watch(stage, color).await.unwrap_or_else(|error| {
        log::complain(&format!("demo: {error}"));
        exit::FAILURE
    });
    let (lines, _) = stage.story.lines_from(0);
    let newest: Vec<String> =
        lines.rev().take(KEPT_LINES).map(|line| screen::line(line, color) + "\n").collect();
    let kept: String = newest.into_iter().rev().collect();
    // A terminal that is gone has nobody who misses it.
    let _ = terminal::show(&format!("{kept}{}\n", words::summary(&stage.story)));
    code
}

async fn watch(stage: &mut Stage, color: bool) -> io::Result<u8> {
    let terminal = Terminal::enter()?;
    let mut keys = terminal::keys()?;
    let mut shown = String::new();
    loop {
        let redraw = tokio::select! {
            next = stage.next() => match next? {
                Next::End(signal) => return Ok(code_of(signal)),
                // The next tick is near enough for the eye.
                Next::Heard => false,
                Next::Tick => true,
            },
            key = keys.recv() => {
                match key {
                    Some(b'k') => stage.kill_leader(),
                    Some(b'f') => stage.freeze_or_resume(),
                    Some(b'r') => stage.stop_leader(),
                    Some(b'q') | None => return Ok(exit::OK),
                    Some(_) => {}
                }
                true
            }
        };
        let now = Instant::now();
        let frame = screen::paint(&stage.story, stage.address, now, terminal.size(), color);
        if redraw && frame != shown {
            terminal::show(&frame)?;
            shown = frame;
        }
    }
}
