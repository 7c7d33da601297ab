//! The recovery scripts on archives of PostgreSQL apps, and docs/RECOVERY.md's part three to the letter.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use coffer_tests::postgres::oracle::{Rights, assert_same, dump_of};
use coffer_tests::postgres::schemas::Fixture;
use coffer_tests::postgres::{Crm, Db, Postgres};
use coffer_tests::recovery::{outcome_of, recover, recovery_script};
use coffer_tests::{Coffer, Outcome, folder_listing, shell};
use serde_json::json;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/RECOVERY.md");
const SINK: &str = include_str!("../src/postgres/sink.sql");
const SCHEMA: &str = "tenant_one";

/// A database with the app `one`, which is awkward or large.
fn database<'a>(server: &'a Postgres, app: &str) -> Result<Db<'a>> {
    let db = server.fresh_database(app)?;
    if app == "sink" {
        for role in ["kitchen_one", "kitchen_two"] {
            server.create_login(role)?;
        }
        let path =
            format!("CREATE SCHEMA {SCHEMA}; SET client_min_messages = warning; SET search_path = {SCHEMA}, public;");
        db.psql(&format!("\\set schema '{SCHEMA}'\n{path}\n{SINK}"))?;
    } else {
        Fixture::named(app)?.load(&db, SCHEMA)?;
    }
    Ok(db)
}

/// The binary with the app's archive `x.coffer`, which the identity `coffer.key` opens; the app has a file, too.
fn archived<'a>(db: &'a Db<'a>) -> Result<Crm<'a>> {
    let crm = Crm::new(env!("CARGO_BIN_EXE_coffer"), db)?;
    let coffer = crm.coffer();
    shell(
        coffer.folder(),
        "echo 'objects = \"file:files/{app}\"' >> coffer.toml
        mkdir -p files/one/a; echo hello > files/one/a/readme.txt
        age-keygen -o coffer.key 2> said; age-keygen -y coffer.key > recipients",
    )?;
    coffer.run_well(["export", "crm/one", "-o", "x.coffer", "-R", "recipients"])?;
    Ok(crm)
}

/// The page's programs or commands, by the language of their fence, from one heading on to the next part.
fn blocks<'a>(page: &'a str, heading: &str, language: &str) -> Result<Vec<&'a str>> {
    let (_, part) = page.split_once(heading).with_context(|| format!("RECOVERY.md has no {heading}"))?;
    let part = part.split("\n# Part").next().unwrap_or_default();
    let fence = format!("```{language}\n");
    part.split(&fence).skip(1).map(|rest| Ok(rest.split_once("```").context("a fence is open")?.0)).collect()
}

/// What tells PostgreSQL's programs where the server is, and who somebody is who may make databases there.
fn place_of(server: &Postgres) -> String {
    format!("export PGHOST={} PGPORT={} PGUSER=pg\n", server.folder().display(), server.port())
}

/// What came back is what was there: the schema by `pg_dump`, the files byte by byte.
fn ensure_same(crm: &Crm<'_>, rebuilt: &str) -> Result<()> {
    let recovered = Db::on(crm.db().server(), "recovered");
    let dump = |db: &Db<'_>, schema: &str| dump_of(db, schema, Rights::Ignored);
    assert_same(&dump(crm.db(), SCHEMA)?, &dump(&recovered, "app")?)?;
    shell(crm.coffer().folder(), &format!("diff -r files/one {rebuilt}/files")).map(drop)
}

#[test]
fn the_page_gets_apps_in_postgresql_back_with_the_scripts() -> Result<()> {
    let page = std::fs::read_to_string(PAGE)?;
    for app in ["zabbix", "sink"] {
        let server = Postgres::start()?;
        let db = database(&server, app)?;
        let crm = archived(&db)?;
        shell(crm.coffer().folder(), &format!("cp -r {} recover", recovery_script("").display()))?;
        let (first, then) = (blocks(&page, "# Part one", "sh")?, blocks(&page, "# Part three", "sh")?);
        let to_step_3 = first.get(..3).context("part one has three steps at least")?;
        let [login, schema, look, _] = then[..] else { anyhow::bail!("part three does not have four commands") };
        let commands = [&blocks(&page, "# Recovery", "sh")?, to_step_3, &[login, schema, look]].concat().concat();
        let said = shell(crm.coffer().folder(), &(place_of(&server) + &commands)).context(app)?;
        ensure!(said.contains("for the database: rebuild_postgres.py") && said.contains("\ndone: "), "{said}");
        ensure_same(&crm, "rebuilt").context(app)?;
    }
    Ok(())
}

