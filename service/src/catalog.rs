//! The catalogue: which backups there are and where, in the service's own database.

mod backups;
mod connect;
mod imports;
mod jobs;
mod record;
mod worker;
mod writes;

pub(crate) use backups::Claim;
pub use backups::{Attempt, BackupFilter};
pub use connect::Catalog;
pub(crate) use imports::{Journaled, Phase};
pub use jobs::{Job, JobKind, JobState, NewJob};
pub use record::{Backup, BackupId, Place, Record, State, Trigger};
use worker::Worker;

/// A word of ours as it stands in a table.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).ok();
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
