//! What depends on an app from outside: a replacement is refused, and says what it is.

use super::*;

const APP: &str = "
    CREATE TABLE notes (id int PRIMARY KEY, body text);
    CREATE TABLE parts (id int, day date) PARTITION BY RANGE (day);
    CREATE TABLE base (a int);
    CREATE TYPE mood AS ENUM ('glad');
    CREATE SEQUENCE counter;
    CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE VIEW seen AS SELECT body FROM notes;
    -- All that an app can hold is its own.
    CREATE TABLE inner_1 (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s serial, n int REFERENCES notes CHECK (twice(n) > 0), m mood DEFAULT 'glad');
    CREATE TABLE inner_2 PARTITION OF parts FOR VALUES FROM ('2019-01-01') TO ('2020-01-01');
    CREATE TABLE inner_3 (b int) INHERITS (base);
    CREATE TYPE span AS RANGE (subtype = int);
    CREATE DOMAIN small AS int CHECK (VALUE < 9);
    CREATE TYPE pair AS (a int, b mood);
    CREATE INDEX ON parts (id);
    CREATE MATERIALIZED VIEW m AS SELECT * FROM seen;
    CREATE TRIGGER t BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE RULE r AS ON DELETE TO base DO INSTEAD NOTHING;
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON notes USING (twice(id) > 0);
    CREATE STATISTICS st ON id, body FROM notes;
    ALTER DEFAULT PRIVILEGES IN SCHEMA tenant_a GRANT SELECT ON TABLES TO PUBLIC;
    CREATE SCHEMA beside;
    CREATE TABLE beside.parent (id int, day date) PARTITION BY RANGE (day);
    CREATE TABLE beside.old_parent (a int);
    CREATE TABLE beside.target (id int PRIMARY KEY);
    CREATE TABLE inner_4 (id int REFERENCES beside.target);
    CREATE TABLE inner_5 (id int, day date);
    CREATE TABLE inner_6 (a int);";

/// What is made outside, and what the refusal says.
const OUTSIDE: &[(&str, &str)] = &[
    ("CREATE VIEW beside.v AS SELECT * FROM notes", "view beside.v"),
    ("CREATE MATERIALIZED VIEW beside.mv AS SELECT * FROM seen", "materialized view beside.mv"),
    ("CREATE TABLE beside.t (n int REFERENCES notes)", "constraint t_n_fkey on table beside.t"),
    ("CREATE TABLE beside.t (m mood)", "column m of table beside.t"),
    ("CREATE TABLE beside.t (m mood[])", "column m of table beside.t"),
    ("CREATE TABLE beside.t (m notes)", "column m of table beside.t"),
    ("CREATE TABLE beside.t (m int DEFAULT nextval('counter'))", "default value for column m of table beside.t"),
    ("CREATE TABLE beside.t (m int CHECK (twice(m) > 0))", "constraint t_m_check on table beside.t"),
    ("CREATE TABLE beside.t (m int); CREATE INDEX i ON beside.t (twice(m))", "index beside.i"),
    ("CREATE TABLE beside.t () INHERITS (base)", "table beside.t"),
    ("CREATE TABLE beside.t PARTITION OF parts DEFAULT", "table beside.t"),
    (
        "CREATE TABLE beside.t (m int); CREATE TRIGGER tr BEFORE INSERT ON beside.t FOR EACH ROW EXECUTE FUNCTION touch()",
        "trigger tr on table beside.t",
    ),
    (
        "CREATE TABLE beside.t (m int); CREATE CONSTRAINT TRIGGER tr AFTER INSERT ON beside.t FROM notes FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger tr on table beside.t",
    ),
    ("CREATE TABLE beside.t (m int); CREATE POLICY po ON beside.t USING (twice(m) > 0)", "policy po on table beside.t"),
    (
        "CREATE TABLE beside.t (m int); CREATE RULE ru AS ON INSERT TO beside.t DO ALSO DELETE FROM notes",
        "table beside.t",
    ),
    ("CREATE FUNCTION beside.f(mood) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function beside.f(tenant_a.mood)"),
    ("CREATE FUNCTION beside.f() RETURNS SETOF notes LANGUAGE sql AS 'SELECT 1, NULL'", "function beside.f()"),
    (
        "CREATE FUNCTION beside.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT count(*)::int FROM notes; END",
        "function beside.f()",
    ),
    ("CREATE DOMAIN beside.d AS mood", "type beside.d"),
    ("CREATE TYPE beside.c AS (m mood)", "column m of composite type beside.c"),
    ("CREATE AGGREGATE beside.a(int) (SFUNC = int4pl, STYPE = int, FINALFUNC = twice)", "function beside.a(integer)"),
    ("CREATE STATISTICS beside.st ON id, body FROM notes", "statistics object beside.st"),
    ("CREATE PUBLICATION pub FOR TABLE notes", "publication of table tenant_a.notes in publication pub"),
    ("CREATE PUBLICATION pub FOR TABLES IN SCHEMA tenant_a", "publication of schema tenant_a in publication pub"),
    ("CREATE CAST (mood AS int) WITH INOUT", "cast from tenant_a.mood to integer"),
    (
        "CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER ev ON ddl_command_end EXECUTE FUNCTION on_ddl()",
        "event trigger ev",
    ),
    ("ALTER TABLE beside.parent ATTACH PARTITION inner_5 FOR VALUES FROM ('2019-01-01') TO ('2020-01-01')", "table"),
    ("ALTER TABLE inner_6 INHERIT beside.old_parent", "table beside.old_parent"),
    ("CREATE EXTENSION tcn SCHEMA tenant_a", "extension tcn"),
    (
        "CREATE SUBSCRIPTION sub CONNECTION 'dbname=none' PUBLICATION p WITH (connect = false); INSERT INTO pg_subscription_rel \
      SELECT oid, 'notes'::regclass, 'r', NULL FROM pg_subscription",
        "table tenant_a.notes in subscription sub",
    ),
];

