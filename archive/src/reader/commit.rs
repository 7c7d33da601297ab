//! The commit conditions: what must hold at the end, before anybody may rely on what was read.

use std::io::Read;

use super::Reader;
use crate::layer::Dialect;
use crate::{Error, Result, Summary};

impl<R: Read> Reader<R> {
    /// The commit conditions, once the end blocks have been seen.
    pub(super) fn check_end(&mut self) -> Result<()> {
        self.settle(false);
        let footer = self.tar.finish()?;
        let Some((summary, at)) = &self.summary else {
            return Err(Error::CutShort { offset: self.tar.read_bytes(), missing: "summary.json" });
        };
        if let Some(footer) = footer
            && (footer.member, footer.skip) != (at.member, at.skip)
        {
            return Err(Error::entry("the footer", "it does not point to summary.json"));
        }
        let wrong = |why: &str| Err(Error::entry("summary.json", why));
        if !summary.complete {
            return wrong("it says that the archive is not complete");
        }
        let checked = std::mem::take(&mut self.front.tables).check(&summary.tables);
        checked.map_err(|why| Error::entry("summary.json", why))?;
        self.told.finish().map_err(|why| Error::entry("summary.json", why))?;
        self.objects.vanished = self.told.digest.vanished_count;
        if summary.objects != self.objects {
            return wrong("it counts other objects than the archive holds");
        }
        match self.tar.dialect() {
            Dialect::Ours => self.check_index(summary),
            Dialect::Foreign => self.check_foreign_index(summary),
        }
    }

    fn check_index(&self, summary: &Summary) -> Result<()> {
        let wrong = |why: &str| Err(Error::entry("summary.json", why));
        if !self.blocks.matches(&summary.index) {
            return wrong("it describes other index blocks than the archive holds");
        }
        if !self.seen.same_entries(&self.told.digest) {
            return wrong("the index does not describe the entries of the archive");
        }
        if summary.index_digest() != Some(self.told.digest.clone().finish()) {
            return wrong("its index digest is not that of the index");
        }
        Ok(())
    }

    /// An archive that others packed needs no index. Where it has one, its entries have moved, and all else holds.
    fn check_foreign_index(&self, summary: &Summary) -> Result<()> {
        let wrong = |why: &str| Err(Error::entry("summary.json", why));
        if self.blocks.count == 0 {
            if !summary.index.is_empty() || summary.signature.is_some() {
                return wrong("it has an index or a signature, and the archive holds no index blocks");
            }
            return Ok(());
        }
        if self.blocks.count as usize != summary.index.len() {
            return wrong("it describes other index blocks than the archive holds");
        }
        if !self.seen.same_entries(&self.told.contents) {
            return wrong("the index does not describe the entries of the archive");
        }
        if summary.index_digest() != Some(self.told.digest.clone().finish()) {
            return wrong("its index digest is not that of the index");
        }
        Ok(())
    }
}
