//! Apps in PostgreSQL that are replaced under their users: each reader sees the old app or the new one, no commit is lost, and nobody waits for long.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use coffer_tests::postgres::hostile::Held;
use coffer_tests::postgres::{Crm, Db, Postgres};
use coffer_tests::replace::entries;
use coffer_tests::{Coffer, say};

const COFFER: &str = env!("CARGO_BIN_EXE_coffer");
/// An app's rows are about 1 KiB each.
const MEBIBYTES: u32 = if cfg!(feature = "soak") { 256 } else { 16 };
const OLD_ROWS: u32 = MEBIBYTES * 1_024;
const NEW_ROWS: u32 = OLD_ROWS + 77;
/// No user may wait for longer.
const LONGEST: Duration = Duration::from_secs(if cfg!(feature = "soak") { 2 } else { 6 });
/// Users are there for so long before and after an import.
const AROUND: Duration = Duration::from_millis(700);

/// What one user of PostgreSQL met.
#[derive(Debug, Default)]
struct Met {
    old: u32,
    new: u32,
    written: Vec<u32>,
    longest: Duration,
}

impl Met {
    fn saw(&mut self, line: &str) -> Result<()> {
        match line {
            _ if line == format!("old|old|{OLD_ROWS}") => self.old += 1,
            _ if line == format!("new|new|{NEW_ROWS}") => self.new += 1,
            _ => anyhow::bail!("it saw {line}, which is neither the old app nor the new one"),
        }
        Ok(())
    }

    fn timed(&mut self, session: &mut Held, sql: &str) -> Result<Vec<String>> {
        let begun = Instant::now();
        let rows = session.ask(sql)?;
        self.longest = self.longest.max(begun.elapsed());
        Ok(rows)
    }

    fn look(&mut self, session: &mut Held) -> Result<String> {
        let query = "SELECT min(marker), max(marker), count(*) FROM tenant_a.items WHERE id < 1000000;";
        let line = self.timed(session, query)?.pop().context("no row")?;
        self.saw(&line)?;
        Ok(line)
    }
}

