//! Stories of single terms, told step by step.

use super::*;
use crate::program::Killed;

const TERM: Asked = Asked::Stop(Signal::TERM);

fn rules() -> Rules {
    Rules {
        program: "./worker".into(),
        leading: "leading with token 7".into(),
        stop_signal: Signal::TERM,
        stop_grace: Duration::from_secs(10),
        loss_grace: Duration::from_secs(2),
        at_least: Duration::ZERO,
        takeover_delay: Duration::ZERO,
        on_exit: OnExit::Resign,
        once: false,
    }
}

/// A term and the seconds since it began.
struct Story {
    term: Term,
    at: Duration,
}

impl Story {
    fn new(rules: Rules) -> Story {
        Story { term: Term::new(rules, Duration::ZERO), at: Duration::ZERO }
    }

    /// A term whose program runs.
    fn running(rules: Rules) -> Story {
        let mut story = Story::new(rules);
        assert_eq!(story.then(Input::Wake), ["start"]);
        assert_eq!(
            story.program(Event::Started { pid: 4711 }),
            ["say leading with token 7; started ./worker, pid 4711"]
        );
        story
    }

    fn after(&mut self, seconds: u64) -> &mut Story {
        self.at += Duration::from_secs(seconds);
        self
    }

    fn then(&mut self, input: Input) -> Vec<String> {
        self.term.step(self.at, input).into_iter().map(short).collect()
    }

    fn program(&mut self, event: Event) -> Vec<String> {
        self.then(Input::Program(event))
    }

    fn gone(&mut self, ended: Ended) -> Vec<String> {
        assert!(self.program(Event::Ended).is_empty());
        self.program(Event::Gone(Gone { ended, killed: None, stopping_took: None, at: self.at }))
    }

    fn stopped(&mut self, ended: Ended, killed: Option<Killed>) -> Vec<String> {
        assert!(self.program(Event::Ended).is_empty());
        let took = Some(Duration::from_millis(310));
        self.program(Event::Gone(Gone { ended, killed, stopping_took: took, at: self.at }))
    }
}

fn short(action: Action) -> String {
    match action {
        Action::Start => "start".into(),
        Action::Stop(Stop::Now) => "kill".into(),
        Action::Stop(Stop::Within(grace)) => format!("stop within {}", compact(grace)),
        Action::Forward(signal) => format!("forward {}", signal_name(signal.as_raw())),
        Action::Say(said) => format!("say {}", said.message),
        Action::Finish(Finish::Release { code, how, .. }) => format!("release, {code}: {how}"),
        Action::Finish(Finish::Lost { end: None }) => "contend again".into(),
        Action::Finish(Finish::Lost { end: Some(code) }) => format!("end with {code}"),
    }
}

#[test]
fn the_programs_own_end_ends_the_run_with_its_code() {
    let mut story = Story::running(rules());
    assert_eq!(story.after(5).gone(Ended::Code(3)), ["release, 3: program ended with 3"]);
    assert!(story.then(Input::Lost("late".into())).is_empty());
}

#[test]
fn an_end_that_nobody_told_us_of_is_a_failure_and_says_so() {
    let mut story = Story::running(rules());
    assert_eq!(
        story.gone(Ended::Unseen),
        ["release, 125: program ended, and something else was told how: its exit status is not known"]
    );
}

#[test]
fn a_stop_before_the_start_ends_the_run_as_the_stop_says() {
    let too_late = || Event::NotStarted(NotStarted::TooLate);
    let mut story = Story::new(rules());
    assert_eq!(story.then(Input::Wake), ["start"]);
    assert_eq!(story.then(Input::Signal(TERM)).last().map(String::as_str), Some("stop within 10s"));
    assert_eq!(story.program(too_late()), ["release, 0: no program was running"]);

    let mut story = Story::new(rules());
    story.then(Input::Wake);
    story.then(Input::Failed("the disk is gone".into()));
    assert_eq!(story.program(too_late()), ["release, 125: no program was running"]);
}

#[test]
fn a_planned_stop_gives_the_whole_grace_and_then_hands_over() {
    let mut story = Story::running(rules());
    assert_eq!(
        story.then(Input::Signal(TERM)),
        ["say TERM received: stopping the program (up to 10s), then handing over", "stop within 10s"]
    );
    assert_eq!(story.after(4).stopped(Ended::Signal(15), None), ["release, 0: program ended by TERM"]);
}

#[test]
fn a_second_signal_kills_now() {
    let mut story = Story::running(rules());
    story.then(Input::Signal(TERM));
    assert_eq!(story.then(Input::Signal(TERM)), ["say TERM received again: killing the program", "kill"]);
    let ended = story.stopped(Ended::Signal(9), Some(Killed::Asked));
    assert_eq!(ended, ["release, 137: program had to be killed"]);
}

#[test]
fn a_loss_has_only_the_loss_grace_and_the_run_contends_again() {
    let mut story = Story::running(rules());
    assert_eq!(
        story.after(7380).then(Input::Ending("no quorum answered".into())),
        ["say stopping the program: no quorum answered; TERM now, KILL in 2.0s", "stop within 2s"]
    );
    assert_eq!(
        story.stopped(Ended::Signal(15), None),
        ["say lost after 2h03m: no quorum answered; program gone 310ms after TERM", "contend again"]
    );
}

