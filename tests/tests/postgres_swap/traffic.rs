//! Readers and writers while an app is replaced.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::*;

/// Two tables of some MiB whose every row says which app it is of, and one for writers.
fn marked(mark: char) -> String {
    format!(
        "CREATE TABLE one (id int PRIMARY KEY, mark text, pad text); CREATE TABLE two (id int PRIMARY KEY, mark text, pad text); \
         CREATE TABLE written (n int); \
         INSERT INTO one SELECT n, '{mark}', repeat('x', 200) FROM generate_series(1, 12000) n; INSERT INTO two SELECT * FROM one; \
         CREATE MATERIALIZED VIEW third AS SELECT DISTINCT mark FROM one;"
    )
}

/// Reads a table as `time|rows|first mark|last mark`.
fn look(table: &str) -> String {
    format!("SELECT extract(epoch FROM clock_timestamp()), count(*), min(mark), max(mark) FROM tenant_a.{table};")
}

/// Checks a reader's lines, each of one whole table, with those of a transaction alike. Gives the longest time between two.
fn check(told: &str, in_a_transaction: usize) -> Result<f64> {
    let (mut last, mut longest) = (None, 0.0_f64);
    let lines: Vec<Vec<&str>> = told.lines().map(|line| line.split('|').collect()).collect();
    ensure!(lines.len() > 20, "too little was read: {told}");
    for moment in lines.chunks_exact(in_a_transaction) {
        for line in moment {
            let [time, rows, first, end] = line.as_slice() else { anyhow::bail!("{line:?}") };
            ensure!(first == end && (*rows == "12000" || in_a_transaction == 3 && *rows == "1"), "{line:?}");
            ensure!(moment.iter().all(|other| other.get(2) == Some(first)), "mixed: {moment:?}");
            let time: f64 = time.parse()?;
            longest = longest.max(last.map_or(0.0, |last| time - last));
            last = Some(time);
        }
    }
    Ok(longest)
}

