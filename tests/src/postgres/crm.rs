//! The service with one source, `crm`, whose apps are schemas of one database.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Db, identifier};
use crate::{Coffer, Outcome, TarEntry, tar_entries, tool};

/// The schema of an app, where a test does not care.
const SCHEMA: &str = "tenant_{app}";

/// The binary with its configuration; it logs in as the superuser.
pub struct Crm<'a> {
    coffer: Coffer,
    db: &'a Db<'a>,
    schema: String,
}

/// What an archive tells of itself.
#[derive(Debug)]
pub struct Told {
    /// The SHA-256 of the structure.
    pub fingerprint: String,
    /// What is not in it.
    pub skipped: Vec<String>,
    /// Each table's rows and their digest.
    pub tables: BTreeMap<String, (u64, String)>,
}

impl<'a> Crm<'a> {
    /// Apps in the schemas `tenant_{app}` of a database. Pass `env!("CARGO_BIN_EXE_coffer")`.
    ///
    /// # Errors
    /// No temporary folder can be made.
    pub fn new(program: &str, db: &'a Db<'a>) -> Result<Self> {
        Self::with_schema(program, db, SCHEMA)
    }

    /// Apps in schemas of other names, `{app}` in them.
    ///
    /// # Errors
    /// Those of [`Crm::new`].
    pub fn with_schema(program: &str, db: &'a Db<'a>, schema: &str) -> Result<Self> {
        let coffer = Coffer::new(program)?;
        let toml = |text: &str| Value::from(text).to_string();
        let (url, pattern) = (toml(&db.superuser_url()), toml(schema));
        let config = format!("[[source]]\nname = \"crm\"\ndatabase = {url}\nschema = {pattern}\n");
        std::fs::write(coffer.path("coffer.toml"), config)?;
        Ok(Self { coffer, db, schema: schema.to_owned() })
    }

    /// The binary.
    #[must_use]
    pub fn coffer(&self) -> &Coffer {
        &self.coffer
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &Db<'a> {
        self.db
    }

    /// The schema of an app.
    #[must_use]
    pub fn schema(&self, app: &str) -> String {
        self.schema.replace("{app}", app)
    }

    /// Makes an app's schema and runs SQL in which `:"schema"` is its name, and names without one mean it.
    ///
    /// # Errors
    /// A statement fails.
    pub fn seed(&self, app: &str, sql: &str) -> Result<()> {
        let schema = self.schema(app);
        self.db.psql(&format!("CREATE SCHEMA {}", identifier(&schema)))?;
        self.sql(app, sql)
    }

    /// Runs SQL as [`Crm::seed`] does, in a schema that is there.
    ///
    /// # Errors
    /// A statement fails.
    pub fn sql(&self, app: &str, sql: &str) -> Result<()> {
        let schema = self.schema(app);
        let name = schema.replace('\\', "\\\\").replace('\'', "\\'");
        let path = format!("SET client_min_messages = warning; SET search_path = {}, public;", identifier(&schema));
        self.db.psql(&format!("\\set schema '{name}'\n{path}\n{sql}")).map(drop)
    }

    /// The rows of a query in an app's schema, without the rest of what `psql` says.
    ///
    /// # Errors
    /// It fails.
    pub fn query(&self, app: &str, sql: &str) -> Result<String> {
        self.db.query(&format!("SET search_path = {}, public; {sql}", identifier(&self.schema(app))))
    }

    /// Exports an app, unsealed, to a file in the binary's folder.
    ///
    /// # Errors
    /// The binary can't be run.
    pub fn export(&self, app: &str, file: &str, flags: &[&str]) -> Result<Outcome> {
        let app = format!("crm/{app}");
        self.coffer.run(["export", &app, "-o", file, "--no-encryption"].iter().chain(flags))
    }

    /// Restores a file into an app.
    ///
    /// # Errors
    /// The binary can't be run.
    pub fn restore(&self, file: &str, app: &str, flags: &[&str]) -> Result<Outcome> {
        let app = format!("crm/{app}");
        self.coffer.run(["restore", file, "--into", &app].iter().chain(flags))
    }

    /// Brings an app to another, both ways with success.
    ///
    /// # Errors
    /// One of them fails.
    pub fn copy(&self, from: &str, to: &str, flags: &[&str]) -> Result<()> {
        let file = format!("{from}-{to}.tar.gz");
        self.export(from, &file, &[])?.ends_with(0, &[]).context("export")?;
        self.restore(&file, to, flags)?.ends_with(0, &[]).context("restore")
    }

