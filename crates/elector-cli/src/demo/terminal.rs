//! The terminal while the demo has it: keys one by one, a screen of its own, and everything as before at the end.
//!
//! Invariant: the terminal is given back on every way out that a process can still act on, a panic included. Ctrl-C
//! stays a signal, so that it works whatever the demo is busy with.

use rustix::termios::{self, InputModes, LocalModes, OptionalActions, Termios};
use std::io::{self, IsTerminal, Read, Write};
use tokio::sync::mpsc;

/// Keys that were pressed and not looked at yet; more than that is a cat on the keyboard.
const MAX_KEYS: usize = 16;
/// The other screen, without a cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// What begins the code of an arrow or function key.
const ESCAPE: u8 = 0x1b;

/// The terminal, ours until this is dropped.
#[derive(Debug)]
pub(super) struct Terminal {
    before: Termios,
}

/// Whether there is a terminal to play on: one that reads and shows, can move its cursor, and is not somebody
/// else's at the moment because the demo was put into the background.
pub(super) fn is_there() -> bool {
    let smart = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    let in_front = termios::tcgetpgrp(io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp());
    smart && in_front && io::stdout().is_terminal()
}

impl Terminal {
    /// Takes the terminal over.
    pub(super) fn enter() -> io::Result<Terminal> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut ours = before.clone();
        ours.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        // Ctrl-S would hold up the contenders' writes together with the screen.
        ours.input_modes.remove(InputModes::IXON);
        let (saved, earlier) = (before.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            restore(&saved);
            earlier(panic);
        }));
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &ours)?;
        let terminal = Terminal { before };
        show(ENTER)?;
        Ok(terminal)
    }

    /// Columns and rows at the moment.
    pub(super) fn size(&self) -> (usize, usize) {
        match termios::tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
            // Some terminals do not tell.
            _ => (80, 24),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore(&self.before);
    }
}

fn restore(before: &Termios) {
    // A terminal that is gone needs nothing more.
    let _ = show(LEAVE);
    let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, before);
}

/// Writes all of it at once, so that no half of a screen is seen.
pub(super) fn show(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The keys as they are pressed, in small letters. The end of the channel is the end of the terminal.
pub(super) fn keys() -> io::Result<mpsc::Receiver<u8>> {
    let (pressed, keys) = mpsc::channel(MAX_KEYS);
    let read_on = move || {
        let mut bytes = [0; 64];
        while let Ok(count @ 1..) = io::stdin().read(&mut bytes) {
            if bytes[0] == ESCAPE {
                continue;
            }
            for key in &bytes[..count] {
                if pressed.is_closed() {
                    return;
                }
                // What finds no room is lost, as it would be with a hand on the key.
                let _ = pressed.try_send(key.to_ascii_lowercase());
            }
        }
    };
    std::thread::Builder::new().name("keys".into()).spawn(read_on)?;
    Ok(keys)
}
