//! Signals to elector itself, as what they ask for.

use nix::sys::signal::SigSet;
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

/// Undoes what whoever started us left blocked or ignored of that on which elector relies; children inherit both.
/// What is caught here goes back to the default in the programs that we start. Call it before any thread is started.
pub(crate) fn start_afresh() -> io::Result<()> {
    // Ignored, SIGCHLD would have the kernel reap our children and tell nobody how they ended. SIGXFSZ would end us
    // where a file grew over its limit; caught, the write fails instead, and that is told.
    catch(&[SignalKind::child(), SignalKind::from_raw(Signal::XFSZ.as_raw())])?;
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Keeps the terminal's flow control from stopping this process: whoever writes to it or reads from it in the
/// background would be stopped, and a stopped leader is no leader. Call it before any thread is started.
pub(crate) fn outlast_the_terminal() -> io::Result<()> {
    Ok(of_the_terminal().thread_block()?)
}

/// Keeps every signal that can be refused from ending or stopping this process.
pub(crate) fn hear_nothing() -> io::Result<()> {
    Ok(SigSet::all().thread_block()?)
}

/// Undoes [`outlast_the_terminal`] and [`hear_nothing`], for the program, which inherits what is blocked.
pub(crate) fn hear_everything() -> io::Result<()> {
    // SIGPIPE is ignored in every process of this language, and what is ignored stays so over an exec; what is caught
    // goes back to the default, which programs in a pipeline rely on.
    catch(&[SignalKind::pipe()])?;
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Catches these signals from here on, and does nothing about them.
fn catch(kinds: &[SignalKind]) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    kinds.iter().try_for_each(|kind| signal(*kind).map(drop))
}

fn of_the_terminal() -> SigSet {
    SigSet::from_iter([nix::sys::signal::Signal::SIGTTIN, nix::sys::signal::Signal::SIGTTOU])
}

/// INT or TERM, where nothing has to be stopped in order: whoever only asks leaves at once, with the exit status
/// that tells so. Needs a tokio runtime; until it is first awaited the signals end the process by themselves.
pub(crate) async fn told_to_end() -> io::Result<Signal> {
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(tokio::select! {
        _ = int.recv() => Signal::INT,
        _ = term.recv() => Signal::TERM,
    })
}

impl Signals {
    /// Takes the signals over. Needs a tokio runtime.
    ///
    /// HUP is left alone where it was ignored from the start, which is what `nohup` does: whoever logs out then does
    /// not mean to end anything, neither us nor the program.
    pub(crate) fn new() -> io::Result<Signals> {
        let hup_is_ours = !is_ignored(&std::fs::read_to_string("/proc/self/status")?, Signal::HUP);
        let forward = [Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::WINCH];
        let asked = [Asked::Stop(Signal::TERM), Asked::Stop(Signal::INT), Asked::Pause]
            .into_iter()
            .chain(forward.map(Asked::Forward))
            .filter(|asked| hup_is_ours || *asked != Asked::Forward(Signal::HUP));
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

/// Whether a process with this `/proc/PID/status` ignores the signal.
fn is_ignored(status: &str, signal: Signal) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    u32::try_from(signal.as_raw() - 1).is_ok_and(|bit| mask >> bit & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_found_in_the_mask() {
        let status =
            "Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert!(is_ignored(status, Signal::HUP));
        assert!(is_ignored(status, Signal::PIPE));
        assert!(!is_ignored(status, Signal::TERM));
        assert!(!is_ignored("", Signal::HUP));
    }
}
