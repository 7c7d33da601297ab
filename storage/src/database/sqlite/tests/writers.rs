//! Others write all the time: each of their commits is in what was kept, or comes after the swap.

use std::{
    collections::BTreeSet,
    io::Write,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64},
    },
    thread,
};

use super::*;

const SHAPE: &str = "CREATE TABLE log (n INTEGER PRIMARY KEY); CREATE TABLE bulk (a);";

fn numbers(path: &Path) -> BTreeSet<i64> {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    let mut statement = connection.prepare("SELECT n FROM log").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

fn fill(megabytes: u32) -> String {
    format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {megabytes}) INSERT INTO bulk SELECT randomblob(1000000) FROM n;"
    )
}

struct Writer {
    last: Arc<AtomicI64>,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Duration>,
}

impl Writer {
    /// Commits the next number again and again. Its thread says how long the longest commit took.
    fn start(path: &Path, first: i64) -> Self {
        let (last, stop) = (Arc::new(AtomicI64::new(first - 1)), Arc::new(AtomicBool::new(false)));
        let (path, told, stopped) = (path.to_owned(), last.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let connection = Connection::open(path).unwrap();
            connection.busy_timeout(Duration::from_secs(20)).unwrap();
            let mut longest = Duration::ZERO;
            for number in first.. {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let started = Instant::now();
                connection.execute("INSERT INTO log VALUES (?1)", [number]).unwrap();
                longest = longest.max(started.elapsed());
                told.store(number, Ordering::SeqCst);
                // One who hardly pauses keeps others waiting for seconds, without us.
                thread::sleep(Duration::from_millis(15));
            }
            longest
        });
        Self { last, stop, thread }
    }

    fn end(self) -> (i64, Duration) {
        self.stop.store(true, Ordering::SeqCst);
        let longest = self.thread.join().unwrap();
        (self.last.load(Ordering::SeqCst), longest)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_commit_is_lost_and_nobody_waits_for_long() {
    for (mode, megabytes) in [("WAL", 1), ("DELETE", 1), ("WAL", 48), ("DELETE", 48)] {
        let bench = Bench::new();
        let from = bench.seeded(&format!("{SHAPE}{}", fill(megabytes)));
        let to = bench.seeded(&format!("PRAGMA journal_mode = {mode}; {SHAPE}{}", fill(megabytes)));
        let mut first = 1;
        for round in 0..4 {
            let writer = Writer::start(&to, first);
            let reader_stops = Arc::new(AtomicBool::new(false));
            let (path, stopped) = (to.clone(), reader_stops.clone());
            let reader = thread::spawn(move || {
                let connection = Connection::open(path).unwrap();
                connection.busy_timeout(Duration::from_secs(20)).unwrap();
                let mut longest = Duration::ZERO;
                while !stopped.load(Ordering::SeqCst) {
                    let started = Instant::now();
                    let _: i64 = connection.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
                    longest = longest.max(started.elapsed());
                    thread::sleep(Duration::from_millis(1));
                }
                longest
            });
            let before = numbers(&to);
            let id = replace(&from, &to).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            let (last, slowest_commit) = writer.end();
            reader_stops.store(true, Ordering::SeqCst);
            let slowest_read = reader.join().unwrap();
            let kept = to.with_file_name(format!(".data.db.coffer-replaced-{id}"));
            let (aside, live) = (numbers(&kept), numbers(&to));
            assert!(before.is_subset(&aside));
            assert!(aside.is_disjoint(&live), "{mode} {round}");
            let all: BTreeSet<_> = aside.union(&live).copied().filter(|number| *number >= first).collect();
            assert_eq!(all, (first..=last).collect(), "{mode} {round}");
            assert!(!live.is_empty());
            eprintln!(
                "{mode} {megabytes} MB, {round}: {} commits before and {} after; the slowest waited {slowest_commit:?}, a reader {slowest_read:?}",
                aside.len(),
                live.len()
            );
            // Two seconds is what is meant; a machine that does much else may take longer for the copy itself.
            assert!(slowest_commit.max(slowest_read) < Duration::from_secs(15));
            first = last + 1;
            is_whole(&to);
            is_whole(&kept);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_processes_go_on_writing() {
    const COMMITS: i64 = 3_000;
    for mode in ["WAL", "DELETE"] {
        let bench = Bench::new();
        let from = bench.seeded(&format!("{SHAPE}{}", fill(2)));
        let to = bench.seeded(&format!("PRAGMA journal_mode = {mode}; {SHAPE}{}", fill(2)));
        let shell =
            Command::new("sqlite3").arg(&to).stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn();
        let Ok(mut shell) = shell else { return };
        let mut input = shell.stdin.take().unwrap();
        let feeder = thread::spawn(move || {
            writeln!(input, ".timeout 20000\n.bail on\nPRAGMA synchronous = OFF;").unwrap();
            for number in 1..=COMMITS {
                writeln!(input, "INSERT INTO log VALUES ({number});").unwrap();
            }
        });
        let mut kept = BTreeSet::new();
        for _ in 0..3 {
            let id = replace(&from, &to).await.unwrap();
            let aside = numbers(&to.with_file_name(format!(".data.db.coffer-replaced-{id}")));
            assert!(kept.is_disjoint(&aside));
            kept.extend(aside);
        }
        feeder.join().unwrap();
        let output = shell.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let live = numbers(&to);
        assert!(kept.is_disjoint(&live));
        kept.extend(live);
        assert_eq!(kept, (1..=COMMITS).collect(), "{mode}");
        is_whole(&to);
    }
}
