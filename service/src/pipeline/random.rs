//! An archive in a file or an object that can be read anywhere: read where it is needed, and counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coffer_archive::{CheckedIndex, Limits, Listed, Manifest, RandomReader, Summary, can_be_read_at_random};
use coffer_crypto::{ArchiveId, LockedRandom, RandomOpener, is_sealed};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::archive_in::{blame, passphrase_turn, same_id};
use super::place::{ArchivePlace, Seekable};
use super::trust::{ReadKeys, manifest_id};
use super::{Budget, Direction, Transfer};
use crate::{Error, Result};

/// What is read of a file at first: the header of a sealed archive, the magic of a plain one.
const FRONT_BYTES: u64 = 8 << 10;
/// The first bytes by which members of ours are told.
const DETECT_BYTES: usize = 20;

/// What the first bytes of an archive tell to everybody.
pub(crate) struct ArchiveHead {
    /// The id in the header of a sealed archive, which nothing vouches for before it is opened.
    pub(crate) id: Option<ArchiveId>,
}

impl ArchiveHead {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::File`] naming it; [`Error::Crypto`] where it is sealed and its header is none.
    pub(crate) async fn read(place: &ArchivePlace) -> Result<Self> {
        let transfer = Transfer::begin(Direction::Verify, None)?;
        Self::in_thread(
            place,
            move |file| {
                let id =
                    is_sealed(&file.front).then(|| LockedRandom::read(Arc::new(file).into_source())).transpose()?;
                Ok(Self { id: id.map(|locked| locked.archive_id()) })
            },
            transfer,
        )
        .await
    }

    /// How long the archive is.
    ///
    /// # Errors
    /// As [`ArchiveHead::read`].
    pub(crate) async fn size_of(place: &ArchivePlace) -> Result<u64> {
        let transfer = Transfer::begin(Direction::Verify, None)?;
        Self::in_thread(place, |file| Ok(file.size), transfer).await
    }

    async fn in_thread<T: Send + 'static>(
        place: &ArchivePlace,
        look: impl FnOnce(CountedFile) -> Result<T> + Send + 'static,
        transfer: Arc<Transfer>,
    ) -> Result<T> {
        let (place, runtime) = (place.clone(), Handle::current());
        let looking = spawn_blocking(move || {
            let file = CountedFile::open(&place, &transfer, &runtime)?;
            look(file.ok_or_else(|| Error::Usage(format!("{place} is no file")))?)
        });
        looking.await.map_err(|_| Error::StageLost)?
    }
}

/// An archive that is read at random. Blocks: use it in a thread.
pub(crate) struct RandomArchive {
    reader: RandomReader<Layer>,
    /// The id in the header of a sealed archive.
    id: Option<ArchiveId>,
    file: Arc<CountedFile>,
    name: String,
}

/// How much of a file was read, and by how many ranged reads.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReadCount {
    pub(crate) ranged_reads: u64,
    pub(crate) bytes: u64,
}

impl RandomArchive {
    /// Opens the archive, and gives the keys back; none where it has to be read as a stream: it is no regular
    /// file, or is one that others packed. Where it is signed, the signature is checked; where somebody is to be trusted,
    /// all of its index.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::File`] naming it; whatever is wrong with its two ends; [`Error::Untrusted`].
    pub(crate) async fn open(
        place: &ArchivePlace,
        keys: ReadKeys,
        budget: &Budget,
        transfer: &Arc<Transfer>,
    ) -> Result<(Option<Self>, ReadKeys)> {
        let (place, budget, transfer, runtime) =
            (place.clone(), budget.clone(), Arc::clone(transfer), Handle::current());
        let opening = spawn_blocking(move || {
            let opened = Self::open_unproven(&place, &keys, &budget, &transfer, &runtime).and_then(|archive| {
                archive.as_ref().map_or(Ok(()), |archive| archive.vouch(&keys))?;
                Ok(archive)
            });
            opened.map(|archive| (archive, keys)).map_err(|error| blame(error, &place.to_string()))
        });
        opening.await.map_err(|_| Error::StageLost)?
    }

    /// As [`RandomArchive::open`], and asks neither who signed it nor whether it is the one expected. Blocks.
    ///
    /// # Errors
    /// Those of [`RandomArchive::open`]; they need not name the archive.
    pub(super) fn open_unproven(
        place: &ArchivePlace,
        keys: &ReadKeys,
        budget: &Budget,
        transfer: &Arc<Transfer>,
        runtime: &Handle,
    ) -> Result<Option<Self>> {
        let Some(file) = CountedFile::open(place, transfer, runtime)? else { return Ok(None) };
        Self::begin(Arc::new(file), keys, budget, runtime, place.to_string())
    }

    fn begin(
        file: Arc<CountedFile>,
        keys: &ReadKeys,
        budget: &Budget,
        runtime: &Handle,
        name: String,
    ) -> Result<Option<Self>> {
        let (layer, id) = if is_sealed(&file.front) {
            let locked = LockedRandom::read(Arc::clone(&file).into_source())?;
            let turn = passphrase_turn(&keys.unlock, budget, runtime);
            let opener = locked.unlock(&keys.unlock)?;
            drop(turn);
            let id = opener.archive_id();
            (Layer::Sealed(Box::new(opener)), Some(id))
        } else if can_be_read_at_random(file.front.get(..DETECT_BYTES).unwrap_or_default()) {
            (Layer::Plain(Arc::clone(&file)), None)
        } else {
            return Ok(None);
        };
        let reader = RandomReader::open(layer, Limits::default())?;
        Ok(Some(Self { reader, id, file, name }))
    }

    fn vouch(&self, keys: &ReadKeys) -> Result<()> {
        if keys.trust.is_asked_for() {
            // The signature covers the index, which covers every entry that is taken by it.
            self.reader.list(|_| Ok(()))?;
        }
        self.check_signature(keys)?;
        if keys.expected.is_some() {
            keys.check_expected(&self.manifest()?)?;
        }
        Ok(())
    }

    /// Checks the signature of the index, where there is one or somebody is to be trusted.
    fn check_signature(&self, keys: &ReadKeys) -> Result<()> {
        if !keys.trust.is_asked_for() && self.summary().signature.is_none() {
            return Ok(());
        }
        let id = self.id.map_or_else(|| manifest_id(&self.reader.manifest()?.archive_id), Ok)?;
        keys.trust.check(id, self.summary())
    }

    /// As [`RandomReader::check_index`], with the signature.
    pub(super) fn check_index(
        &self,
        keys: &ReadKeys,
        mut each: impl FnMut(&Listed) -> Result<bool>,
    ) -> Result<CheckedIndex> {
        let index = self.reader.check_index(|listed| Ok(each(listed).map_err(io::Error::from)?))?;
        self.check_signature(keys)?;
        Ok(index)
    }

    /// Holds the manifest that was read of it to its header, and to what was expected.
    pub(super) fn check_manifest(&self, manifest: &Manifest, keys: &ReadKeys) -> Result<()> {
        same_id(manifest, self.id)?;
        keys.check_expected(manifest)
    }

    /// What takes entries out of it.
    pub(crate) fn reader(&self) -> &RandomReader<impl coffer_archive::ReadAt> {
        &self.reader
    }

    /// What stands at its end. It was not compared with the rest of it.
    pub(crate) fn summary(&self) -> &Summary {
        self.reader.summary()
    }

    /// The same, for whoever is done with the archive.
    pub(super) fn into_summary(self) -> Summary {
        self.reader.into_summary()
    }

    /// What stands at its front.
    pub(crate) fn manifest(&self) -> Result<Manifest> {
        let manifest = self.reader.manifest().map_err(|error| self.blame(error))?;
        same_id(&manifest, self.id).map_err(|error| self.blame(error))?;
        Ok(manifest)
    }

    /// The size of its file.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.file.size
    }

    /// What has been read of it.
    pub(crate) fn count(&self) -> ReadCount {
        self.file.count()
    }

    /// Names the archive where it is the archive's fault.
    pub(crate) fn blame(&self, error: impl Into<Error>) -> Error {
        blame(error.into(), &self.name)
    }
}