/// Feeds a session until it is told to stop.
#[expect(clippy::disallowed_methods, reason = "what a test's own statements answer is small")]
fn keep_on(db: &Db<'_>, stop: &AtomicBool, sql: impl Fn(u32) -> String) -> Result<String> {
    use std::io::Read;
    let Psql { mut child, mut input } = Psql::open(db)?;
    let mut output = child.stdout.take().context("no output")?;
    let mut errors = child.stderr.take().context("no errors")?;
    std::thread::scope(|scope| {
        let told = scope.spawn(move || {
            let mut told = String::new();
            output.read_to_string(&mut told).map(|_| told)
        });
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) {
            use std::io::Write;
            writeln!(input, "{}", sql(n))?;
            n += 1;
            std::thread::sleep(Duration::from_millis(40));
        }
        drop(input);
        let mut wrong = String::new();
        errors.read_to_string(&mut wrong)?;
        child.wait()?;
        ensure!(wrong.is_empty(), "{wrong}");
        told.join().map_err(|_| anyhow::anyhow!("a reader's thread"))?.map_err(Into::into)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_half_an_app_or_waits_for_long() -> Result<()> {
    let server = Postgres::start()?;
    let archives = [Archive::made_by(&server, &marked('a')).await?, Archive::made_by(&server, &marked('b')).await?];
    let db = server.fresh_database("swap")?;
    seed(&db, &marked('a'))?;
    let stop = AtomicBool::new(false);
    let runtime = tokio::runtime::Handle::current();
    let traffic = || {
        std::thread::scope(|scope| -> Result<String> {
            let (db, stop) = (&db, &stop);
            let plain = scope.spawn(|| keep_on(db, stop, |_| look("one")));
            let prepared = scope.spawn(|| {
                keep_on(db, stop, |n| {
                    if n == 0 { format!("PREPARE p AS {} EXECUTE p;", look("two")) } else { "EXECUTE p;".into() }
                })
            });
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ;";
            let repeatable = scope.spawn(move || {
                keep_on(db, stop, move |_| {
                    format!(
                        "{begin} {} SELECT pg_sleep(0.05) \\g /dev/null\n {} {} COMMIT;",
                        look("third"),
                        look("one"),
                        look("two")
                    )
                })
            });
            let writer = scope.spawn(|| {
            keep_on(db, stop, |n| {
                format!("BEGIN; INSERT INTO tenant_a.written VALUES ({n}); SELECT pg_sleep(0.03) \\g /dev/null\n COMMIT; SELECT {n};")
            })
        });
            let dumper = scope.spawn(|| -> Result<u32> {
                let mut dumps = 0;
                while !stop.load(Ordering::Relaxed) {
                    let dump = db.pg_dump(&["-n", SCHEMA, "-t", "tenant_a.one", "-t", "tenant_a.two"])?;
                    let of = |mark: char| dump.matches(&format!("\t{mark}\txxx")).count();
                    ensure!([(0, 24_000), (24_000, 0)].contains(&(of('a'), of('b'))), "{} {}", of('a'), of('b'));
                    dumps += 1;
                }
                Ok(dumps)
            });
            let swaps = (0..8).map(|n| -> Result<()> {
                let archive = archives.get((n + 1) % 2).context("an archive")?;
                let started = Instant::now();
                let import = replacing()?;
                let loaded = runtime.block_on(archive.stage(&app(db)?, &import))?;
                let staged = started.elapsed();
                runtime.block_on(loaded.commit())?;
                coffer_tests::say(format!(
                    "swap {n}: loaded in {staged:?}, swapped in {:?}",
                    started.elapsed() - staged
                ));
                Ok(())
            });
            let swapped: Result<Vec<()>> = swaps.collect();
            stop.store(true, Ordering::Relaxed);
            let joined = |thread: std::thread::ScopedJoinHandle<'_, Result<String>>| {
                thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread")))
            };
            let (plain, prepared, repeatable, written) =
                (joined(plain)?, joined(prepared)?, joined(repeatable)?, joined(writer)?);
            let dumps = dumper.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread")))?;
            swapped?;
            for (who, told, lines) in [("plain", plain, 1), ("prepared", prepared, 1), ("repeatable", repeatable, 3)] {
                let longest = check(&told, lines).context(who)?;
                coffer_tests::say(format!("{who}: {} looks, the longest pause {longest:.2} s", told.lines().count()));
                ensure!(longest < 6.0, "{who} waited {longest} s");
            }
            coffer_tests::say(format!("{dumps} dumps"));
            ensure!(dumps > 3);
            Ok(written)
        })
    };
    let written = tokio::task::block_in_place(traffic)?;
    // Whatever was committed is somewhere.
    let schemas = format!("tenant_a,{}", remains(&db)?);
    let rows = schemas.split(',').map(|schema| format!("SELECT n FROM {schema}.written")).collect::<Vec<_>>();
    let found = db.query(&format!("SELECT n FROM ({}) w ORDER BY n", rows.join(" UNION ALL ")))?;
    ensure!(found == written.trim_end(), "{found}\n{written}");
    Ok(())
}

#[tokio::test]
async fn an_old_view_makes_the_swap_wait_and_is_named() -> Result<()> {
    let server = Postgres::start()?;
    let archive = Archive::made_by(&server, &marked('b')).await?;
    let db = server.fresh_database("swap")?;
    seed(&db, &marked('a'))?;
    let database = app(&db)?.waiting_for(Duration::from_secs(2));
    let mut reader = Psql::open(&db)?;
    reader.run(&db, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;").await?;
    let import = replacing()?;
    let loaded = archive.stage(&database, &import).await?;
    let started = Instant::now();
    refused(loaded.commit().await, &["held by process", "login \"pg\"", "did_", "in a transaction since"])?;
    ensure!(started.elapsed() < Duration::from_secs(20) && started.elapsed() > Duration::from_secs(2));
    database.roll_back(&import).await?;
    let patient = app(&db)?.waiting_for(Duration::from_secs(20));
    let loaded = archive.stage(&patient, &replacing()?).await?;
    let swap = tokio::spawn(loaded.commit());
    tokio::time::sleep(Duration::from_secs(1)).await;
    ensure!(!swap.is_finished(), "it did not wait");
    // The old view still has all of the old app, and a new one that begins now does not keep the swap waiting.
    reader.run(&db, &format!("{} COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;", look("one"))).await?;
    swap.await??;
    reader.send(&format!("{} COMMIT; {}", look("two"), look("two")))?;
    let told = reader.end()?;
    let marks: Vec<_> = told.lines().filter_map(|line| line.split_once('|')).map(|(_, rest)| rest).collect();
    ensure!(marks == ["12000|a|a", "12000|b|b", "12000|b|b"], "{told}");
    Ok(())
}

#[tokio::test]
async fn holders_of_tables_make_the_swap_wait_and_are_named() -> Result<()> {
    let server = Postgres::start()?;
    let archive = Archive::made_by(&server, &marked('b')).await?;
    let db = server.fresh_database("swap")?;
    seed(&db, &marked('a'))?;
    for hold in ["INSERT INTO tenant_a.written VALUES (1);", "SELECT count(*) FROM tenant_a.third;"] {
        let database = app(&db)?.waiting_for(Duration::from_secs(3));
        let mut holder = Psql::open(&db)?;
        holder.run(&db, &format!("BEGIN; {hold}")).await?;
        let import = replacing()?;
        let loaded = archive.stage(&database, &import).await?;
        refused(loaded.commit().await, &["the tables of schema", "held by process", "did_"]).context(hold)?;
        database.roll_back(&import).await?;
        let loaded = archive.stage(&database, &replacing()?).await?;
        let swap = tokio::spawn(loaded.commit());
        tokio::time::sleep(Duration::from_millis(700)).await;
        // The swap waits: whoever comes now waits behind it, and not for long.
        let started = Instant::now();
        ensure!(db.query("SELECT count(*) FROM tenant_a.written")? == "0");
        ensure!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
        holder.run(&db, "COMMIT;").await?;
        swap.await??;
        let kept = remains(&db)?;
        let kept: Vec<_> = kept.split(',').map(|schema| format!("SELECT n FROM {schema}.written")).collect();
        ensure!(db.query(&format!("SELECT count(*) FROM ({}) w", kept.join(" UNION ALL ")))? == "1", "a row was lost");
        holder.end()?;
    }
    Ok(())
}

#[tokio::test]
async fn the_old_app_is_in_full_use_while_the_new_one_is_loaded() -> Result<()> {
    let server = Postgres::start()?;
    let archive = Archive::made_by(&server, &marked('b')).await?;
    let db = server.fresh_database("swap")?;
    server.create_login("swap_user")?;
    seed(&db, &marked('a'))?;
    let database = app(&db)?;
    let mut load = archive.load(&database, &replacing()?).await?;
    for statement in [
        "SELECT count(*) FROM one",
        "INSERT INTO written VALUES (1)",
        "UPDATE one SET pad = '' WHERE id = 1",
        "CREATE TABLE made (a int)",
        "ALTER TABLE made ADD b int",
        "DROP TABLE written",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "GRANT SELECT ON one TO swap_user",
        "CREATE INDEX ON two (mark)",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA tenant_a GRANT SELECT ON TABLES TO swap_user",
        "COMMENT ON SCHEMA tenant_a IS 'x'",
        "REFRESH MATERIALIZED VIEW third",
    ] {
        let started = Instant::now();
        db.psql(&format!("SET search_path = tenant_a; SET lock_timeout = '1s'; {statement};")).context(statement)?;
        ensure!(started.elapsed() < Duration::from_secs(8), "{statement}: {:?}", started.elapsed());
    }
    ensure!(picture(&db)?.contains("CREATE TABLE tenant_a.made"));
    load.finish(archive.sequences.clone()).await?.commit().await?;
    ensure!(db.query("SELECT min(mark) FROM tenant_a.one")? == "b");
    ensure!(db.query("SELECT to_regclass('tenant_a.made') IS NULL")? == "t");
    Ok(())
}
