//! One entry at a place in the tar layer: its headers, its content.

use std::io::Write;

use sha2::{Digest, Sha256};

use super::ReadAt;
use super::layer::Tailed;
use super::window::Window;
use crate::header::{EntryHeader, HeaderKind, PAX_MAX_BYTES, PaxRecords, RawHeader, parse_pax};
use crate::index::BLOCK_MAX_BYTES;
use crate::layer::Dialect;
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

/// Writes the content of an entry to `out`, and gives its SHA-256.
pub(super) fn copy_content<R: ReadAt>(
    window: &mut Window,
    layer: &Tailed<R>,
    size_bytes: u64,
    out: &mut impl Write,
) -> Result<[u8; 32]> {
    let mut digest = Sha256::new();
    let mut left = size_bytes;
    while left > 0 {
        let piece = window.take(layer, left)?;
        digest.update(piece);
        out.write_all(piece)?;
        left -= piece.len() as u64;
    }
    window.skip_padding(layer, size_bytes)?;
    Ok(digest.finalize().into())
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
