//! Tenants of one database who mean each other harm: archives that were made for it, and what tells whether any was done.

pub mod lookalikes;
pub mod statements;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Db, literal};
use crate::{Coffer, Contents, Outcome, Service};

/// What stands for the app's schema in the SQL of an archive.
pub const PLACEHOLDER: &str = "coffer_schema";

/// What a server must not lose or gain, a line for each kind: the first word names it, the rest is a digest.
const WITNESS: &str = r"
    SELECT kind || ' ' || count(line) || ' ' || md5(coalesce(string_agg(line, E'\n' ORDER BY line), '')) FROM (
        SELECT 'schemas' AS kind, n::text AS line FROM pg_namespace n WHERE nspname !~ '^pg_(toast_)?temp'
        UNION ALL SELECT 'relations', (oid, relname, relnamespace, relowner, relkind, relacl, reloptions, relrowsecurity,
            relforcerowsecurity, relispartition, reltablespace, relchecks)::text FROM pg_class
            WHERE relnamespace::regnamespace::text !~ '^pg_(toast_)?temp'
        UNION ALL SELECT 'columns', (attrelid, attname, atttypid, attacl, attnotnull)::text FROM pg_attribute WHERE attrelid > 16383
        UNION ALL SELECT 'functions', (oid, proname, proowner, prosecdef, proacl, prosrc)::text FROM pg_proc
        UNION ALL SELECT 'operators', (oid, oprname, oprowner)::text FROM pg_operator
        UNION ALL SELECT 'types', (oid, typname, typowner, typacl)::text FROM pg_type
        UNION ALL SELECT 'casts', c::text FROM pg_cast c
        UNION ALL SELECT 'collations', c::text FROM pg_collation c
        UNION ALL SELECT 'constraints', (oid, conname, conrelid, confrelid, contypid)::text FROM pg_constraint
        UNION ALL SELECT 'triggers', (oid, tgname, tgrelid, tgenabled)::text FROM pg_trigger
        UNION ALL SELECT 'rules', (oid, rulename, ev_class)::text FROM pg_rewrite
        UNION ALL SELECT 'policies', p::text FROM pg_policy p
        UNION ALL SELECT 'partitions', i::text FROM pg_inherits i
        UNION ALL SELECT 'roles', r::text FROM pg_authid r
        UNION ALL SELECT 'members', m::text FROM pg_auth_members m
        UNION ALL SELECT 'settings', s::text FROM pg_db_role_setting s
            WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        UNION ALL SELECT 'files', f::text FROM pg_file_settings f
        UNION ALL SELECT 'database', (datname, datdba, datacl, datconnlimit)::text FROM pg_database WHERE datname = current_database()
        UNION ALL SELECT 'extensions', e::text FROM pg_extension e
        UNION ALL SELECT 'languages', l::text FROM pg_language l
        UNION ALL SELECT 'event triggers', e::text FROM pg_event_trigger e
        UNION ALL SELECT 'servers', f::text FROM pg_foreign_server f
        UNION ALL SELECT 'publications', p::text FROM pg_publication p
        UNION ALL SELECT 'default rights', a::text FROM pg_default_acl a
        UNION ALL SELECT 'comments', d::text FROM pg_description d WHERE objoid > 16383
        UNION ALL SELECT 'shared comments', d::text FROM pg_shdescription d
        UNION ALL SELECT 'large objects', (oid, lomowner, lomacl)::text FROM pg_largeobject_metadata
        UNION ALL SELECT 'canary', h::text FROM canary.hits h
        UNION ALL SELECT 'canary sequence', (last_value, is_called)::text FROM canary.ran
        UNION ALL SELECT 'secrets', s::text FROM tenant_victim.secrets s
        UNION ALL SELECT 'secret sequence', (last_value, is_called)::text FROM tenant_victim.numbers
    ) witnessed GROUP BY kind ORDER BY kind";

/// A database with a tenant `victim`, a canary that is heard wherever its code runs, and the source `crm` whose apps are its
/// schemas `tenant_…`.
pub struct Tenants<'a> {
    /// The database.
    pub db: Db<'a>,
    /// The binary, in a folder with a `coffer.toml`.
    pub coffer: Coffer,
}

