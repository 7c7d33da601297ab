//! The journal of imports: which are under way and how far, and which have landed and keep what they replaced.

use coffer_storage::{Import, ImportId, Landing};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Row, query, query_scalar};

use super::{Catalog, Worker, word};
use crate::name::AppName;
use crate::{Error, Result};

/// How far an import is. Each is noted before its first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Its rows and objects come in where nobody sees them.
    Loading,
    /// Objects whose keys the app does not have yet are being made visible.
    Publishing,
    /// The rows are being swapped: the mark in the target tells whether that came through.
    Swapping,
    /// It has come through, and the rest of the objects follows.
    Landed,
    /// It is done, and what it replaced is kept.
    Kept,
}

/// An import in the journal.
#[derive(Debug, Clone)]
pub(crate) struct Journaled {
    /// What its stores know it by.
    pub(crate) import: Import,
    /// The app.
    pub(crate) app: AppName,
    /// Where the app was.
    pub(crate) place: String,
    /// How far it is.
    pub(crate) phase: Phase,
    /// What tells whether the swap came through.
    pub(crate) mark: String,
    /// Of an undo: the import whose replaced app comes back.
    pub(crate) brings_back: Option<ImportId>,
    /// When it landed.
    pub(crate) landed: Option<Timestamp>,
    /// How long what it replaces is kept, in seconds.
    pub(crate) keep_seconds: i64,
    /// What is kept, in bytes.
    pub(crate) kept_bytes: u64,
    /// Who is at it.
    pub(crate) worker: String,
}

impl Journaled {
    /// Until when what it replaced is kept.
    pub(crate) fn kept_until(&self) -> Option<Timestamp> {
        let until = self.landed?.as_millisecond().saturating_add(self.keep_seconds.saturating_mul(1_000));
        Some(Timestamp::from_millisecond(until).unwrap_or(Timestamp::MAX))
    }
}

