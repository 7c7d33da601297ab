//! The documents of an archive and the order of its rows, as either reader meets them.

use std::sync::Arc;

use bytes::Bytes;

use crate::manifest::{check_sequences, table_names};
use crate::reader::Event;
use crate::reader::document::parse_manifest;
use crate::rows::Tables;
use crate::{EntryName, Error, Manifest, Result, RowEncoding, fingerprint};

/// What has been learnt of an archive from its documents, and what has been counted of its rows.
#[derive(Default)]
pub(crate) struct Front {
    manifest: Option<Manifest>,
    schema: Bytes,
    pre_data: Bytes,
    pub(crate) tables: Tables,
}

impl Front {
    /// Takes a document whole, and gives what it tells: nothing before the last of the structure. Index blocks and the
    /// summary are none of its matters.
    pub(crate) fn take(&mut self, name: &EntryName, path: &str, content: Bytes) -> Result<Option<Event>> {
        let wrong = |why: String| Error::entry(path, why);
        Ok(match name {
            EntryName::Manifest => {
                let manifest = parse_manifest(&content)?;
                self.manifest = Some(manifest.clone());
                Some(Event::Manifest(Box::new(manifest)))
            }
            EntryName::Schema => {
                let names = table_names(&content).map_err(wrong)?;
                self.tables = Tables::new(names).map_err(|why| wrong(why.into()))?;
                self.schema = content;
                None
            }
            EntryName::PreData => {
                self.pre_data = content;
                None
            }
            EntryName::PostData => Some(self.structure(content).map_err(|why| wrong(why.into()))?),
            EntryName::Sequences => {
                check_sequences(&content).map_err(wrong)?;
                Some(Event::Sequences(content))
            }
            EntryName::Rows { .. } | EntryName::Object(_) | EntryName::Index(_) | EntryName::Summary => None,
        })
    }

    fn structure(&mut self, post_data: Bytes) -> Result<Event, &'static str> {
        let (schema, pre_data) = (std::mem::take(&mut self.schema), std::mem::take(&mut self.pre_data));
        let stated = self.manifest.as_ref().map(|manifest| manifest.fingerprint.as_str());
        if stated != Some(fingerprint(&schema, &pre_data, &post_data).as_str()) {
            return Err("the structure does not have the fingerprint that the manifest states");
        }
        Ok(Event::Structure { schema, pre_data, post_data })
    }

    /// A chunk of rows begins. Gives its table's name.
    pub(crate) fn begin_chunk(
        &mut self,
        table: &str,
        number: u32,
        encoding: RowEncoding,
        size: u64,
    ) -> Result<Arc<str>, &'static str> {
        if self.manifest.as_ref().is_none_or(|manifest| manifest.row_encoding != encoding) {
            return Err("its rows are not in the encoding that the manifest states");
        }
        self.tables.begin_chunk(table, number, size)?;
        Ok(Arc::from(table))
    }
}
