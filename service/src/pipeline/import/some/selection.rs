//! What `--only` asks for: entries by their paths, and what of them is there already.

use coffer_archive::{Entry, EntryName};
use glob::{MatchOptions, Pattern};

use crate::{Error, Result};

/// How many globs an error names.
const NAMED: usize = 10;
/// As in a shell: `*` stays within a folder, `**` does not.
const AS_IN_A_SHELL: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// Says of an entry that it is done already.
type Done = Box<dyn FnMut(&Entry) -> Result<bool> + Send>;

/// Which rows and objects of an archive are taken.
pub(in super::super) struct Selection {
    /// Without any, all are.
    globs: Vec<Glob>,
    done: Option<Done>,
}

/// Paths that are asked for.
struct Glob {
    text: String,
    /// None of a folder, which ends in `/`.
    pattern: Option<Pattern>,
    found: Found,
}

/// The best of what a glob was found to stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    Nothing,
    /// A document, which is read always and restored with the rest alone.
    Document,
    /// An object that was gone when the archive was made.
    Vanished,
    There,
}

impl Selection {
    /// All of it.
    #[cfg_attr(not(test), expect(dead_code, reason = "an import that goes on where it was broken off is to read so"))]
    pub(in super::super) fn all() -> Self {
        Self { globs: Vec::new(), done: None }
    }

    /// What has a path that one of these tells: as it is written in the archive, with `*` and `?` for what lies within a
    /// folder, `**` for folders, `[…]` for one of several characters, or a folder that ends in `/`. A table is taken
    /// whole where one of its chunks has such a path.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the glob that is none, and where there are none.
    pub(in super::super) fn of(globs: impl IntoIterator<Item = String>) -> Result<Self> {
        let globs = globs.into_iter().map(Glob::parse).collect::<Result<Vec<_>>>()?;
        if globs.is_empty() {
            return Err(Error::Usage("nothing is asked for: --only needs the path of an entry, or a glob".into()));
        }
        Ok(Self { globs, done: None })
    }

    /// The same without the entries that `done` says are done. It hears of each that is chosen once, in the order of the
    /// archive, of up to 4,096 before they are read. Documents are read all the same.
    #[cfg_attr(not(test), expect(dead_code, reason = "an import that goes on where it was broken off is to read so"))]
    pub(in super::super) fn without(self, done: impl FnMut(&Entry) -> Result<bool> + Send + 'static) -> Self {
        Self { done: Some(Box::new(done)), ..self }
    }

    /// Whether a path is asked for; notes what was found under it.
    pub(super) fn find(&mut self, path: &str, found: Found) -> bool {
        let mut asked = self.globs.is_empty();
        for glob in self.globs.iter_mut().filter(|glob| glob.matches(path)) {
            glob.found = glob.found.max(found);
            asked = true;
        }
        asked
    }

    /// Whether a path is asked for.
    pub(super) fn asks_for(&self, path: &str) -> bool {
        self.globs.is_empty() || self.globs.iter().any(|glob| glob.matches(path))
    }

    /// Whether an entry that was asked for is done.
    pub(super) fn is_done(&mut self, entry: &Entry) -> Result<bool> {
        self.done.as_mut().map_or(Ok(false), |done| done(entry))
    }

    /// Whether each glob has found something.
    ///
    /// # Errors
    /// [`Error::Usage`] for one of documents alone, [`Error::NotFound`] naming those that found nothing.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(glob) = self.globs.iter().find(|glob| glob.is_of_documents()) {
            return Err(Error::Usage(format!(
                "{:?} can't be restored alone: --only takes rows (under database/rows/) and objects (under objects/)",
                glob.text
            )));
        }
        let lacking = self.globs.iter().filter(|glob| glob.found != Found::There);
        let told: Vec<_> = lacking.clone().take(NAMED).map(Glob::describe).collect();
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

impl Glob {
    fn parse(text: String) -> Result<Self> {
        let pattern = (!text.ends_with('/')).then(|| Pattern::new(&text)).transpose().map_err(|error| {
            Error::Usage(format!(
                "{text:?} is no glob: {} at character {}. `[[]`, `[*]` and `[?]` stand for the characters themselves",
                error.msg,
                error.pos + 1
            ))
        })?;
        Ok(Self { text, pattern, found: Found::Nothing })
    }

