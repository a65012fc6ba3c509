//! `exhaust`: all courses of events at small scopes, counted; the first that goes wrong is told.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use elector_core::Layout;
use elector_sim::exhaust::scope::{self, Fault, Scope};
use elector_sim::exhaust::{Bounds, search, tell};
use elector_sim::teeth;

use super::Rest;

/// Progress is told so often.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Reads what is asked, and does it.
pub(super) fn read(mut rest: Rest) -> Result<ExitCode, String> {
    let (name, all) = (rest.value("--scope")?, rest.flag("--all"));
    let own = own_scope(&mut rest)?;
    let (most, course, without) =
        (rest.number("--states")?, rest.value("--course")?, rest.value("--without")?);
    rest.nothing_more()?;
    if let Some(rule) = &without {
        if !teeth::IN_THIS_BUILD {
            return Err("this build cannot leave rules out; scripts/teeth makes one that can".to_owned());
        }
        teeth::leave_out(teeth::named(rule).ok_or(format!("no rule is called {rule}"))?);
    }
    let mut scopes = scope::all();
    match (own, name) {
        (Some(own), _) => scopes = vec![own],
        (None, Some(name)) => {
            scopes.retain(|scope| scope.name == Some(&*name));
            scopes.first().ok_or(format!("no scope is called {name}"))?;
        }
        (None, None) => scopes.retain(|scope| all || scope.in_gate),
    }
    let mut bounds = Bounds::default();
    bounds.states = most.map_or(bounds.states, |most| most as usize);
    let Some(course) = course else { return run(&scopes, bounds, without.as_deref()) };
    let choices: Result<Vec<usize>, _> = course.split('.').map(str::parse).collect();
    let choices = choices.map_err(|_| format!("--course {course}: not N.N.N"))?;
    match &scopes[..] {
        [scope] => show(scope, &choices, without.as_deref())?,
        _ => return Err("--course needs its scope".to_owned()),
    }
    Ok(ExitCode::SUCCESS)
}

/// A scope of the caller's own.
fn own_scope(rest: &mut Rest) -> Result<Option<Scope>, String> {
    let layout = rest.value("--layout")?.map(|name| name.parse::<Layout>()).transpose();
    let layout = layout.map_err(|error| error.to_string())?;
    let (contenders, settled) = (rest.number("--contenders")?, rest.number("--settled")?);
    let names = rest.value("--faults")?;
    let Some(contenders) = contenders else { return Ok(None) };
    if !(1..=4).contains(&contenders) {
        return Err(format!("--contenders {contenders}: from 1 to 4"));
    }
    let mut faults = Vec::new();
    for name in names.iter().flat_map(|names| names.split(',')).filter(|name| !name.is_empty()) {
        let known = Fault::ALL.into_iter().find(|fault| format!("{fault:?}") == name);
        faults.push(known.ok_or(format!("no such fault: {name}; there are {:?}", Fault::ALL))?);
    }
    let settled = settled.unwrap_or(0).min(contenders) as usize;
    Ok(Some(Scope::new(layout.unwrap_or_default(), contenders as usize, settled, &faults)))
}

/// Searches these, one after the other, until something goes wrong.
fn run(scopes: &[Scope], bounds: Bounds, without: Option<&str>) -> Result<ExitCode, String> {
    println!(
        "| scope | states | transitions | let rest | depth | seconds | |\n|---|---|---|---|---|---|---|"
    );
    for scope in scopes {
        let mut told = Instant::now();
        let found = search(scope, bounds, |depth, states, waiting| {
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                eprintln!("{scope}: depth {depth}, {states} states, {waiting} waiting");
            }
        });
        let how = match (&found.violation, found.complete) {
            (Some(_), _) => "VIOLATION",
            (None, true) => "complete",
            (None, false) => "bound reached",
        };
        println!(
            "| {} | {} | {} | {} | {} | {:.1} | {how} |",
            scope.name.unwrap_or("of its own"),
            found.states,
            found.transitions,
            found.rests,
            found.depth,
            found.took.as_secs_f64()
        );
        if let Some(violation) = found.violation {
            show(scope, &violation.choices, without)?;
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells the course of these choices.
fn show(scope: &Scope, choices: &[usize], without: Option<&str>) -> Result<(), String> {
    let (lines, wrong) = tell(scope, choices)?;
    println!("\n{scope}, which may bring {:?}\n", scope.faults);
    lines.iter().for_each(|line| println!("{line}"));
    match wrong {
        Some(wrong) => println!("\nwrong: {wrong}"),
        None => println!("\nnothing goes wrong"),
    }
    let path: Vec<String> = choices.iter().map(usize::to_string).collect();
    let command = match without {
        Some(rule) => format!("scripts/teeth exhaust --without {rule}"),
        None => "cargo run --release -p elector-sim -- exhaust".to_owned(),
    };
    println!("again: {command} {scope} --course {}", path.join("."));
    Ok(())
}
