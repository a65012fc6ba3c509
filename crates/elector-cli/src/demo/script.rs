//! The demo without a terminal: plain lines, and a play whose scenes follow one another by themselves.

use super::contender::SESSION_TIMEOUT;
use super::screen;
use super::stage::{Next, Stage};
use super::story::Story;
use super::words;
use crate::{exit, log};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a scene is watched before the next one.
const WATCH: Duration = Duration::from_millis(700);
/// Everybody has a place by then.
const SETTLE_LIMIT: Duration = Duration::from_secs(15);
/// A next leader works by then: the session timeout, and much for a busy machine.
const FAILOVER_LIMIT: Duration = SESSION_TIMEOUT.saturating_add(Duration::from_secs(7));

/// Why the play ended early.
enum Cut {
    /// Somebody asked for the end, or reads no more.
    Short(u8),
    Failed(String),
}

impl From<io::Error> for Cut {
    fn from(error: io::Error) -> Cut {
        match error.kind() {
            // A reader that closed early, such as `head`, has seen what it wanted.
            io::ErrorKind::BrokenPipe => Cut::Short(exit::OK),
            _ => Cut::Failed(error.to_string()),
        }
    }
}

/// Plays to the end and tells the exit status.
pub(super) async fn play(stage: &mut Stage, color: bool) -> u8 {
    match (Play { stage, printed: 0, color }).scenes().await {
        Ok(()) => exit::OK,
        Err(Cut::Short(code)) => code,
        Err(Cut::Failed(why)) => {
            log::complain(&format!("demo: {why}"));
            exit::FAILURE
        }
    }
}

struct Play<'a> {
    stage: &'a mut Stage,
    /// How many lines were printed.
    printed: usize,
    color: bool,
}

impl Play<'_> {
    async fn scenes(&mut self) -> Result<(), Cut> {
        self.until(SETTLE_LIMIT, "not all contenders found their place", Story::is_settled).await?;
        self.watch().await?;
        self.hand_over(Stage::kill_leader, "the leader was killed, and nobody took over").await?;
        self.until(SETTLE_LIMIT, "the killed contender did not come back", Story::is_settled).await?;
        self.watch().await?;
        self.hand_over(Stage::freeze_or_resume, "the leader was frozen, and nobody took over").await?;
        self.until(SETTLE_LIMIT, "the frozen contender did not come back", Story::is_settled).await?;
        self.watch().await?;
        self.hand_over(Stage::stop_leader, "the leader was told to stop, and nobody took over").await?;
        self.watch().await?;
        let mut out = io::stdout();
        writeln!(out, "done: {}", words::summary(&self.stage.story))?;
        // Who sits at one that cannot show the screen has no keys to be told of.
        if !out.is_terminal() {
            writeln!(out, "On a terminal the keys are yours: kill, freeze or stop the leader.")?;
        }
        Ok(())
    }

    /// Does something to the leader and waits until the next one works.
    async fn hand_over(&mut self, strike: impl Fn(&mut Stage), failure: &str) -> Result<(), Cut> {
        let before = self.stage.story.hand_overs.len();
        strike(self.stage);
        self.until(FAILOVER_LIMIT, failure, move |story| story.hand_overs.len() > before).await
    }

    async fn watch(&mut self) -> Result<(), Cut> {
        let end = Instant::now() + WATCH;
        while let Ok(next) = timeout_at(end, self.stage.next()).await {
            self.passed(next?)?;
        }
        Ok(())
    }

    async fn until(
        &mut self,
        limit: Duration,
        failure: &str,
        reached: impl Fn(&Story) -> bool,
    ) -> Result<(), Cut> {
        let end = Instant::now() + limit;
        self.print()?;
        while !reached(&self.stage.story) {
            let next = timeout_at(end, self.stage.next()).await;
            let next = next.map_err(|_| Cut::Failed(format!("{failure} within {} s", limit.as_secs())))?;
            self.passed(next?)?;
        }
        Ok(())
    }

    fn passed(&mut self, next: Next) -> Result<(), Cut> {
        match next {
            Next::End(signal) => return Err(Cut::Short(super::code_of(signal))),
            Next::Heard | Next::Tick => self.print()?,
        }
        Ok(())
    }

    fn print(&mut self) -> io::Result<()> {
        let (lines, told) = self.stage.story.lines_from(self.printed);
        let text: String = lines.map(|line| screen::line(line, self.color) + "\n").collect();
        self.printed = told;
        let mut out = io::stdout();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}
