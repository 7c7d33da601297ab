//! Logins that may not replace an app, and owners and privileges, which outlive it.

use std::sync::Mutex;

use super::*;

const LOGINS: [&str; 4] = ["swap_owner", "swap_stranger", "swap_reader", "swap_helper"];

const OLD: &str = "
    CREATE TABLE notes (id int PRIMARY KEY, body text, secret text);
    CREATE TABLE gone (a int);
    CREATE SEQUENCE counter;
    CREATE TYPE mood AS ENUM ('glad');
    CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2';
    CREATE VIEW seen AS SELECT body FROM notes;
    ALTER SCHEMA tenant_a OWNER TO swap_owner;
    ALTER TABLE notes OWNER TO swap_helper; ALTER TABLE gone OWNER TO swap_owner; ALTER SEQUENCE counter OWNER TO swap_owner;
    ALTER TYPE mood OWNER TO swap_owner; ALTER FUNCTION twice OWNER TO swap_owner; ALTER VIEW seen OWNER TO swap_owner;
    GRANT USAGE ON SCHEMA tenant_a TO swap_reader; GRANT USAGE ON SCHEMA tenant_a TO swap_helper WITH GRANT OPTION;
    GRANT SELECT (body), UPDATE (secret) ON notes TO swap_reader; GRANT INSERT ON notes TO swap_owner;
    GRANT USAGE ON SEQUENCE counter TO swap_reader; REVOKE ALL ON TYPE mood FROM PUBLIC; GRANT USAGE ON TYPE mood TO swap_reader;
    REVOKE ALL ON FUNCTION twice FROM PUBLIC; GRANT EXECUTE ON FUNCTION twice TO swap_reader;
    ALTER DEFAULT PRIVILEGES FOR ROLE swap_owner IN SCHEMA tenant_a GRANT SELECT ON TABLES TO swap_reader;
    ALTER DEFAULT PRIVILEGES FOR ROLE swap_owner IN SCHEMA tenant_a GRANT EXECUTE ON FUNCTIONS TO swap_helper;";

const NEW: &str = "
    CREATE TABLE notes (id int PRIMARY KEY, body text, other int);
    CREATE TABLE fresh (id int GENERATED ALWAYS AS IDENTITY);
    CREATE SEQUENCE counter;
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n + n';
    CREATE VIEW seen AS SELECT body FROM notes;";

/// Owners and privileges, by kind and name.
const RIGHTS: &str = "SELECT string_agg(what, E'\\n' ORDER BY what) FROM (\
    SELECT 'schema ' || pg_get_userbyid(nspowner) || ' ' || (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(coalesce(nspacl, acldefault('n', nspowner))) a) AS what \
    FROM pg_namespace WHERE nspname = 'tenant_a' \
    UNION ALL SELECT relname || ' ' || pg_get_userbyid(relowner) || ' ' || (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM \
    unnest(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", relowner))) a) \
    FROM pg_class WHERE relnamespace = 'tenant_a'::regnamespace AND relkind <> 'i' AND relname NOT IN ('gone', 'fresh', 'fresh_id_seq') \
    UNION ALL SELECT 'column ' || attname || ' ' || attacl::text FROM pg_attribute WHERE attrelid = 'tenant_a.notes'::regclass AND attacl IS NOT NULL AND attname <> 'secret' \
    UNION ALL SELECT typname || ' ' || pg_get_userbyid(typowner) || ' ' || typacl::text FROM pg_type WHERE typnamespace = 'tenant_a'::regnamespace AND typname = 'mood' \
    UNION ALL SELECT proname || ' ' || pg_get_userbyid(proowner) || ' ' || proacl::text FROM pg_proc WHERE pronamespace = 'tenant_a'::regnamespace \
    UNION ALL SELECT 'default ' || pg_get_userbyid(defaclrole) || defaclobjtype::text || defaclacl::text FROM pg_default_acl WHERE defaclnamespace IN (0, 'tenant_a'::regnamespace)) r";

fn with_logins(name: &str) -> Result<Db<'static>> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let server = Postgres::shared()?;
    let made = ONE_AT_A_TIME.lock();
    LOGINS.iter().try_for_each(|login| server.create_login(login))?;
    drop(made);
    server.fresh_database(name)
}

