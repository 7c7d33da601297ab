//! Backups in the catalogue: attempts that run, those that failed, and archives that stand in vaults.

mod row;

use jiff::Timestamp;
use sqlx::{AnyConnection, query, query_as, query_scalar};

use super::connect::Kind;
use super::record::{Backup, BackupId, PREFIX, Place, Record, State, Trigger};
use super::{Catalog, Worker, word};
use crate::name::{AppName, Name};
use crate::{Error, Result};

const ID_DIGITS: usize = 32;
/// The fewest digits by which a backup can be named.
const FEWEST_DIGITS: usize = 6;

/// What became of the wish to delete a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is whoever asked that deletes it.
    Ours,
    /// It is the last good one of its app.
    LastGood,
    /// It is no good one, any more.
    NotGood,
}

/// A backup that begins.
pub struct Attempt<'a> {
    /// The id that its archive will have.
    pub id: BackupId,
    /// The app.
    pub app: &'a AppName,
    /// When it begins.
    pub created: Timestamp,
    /// What began it.
    pub trigger: Trigger,
}

/// Which backups are asked for; all by default, newest first.
#[derive(Debug, Clone, Default)]
pub struct BackupFilter {
    /// Of this source.
    pub source: Option<Name>,
    /// Of the app of this name.
    pub app: Option<Name>,
    /// In this state.
    pub state: Option<State>,
    /// None that failed, where no state is asked for.
    pub without_failed: bool,
    /// Of no later time.
    pub until: Option<Timestamp>,
    /// What a page before this one ended with.
    pub after: Option<(Timestamp, BackupId)>,
    /// At most so many; 0 is any number.
    pub limit: u32,
}

impl BackupFilter {
    /// The good ones of one app.
    #[must_use]
    pub fn good(app: &AppName) -> Self {
        let (source, app) = (Some(app.source.clone()), Some(app.app.clone()));
        Self { source, app, state: Some(State::Good), ..Self::default() }
    }
}

impl Catalog {
    /// Notes that a backup begins; false where another one of the app has begun in the same second: then it has to wait for the next,
    /// as times tell backups of an app apart and in which order they are.
    pub(crate) async fn begin(&self, attempt: &Attempt<'_>) -> Result<bool> {
        let mut change = self.pool.begin().await.map_err(|error| self.failed(error))?;
        self.lock_app(&mut change, attempt.app).await?;
        let sql = "INSERT INTO backups (id, source, app, created, state, started_by, worker)
                   SELECT $1, $2, $3, $4, 'running', $5, $6
                   WHERE NOT EXISTS (SELECT 1 FROM backups
                                     WHERE source = $2 AND app = $3 AND created = $4 AND state <> 'failed')";
        let insert = query(sql).bind(attempt.id.0.to_string()).bind(attempt.app.source.to_string());
        let insert = insert.bind(attempt.app.app.to_string()).bind(attempt.created.as_second());
        let insert = insert.bind(word(&attempt.trigger)).bind(Worker::this().to_string());
        let inserted = insert.execute(&mut *change).await.map_err(|error| self.failed(error))?;
        change.commit().await.map_err(|error| self.failed(error))?;
        Ok(inserted.rows_affected() == 1)
    }

