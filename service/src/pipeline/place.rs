//! Where an archive is: a file, standard input, or an object in a bucket.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use coffer_storage::{Error as StorageError, ObjectKey, ObjectStore, S3RangeReader, S3Store};
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::ArchiveInput;
use super::pipe::{PipeReader, Receiver, Sender, pipe};
use crate::{Error, Result};

/// Pieces of an object on their way to the reading of the archive.
const PIECES: usize = 4;
/// How much of a file is read at once to be copied.
const PIECE_BYTES: usize = 256 << 10;

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
            Self::Object { name, .. } => {
                let (pieces, length) = self.pieces().await?;
                Ok((ArchiveInput::new(PipeReader::new(pieces), name), Some(length)))
            }
        }
    }

    /// Opens it to be copied as it is, and tells its length.
    ///
    /// # Errors
    /// Those of [`ArchivePlace::open`].
    pub(crate) async fn pieces(&self) -> Result<(Receiver<Bytes>, u64)> {
        let (sender, receiver) = pipe(PIECES);
        let name = self.to_string();
        match self {
            Self::File(path) => {
                let (path, about) = (path.clone(), name.clone());
                let opened = spawn_blocking(move || open_file(&path)).await.map_err(|_| Error::StageLost)?;
                let (mut file, length) = opened?;
                spawn_blocking(move || {
                    let read = read_pieces(&mut file, &sender).map_err(|error| error.about(about));
                    sender.blocking_end(read);
                });
                Ok((receiver, length))
            }
            Self::Object { store, key, .. } => {
                let object = store.get(key).await.map_err(|error| failed(&name, error))?;
                let mut body = object.body;
                tokio::spawn(async move {
                    let mut fed = Ok(());
                    while let Some(piece) = body.next().await {
                        fed = match piece {
                            Ok(piece) => sender.send(piece).await,
                            Err(error) => Err(failed(&name, error)),
                        };
                        if fed.is_err() {
                            break;
                        }
                    }
                    sender.end(fed).await;
                });
                Ok((receiver, object.meta.size))
            }
        }
    }
}

/// An archive of which any part can be sent.
pub(crate) struct OpenPart {
    file: Seekable,
    size: u64,
}

impl ArchivePlace {
    /// Opens it to send a part of it as it is.
    ///
    /// # Errors
    /// Those of [`ArchivePlace::open`]; [`Error::Usage`] for what can only be read once.
    pub(crate) async fn open_part(&self) -> Result<OpenPart> {
        let (place, runtime) = (self.clone(), Handle::current());
        let opening =
            spawn_blocking(move || Seekable::open(&place, 1, &runtime)).await.map_err(|_| Error::StageLost)??;
        let (file, size, _) = opening.ok_or_else(|| Error::Usage(format!("{self} is no file")))?;
        Ok(OpenPart { file, size })
    }
}

impl OpenPart {
    /// How long the archive is.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// These bytes, which the archive has.
    pub(crate) fn stream(self, bytes: Range<u64>) -> Receiver<Bytes> {
        let (sender, receiver) = pipe(1);
        // A request for each piece, from a bucket.
        let piece_bytes = match &self.file {
            Seekable::File(_) => 64 << 10,
            Seekable::Object { .. } => 512 << 10,
        };
        spawn_blocking(move || {
            let mut offset = bytes.start;
            let read = loop {
                let length = (bytes.end - offset).min(piece_bytes);
                if length == 0 {
                    break Ok(());
                }
                let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
                let sent = self.file.read_exact_at(&mut piece, offset).map_err(Error::from);
                if let Err(error) = sent.and_then(|()| sender.blocking_send(piece.into())) {
                    break Err(error);
                }
                offset += length;
            };
            sender.blocking_end(read);
        });
        receiver
    }
}

fn open_file(path: &Path) -> Result<(File, u64)> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound(format!("there is no archive {name}")),
        _ => Error::file(&name, error),
    })?;
    let length = file.metadata().map_err(|error| Error::file(&name, error))?.len();
    Ok((file, length))
}

fn read_pieces(file: &mut File, sender: &Sender<Bytes>) -> Result<()> {
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let count = match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(Error::Io)?,
        };
        piece.truncate(count);
        sender.blocking_send(piece.into())?;
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
        let (file, size) = open_file(path)?;
        let name = path.display().to_string();
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
