//! Jobs: work that goes on without whoever asked for it, a few at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::catalog::{BackupId, Catalog, Job, JobKind, JobState, NewJob};
use crate::http::Problem;
use crate::name::AppName;
use crate::pipeline::{Cancel, Direction, Transfer};
use crate::{Error, Result};

/// How often it is noted how far a job is.
const NOTED: Duration = Duration::from_secs(1);

/// How often somebody who waits for the last of them looks.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often, and after which pause, it is tried to note that a job has ended: whoever waits for it must not wait for ever.
const NOTE_TRIES: u32 = 200;
const NOTE_PAUSE: Duration = Duration::from_secs(3);

/// The jobs of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Jobs {
    catalog: Catalog,
    turns: Arc<Semaphore>,
    under_way: Arc<Mutex<HashMap<String, Arc<Transfer>>>>,
}

/// A job that is asked for.
pub(crate) struct Asked<'a> {
    pub(crate) kind: JobKind,
    pub(crate) app: &'a AppName,
    pub(crate) backup: BackupId,
    /// What was asked for.
    pub(crate) request: String,
    /// What its client calls it by: the same again is the same job.
    pub(crate) request_key: Option<&'a str>,
}

impl Jobs {
    /// Jobs of which so many run at once. Those that a process which is gone has left are failed ones from now on.
    pub(crate) async fn new(catalog: Catalog, at_once: usize) -> Result<Self> {
        let jobs = Self { catalog, turns: Arc::new(Semaphore::new(at_once)), under_way: Arc::default() };
        jobs.end_dead().await?;
        Ok(jobs)
    }

    /// Waits until none is under way, the note of its end included.
    pub(crate) async fn all_ended(&self) {
        while !self.lock().is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Sees to jobs whose process has ended: they are failed ones.
    pub(crate) async fn end_dead(&self) -> Result<()> {
        self.catalog.end_dead_jobs(&told(&lost())).await
    }

    /// Notes a job and begins it in its turn; `begun` hears of its transfer. Where the same was asked for before, it is that job.
    pub(crate) async fn begin<W>(
        &self,
        asked: Asked<'_>,
        begun: impl FnOnce(&Arc<Transfer>),
        work: impl FnOnce(Arc<Transfer>) -> W + Send + 'static,
    ) -> Result<Job>
    where
        W: Future<Output = Result<Value>> + Send + 'static,
    {
        let Asked { kind, app, backup, request, request_key } = asked;
        let direction = match kind {
            JobKind::Backup => Direction::Export,
            JobKind::Restore => Direction::Import,
        };
        let transfer = Transfer::begin(direction, Some(app.clone()))?;
        let id = transfer.id().replacen("tr_", "job_", 1);
        let new = NewJob { id: id.clone(), kind, app, backup, request, request_key };
        if let Some(known) = self.catalog.add_job(&new).await? {
            return Ok(known);
        }
        begun(&transfer);
        self.lock().insert(id.clone(), Arc::clone(&transfer));
        let (jobs, job) = (self.clone(), id.clone());
        tokio::spawn(async move {
            let ended = jobs.run(&job, &transfer, work).await;
            let problem = ended.as_ref().err().map(told);
            let (state, note) = match (&ended, transfer.cancelled()) {
                (Ok(result), _) => (JobState::Done, result.clone()),
                (Err(_), Some(Cancel::Stopping)) => (JobState::Failed, told(&lost())),
                (Err(_), Some(_)) => (JobState::Cancelled, problem.unwrap_or_default()),
                (Err(_), None) => (JobState::Failed, problem.unwrap_or_default()),
            };
            for tries in 1..=NOTE_TRIES {
                match jobs.catalog.job_ends(&job, state, Some(transfer.bytes()), &note).await {
                    Ok(()) => break,
                    Err(error) => tracing::error!(job, tries, %error, "the end of a job could not be noted"),
                }
                if transfer.cancelled() == Some(Cancel::Stopping) {
                    break;
                }
                tokio::time::sleep(NOTE_PAUSE).await;
            }
            jobs.lock().remove(&job);
            // Whoever waits for the transfers waits for the note, too.
            transfer.end(ended.as_ref().err());
        });
        self.catalog.job(&id).await
    }

    async fn run<W>(&self, id: &str, transfer: &Arc<Transfer>, work: impl FnOnce(Arc<Transfer>) -> W) -> Result<Value>
    where
        W: Future<Output = Result<Value>>,
    {
        let turn = async { Ok(self.turns.acquire().await) };
        let _turn = transfer.or_cancelled(turn).await?.map_err(|_| Error::StageLost)?;
        transfer.start_now();
        // Beside the work: a database that does not answer must not keep it.
        let noting = tokio::spawn(note(self.catalog.clone(), id.to_owned(), Arc::clone(transfer)));
        let done = work(Arc::clone(transfer)).await;
        noting.abort();
        done
    }

    /// Ends a job: where it runs it cleans up behind itself.
    pub(crate) async fn cancel(&self, id: &str) -> Result<Job> {
        let job = self.catalog.job(id).await?;
        let transfer = self.lock().get(id).cloned();
        match transfer {
            Some(transfer) => transfer.cancel(Cancel::Asked),
            None if matches!(job.state, JobState::Queued | JobState::Running) => {
                return Err(Error::Busy(format!("job {id} runs in another process of the service: ask that one")));
            }
            None => {}
        }
        Ok(job)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Transfer>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes again and again how far a job is.
async fn note(catalog: Catalog, id: String, transfer: Arc<Transfer>) {
    loop {
        if let Err(error) = catalog.job_goes_on(&id, transfer.bytes()).await {
            tracing::warn!(job = id, %error, "how far a job is could not be noted");
        }
        tokio::time::sleep(NOTED).await;
    }
}

fn lost() -> Error {
    Error::Stopped("the service that ran it was stopped before it was done: ask for it again")
}

fn told(error: &Error) -> Value {
    serde_json::to_value(Problem::from(error)).unwrap_or_default()
}
