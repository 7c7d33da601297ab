//! The entries that are held whole: documents, index blocks, the summary.

use std::io::Read;

use bytes::Bytes;

use super::{Body, Event, Reader};
use crate::index::Block;
use crate::json;
use crate::layer::Dialect;
use crate::manifest::unhex;
use crate::{EntryName, Error, FORMAT, Manifest, Result, Summary};

impl<R: Read> Reader<R> {
    pub(super) fn end_document(&mut self, body: Body, content: Bytes) -> Result<Option<Event>> {
        let wrong = |why: String| Error::entry(&*body.path, why);
        let event = match &body.name {
            EntryName::Index(_) => {
                self.end_block(&body, &content).map_err(wrong)?;
                None
            }
            EntryName::Summary => {
                let summary: Summary = json::from_slice(&content).map_err(wrong)?;
                summary.check_form().map_err(|why| wrong(why.into()))?;
                self.summary = Some((summary, body.at));
                None
            }
            name => self.front.take(name, &body.path, content)?,
        };
        self.end_entry(body)?;
        Ok(event)
    }

    fn end_block(&mut self, body: &Body, content: &[u8]) -> Result<(), String> {
        let told = &mut self.told;
        let block = Block::parse(content, |record| told.add(record))?.summary(body.at, body.size);
        let described = match self.tar.dialect() {
            Dialect::Ours => {
                self.blocks.add(&block)?;
                self.told.digest.entry_count
            }
            // Whoever packed it anew has moved it.
            Dialect::Foreign => {
                self.blocks.count += 1;
                self.told.contents.entry_count
            }
        };
        if described > self.seen_entries() {
            return Err("the index describes more entries than stand before it".into());
        }
        Ok(())
    }
}

pub(crate) fn parse_manifest(content: &[u8]) -> Result<Manifest> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        format: String,
    }
    let not_ours = |why: String| Error::NotAnArchive(format!("its manifest.json: {why}"));
    let damaged = |why: String| Error::entry("manifest.json", why);
    let Versioned { format } = json::from_slice(content).map_err(not_ours)?;
    match format.strip_prefix("coffer/") {
        _ if format == FORMAT => {}
        Some(_) => return Err(Error::Version { found: format }),
        None => return Err(not_ours(format!("it says format {format:?}"))),
    }
    let manifest: Manifest = json::from_slice(content).map_err(damaged)?;
    if unhex::<16>(&manifest.archive_id).is_none() {
        return Err(damaged("its archive_id is not 32 lower-case hexadecimal digits".into()));
    }
    Ok(manifest)
}