#[test]
fn a_loss_that_leaves_no_grace_kills_at_once() {
    let mut story = Story::running(rules());
    assert_eq!(story.after(1).then(Input::Lost("session expired".into())), ["kill"]);
    assert_eq!(
        story.stopped(Ended::Signal(9), Some(Killed::Asked)),
        [
            "say lost after 1s: session expired; program killed, gone 310ms after the first signal",
            "contend again"
        ]
    );
}

#[test]
fn once_ends_the_run_after_a_loss() {
    let mut story = Story::running(Rules { once: true, ..rules() });
    story.then(Input::Ending("no quorum answered".into()));
    assert_eq!(story.then(Input::Lost("the lease ran out".into())), ["kill"]);
    let ended = story.stopped(Ended::Signal(9), Some(Killed::Deadline));
    assert_eq!(ended.last().map(String::as_str), Some("end with 75"));
}

/// The process that keeps the program sees the deadline first, where elector itself was stopped meanwhile.
#[test]
fn a_program_killed_at_the_deadline_did_not_end_by_itself() {
    for loss_between in [false, true] {
        for (once, end) in [(true, "end with 75"), (false, "contend again")] {
            let mut story = Story::running(Rules { once, ..rules() });
            assert!(story.after(3).program(Event::Ended).is_empty());
            if loss_between {
                story.then(Input::Ending("no quorum answered".into()));
            }
            let (ended, killed) = (Ended::Signal(9), Some(Killed::Deadline));
            let gone = story.program(Event::Gone(Gone { ended, killed, stopping_took: None, at: story.at }));
            assert_eq!(gone.last().map(String::as_str), Some(end), "{gone:?}");
        }
    }
}

#[test]
fn a_loss_during_a_planned_stop_falls_to_the_loss_rule_and_still_ends_the_run() {
    let mut story = Story::running(rules());
    story.then(Input::Signal(TERM));
    let stopping = story.after(1).then(Input::Ending("no quorum answered".into()));
    assert_eq!(stopping.last().map(String::as_str), Some("stop within 2s"));
    let ended = story.stopped(Ended::Signal(15), None);
    assert_eq!(ended.last().map(String::as_str), Some("end with 0"));
}

#[test]
fn term_during_a_loss_keeps_the_run_from_contending_again() {
    let mut story = Story::running(rules());
    story.then(Input::Ending("no quorum answered".into()));
    assert_eq!(story.then(Input::Signal(TERM)), ["say TERM received: not contending again"]);
    let ended = story.stopped(Ended::Signal(15), None);
    assert_eq!(ended.last().map(String::as_str), Some("end with 0"));
}

#[test]
fn a_program_that_ended_by_itself_is_not_run_again_because_of_a_loss() {
    let mut story = Story::running(rules());
    assert!(story.program(Event::Ended).is_empty());
    assert_eq!(story.then(Input::Lost("session expired".into())), ["kill"]);
    let gone = Gone { ended: Ended::Code(0), killed: None, stopping_took: None, at: Duration::ZERO };
    let ended = story.program(Event::Gone(gone));
    assert_eq!(ended.last().map(String::as_str), Some("end with 0"));
}

#[test]
fn a_restart_waits_longer_each_time_and_anew_after_long_work() {
    let mut story = Story::running(Rules { on_exit: OnExit::Restart, ..rules() });
    for wait in [1, 2, 4, 8, 16, 30, 30] {
        let said = story.gone(Ended::Code(1));
        assert_eq!(said, [format!("say program ended with 1; starting it again in {wait}s")]);
        assert!(story.after(wait - 1).then(Input::Wake).is_empty());
        assert_eq!(story.after(1).then(Input::Wake), ["start"]);
        story.program(Event::Started { pid: 5 });
    }
    story.after(61);
    assert_eq!(story.gone(Ended::Signal(11)), ["say program ended by SEGV; starting it again in 1s"]);
    assert_eq!(story.then(Input::Signal(TERM)), ["release, 0: TERM received"]);
}

#[test]
fn nothing_is_started_again_while_something_of_the_program_is_left() {
    let mut story = Story::running(Rules { on_exit: OnExit::Restart, ..rules() });
    assert!(story.program(Event::Ended).is_empty());
    assert_eq!(story.term.wake_at(), None);
    assert!(story.after(60).then(Input::Wake).is_empty());
}

#[test]
fn at_least_holds_the_place_counted_from_the_start() {
    let mut story = Story::running(Rules { at_least: Duration::from_secs(30), ..rules() });
    assert_eq!(
        story.after(10).gone(Ended::Code(4)),
        ["say program ended with 4; holding the place for another 20s"]
    );
    assert_eq!(story.term.wake_at(), Some(Duration::from_secs(30)));
    assert!(story.after(19).then(Input::Wake).is_empty());
    assert_eq!(story.after(1).then(Input::Wake), ["release, 4: held for 30s"]);
}

