//! What a run writes down about its terms, beside the election, for `why` and `status`.
//!
//! `record` is the form of one term's record, `scribe` writes the records of a run, `closing` adds the last word to
//! the record of an elector that was killed. The library knows where records lie and how many there may be.
//!
//! Invariant: whatever stands in the history decides nothing, and a history that cannot be written changes nothing.

mod closing;
mod record;
mod scribe;

pub(crate) use closing::{NOTE_LIMIT, note_the_killed};
#[cfg(test)]
pub(crate) use record::Ended;
pub(crate) use record::{Behind, Found, How, Told, in_words};
pub(crate) use scribe::Scribe;
