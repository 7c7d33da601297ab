//! Logins that may not read all of an app, and what they can't read.

use anyhow::{Context, Result, ensure};
use coffer_tests::postgres::hostile::Tenants;

use super::{SMALL, ensure_comes_back, ensure_no_export, server, source, with_app};

#[test]
fn rows_that_a_policy_hides_stop_the_export_by_name() -> Result<()> {
    let tenants = with_app(server()?, "hidden", SMALL)?;
    tenants.db.psql(
        "ALTER TABLE tenant_one.notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY halves ON tenant_one.notes USING (id % 2 = 0);
         GRANT USAGE ON SCHEMA tenant_one TO reader, bypassing, owner_of_one;
         GRANT SELECT ON ALL TABLES IN SCHEMA tenant_one TO reader, bypassing, owner_of_one;
         GRANT SELECT ON ALL SEQUENCES IN SCHEMA tenant_one TO reader, bypassing, owner_of_one;
         GRANT CREATE ON SCHEMA tenant_one TO owner_of_one;
         ALTER TABLE tenant_one.notes OWNER TO owner_of_one",
    )?;
    let be = |login: &str| tenants.configure(&source(&tenants.db.url(login)));
    be("reader")?;
    ensure_no_export(&tenants, &[], &["notes", "row-level security", "BYPASSRLS"])?;
    ensure_no_export(&tenants, &["--skip-unsupported"], &["notes", "row-level security"])?;
    let service = tenants.serve()?;
    let answer = service.call("/v1/apps/crm/one/export", &["-X", "POST", "-d", "{\"encryption\":\"none\"}"])?;
    answer.ensure_problem(502, &["notes"])?;
    for login in ["owner_of_one", "bypassing"] {
        be(login)?;
        tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[]).context(login)?;
        let inspected = tenants.coffer.run(["inspect", "x.tar.gz", "--json"])?;
        let inspected = String::from_utf8_lossy(&inspected.stdout).replace(' ', "");
        ensure!(inspected.contains("\"rows\":500"), "{login}: {inspected}");
        std::fs::remove_file(tenants.coffer.path("x.tar.gz"))?;
    }
    tenants.db.psql("ALTER TABLE tenant_one.notes FORCE ROW LEVEL SECURITY")?;
    be("owner_of_one")?;
    ensure_no_export(&tenants, &[], &["notes", "row-level security"])?;
    // A policy that hides nothing today may hide something tomorrow.
    tenants.db.psql("ALTER POLICY halves ON tenant_one.notes USING (true)")?;
    ensure_no_export(&tenants, &[], &["notes", "row-level security"])
}

#[test]
fn a_privilege_that_is_missing_is_named() -> Result<()> {
    let tenants = with_app(server()?, "missing", SMALL)?;
    tenants.configure(&source(&tenants.db.url("reader")))?;
    let all = "GRANT USAGE ON SCHEMA tenant_one TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA tenant_one TO reader;
        GRANT SELECT ON ALL SEQUENCES IN SCHEMA tenant_one TO reader;";
    for (missing, words) in [
        ("REVOKE SELECT ON tenant_one.orders FROM reader", &["orders", "permission denied"][..]),
        (
            "REVOKE SELECT ON tenant_one.notes FROM reader; GRANT SELECT (id, title) ON tenant_one.notes TO reader",
            &["notes", "permission denied"],
        ),
        ("REVOKE SELECT ON SEQUENCE tenant_one.counter FROM reader", &["counter", "permission denied"]),
        ("REVOKE USAGE ON SCHEMA tenant_one FROM reader", &["tenant_one", "permission denied"]),
    ] {
        tenants.db.psql(&format!("{all} {missing}"))?;
        ensure_no_export(&tenants, &[], words).context(missing)?;
        ensure_no_export(&tenants, &["--skip-unsupported"], words).context(missing)?;
        tenants.db.psql("REVOKE ALL ON ALL TABLES IN SCHEMA tenant_one FROM reader; REVOKE ALL (id, title) ON tenant_one.notes FROM reader")?;
    }
    tenants.db.psql(all)?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    // It may read, and not make a schema.
    let outcome = tenants.restore("x.tar.gz", "two", &[])?;
    outcome.ends_with(1, &["permission denied", "CREATE"])?;
    tenants.db.psql("CREATE SCHEMA tenant_two AUTHORIZATION reader")?;
    ensure_comes_back_for(&tenants, "reader")
}

fn ensure_comes_back_for(tenants: &Tenants<'_>, login: &str) -> Result<()> {
    ensure_comes_back(tenants, "notes")?;
    let owners = "SELECT string_agg(DISTINCT relowner::regrole::text, ' ') FROM pg_class WHERE relnamespace = 'tenant_two'::regnamespace";
    ensure!(tenants.db.query(owners)? == login, "it belongs to somebody else");
    Ok(())
}

#[test]
fn a_foreign_table_is_named() -> Result<()> {
    let tenants = with_app(server()?, "foreign", SMALL)?;
    tenants.db.psql(
        "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE tenant_one.passwords (line text) SERVER files OPTIONS (filename '/etc/passwd');
         CREATE VIEW tenant_one.seen AS SELECT * FROM tenant_one.passwords",
    )?;
    ensure_no_export(&tenants, &[], &["can't be carried", "passwords"])?;
    tenants.export("one", "x.tar.gz", &["--skip-unsupported"])?.ends_with(0, &["passwords", "seen"])?;
    ensure_comes_back(&tenants, "notes")?;
    ensure!(tenants.db.query("SELECT to_regclass('tenant_two.seen') IS NULL")? == "t");
    Ok(())
}
