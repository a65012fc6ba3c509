//! Signals to elector itself, as what they ask for.

use rustix::process::Signal;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// TERM or INT: a planned stop, and the second time a kill.
    Stop(Signal),
    /// Hand it to the program's group; while waiting, HUP and QUIT leave the queue.
    Forward(Signal),
    /// Ctrl-Z.
    Pause,
}

/// All signals that elector takes. From its creation on, none of them ends the process by itself.
#[derive(Debug)]
pub(crate) struct Signals {
    streams: Vec<(Asked, Stream)>,
}

impl Signals {
    /// Takes the signals over. Needs a tokio runtime.
    pub(crate) fn new() -> io::Result<Signals> {
        let forward = [Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::WINCH];
        let asked = [Asked::Stop(Signal::TERM), Asked::Stop(Signal::INT), Asked::Pause]
            .into_iter()
            .chain(forward.map(Asked::Forward));
        let streams = asked.map(|asked| Ok((asked, signal(SignalKind::from_raw(asked.number()))?)));
        Ok(Signals { streams: streams.collect::<io::Result<_>>()? })
    }

    /// The next signal. Cancel safe.
    pub(crate) async fn next(&mut self) -> Asked {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Asked> {
        for (asked, stream) in &mut self.streams {
            if Pin::new(stream).poll_recv(context).is_ready() {
                return Poll::Ready(*asked);
            }
        }
        Poll::Pending
    }
}

impl Asked {
    fn number(self) -> i32 {
        match self {
            Asked::Stop(signal) | Asked::Forward(signal) => signal.as_raw(),
            Asked::Pause => Signal::TSTP.as_raw(),
        }
    }
}
