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

    /// Ends the records. Which of them are void is under no digest: one that says so and after which its object does not
    /// come again would take the object away.
    pub(crate) fn finish(&self) -> Result<(), String> {
        if self.last_is_void {
            Err("the last record is void, and its object does not come again".into())
        } else {
            Ok(())
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, void: bool) -> Record {
        let at = Position { member: 0, skip: 0 };
        Record::Entry(EntryRecord { path: path.into(), size: 0, at, sha256: [0; 32], void })
    }

    fn vanished(path: &str) -> Record {
        Record::Vanished { path: path.into() }
    }

    fn told(records: Vec<Record>) -> Result<(), String> {
        let mut told = Told::default();
        records.into_iter().try_for_each(|record| told.add(record))?;
        told.finish()
    }

    #[test]
    fn objects_stand_in_order_and_void_ones_come_again() {
        told(vec![entry("manifest.json", false), entry("objects/a", false), vanished("objects/b")]).unwrap();
        told(vec![entry("objects/a", true), entry("objects/a", true), entry("objects/a", false)]).unwrap();
        for (records, why) in [
            (vec![vanished("database/schema.json")], "no object"),
            (vec![entry("database/schema.json", true)], "no object"),
            (vec![entry("objects/a", false), entry("database/schema.json", false)], "behind those of objects"),
            (vec![entry("objects/a", false), entry("objects/a", false)], "out of its order"),
            (vec![entry("objects/a", false), vanished("objects/a")], "out of its order"),
            (vec![vanished("objects/a"), entry("objects/a", false)], "out of its order"),
            (vec![entry("objects/a", true), vanished("objects/a")], "out of its order"),
            (vec![entry("objects/a", true), entry("objects/b", false)], "out of its order"),
            (vec![entry("objects/b", false), entry("objects/a", false)], "out of its order"),
            (vec![entry("objects/a", false), entry("objects/b", true)], "does not come again"),
            (vec![entry("objects//a", false)], "not written as the format asks"),
        ] {
            let refused = told(records.clone()).unwrap_err();
            assert!(refused.contains(why), "{records:?}: {refused}");
        }
    }
}
