//! A sample app: rows that look like rows, and files of many sizes, the same at every run.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, params};

use crate::{Error, Result};

const ROW_BYTES: u64 = 200;
const LARGEST_FILE: u64 = 4 << 20;
const WORDS: [&str; 16] = [
    "invoice", "river", "garden", "northern", "quiet", "ledger", "copper", "meeting", "travel", "lantern", "orchard",
    "signal", "paper", "winter", "harbour", "market",
];
const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE author (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
    CREATE TABLE note (
        id INTEGER PRIMARY KEY, author INTEGER NOT NULL REFERENCES author, created TEXT NOT NULL, title TEXT,
        body TEXT, score REAL, tag BLOB, words INTEGER GENERATED ALWAYS AS (length(body)) VIRTUAL
    );
    CREATE VIEW recent AS SELECT title, created FROM note ORDER BY created DESC LIMIT 10;
    PRAGMA user_version = 7;";

/// Makes the app: half of `size` in rows, half in files.
pub(super) fn make(root: &Path, size: u64) -> Result<()> {
    let mut random = Random(0x5eed);
    fs::create_dir_all(root.join("files")).map_err(|error| Error::file("making the sample app", error))?;
    make_rows(&root.join("data.db"), size / 2 / ROW_BYTES, &mut random).map_err(|error| {
        Error::Storage(coffer_storage::Error::Sqlite { what: "making the sample app".into(), source: error })
    })?;
    make_files(&root.join("files"), size / 2, &mut random).map_err(|error| Error::file("making the sample app", error))
}

fn make_rows(path: &Path, rows: u64, random: &mut Random) -> rusqlite::Result<()> {
    let mut database = Connection::open(path)?;
    database.execute_batch(SCHEMA)?;
    let transaction = database.transaction()?;
    for author in 0..100 {
        transaction.execute("INSERT INTO author (name) VALUES (?)", [format!("author {author}")])?;
    }
    let mut insert =
        transaction.prepare("INSERT INTO note (author, created, title, body, score, tag) VALUES (?, ?, ?, ?, ?, ?)")?;
    for row in 0..rows {
        let created = format!("2026-{:02}-{:02}T{:02}:00:00Z", row % 12 + 1, row % 28 + 1, row % 24);
        let (title, body) = (random.text(3), random.text(14));
        let author = i64::try_from(random.below(100)).unwrap_or(0) + 1;
        // A figure of at most six digits: exact.
        let score = random.below(1_000_000) as f64 / 1_000.0;
        insert.execute(params![author, created, title, body, score, random.bytes(16)])?;
    }
    drop(insert);
    transaction.execute_batch("CREATE INDEX note_by_author ON note (author, created DESC)")?;
    transaction.commit()
}

fn make_files(folder: &Path, size: u64, random: &mut Random) -> std::io::Result<()> {
    let names = ["report.txt", "photo 1.jpg", "naïve café.md", "100%.csv", "emoji 🦀.bin"];
    let mut left = size;
    for number in 0_u64.. {
        let length = (1 << (10 + random.below(13))).min(LARGEST_FILE).min(left);
        let name = names.get(usize::try_from(number % 5).unwrap_or(0)).copied().unwrap_or("file");
        let folder = folder.join(format!("{:03}", number / 50));
        fs::create_dir_all(&folder)?;
        let content = if number % 2 == 0 { random.bytes(length) } else { random.text(length / 8).into_bytes() };
        fs::write(folder.join(format!("{number:05} {name}")), content)?;
        left -= length;
        if left == 0 {
            break;
        }
    }
    Ok(())
}

/// xorshift64*: the same bytes at every run, and nothing to keep a secret with.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 8) % bound
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length.div_ceil(8))
            .flat_map(|_| self.next().to_le_bytes())
            .take(usize::try_from(length).unwrap_or(0))
            .collect()
    }

    fn text(&mut self, words: u64) -> String {
        let mut text = String::new();
        for _ in 0..words {
            let word = usize::try_from(self.below(16)).unwrap_or(0);
            text.push_str(WORDS.get(word).copied().unwrap_or_default());
            text.push(' ');
        }
        text
    }
}
