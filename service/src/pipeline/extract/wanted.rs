//! What of an archive was asked for, and what of that was found.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// How many paths an error names.
const NAMED: usize = 10;

/// Paths of entries, and of folders of them, which end in `/`.
pub(crate) struct Wanted {
    asked: BTreeMap<String, Found>,
}

/// What has become of a path that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Missing,
    Vanished,
    There,
}

impl Wanted {
    /// Asks for these paths, written as in the archive.
    pub(crate) fn new(paths: impl IntoIterator<Item = String>) -> Self {
        Self { asked: paths.into_iter().map(|path| (path, Found::Missing)).collect() }
    }

    /// The folders that lie in no other one.
    pub(super) fn folders(&self) -> Vec<String> {
        let mut folders: Vec<String> = Vec::new();
        // In their order, what lies in a folder comes behind it.
        for path in self.asked.keys().filter(|path| path.ends_with('/')) {
            if folders.last().is_none_or(|outer| !path.starts_with(outer)) {
                folders.push(path.clone());
            }
        }
        folders
    }

    /// The entries that have not been found yet.
    pub(super) fn entries_left(&self) -> Vec<String> {
        let left = self.asked.iter().filter(|(path, found)| !path.ends_with('/') && **found == Found::Missing);
        left.map(|(path, _)| path.clone()).collect()
    }

    /// Whether an entry was asked for; notes that it is there.
    pub(super) fn takes(&mut self, path: &str) -> bool {
        let itself = self.asked.get_mut(path).map(|found| *found = Found::There).is_some();
        let folders = path.match_indices('/').filter_map(|(at, _)| path.get(..=at));
        folders.fold(itself, |taken, folder| {
            self.asked.get_mut(folder).map(|found| *found = Found::There).is_some() || taken
        })
    }

    /// Notes that an object was gone when the archive was made.
    pub(super) fn vanished(&mut self, path: &str) {
        if let Some(found) = self.asked.get_mut(path) {
            *found = Found::Vanished;
        }
    }

    /// Whether all was there.
    ///
    /// # Errors
    /// [`Error::NotFound`] naming what was not.
    pub(super) fn check(&self) -> Result<()> {
        let lacking = self.asked.iter().filter(|(_, found)| **found != Found::There);
        let told: Vec<_> = lacking.clone().take(NAMED).map(|(path, found)| describe(path, *found)).collect();
        let more = match lacking.count().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        match told.is_empty() {
            true => Ok(()),
            false => Err(Error::NotFound(format!(
                "{}{more} (`coffer inspect --entries` lists what there is)",
                told.join("; ")
            ))),
        }
    }
}

fn describe(path: &str, found: Found) -> String {
    match found {
        Found::Vanished => format!("{path:?} was deleted while the archive was made, and is not in it"),
        _ if path.ends_with('/') => format!("the archive has nothing under {path:?}"),
        _ => format!("the archive has no entry {path:?} (a folder of them ends in /)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(paths: &[&str]) -> Wanted {
        Wanted::new(paths.iter().map(|path| (*path).to_owned()))
    }

    #[test]
    fn what_lies_in_a_folder_is_taken_with_it() {
        let mut all = wanted(&["objects/", "objects/a/", "objects/b", "manifest.json", "x/"]);
        assert_eq!(all.folders(), ["objects/", "x/"]);
        assert!(all.takes("objects/a/c") && all.takes("objects/b") && all.takes("manifest.json"));
        assert!(!all.takes("summary.json") && !all.takes("objects") && !all.takes("xy"));
        let told = all.check().unwrap_err().to_string();
        assert!(told.contains("\"x/\"") && !told.contains("objects"), "{told}");
        assert!(all.takes("x/y"));
        all.check().unwrap();
    }

    #[test]
    fn what_is_missing_is_named_with_why() {
        let mut all = wanted(&["objects/a", "objects/b"]);
        all.vanished("objects/a");
        all.vanished("objects/c");
        assert_eq!(all.entries_left(), ["objects/b"]);
        let told = all.check().unwrap_err().to_string();
        assert!(told.contains("\"objects/a\" was deleted") && told.contains("no entry \"objects/b\""), "{told}");
    }
}
