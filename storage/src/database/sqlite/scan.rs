//! A walk over a table's rows, encoded into a sink: the same for an export and for the check of an import.

use rusqlite::{Connection, Row, types::ValueRef};

use super::super::{chunk::RowSink, summary::Summer};
use super::{affinity::Affinity, encode, schema::Table};
use crate::{Error, Result, TableSummary};

/// Whether values are held against what their columns would make of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// As an export does: fail on a value that an import could not store.
    Affinity,
    /// As an import does, whose values have just been stored.
    Nothing,
}

/// Encodes all rows of a table, in the order in which they are stored.
pub(super) fn scan(connection: &Connection, table: &Table, check: Check, sink: &mut impl RowSink) -> Result<()> {
    let what = || format!("reading table {:?}", table.name);
    let mut statement = connection.prepare(&table.select()).map_err(Error::sqlite(what()))?;
    let affinities = table.affinities();
    let mut rows = statement.query([]).map_err(Error::sqlite(what()))?;
    let mut number = 0_u64;
    while let Some(row) = rows.next().map_err(Error::sqlite(what()))? {
        number += 1;
        let value = |(index, affinity): (usize, &Affinity)| {
            let value = row.get_ref(index).map_err(Error::sqlite(what()))?;
            match affinity.objection(value) {
                Some(objection) if check == Check::Affinity => {
                    Err(Error::unsupported(describe(table, row, number, index, objection)))
                }
                _ => Ok(value),
            }
        };
        encode::row(sink, affinities.iter().enumerate().map(value))?;
    }
    Ok(())
}

fn describe(table: &Table, row: &Row<'_>, number: u64, index: usize, objection: &str) -> String {
    let rowid = match (&table.rowid, row.get_ref(0)) {
        (Some(_), Ok(ValueRef::Integer(rowid))) => format!("rowid {rowid}"),
        _ => format!("row {number}"),
    };
    format!("column {:?} of table {:?}, {rowid} ({objection})", table.place(index), table.name)
}

/// Reads a table back into numbers.
pub(super) fn summarize(connection: &Connection, table: &Table) -> Result<TableSummary> {
    let mut summer = Summer::default();
    scan(connection, table, Check::Nothing, &mut summer)?;
    Ok(summer.summary(&table.name))
}