    /// Keeps others from changing which backups an app has, until the change is over.
    async fn lock_app(&self, change: &mut AnyConnection, app: &AppName) -> Result<()> {
        if self.kind == Kind::Postgres {
            // SQLite has one writer at a time anyhow.
            let lock = query("SELECT pg_advisory_xact_lock(hashtext($1))").bind(format!("coffer {app}"));
            lock.execute(change).await.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// How many archives the catalogue knows in a vault.
    pub(crate) async fn count_in(&self, vault: &str) -> Result<i64> {
        let count = query_scalar::<_, i64>("SELECT count(*) FROM copies WHERE vault = $1").bind(vault.to_owned());
        count.fetch_one(&self.pool).await.map_err(|error| self.failed(error))
    }

    /// Notes that of an archive in a vault nothing is known for sure, as it is about to be written anew.
    pub(crate) async fn unsure(&self, id: BackupId, vault: &str) -> Result<()> {
        let sql = "UPDATE copies SET bytes = NULL, sha256 = NULL, recipients = NULL WHERE backup = $1 AND vault = $2";
        let update = query(sql).bind(id.0.to_string()).bind(vault.to_owned()).execute(&self.pool).await;
        update.map(drop).map_err(|error| self.failed(error))
    }

    /// Notes that an attempt failed.
    pub(crate) async fn fail(&self, id: BackupId, error: &str, milliseconds: Option<i64>) -> Result<()> {
        let sql = "UPDATE backups SET state = 'failed', error = $1, milliseconds = $2, worker = NULL
                   WHERE id = $3 AND state = 'running'";
        let update = query(sql).bind(error.to_owned()).bind(milliseconds).bind(id.0.to_string());
        update.execute(&self.pool).await.map_err(|error| self.failed(error)).map(drop)
    }

    /// Notes that an archive stands in a vault, and all that is known of it, whether anything was known of it before or not.
    pub(crate) async fn stands(&self, record: &Record, vault: &str, path: &str) -> Result<()> {
        let id = record.id()?;
        let mut change = self.pool.begin().await.map_err(|error| self.failed(error))?;
        let upsert = row::upsert(record)?;
        upsert.execute(&mut *change).await.map_err(|error| self.failed(error))?;
        let insert = row::upsert_place(id, &Place::of(record, vault, path));
        insert.execute(&mut *change).await.map_err(|error| self.failed(error))?;
        change.commit().await.map_err(|error| self.failed(error))
    }

    /// As [`Catalog::stands`], of a backup that is known to be good; false where it is not, any more.
    pub(crate) async fn stands_still(&self, record: &Record, vault: &str, path: &str) -> Result<bool> {
        let id = record.id()?;
        let mut change = self.pool.begin().await.map_err(|error| self.failed(error))?;
        // It locks the row, so that nobody deletes the backup before this is over.
        let known = query("UPDATE backups SET state = state WHERE id = $1 AND state = 'good'").bind(id.0.to_string());
        let known = known.execute(&mut *change).await.map_err(|error| self.failed(error))?;
        if known.rows_affected() == 0 {
            return Ok(false);
        }
        let (row, place) = (row::upsert(record)?, row::upsert_place(id, &Place::of(record, vault, path)));
        row.execute(&mut *change).await.map_err(|error| self.failed(error))?;
        place.execute(&mut *change).await.map_err(|error| self.failed(error))?;
        change.commit().await.map_err(|error| self.failed(error)).map(|()| true)
    }

    /// Claims a backup for deletion. Of two that would take the last good ones of an app away together, one is told that it is the last;
    /// one that none of `vaults` has does not count.
    pub(crate) async fn claim(&self, id: BackupId, app: &AppName, vaults: &[&str], force: bool) -> Result<Claim> {
        let mut change = self.pool.begin().await.map_err(|error| self.failed(error))?;
        self.lock_app(&mut change, app).await?;
        let sql = "UPDATE backups SET state = 'deleting', worker = $1 WHERE id = $2 AND state = 'good' AND ($3 = 1 OR EXISTS (
                       SELECT 1 FROM backups other JOIN copies ON copies.backup = other.id
                       WHERE other.source = $4 AND other.app = $5 AND other.state = 'good' AND other.id <> $2
                         AND replace($6, ',' || copies.vault || ',', '') <> $6))";
        let update = query(sql).bind(Worker::this().to_string()).bind(id.0.to_string()).bind(i64::from(force));
        let update = update.bind(app.source.to_string()).bind(app.app.to_string());
        let update = update.bind(format!(",{},", vaults.join(",")));
        let claimed = update.execute(&mut *change).await.map_err(|error| self.failed(error))?.rows_affected();
        let sql = "SELECT state FROM backups WHERE id = $1";
        let state = query_as::<_, (String,)>(sql).bind(id.0.to_string()).fetch_optional(&mut *change).await;
        let state = state.map_err(|error| self.failed(error))?;
        change.commit().await.map_err(|error| self.failed(error))?;
        Ok(match (claimed, state) {
            (1.., _) => Claim::Ours,
            (0, Some((state,))) if state == word(&State::Good) => Claim::LastGood,
            (0, _) => Claim::NotGood,
        })
    }

    /// Whether somebody is deleting a backup.
    pub(crate) async fn is_being_deleted(&self, id: BackupId) -> Result<bool> {
        let sql = "SELECT 1 FROM backups WHERE id = $1 AND state = 'deleting'";
        let found = query(sql).bind(id.0.to_string()).fetch_optional(&self.pool).await;
        found.map(|found| found.is_some()).map_err(|error| self.failed(error))
    }

    /// Makes a backup a good one again that was not deleted after all.
    pub(crate) async fn unclaim(&self, id: BackupId) -> Result<()> {
        let sql = "UPDATE backups SET state = 'good', worker = NULL WHERE id = $1 AND state = 'deleting'";
        let update = query(sql).bind(id.0.to_string()).execute(&self.pool).await;
        update.map(drop).map_err(|error| self.failed(error))
    }