#[tokio::test]
async fn owners_and_privileges_stay() -> Result<()> {
    let db = with_logins("swap")?;
    let archive = Archive::made_by(db.server(), NEW).await?;
    seed(&db, OLD)?;
    // What the login grants by default is not the app's.
    db.psql("ALTER DEFAULT PRIVILEGES FOR ROLE pg GRANT ALL ON TABLES TO swap_stranger; ALTER DEFAULT PRIVILEGES FOR ROLE pg GRANT USAGE ON SCHEMAS TO swap_stranger")?;
    let before = db.query(RIGHTS)?;
    let import = archive.replace(&app(&db)?).await?;
    ensure!(db.query(RIGHTS)? == before, "{}\n{before}", db.query(RIGHTS)?);
    let owner = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid IN ('tenant_a.fresh'::regclass, 'tenant_a.fresh_id_seq'::regclass)";
    ensure!(db.query(owner)? == "swap_owner\nswap_owner", "{}", db.query(owner)?);
    ensure!(db.query("SET ROLE swap_reader; SELECT tenant_a.twice(2)")? == "4");
    app(&db)?.bring_back(&import, &replacing()?).await?.commit().await?;
    ensure!(db.query(RIGHTS)? == before);
    Ok(())
}

#[tokio::test]
async fn the_archives_grants_are_restored_where_that_is_asked_for() -> Result<()> {
    let db = with_logins("swap")?;
    let granted = format!("{NEW} GRANT SELECT ON fresh TO swap_stranger; ALTER TABLE notes OWNER TO swap_stranger;");
    let archive = Archive::made_by(db.server(), &granted).await?;
    seed(&db, OLD)?;
    let database = PostgresDatabase::new(place(&db.superuser_url())?, PostgresOptions { grants: true, ..CODE });
    archive.replace(&database).await?;
    let owner = "SELECT pg_get_userbyid(relowner) || relacl::text FROM pg_class WHERE oid = 'tenant_a.notes'::regclass";
    ensure!(!db.query(owner)?.contains("swap_reader"), "{}", db.query(owner)?);
    ensure!(
        db.query("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'tenant_a.notes'::regclass")?
            == "swap_stranger"
    );
    Ok(())
}

#[tokio::test]
async fn a_login_without_the_right_is_told() -> Result<()> {
    let db = with_logins("swap")?;
    let archive = Archive::made_by(db.server(), NEW).await?;
    seed(&db, OLD)?;
    let of = |login: &str| app_as(&db.url(login));
    let into = |database: PostgresDatabase| {
        let archive = &archive;
        async move { archive.load(&database, &replacing().unwrap_or_else(|error| panic!("{error}"))).await }
    };
    refused(into(of("swap_stranger")?).await, &["replacing schema", "swap_stranger", "CREATE on the database"])?;
    db.psql(&format!("GRANT CREATE ON DATABASE {} TO swap_stranger, swap_owner", db.name()))?;
    refused(
        into(of("swap_stranger")?).await,
        &["not the schema's owner", "GRANT \"swap_owner\" TO \"swap_stranger\""],
    )?;
    refused(into(of("swap_owner")?).await, &["\"swap_helper\"", "swap_owner"])?;
    ensure!(remains(&db)?.is_empty());
    db.psql("GRANT swap_helper TO swap_owner")?;
    let before = db.query(RIGHTS)?;
    let database = of("swap_owner")?;
    let import = archive.replace(&database).await?;
    ensure!(db.query(RIGHTS)? == before, "{}\n{before}", db.query(RIGHTS)?);
    let undo = replacing()?;
    refused(of("swap_stranger")?.bring_back(&import, &undo).await, &["not the schema's owner"])?;
    database.bring_back(&import, &undo).await?.commit().await?;
    ensure!(database.replaced_bytes(&undo.id).await?.is_some());
    database.drop_replaced(&undo.id).await?;
    ensure!(remains(&db)?.is_empty());
    db.psql("REVOKE swap_helper FROM swap_owner")?;
    Ok(())
}
