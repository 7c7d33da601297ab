//! Verification of an archive: all of it is read and checked, and nothing is restored.

use std::sync::Arc;

use coffer_archive::{Event, Manifest, Summary};

use super::archive_in::{Arrived, READING_BYTES, read_archive};
use super::{ArchiveInput, Budget, ReadKeys, Transfer};
use crate::{Error, Result};

/// What a whole archive holds.
pub struct Contents {
    /// What was known when it was begun.
    pub manifest: Manifest,
    /// What was known at its end.
    pub summary: Summary,
}

/// Reads all of an archive and checks each commit condition of the format.
///
/// # Errors
/// [`Error::Crypto`] and [`Error::Archive`] for an archive that is damaged or can't be opened.
pub async fn check(input: ArchiveInput, keys: ReadKeys, budget: &Budget, transfer: &Arc<Transfer>) -> Result<Contents> {
    let _reserve = budget.reserve(READING_BYTES).await?;
    let mut arriving = read_archive(input, keys, budget, transfer);
    let (mut manifest, mut summary) = (None, None);
    while let Some(arrived) = transfer.or_cancelled(arriving.next()).await? {
        match arrived {
            Arrived::Event(Event::Manifest(found)) => manifest = Some(*found),
            Arrived::Event(Event::ObjectEnd) => transfer.add_entry(),
            Arrived::Event(_) => {}
            Arrived::Verified(found) => {
                transfer.add_vanished(found.objects.vanished);
                summary = Some(*found);
            }
        }
    }
    match (manifest, summary) {
        (Some(manifest), Some(summary)) => Ok(Contents { manifest, summary }),
        _ => Err(Error::StageLost),
    }
}
