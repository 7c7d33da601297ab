//! An export while others write: what comes back is one moment.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_tests::postgres::{Crm, Db};
use coffer_tests::say;

use super::{ALL, crm, fresh_database};

/// Money in two tables, and a line for each move; `swapped` is replaced whole, `emptied` truncated and filled.
const BANK: &str = "
    CREATE TABLE checking (id int PRIMARY KEY, balance bigint NOT NULL);
    CREATE TABLE savings (id int PRIMARY KEY, balance bigint NOT NULL);
    INSERT INTO checking SELECT n, 1000 FROM generate_series(0, 9999) n;
    INSERT INTO savings SELECT n, 1000 FROM generate_series(0, 9999) n;
    CREATE TABLE moves (id bigserial PRIMARY KEY, number bigint GENERATED ALWAYS AS IDENTITY, out_of int NOT NULL REFERENCES checking,
        into_savings int NOT NULL REFERENCES savings, amount bigint NOT NULL);
    CREATE TABLE notes (id bigserial PRIMARY KEY, move bigint NOT NULL REFERENCES moves, filler text DEFAULT repeat('x', 200));
    CREATE TABLE swapped (n int PRIMARY KEY, generation int);
    INSERT INTO swapped SELECT n, 0 FROM generate_series(1, 1000) n;
    CREATE TABLE emptied (n int PRIMARY KEY, generation int);
    INSERT INTO emptied SELECT n, 0 FROM generate_series(1, 1000) n;
";

const MOVER: &str = "
    DO $$ DECLARE a int; b int; m bigint; id bigint; BEGIN LOOP
        a := floor(random() * 10000); b := floor(random() * 10000); m := floor(random() * 100);
        UPDATE checking SET balance = balance - m WHERE checking.id = a;
        UPDATE savings SET balance = balance + m WHERE savings.id = b;
        INSERT INTO moves (out_of, into_savings, amount) VALUES (a, b, m) RETURNING moves.id INTO id;
        INSERT INTO notes (move) VALUES (id);
        COMMIT;
    END LOOP; END $$;
";

const SWAPPER: &str = "
    DO $$ DECLARE g int := 0; BEGIN LOOP
        g := g + 1;
        CREATE TABLE new_one (n int PRIMARY KEY, generation int);
        INSERT INTO new_one SELECT n, g FROM generate_series(1, 1000) n;
        ALTER TABLE swapped RENAME TO old_one;
        ALTER TABLE new_one RENAME TO swapped;
        DROP TABLE old_one;
        ALTER INDEX new_one_pkey RENAME TO swapped_pkey;
        COMMIT;
        PERFORM pg_sleep(0.05);
        TRUNCATE emptied;
        INSERT INTO emptied SELECT n, g FROM generate_series(1, 1000) n;
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP; END $$;
";

/// What holds at any one moment, and at no mixture of two.
const LAWS: [(&str, &str); 7] = [
    (
        "the sum of all money",
        "SELECT (SELECT sum(balance) FROM checking) + (SELECT sum(balance) FROM savings) = 20000000",
    ),
    (
        "each account is what its moves made of it",
        "SELECT NOT EXISTS (SELECT FROM checking c WHERE balance <> 1000 - (SELECT coalesce(sum(amount), 0) FROM moves WHERE out_of = c.id)) AND \
         NOT EXISTS (SELECT FROM savings s WHERE balance <> 1000 + (SELECT coalesce(sum(amount), 0) FROM moves WHERE into_savings = s.id))",
    ),
    (
        "a note for each move",
        "SELECT (SELECT count(*) FROM moves) = (SELECT count(*) FROM notes) AND (SELECT count(*) FROM moves JOIN notes ON move = moves.id) = \
         (SELECT count(*) FROM moves) AND (SELECT count(*) FROM moves) > 0",
    ),
    (
        "sequences are not behind",
        "SELECT nextval('moves_id_seq') > max(id) AND nextval('moves_number_seq') > max(number) AND \
         (SELECT nextval('notes_id_seq') > max(id) FROM notes) FROM moves",
    ),
    (
        "the foreign keys are there",
        "SELECT count(*) = 3 AND bool_and(convalidated) FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace",
    ),
    (
        "the swapped table is one generation",
        "SELECT count(*) = 1000 AND count(DISTINCT generation) = 1 AND max(n) = 1000 FROM swapped",
    ),
    (
        "the emptied table is one generation",
        "SELECT count(*) = 1000 AND count(DISTINCT generation) = 1 AND max(n) = 1000 FROM emptied",
    ),
];

/// A `psql` that writes until it is dropped.
struct Writer(Child);

impl Writer {
    fn start(db: &Db<'_>, sql: &str) -> Result<Self> {
        let mut psql = db.server().client("psql", db.name())?;
        psql.env("PGOPTIONS", "-c search_path=tenant_one").args(["-X", "-q", "-c", sql]);
        Ok(Self(psql.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?))
    }

    /// It has to be at it still.
    fn check(&mut self) -> Result<()> {
        let Some(status) = self.0.try_wait()? else { return Ok(()) };
        let mut error = [0; 1_000];
        let read = std::io::Read::read(&mut self.0.stderr.take().context("no stderr")?, &mut error)?;
        anyhow::bail!("a writer has ended: {status} {}", String::from_utf8_lossy(error.get(..read).unwrap_or_default()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The server notices when its client is gone, at the latest with the database.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn an_export_among_writers_is_one_moment() -> Result<()> {
    let db = fresh_database("moment")?;
    let crm = crm(&db)?;
    crm.seed("one", BANK)?;
    let mut writers = Vec::new();
    for sql in [MOVER; 8].into_iter().chain([SWAPPER]) {
        writers.push(Writer::start(&db, sql)?);
    }
    wait_for_writers(&crm)?;
    for number in 0..4 {
        let moves = || Ok::<i64, anyhow::Error>(crm.query("one", "SELECT last_value FROM moves_id_seq")?.parse()?);
        let before = moves()?;
        let file = format!("{number}.tar.gz");
        crm.export("one", &file, &[])?.ends_with(0, &[])?;
        let during = moves()? - before;
        say(format!("export {number}: {during} moves meanwhile"));
        ensure!(during > 0, "nobody wrote during the export");
        writers.iter_mut().try_for_each(Writer::check)?;
    }
    drop(writers);
    db.server().kill_backends(db.name())?;
    for number in 0..4 {
        let app = format!("copy{number}");
        crm.restore(&format!("{number}.tar.gz"), &app, &ALL)?.ends_with(0, &[])?;
        for (law, query) in LAWS {
            ensure!(crm.query(&app, query)? == "t", "export {number}: {law}");
        }
    }
    Ok(())
}

fn wait_for_writers(crm: &Crm<'_>) -> Result<()> {
    let started = Instant::now();
    while crm.query("one", "SELECT (SELECT count(*) FROM moves) > 500 AND (SELECT max(generation) FROM emptied) > 1")?
        != "t"
    {
        ensure!(started.elapsed() < Duration::from_secs(20), "the writers do not write");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
