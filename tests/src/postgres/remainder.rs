//! What is left of a schema when some of it was skipped: is everything that is missing named?

use std::cell::RefCell;
use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::oracle::{NormalDump, assert_same};
use super::uncarried::label;

/// Checks that a restored schema is the source without what an export's list names: whatever `pg_dump` shows of the source
/// and not of the other is in the list, what differs has a part that is in the list, and all else is the same.
///
/// # Errors
/// It is not.
pub fn assert_same_but_skipped(source: NormalDump, restored: NormalDump, skipped: &[String]) -> Result<()> {
    let skipped = Skipped { labels: skipped.iter().map(|thing| label(thing)).collect() };
    let (before, after) = (headers(&source), headers(&restored));
    let missing: BTreeSet<_> = before.difference(&after).cloned().collect();
    let silent: Vec<_> = missing.iter().filter(|header| !skipped.names(header)).collect();
    ensure!(silent.is_empty(), "{} things are missing and not named: {silent:#?}", silent.len());
    let is_out = |header: &str| missing.contains(header) || skipped.names_part_of(header);
    assert_same(&source.without(is_out), &restored.without(is_out))
}

/// `pg_dump`'s header of each thing.
fn headers(dump: &NormalDump) -> BTreeSet<String> {
    let headers = RefCell::new(BTreeSet::new());
    // To leave nothing out is to see all.
    drop(dump.clone().without(|header| !headers.borrow_mut().insert(header.to_owned())));
    headers.into_inner()
}

/// The list's entries, without their reasons.
struct Skipped<'a> {
    labels: BTreeSet<&'a str>,
}

impl Skipped<'_> {
    fn names(&self, header: &str) -> bool {
        kind_and_name(header).is_some_and(|(kind, name)| self.names_thing(kind, name))
    }

    fn has(&self, label: &str) -> bool {
        self.labels.contains(label)
    }

    fn any(&self, is: impl Fn(&str) -> bool) -> bool {
        self.labels.iter().any(|label| is(label))
    }

    fn names_relation(&self, name: &str) -> bool {
        let kinds = ["table", "foreign table", "view", "materialized view", "sequence"];
        kinds.iter().any(|kind| self.has(&format!("{kind} {name}"))) || self.any(|label| is_sequence_of(label, name))
    }

    fn names_thing(&self, kind: &str, name: &str) -> bool {
        match kind {
            "TABLE"
            | "TABLE DATA"
            | "FOREIGN TABLE"
            | "VIEW"
            | "MATERIALIZED VIEW"
            | "MATERIALIZED VIEW DATA"
            | "SEQUENCE"
            | "SEQUENCE SET"
            | "SEQUENCE OWNED BY"
            | "ROW SECURITY" => self.names_relation(name),
            "TABLE ATTACH" => {
                self.names_relation(name) || self.any(|label| label.starts_with(&format!("partition {name} on ")))
            }
            "CONSTRAINT" | "FK CONSTRAINT" | "CHECK CONSTRAINT" | "TRIGGER" | "RULE" | "POLICY" | "DEFAULT" => {
                splits(name, " ").any(|(relation, part)| self.names_part(relation, part))
            }
            "INDEX" | "INDEX ATTACH" => self.any(|label| {
                ["index", "partition", "constraint"].iter().any(|kind| label.starts_with(&format!("{kind} {name} on ")))
            }),
            "FUNCTION" | "PROCEDURE" | "AGGREGATE" => {
                let name = name.split('(').next().unwrap_or(name);
                let kinds = ["function", "procedure", "aggregate", "window function"];
                self.any(|label| kinds.iter().any(|kind| label.starts_with(&format!("{kind} {name}("))))
            }
            "TYPE" | "DOMAIN" | "SHELL TYPE" => self.has(&format!("type {name}")),
            "COMMENT" | "ACL" | "SECURITY LABEL" => {
                name.split_once(' ').is_some_and(|(kind, name)| self.names_described(kind, name))
            }
            _ => self.any(|label| label.to_uppercase().starts_with(&format!("{kind} ")) && label.contains(name)),
        }
    }

    /// What a comment or a privilege is on: `COLUMN t.c`, `CONSTRAINT c ON t`, `TABLE t`.
    fn names_described(&self, kind: &str, name: &str) -> bool {
        match kind {
            "COLUMN" => splits(name, ".")
                .any(|(relation, _)| self.names_relation(relation) || self.has(&format!("type {relation}"))),
            "CONSTRAINT" | "TRIGGER" | "RULE" | "POLICY" => {
                splits(name, " ON ").any(|(part, relation)| self.names_part(relation, part))
            }
            // Kinds of two words.
            "MATERIALIZED" | "FOREIGN" => self.names_relation(name.split_once(' ').map_or(name, |(_, name)| name)),
            "OPERATOR" | "TEXT" => self.any(|label| {
                label.starts_with(&kind.to_lowercase()) && name.split(' ').any(|word| label.contains(word))
            }),
            kind => self.names_thing(kind, name),
        }
    }

    fn names_part(&self, relation: &str, part: &str) -> bool {
        self.names_relation(relation) || self.any(|label| label.ends_with(&format!(" {part} on {relation}")))
    }

    /// Is something named that `pg_dump` writes within the thing of this header: a default, a check, an option of a table?
    fn names_part_of(&self, header: &str) -> bool {
        let Some((kind, name)) = kind_and_name(header) else { return false };
        let is_relation = ["TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE"].contains(&kind);
        let parts = ["constraint ", "default ", "identity ", "option "];
        is_relation
            && self.any(|label| {
                let is_of_it = label.ends_with(&format!(" on {name}")) || label.ends_with(&format!(" of table {name}"));
                is_of_it && parts.iter().any(|part| label.starts_with(part))
            })
    }
}

/// Is that the sequence, by the name that PostgreSQL gives it, of such an `identity of column c on t`?
fn is_sequence_of(label: &str, name: &str) -> bool {
    let identity = label.strip_prefix("identity of column ").and_then(|label| label.split_once(" on "));
    identity.is_some_and(|(column, relation)| name == format!("{relation}_{column}_seq"))
}

/// Each way to part a text at a separator.
fn splits<'a>(text: &'a str, separator: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    text.match_indices(separator).filter_map(move |(at, found)| Some((text.get(..at)?, text.get(at + found.len()..)?)))
}

/// Of `Name: t; Type: TABLE; Schema: -`.
fn kind_and_name(header: &str) -> Option<(&str, &str)> {
    let header = header.strip_prefix("Data for ").unwrap_or(header).strip_prefix("Name: ")?;
    let (name, rest) = header.split_once("; Type: ")?;
    Some((rest.split(';').next()?, name))
}
