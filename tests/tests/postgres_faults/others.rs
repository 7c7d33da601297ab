//! Clients that leave, and those who come to one app at once.

use anyhow::{Context, Result, anyhow, ensure};
use coffer_tests::RawExchange;
use coffer_tests::postgres::hostile::Held;

use super::{
    LARGE, Running, SMALL, SOON, archive_of, ensure_comes_back, sent, server, wait_for_copy, wait_for_rows, with_app,
};

#[test]
fn a_client_that_leaves_ends_the_servers_work() -> Result<()> {
    let tenants = with_app(server()?, "left", LARGE)?;
    let archive = archive_of(&tenants)?;
    let service = tenants.serve()?;
    let request = r#"{"encryption":"none","compression":"none"}"#;
    let mut client = RawExchange::post(&service, "/v1/apps/crm/one/export", request.len() as u64)?;
    client.send(request.as_bytes())?;
    let id = client.read_and_stop(1 << 20)?;
    ensure!(tenants.sessions()? > 0, "no session reads");
    drop(client);
    tenants.wait_until_gone().context("an export over HTTP")?;
    ensure!(service.transfer_ended(&id, SOON)?["state"] == "failed");

    let client = sent(&service, &archive, archive.len() / 2)?;
    wait_for_rows(&tenants)?;
    drop(client);
    tenants.wait_until_gone().context("an import over HTTP")?;
    ensure!(tenants.db.query("SELECT to_regnamespace('tenant_two') IS NULL")? == "t", "something is left");

    for (signal, code) in [("-INT", 130), ("-TERM", -1), ("-KILL", -1)] {
        let mut export = Running::export(&tenants)?;
        export.read(1 << 20)?;
        ensure!(tenants.sessions()? > 0, "no session reads");
        export.signal(signal)?;
        let outcome = export.end()?;
        ensure!(code == -1 || outcome.code == code, "{signal}: {outcome:?}", outcome = outcome.code);
        ensure!(outcome.code != 0, "{signal} was taken for success");
        tenants.wait_until_gone().with_context(|| format!("an export with {signal}"))?;

        let mut import = Running::import(&tenants, &[])?;
        import.write(&archive[..archive.len() / 2])?;
        wait_for_rows(&tenants)?;
        import.signal(signal)?;
        let outcome = import.end()?;
        ensure!(code == -1 || outcome.code == code, "{signal}: {}", outcome.code);
        tenants.wait_until_gone().with_context(|| format!("an import with {signal}"))?;
        ensure!(
            tenants.db.query("SELECT to_regnamespace('tenant_two') IS NULL")? == "t",
            "{signal}: something is left"
        );
    }
    ensure_comes_back(&tenants, "events")
}

#[test]
fn two_imports_of_one_app_do_not_meet() -> Result<()> {
    let tenants = with_app(server()?, "twice", LARGE)?;
    let archive = archive_of(&tenants)?;
    // Two processes.
    let mut first = Running::import(&tenants, &[])?;
    first.write(&archive[..archive.len() / 2])?;
    wait_for_rows(&tenants)?;
    let second = tenants.restore("x.tar.gz", "two", &[])?;
    second.ends_with(11, &["crm/two", "another import"])?;
    first.write(&archive[archive.len() / 2..])?;
    first.end()?.ends_with(0, &[])?;
    tenants.restore("x.tar.gz", "two", &[])?.ends_with(1, &["not empty"])?;
    tenants.db.psql("DROP SCHEMA tenant_two CASCADE")?;
    // One process.
    let service = tenants.serve()?;
    let mut client = sent(&service, &archive, archive.len() / 2)?;
    wait_for_rows(&tenants)?;
    let path = tenants.coffer.path("x.tar.gz");
    let arguments = ["-X", "POST", "-T", path.to_str().context("not UTF-8")?];
    service.call("/v1/apps/crm/two/import", &arguments)?.ensure_problem(409, &["crm/two"])?;
    tenants.restore("x.tar.gz", "two", &[])?.ends_with(11, &["another import"])?;
    client.send(&archive[archive.len() / 2..])?;
    ensure!(client.read_head()?.0 == 200, "the first import did not come through");
    let count = tenants.db.query("SELECT count(*) FROM tenant_two.events")?;
    ensure!(count == "98304", "{count}");
    Ok(())
}