impl Catalog {
    /// Notes an import that begins now. Where another one of the app is under way, gives that one.
    ///
    /// # Errors
    /// [`Error::State`].
    pub(crate) async fn begin_import(&self, new: &Journaled) -> Result<Option<Journaled>> {
        let sql = "INSERT INTO imports (id, source, app, place, landing, phase, mark, brings_back, begun, keep_seconds, worker)
                   VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8, $9, $10) ON CONFLICT DO NOTHING";
        let insert = query(sql)
            .bind(new.import.id.to_string())
            .bind(new.app.source.to_string())
            .bind(new.app.app.to_string())
            .bind(new.place.clone())
            .bind(landing_word(new.import.landing))
            .bind(word(&Phase::Loading))
            .bind(new.brings_back.as_ref().map(ToString::to_string))
            .bind(Timestamp::now().as_second())
            .bind(new.keep_seconds)
            .bind(Worker::this().to_string());
        let inserted = insert.execute(&self.pool).await.map_err(|error| self.failed(error))?;
        if inserted.rows_affected() == 1 {
            return Ok(None);
        }
        let found = self.journal("SELECT * FROM imports WHERE source = $1 AND app = $2 AND phase <> 'kept'", &new.app);
        match found.await?.pop() {
            Some(other) => Ok(Some(other)),
            // It has ended between the two.
            None => Err(Error::Busy(format!("another import of {} has just ended: try again", new.app))),
        }
    }

    /// Notes the next phase of an import of this process, before its first step.
    ///
    /// # Errors
    /// [`Error::Busy`] where another process has taken it over; [`Error::State`].
    pub(crate) async fn import_goes_on(&self, id: &ImportId, phase: Phase, mark: &str) -> Result<()> {
        let sql = "UPDATE imports SET phase = $1, mark = $2 WHERE id = $3 AND worker = $4";
        let update = query(sql).bind(word(&phase)).bind(mark.to_owned()).bind(id.to_string());
        let done = update.bind(Worker::this().to_string()).execute(&self.pool).await;
        match done.map_err(|error| self.failed(error))?.rows_affected() {
            1 => Ok(()),
            _ => Err(Error::Busy(format!("import {id} has been taken over by another process"))),
        }
    }

    /// Notes that an import has come through, and gives when that was first noted.
    pub(crate) async fn import_landed(&self, id: &ImportId) -> Result<Timestamp> {
        let sql = "UPDATE imports SET phase = 'landed', landed = COALESCE(landed, $1) WHERE id = $2 RETURNING landed";
        let update = query_scalar::<_, i64>(sql).bind(Timestamp::now().as_millisecond()).bind(id.to_string());
        let landed = update.fetch_optional(&self.pool).await.map_err(|error| self.failed(error))?;
        let gone = || Error::Busy(format!("import {id} has been brought to its end by another process"));
        Ok(Timestamp::from_millisecond(landed.ok_or_else(gone)?).unwrap_or(Timestamp::MAX))
    }

    /// Notes that an import is done and what it replaced is kept.
    pub(crate) async fn import_keeps(&self, id: &ImportId, kept_bytes: u64) -> Result<()> {
        let sql = "UPDATE imports SET phase = 'kept', kept_bytes = $1, worker = '' WHERE id = $2";
        let update = query(sql).bind(i64::try_from(kept_bytes).unwrap_or(i64::MAX)).bind(id.to_string());
        update.execute(&self.pool).await.map(drop).map_err(|error| self.failed(error))
    }

    /// Forgets an import of which nothing is left to do.
    pub(crate) async fn end_import(&self, id: &ImportId) -> Result<()> {
        let delete = query("DELETE FROM imports WHERE id = $1").bind(id.to_string());
        delete.execute(&self.pool).await.map(drop).map_err(|error| self.failed(error))
    }

    /// Leaves an import to whoever comes next.
    pub(crate) async fn abandon_import(&self, id: &ImportId) -> Result<()> {
        let update = query("UPDATE imports SET worker = '' WHERE id = $1 AND worker = $2").bind(id.to_string());
        let update = update.bind(Worker::this().to_string());
        update.execute(&self.pool).await.map(drop).map_err(|error| self.failed(error))
    }

    /// Takes over an import whose process is gone; false where somebody was quicker, or it is not gone.
    pub(crate) async fn claim_import(&self, import: &Journaled) -> Result<bool> {
        if !self.is_gone(&import.worker).await? {
            return Ok(false);
        }
        let sql = "UPDATE imports SET worker = $1 WHERE id = $2 AND worker = $3";
        let update = query(sql).bind(Worker::this().to_string()).bind(import.import.id.to_string());
        let done = update.bind(import.worker.clone()).execute(&self.pool).await;
        Ok(done.map_err(|error| self.failed(error))?.rows_affected() == 1)
    }

    /// Imports that are under way, or were when their process ended.
    pub(crate) async fn imports_under_way(&self) -> Result<Vec<Journaled>> {
        let rows = query("SELECT * FROM imports WHERE phase <> 'kept' ORDER BY begun, id").fetch_all(&self.pool).await;
        rows.map_err(|error| self.failed(error))?.iter().map(|row| self.journaled(row)).collect()
    }

    /// Imports that keep what they replaced for no longer.
    pub(crate) async fn expired_imports(&self) -> Result<Vec<Journaled>> {
        let sql =
            "SELECT * FROM imports WHERE phase = 'kept' AND landed + keep_seconds * 1000 <= $1 ORDER BY begun, id";
        let rows = query(sql).bind(Timestamp::now().as_millisecond()).fetch_all(&self.pool).await;
        rows.map_err(|error| self.failed(error))?.iter().map(|row| self.journaled(row)).collect()
    }

    /// Imports of an app that keep what they replaced, the last to land first.
    pub(crate) async fn kept_imports(&self, app: &AppName) -> Result<Vec<Journaled>> {
        let sql = "SELECT * FROM imports WHERE source = $1 AND app = $2 AND phase = 'kept' ORDER BY landed DESC, id";
        self.journal(sql, app).await
    }

    async fn journal(&self, sql: &'static str, app: &AppName) -> Result<Vec<Journaled>> {
        let select = query(sql).bind(app.source.to_string()).bind(app.app.to_string());
        let rows = select.fetch_all(&self.pool).await.map_err(|error| self.failed(error))?;
        rows.iter().map(|row| self.journaled(row)).collect()
    }

    fn journaled(&self, row: &AnyRow) -> Result<Journaled> {
        read(row).map_err(|error| self.failed(error))
    }
}

const fn landing_word(landing: Landing) -> &'static str {
    match landing {
        Landing::New => "new",
        Landing::Replace => "replace",
    }
}

fn read(row: &AnyRow) -> sqlx::Result<Journaled> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let wrong = |what: &str| sqlx::Error::Decode(format!("a row of the journal has no {what}").into());
    let landing = match text("landing")?.as_str() {
        "new" => Landing::New,
        "replace" => Landing::Replace,
        _ => return Err(wrong("landing that is known")),
    };
    let id = ImportId::parse(&text("id")?).ok_or_else(|| wrong("id"))?;
    let app = format!("{}/{}", text("source")?, text("app")?);
    let brings_back = row.try_get::<Option<String>, _>("brings_back")?;
    let landed = row.try_get::<Option<i64>, _>("landed")?;
    Ok(Journaled {
        import: Import { id, landing },
        app: app.parse().map_err(|_| wrong("app"))?,
        place: text("place")?,
        phase: serde_json::from_value(text("phase")?.into()).map_err(|_| wrong("phase that is known"))?,
        mark: text("mark")?,
        brings_back: brings_back.as_deref().and_then(ImportId::parse),
        landed: landed.and_then(|landed| Timestamp::from_millisecond(landed).ok()),
        keep_seconds: row.try_get("keep_seconds")?,
        kept_bytes: row.try_get::<Option<i64>, _>("kept_bytes")?.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        worker: text("worker")?,
    })
}
