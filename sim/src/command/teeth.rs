//! `teeth`: leaves rules out, one after the other, and says what notices.

use std::process::ExitCode;

use elector_sim::teeth::{self, Catcher};
use elector_teeth::Tooth;

/// `only`: this rule; `share`: each so-many-th rule, beginning with the `offset`th.
pub(super) fn show(only: Option<Tooth>, share: u64, offset: u64, most: u64) -> Result<ExitCode, String> {
    if !teeth::IN_THIS_BUILD {
        return Err("this build cannot leave rules out; scripts/teeth makes one that can".to_owned());
    }
    let tried: Vec<Tooth> = match only {
        Some(only) => vec![only],
        None => {
            let turn = |(at, tooth): (usize, &Tooth)| (at as u64 % share == offset % share).then_some(*tooth);
            Tooth::ALL.iter().enumerate().filter_map(turn).collect()
        }
    };
    // A panic is counted like any other way of going wrong.
    std::panic::set_hook(Box::new(|_| {}));
    println!("| fault | what goes on | noticed by | after | as |\n|---|---|---|---|---|");
    let mut caught = 0;
    for tooth in &tried {
        let bite = teeth::try_one(*tooth, most)?;
        caught += usize::from(bite.wrong.is_some());
        let by = match teeth::catcher(*tooth) {
            Catcher::Seeds => "the simulator".to_owned(),
            Catcher::Search(scope) => format!("the exhaustive search, scope {scope}"),
            Catcher::Test(package, target, name) => format!("{package}, {target}: `{name}`"),
        };
        let after = match bite.seed {
            Some(seed) => format!("{} seeds, {:.1} s", seed + 1, bite.took),
            None => format!("{:.1} s", bite.took),
        };
        let wrong = bite.wrong.as_deref().unwrap_or("NOT CAUGHT");
        println!("| {tooth:?} | {} | {by} | {after} | {wrong} |", tooth.what().trim());
    }
    println!("\n{} faults, {caught} caught", tried.len());
    Ok(if caught == tried.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
