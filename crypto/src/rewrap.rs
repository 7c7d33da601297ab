//! Other recipients for an archive that is sealed already.

use std::io::{Read, Write};

use crate::{ArchiveId, Recipients, Result, Unlock, envelope};

/// What was rewrapped, and where the segments begin that follow unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the archive is whole only when the segments were copied behind the new header"]
pub struct Rewrapped {
    /// The id of the archive, before and after.
    pub archive_id: ArchiveId,
    /// The bytes read: the old header, and the offset of the first segment in the old archive.
    pub old_header_bytes: u64,
    /// The bytes written: the new header, and the offset of the first segment in the new archive.
    pub new_header_bytes: u64,
}

/// Writes a header with which the recipients, and they alone, open the segments of the archive that `input` begins.
///
/// Reads the old header, opens and checks it, and reads not a byte beyond it; then makes the new one and writes it at
/// once. The archive's key and id stay, so the caller copies all that follows in the input to the output as it is. The
/// segments are not looked at: what is cut short or damaged there stays so, and is found by whoever opens the new
/// archive.
///
/// It does not revoke: whoever opened the archive before, or kept the old header, can read it still. To revoke, write the
/// archive anew.
///
/// With passphrases it takes the memory and time of one try at the old one, and then of one at the new one.
///
/// # Errors
///
/// Those of [`Opener::new`](crate::Opener::new) and of [`Sealer::new`](crate::Sealer::new). Nothing was written, but
/// where the output itself failed.
pub fn rewrap_header(
    input: &mut impl Read,
    unlock: &Unlock,
    recipients: &Recipients,
    out: &mut impl Write,
) -> Result<Rewrapped> {
    let old = envelope::read(input)?;
    let (archive_id, old_header_bytes) = (old.id(), old.length());
    let new = envelope::header(&old.open_key(unlock)?, archive_id, recipients)?;
    out.write_all(&new)?;
    Ok(Rewrapped { archive_id, old_header_bytes, new_header_bytes: new.len() as u64 })
}
