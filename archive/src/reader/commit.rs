//! The commit conditions: what must hold at the end, before anybody may rely on what was read.

use std::io::Read;

use super::Reader;
use crate::{Error, Result};

impl<R: Read> Reader<R> {
    /// The commit conditions, once the end blocks have been seen.
    pub(super) fn check_end(&mut self) -> Result<()> {
        let Some((summary, at)) = &self.summary else {
            return Err(Error::entry("summary.json", "the archive ends without it: it was cut short"));
        };
        let footer = self.members.finish()?;
        let wrong = |why: &str| Err(Error::entry("summary.json", why));
        if (footer.member, footer.skip) != (at.member, at.skip) {
            return Err(Error::entry("the footer", "it does not point to summary.json"));
        }
        if !summary.complete {
            return wrong("it says that the archive is not complete");
        }
        let tables = std::mem::take(&mut self.tables).finish();
        let tables = tables.map_err(|why| Error::entry("summary.json", why))?;
        if let Some((told, seen)) = summary.tables.iter().zip(&tables).find(|(told, seen)| told != seen) {
            let why = format!("it says {told:?} where the archive holds {seen:?}");
            return Err(Error::entry("summary.json", why));
        }
        if summary.tables.len() != tables.len() {
            return wrong("its tables are not those of the schema");
        }
        if summary.objects != self.objects {
            return wrong("it counts other objects than the archive holds");
        }
        if !self.blocks.matches(&summary.index) {
            return wrong("it describes other index blocks than the archive holds");
        }
        let (seen, told) = (self.seen.clone().finish(), self.told.clone().finish());
        if self.seen_records != self.told_records || seen != told {
            return wrong("the index does not describe the entries of the archive");
        }
        if summary.index_digest != seen {
            return wrong("its index digest is not that of the index");
        }
        Ok(())
    }
}