/// A file whose reads are counted, and end once the transfer is cancelled.
struct CountedFile {
    file: Seekable,
    size: u64,
    front: Vec<u8>,
    ranged_reads: AtomicU64,
    bytes: AtomicU64,
    transfer: Arc<Transfer>,
}

impl CountedFile {
    /// None where it can only be read once.
    fn open(place: &ArchivePlace, transfer: &Arc<Transfer>, runtime: &Handle) -> Result<Option<Self>> {
        let Some((file, size, front)) = Seekable::open(place, FRONT_BYTES, runtime)? else { return Ok(None) };
        let first = front.len() as u64;
        transfer.add_bytes(first);
        let (ranged_reads, bytes) = (AtomicU64::new(1), AtomicU64::new(first));
        Ok(Some(Self { file, size, front, ranged_reads, bytes, transfer: Arc::clone(transfer) }))
    }

    /// Fills `out`, from what was read at first where that has it.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        let known = self.front.get(begin..).and_then(|front| front.get(..out.len()));
        if let Some(known) = known {
            out.copy_from_slice(known);
            return Ok(());
        }
        self.transfer.check()?;
        self.ranged_reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(out.len() as u64, Ordering::Relaxed);
        self.transfer.add_bytes(out.len() as u64);
        self.file.read_exact_at(out, offset)
    }

    fn count(&self) -> ReadCount {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ReadCount { ranged_reads: read(&self.ranged_reads), bytes: read(&self.bytes) }
    }

    fn into_source(self: Arc<Self>) -> SealedSource {
        SealedSource(self)
    }
}

/// The file as the sealed layer reads it.
struct SealedSource(Arc<CountedFile>);

impl coffer_crypto::ReadAt for SealedSource {
    fn size(&self) -> u64 {
        self.0.size
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
}

/// The compressed layer: the file itself, or what is sealed in it.
enum Layer {
    Plain(Arc<CountedFile>),
    Sealed(Box<RandomOpener<SealedSource>>),
}

impl coffer_archive::ReadAt for Layer {
    fn size(&self) -> u64 {
        match self {
            Self::Plain(file) => file.size,
            Self::Sealed(opener) => opener.size(),
        }
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.read(offset, out),
            Self::Sealed(opener) => opener.read_exact_at(offset, out),
        }
    }
}
