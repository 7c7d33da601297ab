//! What stands there after a swap, and after an undo.

use super::*;

/// An app whose code names its schema in every way.
const NEW: &str = r#"
    CREATE SEQUENCE counter START 7;
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
    CREATE TABLE notes (id int PRIMARY KEY DEFAULT nextval('tenant_a.counter'::regclass), feels mood, body text, g int GENERATED ALWAYS AS (id * 2) STORED);
    INSERT INTO notes (feels, body) SELECT 'glad', 'new ' || n FROM generate_series(1, 500) n;
    CREATE TABLE parts (id int REFERENCES notes, day date) PARTITION BY RANGE (day);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
    INSERT INTO parts VALUES (8, '2020-02-02');
    CREATE FUNCTION by_name() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM tenant_a.notes';
    CREATE FUNCTION by_path() RETURNS text LANGUAGE plpgsql SET search_path = tenant_a AS $$ BEGIN RETURN (SELECT max(body) FROM notes); END $$;
    CREATE FUNCTION by_text() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN nextval('tenant_a.counter'); END $$;
    CREATE VIEW seen AS SELECT id, twice(id) FROM notes;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM seen;
    CREATE INDEX by_twice ON notes (twice(id));
    COMMENT ON TABLE notes IS 'the new one';
"#;

const OLD: &str = "
    CREATE TABLE notes (id int PRIMARY KEY, words text);
    INSERT INTO notes SELECT n, 'old ' || n FROM generate_series(1, 50) n;
    CREATE SEQUENCE old_counter;
    CREATE FUNCTION old() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM tenant_a.notes';
    CREATE VIEW old_view AS SELECT words FROM notes;";

#[tokio::test]
async fn what_replaces_is_like_its_source() -> Result<()> {
    let server = Postgres::shared()?;
    let (source, db) = (server.fresh_database("source")?, server.fresh_database("swap")?);
    seed(&source, NEW)?;
    seed(&db, OLD)?;
    let archive = Archive::of(&source).await?;
    let import = replacing()?;
    let loaded = archive.stage(&app(&db)?, &import).await?;
    ensure!(db.query("SELECT tenant_a.old()")? == "50", "the old app was touched");
    ensure!(remains(&db)? == format!("coffer_staging_{}", import.id));
    loaded.commit().await?;
    ensure!(picture(&db)? == picture(&source)?, "{}", picture(&db)?);
    let code = "SELECT tenant_a.by_name(), tenant_a.by_path(), tenant_a.by_text(), (SELECT n FROM tenant_a.counted)";
    ensure!(db.query(code)? == "500|new 99|507|500", "{}", db.query(code)?);
    ensure!(remains(&db)? == format!("coffer_replaced_{}", import.id));
    let again = Archive::of(&db).await?;
    ensure!(again.blueprint == archive.blueprint && again.chunks == archive.chunks, "another export differs");
    Ok(())
}

#[tokio::test]
async fn an_undo_brings_all_back_and_can_be_undone() -> Result<()> {
    let server = Postgres::shared()?;
    let db = server.fresh_database("swap")?;
    seed(&db, OLD)?;
    let archive = Archive::made_by(server, NEW).await?;
    let database = app(&db)?;
    let before = picture(&db)?;
    let first = archive.replace(&database).await?;
    let after = picture(&db)?;
    let undo = replacing()?;
    let mut back = database.bring_back(&first, &undo).await?;
    ensure!(back.tables().is_empty());
    back.prepare().await?;
    let mark = back.mark().await?;
    ensure!(!database.has_landed(&replacing()?, &mark).await?, "nothing has landed yet");
    back.commit().await?;
    ensure!(database.has_landed(&undo, &mark).await?, "the undo is not known to have landed");
    ensure!(picture(&db)? == before, "the undo differs: {}", picture(&db)?);
    refused(database.bring_back(&first, &replacing()?).await, &["does not exist"])?;
    let redo = replacing()?;
    database.bring_back(&undo.id, &redo).await?.commit().await?;
    ensure!(picture(&db)? == after, "the undo of the undo differs");
    ensure!(remains(&db)? == format!("coffer_replaced_{}", redo.id));
    ensure!(database.replaced_bytes(&redo.id).await?.context("nothing is kept")? > 8_192);
    database.drop_replaced(&redo.id).await?;
    database.drop_replaced(&redo.id).await?;
    ensure!(database.replaced_bytes(&redo.id).await?.is_none() && remains(&db)?.is_empty());
    ensure!(picture(&db)? == after, "letting go of the old one took something of the new");
    Ok(())
}

#[tokio::test]
async fn what_is_missing_is_replaced_too() -> Result<()> {
    let server = Postgres::shared()?;
    let db = server.fresh_database("swap")?;
    let archive = Archive::made_by(server, NEW).await?;
    let database = app(&db)?;
    let first = archive.replace(&database).await?;
    ensure!(remains(&db)? == format!("coffer_replaced_{first}"));
    db.psql(&format!("INSERT INTO {SCHEMA}.notes VALUES (1)"))?;
    let second = archive.replace(&database).await?;
    db.psql(&format!("DROP SCHEMA {SCHEMA} CASCADE"))?;
    database.bring_back(&second, &replacing()?).await?.commit().await?;
    ensure!(db.query(&format!("SELECT count(*) FROM {SCHEMA}.notes"))? == "501");
    Ok(())
}

#[tokio::test]
async fn our_schemas_are_nobodys_app() -> Result<()> {
    let server = Postgres::shared()?;
    let (source, db) = (server.fresh_database("source")?, server.fresh_database("swap")?);
    db.psql("ALTER SCHEMA public RENAME TO tenant_a; CREATE TABLE tenant_a.old (a int)")?;
    seed(&source, NEW)?;
    let whole = |db: &Db<'_>| -> Result<PostgresDatabase> {
        let place = PostgresPlace { scope: PostgresScope::Database, ..place(&db.superuser_url())? };
        Ok(PostgresDatabase::new(place, CODE))
    };
    Archive::of(&source).await?.replace(&whole(&db)?).await?;
    ensure!(PostgresAddress::new(&db.superuser_url(), None)?.schemas().await? == [SCHEMA]);
    whole(&db)?.dump().await?;
    Ok(())
}

#[tokio::test]
async fn a_schema_of_many_tables_is_replaced_and_dropped() -> Result<()> {
    let server = Postgres::start_with(&[("max_locks_per_transaction", "64")])?;
    let tables = |count: u32| {
        format!(
            "SELECT format('CREATE TABLE t%s (id int PRIMARY KEY, up int REFERENCES t%s)', n, greatest(n - 1, 1)) FROM generate_series(1, {count}) n \\gexec"
        )
    };
    let db = server.fresh_database("swap")?;
    seed(&db, &tables(1_200))?;
    let archive = Archive::made_by(&server, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await?;
    let database = app(&db)?;
    let started = std::time::Instant::now();
    let import = archive.replace(&database).await?;
    coffer_tests::say(format!("replaced 1,200 tables in {:?}", started.elapsed()));
    database.drop_replaced(&import).await?;
    coffer_tests::say(format!("and dropped them after {:?}", started.elapsed()));
    ensure!(remains(&db)?.is_empty());
    Ok(())
}
