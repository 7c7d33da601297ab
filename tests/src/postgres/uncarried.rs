//! What of a schema can't be carried, told by the catalogs alone, and whether a list that the service gives is complete.

use anyhow::{Result, ensure};

use super::{Db, literal};

const QUERY: &str = include_str!("uncarried.sql");

/// What a complete list has to name, and what it may.
#[derive(Debug, Default)]
pub struct Uncarried {
    /// Kind and name of what is of no kind that an export carries.
    direct: Vec<(String, String)>,
    /// PostgreSQL's words for that, and for all that hangs on it.
    behind: Vec<String>,
}

impl Uncarried {
    /// Asks the catalogs.
    ///
    /// # Errors
    /// They can't be asked.
    pub fn of(db: &Db<'_>, schema: &str) -> Result<Self> {
        let told =
            db.query(&format!("SET search_path = pg_catalog; SET coffer.schema = {}; {QUERY}", literal(schema)))?;
        let mut uncarried = Self::default();
        for line in told.lines() {
            match line.splitn(3, '|').collect::<Vec<_>>().as_slice() {
                ["direct", kind, name] => uncarried.direct.push(((*kind).to_owned(), (*name).to_owned())),
                ["behind", _, described] => uncarried.behind.push((*described).to_owned()),
                _ => {}
            }
        }
        Ok(uncarried)
    }

    /// Can all of it be carried?
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.direct.is_empty() && self.behind.is_empty()
    }

    /// How many things are of no kind that an export carries.
    #[must_use]
    pub fn count(&self) -> usize {
        self.direct.len()
    }

    /// Checks that a list names each of them, and nothing that could have been carried.
    ///
    /// # Errors
    /// It does not.
    pub fn check(&self, skipped: &[String]) -> Result<()> {
        let is_told = |(kind, name): &&(String, String)| {
            skipped.iter().any(|thing| thing.starts_with(&format!("{kind} ")) && label(thing).contains(name.as_str()))
        };
        let silent: Vec<_> = self.direct.iter().filter(|thing| !is_told(thing)).collect();
        ensure!(silent.is_empty(), "not told: {silent:?}");
        let is_behind = |name: &str| self.behind.iter().any(|told| told.contains(name));
        let has_reason = |thing: &&String| {
            let (name, relation) = name_and_relation(label(thing));
            self.direct.iter().any(|(_, direct)| direct == name) || is_behind(name) || relation.is_some_and(is_behind)
        };
        let without_reason: Vec<_> = skipped.iter().filter(|thing| !has_reason(thing)).collect();
        ensure!(without_reason.is_empty(), "could have been carried: {without_reason:?}");
        Ok(())
    }
}

/// A thing without the reason behind it.
pub(super) fn label(thing: &str) -> &str {
    thing.split_once(" (").map_or(thing, |(label, _)| label)
}

/// The names in a label such as `constraint c on t` or `function f(integer)`.
fn name_and_relation(label: &str) -> (&str, Option<&str>) {
    const KINDS: [&str; 8] = [
        "cast from ",
        "default of column ",
        "identity of column ",
        "materialized view ",
        "foreign table ",
        "rows of materialized view ",
        "window function ",
        "state of trigger ",
    ];
    let label = label.strip_prefix("comment on ").unwrap_or(label);
    let rest = KINDS.iter().find_map(|kind| label.strip_prefix(kind));
    let rest = rest.or_else(|| label.split_once(' ').map(|(_, rest)| rest)).unwrap_or(label);
    let (name, relation) = rest.rsplit_once(" on ").map_or((rest, None), |(name, relation)| (name, Some(relation)));
    let name = name.split('(').next().unwrap_or(name);
    // Some are written as SQL, behind a schema.
    let name = name.rsplit_once(".\"").map_or(name, |(_, name)| name).trim_matches('"');
    (name, relation)
}
