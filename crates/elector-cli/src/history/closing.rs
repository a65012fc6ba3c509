//! The last word about a term whose elector was killed or stopped, written by the process that closed its session.

use super::record::{Ended, How, Told};
use elector::{Estate, HistoryError};
use std::time::{Duration, Instant};

/// The newest records that are looked at: the next leader may have written its own meanwhile.
const LOOKED_AT: usize = 4;

/// How long it may take.
pub(crate) const NOTE_LIMIT: Duration = Duration::from_secs(2);

/// Ends the record of the term that this session carried, if its own elector has not.
pub(crate) async fn note_the_killed(estate: &Estate, gone: Instant) -> Result<(), HistoryError> {
    let mut history = estate.history();
    for record in history.last(LOOKED_AT).await? {
        let told = record.text.as_deref().and_then(Told::read);
        let Some(told) = told.filter(|told| told.session == estate.session() && told.ended.is_none()) else {
            continue;
        };
        let ended = Ended { how: How::Killed, detail: String::new(), led: None, ago: gone.elapsed() };
        // One that was changed meanwhile was changed by whoever knows better.
        history.replace(&record, &Told { ended: Some(ended), ..told }.text()).await?;
    }
    history.rest().await;
    Ok(())
}
