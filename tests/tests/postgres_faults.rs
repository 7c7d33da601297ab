//! PostgreSQL servers, logins and clients that fail half-way, are set up wrong or stand in each other's way.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use coffer_tests::postgres::hostile::{Held, Tenants};
use coffer_tests::postgres::{Db, Postgres};
use coffer_tests::{Outcome, RawExchange, Service, say, shell, tool};

const SOON: Duration = Duration::from_secs(10);
/// A password that can't stand in a message by accident.
const PASSWORD: &str = "geheim-4711-öäü";

static SERVER: LazyLock<Result<&'static Postgres>> = LazyLock::new(|| {
    let server = Postgres::shared()?;
    for login in ["reader", "owner_of_one", "bypassing", "secretive"] {
        server.create_login(login)?;
    }
    server.psql(
        "postgres",
        &format!("ALTER ROLE bypassing BYPASSRLS; ALTER ROLE secretive SUPERUSER PASSWORD '{PASSWORD}'"),
    )?;
    Ok(server)
});

/// A small app in `tenant_one`.
const SMALL: &str = "
    CREATE SCHEMA tenant_one;
    SET search_path = tenant_one;
    CREATE SEQUENCE counter;
    CREATE TABLE notes (id int PRIMARY KEY DEFAULT nextval('counter'), title text, body text);
    CREATE TABLE orders (id int PRIMARY KEY, note int REFERENCES notes);
    CREATE INDEX ON notes (title);
    INSERT INTO notes (title, body) SELECT 't' || n, 'b' || n FROM generate_series(1, 500) n;
    INSERT INTO orders SELECT n, n FROM generate_series(1, 100) n;";

/// An app in `tenant_one` that is larger than every buffer on its way: 96 MiB of rows, then more tables.
const LARGE: &str = "
    CREATE SCHEMA tenant_one;
    SET search_path = tenant_one;
    CREATE TABLE events (id int, payload text);
    INSERT INTO events SELECT n, repeat(md5(n::text), 31) FROM generate_series(1, 98304) n;
    ALTER TABLE events ADD PRIMARY KEY (id);
    CREATE TABLE kinds (id int PRIMARY KEY);
    INSERT INTO kinds VALUES (1), (2);
    CREATE TABLE last (id int PRIMARY KEY, kind int REFERENCES kinds);
    INSERT INTO last VALUES (1, 1);";

fn server() -> Result<&'static Postgres> {
    SERVER.as_ref().copied().map_err(|error| anyhow!("{error:#}"))
}

/// A database with an app `crm/one`.
fn with_app<'a>(server: &'a Postgres, name: &str, app: &str) -> Result<Tenants<'a>> {
    let tenants = Tenants::new(env!("CARGO_BIN_EXE_coffer"), server.fresh_database(name)?, "")?;
    tenants.db.psql(app)?;
    Ok(tenants)
}

/// The source's lines with another login or server.
fn source(url: &str) -> String {
    format!("database = {url:?}\nschema = \"tenant_{{app}}\"")
}

/// An export that has to fail with these words, and leaves no file.
fn ensure_no_export(tenants: &Tenants<'_>, flags: &[&str], words: &[&str]) -> Result<()> {
    let outcome = tenants.export("one", "x.tar.gz", flags)?;
    outcome.ends_with(1, words)?;
    ensure!(!tenants.coffer.path("x.tar.gz").exists(), "an export that failed left its file");
    Ok(())
}

/// Restores `x.tar.gz` into the app `two`, and counts what is there.
fn ensure_comes_back(tenants: &Tenants<'_>, table: &str) -> Result<()> {
    tenants.restore("x.tar.gz", "two", &[])?.ends_with(0, &[])?;
    let count = |schema: &str| {
        tenants.db.query(&format!("SELECT count(*), md5(string_agg(t::text, ',' ORDER BY id)) FROM {schema}.{table} t"))
    };
    ensure!(count("tenant_one")? == count("tenant_two")?, "what came back differs");
    Ok(())
}

/// The binary at work, with a pipe to it or from it.
struct Running(Child);

