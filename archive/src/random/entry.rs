//! One entry at a place in the tar layer: its headers, its content.

use sha2::{Digest, Sha256};

use super::layer::Tailed;
use super::window::Window;
use super::{Entry, ReadAt};
use crate::header::{EntryHeader, HeaderKind, PAX_MAX_BYTES, PaxRecords, RawHeader, parse_pax};
use crate::index::BLOCK_MAX_BYTES;
use crate::layer::Dialect;
use crate::manifest::hex;
use crate::{EntryName, Error, Limits, Result};

/// Reads the headers of the entry that begins here.
pub(super) fn begin_entry<R: ReadAt>(window: &mut Window, layer: &Tailed<R>) -> Result<EntryHeader> {
    let wrong = |why: &str| Error::entry("the entry that the index points to", why);
    let parse = |block| RawHeader::parse(&block, Dialect::Ours).map_err(wrong);
    let mut header = parse(window.take_block(layer)?)?;
    let mut records = PaxRecords::new();
    if header.kind == HeaderKind::Pax {
        if header.size > PAX_MAX_BYTES {
            return Err(wrong("its pax header is over 1 MiB"));
        }
        let bytes = content(window, layer, header.size)?;
        records = parse_pax(&bytes).map_err(wrong)?;
        header = parse(window.take_block(layer)?)?;
    }
    if header.kind != HeaderKind::File {
        return Err(wrong("no file follows its pax header"));
    }
    header.resolve(records, Dialect::Ours)
}

/// Reads a document whole: the entry of this name that begins here, of this size where that is known.
pub(super) fn document<R: ReadAt>(
    window: &mut Window,
    layer: &Tailed<R>,
    name: &EntryName,
    size: Option<u64>,
    limits: &Limits,
) -> Result<Vec<u8>> {
    let found = begin_entry(window, layer)?;
    let found_size = found.object.size;
    if found.name != *name || size.is_some_and(|size| size != found_size) {
        return Err(Error::entry(name.path()?, "another entry stands where it should be"));
    }
    let most = if matches!(name, EntryName::Index(_)) { BLOCK_MAX_BYTES as u64 } else { limits.document_bytes };
    if found_size > most {
        return Err(Error::Limit { what: "bytes in a document of the archive", limit: most });
    }
    content(window, layer, found_size)
}

/// An entry of the index whose content is being read.
pub(super) struct OpenEntry<'a, R> {
    window: &'a mut Window,
    layer: &'a Tailed<R>,
    entry: &'a Entry,
    /// What its headers say of it: its path and size are the index's.
    pub(super) header: EntryHeader,
    left: u64,
    digest: Sha256,
}

impl<'a, R: ReadAt> OpenEntry<'a, R> {
    /// Reads the headers of an entry that `window` was sent to.
    pub(super) fn begin(window: &'a mut Window, layer: &'a Tailed<R>, entry: &'a Entry) -> Result<Self> {
        let header = begin_entry(window, layer)?;
        if (&header.name, header.object.size) != (&EntryName::parse(&entry.path)?, entry.size) {
            return Err(Error::entry(&*entry.path, "another entry stands where the index says that it does"));
        }
        Ok(Self { window, layer, entry, header, left: entry.size, digest: Sha256::new() })
    }

    /// The next bytes of its content, at most 1 MiB; none once all of them have been found to be what the index says.
    pub(super) fn piece(&mut self) -> Result<Option<&[u8]>> {
        if self.left == 0 {
            return self.end().map(|()| None);
        }
        let piece = self.window.take(self.layer, self.left)?;
        self.digest.update(piece);
        self.left -= piece.len() as u64;
        Ok(Some(piece))
    }

    fn end(&mut self) -> Result<()> {
        let entry = self.entry;
        self.window.skip_padding(self.layer, entry.size)?;
        let sha256: [u8; 32] = self.digest.finalize_reset().into();
        if sha256 != entry.sha256 {
            let why = format!("its SHA-256 is {} and not the index's {}", hex(&sha256), hex(&entry.sha256));
            return Err(Error::entry(&*entry.path, why));
        }
        if entry.next.is_some_and(|next| self.window.position() > next) {
            return Err(Error::entry(&*entry.path, "it runs on into the entry behind it"));
        }
        Ok(())
    }
}

fn content<R: ReadAt>(window: &mut Window, layer: &Tailed<R>, size_bytes: u64) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut left = size_bytes;
    while left > 0 {
        let piece = window.take(layer, left)?;
        content.extend_from_slice(piece);
        left -= piece.len() as u64;
    }
    window.skip_padding(layer, size_bytes)?;
    Ok(content)
}
