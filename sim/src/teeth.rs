//! Rules left out on purpose, one at a time, and what finds it: seeds, the exhaustive search, or a test that is made
//! for that rule.
//!
//! Invariant: without `--cfg elector_teeth` there is nothing to switch on, here or in the crates. Each rule has one
//! catcher; what a rule is tried by is said here and nowhere else.

use std::process::{Command, Stdio};
use std::time::Instant;

use elector_teeth::Tooth;

use crate::exhaust::{self, Bounds, scope};
use crate::plan::Plan;
use crate::world::play;

/// What must notice that a rule is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Catcher {
    /// Some seed.
    Seeds,
    /// The exhaustive search of the scope of this name.
    Search(&'static str),
    /// This test of that package's test target: of the files below `tests`, or of the library itself.
    Test(&'static str, &'static str, &'static str),
}

/// What became of one rule left out.
#[derive(Debug)]
pub struct Bite {
    /// The first seed that went wrong, where seeds were played.
    pub seed: Option<u64>,
    /// How, or that nothing did.
    pub wrong: Option<String>,
    /// How long it took, in seconds.
    pub took: f64,
}

/// Whether this build can leave rules out.
pub const IN_THIS_BUILD: bool = cfg!(elector_teeth);

/// The rule of this name.
pub fn named(name: &str) -> Option<Tooth> {
    Tooth::ALL.iter().copied().find(|tooth| format!("{tooth:?}") == name)
}

/// What must notice it. Seeds do, but where a fault shows only in what no simulated world has: real clocks,
/// processes, the server's own pipeline; or where it takes a coincidence that a test can bring about at once.
pub const fn catcher(tooth: Tooth) -> Catcher {
    use Catcher::{Search, Seeds, Test};
    const LEASE: &str = "lease::tests::the_lag_counts_from_the_receipt_and_ends_at_the_sending";
    const MEMORY: &str = "lease::tests::what_is_remembered_proves_what_was_acknowledged_and_no_more";
    const fn story(name: &'static str) -> Catcher {
        Test("elector-core", "stories", name)
    }
    const fn kept(name: &'static str) -> Catcher {
        Test("elector-cli", "kept", name)
    }
    match tooth {
        Tooth::BaseFromReceipt | Tooth::LagFromSending => Test("elector-core", "lib", LEASE),
        Tooth::MergedTooGood => Test("elector-core", "lib", MEMORY),
        Tooth::LateAnswerRevives => story("connection::a_late_answer_revives_nothing_and_moves_no_deadline"),
        Tooth::SessionEndIgnored => Search("closed"),
        Tooth::StaleListBelieved => {
            story("audit::it_audits_only_once_a_probe_was_answered_on_this_connection")
        }
        Tooth::OldSessionTrusted => {
            story("ambiguous::a_znode_with_our_guid_that_another_session_owns_is_not_ours")
        }
        Tooth::LookWithoutSync => story("ambiguous::not_found_it_is_created_again_under_a_fresh_guid"),
        Tooth::AmbiguityForgotten | Tooth::DuplicateClaimed => Search("alone"),
        Tooth::RestoringActedUpon => story("gone::nor_when_both_are_told_as_watches_are_set_again"),
        Tooth::LostIsNotSent => {
            Test("zk-session", "session", "requests::not_sent_and_outcome_unknown_are_told_apart_to_the_byte")
        }
        Tooth::TokenOfLastWrite => Test(
            "elector",
            "lib",
            "driver::ask::tests::the_creation_of_a_znode_is_its_term_whatever_was_written_since",
        ),
        Tooth::EventsAreAnswers => {
            Test("zk-session", "session", "unheard::events_do_not_make_up_for_an_answer_that_never_comes")
        }
        Tooth::WallClock => {
            Test("zk-session", "lib", "clock::tests::they_count_from_the_boot_and_not_from_the_wall_clock")
        }
        Tooth::AnswersBeforeSync => Test(
            "zk-embedded",
            "crash",
            "calls::a_failed_sync_ends_the_server_without_another_acknowledgement",
        ),
        Tooth::NoParentDeathSignal => {
            Test("elector-cli", "warden", "both_killed_at_once_the_kernel_kills_the_program")
        }
        Tooth::TreeKilledLate => Test(
            "elector-cli",
            "containment",
            "c6_a_program_that_forks_while_elector_is_killed_is_gone_in_time",
        ),
        Tooth::LateStart | Tooth::OtherTermsDeadline => {
            kept("a_start_that_comes_after_its_deadline_starts_nothing")
        }
        Tooth::SpentTermRevived => kept("a_term_whose_deadline_has_passed_gets_no_program_again"),
        Tooth::DeadlineLeftToElector | Tooth::DeadlineNotAwaited => {
            kept("at_the_deadline_the_program_is_killed")
        }
        Tooth::TimerSleepsToo => kept("the_timer_of_the_deadline_goes_on_while_the_machine_sleeps"),
        Tooth::NoKillMargin => kept("the_deadline_that_elector_hands_on_leaves_time_to_die"),
        Tooth::GraceWithoutEnd | Tooth::StopProlonged => {
            kept("a_stop_kills_after_its_grace_and_a_later_one_prolongs_nothing")
        }
        Tooth::ProgramsEndIsAll => kept("the_end_is_told_when_nothing_is_left"),
        Tooth::ElectorsEndIgnored => kept("without_elector_all_that_came_of_the_program_is_killed_at_once"),
        Tooth::ClosedBeforeGone => Test("elector-cli", "warden", "c1_no_runaway_outlives_a_killed_elector"),
        Tooth::StoppedKeeperLeft | Tooth::OrphansLeft => Test(
            "elector-cli",
            "warden",
            "c3_without_the_process_that_keeps_it_the_program_is_stopped_and_the_term_given_up",
        ),
        _ => Seeds,
    }
}

/// Leaves the rule out until its catcher notices; `most` seeds are played. It is in force again afterwards.
///
/// # Errors
/// When a test could not be run, or fails with all rules in force.
pub fn try_one(tooth: Tooth, most: u64) -> Result<Bite, String> {
    let began = Instant::now();
    let (seed, wrong) = match catcher(tooth) {
        Catcher::Seeds => {
            set(Some(tooth));
            let caught = (0..most).find_map(|seed| Some((seed, wrong(seed)?)));
            set(None);
            caught.map_or((None, None), |(seed, wrong)| (Some(seed), Some(wrong)))
        }
        Catcher::Search(scope) => {
            set(Some(tooth));
            let wrong = goes_wrong(scope);
            set(None);
            (None, wrong)
        }
        Catcher::Test(package, target, name) => {
            if !passes(package, target, name, None)? {
                return Err(format!("{name} of {package} fails with all rules in force"));
            }
            let passes = passes(package, target, name, Some(tooth))?;
            (None, (!passes).then(|| "the test fails".to_owned()))
        }
    };
    Ok(Bite { seed, wrong, took: began.elapsed().as_secs_f64() })
}

/// Leaves this rule out from now on, on this thread.
pub fn leave_out(tooth: Tooth) {
    set(Some(tooth));
}

/// What the exhaustive search of the scope of this name finds first.
fn goes_wrong(name: &str) -> Option<String> {
    let scope = scope::all().into_iter().find(|scope| scope.name == Some(name))?;
    let search =
        || Some(exhaust::search(&scope, Bounds::default(), |_, _, _| {}).violation?.what.to_string());
    std::panic::catch_unwind(search).unwrap_or_else(|_| Some("the program panics".to_owned()))
}

/// What goes wrong with a seed. A panic is a way of going wrong too, of a machine that finds itself in a state that
/// it excludes.
fn wrong(seed: u64) -> Option<String> {
    let played = std::panic::catch_unwind(|| play(&Plan::of(seed), false).violation);
    played.unwrap_or_else(|_| Some("the program panics".to_owned()))
}

/// Runs one test in this build's profile, and says how it ended.
fn passes(package: &str, target: &str, name: &str, without: Option<Tooth>) -> Result<bool, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--quiet", "--locked", "--profile", "teeth", "--package", package]);
    match target {
        "lib" => cargo.arg("--lib"),
        file => cargo.args(["--test", file]),
    };
    cargo.args(["--", "--exact", name, "--test-threads", "1"]).stdin(Stdio::null());
    if let Some(tooth) = without {
        cargo.env("LEFT_OUT_RULE", format!("{tooth:?}"));
    }
    let ended = cargo.output().map_err(|error| format!("cargo: {error}"))?;
    let said = String::from_utf8_lossy(&ended.stdout);
    // One that did not compile, or that is not there, has said nothing about the rule.
    if said.contains("test result: ok. 1 passed") {
        Ok(true)
    } else if said.contains("test result: FAILED. 0 passed; 1 failed") {
        Ok(false)
    } else {
        Err(format!("{name} of {package} was not run:\n{said}{}", String::from_utf8_lossy(&ended.stderr)))
    }
}

#[cfg(elector_teeth)]
fn set(tooth: Option<Tooth>) {
    elector_teeth::bite(tooth);
}

#[cfg(not(elector_teeth))]
fn set(_: Option<Tooth>) {}