impl Running {
    fn export(tenants: &Tenants<'_>) -> Result<Self> {
        let mut command = tenants.coffer.command();
        command.args(["export", "crm/one", "--no-encryption", "--compression", "none"]);
        Ok(Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?))
    }

    fn import(tenants: &Tenants<'_>, flags: &[&str]) -> Result<Self> {
        let mut command = tenants.coffer.command();
        command.args(["restore", "-", "--into", "crm/two"]).args(flags);
        Ok(Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?))
    }

    fn read(&mut self, bytes: usize) -> Result<Vec<u8>> {
        let mut read = vec![0; bytes];
        self.0.stdout.as_mut().context("no output")?.read_exact(&mut read)?;
        Ok(read)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.stdin.as_mut().context("no input")?.write_all(bytes)?)
    }

    fn signal(&self, signal: &str) -> Result<()> {
        tool("kill", [signal, &self.0.id().to_string()]).map(drop)
    }

    /// Takes what is still written, to the end.
    fn end(mut self) -> Result<Outcome> {
        drop(self.0.stdin.take());
        let output = self.0.wait_with_output()?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(Outcome { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr })
    }
}

/// Ways for a server to go.
const ENDS: [&str; 3] = ["terminated", "killed", "stopped"];

fn end_server(db: &Db<'_>, how: &str) -> Result<()> {
    let ours =
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'coffer' AND datname = current_database() LIMIT 1";
    match how {
        "terminated" => ensure!(db.server().kill_backends(db.name())? > 0, "nobody was there"),
        "killed" => drop(shell("/".as_ref(), &format!("kill -9 {}", db.query(ours)?))?),
        _ => db.server().stop()?,
    }
    Ok(())
}

