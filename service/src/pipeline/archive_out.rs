//! The stage that makes an archive: a thread that takes items from a pipe, and writes tar, members and segments.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use coffer_archive::{Compression, Manifest, ObjectHeader, Signature, Summary, Writer};
use coffer_crypto::{ArchiveId, Recipients, Sealer, SigningKey};

use super::budget::Permit;
use super::pipe::{PipeWriter, Receiver};
use super::transfer::Transfer;
use crate::config::{Keys, Source};
use crate::{Error, Result};

/// Hexadecimal digits of an archive's id.
const ID_DIGITS: usize = 32;

/// How an archive is closed.
pub enum Sealing {
    /// Not at all: a plain `.tar.gz`.
    Plain,
    /// For these recipients.
    Sealed(Recipients),
}

impl Sealing {
    /// For those whom the configuration names.
    ///
    /// # Errors
    /// [`Error::Usage`] where it names nobody.
    pub fn default_for(source: &Source, keys: &Keys) -> Result<Self> {
        let recipients = source.readers(keys);
        if recipients.is_empty() {
            return Err(Error::Usage(
                "there is nobody to encrypt for: name a recipient or a passphrase, set [keys] recipients, or say that \
                 the archive shall not be encrypted"
                    .into(),
            ));
        }
        Ok(Self::Sealed(Recipients::keys(recipients.to_vec())?))
    }

    /// Whether a passphrase is to be stretched, which takes a turn.
    pub(super) const fn is_by_passphrase(&self) -> bool {
        matches!(self, Self::Sealed(Recipients::Passphrase(..)))
    }
}

/// How an archive is written.
pub struct Packing {
    /// Who can open it.
    pub sealing: Sealing,
    /// How its members are compressed.
    pub compression: Compression,
    /// Who vouches for it, if anybody does.
    pub signing_key: Option<Arc<SigningKey>>,
    /// The id that it gets: fresh, and for this archive alone.
    pub archive_id: ArchiveId,
}

impl Packing {
    /// The media type of what comes out, and what its file's name ends in.
    #[must_use]
    pub const fn media_type(&self) -> (&'static str, &'static str) {
        match (&self.sealing, self.compression) {
            (Sealing::Sealed(_), _) => ("application/vnd.coffer", "coffer"),
            (Sealing::Plain, Compression::Zstd(_)) => ("application/zstd", "tar.zst"),
            (Sealing::Plain, Compression::Gzip(_) | Compression::None) => ("application/gzip", "tar.gz"),
        }
    }
}

/// What stands at the front of an archive.
#[derive(Clone)]
pub(super) struct Front {
    /// Without the archive's id, which the sealer makes.
    pub(super) manifest: Manifest,
    pub(super) schema: Bytes,
    pub(super) pre_data: Bytes,
    pub(super) post_data: Bytes,
}

impl Front {
    /// Refuses what no archive could begin with: a document that is too large, a table's name that is too long. Blocks.
    pub(super) fn try_out(self) -> Result<()> {
        // The length of the id that it will have.
        let manifest = Manifest { archive_id: "0".repeat(ID_DIGITS), ..self.manifest };
        let mut writer = Writer::new(io::sink(), &manifest, Compression::None)?;
        Ok(writer.structure(&self.schema, &self.pre_data, &self.post_data)?)
    }
}

/// What follows, in the order of the archive.
pub(super) enum Item {
    Rows {
        table: Arc<str>,
        bytes: Bytes,
    },
    Sequences(Bytes),
    Object(Box<ObjectHeader>),
    ObjectBytes(Bytes),
    ObjectEnd,
    /// The object that was begun does not count, as it has changed; it comes again.
    ObjectVoid,
    /// The object of this key was listed, and was gone when it was to be read.
    ObjectVanished(Vec<u8>),
}

/// Writes a whole archive. Blocks: run it in a thread. `turn` is held while a passphrase is stretched.
pub(super) fn write_archive(
    front: Front,
    mut items: Receiver<Item>,
    packing: &Packing,
    out: &mut PipeWriter,
    transfer: &Transfer,
    turn: Option<Permit>,
) -> Result<Summary> {
    let mut output = Output::begin(packing, out)?;
    drop(turn);
    let summary = fill(front, &mut items, packing, &mut output, transfer)?;
    output.finish()?;
    Ok(summary)
}

fn fill(
    front: Front,
    items: &mut Receiver<Item>,
    packing: &Packing,
    output: &mut Output<'_>,
    transfer: &Transfer,
) -> Result<Summary> {
    let id = packing.archive_id;
    let manifest = Manifest { archive_id: id.to_string(), ..front.manifest };
    let mut writer = Writer::new(output, &manifest, packing.compression)?;
    writer.structure(&front.schema, &front.pre_data, &front.post_data)?;
    while let Some(item) = items.blocking_next()? {
        transfer.check()?;
        match item {
            Item::Rows { table, bytes } => {
                writer.rows(&table, &bytes)?;
                transfer.add_entry();
            }
            Item::Sequences(bytes) => writer.sequences(&bytes)?,
            Item::Object(header) => writer.begin_object(&header)?,
            Item::ObjectBytes(bytes) => writer.object_bytes(&bytes)?,
            Item::ObjectEnd => {
                writer.end_object()?;
                transfer.add_entry();
            }
            Item::ObjectVoid => writer.void_object()?,
            Item::ObjectVanished(key) => {
                writer.vanished_object(&key)?;
                transfer.add_vanished(1);
            }
        }
    }
    let sign = |digest: &[u8; 32]| packing.signing_key.as_ref().map(|key| signature(key, id, digest));
    let (_, summary) = writer.finish(sign)?;
    Ok(summary)
}

fn signature(key: &SigningKey, id: ArchiveId, index_digest: &[u8; 32]) -> Signature {
    let value = key.sign(id, index_digest).iter().map(|byte| format!("{byte:02x}")).collect();
    Signature { key: key.public().to_string(), value }
}

/// The layer below the members: sealed or not.
enum Output<'a> {
    Plain(&'a mut PipeWriter),
    Sealed(Box<Sealer<&'a mut PipeWriter>>),
}

impl<'a> Output<'a> {
    fn begin(packing: &Packing, out: &'a mut PipeWriter) -> Result<Self> {
        Ok(match &packing.sealing {
            Sealing::Plain => Self::Plain(out),
            Sealing::Sealed(recipients) => {
                Self::Sealed(Box::new(Sealer::with_id(out, recipients, packing.archive_id)?))
            }
        })
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Sealed(sealer) => sealer.finish().map(|_| ()).map_err(Error::from),
        }
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Sealed(sealer) => sealer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Sealed(sealer) => sealer.flush(),
        }
    }
}
