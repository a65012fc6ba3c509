//! Which command is meant, and how its arguments are read.

mod exhaust;
mod peers;
mod picture;
mod runs;
mod seed;
mod teeth;

use std::ops::Range;
use std::process::ExitCode;

use elector_sim::plan::Rules;

pub(crate) const USAGE: &str = "\
usage: elector-sim run [--seeds FROM..TO] [--threads N]   play seeds; the first that goes wrong is shrunk and told
       elector-sim seed N [--whole] [--keep]              tell the story of one seed, shrunk if it goes wrong
       elector-sim peers [--seeds FROM..TO]               the same faults under other programs' rules
       elector-sim picture N --out FILE [--rules curator|one-znode]        one seed as an SVG
       elector-sim picture --record FILE --out FILE                        a real run's record as an SVG
       elector-sim teeth [--only NAME] [--share N --offset K] [--most N]   rules left out, and which seed notices
       elector-sim exhaust [--all | --scope NAME] [--states MOST]   all courses of events at small scopes
       elector-sim exhaust --contenders N [--settled N] [--layout L] [--faults F,F]   the same at a scope of your own
       elector-sim exhaust <scope> --course N.N.N                   one of these courses, told
                           --without RULE                           the same with a rule left out";

/// Runs the command that these arguments name.
pub(crate) fn run(args: &[String]) -> Result<ExitCode, String> {
    let (command, rest) = args.split_first().ok_or("which command?")?;
    let mut rest = Rest(rest.to_vec());
    let code = match command.as_str() {
        "run" => {
            let seeds = rest.seeds(0..1_000)?;
            let threads = rest.number("--threads")?.unwrap_or(2);
            rest.nothing_more()?;
            runs::run(seeds, threads as usize)
        }
        "seed" => {
            let (whole, keep) = (rest.flag("--whole"), rest.flag("--keep"));
            let seed = rest.positional()?.ok_or("which seed?")?;
            rest.nothing_more()?;
            seed::tell(seed, whole, keep)
        }
        "peers" => {
            let seeds = rest.seeds(0..10_000)?;
            rest.nothing_more()?;
            peers::compare(seeds)
        }
        "picture" => {
            let rules = match rest.value("--rules")?.as_deref() {
                None => Rules::Ours,
                Some("curator") => Rules::Curator,
                Some("one-znode") => Rules::OneZnode,
                Some(other) => return Err(format!("no such rules: {other}")),
            };
            let out = rest.value("--out")?.ok_or("--out names the file to be written")?;
            if let Some(file) = rest.value("--record")? {
                rest.nothing_more()?;
                return picture::draw_record(&file, &out);
            }
            let seed = rest.positional()?.ok_or("which seed?")?;
            rest.nothing_more()?;
            return picture::draw(seed, rules, &out);
        }
        "teeth" => {
            let only = rest.value("--only")?;
            let share = rest.number("--share")?.unwrap_or(1).max(1);
            let offset = rest.number("--offset")?.unwrap_or(0);
            let most = rest.number("--most")?.unwrap_or(3_000);
            rest.nothing_more()?;
            return teeth::show(only.as_deref(), share, offset, most);
        }
        "exhaust" => return exhaust::read(rest),
        other => return Err(format!("no such command: {other}")),
    };
    Ok(code)
}

/// Arguments that were not read yet.
struct Rest(Vec<String>);

impl Rest {
    fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|arg| arg != name);
        self.0.len() < before
    }

    fn value(&mut self, name: &str) -> Result<Option<String>, String> {
        let Some(at) = self.0.iter().position(|arg| arg == name) else { return Ok(None) };
        self.0.remove(at);
        if at == self.0.len() {
            return Err(format!("{name} needs a value"));
        }
        Ok(Some(self.0.remove(at)))
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>, String> {
        let value = self.value(name)?;
        value.map(|value| value.parse().map_err(|_| format!("{name} {value}: not a number"))).transpose()
    }

    fn seeds(&mut self, default: Range<u64>) -> Result<Range<u64>, String> {
        let Some(value) = self.value("--seeds")? else { return Ok(default) };
        let ends = value.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
        ends.filter(|ends: &Range<u64>| !ends.is_empty()).ok_or(format!("--seeds {value}: not FROM..TO"))
    }

    fn positional(&mut self) -> Result<Option<u64>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let value = self.0.remove(0);
        value.parse().map(Some).map_err(|_| format!("{value}: not a number"))
    }

    fn nothing_more(&self) -> Result<(), String> {
        self.0.first().map_or(Ok(()), |more| Err(format!("what is {more}?")))
    }
}
