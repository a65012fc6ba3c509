//! The tables, as a page for `docs/`.

use std::fmt::Write as _;
use std::process::Command;

use crate::many::Many;
use crate::requests::Requests;
use crate::sample::Pair;
use crate::start::Starts;

/// One row: so many contenders on so many servers.
pub(crate) struct Scenario {
    pub(crate) servers: usize,
    pub(crate) contenders: usize,
    pub(crate) requests: Requests,
    pub(crate) times: Pair,
}

impl Scenario {
    /// Its row of the table.
    pub(crate) fn line(&self) -> String {
        let Pair { floor, ours } = &self.times;
        format!(
            "| {} | {} | {:.2} | {:.2} | **{:.2}** | {:.2} | {:.2} | {:.1} | {:.1} |",
            self.servers,
            self.contenders,
            floor.median(),
            ours.median(),
            self.times.ratio(),
            floor.percentile(99),
            ours.percentile(99),
            self.requests.handover,
            self.requests.keeping,
        )
    }
}

/// Everything measured.
pub(crate) struct Report {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) starts: Starts,
    pub(crate) many: Many,
}

impl Report {
    /// `docs/bench.md`.
    pub(crate) fn page(&self) -> String {
        let mut page = format!(
            "# The hand-over, measured\n\n\
             `scripts/bench` writes this page and its plot. Last run: {}, commit {}, {} cores, Apache ZooKeeper \
             {} without a disk's sync, everything on one machine.\n\n\
             The floor is one session's delete and another session's notification, with nothing of ours between \
             the caller and the bytes. A hand-over is from just before `Leadership::resign` until the next \
             contender has its `Leadership` in hand. They take turns of ten, {} of each a row, with 5 ms before \
             each; times in milliseconds.\n\n\
             Every contender is a process of its own with one session and a runtime of one thread, as in a fleet; \
             so are the two sessions of the floor, of which there is a pair for each two servers that hand over \
             to each other. Both begin when the process, already awake, is about to call, and end in the process \
             that was told, on one clock; whoever resigned contends again at once. In one process for all, the \
             winner would wait for the work of those who lost nothing by waiting.\n\n\
             | servers | contenders | floor p50 | hand-over p50 | ratio | floor p99 | hand-over p99 | requests | probes, pings |\n\
             |---|---|---|---|---|---|---|---|---|\n",
            jiff::Zoned::now().date(),
            commit(),
            std::thread::available_parallelism().map_or(0, usize::from),
            zookeeper(),
            self.scenarios.first().map_or(0, |scenario| scenario.times.ours.len()),
        );
        for scenario in &self.scenarios {
            let _ = writeln!(page, "{}", scenario.line());
        }
        page.push_str(
            "\n*Requests* are those that all servers together receive for one hand-over, the old leader's new \
             enrolment included; probes and pings in the same time are counted apart, and depend on time, not on \
             hand-overs.\n\n\
             A ratio differs by 0.05 and more from run to run. One below 1 does not beat the floor: a hand-over is \
             more work than a round of the floor, and keeps servers and processors awake for the next one. Taken one \
             by one instead, with a round of the floor between two hand-overs, so that contenders rest three times as \
             long as the floor's sessions do, the ratios were 1.11 to 1.28 (commit 00f1f1e).\n\n\
             ![floor and hand-over, from the 5th to the 95th of a hundred, with the median](bench.svg)\n\n",
        );
        self.starts_and_many(&mut page);
        page
    }

    fn starts_and_many(&self, page: &mut String) {
        let Starts { bare, library, command, program } = &self.starts;
        let _ = write!(
            page,
            "## From the start of a process until it leads\n\n\
             | what, {} times each | p50 | against the bare start |\n|---|---|---|\n\
             | a session and one ephemeral znode | {:.1} ms | 1 |\n",
            bare.len(),
            bare.median()
        );
        let rows = [
            ("the library leads", library),
            ("`elector run` leads", command),
            ("`elector run`: its program runs", program),
        ];
        for (what, sample) in rows {
            if sample.len() > 0 {
                let (time, ratio) = (sample.median(), sample.median() / bare.median());
                let _ = writeln!(page, "| {what} | {time:.1} ms | {ratio:.2} |");
            }
        }
        let Many { elections, memory, cpu_percent, writes } = self.many;
        let _ = write!(
            page,
            "\n## One process that leads {elections} elections\n\n\
             Each on a session of its own, T = 10 s, nothing happening: {memory:.0} MiB of memory, \
             {cpu_percent:.0} % of a core, {writes:.0} transactions a second at the server.\n",
        );
    }
}

/// The commit of the sources, if git knows.
fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let commit = output.ok().filter(|output| output.status.success());
    commit.map_or("unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The version of the servers.
fn zookeeper() -> String {
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", "zookeeper"]).output();
    output.map_or("unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