#[tokio::test]
async fn what_depends_from_outside_is_listed() -> Result<()> {
    let server = Postgres::shared()?;
    let archive = Archive::made_by(server, "CREATE TABLE t (a int)").await?;
    let model = server.fresh_database("model")?;
    seed(&model, APP)?;
    for (sql, words) in OUTSIDE {
        let name = format!("outside_{}", ImportId::random()?);
        server.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {}", model.name()))?;
        let db = Db::on(server, &name);
        let database = app(&db)?;
        let (early, before) = (replacing()?, replacing()?);
        let loaded = archive.stage(&database, &before).await?;
        db.psql(&format!("SET search_path = {SCHEMA}; SET allow_system_table_mods = on; {sql}"))
            .with_context(|| sql.to_owned())?;
        // Under the locks of the swap, and before anything is loaded.
        refused(loaded.commit().await, &["schema \"tenant_a\"", words]).with_context(|| format!("swap: {sql}"))?;
        refused(archive.load(&database, &early).await, &["schema \"tenant_a\"", words])
            .with_context(|| format!("load: {sql}"))?;
        database.roll_back(&before).await?;
        ensure!(remains(&db)?.is_empty(), "{sql}: {}", remains(&db)?);
        if sql.contains("SUBSCRIPTION") {
            db.psql(
                "DELETE FROM pg_subscription_rel; ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub",
            )?;
        }
    }
    let import = archive.replace(&app(&model)?).await?;
    app(&model)?.drop_replaced(&import).await?;
    ensure!(model.query("SELECT count(*) FROM beside.target")? == "0");
    Ok(())
}

#[tokio::test]
async fn nothing_outside_goes_with_what_is_dropped() -> Result<()> {
    let server = Postgres::shared()?;
    let archive = Archive::made_by(server, "CREATE TABLE t (a int)").await?;
    let db = server.fresh_database("swap")?;
    seed(&db, "CREATE TABLE notes (id int)")?;
    let database = app(&db)?;
    let import = archive.replace(&database).await?;
    db.psql(&format!("CREATE VIEW public.v AS SELECT * FROM coffer_replaced_{import}.notes"))?;
    refused(database.drop_replaced(&import).await, &["view public.v"])?;
    ensure!(db.query("SELECT count(*) FROM public.v")? == "0");
    db.psql("DROP VIEW public.v")?;
    database.drop_replaced(&import).await?;
    ensure!(remains(&db)?.is_empty());
    Ok(())
}