#[test]
fn the_page_gets_an_app_in_postgresql_back_without_the_scripts() -> Result<()> {
    let page = std::fs::read_to_string(PAGE)?;
    let server = Postgres::start()?;
    let db = database(&server, "sink")?;
    let crm = archived(&db)?;
    let [envelope, check, files] = blocks(&page, "# Part two", "python")?[..] else { anyhow::bail!("three programs") };
    let [program] = blocks(&page, "# Part three", "python")?[..] else { anyhow::bail!("one program") };
    let by_hand = std::fs::read_to_string(recovery_script("rebuild_postgres.py"))?;
    ensure!(program == by_hand, "rebuild_postgres.py is not as on the page");
    let programs =
        [("envelope.py", envelope), ("check.py", check), ("rebuild.py", files), ("rebuild_postgres.py", program)];
    for (name, program) in programs {
        std::fs::write(crm.coffer().path(name), program)?;
    }
    let [login, _, look, schema] = blocks(&page, "# Part three", "sh")?[..] else { anyhow::bail!("four commands") };
    let commands = [blocks(&page, "# Recovery", "sh")?, blocks(&page, "# Part two", "sh")?, vec![login, schema, look]];
    shell(crm.coffer().folder(), &(place_of(&server) + &commands.concat().concat()))?;
    ensure_same(&crm, "rebuilt-by-hand")
}

/// A folder as it is unpacked, of an archive that holds one table of one row.
fn unpacked(folder: &Path, pre_data: &str, post_data: &str, rows: &str) -> Result<()> {
    let table = json!({"name": "t", "columns": [{"name": "a", "type": "text", "not_null": false}], "primary_key": []});
    let schema = json!({"tables": [table]}).to_string();
    let documents = [
        ("manifest.json", json!({"format": "coffer/1", "engine": {"kind": "postgres", "version": "15.0"}}).to_string()),
        ("summary.json", json!({"complete": true, "tables": [{"name": "t", "rows": 1}]}).to_string()),
        ("database/schema.json", schema),
        ("database/pre-data.sql", pre_data.to_owned()),
        ("database/post-data.sql", post_data.to_owned()),
        ("database/sequences.json", json!({"sequences": [], "schema": {"comment": "it's\\"}}).to_string()),
        ("database/rows/t/00000000.copy", rows.to_owned()),
    ];
    for (name, content) in documents {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().context("no parent")?)?;
        std::fs::write(path, content)?;
    }
    Ok(())
}

const TABLE: &str = "CREATE TABLE coffer_schema.\"t\" (\"a\" text);\n";

/// What the script prints.
fn printed(coffer: &Coffer, folder: &str, schema: &str) -> Result<Outcome> {
    let mut command = Command::new("python3");
    command.arg(recovery_script("rebuild_postgres.py")).args([folder, schema]).current_dir(coffer.folder());
    outcome_of(&mut command)
}

#[test]
fn the_placeholder_is_replaced_where_it_is_a_name_and_nowhere_else() -> Result<()> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    // Each with what becomes of it under the name `it's "me"`.
    let cases = [
        ("a coffer_schema.b \"coffer_schema\".c", "a \"it's \"\"me\"\"\".b \"it's \"\"me\"\"\".c"),
        ("'coffer_schema' E'\\'coffer_schema'", ""),
        ("('coffer_schema', E'\\'coffer_schema', U&'coffer_schema', B'0')", "="),
        ("$$ coffer_schema.a $$, $f$ coffer_schema $$ $f$, 'it''s coffer_schema.x'", "="),
        ("coffer_schema_2.a xcoffer_schema.a coffer_schema$.a \"a coffer_schema\" $1", "="),
        (
            "SET search_path TO 'coffer_schema', 'pg_temp' AS 'coffer_schema'",
            "SET search_path TO E'it\\'s \"me\"', 'pg_temp' AS 'coffer_schema'",
        ),
        ("set search_path = pg_temp, 'coffer_schema';", "set search_path = pg_temp, E'it\\'s \"me\"';"),
        ("SET application_name TO 'coffer_schema'", "="),
        ("a /* coffer_schema /* ' */ ' */ b -- coffer_schema '\nc", "a   b  \nc"),
        ("x[1:y] a::text f(a := 1) x[:z]", "x[1: y] a::text f(a := 1) x[: z]"),
        ("\u{e9}coffer_schema.a 1.5e3 <-> @- 7", "="),
    ];
    for (sql, due) in cases {
        let folder = coffer.path("unpacked");
        unpacked(&folder, TABLE, &format!("{sql};\n"), "x\n")?;
        let outcome = printed(&coffer, "unpacked", "it's \"me\"")?;
        let said = String::from_utf8(outcome.stdout.clone())?;
        match due {
            "" => outcome.ends_with(1, &["can't be read"])?,
            due => {
                outcome.ends_with(0, &[])?;
                let due = format!("\n{};\n", if due == "=" { sql } else { due }.replace("E'it\\'s", "E'it''s"));
                ensure!(said.contains(&due), "{sql} became {said}");
            }
        }
    }
    Ok(())
}

