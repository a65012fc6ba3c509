//! `elector why`: the last terms and how each ended, from the history that runs write beside the election.
//!
//! `asking` reads, `terms` finds out what the records say together, `show` writes the answer.

mod show;
mod terms;

use crate::args::StatusOptions;
use crate::asking::{Answer, Refusal, Scope, Unknown, ask, tell};
use crate::history::Found;
use crate::text;
use elector::{ReadError, Reader, Record, Snapshot};
use show::Seen;

/// Asks, answers, and tells the exit status.
pub(crate) fn why(options: &StatusOptions) -> u8 {
    tell(options, answer)
}

fn answer(options: &StatusOptions) -> Result<Answer<Seen>, Refusal> {
    let election = options.common.election.clone();
    let asked = ask(&options.common, options.limit, read)?;
    let mut warnings = Vec::new();
    let seen = match &asked.seen {
        Ok(Some((snapshot, records))) => {
            let leader = snapshot.contenders.first().map(|leader| (leader.token, leader.id.as_str()));
            let terms = terms::terms(records.iter().map(Found::from), leader);
            if !snapshot.exists && terms.is_empty() {
                let path = text::escape(&election);
                warnings.push(format!("no such path {path}: nobody ever contended there, or it is misspelt"));
            }
            Ok(Seen { terms, read: asked.read(snapshot) })
        }
        Ok(None) => Err(nobody_hosts(&asked.scope)),
        Err(unknown) => Err(unknown.clone()),
    };
    Ok(Answer { election, scope: asked.scope, at: jiff::Timestamp::now(), seen, warnings })
}

async fn read(reader: &Reader) -> Result<(Snapshot, Vec<Record>), ReadError> {
    let snapshot = reader.snapshot().await?;
    let records = reader.history(terms::KEPT).await?;
    Ok((snapshot, records))
}

/// The history of a local election is read from whoever hosts it.
fn nobody_hosts(scope: &Scope) -> Unknown {
    let place = match scope {
        Scope::Local(directory) => format!(" in {}", text::escape(directory)),
        Scope::Ensemble(_) => String::new(),
    };
    let message = format!("nothing is running{place}: the history can be read while a contender is there");
    Unknown { code: "nobody-hosts", message }
}