/// Makes sure that the server takes connections again.
fn begin_server(db: &Db<'_>, how: &str) -> Result<()> {
    if how == "stopped" {
        db.server().restart()?;
    }
    let started = Instant::now();
    while db.query("SELECT 1").is_err() {
        ensure!(started.elapsed() < Duration::from_secs(30), "it does not come back");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn a_server_that_goes_during_an_export_leaves_no_archive() -> Result<()> {
    let server = Postgres::start()?;
    let tenants = with_app(&server, "gone", LARGE)?;
    let service = tenants.serve()?;
    for how in ENDS {
        // To a pipe, which does not take back what it was given.
        let mut export = Running::export(&tenants)?;
        let mut archive = export.read(1 << 20)?;
        end_server(&tenants.db, how)?;
        let outcome = export.end()?;
        outcome.ends_with(1, &["events"]).context(how)?;
        archive.extend_from_slice(&outcome.stdout);
        std::fs::write(tenants.coffer.path("cut.tar.gz"), &archive)?;
        begin_server(&tenants.db, how)?;
        ensure!(archive.len() > 1 << 20 && archive.len() < 98 << 20, "it had {} bytes", archive.len());
        tenants.coffer.run(["verify", "cut.tar.gz"])?.ends_with(13, &[]).context(how)?;
        tenants.restore("cut.tar.gz", "two", &[])?.ends_with(13, &[]).context(how)?;
        ensure!(tenants.things_in("tenant_two")? == 0, "half an archive was restored");

        // Over HTTP.
        let request = r#"{"encryption":"none","compression":"none"}"#;
        let mut client = RawExchange::post(&service, "/v1/apps/crm/one/export", request.len() as u64)?;
        client.send(request.as_bytes())?;
        let id = client.read_and_stop(1 << 20)?;
        end_server(&tenants.db, how)?;
        let drained = std::thread::spawn(move || client.read_and_stop(usize::MAX));
        let transfer = service.transfer_ended(&id, SOON)?;
        ensure!(transfer["state"] == "failed", "{how}: {transfer}");
        ensure!(
            transfer["error"]["type"].as_str().is_some_and(|kind| kind.ends_with("unreachable")),
            "{how}: {transfer}"
        );
        drop(drained.join());
        begin_server(&tenants.db, how)?;
    }
    // Before its first word.
    server.stop()?;
    ensure_no_export(&tenants, &[], &["can't be reached"])?;
    let answer = service.call("/v1/apps/crm/one/export", &["-X", "POST", "-d", "{\"encryption\":\"none\"}"])?;
    answer.ensure_problem(503, &["can't be reached"])?;
    ensure!(!answer.header("retry-after").is_empty(), "{answer:?}");
    service.call("/v1/apps", &[])?.ensure_problem(503, &["can't be reached"])?;
    server.restart()?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    ensure_comes_back(&tenants, "events")
}

#[test]
fn a_server_that_goes_once_the_rows_are_read_is_told_or_not_needed() -> Result<()> {
    let server = Postgres::start()?;
    let tenants = with_app(&server, "behind", SMALL)?;
    tenants.configure(&format!("{}\nobjects = \"file:objects/{{app}}\"", source(&tenants.db.superuser_url())))?;
    coffer_tests::large_files(&tenants.coffer.path("objects/one"), 96)?;
    let mut export = Running::export(&tenants)?;
    let mut archive = export.read(8 << 20)?;
    server.stop()?;
    let outcome = export.end()?;
    archive.extend_from_slice(&outcome.stdout);
    std::fs::write(tenants.coffer.path("x.tar.gz"), &archive)?;
    server.restart()?;
    say(format!("a server that goes behind the rows: exit code {}", outcome.code));
    let verified = tenants.coffer.run(["verify", "x.tar.gz"])?;
    ensure!((verified.code == 0) == (outcome.code == 0), "{outcome:?} {verified:?}");
    if outcome.code == 0 {
        ensure_comes_back(&tenants, "notes")?;
    }
    Ok(())
}

/// A large app's archive, in one piece.
fn archive_of(tenants: &Tenants<'_>) -> Result<Vec<u8>> {
    tenants.export("one", "x.tar.gz", &["--compression", "none"])?.ends_with(0, &[])?;
    Ok(std::fs::read(tenants.coffer.path("x.tar.gz"))?)
}

/// A client that has sent `bytes` of an archive into the app `two`, and holds.
fn sent(service: &Service, archive: &[u8], bytes: usize) -> Result<RawExchange> {
    let mut client = RawExchange::post(service, "/v1/apps/crm/two/import", archive.len() as u64)?;
    client.send(archive.get(..bytes).context("so long it is not")?)?;
    Ok(client)
}

/// Waits until an import copies rows, of which nobody sees any.
fn wait_for_rows(tenants: &Tenants<'_>) -> Result<()> {
    wait_for_copy(tenants)?;
    ensure!(tenants.things_in("tenant_two")? == 0, "half an import can be seen");
    Ok(())
}

#[test]
fn a_server_that_goes_during_an_import_leaves_nothing() -> Result<()> {
    let server = Postgres::start()?;
    let tenants = with_app(&server, "gone_in", LARGE)?;
    let archive = archive_of(&tenants)?;
    let service = tenants.serve()?;
    for how in ENDS {
        for (at, bytes) in [("among the rows", archive.len() / 2), ("before the commit", archive.len() - 64)] {
            let mut client = sent(&service, &archive, bytes)?;
            if at == "among the rows" {
                wait_for_rows(&tenants)?;
            } else {
                // All has been built, and only the word that the archive is whole is missing.
                tenants.wait_for(
                    "SELECT count(*) FROM pg_stat_activity a WHERE application_name = 'coffer' AND datname = current_database() \
                     AND state = 'idle in transaction' AND query NOT LIKE 'COPY%' AND clock_timestamp() - state_change > '300 ms'",
                    "1",
                )?;
            }
            end_server(&tenants.db, how)?;
            client.send(&archive[bytes..]).ok();
            let (status, _) = client.read_head().with_context(|| format!("{how} {at}"))?;
            ensure!(status == 503, "{how} {at}: status {status}");
            begin_server(&tenants.db, how)?;
            tenants.wait_until_gone()?;
            ensure!(tenants.things_in("tenant_two")? == 0, "{how} {at}: something is left");
            ensure!(
                tenants.db.query("SELECT to_regnamespace('tenant_two') IS NULL")? == "t",
                "{how} {at}: the schema is left"
            );
        }
    }
    ensure_comes_back(&tenants, "events")
}

#[test]
fn a_server_that_goes_while_an_archives_views_are_filled_leaves_nothing() -> Result<()> {
    let server = Postgres::start()?;
    let tenants = with_app(&server, "gone_late", SMALL)?;
    let slow = "CREATE MATERIALIZED VIEW tenant_one.slow AS SELECT pg_sleep(1)::text AS slept";
    tenants.db.psql(slow)?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    for how in ENDS {
        let outcome = std::thread::scope(|scope| {
            let import = scope.spawn(|| tenants.restore("x.tar.gz", "two", &["--allow-code"]));
            tenants.wait_for(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'REFRESH%' AND application_name = 'coffer'",
                "1",
            )?;
            end_server(&tenants.db, how)?;
            import.join().map_err(|_| anyhow!("panicked"))?
        })?;
        outcome.ends_with(1, &["REFRESH MATERIALIZED VIEW"]).context(how)?;
        begin_server(&tenants.db, how)?;
        ensure!(tenants.things_in("tenant_two")? == 0, "{how}: something is left");
    }
    tenants.restore("x.tar.gz", "two", &["--allow-code"])?.ends_with(0, &[])
}

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
    second.ends_with(11, &["tenant_two", "another import"])?;
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

fn wait_for_copy(tenants: &Tenants<'_>) -> Result<()> {
    tenants.wait_for(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'coffer' AND datname = current_database() \
         AND query LIKE 'COPY%FROM STDIN%'",
        "1",
    )
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

#[test]
fn a_standby_is_as_good_but_for_what_it_does_not_have() -> Result<()> {
    let primary = Postgres::start()?;
    let tenants = with_app(&primary, "stand", SMALL)?;
    let standby = primary.standby()?;
    standby.wait_for_replay(&primary)?;
    let primary_url = tenants.db.superuser_url();
    tenants.configure(&source(&standby.superuser_url(tenants.db.name())))?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    ensure!(String::from_utf8(tenants.coffer.run_well(["apps"])?)?.contains("crm/one"), "it is not listed");
    tenants.restore("x.tar.gz", "two", &[])?.ends_with(1, &["standby"])?;
    tenants.configure(&source(&primary_url))?;
    ensure_comes_back(&tenants, "notes")?;
    tenants.db.psql("CREATE UNLOGGED TABLE tenant_one.fleeting AS SELECT 1 AS id")?;
    standby.wait_for_replay(&primary)?;
    tenants.export("one", "y.tar.gz", &[])?.ends_with(0, &[])?;
    std::fs::remove_file(tenants.coffer.path("x.tar.gz"))?;
    tenants.configure(&source(&standby.superuser_url(tenants.db.name())))?;
    ensure_no_export(&tenants, &[], &["fleeting"])
}

#[test]
fn a_pool_that_shares_its_sessions_is_found_out() -> Result<()> {
    let tenants = with_app(server()?, "pool", SMALL)?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    let pool = server()?.pgbouncer("transaction")?;
    tenants.configure(&source(&pool.url(tenants.db.name(), "pg")))?;
    tenants.export("one", "y.tar.gz", &[])?.ends_with(1, &["pool", "session mode"]).context("an export")?;
    ensure!(!tenants.coffer.path("y.tar.gz").exists(), "it left a file");
    tenants.restore("x.tar.gz", "two", &[])?.ends_with(1, &["pool"]).context("an import")?;
    ensure!(tenants.things_in("tenant_two")? == 0, "something is left");
    let pool = server()?.pgbouncer("session")?;
    tenants.configure(&source(&pool.url(tenants.db.name(), "pg")))?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    ensure_comes_back(&tenants, "notes")
}

#[test]
fn a_server_that_does_not_let_us_in_is_told_by_its_name() -> Result<()> {
    let tenants = with_app(server()?, "outside", SMALL)?;
    let (database, port) = (tenants.db.name().to_owned(), server()?.port());
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let plain = format!("postgres://reader@127.0.0.1:{port}/{database}");
    for (url, code, words) in [
        (
            format!("postgres://reader:wrong@127.0.0.1:{port}/{database}"),
            1,
            &["reader", "password authentication failed"][..],
        ),
        (format!("postgres://nobody_here:x@127.0.0.1:{port}/{database}"), 1, &["nobody_here"]),
        (format!("postgres://pg:pg@127.0.0.1:{port}/no_such_database"), 10, &["no_such_database"]),
        (format!("postgres://pg:pg@127.0.0.1:{free}/{database}"), 1, &["127.0.0.1", "can't be reached"]),
        (format!("postgres://pg:pg@no-such-host.invalid/{database}"), 1, &["no-such-host.invalid", "can't be reached"]),
        (format!("postgres://pg:pg@127.0.0.1:{port}/{database}?sslmode=require"), 1, &["127.0.0.1", "TLS"]),
        (plain, 1, &["reader"]),
    ] {
        tenants.configure(&source(&url))?;
        tenants.export("one", "x.tar.gz", &[])?.ends_with(code, words).context(url.clone())?;
        ensure!(!tenants.coffer.path("x.tar.gz").exists(), "{url}: it left a file");
        let outcome = tenants.coffer.run(["apps"])?;
        ensure!(outcome.code != 0 || url.contains("no_such_database"), "{url}: {outcome:?}");
    }
    Ok(())
}

/// Two authorities, of which the first signs the server's certificate.
const CERTIFICATES: &str = r"
    for name in right wrong; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -keyout $name.key -out $name.crt -subj /CN=$name
    done 2> /dev/null
    printf 'subjectAltName = DNS:localhost\nbasicConstraints = CA:FALSE\n' > extensions
    openssl req -new -key SERVER/server.key -subj /CN=localhost -out server.csr
    openssl x509 -req -in server.csr -CA right.crt -CAkey right.key -CAcreateserial -days 1 -extfile extensions -out server.crt 2> /dev/null
    cat server.crt > SERVER/server.crt";

#[test]
fn tls_is_spoken_and_a_wrong_authority_refused() -> Result<()> {
    let server = Postgres::start_with_tls()?;
    let tenants = with_app(&server, "tls", SMALL)?;
    // Nobody comes in without it.
    let rules = server.folder().join("data/pg_hba.conf");
    let text = std::fs::read_to_string(&rules)?.replace("\nhost ", "\nhostssl ");
    std::fs::write(&rules, text)?;
    shell(tenants.coffer.folder(), &CERTIFICATES.replace("SERVER", &server.folder().display().to_string()))?;
    server.restart()?;
    let url = |options: &str| format!("{}?{options}", tenants.db.superuser_url()).replace("127.0.0.1", "localhost");
    let right = tenants.coffer.path("right.crt").display().to_string();
    let wrong = tenants.coffer.path("wrong.crt").display().to_string();
    for (options, is_taken) in [
        (format!("sslmode=verify-full&sslrootcert={right}"), true),
        (format!("sslmode=verify-ca&sslrootcert={right}"), true),
        ("sslmode=require".to_owned(), true),
        ("sslmode=prefer".to_owned(), true),
        (format!("sslmode=verify-full&sslrootcert={wrong}"), false),
        (format!("sslmode=verify-ca&sslrootcert={wrong}"), false),
        ("sslmode=verify-full".to_owned(), false),
        ("sslmode=disable".to_owned(), false),
        (format!("sslmode=verify-full&sslrootcert={right}.missing"), false),
    ] {
        tenants.configure(&source(&url(&options)))?;
        let outcome = tenants.export("one", "x.tar.gz", &[])?;
        ensure!((outcome.code == 0) == is_taken, "{options}: {outcome:?}");
        if is_taken {
            std::fs::remove_file(tenants.coffer.path("x.tar.gz"))?;
        } else {
            outcome.ends_with(1, &["localhost"]).context(options)?;
        }
    }
    let by_address = url(&format!("sslmode=verify-full&sslrootcert={right}")).replace("localhost", "127.0.0.2");
    tenants.configure(&source(&by_address))?;
    let outcome = tenants.export("one", "x.tar.gz", &[])?;
    ensure!(outcome.code == 1, "a name that the certificate has not: {outcome:?}");
    Ok(())
}

#[test]
fn passwords_come_from_where_they_may_and_are_shown_nowhere() -> Result<()> {
    let tenants = with_app(server()?, "secret", SMALL)?;
    let (database, port) = (tenants.db.name().to_owned(), server()?.port());
    let url = format!("postgres://secretive@127.0.0.1:{port}/{database}");
    let coffer = &tenants.coffer;
    std::fs::write(coffer.path("password"), format!("{PASSWORD}\n"))?;
    std::fs::write(coffer.path("wrong-password"), format!("{PASSWORD}!\n"))?;
    std::fs::write(coffer.path("pgpass"), format!("127.0.0.1:{port}:*:secretive:{PASSWORD}\n"))?;
    shell(coffer.folder(), "chmod 600 password wrong-password pgpass")?;
    let encoded: String = PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let in_url = format!("postgres://secretive:{encoded}@127.0.0.1:{port}/{database}");
    let with_file = |file: &str| format!("{}\ndatabase_password_file = {file:?}", source(&url));
    let pgpass = coffer.path("pgpass").display().to_string();
    let variable = "COFFER_SOURCE_CRM_DATABASE_PASSWORD";
    let password_file = coffer.path("password").display().to_string();
    for (config, variables, is_taken) in [
        (source(&in_url), vec![], true),
        (source(&format!("{url}?password={encoded}")), vec![], true),
        (with_file("password"), vec![], true),
        (source(&url), vec![("PGPASSWORD", PASSWORD)], true),
        (source(&url), vec![("PGPASSFILE", pgpass.as_str())], true),
        (source(&url), vec![(variable, PASSWORD)], true),
        (source(&url), vec![("COFFER_SOURCE_CRM_DATABASE_PASSWORD_FILE", password_file.as_str())], true),
        (with_file("wrong-password"), vec![(variable, PASSWORD)], true),
        (with_file("wrong-password"), vec![], false),
        (with_file("wrong-password"), vec![("PGPASSWORD", PASSWORD)], false),
        (source(&in_url.replace("%21", "").replacen(&encoded, &format!("{encoded}%21"), 1)), vec![], false),
        (with_file("no-such-file"), vec![], false),
        (
            source(&url),
            vec![(variable, PASSWORD), ("COFFER_SOURCE_CRM_DATABASE_PASSWORD_FILE", password_file.as_str())],
            false,
        ),
        (source(&format!("{in_url}?unknown={encoded}")), vec![], false),
        (source(&in_url.replace("postgres://", "postgres:/")), vec![], false),
        (source(&in_url.replace(&format!("@127.0.0.1:{port}"), "@127.0.0.1:notaport")), vec![], false),
        (source(&format!("postgres://secretive:{PASSWORD}@x@127.0.0.1:{port}/{database}")), vec![], false),
        (format!("{}\nnonsense = \"{encoded}\"", source(&in_url)), vec![], false),
    ] {
        tenants.configure(&config)?;
        for arguments in [
            &["export", "crm/one", "--no-encryption", "-o", "x.tar.gz"][..],
            &["--json", "export", "crm/one", "--no-encryption", "-o", "x.tar.gz"],
            &["apps"],
            &["config", "check"],
        ] {
            let mut command = coffer.command();
            command.args(arguments).env("RUST_LOG", "trace").envs(variables.iter().copied());
            let output = command.env("RUST_BACKTRACE", "1").output()?;
            let said =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            let told = || format!("{arguments:?} with {config} and {variables:?}: {said}");
            for secret in [PASSWORD, encoded.as_str(), &PASSWORD[..11]] {
                ensure!(!said.contains(secret), "the password is shown: {}", told());
            }
            if arguments.contains(&"export") {
                ensure!(output.status.success() == is_taken, told());
            }
        }
    }
    tenants.configure(&with_file("password"))?;
    let service = tenants.serve()?;
    let answer = service
        .call("/v1/apps/crm/one/export", &["-X", "POST", "-d", "{\"encryption\":\"none\"}", "-o", "/dev/null"])?;
    ensure!(answer.status == 200, "{answer:?}");
    let shown = std::fs::read(format!("/proc/{}/cmdline", service.process_id()))?;
    ensure!(!String::from_utf8_lossy(&shown).contains(PASSWORD), "the command line shows it");
    ensure!(!server()?.log()?.contains(PASSWORD), "the server's log shows it");
    Ok(())
}

#[test]
fn names_that_are_too_long_are_told() -> Result<()> {
    let tenants = with_app(server()?, "long", SMALL)?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    let (fits, too_long) = ("a".repeat(56), "a".repeat(57));
    let words = ["63", "tenant_{app}", "64 bytes"];
    tenants.restore("x.tar.gz", &too_long, &[])?.ends_with(2, &words)?;
    tenants.export(&too_long, "y.tar.gz", &[])?.ends_with(2, &words)?;
    tenants.restore("x.tar.gz", &fits, &[])?.ends_with(0, &[])?;
    tenants.export(&fits, "y.tar.gz", &[])?.ends_with(0, &[])?;
    let service = tenants.serve()?;
    let path = format!("/v1/apps/crm/{too_long}/export");
    service.call(&path, &["-X", "POST"])?.ensure_problem(400, &words)?;
    tenants.export("nowhere", "z.tar.gz", &[])?.ends_with(10, &["tenant_nowhere"])
}

#[test]
fn a_database_of_no_encoding_is_told() -> Result<()> {
    let server = server()?;
    let tenants = with_app(server, "encoded", SMALL)?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    server.psql("postgres", "CREATE DATABASE of_no_encoding TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")?;
    server.psql("of_no_encoding", SMALL)?;
    tenants.configure(&source(&server.superuser_url("of_no_encoding")))?;
    tenants.export("one", "y.tar.gz", &[])?.ends_with(1, &["SQL_ASCII", "of_no_encoding"])?;
    tenants.restore("x.tar.gz", "two", &[])?.ends_with(1, &["SQL_ASCII"])?;
    ensure!(server.query("of_no_encoding", "SELECT to_regnamespace('tenant_two') IS NULL")? == "t");
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

/// A disk of 48 MiB that a server keeps databases on, unmounted when dropped.
struct SmallDisk(std::path::PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        tool("umount", ["-l".as_ref(), self.0.as_os_str()]).ok();
    }
}

#[test]
fn a_full_disk_of_the_server_is_told_and_leaves_nothing() -> Result<()> {
    let server = Postgres::start()?;
    let folder = server.folder().join("small");
    std::fs::create_dir(&folder)?;
    if tool(
        "mount",
        ["-t", "tmpfs", "-o", "size=48m,mode=0777", "coffer-tests"]
            .map(AsRef::as_ref)
            .into_iter()
            .chain([folder.as_os_str()]),
    )
    .is_err()
    {
        say("SKIPPED: a full disk needs the right to mount a tmpfs");
        return Ok(());
    }
    let disk = SmallDisk(folder.clone());
    shell(&folder, "mkdir space; chmod 700 space; chown --reference=../data space")?;
    let tenants = with_app(&server, "full", LARGE)?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    server.psql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", folder.join("space").display()))?;
    server.psql("postgres", "CREATE DATABASE small TEMPLATE template0 TABLESPACE small")?;
    tenants.configure(&source(&server.superuser_url("small")))?;
    tenants.restore("x.tar.gz", "two", &[])?.ends_with(1, &["space"])?;
    let service = tenants.serve()?;
    let path = tenants.coffer.path("x.tar.gz");
    let arguments = ["-X", "POST", "-T", path.to_str().context("not UTF-8")?];
    service.call("/v1/apps/crm/two/import", &arguments)?.ensure_problem(507, &["space"])?;
    ensure!(server.query("small", "SELECT to_regnamespace('tenant_two') IS NULL")? == "t", "something is left");
    server.stop()?;
    drop(disk);
    Ok(())
}
