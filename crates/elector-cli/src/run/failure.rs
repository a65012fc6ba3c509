//! Which failures of the election end the run with which status.

use crate::exit;
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

/// The same for a campaign.
pub(crate) fn campaign_code(error: &CampaignError) -> u8 {
    match error {
        CampaignError::Refused(_) => exit::USAGE,
        _ => exit::FAILURE,
    }
}
