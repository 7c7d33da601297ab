//! A reader of tar of its own, as small as the format allows: it judges archives without the crate that wrote them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

/// One entry.
#[derive(Debug, PartialEq, Eq)]
pub struct TarEntry {
    /// Its path, from pax where that has it.
    pub path: String,
    /// Its header blocks as they stand, the pax one among them.
    pub header: Vec<u8>,
    /// Its pax records.
    pub pax: BTreeMap<String, String>,
    /// Its content.
    pub content: Vec<u8>,
}

/// Every entry of a small tar, in order.
///
/// # Errors
/// It is no tar of files and pax headers.
pub fn tar_entries(mut tar: &[u8]) -> Result<Vec<TarEntry>> {
    let (mut entries, mut pax, mut header) = (Vec::new(), BTreeMap::new(), Vec::new());
    while let Some((block, rest)) = tar.split_at_checked(512) {
        if block.iter().all(|&byte| byte == 0) {
            ensure!(rest.len() == 512 && rest.iter().all(|&byte| byte == 0), "two zero blocks do not end it");
            return Ok(entries);
        }
        let field = |from: usize, to: usize| {
            let field = block.get(from..to).unwrap_or_default();
            String::from_utf8_lossy(field.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
        };
        let size = usize::from_str_radix(field(124, 136).trim(), 8)?;
        let (content, rest) = rest.split_at_checked(size).context("it is cut short")?;
        header.extend_from_slice(block);
        match block.get(156) {
            Some(b'x') => {
                pax = pax_records(content)?;
                header.extend_from_slice(content);
            }
            kind => {
                ensure!(kind == Some(&b'0'), "it has an entry of type {kind:?}");
                let (pax, header) = (std::mem::take(&mut pax), std::mem::take(&mut header));
                let path = pax.get("path").cloned().unwrap_or_else(|| field(0, 100));
                entries.push(TarEntry { path, header, pax, content: content.to_vec() });
            }
        }
        tar = rest.get(size.next_multiple_of(512) - size..).context("it is cut short")?;
    }
    anyhow::bail!("it has no end")
}

fn pax_records(mut bytes: &[u8]) -> Result<BTreeMap<String, String>> {
    let mut records = BTreeMap::new();
    while let Some(space) = bytes.iter().position(|&byte| byte == b' ') {
        let length: usize = std::str::from_utf8(bytes.get(..space).unwrap_or_default())?.parse()?;
        let record = std::str::from_utf8(bytes.get(space + 1..length - 1).context("a pax record is cut short")?)?;
        let (key, value) = record.split_once('=').context("a pax record has no value")?;
        records.insert(key.to_owned(), value.to_owned());
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(records)
}

/// The name that a path's %XX stand for.
#[must_use]
pub fn decode_name(path: &str) -> Vec<u8> {
    let mut pieces = path.split('%');
    let mut name = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        name.push(u8::from_str_radix(digits, 16).unwrap_or(b'?'));
        name.extend_from_slice(rest.as_bytes());
    }
    name
}
