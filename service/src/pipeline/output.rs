//! Where an archive goes that is made or copied: a file or stream, or an object in a bucket.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use coffer_storage::S3Upload;
use tokio::time::timeout;

use super::{Receiver, Transfer};
use crate::{Error, Result};

/// How long a request under way is waited for after an interrupt, so that nothing is left of it: ten seconds where nobody else would
/// take it away.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// An output of our own is waited for as long as it takes.
pub(crate) const PATIENT: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Sends it as it is made. The object appears once it is whole; after a failure nothing of it is left.
pub(crate) async fn write_object(
    mut archive: Receiver<Bytes>,
    mut upload: S3Upload,
    transfer: &Transfer,
    grace: Duration,
) -> Result<()> {
    let sent: Result<()> = async {
        while let Some(piece) = transfer.or_cancelled(archive.next()).await? {
            transfer.add_bytes(piece.len() as u64);
            let mut writing = Box::pin(upload.write(piece));
            let mut is_over = false;
            let write = async {
                let written = (&mut writing).await;
                is_over = true;
                Ok(written?)
            };
            let written = transfer.or_cancelled(write).await;
            if !is_over {
                // A request whose answer nobody takes would leave a part of an upload that nobody knows.
                drop(timeout(grace, writing).await);
            }
            written?;
        }
        Ok(())
    }
    .await;
    match sent {
        Ok(()) => finish(upload, transfer, grace).await,
        Err(error) => {
            drop(timeout(grace, upload.abort()).await);
            Err(error)
        }
    }
}

/// Makes it an object. An interrupt that comes so late is heard once it is clear whether it is one, or after the grace.
async fn finish(upload: S3Upload, transfer: &Transfer, grace: Duration) -> Result<()> {
    let mut finishing = Box::pin(upload.finish());
    let mut is_over = false;
    let finish = async {
        let finished = (&mut finishing).await;
        is_over = true;
        Ok(finished?)
    };
    match transfer.or_cancelled(finish).await {
        Err(error) if !is_over => match timeout(grace, finishing).await {
            Ok(finished) => Ok(finished?),
            Err(_) => Err(error),
        },
        finished => finished,
    }
}

/// Writes it as it is made, and gives back what it was written to.
pub(crate) async fn write_out<W>(mut archive: Receiver<Bytes>, mut out: W, name: &str, transfer: &Transfer) -> Result<W>
where
    W: Write + Send + 'static,
{
    while let Some(piece) = transfer.or_cancelled(archive.next()).await? {
        transfer.add_bytes(piece.len() as u64);
        let written = tokio::task::spawn_blocking(move || out.write_all(&piece).map(|()| out));
        let written = transfer.or_cancelled(async { written.await.map_err(|_| Error::StageLost) }).await?;
        out = written.map_err(|error| Error::file(format!("writing {name}"), error))?;
    }
    out.flush().map_err(|error| Error::file(format!("writing {name}"), error))?;
    Ok(out)
}
