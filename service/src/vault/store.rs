//! One vault: archives written into it as they are made, found in it, and taken out of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coffer_storage::{Listing, ObjectKey, ObjectMeta, ObjectStore, PART_BYTES, S3Store, UnfinishedUpload};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};

use super::folder::{self, FolderListing, Found, NewFile};
use super::pace::Pace;
use super::path::{VaultPath, record_of};
use crate::catalog::Record;
use crate::config::{VaultKind, VaultPlace};
use crate::pipeline::{ArchivePlace, Budget, Receiver, Transfer, pipe, write_object, write_out};
use crate::{Error, Result};

/// How long a request under way is waited for after an interrupt: what is left of it, the next run clears away.
const GRACE: Duration = Duration::from_secs(1);
/// Pieces of an archive on their way.
const PIECES: usize = 4;
/// No record is longer.
const RECORD_MAX_BYTES: u64 = 1 << 20;

/// A vault. Cheap to clone.
#[derive(Clone)]
pub(super) struct Vault {
    place: VaultPlace,
    pace: Option<Arc<Pace>>,
}

/// A listing under way.
pub(super) enum VaultListing {
    Folder(FolderListing),
    Bucket(Box<dyn Listing>),
}

/// What was written.
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Vault {
    pub(super) fn new(place: &VaultPlace) -> Self {
        Self { place: place.clone(), pace: place.bandwidth.map(|most| Arc::new(Pace::new(most.bytes()))) }
    }

    /// The same at another pace.
    pub(super) fn at_pace(mut self, bytes_per_second: u64) -> Self {
        self.pace = Some(Arc::new(Pace::new(bytes_per_second)));
        self
    }

    pub(super) fn name(&self) -> &str {
        self.place.name.as_str()
    }

    pub(super) fn url(&self) -> String {
        self.place.url()
    }

    pub(super) fn is_folder(&self) -> bool {
        matches!(self.place.kind, VaultKind::Folder(_))
    }

    /// What it holds by construction while an archive is written into it.
    pub(super) fn taker_bytes(&self) -> u64 {
        match &self.place.kind {
            VaultKind::Folder(_) => 0,
            VaultKind::Bucket(..) => PART_BYTES,
        }
    }

    /// Names the vault where something is wrong with it.
    fn failed(&self) -> impl Fn(coffer_storage::Error) -> Error {
        move |error| Error::from(error).about(format!("vault {}", self.name()))
    }

    /// Names the vault where something is wrong with its folder.
    fn folder_failed(&self, error: std::io::Error) -> Error {
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::NotFound(format!("vault {}: there is no folder {}", self.name(), self.url()))
            }
            _ => Error::file(format!("vault {}: {}", self.name(), self.url()), error),
        }
    }

    /// All that stands in it.
    pub(super) async fn list(&self) -> Result<VaultListing> {
        match &self.place.kind {
            VaultKind::Folder(path) => {
                let path = path.clone();
                let begun = spawn_blocking(move || FolderListing::begin(&path)).await.map_err(|_| Error::StageLost)?;
                begun.map(VaultListing::Folder).map_err(|error| self.folder_failed(error))
            }
            VaultKind::Bucket(store, _) => store.list().await.map(VaultListing::Bucket).map_err(self.failed()),
        }
    }

    /// The next of what stands there; none is the end.
    pub(super) async fn next_page(&self, listing: VaultListing) -> Result<Option<(Vec<Found>, VaultListing)>> {
        match listing {
            VaultListing::Folder(mut listing) => {
                let read = spawn_blocking(move || listing.next_page().map(|page| page.map(|page| (page, listing))));
                let page = read.await.map_err(|_| Error::StageLost)?.map_err(|error| self.folder_failed(error))?;
                Ok(page.map(|(page, listing)| (page, VaultListing::Folder(listing))))
            }
            VaultListing::Bucket(mut listing) => {
                let page = listing.next_page().await.map_err(self.failed())?;
                let name = |key: &ObjectKey| String::from_utf8_lossy(key.as_bytes()).into_owned();
                let found = page.iter().map(|listed| Found::File(name(&listed.key), listed.size)).collect::<Vec<_>>();
                Ok((!found.is_empty()).then_some((found, VaultListing::Bucket(listing))))
            }
        }
    }

    /// Where an archive is, for whoever reads it.
    pub(super) fn archive(&self, path: &str) -> Result<ArchivePlace> {
        Ok(match &self.place.kind {
            VaultKind::Folder(folder) => ArchivePlace::File(folder.join(path)),
            VaultKind::Bucket(store, url) => {
                let key = ObjectKey::try_from(path.as_bytes())?;
                ArchivePlace::Object { store: (**store).clone(), key, name: format!("{url}{path}") }
            }
        })
    }

    /// Writes an archive as it comes. It appears under its name when it is whole; after an error there is nothing of it, and what had
    /// the name before stays. Where `expected` tells its SHA-256, another one is an error.
    pub(super) async fn write(
        &self,
        path: &str,
        media_type: &str,
        archive: Receiver<Bytes>,
        expected: Option<String>,
        budget: &Budget,
        transfer: &Transfer,
    ) -> Result<Written> {
        let before = transfer.bytes();
        let (archive, digest) = watch(archive, self.pace.clone(), expected);
        match &self.place.kind {
            VaultKind::Folder(folder) => {
                let target = folder.join(path);
                let new = blocking(move || NewFile::beside(&target)).await?;
                let file: File = write_out(archive, new.file()?, &format!("{}/{path}", self.url()), transfer).await?;
                drop(file);
                blocking(move || new.keep()).await?;
            }
            VaultKind::Bucket(store, url) => {
                let upload = store.upload(&ObjectKey::try_from(path.as_bytes())?, budget.sending(), media_type)?;
                let sent = write_object(archive, upload, transfer, GRACE).await;
                sent.map_err(|error| error.about(format!("{url}{path}")))?;
            }
        }
        let sha256 = digest.await.map_err(|_| Error::StageLost)?.ok_or(Error::StageLost)?;
        Ok(Written { bytes: transfer.bytes() - before, sha256 })
    }

    /// Keeps what is known of the archive at `path` beside it.
    pub(super) async fn write_record(&self, path: &str, record: &Record) -> Result<()> {
        let path = record_of(path);
        let mut text = serde_json::to_vec(record).map_err(|error| Error::Io(error.into()))?;
        text.push(b'\n');
        match &self.place.kind {
            VaultKind::Folder(folder) => {
                let target = folder.join(path);
                blocking(move || {
                    let new = NewFile::beside(&target)?;
                    let written = std::io::Write::write_all(&mut new.file()?, &text);
                    written.map_err(|error| Error::file(format!("writing {}", target.display()), error))?;
                    new.keep()
                })
                .await
            }
            VaultKind::Bucket(store, _) => {
                let content_type = Some("application/json".to_owned());
                let meta = ObjectMeta { size: text.len() as u64, content_type, ..ObjectMeta::default() };
                let body = futures::stream::iter([Ok(Bytes::from(text))]).boxed();
                store.put(&ObjectKey::try_from(path.as_bytes())?, meta, body).await.map_err(self.failed())
            }
        }
    }

    /// What is kept of the archive at `path`; none where nothing is, or nothing that can be read.
    pub(super) async fn read_record(&self, path: &str) -> Result<Option<Record>> {
        let path = record_of(path);
        let text = match &self.place.kind {
            VaultKind::Folder(folder) => {
                let path = folder.join(path);
                let read = spawn_blocking(move || folder::read_small(&path, RECORD_MAX_BYTES));
                read.await.map_err(|_| Error::StageLost)?.map_err(|error| self.folder_failed(error))?
            }
            VaultKind::Bucket(store, _) => self.read_small(store, &ObjectKey::try_from(path.as_bytes())?).await?,
        };
        // No text of ours holds a NUL, and PostgreSQL takes none.
        let record = text.and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
        let record = record.filter(|record| !record.to_string().contains("\\u0000"));
        let record = record.and_then(|record| serde_json::from_value::<Record>(record).ok());
        let is_digest = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        Ok(record.map(|record| Record { sha256: record.sha256.clone().filter(is_digest), ..record }))
    }

    async fn read_small(&self, store: &S3Store, key: &ObjectKey) -> Result<Option<Vec<u8>>> {
        let mut object = match store.get(key).await {
            Err(coffer_storage::Error::NotFound { .. }) => return Ok(None),
            object => object.map_err(self.failed())?,
        };
        if object.meta.size > RECORD_MAX_BYTES {
            return Ok(None);
        }
        let mut text = Vec::new();
        while let Some(piece) = object.body.next().await {
            text.extend_from_slice(&piece.map_err(self.failed())?);
        }
        Ok(Some(text))
    }

    /// Removes what is kept of an archive, and then the archive: whoever dies between the two leaves a backup, and nothing that belongs to
    /// none.
    pub(super) async fn delete(&self, path: &str) -> Result<()> {
        for path in [&record_of(path), path] {
            match &self.place.kind {
                VaultKind::Folder(folder) => {
                    let path = folder.join(path);
                    let removed = spawn_blocking(move || folder::remove(&path)).await.map_err(|_| Error::StageLost)?;
                    removed.map_err(|error| self.folder_failed(error))?;
                }
                VaultKind::Bucket(store, _) => {
                    store.delete(&ObjectKey::try_from(path.as_bytes())?).await.map_err(self.failed())?;
                }
            }
        }
        Ok(())
    }

    /// Until when the vault does not let the archive go; none where it does.
    pub(super) async fn locked_until(&self, path: &str) -> Result<Option<String>> {
        match &self.place.kind {
            VaultKind::Folder(_) => Ok(None),
            VaultKind::Bucket(store, _) => {
                let now = jiff::Timestamp::now().as_second();
                store.locked_until(&ObjectKey::try_from(path.as_bytes())?, now).await.map_err(self.failed())
            }
        }
    }

    /// Takes away the files that processes that are gone have left. Buckets have none.
    pub(super) async fn sweep_files(&self) -> Result<u64> {
        let VaultKind::Folder(path) = &self.place.kind else { return Ok(0) };
        let path: PathBuf = path.clone();
        blocking(move || {
            let name = path.display().to_string();
            folder::sweep(&path).map_err(|error| Error::file(format!("looking for leftovers in {name}"), error))
        })
        .await
    }

    /// The uploads of archives that were begun and did not end. Folders have none.
    pub(super) async fn uploads(&self) -> Result<Vec<(String, UnfinishedUpload)>> {
        let VaultKind::Bucket(store, _) = &self.place.kind else { return Ok(Vec::new()) };
        let uploads = store.unfinished_uploads().await.map_err(self.failed())?;
        let named = uploads.into_iter().map(|upload| {
            let path = String::from_utf8_lossy(upload.key.as_bytes()).into_owned();
            (path, upload)
        });
        Ok(named.filter(|(path, _)| path.parse::<VaultPath>().is_ok()).collect())
    }

    /// Aborts an upload.
    pub(super) async fn abort(&self, upload: &UnfinishedUpload) -> Result<()> {
        match &self.place.kind {
            VaultKind::Folder(_) => Ok(()),
            VaultKind::Bucket(store, _) => store.abort_upload(upload).await.map_err(self.failed()),
        }
    }

    /// Whether its folder is missing, or holds nothing: as it looks where a disk is not mounted. Of a bucket that can't be said.
    pub(super) async fn looks_unmounted(&self) -> Result<bool> {
        let VaultKind::Folder(path) = &self.place.kind else { return Ok(false) };
        let path = path.clone();
        let looked = spawn_blocking(move || folder::holds_nothing(&path)).await.map_err(|_| Error::StageLost)?;
        looked.map_err(|error| self.folder_failed(error))
    }
}

/// Lets an archive through at a pace and tells its SHA-256 in the end; none where it did not come to its end.
pub(super) fn watch(
    mut archive: Receiver<Bytes>,
    pace: Option<Arc<Pace>>,
    expected: Option<String>,
) -> (Receiver<Bytes>, JoinHandle<Option<String>>) {
    let (sender, receiver) = pipe(PIECES);
    let task = tokio::spawn(async move {
        let mut digest = Sha256::new();
        let ended = loop {
            match archive.next().await {
                Ok(Some(piece)) => {
                    if let Some(pace) = &pace {
                        pace.wait(piece.len()).await;
                    }
                    digest.update(&piece);
                    if sender.send(piece).await.is_err() {
                        return None;
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let ended = ended.and_then(|()| match expected {
            Some(expected) if expected != digest => {
                Err(Error::Mismatch("the archive is damaged: its SHA-256 is another than when it was written".into()))
            }
            _ => Ok(()),
        });
        sender.end(ended).await;
        Some(digest)
    });
    (receiver, task)
}

/// Runs what blocks off the async threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.map_err(|_| Error::StageLost)?
}

/// Whether a path is one of files that nobody has to know of.
pub(super) fn is_hidden(path: &str) -> bool {
    Path::new(path).file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}
