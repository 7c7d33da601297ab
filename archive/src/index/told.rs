//! What the index tells of an archive, as its blocks pass.

use super::{EntryRecord, IndexDigest, Position, Record};
use crate::{EntryName, Error};

/// Folds the records of an archive, and holds them to their order. It keeps none of them.
#[derive(Default)]
pub(crate) struct Told {
    /// Over the records as they are.
    pub(crate) digest: IndexDigest,
    /// Over the records of what counts, without the places of their entries: whoever packed the archive anew has moved
    /// them, and left out what was void, as unpacking does.
    pub(crate) contents: IndexDigest,
    last_key: Option<Vec<u8>>,
    last_is_void: bool,
}

impl Told {
    /// Takes the next record.
    pub(crate) fn add(&mut self, record: Record) -> Result<(), String> {
        self.check_order(&record)?;
        self.digest.add(&record);
        if let Record::Entry(entry) = record
            && !entry.void
        {
            self.contents.add_entry(&without_place(entry));
        }
        Ok(())
    }

    /// Objects come last, in the order of their keys, each once but for void attempts.
    fn check_order(&mut self, record: &Record) -> Result<(), String> {
        let path = record.path();
        let void = matches!(record, Record::Entry(entry) if entry.void);
        let follows_void = std::mem::replace(&mut self.last_is_void, void);
        let name = EntryName::parse(path).map_err(|error| why(&error))?;
        let EntryName::Object(key) = name else {
            if void || matches!(record, Record::Vanished { .. }) {
                return Err(format!("{path:?} is no object, and its record says that it is void or vanished"));
            }
            return match self.last_key {
                None => Ok(()),
                Some(_) => Err(format!("the record of {path:?} stands behind those of objects")),
            };
        };
        let entry_again = follows_void && matches!(record, Record::Entry(_));
        let in_order = match &self.last_key {
            None => true,
            Some(last) if entry_again => key == *last,
            Some(last) => key > *last && !follows_void,
        };
        self.last_key = Some(key);
        if in_order { Ok(()) } else { Err(format!("the record of {path:?} stands twice or out of its order")) }
    }
}

pub(crate) fn without_place(entry: EntryRecord) -> EntryRecord {
    EntryRecord { at: Position { member: 0, skip: 0 }, ..entry }
}

fn why(error: &Error) -> String {
    match error {
        Error::Entry { entry, why } => format!("the record of {entry:?}: {why}"),
        other => other.to_string(),
    }
}