#[test]
fn what_somebody_makes_during_an_import_is_kept_and_ends_it() -> Result<()> {
    let tenants = with_app(server()?, "filled", LARGE)?;
    let archive = archive_of(&tenants)?;
    let (service, mut wrong) = (tenants.serve()?, Vec::new());
    for (is_there, made) in [
        (true, "CREATE TABLE tenant_two.other AS SELECT 1 AS kept"),
        (true, "CREATE FUNCTION tenant_two.other() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
        (true, "CREATE TYPE tenant_two.other AS ENUM ('a')"),
        (true, "CREATE OPERATOR tenant_two.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)"),
        (true, "CREATE COLLATION tenant_two.other FROM \"C\""),
        (false, "SET lock_timeout = '300ms'; CREATE SCHEMA tenant_two"),
    ] {
        if is_there {
            tenants.db.psql("CREATE SCHEMA tenant_two")?;
        }
        let mut client = sent(&service, &archive, archive.len() / 2)?;
        wait_for_copy(&tenants)?;
        let was_made = tenants.db.psql(made);
        client.send(&archive[archive.len() / 2..])?;
        let (status, _) = client.read_head()?;
        let things = tenants.things_in("tenant_two")?;
        let is_right = match is_there {
            true => was_made.is_ok() && status == 409 && (1..=2).contains(&things),
            // Whoever comes second waits for the first, or is told.
            false => was_made.is_err() && status == 200,
        };
        if !is_right {
            wrong.push(format!("{made}: status {status}, {things} things are there, {was_made:?}"));
        }
        tenants.db.psql("SET client_min_messages = warning; DROP SCHEMA tenant_two CASCADE")?;
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn an_app_that_holds_anything_is_not_imported_into() -> Result<()> {
    let tenants = with_app(server()?, "holding", SMALL)?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    for made in [
        "CREATE TABLE x ()",
        "CREATE VIEW x AS SELECT 1",
        "CREATE SEQUENCE x",
        "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE AGGREGATE x(int) (SFUNC = int4pl, STYPE = int)",
        "CREATE TYPE x AS ENUM ()",
        "CREATE TYPE x AS (a int)",
        "CREATE DOMAIN x AS int",
        "CREATE TYPE x",
        "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)",
        "CREATE OPERATOR FAMILY x USING btree",
        "CREATE COLLATION x FROM \"C\"",
        "CREATE CONVERSION x FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
        "CREATE TEXT SEARCH CONFIGURATION x (COPY = pg_catalog.english)",
        "CREATE TEXT SEARCH DICTIONARY x (TEMPLATE = simple)",
    ] {
        tenants.db.psql(&format!("CREATE SCHEMA tenant_two; SET search_path = tenant_two; {made}"))?;
        let things = tenants.things_in("tenant_two")?;
        let outcome = tenants.restore("x.tar.gz", "two", &[])?;
        outcome.ends_with(1, &["not empty", "crm/two"]).context(made)?;
        ensure!(tenants.things_in("tenant_two")? == things, "{made}: it was touched");
        tenants.db.psql("SET client_min_messages = warning; DROP SCHEMA tenant_two CASCADE")?;
    }
    // What is empty is taken, where nobody else can make functions in it that would run with the service's rights.
    for others in [
        "ALTER SCHEMA tenant_two OWNER TO reader",
        "GRANT CREATE ON SCHEMA tenant_two TO reader",
        "GRANT CREATE ON SCHEMA tenant_two TO PUBLIC",
    ] {
        tenants.db.psql(&format!("CREATE SCHEMA tenant_two; {others}"))?;
        tenants.restore("x.tar.gz", "two", &[])?.ends_with(1, &["tenant_two", "import_database"]).context(others)?;
        ensure!(tenants.things_in("tenant_two")? == 0, "{others}: something is left");
        tenants.db.psql("DROP SCHEMA tenant_two")?;
    }
    tenants.db.psql("CREATE SCHEMA tenant_two; GRANT USAGE ON SCHEMA tenant_two TO reader")?;
    ensure_comes_back(&tenants, "notes")?;
    ensure!(
        tenants.db.query("SELECT has_schema_privilege('reader', 'tenant_two', 'USAGE')")? == "t",
        "it lost its grants"
    );
    Ok(())
}

#[test]
fn a_table_that_is_locked_for_long_is_waited_for() -> Result<()> {
    let tenants = with_app(server()?, "locked", SMALL)?;
    let mut holder = Held::new(
        &tenants.db,
        "BEGIN; LOCK TABLE tenant_one.notes; INSERT INTO tenant_one.notes (title) VALUES ('late');",
    )?;
    let outcome = std::thread::scope(|scope| {
        let export = scope.spawn(|| tenants.export("one", "x.tar.gz", &[]));
        tenants.wait_until_blocked()?;
        holder.run("COMMIT;")?;
        export.join().map_err(|_| anyhow!("panicked"))?
    })?;
    outcome.ends_with(0, &[])?;
    // What was committed while it waited is there: the moment of an export comes after its locks.
    ensure_comes_back(&tenants, "notes")?;
    ensure!(tenants.db.query("SELECT count(*) FROM tenant_two.notes WHERE title = 'late'")? == "1");
    Ok(())
}
