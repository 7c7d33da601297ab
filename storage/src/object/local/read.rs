//! An object out of a folder.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};

use super::{
    blocking,
    path::{KeyPath, Missing, kind_of, not_carried},
};
use crate::{Error, Object, ObjectKey, ObjectMeta, Result};

/// A pipe that takes the file's place must not keep us waiting for a writer.
pub(super) const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
/// The longest piece of a body.
const PIECE_BYTES: u64 = 256 << 10;

/// Opens an object. What its metadata says is what the body is held to: a file that is written to while it is read ends its body
/// with `Changed`. One that is deleted, or replaced by another under its name, is read to its end as it was.
pub(super) fn open(root: &Path, key: ObjectKey) -> Result<Object> {
    let path = KeyPath::parse(&key)?;
    let not_found = || Error::NotFound { what: format!("object {key}") };
    let parent = path.open_parent(root, Missing::Absent)?.ok_or_else(not_found)?;
    let file = match openat(&parent, path.name, FILE, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Err(not_found()),
        Err(error) => match kind_of(&parent, path.name) {
            Ok(kind) if !kind.is_file() && !kind.is_dir() => return Err(not_carried(kind, &key)),
            _ => return Err(path.failed("opening", error)),
        },
    };
    let metadata = file.metadata().map_err(|error| path.failed("looking at", error))?;
    if metadata.is_dir() {
        return Err(not_found());
    }
    if !metadata.is_file() {
        return Err(not_carried(rustix::fs::FileType::from_raw_mode(metadata.mode()), &key));
    }
    let meta = ObjectMeta {
        size: metadata.len(),
        modified: Some(u64::try_from(metadata.mtime()).unwrap_or_default()),
        content_type: Some(content_type(path.name)),
        ..ObjectMeta::default()
    };
    let reader = Reader { file, stamp: Stamp::of(&metadata), left_bytes: metadata.len(), key };
    Ok(Object { meta, body: stream::try_unfold(reader, next).boxed() })
}

fn content_type(name: &[u8]) -> String {
    let guess = mime_guess::from_path(String::from_utf8_lossy(name).as_ref());
    guess.first_raw().unwrap_or("application/octet-stream").to_owned()
}

/// A body under way.
struct Reader {
    file: File,
    stamp: Stamp,
    left_bytes: u64,
    key: ObjectKey,
}

/// What tells one state of a file from another.
#[derive(PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self { size: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

async fn next(mut reader: Reader) -> Result<Option<(Bytes, Reader)>> {
    if reader.left_bytes == 0 {
        return Ok(None);
    }
    blocking("reading an object", move || reader.read().map(|bytes| Some((bytes, reader)))).await
}

impl Reader {
    /// The next piece. The last one is not given before the file has been found as it was.
    fn read(&mut self) -> Result<Bytes> {
        let length = self.left_bytes.min(PIECE_BYTES);
        let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
        self.file.read_exact(&mut piece).map_err(|error| self.failed("reading", error))?;
        self.left_bytes -= length;
        if self.left_bytes == 0 {
            let now = self.file.metadata().map_err(|error| self.failed("looking at", error))?;
            if Stamp::of(&now) != self.stamp {
                return Err(Error::Changed { key: self.key.clone() });
            }
        }
        Ok(piece.into())
    }

    /// A file that ends early has been cut; one that has gone stale was deleted on another machine.
    fn failed(&self, doing: &str, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::StaleNetworkFileHandle => {
                Error::Changed { key: self.key.clone() }
            }
            _ => Error::io(format!("{doing} object {}", self.key))(error),
        }
    }
}
