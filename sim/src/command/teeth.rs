//! `teeth`: leaves rules out, one after the other, and says which seed notices.

use std::process::ExitCode;

use elector_sim::teeth;

/// Rules that no seed tried so far has missed, or only one in thousands: `docs/simulation.md` says so. They are
/// played and shown like the others, and do not fail the command.
const OPEN: [&str; 7] = [
    "BaseFromReceipt",
    "LagFromSending",
    "SessionEndIgnored",
    "ProbeIsOwnership",
    "AttachedAtReceipt",
    "AmbiguityForgotten",
    "LostIsNotSent",
];

/// `only`: the rule of this name; `share`: each so-many-th rule, beginning with the `offset`th.
pub(super) fn show(only: Option<&str>, share: u64, offset: u64, most: u64) -> Result<ExitCode, String> {
    if !teeth::IN_THIS_BUILD {
        return Err("this build cannot leave rules out; scripts/teeth makes one that can".to_owned());
    }
    let names: Vec<String> = match only {
        Some(only) => vec![only.to_owned()],
        None => {
            let turn = |(at, name): (usize, String)| (at as u64 % share == offset % share).then_some(name);
            teeth::names().into_iter().enumerate().filter_map(turn).collect()
        }
    };
    // A panic is counted like any other way of going wrong.
    std::panic::set_hook(Box::new(|_| {}));
    println!("| rule left out | seed | what goes wrong |\n|---|---|---|");
    let (mut missed, mut failed) = (0, false);
    for name in &names {
        let bite = teeth::try_one(name, most).ok_or(format!("no rule is called {name}"))?;
        match bite.caught {
            Some((seed, wrong)) => println!("| {} | {seed} | {wrong} |", bite.name),
            None => {
                missed += 1;
                failed |= !OPEN.contains(&name.as_str());
                println!("| {} | none below {most} | NOT CAUGHT |", bite.name);
            }
        }
    }
    println!("\n{} rules left out, {} caught", names.len(), names.len() - missed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
