//! Which command is meant, and how its arguments are read.

mod exhaust;
mod peers;
mod picture;
mod runs;
mod seed;
mod teeth;

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use elector_sim::plan::Rules;
use elector_teeth::Tooth;

/// Plays the library in simulated worlds; docs/simulation.md says what they are, and what must hold in them.
///
/// Ends with 0 where nothing was wrong, with 1 where something was, and with 2 where it was not told what to do.
#[derive(Debug, Parser)]
#[command(name = "elector-sim", arg_required_else_help = true)]
pub(crate) enum Command {
    /// Play seeds; the first that goes wrong is shrunk and told
    Run {
        /// The first seed, and the one behind the last
        #[arg(long, value_name = "FROM..TO", default_value = "0..1000", value_parser = seeds)]
        seeds: Range<u64>,
        /// How many are played at a time
        #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1024))]
        threads: u64,
    },
    /// Tell the story of one seed, shrunk if it goes wrong
    Seed {
        seed: u64,
        /// With all faults, also if fewer are enough
        #[arg(long)]
        whole: bool,
        /// Print also what sim/tests/kept.rs keeps of it
        #[arg(long)]
        keep: bool,
    },
    /// Play the same faults under other programs' rules
    Peers {
        /// The first seed, and the one behind the last
        #[arg(long, value_name = "FROM..TO", default_value = "0..10000", value_parser = seeds)]
        seeds: Range<u64>,
    },
    /// Draw one seed, or the record of a real run, as an SVG
    Picture {
        #[arg(required_unless_present = "record")]
        seed: Option<u64>,
        /// What a test of overlap has kept in this file
        #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "rules"])]
        record: Option<PathBuf>,
        /// The file to be written
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// By whose rules the contenders go
        #[arg(long, default_value = "ours", value_parser = rules)]
        rules: Rules,
    },
    /// Leave rules of ours out, one after the other, and say what notices; by way of scripts/teeth
    Teeth {
        /// This rule
        #[arg(long, value_name = "RULE", value_parser = tooth)]
        only: Option<Tooth>,
        /// Each N-th rule
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        share: u64,
        /// The first of them, from 0
        #[arg(long, value_name = "K", default_value_t = 0)]
        offset: u64,
        /// How many seeds are played before a rule counts as not noticed
        #[arg(long, value_name = "N", default_value_t = 3_000)]
        most: u64,
    },
    /// Go through all courses of events at small scopes
    Exhaust(exhaust::Asked),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> Result<ExitCode, String> {
        match self {
            Command::Run { seeds, threads } => Ok(runs::run(seeds, threads)),
            Command::Seed { seed, whole, keep } => Ok(seed::tell(seed, whole, keep)),
            Command::Peers { seeds } => Ok(peers::compare(seeds)),
            Command::Picture { seed: Some(seed), out, rules, .. } => picture::draw(seed, rules, &out),
            Command::Picture { record: Some(file), out, .. } => picture::draw_record(&file, &out),
            Command::Picture { .. } => Err("which seed, or which record?".to_owned()),
            Command::Teeth { only, share, offset, most } => teeth::show(only, share, offset, most),
            Command::Exhaust(asked) => exhaust::run(asked),
        }
    }
}

fn seeds(value: &str) -> Result<Range<u64>, &'static str> {
    let ends = value.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    ends.filter(|ends: &Range<u64>| !ends.is_empty()).ok_or("two numbers, the lower one first, as in 0..1000")
}

fn rules(value: &str) -> Result<Rules, &'static str> {
    match value {
        "ours" => Ok(Rules::Ours),
        "curator" => Ok(Rules::Curator),
        "one-znode" => Ok(Rules::OneZnode),
        _ => Err("there are ours, curator and one-znode"),
    }
}

fn tooth(value: &str) -> Result<Tooth, &'static str> {
    elector_sim::teeth::named(value).ok_or("no rule is called so; docs/teeth.md has them all")
}