#[test]
fn psql_gets_no_commands_from_an_archive_and_keeps_nothing_of_half_a_stream() -> Result<()> {
    let server = Postgres::start()?;
    let db = server.fresh_database("hostile")?;
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    let evil = "\\! touch evil\n";
    let cases = [
        (format!("{TABLE}{evil}"), "", "x\n", "can't be read"),
        (TABLE.to_owned(), "SELECT 1 \\gexec\n", "x\n", "can't be read"),
        (TABLE.to_owned(), "SELECT 'a", "x\n", "can't be read"),
        (TABLE.to_owned(), "SELECT $a$ b", "x\n", "can't be read"),
        (TABLE.to_owned(), "SELECT 1 /* /* */", "x\n", "has no end"),
        (TABLE.to_owned(), "SELECT E'a'\n'\\''  \\! touch evil\n ';\n", "x\n", "can't be read"),
        (TABLE.to_owned(), "", "\\.\n\\! touch evil\n", "a row that is none"),
        (TABLE.to_owned(), "", "x\n\\.\n\\! touch evil\n", "a row that is none"),
        (TABLE.to_owned(), "", "x\ny\n", "has 2 rows here, and had 1"),
        (TABLE.to_owned(), "", "x", "has 0 rows here, and had 1"),
        (TABLE.to_owned(), "SELECT nothing;\n", "x\n", "nothing"),
        (TABLE.to_owned(), "SELECT :USER;\n", "x\n", "syntax error"),
    ];
    let psql = server.client("psql", db.name())?;
    let psql =
        std::iter::once(psql.get_program()).chain(psql.get_args()).map(|word| word.to_string_lossy().into_owned());
    let pipe = format!(
        "python3 {} unpacked app | {} -X",
        recovery_script("rebuild_postgres.py").display(),
        psql.collect::<Vec<_>>().join(" ")
    );
    for (pre_data, post_data, rows, words) in &cases {
        unpacked(&coffer.path("unpacked"), pre_data, post_data, rows)?;
        let failure =
            shell(coffer.folder(), &pipe).err().with_context(|| format!("{post_data} {rows}: nobody minded"))?;
        ensure!(failure.to_string().contains(words), "{post_data} {rows}: {failure}");
        ensure!(
            db.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'app'")? == "0",
            "{post_data} {rows}: a schema"
        );
        ensure!(!coffer.path("evil").exists(), "{post_data} {rows}: psql ran a command of the archive's");
    }
    unpacked(&coffer.path("unpacked"), TABLE, "", "\\\\.\\n\n")?;
    ensure!(shell(coffer.folder(), &pipe)?.ends_with("done: 1 tables, 1 rows\n"), "it does not say that it is done");
    ensure!(
        db.query("SELECT a = E'\\\\.\\n', obj_description('app'::regnamespace) FROM app.t")? == "t|it's\\",
        "the row"
    );
    Ok(())
}

#[test]
fn each_script_says_what_it_is_for_and_what_to_do() -> Result<()> {
    let server = Postgres::start()?;
    let db = server.fresh_database("small")?;
    let body = "CREATE FUNCTION tenant_one.f() RETURNS int LANGUAGE sql AS 'SELECT count(*)::int FROM tenant_one.t'";
    db.psql(&format!("CREATE SCHEMA {SCHEMA}; CREATE TABLE {SCHEMA}.t (a int); {body}"))?;
    let crm = archived(&db)?;
    let coffer = crm.coffer();
    recover(coffer.folder(), ["x.coffer", "-i", "coffer.key", "--extract", ".", "-C", "unpacked"])?
        .ends_with(0, &[])?;
    let named = printed(coffer, "unpacked", "app")?;
    named.ends_with(0, &["these name the schema 'tenant_one'", "function f()"])?;
    ensure!(printed(coffer, "unpacked", SCHEMA)?.stderr.is_empty(), "it complains of the schema's own name");
    printed(coffer, "nowhere", "app")?.ends_with(1, &["unpack all of the archive there first"])?;

    let rebuild = |new: &str| {
        let mut command = Command::new("python3");
        command.arg(recovery_script("rebuild.py")).args(["unpacked", new]).current_dir(coffer.folder());
        outcome_of(&mut command)
    };
    let made = rebuild("rebuilt")?;
    made.ends_with(0, &[])?;
    let said = String::from_utf8(made.stdout)?;
    ensure!(said.contains("rebuild_postgres.py unpacked SCHEMA | psql"), "{said}");
    shell(coffer.folder(), "diff -r files/one rebuilt/files; test \"$(ls rebuilt)\" = files")?;
    shell(coffer.folder(), "sed -i 's/\"kind\":\"postgres\"/\"kind\":\"mysql\"/' unpacked/manifest.json")?;
    let before = folder_listing(coffer.folder())?;
    rebuild("other")?.ends_with(1, &["mysql"])?;
    printed(coffer, "unpacked", "app")?.ends_with(1, &["mysql"])?;
    ensure!(folder_listing(coffer.folder())? == before, "a script that can do nothing left something");
    Ok(())
}
