//! What a selection comes to in an archive: the tables and objects that are chosen, and their counts.

use std::collections::BTreeSet;

use coffer_archive::{Entry, EntryName, Listed, ObjectTotals, RowEncoding, Summary};

use super::selection::{Found, Selection};
use crate::Result;

/// A selection that hears of the index. It keeps the names of tables, and of all else nothing but counts.
pub(super) struct Choosing {
    selection: Selection,
    /// Those that are chosen.
    tables: BTreeSet<String>,
    objects: ObjectTotals,
    /// How the archive writes rows, once it is known.
    encoding: Option<RowEncoding>,
}

/// What was chosen.
pub(super) struct Choice {
    selection: Selection,
    tables: BTreeSet<String>,
    objects: ObjectTotals,
}

impl Choosing {
    pub(super) fn of(selection: Selection) -> Self {
        Self { selection, tables: BTreeSet::new(), objects: ObjectTotals::default(), encoding: None }
    }

    /// Hears of a record, and says whether its entry may be chosen.
    pub(super) fn hear(&mut self, listed: &Listed) -> Result<bool> {
        let path = listed.path();
        Ok(match EntryName::parse(path)? {
            EntryName::Rows { table, encoding, .. } => {
                self.encoding = Some(encoding);
                if self.selection.find(path, Found::There) {
                    self.tables.insert(table);
                }
                true
            }
            EntryName::Object(_) => self.hear_object(listed),
            _ => {
                self.selection.find(path, Found::Document);
                true
            }
        })
    }

    fn hear_object(&mut self, listed: &Listed) -> bool {
        let path = listed.path();
        match listed {
            // The attempt that counts comes behind it.
            Listed::Void(_) => self.selection.asks_for(path),
            Listed::Vanished(_) => {
                self.objects.vanished += u64::from(self.selection.find(path, Found::Vanished));
                false
            }
            Listed::Entry(entry) => {
                let chosen = self.selection.find(path, Found::There);
                if chosen {
                    self.objects.count += 1;
                    self.objects.bytes = self.objects.bytes.saturating_add(entry.size);
                }
                chosen
            }
        }
    }

    /// Ends the hearing.
    ///
    /// # Errors
    /// Those of [`Selection::check`].
    pub(super) fn end(mut self, summary: &Summary) -> Result<Choice> {
        self.hear_empty_tables(summary)?;
        let Self { selection, tables, objects, .. } = self;
        selection.check()?;
        Ok(Choice { selection, tables, objects })
    }

    /// A table without rows has no entry, and can be chosen as others can: by the chunk that it would have.
    fn hear_empty_tables(&mut self, summary: &Summary) -> Result<()> {
        let encodings = self.encoding.map_or(vec![RowEncoding::Copy, RowEncoding::Jsonl], |encoding| vec![encoding]);
        for table in summary.tables.iter().filter(|table| table.rows == 0) {
            for encoding in &encodings {
                let name = EntryName::Rows { table: table.name.clone(), chunk: 0, encoding: *encoding };
                if self.selection.find(&name.path()?, Found::There) {
                    self.tables.insert(table.name.clone());
                }
            }
        }
        Ok(())
    }
}

impl Choice {
    /// Whether an entry is to be read: it is chosen, and not done.
    pub(super) fn takes(&mut self, entry: &Entry) -> Result<bool> {
        let chosen = match EntryName::parse(&entry.path)? {
            EntryName::Rows { table, .. } => self.tables.contains(&table),
            _ => self.selection.asks_for(&entry.path),
        };
        Ok(chosen && !self.selection.is_done(entry)?)
    }

    /// The archive's summary, as it is of what was chosen.
    pub(super) fn narrow(self, mut summary: Summary) -> Summary {
        summary.tables.retain(|table| self.tables.contains(&table.name));
        summary.objects = self.objects;
        summary
    }
}
