//! `pg_dump` as the judge: do two schemas hold the same?
//!
//! A dump is taken apart into the things it names, each with its SQL, free of the schema's name; rows into a multiset a
//! table. So two dumps of one structure are equal whatever their order, and whatever their schemas are called. Call the
//! schemas what occurs nowhere in them as a word: the name is replaced wherever it stands in SQL, in strings and function
//! bodies too, but not in rows.

mod items;
mod name;
mod rows;

use std::collections::BTreeMap;
use std::io::BufReader;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use super::{Db, identifier};
use items::read_items;

const DIFFERENCES_TOLD: usize = 20;

/// Are owners and privileges compared?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// They count.
    Compared,
    /// They are left out of the dump.
    Ignored,
}

/// What a schema holds, in no order: of each thing its header and its SQL, of each table its columns and rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalDump {
    /// More than one item where things can't be told apart by `pg_dump`'s header.
    items: BTreeMap<String, Vec<String>>,
}

impl NormalDump {
    /// The things in it by the type that `pg_dump` gives them, such as `FK CONSTRAINT`, with their number.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for (header, items) in &self.items {
            let (_, kind) = header.rsplit_once("; Type: ").unwrap_or_default();
            *counts.entry(kind.split(';').next().unwrap_or_default()).or_default() += items.len();
        }
        counts
    }

    /// Leaves out what `unwanted` says yes to, given `pg_dump`'s header, such as `Name: t; Type: TABLE; Schema: -`.
    #[must_use]
    pub fn without(mut self, unwanted: impl Fn(&str) -> bool) -> Self {
        self.items.retain(|header, _| !unwanted(header));
        self
    }

    fn add(&mut self, header: String, item: String) {
        let items = self.items.entry(header).or_default();
        items.push(item);
        items.sort();
    }
}

/// What `pg_dump` tells of one schema: its structure, its rows, and which materialized views are filled.
///
/// # Errors
/// `pg_dump` failed, there is no such schema, or the dump is not as `pg_dump` writes it.
pub fn dump_of(db: &Db<'_>, schema: &str, rights: Rights) -> Result<NormalDump> {
    read(db, schema, rights, &[])
}

/// What `pg_dump` tells of one schema, without its rows and the values of its sequences.
///
/// # Errors
/// Those of [`dump_of`].
pub fn structure_of(db: &Db<'_>, schema: &str, rights: Rights) -> Result<NormalDump> {
    read(db, schema, rights, &["--schema-only"])
}

/// Checks that two dumps hold the same.
///
/// # Errors
/// They do not: the message tells the first things that differ.
pub fn assert_same(one: &NormalDump, other: &NormalDump) -> Result<()> {
    let headers = one.items.keys().chain(other.items.keys().filter(|header| !one.items.contains_key(*header)));
    let differing: Vec<&String> = headers.filter(|header| one.items.get(*header) != other.items.get(*header)).collect();
    if differing.is_empty() {
        return Ok(());
    }
    let told = differing.iter().take(DIFFERENCES_TOLD);
    let told: Vec<String> = told.map(|header| difference(header, one, other)).collect();
    bail!("{} things differ:\n{}", differing.len(), told.join("\n"))
}

fn difference(header: &str, one: &NormalDump, other: &NormalDump) -> String {
    let (left, right) = match (one.items.get(header), other.items.get(header)) {
        (Some(left), Some(right)) => (left.join("\n"), right.join("\n")),
        (Some(left), None) => return format!("only the first has: {header}\n{}", indented(left)),
        (_, right) => return format!("only the second has: {header}\n{}", indented(right.map_or(&[], Vec::as_slice))),
    };
    let same = left.lines().zip(right.lines()).take_while(|(left, right)| left == right).count();
    let told = |text: &str| text.lines().skip(same).take(2).collect::<Vec<_>>().join("\n            ");
    format!("{header}\n    first:  {}\n    second: {}", told(&left), told(&right))
}

fn indented(items: &[String]) -> String {
    let lines = items.iter().flat_map(|item| item.lines());
    lines.take(6).map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn read(db: &Db<'_>, schema: &str, rights: Rights, arguments: &[&str]) -> Result<NormalDump> {
    let mut command = db.server().client("pg_dump", db.name())?;
    command.arg(format!("--schema={}", identifier(schema))).args(arguments);
    if rights == Rights::Ignored {
        command.args(["--no-owner", "--no-privileges"]);
    }
    let log = tempfile::NamedTempFile::new()?;
    let mut child = command.stdout(Stdio::piped()).stderr(log.reopen()?).spawn().context("pg_dump can't be run")?;
    let output = BufReader::new(child.stdout.take().context("no output")?);
    let mut dump = NormalDump { items: BTreeMap::new() };
    let read = read_items(output, schema, |header, item| dump.add(header, item));
    let status = child.wait()?;
    ensure!(status.success(), "pg_dump: {status}\n{}", std::fs::read_to_string(log.path())?);
    read.map(|()| dump)
}