impl<'a> Tenants<'a> {
    /// Writes the configuration, with further lines for the source, such as `import_database`.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn new(program: &str, db: Db<'a>, lines: &str) -> Result<Self> {
        let url = db.superuser_url();
        let tenants = Self { db, coffer: Coffer::new(program)? };
        tenants.configure(&format!("database = {url:?}\nschema = \"tenant_{{app}}\"\n{lines}"))?;
        Ok(tenants)
    }

    /// Writes another configuration of the source `crm`.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn configure(&self, source: &str) -> Result<()> {
        let text = format!("[server]\ntoken_file = \"coffer-data/token\"\n\n[[source]]\nname = \"crm\"\n{source}\n");
        std::fs::write(self.coffer.path("coffer.toml"), text)?;
        std::fs::create_dir_all(self.coffer.path("coffer-data"))?;
        Ok(std::fs::write(self.coffer.path("coffer-data/token"), "a token for the tests alone\n")?)
    }

    /// A service with that configuration.
    ///
    /// # Errors
    /// It does not start.
    pub fn serve(&self) -> Result<Service> {
        self.coffer.serve()
    }

    /// Makes the victim and the canary. The logins `app_victim` and `app_two` must be there.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn make_victim(&self) -> Result<()> {
        self.db.psql(&canary(self.db.name()))?;
        self.db.psql(VICTIM).map(drop)
    }

    /// Everything that an attack could change, in lines.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn witness(&self) -> Result<String> {
        self.db.query(WITNESS)
    }

    /// Makes sure that nothing has changed since `before`, and that the canary's code has not run.
    ///
    /// # Errors
    /// What has changed.
    pub fn ensure_unharmed(&self, before: &str) -> Result<()> {
        let after = self.witness()?;
        let differing: Vec<_> = before.lines().zip(after.lines()).filter(|(one, other)| one != other).collect();
        ensure!(before == after, "something was changed: {differing:?}");
        ensure!(!self.evil_file().exists(), "a program was run");
        self.ensure_silent()
    }

    /// Makes sure that no code of the canary has run in this database.
    ///
    /// # Errors
    /// What it said in the server's log.
    pub fn ensure_silent(&self) -> Result<()> {
        let (log, word) = (self.db.server().log()?, format!("CANARY {}:", self.db.name()));
        let said: Vec<_> = log.lines().filter(|line| line.contains(&word)).take(3).collect();
        ensure!(said.is_empty(), "code of a tenant was run: {said:?}");
        Ok(())
    }

    /// A file that the server could write, were it told to.
    #[must_use]
    pub fn evil_file(&self) -> PathBuf {
        self.db.server().folder().join(format!("evil-{}", self.db.name()))
    }

    /// Exports an app in the open to a file.
    ///
    /// # Errors
    /// The binary can't be run.
    pub fn export(&self, app: &str, to: &str, flags: &[&str]) -> Result<Outcome> {
        let app = format!("crm/{app}");
        self.coffer.run(["export", app.as_str(), "-o", to, "--no-encryption"].iter().chain(flags))
    }

    /// Restores an archive into an app.
    ///
    /// # Errors
    /// The binary can't be run.
    pub fn restore(&self, archive: &str, app: &str, flags: &[&str]) -> Result<Outcome> {
        let app = format!("crm/{app}");
        self.coffer.run(["restore", archive, "--into", app.as_str()].iter().chain(flags))
    }

    /// Exports an app and takes the archive apart, to be changed.
    ///
    /// # Errors
    /// It can't be exported.
    pub fn forge(&self, app: &str) -> Result<Forged> {
        self.export(app, "honest.tar.gz", &[])?.ends_with(0, &[])?;
        Ok(Forged { contents: Contents::read(&self.coffer.path("honest.tar.gz"))? })
    }

    /// How many things a schema holds; none where there is no such schema.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn things_in(&self, schema: &str) -> Result<u32> {
        let sql = "SELECT count(*) FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid AND d.refclassid = 2615 WHERE nspname = ";
        Ok(self.db.query(&format!("{sql}{}", literal(schema)))?.parse()?)
    }

    /// The server's sessions that are ours, in this database.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn sessions(&self) -> Result<u32> {
        let sql =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'coffer' AND datname = current_database()";
        Ok(self.db.query(sql)?.parse()?)
    }

    /// Waits until a query of the superuser gives `expected`.
    ///
    /// # Errors
    /// It does not within 20 seconds.
    pub fn wait_for(&self, sql: &str, expected: &str) -> Result<()> {
        let started = Instant::now();
        loop {
            let found = self.db.query(sql)?;
            if found == expected {
                return Ok(());
            }
            ensure!(started.elapsed() < Duration::from_secs(20), "{sql}: {found:?} after 20 s");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a session of ours waits for a lock.
    ///
    /// # Errors
    /// None does within 20 seconds.
    pub fn wait_until_blocked(&self) -> Result<()> {
        self.wait_for(
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'coffer' AND datname = current_database() \
             AND wait_event_type = 'Lock'",
            "t",
        )
    }

    /// Waits until no session of ours is left.
    ///
    /// # Errors
    /// One still is after 20 seconds.
    pub fn wait_until_gone(&self) -> Result<()> {
        self.wait_for(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'coffer' AND datname = current_database()",
            "0",
        )
    }
}

/// An archive of a PostgreSQL app in the making.
#[derive(Debug, Clone)]
pub struct Forged {
    /// All that it holds.
    pub contents: Contents,
}

impl Forged {
    /// Adds SQL that is run before the rows.
    #[must_use]
    pub fn before(mut self, sql: &str) -> Self {
        self.contents.pre_data.extend_from_slice(format!("{sql}\n").as_bytes());
        self
    }

    /// Adds SQL that is run after the rows.
    #[must_use]
    pub fn after(mut self, sql: &str) -> Self {
        self.contents.post_data.extend_from_slice(format!("{sql}\n").as_bytes());
        self
    }

    /// Adds a table by its DDL, and names it and the columns of its rows in the schema.
    ///
    /// # Errors
    /// The schema is none.
    pub fn table(self, name: &str, columns: &[&str], sql: &str) -> Result<Self> {
        let columns: Vec<_> =
            columns.iter().map(|name| json!({"name": name, "type": "text", "not_null": false})).collect();
        let table = json!({"name": name, "columns": columns, "primary_key": []});
        self.before(sql).schema(|schema| {
            let tables = schema.get_mut("tables").and_then(Value::as_array_mut).context("no tables")?;
            tables.push(table);
            tables.sort_by_key(|table| table.get("name").and_then(Value::as_str).unwrap_or_default().to_owned());
            Ok(())
        })
    }

    /// Changes `schema.json`.
    ///
    /// # Errors
    /// It is none, or `change` fails.
    pub fn schema(mut self, change: impl FnOnce(&mut Value) -> Result<()>) -> Result<Self> {
        self.contents.schema = changed(&self.contents.schema, change)?;
        Ok(self)
    }

    /// Changes `sequences.json`.
    ///
    /// # Errors
    /// It is none, or `change` fails.
    pub fn sequences(mut self, change: impl FnOnce(&mut Value) -> Result<()>) -> Result<Self> {
        self.contents.sequences = changed(&self.contents.sequences, change)?;
        Ok(self)
    }

    /// Writes it where `name` is in the binary's folder.
    ///
    /// # Errors
    /// The format has no place for it.
    pub fn write(self, tenants: &Tenants<'_>, name: &str) -> Result<()> {
        self.contents.write(&tenants.coffer.path(name))
    }
}

fn changed(document: &[u8], change: impl FnOnce(&mut Value) -> Result<()>) -> Result<Vec<u8>> {
    let mut value = serde_json::from_slice(document)?;
    change(&mut value)?;
    Ok(format!("{value}\n").into_bytes())
}

/// Code that anybody may call and whose every run is heard: in the server's log and by a sequence, which both outlive a
/// transaction that is undone.
fn canary(word: &str) -> String {
    let body = format!(
        "plpgsql IMMUTABLE AS $$ BEGIN RAISE LOG 'CANARY {word}: % for %', current_user, session_user; \
         IF current_setting('transaction_read_only') = 'off' THEN PERFORM nextval('canary.ran'); END IF;"
    );
    format!(
        "CREATE SCHEMA canary; GRANT USAGE ON SCHEMA canary TO PUBLIC; GRANT CREATE ON SCHEMA public TO PUBLIC;
         CREATE TABLE canary.hits (what text); CREATE SEQUENCE canary.ran; GRANT ALL ON ALL SEQUENCES IN SCHEMA canary TO PUBLIC;
         GRANT ALL ON canary.hits TO PUBLIC;
         CREATE FUNCTION canary.hit() RETURNS int LANGUAGE {body} RETURN 1; END $$;
         CREATE FUNCTION canary.hit(anyelement) RETURNS anyelement LANGUAGE {body} RETURN $1; END $$;
         CREATE FUNCTION canary.same(text, text) RETURNS bool LANGUAGE {body} RETURN true; END $$;
         CREATE FUNCTION canary.event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'CANARY {word}: event'; END $$;
         CREATE FUNCTION canary.fired() RETURNS trigger LANGUAGE {body} RETURN NEW; END $$;
         CREATE FUNCTION canary.difference(int, int) RETURNS float8 LANGUAGE {body} RETURN 1; END $$;
         CREATE PROCEDURE canary.act() LANGUAGE plpgsql AS $$ BEGIN PERFORM canary.hit(); END $$;
         CREATE FUNCTION public.f() RETURNS int LANGUAGE {body} RETURN 1; END $$;
         CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = canary.same);
         CREATE OPERATOR canary.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = canary.same);
         CREATE DOMAIN canary.checked AS text CHECK (canary.hit(VALUE) IS NOT NULL);
         CREATE COLLATION canary.odd FROM \"C\";"
    )
}