    fn matches(&self, path: &str) -> bool {
        match &self.pattern {
            Some(pattern) => path == self.text || pattern.matches_with(path, AS_IN_A_SHELL),
            None => path.starts_with(&self.text),
        }
    }

    /// What has no record in the index counts, too.
    fn is_of_documents(&self) -> bool {
        let unrecorded = [EntryName::Summary, EntryName::Index(0)];
        let mut paths = unrecorded.iter().filter_map(|name| name.path().ok());
        match self.found {
            Found::Document => true,
            Found::Nothing => self.text.starts_with("index/") || paths.any(|path| self.matches(&path)),
            Found::Vanished | Found::There => false,
        }
    }

    fn describe(&self) -> String {
        let text = &self.text;
        match (self.found, &self.pattern) {
            (Found::Vanished, _) => {
                format!("what {text:?} asks for was deleted while the archive was made, and is not in it")
            }
            (_, None) => format!("the archive has nothing under {text:?}"),
            _ => format!(
                "the archive has nothing that {text:?} asks for (a folder ends in /; * stays within a folder, and ** does \
                 not)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(globs: &[&str]) -> Selection {
        Selection::of(globs.iter().map(|glob| (*glob).to_owned())).unwrap()
    }

    #[test]
    fn globs_are_a_shells() {
        for (glob, taken, left) in [
            ("objects/a", &["objects/a"][..], &["objects/ab", "objects/a/b", "objects/A"][..]),
            ("objects/a/", &["objects/a/b", "objects/a/b/c"], &["objects/a", "objects/ab"]),
            ("objects/*", &["objects/a", "objects/.a"], &["objects/a/b"]),
            ("objects/**", &["objects/a", "objects/a/b/c"], &["database/rows/t/00000000.copy"]),
            ("objects/**/*.png", &["objects/a.png", "objects/a/b.png"], &["objects/a.jpg"]),
            ("objects/a?", &["objects/ab", "objects/aü"], &["objects/a", "objects/a/"]),
            ("objects/[ab]", &["objects/a", "objects/[ab]"], &["objects/c"]),
            ("objects/[[]x", &["objects/[x"], &["objects/x"]),
            ("database/rows/*/*", &["database/rows/a%2Fb/00000000.copy"], &["database/schema.json"]),
            ("**", &["objects/a", "database/rows/t/00000000.copy"], &[]),
        ] {
            let selection = selection(&[glob]);
            assert!(taken.iter().all(|path| selection.asks_for(path)), "{glob}");
            assert!(!left.iter().any(|path| selection.asks_for(path)), "{glob}");
        }
        assert!(Selection::all().asks_for("objects/a"));
    }

    #[test]
    fn what_is_no_glob_is_named() {
        for text in ["objects/[a", "objects/a**", "***"] {
            let error = Selection::of([text.to_owned()]).err().unwrap();
            assert!(matches!(&error, Error::Usage(told) if told.contains(text)), "{error}");
        }
        assert!(Selection::of([]).is_err());
    }

    #[test]
    fn what_found_nothing_is_named_with_why() {
        let mut globs = selection(&["objects/a", "objects/b*", "objects/c/", "objects/d"]);
        globs.find("objects/d", Found::There);
        globs.find("objects/bc", Found::Vanished);
        let Err(Error::NotFound(told)) = globs.check() else { panic!("nothing is missed") };
        for part in
            ["nothing that \"objects/a\"", "\"objects/b*\" asks for was deleted", "nothing under \"objects/c/\""]
        {
            assert!(told.contains(part), "{told}");
        }
        assert!(!told.contains("objects/d"), "{told}");
    }

    #[test]
    fn documents_are_not_restored_alone() {
        for glob in ["summary.json", "index/", "index/00000007.jsonl", "index/*", "*.json"] {
            assert!(matches!(selection(&[glob]).check(), Err(Error::Usage(told)) if told.contains(glob)), "{glob}");
        }
        let mut globs = selection(&["database/*.sql", "database/**"]);
        globs.find("database/pre-data.sql", Found::Document);
        globs.find("database/rows/t/00000000.copy", Found::There);
        assert!(matches!(globs.check(), Err(Error::Usage(told)) if told.contains("database/*.sql")));
        let mut globs = selection(&["database/**"]);
        globs.find("database/pre-data.sql", Found::Document);
        globs.find("database/rows/t/00000000.copy", Found::There);
        globs.check().unwrap();
    }
}
