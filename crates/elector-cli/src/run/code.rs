//! From a program's end to the exit status of the run, as the table of the command line's reference has it.

use crate::exit;
use crate::program::{Ended, Gone};
use rustix::process::Signal;

/// The program's own status, in the shell's way.
pub(super) fn own(ended: Ended) -> u8 {
    match ended {
        Ended::Code(code) => code,
        Ended::Signal(number) => exit::by_signal(number),
        Ended::Unseen => exit::FAILURE,
    }
}

/// After a planned stop that `asked` began, with `stop_signal` as the program's first signal.
pub(super) fn planned(gone: &Gone, asked: Signal, stop_signal: Signal) -> u8 {
    let stopped_as_asked = matches!(gone.ended, Ended::Code(0)) || gone.ended == by(stop_signal);
    if gone.killed.is_some() {
        exit::by_signal(Signal::KILL.as_raw())
    } else if asked != Signal::TERM {
        exit::by_signal(asked.as_raw())
    } else if stopped_as_asked {
        exit::OK
    } else {
        own(gone.ended)
    }
}

/// After a signal that made elector leave while no program was there.
pub(super) fn left(asked: Signal) -> u8 {
    if asked == Signal::TERM { exit::OK } else { exit::by_signal(asked.as_raw()) }
}

fn by(signal: Signal) -> Ended {
    Ended::Signal(signal.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Killed;

    fn gone(ended: Ended, killed: Option<Killed>) -> Gone {
        Gone { ended, killed, stopping_took: None, at: std::time::Duration::ZERO }
    }

    #[test]
    fn an_own_end_is_passed_on() {
        assert_eq!(own(Ended::Code(7)), 7);
        assert_eq!(own(Ended::Signal(11)), 139);
        assert_eq!(own(Ended::Unseen), 125);
    }

    #[test]
    fn a_planned_stop_tells_how_it_went() {
        let term = Signal::TERM;
        for (ended, killed, asked, stop_signal, code) in [
            (Ended::Code(0), None, term, term, 0),
            (by(term), None, term, term, 0),
            (by(Signal::INT), None, term, Signal::INT, 0),
            (Ended::Code(3), None, term, term, 3),
            (by(Signal::SEGV), None, term, term, 139),
            (by(Signal::KILL), Some(Killed::Grace), term, term, 137),
            (by(Signal::KILL), None, term, Signal::KILL, 0),
            (Ended::Code(0), None, Signal::INT, term, 130),
            (by(Signal::KILL), Some(Killed::Asked), Signal::INT, term, 137),
        ] {
            assert_eq!(
                planned(&gone(ended, killed), asked, stop_signal),
                code,
                "{ended:?} {killed:?} {asked:?}"
            );
        }
    }

    #[test]
    fn leaving_the_queue_is_no_failure_after_term() {
        assert_eq!(left(Signal::TERM), 0);
        assert_eq!(left(Signal::INT), 130);
        assert_eq!(left(Signal::HUP), 129);
    }
}
