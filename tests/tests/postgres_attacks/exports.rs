//! What a tenant plants for whoever reads the schema.

use anyhow::{Context, Result, anyhow, ensure};
use coffer_tests::postgres::hostile::{Held, lookalikes};
use coffer_tests::say;

use super::tenants;

#[test]
fn look_alikes_are_not_run_by_an_export() -> Result<()> {
    let tenants = tenants("alike", "")?;
    tenants.db.psql(&lookalikes::planted(tenants.db.name()))?;
    let before = tenants.witness()?;
    let database = tenants.db.name();
    let check = || -> Result<()> {
        let refused = tenants.export("evil", "evil.tar.gz", &[])?;
        refused.ends_with(1, &["operator", "aggregate", "cast", "rule hearing"])?;
        ensure!(!tenants.coffer.path("evil.tar.gz").exists(), "an export that was refused left its file");
        let carried = tenants.export("evil", "evil.tar.gz", &["--skip-unsupported"])?;
        carried.ends_with(0, &["can't be carried", "operator", "cast"])?;
        tenants.coffer.run_well(["verify", "evil.tar.gz"])?;
        tenants.coffer.run_well(["apps"])?;
        std::fs::remove_file(tenants.coffer.path("evil.tar.gz"))?;
        tenants.ensure_silent()
    };
    check()?;
    tenants.ensure_unharmed(&before)?;
    // A tenant with a database of its own may say what sessions in it begin with.
    tenants.db.psql(&format!("ALTER DATABASE {database} SET search_path = tenant_evil, pg_catalog"))?;
    tenants.db.psql(&format!("ALTER DATABASE {database} SET standard_conforming_strings = off"))?;
    tenants.db.psql(&format!("ALTER DATABASE {database} SET bytea_output = escape"))?;
    check().context("with look-alikes in the path")
}

#[test]
fn a_sequence_that_becomes_a_view_is_not_run() -> Result<()> {
    let tenants = tenants("swapped", "")?;
    let evil = "CREATE FUNCTION evil() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'CANARY WORD: % for %', current_user, session_user; RETURN 1; END $$;";
    tenants.db.psql(&format!(
        "CREATE SCHEMA tenant_evil AUTHORIZATION app_evil; SET ROLE app_evil; SET search_path = tenant_evil;
         CREATE SEQUENCE a; CREATE SEQUENCE b; CREATE TABLE t AS SELECT 1 AS a; {}",
        evil.replace("WORD", tenants.db.name())
    ))?;
    // The first sequence is locked until the export waits for it; by then the second is something else.
    let mut tenant = Held::new(
        &tenants.db,
        "SET ROLE app_evil; SET search_path = tenant_evil; BEGIN; ALTER SEQUENCE a RENAME TO c; ALTER SEQUENCE c RENAME TO a;",
    )?;
    let outcome = std::thread::scope(|scope| {
        let export = scope.spawn(|| tenants.export("evil", "x.tar.gz", &[]));
        tenants.wait_until_blocked()?;
        tenant.run(
            "DROP SEQUENCE b; CREATE VIEW b AS SELECT tenant_evil.evil() AS last_value, true AS is_called; COMMIT;",
        )?;
        export.join().map_err(|_| anyhow!("panicked"))?
    })?;
    tenants.ensure_silent()?;
    say(format!("a sequence that became a view: exit code {}, {}", outcome.code, outcome.stderr.trim()));
    ensure!(outcome.code != 0, "an export went through whose sequence was none");
    Ok(())
}

/// A row that the server can't write as text makes us look for its key: the key's type is the tenant's.
#[test]
fn a_cast_of_a_tenants_is_not_run_for_a_message() -> Result<()> {
    let tenants = tenants("cast", "")?;
    tenants.db.psql(&format!(
        "CREATE SCHEMA tenant_evil AUTHORIZATION app_evil; SET ROLE app_evil; SET search_path = tenant_evil;
         CREATE TYPE mood AS ENUM ('glad', 'sad');
         CREATE FUNCTION told(mood) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
             $$ BEGIN RAISE LOG 'CANARY {}: % for %', current_user, session_user; RETURN 'told'; END $$;
         CREATE CAST (mood AS text) WITH FUNCTION told(mood) AS IMPLICIT;
         SET default_toast_compression = lz4;
         CREATE TABLE large (id mood PRIMARY KEY, a text, b text, c text, d text, e text);
         INSERT INTO large VALUES ('sad', repeat('x', 220000000));
         UPDATE large SET b = a; UPDATE large SET c = a; UPDATE large SET d = a; UPDATE large SET e = a",
        tenants.db.name()
    ))?;
    let outcome = tenants.export("evil", "x.tar.gz", &["--skip-unsupported"])?;
    tenants.ensure_silent()?;
    outcome.ends_with(1, &["large"])
}