#[test]
fn a_loss_while_holding_ends_with_the_programs_code() {
    let mut story = Story::running(Rules { at_least: Duration::from_secs(30), ..rules() });
    story.gone(Ended::Code(0));
    story.then(Input::Ending("no quorum answered".into()));
    assert_eq!(
        story.then(Input::Lost("no quorum answered".into())),
        ["say lost after 0ms: no quorum answered; the program had ended before", "end with 0"]
    );
}

#[test]
fn nothing_is_started_once_the_lease_is_ending() {
    let mut story = Story::new(Rules { takeover_delay: Duration::from_secs(5), ..rules() });
    assert_eq!(story.then(Input::Wake), ["say leading with token 7; starting the program in 5s"]);
    assert!(story.after(4).then(Input::Ending("no quorum answered".into())).is_empty());
    assert!(story.after(2).then(Input::Wake).is_empty());
    assert_eq!(
        story.then(Input::Lost("the lease ran out".into())),
        ["say lost after 6s: no quorum answered; no program was running", "contend again"]
    );
}

/// C14.
#[test]
fn a_start_after_the_deadline_waits_for_the_word_of_the_loss() {
    let mut story = Story::new(rules());
    assert_eq!(story.then(Input::Wake), ["start"]);
    assert!(story.program(Event::NotStarted(NotStarted::TooLate)).is_empty());
    let lost = story.then(Input::Lost("the lease ran out".into()));
    assert_eq!(lost.last().map(String::as_str), Some("contend again"));
}

/// C14.
#[test]
fn a_loss_told_while_the_start_is_under_way_ends_either_way() {
    let mut story = Story::new(rules());
    story.then(Input::Wake);
    assert_eq!(story.then(Input::Lost("session expired".into())), ["kill"]);
    let ended = story.program(Event::NotStarted(NotStarted::TooLate));
    assert_eq!(ended.last().map(String::as_str), Some("contend again"));
}

#[test]
fn leadership_without_a_program_is_given_up() {
    let mut story = Story::new(rules());
    story.then(Input::Wake);
    let failed = Event::NotStarted(NotStarted::Failed("Resource temporarily unavailable".into()));
    assert_eq!(
        story.program(failed),
        [
            "say ./worker could not be started: Resource temporarily unavailable",
            "release, 125: the program could not be started"
        ]
    );
}

#[test]
fn signals_that_are_the_programs_reach_it_and_a_pause_does_not() {
    let mut story = Story::running(rules());
    for signal in [Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::WINCH] {
        let forward = format!("forward {}", signal_name(signal.as_raw()));
        assert_eq!(story.then(Input::Signal(Asked::Forward(signal))), [forward]);
    }
    assert_eq!(
        story.then(Input::Signal(Asked::Pause)),
        ["say Ctrl-Z is refused: a paused leader is no leader"]
    );
}

#[test]
fn without_a_program_hup_leaves_and_usr1_does_nothing() {
    let mut story = Story::new(Rules { takeover_delay: Duration::from_secs(5), ..rules() });
    assert!(story.then(Input::Signal(Asked::Forward(Signal::USR1))).is_empty());
    assert_eq!(story.then(Input::Signal(Asked::Forward(Signal::HUP))), ["release, 129: HUP received"]);
}

#[test]
fn a_failure_of_ours_stops_the_program_and_is_the_runs_end() {
    let mut story = Story::running(rules());
    let failed = || Input::Failed("this process cannot host any more: no".into());
    assert_eq!(story.then(failed()), ["say this process cannot host any more: no", "stop within 10s"]);
    assert_eq!(story.stopped(Ended::Code(0), None), ["release, 125: program ended with 0"]);

    let mut idle = Story::new(Rules { takeover_delay: Duration::from_secs(5), ..rules() });
    idle.then(Input::Wake);
    let actions = idle.then(failed());
    assert_eq!(actions.last().map(String::as_str), Some("release, 125: no program was running"));
}

#[test]
fn a_loss_after_a_failure_of_ours_still_ends_the_run() {
    let mut story = Story::running(rules());
    story.then(Input::Failed("no".into()));
    assert_eq!(story.then(Input::Ending("no server answered".into())).len(), 2);
    let actions = story.stopped(Ended::Signal(15), None);
    assert_eq!(actions.last().map(String::as_str), Some("end with 125"));
}

#[test]
fn a_program_whose_keeping_process_was_killed_is_a_term_lost() {
    let why = "the process that keeps the program was killed or stopped";
    let lost = format!("say lost after 5s: {why}; program killed");
    let mut story = Story::running(rules());
    assert_eq!(story.after(5).program(Event::Abandoned), [lost.as_str(), "contend again"]);
    assert!(story.then(Input::Lost("late".into())).is_empty());

    let mut story = Story::running(Rules { once: true, ..rules() });
    assert_eq!(story.after(5).program(Event::Abandoned), [lost.as_str(), "end with 75"]);

    let mut story = Story::running(rules());
    story.then(Input::Signal(TERM));
    assert_eq!(story.after(5).program(Event::Abandoned), [lost.as_str(), "end with 137"]);
}
