//! Archives whose SQL is not that of an app.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_tests::postgres::hostile::statements::{
    BOUNDS, CODE, DEFAULTED, DEFAULTS, EVALUATED, EVALUATED_IN_TABLES, EXPRESSIONS, HIDDEN, NEVER,
};
use coffer_tests::{RawExchange, say, shell};

use super::{Arena, PLACEHOLDER, Rights, own};

#[test]
fn honest_archives_are_taken() -> Result<()> {
    for rights in [Rights::Service, Rights::ServiceWithCode, Rights::App] {
        let arena = Arena::new("honest", rights)?;
        let mut archive = arena.honest.clone();
        for sql in [
            "COMMENT ON TABLE S.notes IS E'\\'; DROP TABLE tenant_victim.secrets; --';",
            "COMMENT ON COLUMN S.notes.id IS '\\';",
            "COMMENT ON COLUMN S.notes.title IS U&'\\0027; DROP TABLE tenant_victim.secrets; --';",
            "COMMENT ON COLUMN S.notes.body IS $x$'; DROP TABLE tenant_victim.secrets; --$x$;",
            "CREATE INDEX evil_1 ON S.notes (((length(title) + 1)), id DESC) WHERE (title ~ 'i');",
            "ALTER TABLE ONLY S.notes ADD CONSTRAINT evil_2 CHECK (((title)::text <> 'x'::text) OR (body IS NULL));",
            "ALTER TABLE ONLY S.notes ADD CONSTRAINT evil_3 EXCLUDE USING btree (upper(title) WITH =);",
            "ALTER TABLE ONLY S.notes ALTER body SET DEFAULT (random())::text;",
            "ALTER TABLE ONLY S.parts ATTACH PARTITION S.part_2 FOR VALUES FROM (10) TO (MAXVALUE);",
            "ALTER DOMAIN S.short ADD CONSTRAINT evil_4 CHECK ((VALUE <> 'evil'::text));",
        ] {
            archive = archive.after(&own(sql));
        }
        archive = archive.before(&own("CREATE TYPE S.kind AS ENUM ('a', 'b');"));
        let table = "CREATE TABLE S.evil (title text, made int GENERATED ALWAYS AS (length(title)) STORED, CHECK (title <> ''));";
        let answer = arena.send(archive.table("evil", &["title"], &own(table))?, "")?;
        ensure!(answer.status == 200, "{rights:?}: {answer:?}");
        let (db, tenants) = (&arena.tenants.db, &arena.tenants);
        ensure!(db.query("SELECT count(*), max(length(title)) FROM tenant_two.notes")? == "3|6");
        ensure!(db.query("SELECT obj_description('tenant_two.notes'::regclass)")?.starts_with("'; DROP TABLE"));
        let owner = "SELECT string_agg(DISTINCT relowner::regrole::text, ' ') FROM pg_class WHERE relnamespace = 'tenant_two'::regnamespace";
        ensure!(db.query(owner)? == if rights == Rights::App { "app_two" } else { "pg" });
        tenants.ensure_silent()?;
        ensure!(db.query("SELECT secret FROM tenant_victim.secrets")? == "the secret");
    }
    Ok(())
}

#[test]
fn statements_that_no_app_needs_are_refused_with_the_services_rights() -> Result<()> {
    Arena::new("never", Rights::Service)?.ensure_each_refused(NEVER.iter().copied(), &["statement"])
}

#[test]
fn statements_that_no_app_needs_are_refused_where_code_is_allowed() -> Result<()> {
    Arena::new("never_code", Rights::ServiceWithCode)?.ensure_each_refused(NEVER.iter().copied(), &["statement"])
}

#[test]
fn statements_that_no_app_needs_are_refused_with_the_apps_rights() -> Result<()> {
    // The rules are those of code that is allowed; some of it shows that they hold here too.
    Arena::new("never_app", Rights::App)?.ensure_each_refused(NEVER.iter().copied().step_by(3), &["statement"])
}

#[test]
fn second_statements_are_found_wherever_they_hide() -> Result<()> {
    let arena = Arena::new("hidden", Rights::Service)?;
    arena.ensure_each_refused(HIDDEN.iter().copied(), &["refused"])?;
    let arena = Arena::new("hidden_code", Rights::ServiceWithCode)?;
    for sql in HIDDEN {
        let archive = arena.honest.clone().before(&own(sql));
        arena.ensure_refused(archive, &["refused"]).with_context(|| format!("before rows: {sql}"))?;
    }
    arena.ensure_unharmed()
}

#[test]
fn code_needs_the_word_of_who_restores() -> Result<()> {
    let arena = Arena::new("code", Rights::Service)?;
    for sql in CODE {
        let begin: String = own(sql).chars().take_while(|&c| c != '.').collect();
        let begin = begin.replace(PLACEHOLDER, "");
        let words = ["statement `", begin.trim_end(), "--allow-code", "import_database"];
        arena.ensure_refused(arena.with(sql)?, &words).context(*sql)?;
    }
    arena.ensure_unharmed()?;
    // What is refused without it is taken with it.
    let archive = || arena.with("CREATE VIEW S.seen AS SELECT id FROM S.notes;");
    archive()?.write(&arena.tenants, "code.tar.gz")?;
    let outcome = arena.tenants.restore("code.tar.gz", "two", &[])?;
    outcome.ends_with(13, &["statement `CREATE VIEW", "--allow-code", "import_database"])?;
    ensure!(arena.tenants.things_in("tenant_two")? == 0, "something is left");
    arena.tenants.restore("code.tar.gz", "two", &["--allow-code"])?.ends_with(0, &[])?;
    ensure!(arena.tenants.db.query("SELECT count(*) FROM tenant_two.seen")? == "3");
    arena.tenants.db.psql("DROP SCHEMA tenant_two CASCADE")?;
    ensure!(arena.send(archive()?, "allow_code=true")?.status == 200);
    Ok(())
}

