//! Code of archives, under the login that imports have.

use anyhow::{Context, Result, ensure};

use super::{Arena, Rights, import_lines, own};

/// What code of a tenant tries, and the words by which PostgreSQL refuses it.
const DENIED: &[(&str, &str)] = &[
    ("RETURN (SELECT count(*) FROM tenant_victim.secrets);", "permission denied"),
    ("EXECUTE 'SELECT 1 FROM tenant_' || 'victim.secrets'; RETURN 1;", "permission denied"),
    ("EXECUTE 'SET ROLE pg'; RETURN 1;", "role"),
    ("EXECUTE 'SET LOCAL SESSION AUTHORIZATION pg'; RETURN 1;", "session"),
    ("PERFORM set_config('role', 'pg', false); RETURN 1;", "role"),
    ("EXECUTE 'ALTER ROLE app_two SUPERUSER'; RETURN 1;", "must be superuser"),
    ("EXECUTE 'CREATE ROLE evil'; RETURN 1;", "permission denied"),
    ("EXECUTE 'GRANT pg TO app_two'; RETURN 1;", "must be superuser"),
    ("EXECUTE 'COPY tenant_two.notes FROM PROGRAM ''touch EVIL'''; RETURN 1;", "must be superuser"),
    ("EXECUTE 'COPY tenant_two.notes TO ''EVIL'''; RETURN 1;", "must be superuser"),
    ("PERFORM pg_read_file('/etc/passwd'); RETURN 1;", "permission denied"),
    ("PERFORM lo_import('/etc/passwd'); RETURN 1;", "permission denied"),
    ("PERFORM setval('tenant_victim.numbers', 99); RETURN 1;", "permission denied"),
    ("EXECUTE 'CREATE EXTENSION file_fdw'; RETURN 1;", "permission denied"),
    ("EXECUTE 'CREATE TABLE tenant_victim.evil ()'; RETURN 1;", "permission denied"),
    ("EXECUTE 'COMMIT'; RETURN 1;", "transaction"),
];

/// Where an import runs a function of the archive: `S.evil()`.
const CALLED: &[&str] = &[
    "ALTER TABLE ONLY S.notes ADD CONSTRAINT evil CHECK ((S.evil() > 0));",
    "CREATE INDEX evil ON S.notes (((id + S.evil())));",
    "CREATE INDEX evil ON S.notes (id) WHERE (S.evil() > 0);",
    "CREATE MATERIALIZED VIEW S.seen AS SELECT S.evil() AS evil WITH NO DATA; REFRESH MATERIALIZED VIEW S.seen;",
    "ALTER DOMAIN S.short ADD CONSTRAINT evil CHECK ((S.evil() > 0));",
];

#[test]
fn code_under_the_apps_own_login_is_confined_to_what_that_may() -> Result<()> {
    let arena = Arena::new("confined", Rights::App)?;
    let evil = arena.tenants.evil_file().to_string_lossy().into_owned();
    let mut wrong = Vec::new();
    for (number, (body, why)) in DENIED.iter().enumerate() {
        let kind = if number % 3 == 2 { "SECURITY DEFINER" } else { "" };
        // A function that says of itself that it only computes may call one that acts.
        let acts = format!("CREATE FUNCTION S.act() RETURNS int {kind} LANGUAGE plpgsql AS $f$ BEGIN {body} END $f$;");
        let says = "CREATE FUNCTION S.evil() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $f$ BEGIN RETURN tenant_two.act(); END $f$;";
        for called in CALLED.iter().cycle().skip(number).take(2) {
            let archive = arena.with(&acts.replace("EVIL", &evil))?.after(&own(says)).after(&own(called));
            let answer = arena.send(archive, "")?;
            if ![422, 502].contains(&answer.status) || !answer.body.contains(why) {
                wrong.push(format!("{kind} {body} {called}\n    {} {}", answer.status, answer.body));
            }
        }
    }
    ensure!(wrong.is_empty(), "{} were not denied:\n{}", wrong.len(), wrong.join("\n"));
    arena.ensure_unharmed()
}

#[test]
fn code_that_swallows_its_refusal_has_got_nothing() -> Result<()> {
    let arena = Arena::new("swallowed", Rights::App)?;
    let body = "BEGIN RETURN (SELECT secret FROM tenant_victim.secrets); EXCEPTION WHEN OTHERS THEN RETURN current_user || ' ' || session_user; END";
    let mut archive = arena.honest.clone();
    for sql in [
        format!("CREATE FUNCTION S.evil() RETURNS text IMMUTABLE LANGUAGE plpgsql AS $f$ {body} $f$;"),
        format!("CREATE FUNCTION S.definer() RETURNS text SECURITY DEFINER LANGUAGE plpgsql AS $f$ {body} $f$;"),
        format!("CREATE FUNCTION S.setting() RETURNS text SET search_path = tenant_victim LANGUAGE plpgsql AS $f$ {body} $f$;"),
        "CREATE FUNCTION S.fired() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN NEW.body := S.evil(); RETURN NEW; END $f$;".into(),
        "CREATE MATERIALIZED VIEW S.seen AS SELECT S.evil() AS evil, S.definer() AS definer WITH NO DATA;".into(),
        "REFRESH MATERIALIZED VIEW S.seen;".into(),
        "CREATE TRIGGER fired BEFORE INSERT OR UPDATE ON S.notes FOR EACH ROW EXECUTE FUNCTION S.fired();".into(),
    ] {
        // The bodies name the schema as it will be called.
        let sql = if sql.contains("NEW.body") { sql.replace("S.evil()", "tenant_two.evil()") } else { sql };
        archive = archive.after(&own(&sql));
    }
    let answer = arena.send(archive, "")?;
    ensure!(answer.status == 200, "{answer:?}");
    let db = &arena.tenants.db;
    ensure!(
        db.query("SELECT * FROM tenant_two.seen")? == "app_two app_two|app_two app_two",
        "the archive's code saw more"
    );
    // Whoever calls it later: a definer's rights are the app's.
    ensure!(db.query("SELECT tenant_two.definer()")? == "app_two pg");
    let owners = "SELECT string_agg(DISTINCT proowner::regrole::text, ' ') FROM pg_proc WHERE pronamespace = 'tenant_two'::regnamespace";
    ensure!(db.query(owners)? == "app_two");
    // An export by the service runs none of it.
    arena.tenants.export("two", "again.tar.gz", &[])?.ends_with(0, &[])?;
    ensure!(db.query("SELECT count(*) FROM tenant_two.notes WHERE body ~ 'app_two'")? == "0");
    arena.tenants.ensure_silent()
}

#[test]
fn a_mighty_login_for_imports_is_no_shelter() -> Result<()> {
    let arena = Arena::new("mighty", Rights::Service)?;
    let tenants = &arena.tenants;
    let archive = arena.with("CREATE VIEW S.seen AS SELECT id FROM S.notes;")?;
    archive.write(tenants, "code.tar.gz")?;
    for login in ["app_mighty", "app_member", "app_files"] {
        tenants.configure(&import_lines(login, tenants)?)?;
        let outcome = tenants.restore("code.tar.gz", "two", &[])?;
        outcome.ends_with(1, &[login, "rights"]).with_context(|| format!("imports by {login}"))?;
        arena.ensure_unharmed().with_context(|| format!("imports by {login}"))?;
    }
    tenants.configure(&import_lines("pg", tenants)?)?;
    tenants.restore("code.tar.gz", "two", &[])?.ends_with(2, &["import_database", "rights"])?;
    arena.ensure_unharmed()
}
