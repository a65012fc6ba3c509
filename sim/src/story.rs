//! A world told to people: when, who, what, and why it is wrong.

use std::fmt::Write as _;

use crate::plan::{Fault, Place, Plan, Rules, Trouble};
use crate::record::{Entry, RoleKind, What};
use crate::world::Outcome;
use crate::{MS, SECOND};

/// Who contends on what, in one line.
pub fn head(plan: &Plan) -> String {
    let place = match plan.place {
        Place::Ensemble => format!("three servers, tick {} ms", plan.tick_ms),
        Place::Lone => "the embedded server".to_owned(),
    };
    let rules = match plan.rules {
        Rules::Ours if plan.single => "ours, layout single",
        Rules::Ours => "ours, layout latch",
        Rules::Curator => "Curator's",
        Rules::OneZnode => "one znode",
    };
    let known = if plan.tick_is_known { ", the tick is known" } else { "" };
    let stops = if plan.stops { ", stops when disconnected" } else { "" };
    format!(
        "seed {}: {} contenders on {place}; rules: {rules}; session timeout {} ms, stops {} ms early{known}{stops}; {} faults",
        plan.seed,
        plan.contenders,
        plan.timeout_ms,
        plan.early_ms,
        plan.faults.len()
    )
}

/// All of it, and at its end what was wrong.
pub fn tell(plan: &Plan, outcome: &Outcome) -> String {
    let mut text = head(plan);
    text.push('\n');
    for entry in outcome.record.entries() {
        if let Some(what) = words(&outcome.faults, entry) {
            let who = entry.who.map_or_else(String::new, |who| format!("c{who}"));
            let _ = writeln!(text, "{} {who:>3} {what}", time(entry.at));
        }
    }
    match &outcome.violation {
        Some(wrong) => {
            let _ = writeln!(text, "WRONG: {wrong}");
        }
        None => text.push_str("nothing was wrong\n"),
    }
    text
}

/// The plan as a test keeps it: `sim/tests/kept.rs`.
pub fn keep(plan: &Plan) -> String {
    let mut text = "    let faults = &[\n".to_owned();
    for Fault { at, lasts, what } in &plan.faults {
        let _ = writeln!(text, "        ({at}, {lasts}, Trouble::{what:?}),");
    }
    let _ = writeln!(text, "    ];\n    Kept {{ seed: {}, faults }}.holds();", plan.seed);
    text
}

fn time(at: u64) -> String {
    format!("{:>9.3} s", (at / 1_000) as f64 / 1e6)
}

fn words(faults: &[Fault], entry: &Entry) -> Option<String> {
    let Entry { what, a, b, .. } = *entry;
    let cause = ["it was silent for too long", "its client wanted it", "somebody meddled"];
    let cause = cause[(b as usize).min(2)];
    Some(match what {
        What::Campaigns => "wants to lead".to_owned(),
        What::Role => match a {
            _ if a == RoleKind::Enrolling as u64 => "enrols".to_owned(),
            _ if a == RoleKind::Waiting as u64 => format!("waits in the queue, {b} ahead"),
            _ if a == RoleKind::Suspended as u64 => "leads on what is left of its lease".to_owned(),
            // Told by entries of their own.
            _ => return None,
        },
        What::BrokenAtCreate => format!("loses connection {b} with a create on its way to s{a}"),
        What::Stranded => "has had an answer, and is cut off".to_owned(),
        What::Connects => format!("connects to s{a} (connection {b})"),
        What::Disconnects => format!("is disconnected from s{a} (connection {b})"),
        What::Leads => format!("LEADS, token {a}"),
        What::ToldToStop => format!("is told to stop, token {a}"),
        What::Ends if b == 1 => format!("dies while it leads, token {a}"),
        What::Ends => format!("acts no more for token {a}"),
        What::Leaves => "wants to lead no more".to_owned(),
        What::Fails => "gives up for ever".to_owned(),
        What::Died => "is dead".to_owned(),
        What::Starts => format!("starts ({a})"),
        What::Deadline => return None,
        What::SessionMade => format!("    session 0x{a:x}, timeout {b} ms"),
        What::SessionOver => format!("    session 0x{a:x} is over: {cause}"),
        What::Enrolled => format!("    znode {a} is made by session 0x{b:x}"),
        What::Gone => format!("    znode {a} is gone: {cause}"),
        What::Deposed => format!("    s{a} has lost its peers and goes on leading"),
        What::QuorumLeader => format!("    s{a} leads the ensemble, epoch {b}"),
        What::HostStarted => format!("    the server starts ({a})"),
        What::HostDied => "    the server has died".to_owned(),
        What::FaultBegins => format!("--- {}", fault(&faults[a as usize])),
        What::FaultEnds => format!("--- over: {}", trouble(&faults[a as usize].what)),
        What::Healed => "--- no more faults".to_owned(),
        What::AllLeave => "--- everybody leaves".to_owned(),
        What::Violation => "!!! here something is wrong".to_owned(),
    })
}