#[test]
fn expressions_that_act_or_see_are_refused() -> Result<()> {
    let arena = Arena::new("expressions", Rights::Service)?;
    let mut statements = Vec::new();
    for (number, expression) in EXPRESSIONS.iter().enumerate() {
        let places = EVALUATED.iter().cycle().skip(number).take(1);
        let tables = EVALUATED_IN_TABLES.iter().cycle().skip(number).take(1);
        for place in places.chain(tables) {
            let value =
                if place.contains("DOMAIN") { expression.replace("title", "VALUE") } else { (*expression).to_owned() };
            statements.push(place.replace("{}", &value));
        }
    }
    let values =
        ["canary.hit()", "public.f()", "pg_read_file('/etc/passwd')::int", "(SELECT 20)", "nextval('canary.ran')"];
    statements.extend(BOUNDS.iter().flat_map(|bound| values.iter().map(|value| bound.replace("{}", value))));
    statements.extend(DEFAULTS.iter().flat_map(|value| DEFAULTED.iter().map(|place| place.replace("{}", value))));
    arena.ensure_each_refused(statements.iter().map(String::as_str), &["statement `"])
}

#[test]
fn imports_by_http_take_no_word_that_they_do_not_know() -> Result<()> {
    let arena = Arena::new("http", Rights::Service)?;
    let archive = arena.tenants.coffer.path("honest.tar.gz");
    let body = ["-X", "POST", "-T", archive.to_str().context("not UTF-8")?];
    let path = |query: &str| format!("/v1/apps/crm/two/import{query}");
    for query in [
        "?allow_code",
        "?allow_code=1",
        "?allow_code=yes",
        "?allow_codes=true",
        "?allow-code=true",
        "?skip_unsupported=true",
        "?grants=true&grants=true",
        "?rewrite_bodies=TRUE",
        "?schema=tenant_victim",
    ] {
        arena.service.call(&path(query), &body)?.ensure_problem(400, &["allow_code"]).context(query)?;
    }
    for header in ["Authorization:", "Authorization: Bearer", "Authorization: Bearer wrong"] {
        let url = arena.service.url(&path("?allow_code=true"));
        let script =
            format!("curl -sS -o /dev/null -w '%{{http_code}}' -H '{header}' -X POST -T honest.tar.gz '{url}'");
        let status = shell(arena.tenants.coffer.folder(), &script)?;
        ensure!(status == "401", "{header}: {status}");
    }
    for request in [r#"{"skip_unsupported":1}"#, r#"{"skip":true}"#, r#"{"schema":"tenant_victim"}"#] {
        let answer = arena.service.call("/v1/apps/crm/one/export", &["-X", "POST", "-d", request])?;
        answer.ensure_problem(400, &[]).context(request)?;
    }
    for app in ["victim%22", "..%2Fvictim", "pg_catalog%20"] {
        let answer = arena.service.call(&format!("/v1/apps/crm/{app}/export"), &["-X", "POST"])?;
        ensure!((400..500).contains(&answer.status), "{app}: {answer:?}");
    }
    arena.ensure_unharmed()
}

/// While an import builds in a schema that somebody else may create in, that somebody plants a function which fits better
/// than PostgreSQL's own: what the archive's index calls must still be PostgreSQL's.
#[test]
fn a_function_planted_during_an_import_is_not_run() -> Result<()> {
    let arena = Arena::new("planted", Rights::Service)?;
    let tenants = &arena.tenants;
    tenants.db.psql("CREATE SCHEMA tenant_two AUTHORIZATION app_two")?;
    let table = own("CREATE TABLE S.evil (title character varying(40));");
    let mut archive = arena
        .honest
        .clone()
        .table("evil", &["title"], &table)?
        .after(&own("CREATE INDEX planted ON S.evil (lower(title));"));
    let rows: String = (0..200_000_u32).map(|n| format!("{:08x}\n", n.wrapping_mul(2_654_435_761))).collect();
    archive.contents.rows.push(("evil".into(), rows.into_bytes()));
    archive.contents.rows.sort();
    archive.write(tenants, "x.tar.gz")?;
    let archive = std::fs::read(tenants.coffer.path("x.tar.gz"))?;
    let (first, second) = archive.split_at(archive.len() / 2);
    let mut client = RawExchange::post(&arena.service, "/v1/apps/crm/two/import", archive.len() as u64)?;
    client.send(first).ok();
    let copies = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'coffer' AND datname = current_database() \
        AND query LIKE 'COPY%FROM STDIN%'";
    // An import may also refuse such a schema: then it never comes so far.
    let started = Instant::now();
    while tenants.db.query(copies)? == "0" && started.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    tenants.db.psql(&format!(
        "SET ROLE app_two; CREATE FUNCTION tenant_two.lower(varchar) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
         $$ BEGIN RAISE LOG 'CANARY {}: % for %', current_user, session_user; RETURN 'x'; END $$",
        tenants.db.name()
    ))?;
    client.send(second).ok();
    let (status, _) = client.read_head()?;
    tenants.ensure_silent()?;
    ensure!(status != 200, "what somebody else made there was not seen");
    say(format!("a function planted during an import: status {status}"));
    tenants.db.psql("SET client_min_messages = warning; DROP SCHEMA tenant_two CASCADE")?;
    arena.ensure_unharmed()
}
