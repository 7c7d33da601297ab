//! Other recipients for the backups that stand in the vaults.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coffer_crypto::{Opener, Recipient, Recipients, Unlock, rewrap_header};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Vaults;
use super::path::VaultPath;
use super::store::{Vault, Written, watch};
use crate::catalog::{Backup, Place, Record};
use crate::pipeline::{PATIENT, PipeReader, PipeWriter, Receiver, Transfer, pipe};
use crate::{Error, Outcome, Result};

const PIECE_BYTES: usize = 256 << 10;
const PIECES: usize = 4;
/// How long it may take to note that nothing has changed.
const RESTORE: Duration = Duration::from_secs(3);

impl Vaults {
    /// Gives backups the recipients that the configuration names for their source now; those that have them already are passed over, and
    /// so are those that are not sealed. Id and segments stay, so that a signature stays good. Each archive is replaced in one step. That
    /// one fails keeps no other from being rewrapped.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a backup that is none; what goes wrong with one is told by `tell`.
    pub async fn rewrap(
        &self,
        ids: &[String],
        unlock: &Arc<Unlock>,
        run: &Arc<Transfer>,
        mut tell: impl FnMut(&Backup, Result<()>),
    ) -> Result<()> {
        run.or_cancelled(self.sweep()).await?;
        for backup in self.chosen(ids).await? {
            run.check()?;
            let rewrapped = Box::pin(self.rewrap_one(&backup, unlock, run)).await;
            run.check()?;
            match rewrapped {
                Ok(false) => {}
                Err(_) if self.has_gone(&backup).await? => {}
                done => {
                    run.add_entry();
                    tell(&backup, done.map(drop));
                }
            }
        }
        Ok(())
    }

    /// Tells whether there was anything to do.
    async fn rewrap_one(&self, backup: &Backup, unlock: &Arc<Unlock>, run: &Arc<Transfer>) -> Result<bool> {
        let app = backup.record.app()?;
        let keys = self.inner.config.keys.load()?;
        let source = self.inner.config.source(&app.source);
        let recipients = source.map_or(keys.recipients.as_slice(), |source| source.readers(&keys));
        if recipients.is_empty() {
            return Err(Error::Usage("the configuration names no recipient: set [keys] recipients".into()));
        }
        let mut is_changed = false;
        for place in &backup.places {
            let path: VaultPath = place.path.parse()?;
            if path.is_sealed() {
                let vault = self.vault(&place.vault)?;
                self.must_be_mounted(vault).await?;
                let rewrapping = self.rewrap_in(vault, &path, unlock, recipients, run);
                let rewrapped = self.writing_alone(vault, &place.path, rewrapping).await;
                is_changed |= rewrapped.map_err(|error| error.about(format!("{path} of vault {}", vault.name())))?;
            }
        }
        Ok(is_changed)
    }

    /// Rewraps one copy, which nobody else writes meanwhile: what is known of it is read only now.
    async fn rewrap_in(
        &self,
        vault: &Vault,
        path: &VaultPath,
        unlock: &Arc<Unlock>,
        recipients: &[Recipient],
        run: &Arc<Transfer>,
    ) -> Result<bool> {
        let backup = self.catalog().backup(&path.id.to_string()).await?;
        let Some(place) = backup.places.iter().find(|place| place.vault == vault.name()) else { return Ok(false) };
        let wanted: Vec<_> = recipients.iter().map(ToString::to_string).collect();
        if place.recipients.as_ref().is_some_and(|now| are_same(now, &wanted)) {
            return Ok(false);
        }
        let was = place.record(&backup.record);
        // Whoever finds a half of this knows that it has to be done again, and not what it would have been.
        let unsure = Record { bytes: None, sha256: None, recipients: None, ..was.clone() };
        run.or_cancelled(vault.write_record(&place.path, &unsure)).await?;
        self.catalog().unsure(path.id, vault.name()).await?;
        let sealed_for = Arc::new(Recipients::keys(recipients.to_vec())?);
        match self.write_rewrapped(vault, place, path, unlock, sealed_for, run).await {
            Ok(written) => {
                let (bytes, sha256, recipients) = (Some(written.bytes), Some(written.sha256), Some(wanted));
                let record = Record { bytes, sha256, recipients, ..was };
                vault.write_record(&place.path, &record).await?;
                self.stands_still(&record, vault, &place.path).await?;
                Ok(true)
            }
            Err(error) => {
                // What was found to be wrong while it was read has replaced nothing; of all else nobody knows.
                let is_what_it_was = matches!(error.outcome(), Outcome::Damaged | Outcome::WrongKey)
                    || (vault.is_folder() && error.outcome() == Outcome::Interrupted);
                if is_what_it_was {
                    timeout(RESTORE, vault.write_record(&place.path, &was)).await.map_err(|_| Error::StageLost)??;
                    self.stands_still(&was, vault, &place.path).await?;
                }
                Err(error)
            }
        }
    }

    async fn write_rewrapped(
        &self,
        vault: &Vault,
        place: &Place,
        path: &VaultPath,
        unlock: &Arc<Unlock>,
        recipients: Arc<Recipients>,
        run: &Arc<Transfer>,
    ) -> Result<Written> {
        let archive = vault.archive(&place.path)?;
        if place.sha256.is_none() {
            let (pieces, _) = run.or_cancelled(archive.pieces()).await?;
            run.or_cancelled(whole(pieces, Arc::clone(unlock))).await?;
        }
        let (pieces, length) = run.or_cancelled(archive.pieces()).await?;
        place.check_length(length)?;
        // What is damaged stays as it is, and is not made the recorded truth.
        let (pieces, _) = watch(pieces, None, place.sha256.clone());
        let pieces = rewrapped(pieces, Arc::clone(unlock), recipients);
        vault.write(&place.path, path.media_type(), pieces, None, &self.inner.budget, run).await
    }
}

/// Reads an archive of which no digest is known to its end: each of its segments has to be what was sealed.
async fn whole(archive: Receiver<Bytes>, unlock: Arc<Unlock>) -> Result<()> {
    let reading = spawn_blocking(move || {
        let mut opener = Opener::new(PipeReader::new(archive), &unlock)?;
        copy(&mut opener, &mut io::sink()).map_err(Error::from)
    });
    reading.await.map_err(|_| Error::StageLost)?
}

/// Whether two lists name the same, in whatever order.
fn are_same(some: &[String], others: &[String]) -> bool {
    let [some, others] = [some, others].map(|list| list.iter().collect::<BTreeSet<_>>());
    some == others
}

/// The archive that comes out of `archive`, with another header.
fn rewrapped(archive: Receiver<Bytes>, unlock: Arc<Unlock>, recipients: Arc<Recipients>) -> Receiver<Bytes> {
    let (sender, receiver) = pipe(PIECES);
    let mut out = PipeWriter::new(sender, PIECE_BYTES, Handle::current(), PATIENT);
    spawn_blocking(move || {
        let mut input = PipeReader::new(archive);
        let copied = rewrap_header(&mut input, &unlock, &recipients, &mut out);
        let copied = copied.map_err(Error::from).and_then(|_| copy(&mut input, &mut out).map_err(Error::from));
        out.end(copied, |_| {});
    });
    receiver
}

fn copy(input: &mut impl Read, out: &mut impl Write) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match input.read(&mut piece) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => out.write_all(piece.get(..read?).unwrap_or_default())?,
        }
    }
}
