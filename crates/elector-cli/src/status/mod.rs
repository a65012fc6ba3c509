//! `elector status`: who leads, who waits, and how fresh the answer is.
//!
//! `asking` reads, `show` writes the answer. The answer goes to standard output, everything else to standard error.

mod show;

use crate::args::StatusOptions;
use crate::asking::{Answer, Refusal, ask, tell};
use crate::history::Found;
use crate::text;
use elector::{ReadError, Reader, Record, Snapshot};
use show::{Contender, Seen, Term};

/// Contenders that are shown; the rest of a longer queue is only counted.
const MAX_CONTENDERS: usize = 1000;
/// As much of a contender's name as is shown. Whoever may write there may write a megabyte.
const MAX_NAME: usize = 255;

/// Asks, answers, and tells the exit status.
pub(crate) fn status(options: &StatusOptions) -> u8 {
    tell(options, answer)
}

fn answer(options: &StatusOptions) -> Result<Answer<Seen>, Refusal> {
    let election = options.common.election.clone();
    let asked = ask(&options.common, options.limit, read)?;
    let (seen, warnings) = match &asked.seen {
        Ok(Some((snapshot, record))) => {
            let term = record.as_ref().ok().and_then(Option::as_ref).and_then(term);
            let seen = Seen { read: Some(asked.read(snapshot)), ..seen(snapshot, term) };
            let mut warnings = warnings(snapshot, &election);
            if let Err(error) = record {
                warnings.push(format!("since when is not known: {}", text::escape(&error.to_string())));
            }
            (Ok(seen), warnings)
        }
        // Nobody hosts, so that nobody leads.
        Ok(None) => (Ok(Seen::default()), Vec::new()),
        Err(unknown) => (Err(unknown.clone()), Vec::new()),
    };
    Ok(Answer { election, scope: asked.scope, at: jiff::Timestamp::now(), seen, warnings })
}

/// Reads who is there, and what is written down about the leader's term. That may fail by itself.
async fn read(reader: &Reader) -> Result<(Snapshot, Result<Option<Record>, ReadError>), ReadError> {
    let snapshot = reader.snapshot().await?;
    let record = match snapshot.contenders.first() {
        Some(leader) => reader.record(leader.token).await,
        None => Ok(None),
    };
    match record {
        Err(error) if error.is_retryable() => Err(error),
        record => Ok((snapshot, record)),
    }
}

fn term(record: &Record) -> Option<Term> {
    let found = Found::from(record);
    let since = jiff::Timestamp::try_from(found.began()?).ok()?;
    Some(Term { since, containment: found.told?.containment })
}

fn seen(snapshot: &Snapshot, term: Option<Term>) -> Seen {
    let contenders = snapshot.contenders.iter().take(MAX_CONTENDERS).map(|contender| Contender {
        id: contender.id.chars().take(MAX_NAME).collect(),
        token: contender.token.to_string(),
        session: contender.session,
    });
    let layout = snapshot.layout.map(|layout| layout.to_string());
    Seen { contenders: contenders.collect(), layout, read: None, term }
}

fn warnings(snapshot: &Snapshot, election: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    let total = snapshot.contenders.len();
    if !snapshot.exists {
        let path = text::escape(election);
        warnings.push(format!("no such path {path}: nobody contends there, or it is misspelt"));
    }
    if snapshot.layout.is_none() && total > 0 {
        warnings.push("contenders of different or unknown families, which may not exclude each other".into());
    }
    warnings.extend(never_gone(snapshot));
    if total > MAX_CONTENDERS {
        warnings.push(format!("only the first {MAX_CONTENDERS} of {total} contenders are shown"));
    }
    warnings
}

/// Which contenders nothing but an operator's delete ends, if there are any.
pub(crate) fn never_gone(snapshot: &Snapshot) -> Option<String> {
    // Session 0 owns nothing: such a znode was made persistent, and stays when its maker is gone.
    let mut persistent = snapshot.contenders.iter().filter(|contender| contender.session == 0);
    let name: String = persistent.next()?.id.chars().take(MAX_NAME).collect();
    let more = match persistent.count() {
        0 => String::new(),
        more => format!(" (nor are {more} more)"),
    };
    Some(text::never_goes(&name, &more))
}
