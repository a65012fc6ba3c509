//! `exhaust`: all courses of events at small scopes, counted; the first that goes wrong is told.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use elector_core::Layout;
use elector_sim::exhaust::scope::{self, Fault, Scope};
use elector_sim::exhaust::{Bounds, search, tell};
use elector_sim::teeth;
use elector_teeth::Tooth;

/// Progress is told so often.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What is to be searched.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// The scope of this name; without it, those that the gate searches
    #[arg(long, value_name = "NAME")]
    scope: Option<String>,
    /// All scopes that have a name
    #[arg(long, conflicts_with_all = ["scope", "contenders"])]
    all: bool,
    /// A scope of your own: so many contenders
    #[arg(long, value_name = "N", conflicts_with = "scope", value_parser = clap::value_parser!(u8).range(1..=4))]
    contenders: Option<u8>,
    /// So many of them are in the queue when the search begins
    #[arg(long, value_name = "N", default_value_t = 0, requires = "contenders")]
    settled: usize,
    #[arg(long, default_value_t, requires = "contenders")]
    layout: Layout,
    /// What may go wrong, each as often as it is named
    #[arg(long, value_name = "FAULT,FAULT", value_delimiter = ',', requires = "contenders", value_parser = fault)]
    faults: Vec<Fault>,
    /// Give a scope up after so many states
    #[arg(long, value_name = "MOST")]
    states: Option<usize>,
    /// Tell this one course of the scope
    #[arg(long, value_name = "N.N.N", conflicts_with = "all", value_parser = course)]
    course: Option<Course>,
    /// Leave a rule of ours out; by way of scripts/teeth
    #[arg(long, value_name = "RULE", value_parser = super::tooth)]
    without: Option<Tooth>,
}

/// Which way is taken at each fork.
#[derive(Debug, Clone)]
struct Course(Vec<usize>);

/// Searches what is asked for, or tells a course of it.
pub(super) fn run(asked: Asked) -> Result<ExitCode, String> {
    let scopes = asked.scopes()?;
    if let Some(rule) = asked.without {
        if !teeth::IN_THIS_BUILD {
            return Err("this build cannot leave rules out; scripts/teeth makes one that can".to_owned());
        }
        teeth::leave_out(rule);
    }
    match (&asked.course, &scopes[..]) {
        (None, _) => {
            let mut bounds = Bounds::default();
            bounds.states = asked.states.unwrap_or(bounds.states);
            search_all(&scopes, bounds, asked.without)
        }
        (Some(Course(choices)), [scope]) => {
            show(scope, choices, asked.without)?;
            Ok(ExitCode::SUCCESS)
        }
        (Some(_), _) => Err("--course needs the scope that it belongs to".to_owned()),
    }
}

impl Asked {
    fn scopes(&self) -> Result<Vec<Scope>, String> {
        if let Some(contenders) = self.contenders.map(usize::from) {
            return Ok(vec![Scope::new(self.layout, contenders, self.settled.min(contenders), &self.faults)]);
        }
        let mut scopes = scope::all();
        let names: Vec<_> = scopes.iter().filter_map(|scope| scope.name).collect();
        match self.scope.as_deref() {
            Some(name) if !names.contains(&name) => {
                return Err(format!("no scope is called {name}; there are {}", names.join(", ")));
            }
            Some(name) => scopes.retain(|scope| scope.name == Some(name)),
            None => scopes.retain(|scope| self.all || scope.in_gate),
        }
        Ok(scopes)
    }
}

fn fault(name: &str) -> Result<Fault, String> {
    let known = Fault::ALL.into_iter().find(|fault| format!("{fault:?}") == name);
    known.ok_or_else(|| format!("there are {:?}", Fault::ALL))
}

fn course(value: &str) -> Result<Course, &'static str> {
    let choices: Result<_, _> = value.split('.').map(str::parse).collect();
    choices.map(Course).map_err(|_| "numbers with dots between them")
}

/// Searches these, one after the other, until something goes wrong.
fn search_all(scopes: &[Scope], bounds: Bounds, without: Option<Tooth>) -> Result<ExitCode, String> {
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
fn show(scope: &Scope, choices: &[usize], without: Option<Tooth>) -> Result<(), String> {
    let (lines, wrong) = tell(scope, choices)?;
    println!("\n{scope}, which may bring {:?}\n", scope.faults);
    lines.iter().for_each(|line| println!("{line}"));
    match wrong {
        Some(wrong) => println!("\nwrong: {wrong}"),
        None => println!("\nnothing goes wrong"),
    }
    let path: Vec<String> = choices.iter().map(usize::to_string).collect();
    let command = match without {
        Some(rule) => format!("scripts/teeth exhaust --without {rule:?}"),
        None => "cargo run --release -p elector-sim -- exhaust".to_owned(),
    };
    println!("again: {command} {scope} --course {}", path.join("."));
    Ok(())
}