/// Does one thing again and again until it is told to stop.
fn until(stop: &AtomicBool, mut step: impl FnMut(&mut Met) -> Result<()>) -> Result<Met> {
    let mut met = Met::default();
    while !stop.load(Ordering::Relaxed) {
        step(&mut met)?;
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(met)
}

fn reads_committed(db: &Db<'_>, stop: &AtomicBool) -> Result<Met> {
    let mut session = Held::new(db, "SELECT 1;")?;
    until(stop, |met| met.look(&mut session).map(drop))
}

fn reads_repeatably(db: &Db<'_>, stop: &AtomicBool) -> Result<Met> {
    let mut session = Held::new(db, "SELECT 1;")?;
    until(stop, |met| {
        // It has its snapshot before it looks.
        met.timed(&mut session, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class;")?;
        std::thread::sleep(Duration::from_millis(40));
        let first = met.look(&mut session)?;
        std::thread::sleep(Duration::from_millis(40));
        let second = met.look(&mut session)?;
        met.timed(&mut session, "COMMIT;")?;
        ensure!(first == second, "one transaction saw {first} and {second}");
        Ok(())
    })
}

fn writes(db: &Db<'_>, stop: &AtomicBool) -> Result<Met> {
    let mut session = Held::new(db, "SELECT 1;")?;
    let mut number = 1_000_000;
    until(stop, |met| {
        number += 1;
        met.timed(&mut session, "BEGIN;")?;
        let insert = format!(
            "INSERT INTO tenant_a.items SELECT {number}, min(marker), 'written' FROM tenant_a.items WHERE id < 10;"
        );
        met.timed(&mut session, &insert)?;
        std::thread::sleep(Duration::from_millis(100));
        met.timed(&mut session, "COMMIT;")?;
        met.written.push(number);
        Ok(())
    })
}

/// What a dump or an archive holds, by the markers in its rows.
fn count_markers<'l>(lines: impl Iterator<Item = &'l str>) -> String {
    let (mut markers, mut count) = (BTreeSet::new(), 0);
    for line in lines {
        let mut columns = line.split('\t');
        let (id, marker) = (columns.next().unwrap_or_default(), columns.next());
        if let (Ok(0..1_000_000), Some(marker)) = (id.parse::<u32>(), marker) {
            markers.insert(marker);
            count += 1;
        }
    }
    let (first, last) = (markers.first().unwrap_or(&"none"), markers.last().unwrap_or(&"none"));
    format!("{first}|{last}|{count}")
}

fn dumps(db: &Db<'_>, stop: &AtomicBool) -> Result<Met> {
    until(stop, |met| {
        let dump = db.pg_dump(&["--data-only", "-t", "tenant_a.items"])?;
        met.saw(&count_markers(dump.lines()))
    })
}

fn exports(coffer: &Coffer, stop: &AtomicBool) -> Result<Met> {
    until(stop, |met| {
        let entries = entries(coffer, "crm/a")?;
        let rows = entries.iter().filter(|entry| entry.path.starts_with("database/rows/items/"));
        let rows: Vec<u8> = rows.flat_map(|entry| entry.content.clone()).collect();
        met.saw(&count_markers(String::from_utf8_lossy(&rows).lines()))
    })
}

fn make(crm: &Crm<'_>, app: &str, marker: &str, rows: u32) -> Result<()> {
    crm.seed(
        app,
        &format!(
            "CREATE TABLE items (id int PRIMARY KEY, marker text NOT NULL, payload text);
             INSERT INTO items SELECT n, '{marker}', repeat(md5(n::text), 30) FROM generate_series(1, {rows}) n;"
        ),
    )
}

#[test]
fn nobody_sees_half_a_schema_and_no_commit_is_lost() -> Result<()> {
    let server = Postgres::shared()?;
    let db = server.fresh_database("readers")?;
    let crm = Crm::new(COFFER, &db)?;
    make(&crm, "a", "old", OLD_ROWS)?;
    make(&crm, "b", "new", NEW_ROWS)?;
    crm.export("b", "new", &[])?.ends_with(0, &[])?;
    let stop = AtomicBool::new(false);
    let (met, whole) = std::thread::scope(|scope| {
        let (db, coffer, stop) = (&db, crm.coffer(), &stop);
        let users: Vec<(&str, ScopedJoinHandle<'_, Result<Met>>)> = vec![
            ("reads committed", scope.spawn(|| reads_committed(db, stop))),
            ("reads repeatably", scope.spawn(|| reads_repeatably(db, stop))),
            ("writes", scope.spawn(|| writes(db, stop))),
            ("dumps", scope.spawn(|| dumps(db, stop))),
            ("exports", scope.spawn(|| exports(coffer, stop))),
        ];
        std::thread::sleep(AROUND);
        let begun = Instant::now();
        let replaced = crm.restore("new", "a", &["--replace"]);
        let whole = begun.elapsed();
        std::thread::sleep(AROUND);
        stop.store(true, Ordering::Relaxed);
        let met = users.into_iter().map(|(who, user)| Ok((who, user.join().map_err(|_| anyhow!("{who} panicked"))?)));
        let met = met.collect::<Result<Vec<_>>>()?;
        replaced?.ends_with(0, &[])?;
        anyhow::Ok((met, whole))
    })?;
    let mut written = Vec::new();
    for (who, met) in met {
        let met = met.with_context(|| who.to_owned())?;
        say(format!(
            "{who}: {} times the old, {} times the new, {} rows; waited for {:?} at most, of an import of {whole:?}",
            met.old,
            met.new,
            met.written.len(),
            met.longest
        ));
        ensure!(met.longest < LONGEST, "{who} waited for {:?}", met.longest);
        ensure!(who == "writes" || (met.old > 0 && met.new > 0), "{who} did not meet the import: {met:?}");
        written.extend(met.written);
    }
    ensure_written(&db, &written)
}

/// Each row that was committed is in the old app or in the new one, and says which.
fn ensure_written(db: &Db<'_>, written: &[u32]) -> Result<()> {
    let kept = db.query("SELECT nspname FROM pg_namespace WHERE nspname ~ '^coffer_replaced_'")?;
    let found = |schema: &str, marker: &str| -> Result<Vec<u32>> {
        let query = format!("SELECT id, marker FROM {schema}.items WHERE payload = 'written'");
        let rows = db.query(&query)?;
        let rows = rows.lines().map(|row| {
            let (id, found) = row.split_once('|').context("no marker")?;
            ensure!(found == marker, "row {id} of {schema} was written into {found}");
            Ok(id.parse()?)
        });
        rows.collect()
    };
    let (old, new) = (found(&kept, "old")?, found("tenant_a", "new")?);
    ensure!(!old.is_empty() && !new.is_empty(), "{} rows before and {} after", old.len(), new.len());
    let mut all = [old, new].concat();
    all.sort_unstable();
    ensure!(all == written, "of {written:?} there is {all:?}");
    Ok(())
}

/// A user who has read once, and stays in the transaction, is waited for; whoever waits too long says for whom.
#[test]
fn an_import_waits_for_a_transaction_that_has_read() -> Result<()> {
    let server = Postgres::shared()?;
    let db = server.fresh_database("waits")?;
    let crm = Crm::new(COFFER, &db)?;
    crm.seed("a", "CREATE TABLE items (id int, marker text); INSERT INTO items VALUES (1, 'old');")?;
    crm.seed("b", "CREATE TABLE items (id int, marker text); INSERT INTO items VALUES (1, 'new');")?;
    crm.export("b", "new", &[])?.ends_with(0, &[])?;
    let mut reader = Held::new(&db, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT marker FROM tenant_a.items;")?;
    let outcome = std::thread::scope(|scope| {
        let import = scope.spawn(|| crm.restore("new", "a", &["--replace"]));
        std::thread::sleep(Duration::from_secs(4));
        ensure!(!import.is_finished(), "it did not wait");
        // Nobody else waits for long behind it.
        let mut met = Met::default();
        for _ in 0..20 {
            met.timed(&mut Held::new(&db, "SELECT 1;")?, "SELECT marker FROM tenant_a.items;")?;
        }
        ensure!(met.longest < LONGEST, "a reader waited for {:?}", met.longest);
        ensure!(reader.ask("SELECT marker FROM tenant_a.items; COMMIT;")? == ["old"]);
        import.join().map_err(|_| anyhow!("panicked"))?
    })?;
    outcome.ends_with(0, &[])?;
    ensure!(reader.ask("SELECT marker FROM tenant_a.items;")? == ["new"]);
    Ok(())
}
