//! What an import does with an archive's structure and rows, in the transaction that is open.

use std::collections::HashSet;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::chunk::RowSink;
use super::super::summary::Summer;
use super::copy_out::{Outlet, copy_out, place};
use super::documents::{Schema, Table};
use super::load::Command;
use super::session::{Session, failed};
use super::statements::Statements;
use super::{PostgresDatabase, PostgresOptions, grants, sequences};
use crate::{Blueprint, EngineKind, Error, Result, RowEncoding, TableSummary};

const WHAT: &str = "loading a database";

/// A blueprint that has been checked, as statements for one target.
pub(super) struct Plan {
    target: String,
    options: PostgresOptions,
    schema: Schema,
    before: Vec<String>,
    after: Vec<String>,
}

impl Plan {
    /// Reads and checks a stranger's blueprint.
    ///
    /// # Errors
    /// `Refused` naming the statement.
    pub(super) async fn read(
        session: &mut Session,
        database: &PostgresDatabase,
        blueprint: &Blueprint,
    ) -> Result<Self> {
        if (blueprint.engine.kind, blueprint.row_encoding) != (EngineKind::Postgres, RowEncoding::Copy) {
            return Err(Error::refused("the archive", "its rows are not those of PostgreSQL"));
        }
        let schema = Schema::parse(&blueprint.schema)?;
        let target = database.place.schema.clone();
        let statements = Statements::read(session, database, blueprint, &schema).await?;
        Ok(Self { target, options: database.options, schema, before: statements.before, after: statements.after })
    }

    /// Makes types, sequences and tables, and holds them against `schema.json`.
    pub(super) async fn before_rows(&self, session: &mut Session) -> Result<()> {
        session.in_schema(&self.target).await?;
        run_all(session, &self.before).await?;
        session.in_catalog().await?;
        self.check_tables(session).await?;
        session.in_schema(&self.target).await
    }

    async fn check_tables(&self, session: &mut Session) -> Result<()> {
        #[derive(serde::Deserialize)]
        struct Found {
            name: String,
            columns: Vec<String>,
        }
        const TABLES: &str = "SELECT c.relname AS name, coalesce((SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a \
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''), '{}') AS columns \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1::text AND c.relkind = 'r' ORDER BY c.relname COLLATE \"C\"";
        let found: Vec<Found> = session.fetch(TABLES, &self.target, "listing the tables made").await?;
        let found: Vec<_> = found
            .iter()
            .map(|table| (table.name.as_str(), table.columns.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect();
        let told: Vec<_> = self
            .schema
            .tables
            .iter()
            .map(|table| {
                (table.name.as_str(), table.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>())
            })
            .collect();
        if found == told {
            return Ok(());
        }
        let differs = found.iter().zip(&told).find(|(found, told)| found != told);
        let name = differs.map(|(found, _)| found.0).unwrap_or("one of them");
        Err(Error::refused("schema.json", format!("its tables are not those of pre-data.sql: {name:?} differs")))
    }

    /// Stores rows until the word that they are done, and gives what came with it.
    pub(super) async fn rows(&self, session: &mut Session, commands: &mut mpsc::Receiver<Command>) -> Result<Bytes> {
        let mut seen = HashSet::new();
        let mut command = next(commands).await?;
        loop {
            match command {
                Command::Finish(sequences) => return Ok(sequences),
                Command::Write { table, bytes } => {
                    let Some(known) = self.schema.tables.iter().find(|known| known.name == table) else {
                        return Err(Error::refused(format!("table {table:?}"), "the schema does not name it"));
                    };
                    if !seen.insert(table) {
                        return Err(Error::refused(format!("table {:?}", known.name), "its rows are not all together"));
                    }
                    command = self.copy_in(session, known, bytes, commands).await?;
                }
            }
        }
    }

    /// Stores one table's rows, and gives the command after them.
    async fn copy_in(
        &self,
        session: &mut Session,
        table: &Table,
        first: Bytes,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Result<Command> {
        let what = format!("table {:?}", table.name);
        let statement = format!("COPY {} FROM STDIN WITH (FREEZE)", place(&self.target, table));
        let refused = |error| as_refused(failed(what.clone())(error));
        let mut copy = session.connection().copy_in_raw(&statement).await.map_err(&refused)?;
        let mut ends_a_row = first.ends_with(b"\n");
        copy.send(first).await.map_err(&refused)?;
        let after = loop {
            match next(commands).await? {
                Command::Write { table: name, bytes } if name == table.name => {
                    ends_a_row = if bytes.is_empty() { ends_a_row } else { bytes.ends_with(b"\n") };
                    copy.send(bytes).await.map_err(&refused)?;
                }
                command => break command,
            }
        };
        if !ends_a_row {
            return Err(Error::refused(what, "its last row does not end"));
        }
        copy.finish().await.map_err(refused)?;
        Ok(after)
    }

    /// What now stands in the tables, read as an export reads it.
    pub(super) async fn read_back(&self, session: &mut Session) -> Result<Vec<TableSummary>> {
        let mut summaries = Vec::new();
        for table in &self.schema.tables {
            let mut summer = Summed(Summer::default());
            copy_out(session, &self.target, table, &mut summer).await?;
            summaries.push(summer.0.summary(&table.name));
        }
        Ok(summaries)
    }

    /// Sets sequences, and makes what comes after the rows.
    pub(super) async fn after_rows(&self, session: &mut Session, sequences: &[u8]) -> Result<()> {
        let sequences = sequences::parse(sequences)?;
        run_all(session, &self.after).await?;
        session.in_catalog().await?;
        sequences::write(session, &self.target, &sequences).await?;
        grants::write_comment(session, &self.target, &sequences.schema).await?;
        if self.options.grants {
            grants::write(session, &self.target, &sequences.schema).await?;
        }
        Ok(())
    }
}

async fn run_all(session: &mut Session, statements: &[String]) -> Result<()> {
    for statement in statements {
        session.run(statement, &shown(statement)).await.map_err(as_refused)?;
    }
    Ok(())
}

/// The beginning of a statement, for messages.
fn shown(statement: &str) -> String {
    let line: String = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().take(100).collect();
    if cut.len() < line.len() { format!("statement `{cut}…`") } else { format!("statement `{cut}`") }
}

/// What a server says against an archive's own words is the archive's fault.
fn as_refused(error: Error) -> Error {
    match error {
        Error::Postgres { what, why } => Error::Refused { what, why },
        error => error,
    }
}

async fn next(commands: &mut mpsc::Receiver<Command>) -> Result<Command> {
    commands.recv().await.ok_or(Error::Stopped { what: WHAT })
}

/// Counts rows as they are read.
struct Summed(Summer);

impl RowSink for Summed {
    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.push(bytes)
    }

    fn end_row(&mut self) -> Result<()> {
        self.0.end_row()
    }
}

#[async_trait::async_trait]
impl Outlet for Summed {
    fn is_ready(&self) -> bool {
        false
    }

    async fn pass_on(&mut self) -> Result<()> {
        Ok(())
    }
}
