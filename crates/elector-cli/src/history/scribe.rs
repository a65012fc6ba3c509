//! Writes down the terms of a run, off the way of whatever matters.
//!
//! Purpose: one task, fed through a bounded queue, writes on a session that it opens when there is something to write
//! and closes behind it. Invariants: noting something never waits; what does not fit is left out; a refusal is said
//! once. The run's own end waits for the last word, for a bounded time, when its place is handed over already.

use super::record::{Ended, How, Told};
use crate::log::{About, Entry, Level, Log};
use crate::text::escape;
use elector::{Estate, History, HistoryError, LeaseClock, Token};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// Notes that wait for the task, and terms that wait for a server.
const MAX_NOTES: usize = 16;
/// Between two tries while no server answers; each is twice as long as the one before, up to the second.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(30);
/// How often an ending is put into a record that somebody else changes at the same time.
const TRIES: usize = 3;

/// Where a run's notes go.
#[derive(Debug)]
pub(crate) struct Scribe {
    notes: mpsc::Sender<Note>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Note {
    Began { token: Token, told: Box<Told>, at: Duration },
    Ended { token: Token, ending: Ending },
}

#[derive(Debug, Clone)]
struct Ending {
    how: How,
    detail: String,
    at: Duration,
}

impl Scribe {
    /// Starts the task on the present runtime. Instants are of `clock`; `estate` tells which server answers.
    pub(crate) fn start(
        history: History,
        estate: watch::Receiver<Option<Estate>>,
        clock: LeaseClock,
        log: Arc<Log>,
    ) -> Scribe {
        let (notes, receiver) = mpsc::channel(MAX_NOTES);
        let task = Task { history, estate, clock, log, terms: VecDeque::new(), said: false };
        Scribe { notes, task: tokio::spawn(task.run(receiver)) }
    }

    /// A term began at this instant.
    pub(crate) fn began(&self, token: Token, told: Told, at: Duration) {
        self.note(Note::Began { token, told: Box::new(told), at });
    }

    /// A term ended at this instant; nothing of its program is left.
    pub(crate) fn ended(&self, token: Token, how: How, detail: &str, at: Duration) {
        self.note(Note::Ended { token, ending: Ending { how, detail: detail.to_owned(), at } });
    }

    fn note(&self, note: Note) {
        // A history with a gap is better than an election that waits.
        let _left_out = self.notes.try_send(note);
    }

    /// Writes what is still to be written, if that takes no longer than `limit`.
    pub(crate) async fn finish(self, limit: Duration) {
        drop(self.notes);
        let _too_late = timeout(limit, self.task).await;
    }
}

/// A term that is not in the history yet as it should be.
struct Term {
    token: Token,
    told: Told,
    began: Duration,
    ending: Option<Ending>,
    /// We made its record.
    made: bool,
    /// The history has all of it that there is so far.
    written: bool,
}

struct Task {
    history: History,
    estate: watch::Receiver<Option<Estate>>,
    clock: LeaseClock,
    log: Arc<Log>,
    terms: VecDeque<Term>,
    said: bool,
}

impl Task {
    async fn run(mut self, mut notes: mpsc::Receiver<Note>) {
        let mut pause = RETRY_FIRST;
        let mut retry_at: Option<Instant> = None;
        loop {
            tokio::select! {
                note = notes.recv() => match note {
                    Some(note) => self.take(note),
                    None => break,
                },
                () = until(retry_at) => retry_at = None,
            }
            if retry_at.is_some() {
                continue;
            }
            if self.write_out().await {
                pause = RETRY_FIRST;
            } else {
                retry_at = Some(Instant::now() + pause);
                pause = (pause * 2).min(RETRY_MOST);
            }
        }
        self.write_out().await;
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Began { token, told, at } => {
                if self.terms.len() == MAX_NOTES {
                    self.terms.pop_front();
                }
                let (told, ending) = (*told, None);
                self.terms.push_back(Term { token, told, began: at, ending, made: false, written: false });
            }
            Note::Ended { token, ending } => {
                if let Some(term) = self.terms.iter_mut().find(|term| term.token == token) {
                    term.ending = Some(ending);
                    term.written = false;
                }
            }
        }
    }

    /// Writes all that is not written. False if no server answered.
    async fn write_out(&mut self) -> bool {
        if let Some(estate) = &*self.estate.borrow() {
            self.history.prefer(estate);
        }
        let mut answered = true;
        for term in self.terms.iter_mut().filter(|term| !term.written) {
            match write(&mut self.history, self.clock, term).await {
                Ok(()) => term.written = true,
                Err(error) if error.is_retryable() => {
                    answered = false;
                    break;
                }
                Err(error) => {
                    // It may be mended by the next term, so that is tried; but it is not said again.
                    term.written = true;
                    if !std::mem::replace(&mut self.said, true) {
                        self.log.say(&refusal(&error));
                    }
                }
            }
        }
        self.terms.retain(|term| !term.written || term.ending.is_none());
        self.history.rest().await;
        answered
    }
}

/// Makes the record, or puts the ending into the one that is there.
async fn write(history: &mut History, clock: LeaseClock, term: &mut Term) -> Result<(), HistoryError> {
    for _ in 0..TRIES {
        if !term.made && history.create(term.token, &as_of(clock.now(), term).text()).await? {
            term.made = true;
            return Ok(());
        }
        term.made = true;
        let Some(there) = history.get(term.token).await? else {
            // Dropped meanwhile, by somebody who leads and has enough others.
            term.made = false;
            continue;
        };
        // Connecting and reading took a while; the servers' time of the change is to come right after it.
        let fresh = as_of(clock.now(), term);
        let Some(ended) = &fresh.ended else { return Ok(()) };
        // What was told at its creation belongs to that moment, which the servers keep.
        let told = there.text.as_deref().and_then(Told::read).filter(|told| told.session == fresh.session);
        let told = told.unwrap_or_else(|| fresh.clone());
        if told.ended.as_ref().is_some_and(|before| knows_better(before, ended)) {
            return Ok(());
        }
        if history.replace(&there, &Told { ended: Some(ended.clone()), ..told }.text()).await? {
            return Ok(());
        }
    }
    // Somebody writes there all the time; it is not worth more.
    Ok(())
}

/// What is to be told of the term, by an instant just before it is written.
fn as_of(now: Duration, term: &Term) -> Told {
    let ended = term.ending.as_ref().map(|ending| Ended {
        how: ending.how.clone(),
        detail: ending.detail.clone(),
        led: Some(ending.at.saturating_sub(term.began)),
        ago: now.saturating_sub(ending.at),
    });
    Told { began_ago: now.saturating_sub(term.began), ended, ..term.told.clone() }
}

/// One that was stopped takes its own silence for that of the servers; the process beside it does not.
fn knows_better(before: &Ended, own: &Ended) -> bool {
    before.how == How::Killed && own.how == How::StoppedInTime
}

fn refusal(error: &HistoryError) -> Entry {
    let message = format!(
        "the history cannot be written, so that why will not tell of this run: {}; contenders need the right to \
         create, write and delete there",
        escape(&error.to_string())
    );
    Entry { level: Level::Warn, about: About::Error, token: None, message }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
