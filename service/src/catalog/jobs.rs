//! Jobs in the catalogue: what somebody asked for over REST, and what came of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{Row, query, query_as};

use super::{BackupId, Catalog, Worker, word};
use crate::name::AppName;
use crate::{Error, Result};

/// The most that are given at once.
const PAGE: i64 = 1_000;
/// How long ended jobs are remembered, in seconds.
const REMEMBERED_SECONDS: i64 = 30 * 86_400;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// An app into the vault.
    Backup,
    /// A backup into an app.
    Restore,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It waits for its turn.
    Queued,
    /// It runs.
    Running,
    /// It did what it was asked for.
    Done,
    /// It came to nothing.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

/// A job.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// What it does.
    pub kind: JobKind,
    /// The source of the app.
    pub source: String,
    /// The app that is backed up, or restored into.
    pub app: String,
    /// The backup that is made or restored.
    pub backup: Option<String>,
    /// How it stands.
    pub state: JobState,
    /// When it was asked for, RFC 3339.
    pub created: String,
    /// When it ended.
    pub finished: Option<String>,
    /// Bytes of the archive that have passed.
    pub bytes: u64,
    /// What came of it.
    pub result: Option<Value>,
    /// Why it failed, as RFC 9457 has it.
    pub error: Option<Value>,
}

/// A job that is asked for.
pub struct NewJob<'a> {
    /// Its id.
    pub id: String,
    /// What it does.
    pub kind: JobKind,
    /// The app.
    pub app: &'a AppName,
    /// The backup that is made or restored.
    pub backup: BackupId,
    /// What was asked for.
    pub request: String,
    /// What its client calls it by: the same again is the same job.
    pub request_key: Option<&'a str>,
}

impl Catalog {
    /// Notes a job; where one of the same request key is known, gives that one in its place.
    pub(crate) async fn add_job(&self, job: &NewJob<'_>) -> Result<Option<Job>> {
        let now = Timestamp::now().as_second();
        self.forget_jobs(now - REMEMBERED_SECONDS).await?;
        let sql =
            "INSERT INTO jobs (id, kind, source, app, backup, state, created, bytes, request_key, worker, request)
                   VALUES ($1, $2, $3, $4, $5, 'queued', $6, 0, $7, $8, $9) ON CONFLICT DO NOTHING";
        let insert = query(sql)
            .bind(job.id.clone())
            .bind(word(&job.kind))
            .bind(job.app.source.to_string())
            .bind(job.app.app.to_string())
            .bind(job.backup.to_string())
            .bind(now)
            .bind(job.request_key.map(str::to_owned))
            .bind(Worker::this().to_string())
            .bind(job.request.clone());
        let inserted = insert.execute(&self.pool).await.map_err(|error| self.failed(error))?;
        if inserted.rows_affected() == 1 {
            return Ok(None);
        }
        let sql = "SELECT * FROM jobs WHERE kind = $1 AND source = $2 AND app = $3 AND request_key = $4";
        let select = query(sql).bind(word(&job.kind)).bind(job.app.source.to_string());
        let select = select.bind(job.app.app.to_string()).bind(job.request_key.unwrap_or_default().to_owned());
        let row = select.fetch_one(&self.pool).await.map_err(|error| self.failed(error))?;
        let request: String = row.try_get("request").map_err(|error| self.failed(error))?;
        if request != job.request {
            return Err(Error::KeyReused);
        }
        self.read(&row).map(Some)
    }

    async fn forget_jobs(&self, before: i64) -> Result<()> {
        let sql = "DELETE FROM jobs WHERE finished < $1";
        query(sql).bind(before).execute(&self.pool).await.map_err(|error| self.failed(error)).map(drop)
    }

    /// Notes how far a job is.
    pub(crate) async fn job_goes_on(&self, id: &str, bytes: u64) -> Result<()> {
        let sql = "UPDATE jobs SET state = 'running', bytes = $1 WHERE id = $2 AND finished IS NULL";
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let update = query(sql).bind(bytes).bind(id.to_owned());
        update.execute(&self.pool).await.map_err(|error| self.failed(error)).map(drop)
    }

    /// Notes how a job ended; the first word counts.
    pub(crate) async fn job_ends(&self, id: &str, state: JobState, bytes: Option<u64>, told: &Value) -> Result<()> {
        let sql = "UPDATE jobs SET state = $1, finished = $2, bytes = COALESCE($3, bytes), result = $4, error = $5
                   WHERE id = $6 AND finished IS NULL";
        let (result, error) = match state {
            JobState::Done => (Some(told.to_string()), None),
            _ => (None, Some(told.to_string())),
        };
        let update = query(sql).bind(word(&state)).bind(Timestamp::now().as_second());
        let bytes = bytes.and_then(|bytes| i64::try_from(bytes).ok());
        let update = update.bind(bytes).bind(result).bind(error).bind(id.to_owned());
        update.execute(&self.pool).await.map_err(|error| self.failed(error)).map(drop)
    }

    /// Jobs that have not ended and whose process has: they are failed ones from now on.
    pub(crate) async fn end_dead_jobs(&self, told: &Value) -> Result<()> {
        let sql = "SELECT id, worker FROM jobs WHERE finished IS NULL";
        let open = query_as::<_, (String, String)>(sql).fetch_all(&self.pool).await;
        for (id, worker) in open.map_err(|error| self.failed(error))? {
            if self.is_gone(&worker).await? {
                self.job_ends(&id, JobState::Failed, None, told).await?;
            }
        }
        Ok(())
    }

    /// A job.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn job(&self, id: &str) -> Result<Job> {
        let row = query("SELECT * FROM jobs WHERE id = $1").bind(id.to_owned()).fetch_optional(&self.pool).await;
        match row.map_err(|error| self.failed(error))? {
            Some(row) => self.read(&row),
            None => Err(Error::NotFound(format!("there is no job {id:?}; ended ones are remembered for 30 days"))),
        }
    }

    /// The last thousand jobs, newest first.
    ///
    /// # Errors
    /// [`Error::State`].
    pub async fn jobs(&self) -> Result<Vec<Job>> {
        let sql = "SELECT * FROM jobs ORDER BY created DESC, id DESC LIMIT $1";
        let rows = query(sql).bind(PAGE).fetch_all(&self.pool).await.map_err(|error| self.failed(error))?;
        rows.iter().map(|row| self.read(row)).collect()
    }

    fn read(&self, row: &AnyRow) -> Result<Job> {
        read(row).map_err(|error| self.failed(error))
    }
}

fn read(row: &AnyRow) -> sqlx::Result<Job> {
    let time = |seconds: i64| format!("{:.0}", Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH));
    let json = |column: &str| {
        let text: Option<String> = row.try_get(column)?;
        Ok::<Option<Value>, sqlx::Error>(text.and_then(|text| serde_json::from_str(&text).ok()))
    };
    Ok(Job {
        id: row.try_get("id")?,
        kind: value(row, "kind")?,
        source: row.try_get("source")?,
        app: row.try_get("app")?,
        backup: row.try_get("backup")?,
        state: value(row, "state")?,
        created: time(row.try_get("created")?),
        finished: row.try_get::<Option<i64>, _>("finished")?.map(time),
        bytes: u64::try_from(row.try_get::<i64, _>("bytes")?).unwrap_or_default(),
        result: json("result")?,
        error: json("error")?,
    })
}

fn value<T: serde::de::DeserializeOwned>(row: &AnyRow, column: &str) -> sqlx::Result<T> {
    let word: String = row.try_get(column)?;
    serde_json::from_value(Value::String(word)).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