    /// Forgets that an archive stands in a vault; and all of the backup where it was the last one.
    pub(crate) async fn gone(&self, id: BackupId, vault: &str) -> Result<()> {
        let mut change = self.pool.begin().await.map_err(|error| self.failed(error))?;
        // It locks the row: of two who take its last copies away, one sees that there is none.
        let lock = query("UPDATE backups SET state = state WHERE id = $1").bind(id.0.to_string());
        lock.execute(&mut *change).await.map_err(|error| self.failed(error))?;
        let delete = query("DELETE FROM copies WHERE backup = $1 AND vault = $2");
        let delete = delete.bind(id.0.to_string()).bind(vault.to_owned());
        delete.execute(&mut *change).await.map_err(|error| self.failed(error))?;
        let sql = "DELETE FROM backups WHERE id = $1 AND state <> 'running'
                   AND NOT EXISTS (SELECT 1 FROM copies WHERE backup = $1)";
        query(sql).bind(id.0.to_string()).execute(&mut *change).await.map_err(|error| self.failed(error))?;
        change.commit().await.map_err(|error| self.failed(error))
    }

    /// Forgets failed attempts of before `before`. Tells how many.
    pub(crate) async fn forget_failed(&self, before: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM backups WHERE state = 'failed' AND created < $1";
        let deleted = query(sql).bind(before.as_second()).execute(&self.pool).await;
        deleted.map(|done| done.rows_affected()).map_err(|error| self.failed(error))
    }

    /// The attempts whose process has ended before they did.
    pub(crate) async fn dead_attempts(&self) -> Result<Vec<Backup>> {
        self.of_gone_workers(State::Running).await
    }

    /// The backups whose deletion was begun by a process that has ended since.
    pub(crate) async fn half_deleted(&self) -> Result<Vec<Backup>> {
        self.of_gone_workers(State::Deleting).await
    }

    async fn of_gone_workers(&self, state: State) -> Result<Vec<Backup>> {
        let filter = BackupFilter { state: Some(state), ..BackupFilter::default() };
        let mut left = Vec::new();
        for backup in self.backups(&filter).await? {
            let worker = query_as::<_, (String,)>("SELECT worker FROM backups WHERE id = $1 AND worker IS NOT NULL");
            let worker = worker.bind(backup.record.id()?.0.to_string()).fetch_optional(&self.pool).await;
            match worker.map_err(|error| self.failed(error))? {
                Some((worker,)) if !self.is_gone(&worker).await? => {}
                _ => left.push(backup),
            }
        }
        Ok(left)
    }

    /// The backups that are asked for, newest first.
    ///
    /// # Errors
    /// [`Error::State`].
    pub async fn backups(&self, filter: &BackupFilter) -> Result<Vec<Backup>> {
        row::select(filter).fetch_all(&self.pool).await.map_err(|error| self.failed(error)).and_then(row::join)
    }

    /// The backup that `text` names: its id, or the beginning of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Usage`] where several begin so.
    pub async fn backup(&self, text: &str) -> Result<Backup> {
        let digits = text.strip_prefix(PREFIX).unwrap_or(text);
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if !is_hex || !(FEWEST_DIGITS..=ID_DIGITS).contains(&digits.len()) {
            return Err(Error::Usage(format!(
                "{text:?} is no id of a backup: bk_ and 32 digits from 0 to f, or at least the first {FEWEST_DIGITS} of them"
            )));
        }
        let rows = row::select_by_beginning(digits).fetch_all(&self.pool).await.map_err(|error| self.failed(error))?;
        let mut found = row::join(rows)?;
        match found.len() {
            0 => Err(Error::NotFound(format!(
                "the catalogue has no backup {text}: `coffer backups list` shows those there are, and `coffer backups rescan` \
                 takes up what stands in the vaults"
            ))),
            1 => Ok(found.remove(0)),
            _ => Err(Error::Usage(format!("several backups begin with {text}: give more of the id"))),
        }
    }

    /// The apps of which there are good backups.
    ///
    /// # Errors
    /// [`Error::State`].
    pub async fn apps(&self) -> Result<Vec<AppName>> {
        let sql = "SELECT DISTINCT source, app FROM backups WHERE state = 'good' ORDER BY source, app";
        let rows = query_as::<_, (String, String)>(sql).fetch_all(&self.pool).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        rows.into_iter().map(|(source, app)| Ok(AppName { source: source.parse()?, app: app.parse()? })).collect()
    }
}
