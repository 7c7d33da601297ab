//! Imports that end anywhere, and whoever comes afterwards.

use super::*;

const APP: &str = "CREATE TABLE notes (id int); INSERT INTO notes VALUES (1)";
const NEW: &str = "CREATE TABLE notes (id int); INSERT INTO notes VALUES (2), (3)";

fn state(db: &Db<'_>) -> Result<String> {
    let told = db.query(&format!("SELECT sum(id) FROM {SCHEMA}.notes"))?;
    Ok(if told == "1" { "old" } else { "new" }.to_owned())
}

/// A process that dies: no part of it is dropped, and the server keeps its session.
fn die<T>(value: T) {
    std::mem::forget(value);
}

#[tokio::test]
async fn each_end_is_rolled_back_or_forward() -> Result<()> {
    let server = Postgres::shared()?;
    let archive = Archive::made_by(server, NEW).await?;
    let db = server.fresh_database("swap")?;
    seed(&db, APP)?;
    let database = app(&db)?;
    // While rows come.
    let import = replacing()?;
    die(archive.load(&database, &import).await?);
    refused(archive.load(&database, &replacing()?).await, &["another import of schema \"tenant_a\""])?;
    refused(archive.load(&database, &Import::new()?).await, &["another import of schema \"tenant_a\""])?;
    database.roll_back(&import).await?;
    ensure!(remains(&db)?.is_empty() && state(&db)? == "old");
    // When all are there, prepared or not.
    for is_prepared in [false, true] {
        let import = replacing()?;
        let mut loaded = archive.stage(&database, &import).await?;
        if is_prepared {
            loaded.prepare().await?;
        }
        let mark = loaded.mark().await?;
        die(loaded);
        refused(archive.load(&database, &replacing()?).await, &["another import of schema \"tenant_a\""])?;
        ensure!(!database.has_landed(&import, &mark).await?);
        ensure!(!database.has_landed(&import, &mark).await?);
        database.roll_back(&import).await?;
        ensure!(!database.has_landed(&import, &mark).await?, "what was rolled back has landed");
        database.roll_back(&import).await?;
        ensure!(remains(&db)?.is_empty() && state(&db)? == "old");
    }
    // After the swap.
    let import = replacing()?;
    let mut loaded = archive.stage(&database, &import).await?;
    let landed = loaded.mark().await?;
    loaded.commit().await?;
    for _ in 0..2 {
        ensure!(database.has_landed(&import, &landed).await?);
        database.settle(&import).await?;
    }
    ensure!(state(&db)? == "new" && remains(&db)? == format!("coffer_replaced_{}", import.id));
    // An undo that dies before its swap takes nothing with it.
    let undo = replacing()?;
    let mut back = database.bring_back(&import.id, &undo).await?;
    let mark = back.mark().await?;
    refused(database.drop_replaced(&import.id).await, &["another import of what import"])?;
    die(back);
    ensure!(!database.has_landed(&undo, &mark).await?);
    database.roll_back(&undo).await?;
    ensure!(state(&db)? == "new" && remains(&db)? == format!("coffer_replaced_{}", import.id));
    for wrong in ["", "7", "tenant_a"] {
        refused(database.has_landed(&import, wrong).await, &["the mark of an import"])?;
    }
    // Whoever has let go of the replaced one already still knows.
    database.drop_replaced(&import.id).await?;
    ensure!(database.has_landed(&import, &landed).await?);
    Ok(())
}

#[tokio::test]
async fn a_new_app_is_known_by_its_transaction() -> Result<()> {
    let server = Postgres::shared()?;
    let archive = Archive::made_by(server, NEW).await?;
    let db = server.fresh_database("swap")?;
    let database = app(&db)?;
    let import = Import::new()?;
    let mut loaded = archive.stage(&database, &import).await?;
    let mark = loaded.mark().await?;
    die(loaded);
    ensure!(!database.has_landed(&import, &mark).await?);
    database.roll_back(&import).await?;
    let import = Import::new()?;
    die(archive.load(&database, &import).await?);
    database.roll_back(&import).await?;
    let mut loaded = archive.stage(&database, &import).await?;
    let mark = loaded.mark().await?;
    loaded.commit().await?;
    ensure!(database.has_landed(&import, &mark).await? && state(&db)? == "new");
    database.settle(&import).await?;
    ensure!(remains(&db)?.is_empty());
    refused(database.has_landed(&import, "").await, &["the mark of an import"])
}

#[tokio::test]
async fn whoever_discards_or_drops_leaves_nothing() -> Result<()> {
    let server = Postgres::shared()?;
    let archive = Archive::made_by(server, NEW).await?;
    let db = server.fresh_database("swap")?;
    seed(&db, APP)?;
    let database = app(&db)?;
    archive.load(&database, &replacing()?).await?.discard().await?;
    ensure!(remains(&db)?.is_empty());
    archive.stage(&database, &replacing()?).await?.discard().await?;
    ensure!(remains(&db)?.is_empty());
    drop(archive.stage(&database, &replacing()?).await?);
    for _ in 0..100 {
        if remains(&db)?.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(remains(&db)?.is_empty() && state(&db)? == "old", "{}", remains(&db)?);
    // A load that has been finished is not discarded with what came of it.
    let mut load = archive.load(&database, &replacing()?).await?;
    let loaded = load.finish(archive.sequences.clone()).await?;
    load.discard().await?;
    loaded.commit().await?;
    ensure!(state(&db)? == "new");
    Ok(())
}

#[tokio::test]
async fn a_server_that_goes_leaves_what_is_rolled_back() -> Result<()> {
    let server = Postgres::start()?;
    let archive = Archive::made_by(&server, NEW).await?;
    let db = server.fresh_database("swap")?;
    seed(&db, APP)?;
    let database = app(&db)?;
    let import = replacing()?;
    let mut loaded = archive.stage(&database, &import).await?;
    let mark = loaded.mark().await?;
    server.restart()?;
    refused(loaded.commit().await, &[])?;
    ensure!(!database.has_landed(&import, &mark).await?);
    database.roll_back(&import).await?;
    ensure!(remains(&db)?.is_empty() && state(&db)? == "old");
    Ok(())
}

#[tokio::test]
async fn an_app_that_becomes_another_is_not_replaced() -> Result<()> {
    let server = Postgres::shared()?;
    let archive = Archive::made_by(server, NEW).await?;
    let db = server.fresh_database("swap")?;
    seed(&db, APP)?;
    let database = app(&db)?;
    let import = replacing()?;
    let mut loaded = archive.stage(&database, &import).await?;
    db.psql(&format!("DROP SCHEMA {SCHEMA} CASCADE"))?;
    seed(&db, APP)?;
    refused(loaded.prepare().await, &["replaced meanwhile"])?;
    refused(loaded.commit().await, &["replaced meanwhile"])?;
    database.roll_back(&import).await?;
    ensure!(remains(&db)?.is_empty() && state(&db)? == "old");
    Ok(())
}
