//! Where an archive is: a file, standard input, or an object in a bucket.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use coffer_storage::{Error as StorageError, ObjectKey, ObjectStore, S3RangeReader, S3Store};
use futures::StreamExt;
use tokio::runtime::Handle;

use super::ArchiveInput;
use super::pipe::{PipeReader, pipe};
use crate::{Error, Result};

/// Pieces of an object on their way to the reading of the archive.
const PIECES: usize = 4;

/// Where an archive is.
#[derive(Debug, Clone)]
pub enum ArchivePlace {
    /// A file; `-` is standard input.
    File(PathBuf),
    /// An object in a bucket.
    Object {
        /// The bucket.
        store: S3Store,
        /// The object.
        key: ObjectKey,
        /// Its URL.
        name: String,
    },
}

impl ArchivePlace {
    /// Opens it to be read once, from its beginning to its end, and tells its length where that is known.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::File`] and [`Error::Storage`] naming it.
    pub async fn open(&self) -> Result<(ArchiveInput, Option<u64>)> {
        match self {
            Self::File(path) => {
                let length = std::fs::metadata(path).ok().map(|metadata| metadata.len());
                Ok((ArchiveInput::open(path)?, length))
            }
            Self::Object { store, key, name } => {
                let object = store.get(key).await.map_err(|error| failed(name, error))?;
                let (sender, receiver) = pipe(PIECES);
                let mut body = object.body;
                let about = name.clone();
                tokio::spawn(async move {
                    let mut fed = Ok(());
                    while let Some(piece) = body.next().await {
                        fed = match piece {
                            Ok(piece) => sender.send(piece).await,
                            Err(error) => Err(failed(&about, error)),
                        };
                        if fed.is_err() {
                            break;
                        }
                    }
                    sender.end(fed).await;
                });
                Ok((ArchiveInput::new(PipeReader::new(receiver), name), Some(object.meta.size)))
            }
        }
    }
}

impl fmt::Display for ArchivePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Object { name, .. } => name.fmt(f),
        }
    }
}

fn failed(name: &str, error: StorageError) -> Error {
    match error {
        StorageError::NotFound { .. } => Error::NotFound(format!("there is no archive {name}")),
        error => Error::from(error).about(name),
    }
}

/// An archive that can be read anywhere.
pub(super) enum Seekable {
    File(File),
    Object { reader: S3RangeReader, runtime: Handle },
}

impl Seekable {
    /// Opens a place, and gives its length and its first bytes, at most `front_bytes`; none where it can only be read once.
    /// Blocks.
    pub(super) fn open(
        place: &ArchivePlace,
        front_bytes: u64,
        runtime: &Handle,
    ) -> Result<Option<(Self, u64, Vec<u8>)>> {
        match place {
            ArchivePlace::File(path) if !may_be_seeked(path) => Ok(None),
            ArchivePlace::File(path) => Self::open_file(path, front_bytes).map(Some),
            ArchivePlace::Object { store, key, name } => {
                let opened = runtime.block_on(store.open_ranges(key, front_bytes));
                let (reader, front) = opened.map_err(|error| failed(name, error))?;
                let size = reader.size();
                Ok(Some((Self::Object { reader, runtime: runtime.clone() }, size, front.to_vec())))
            }
        }
    }

    fn open_file(path: &Path, front_bytes: u64) -> Result<(Self, u64, Vec<u8>)> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound(format!("there is no archive {name}")),
            _ => Error::file(&name, error),
        })?;
        let size = file.metadata().map_err(|error| Error::file(&name, error))?.len();
        let mut front = vec![0; usize::try_from(size.min(front_bytes)).unwrap_or_default()];
        file.read_exact_at(&mut front, 0).map_err(|error| Error::file(&name, error))?;
        Ok((Self::File(file), size, front))
    }

    pub(super) fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(out, offset),
            Self::Object { reader, runtime } => {
                let bytes = runtime.block_on(reader.read(offset, out.len() as u64)).map_err(Error::from)?;
                out.copy_from_slice(&bytes);
                Ok(())
            }
        }
    }
}

/// Standard input, pipes and devices may not.
fn may_be_seeked(path: &Path) -> bool {
    path != Path::new("-") && !std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}