/// Another tenant, with what an attack could be after.
const VICTIM: &str = "
    CREATE SCHEMA tenant_victim AUTHORIZATION app_victim;
    SET ROLE app_victim;
    SET search_path = tenant_victim;
    CREATE TABLE secrets (id int PRIMARY KEY, secret text);
    INSERT INTO secrets VALUES (1, 'the secret');
    CREATE SEQUENCE numbers;
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE TYPE shape AS (id int, secret text);
    CREATE TABLE parts (id int) PARTITION BY RANGE (id);
    CREATE TABLE loose (id int, title text, body text);
    CREATE MATERIALIZED VIEW copied AS SELECT * FROM secrets;
    CREATE FUNCTION f() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT canary.hit()';
    CREATE INDEX secret_index ON secrets (secret);
    RESET ROLE;
";

/// A `psql` that has run something and stays, with what it has locked.
pub struct Held {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Held {
    /// Runs SQL as the superuser in a session of its own, and leaves that open.
    ///
    /// # Errors
    /// A statement failed.
    pub fn new(db: &Db<'_>, sql: &str) -> Result<Self> {
        let mut command = db.server().client("psql", db.name())?;
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().context("psql can't be run")?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let mut held = Self { child, input, output };
        held.run(sql)?;
        Ok(held)
    }

    /// Runs more in the session, to its end.
    ///
    /// # Errors
    /// A statement failed.
    pub fn run(&mut self, sql: &str) -> Result<()> {
        self.ask(sql).map(drop)
    }

    /// As [`Held::run`], and gives the rows, columns parted by `|`.
    ///
    /// # Errors
    /// A statement failed.
    pub fn ask(&mut self, sql: &str) -> Result<Vec<String>> {
        const DONE: &str = "this was run";
        writeln!(self.input, "{sql}\n\\echo {DONE}")?;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            ensure!(self.output.read_line(&mut line)? > 0, "psql ended: {sql}");
            match line.trim_end() {
                DONE => return Ok(lines),
                row => lines.push(row.to_owned()),
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
