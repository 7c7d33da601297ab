//! A word to a thread that nobody waits for its work any longer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rusqlite::Connection;

/// How many of SQLite's instructions pass between two looks at the flag: microseconds, unless a stranger's expressions are in them.
const LOOK_EVERY: i32 = 128;

/// Stops the thread's statement when it is dropped.
#[derive(Debug, Default)]
pub(super) struct StopOnDrop(Arc<AtomicBool>);

impl StopOnDrop {
    /// The thread's end of it.
    pub(super) fn flag(&self) -> StopFlag {
        StopFlag(self.0.clone())
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The thread's end of a [`StopOnDrop`].
#[derive(Clone, Debug)]
pub(super) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Makes each running statement of `connection` end with an error once the word has come.
    pub(super) fn watch(&self, connection: &Connection) -> rusqlite::Result<()> {
        let flag = self.0.clone();
        connection.progress_handler(LOOK_EVERY, Some(move || flag.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_whatever_a_load_does_with_its_rows() {
        let connection = Connection::open_in_memory().unwrap();
        let fill = "CREATE TABLE t (a); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
                    INSERT INTO t SELECT randomblob(5000) FROM n";
        connection.execute_batch(fill).unwrap();
        let stop = StopOnDrop::default();
        stop.flag().watch(&connection).unwrap();
        let all = ["PRAGMA quick_check(1)", "SELECT a FROM t NOT INDEXED", "CREATE INDEX i ON t (length(hex(a)))"];
        let run = |sql: &str| {
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok::<_, rusqlite::Error>(())
        };
        all.iter().for_each(|sql| run(sql).unwrap());
        connection.execute_batch("DROP INDEX i").unwrap();
        drop(stop);
        for sql in all {
            let code = run(sql).unwrap_err().sqlite_error_code();
            assert_eq!(code, Some(rusqlite::ErrorCode::OperationInterrupted), "{sql}");
        }
    }
}