/// One fault in words.
pub fn fault(fault: &Fault) -> String {
    match lasts(fault) {
        Some(lasts) => format!("{}, for {:.3} s", trouble(&fault.what), lasts as f64 / SECOND as f64),
        None => trouble(&fault.what),
    }
}

/// How long it lasts; none where it is over at once.
pub fn lasts(fault: &Fault) -> Option<u64> {
    match fault.what {
        Trouble::Jump { .. }
        | Trouble::Drop { .. }
        | Trouble::Leave { .. }
        | Trouble::Quit { .. }
        | Trouble::DeleteLowest
        | Trouble::DeleteAny
        | Trouble::Wipe
        | Trouble::Scribble
        | Trouble::ForgeClose { .. }
        | Trouble::CrashHost
        | Trouble::FailSync
        | Trouble::StrandAtAnswer { .. }
        | Trouble::BreakAtCreate { .. }
        | Trouble::FlipBit => None,
        _ => Some(fault.lasts),
    }
}

fn trouble(what: &Trouble) -> String {
    match *what {
        Trouble::Pause { who } => format!("c{who} stands still"),
        Trouble::Jump { who, by } => format!("the clock of c{who} moves on by {} ms", by / MS),
        Trouble::Kill { who } => format!("c{who} is killed"),
        Trouble::Vanish { who } => format!("the host of c{who} is gone"),
        Trouble::CutUp { who, server } => format!("nothing of c{who} reaches s{server}"),
        Trouble::CutDown { who, server } => format!("nothing of s{server} reaches c{who}"),
        Trouble::CutOff { who } => format!("c{who} is cut off from all servers"),
        Trouble::Drop { who } => format!("the connection of c{who} breaks"),
        Trouble::Flap { who } => format!("the connections of c{who} break again and again"),
        Trouble::Slow { who, by } => format!("packets of c{who} take up to {} ms longer", by / MS),
        Trouble::Lossy { who } => format!("a third of the packets of c{who} is lost"),
        Trouble::Leave { who } => format!("c{who} leaves"),
        Trouble::Quit { who } => format!("c{who} ends in good order"),
        Trouble::DeleteLowest => "an operator deletes the lowest znode".to_owned(),
        Trouble::DeleteAny => "an operator deletes a znode".to_owned(),
        Trouble::Wipe => "an operator deletes the election".to_owned(),
        Trouble::Scribble => "somebody writes into the lowest znode".to_owned(),
        Trouble::ForgeClose { who } => format!("somebody closes the session of c{who}"),
        Trouble::CutServer { server } => format!("s{server} is cut off from its peers"),
        Trouble::CutQuorumLeader => "the quorum leader is cut off from its peers".to_owned(),
        Trouble::CrashServer { server } => format!("s{server} dies"),
        Trouble::CrashAll => "all servers die".to_owned(),
        Trouble::Lag { server, by } => format!("s{server} applies everything {} ms later", by / MS),
        Trouble::Strand => "whoever leads is left with one server, which loses its peers".to_owned(),
        Trouble::StrandLate => "whoever leads hears late, and is stranded then".to_owned(),
        Trouble::StrandAtQuorumLeader => {
            "whoever leads is left with the quorum leader, which loses its peers".to_owned()
        }
        Trouble::FreezeAndCrash => "whoever leads stands still, and its server dies".to_owned(),
        Trouble::CutOffAndElect => "whoever leads is cut off, and the quorum leader dies".to_owned(),
        Trouble::LateRequest { by, .. } => {
            format!("what whoever leads sends takes {} ms, and then it is stranded", by / MS)
        }
        Trouble::LateAnswer { by, .. } => {
            format!("what whoever leads is sent takes {} ms, and then it is stranded", by / MS)
        }
        Trouble::LateAttachment { by, .. } => {
            format!("whoever leads is taken back {} ms late, and then it is stranded", by / MS)
        }
        Trouble::StrandAtAnswer { who, answers } => {
            format!("c{who} is stranded as soon as it has been given {answers} answers")
        }
        Trouble::HoldUp { who } => format!("what c{who} sends is held up"),
        Trouble::HoldDown { who } => format!("what c{who} is sent is held up"),
        Trouble::BreakAtCreate { who } => {
            format!("the connection of c{who} breaks with its next create on the way")
        }
        Trouble::CrashHost => "the server dies, with what was not synced".to_owned(),
        Trouble::StallHost => "the server stands still".to_owned(),
        Trouble::SlowDisk { by } => format!("syncs take {} ms longer", by / MS),
        Trouble::FailSync => "a sync fails".to_owned(),
        Trouble::FlipBit => "the server dies, and a bit on its disk flips".to_owned(),
    }
}
