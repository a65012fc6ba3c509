//! Which failures of the election end the run with which status.

use crate::exit;
use crate::text::escape;
use elector::{CampaignError, StartError};

/// What no restart can mend is 2, so that service managers do not restart for ever.
pub(crate) fn start_code(error: &StartError) -> u8 {
    match error {
        StartError::Servers(_)
        | StartError::Path(_)
        | StartError::Id(_)
        | StartError::Acl(_)
        | StartError::Budget(_) => exit::USAGE,
        StartError::Failed(error) => campaign_code(error),
        _ => exit::FAILURE,
    }
}

/// A campaign's end in a line. What the servers did not permit is said of the path, with the remedy.
pub(crate) fn campaign_line(error: &CampaignError, election: &str) -> String {
    match error {
        CampaignError::Refused(elector::Error::NoPermission { .. }) => {
            format!("{}: {error}: give --auth-file, or mend its access list", escape(election))
        }
        _ => error.to_string(),
    }
}

/// The exit status of a campaign that ended so.
pub(crate) fn campaign_code(error: &CampaignError) -> u8 {
    match error {
        CampaignError::Refused(_) => exit::USAGE,
        _ => exit::FAILURE,
    }
}