    /// What an archive in the binary's folder tells of itself.
    ///
    /// # Errors
    /// It can't be read.
    pub fn inspect(&self, file: impl AsRef<OsStr>) -> Result<Told> {
        let outcome = self.coffer.run(["inspect".as_ref(), "--json".as_ref(), file.as_ref()])?;
        outcome.ends_with(0, &[])?;
        let lines = outcome.json_lines()?;
        let told = lines.iter().find(|line| line.get("manifest").is_some()).context("no manifest")?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
        let field = |value: &Value, pointer: &str| value.pointer(pointer).cloned().unwrap_or_default();
        let tables = field(told, "/summary/tables");
        let tables = tables.as_array().context("no tables")?.iter();
        let tables = tables.map(|table| {
            let rows = field(table, "/rows").as_u64().context("no number")?;
            Ok((text(&field(table, "/name"))?, (rows, text(&field(table, "/digest"))?)))
        });
        let skipped = field(told, "/manifest/skipped");
        let skipped = skipped.as_array().into_iter().flatten().map(text);
        Ok(Told {
            fingerprint: text(&field(told, "/manifest/fingerprint"))?,
            skipped: skipped.collect::<Result<_>>()?,
            tables: tables.collect::<Result<_>>()?,
        })
    }

    /// The entries of an unsealed archive in the binary's folder, by path.
    ///
    /// # Errors
    /// It is none.
    pub fn entries(&self, file: &str) -> Result<BTreeMap<String, TarEntry>> {
        let tar = tool("gzip", ["-dc".as_ref(), self.coffer.path(file).as_os_str()])?;
        Ok(tar_entries(&tar)?.into_iter().map(|entry| (entry.path.clone(), entry)).collect())
    }

    /// Checks that an archive of `to` tells the same as `file`: the structure, the rows. Where the structure names its schema
    /// in a text, the two may differ in that name.
    ///
    /// # Errors
    /// It does not.
    pub fn assert_tells_the_same(&self, file: &str, to: &str) -> Result<()> {
        let again = format!("{to}-again.tar.gz");
        self.export(to, &again, &["--skip-unsupported"])?.ends_with(0, &[])?;
        let (one, other) = (self.inspect(file)?, self.inspect(&again)?);
        ensure!(other.skipped.is_empty(), "the copy holds what can't be carried: {:?}", other.skipped);
        let differ = one.tables.iter().filter(|(name, table)| other.tables.get(*name) != Some(table));
        let differ: Vec<_> = differ.map(|(name, table)| (name, table, other.tables.get(name))).collect();
        ensure!(differ.is_empty() && one.tables.len() == other.tables.len(), "rows differ: {differ:?}");
        if one.fingerprint == other.fingerprint {
            return Ok(());
        }
        let (one, other) = (self.documents(file)?, self.documents(&again)?);
        let named = one.split_once("\"named\":{\"schema\":").and_then(|(_, rest)| rest.split(",\n").next());
        let named = named.with_context(|| format!("fingerprints differ: {}", difference(&one, &other)))?;
        let named: String = serde_json::from_str(named)?;
        // Where a name needs no quotes, what is rewritten has none.
        let free = |text: &str, schema: &str| text.replace(&identifier(schema), "(schema)").replace(schema, "(schema)");
        let (one, other) = (free(&one, &named), free(&other, &self.schema(to)));
        ensure!(one == other, "structures differ in more than the schema's name: {}", difference(&one, &other));
        Ok(())
    }

    /// The structure's documents, in short lines.
    fn documents(&self, file: &str) -> Result<String> {
        let entries = self.entries(file)?;
        let mut text = String::new();
        for path in ["database/schema.json", "database/pre-data.sql", "database/post-data.sql"] {
            let entry = entries.get(path).with_context(|| format!("{file} has no {path}"))?;
            text.push_str(&String::from_utf8_lossy(&entry.content).replace(",\"", ",\n\""));
        }
        Ok(text)
    }
}

/// The first lines that differ.
fn difference(one: &str, other: &str) -> String {
    let differ = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    format!("{differ:?}, {} and {} lines", one.lines().count(), other.lines().count())
}
