//! PostgreSQL: memory does not grow with a table, nor the work of an export with what other tenants have.

use anyhow::{Result, ensure};
use coffer_tests::postgres::{Crm, Postgres, effort_among, measure_table, seed_wide};

#[test]
fn a_table_of_192_mib_goes_round_under_96_mib() -> Result<()> {
    let db = Postgres::shared()?.fresh_database("large")?;
    measure_table(&Crm::new(env!("CARGO_BIN_EXE_coffer"), &db)?, 192, 96 << 20)
}

#[test]
fn an_export_reads_its_own_part_of_the_catalogs() -> Result<()> {
    let server = Postgres::start()?;
    let mut rows = Vec::new();
    for others in [10, 1_000] {
        let db = server.fresh_database(&format!("among_{others}"))?;
        let crm = Crm::new(env!("CARGO_BIN_EXE_coffer"), &db)?;
        seed_wide(&crm, "wide", 20)?;
        rows.push(effort_among(&crm, "wide", others)?.rows);
    }
    let [few, many] = rows.as_slice() else { return Ok(()) };
    // A thousand schemas of two tables have over 50,000 rows in the catalogs.
    ensure!(*many < few + 3_000, "{few} rows among 10 schemas, {many} among 1,000");
    Ok(())
}
