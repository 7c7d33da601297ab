//! Who runs something, so that others can tell whether he is still there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::getpid;
use sqlx::{query, query_scalar};
use tokio::task::AbortHandle;

use super::Catalog;
use super::connect::Kind;
use crate::Result;

/// How long a process of another machine may be silent, in seconds.
const SILENCE_SECONDS: i64 = 60;
/// How often each says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Says every few seconds that this process is there, until it is dropped.
pub(super) struct Heartbeat(AbortHandle);

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Catalog {
    /// Says that this process is there, now and every few seconds.
    pub(super) async fn heartbeat(&self) -> Result<Heartbeat> {
        self.forget_silent().await?;
        self.say_there().await?;
        let catalog = self.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(HEARTBEAT).await;
                if let Err(error) = catalog.say_there().await {
                    tracing::warn!(%error, "others could not be told that this process is there");
                }
            }
        });
        Ok(Heartbeat(task.abort_handle()))
    }

    /// Forgets processes that have been silent for a day.
    async fn forget_silent(&self) -> Result<()> {
        let sql = match self.kind {
            Kind::Sqlite => "DELETE FROM workers WHERE seen < unixepoch() - 86400",
            Kind::Postgres => "DELETE FROM workers WHERE seen < CAST(EXTRACT(EPOCH FROM now()) AS BIGINT) - 86400",
        };
        query(sql).execute(&self.pool).await.map(drop).map_err(|error| self.failed(error))
    }

    async fn say_there(&self) -> Result<()> {
        let sql = match self.kind {
            Kind::Sqlite => {
                "INSERT INTO workers (worker, seen) VALUES ($1, unixepoch())
                 ON CONFLICT (worker) DO UPDATE SET seen = excluded.seen"
            }
            Kind::Postgres => {
                "INSERT INTO workers (worker, seen) VALUES ($1, CAST(EXTRACT(EPOCH FROM now()) AS BIGINT))
                 ON CONFLICT (worker) DO UPDATE SET seen = excluded.seen"
            }
        };
        let told = query(sql).bind(Worker::this().to_string()).execute(&self.pool).await;
        told.map(drop).map_err(|error| self.failed(error))
    }

    /// Whether a process has ended. One of this machine is looked for; one elsewhere is taken for ended once it has been silent for a
    /// minute.
    pub(crate) async fn is_gone(&self, worker: &str) -> Result<bool> {
        if let Some(has_ended) = Worker::has_ended(worker) {
            return Ok(has_ended);
        }
        let sql = match self.kind {
            Kind::Sqlite => "SELECT unixepoch() - seen FROM workers WHERE worker = $1",
            Kind::Postgres => "SELECT CAST(EXTRACT(EPOCH FROM now()) AS BIGINT) - seen FROM workers WHERE worker = $1",
        };
        let silent = query_scalar::<_, i64>(sql).bind(worker.to_owned()).fetch_optional(&self.pool).await;
        Ok(silent.map_err(|error| self.failed(error))?.is_none_or(|seconds| seconds > SILENCE_SECONDS))
    }
}

/// A process: its machine, the boot of that, its namespace of process ids, its id, and when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Worker {
    machine: String,
    pid: i32,
    began: String,
}

impl Worker {
    /// This process.
    #[must_use]
    pub(super) fn this() -> Self {
        let pid = getpid().as_raw_nonzero().get();
        Self { machine: machine(), pid, began: began(pid).unwrap_or_default() }
    }

    /// Reads what [`Worker::to_string`] wrote.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, ' ');
        let (began, pid, machine) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { machine: machine.to_owned(), pid: pid.parse().ok()?, began: began.to_owned() })
    }

    /// Whether the process that wrote `text` has ended; none where it is one of another machine, of which nothing can be seen from here.
    fn has_ended(text: &str) -> Option<bool> {
        let worker = Self::parse(text).filter(|worker| worker.machine == machine())?;
        Some(began(worker.pid).is_none_or(|began| began != worker.began))
    }
}

impl std::fmt::Display for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.machine, self.pid, self.began)
    }
}

/// What tells one machine, or one container of it, from another.
fn machine() -> String {
    let text = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let namespace = fs::read_link(Path::new("/proc/self/ns/pid")).unwrap_or_default();
    let (host, boot) = (text("/proc/sys/kernel/hostname"), text("/proc/sys/kernel/random/boot_id"));
    format!("{host}/{boot}/{}", namespace.display())
}

/// When a process began, in the kernel's ticks; none where there is no such process (proc(5), field 22 of stat).
fn began(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name, which may hold anything, ends with the last parenthesis. Who has ended and waits for its parent is gone.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then(|| fields.nth(18).map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_beginning() {
        let this = Worker::this();
        assert_eq!(Worker::parse(&this.to_string()).unwrap(), this);
        let ended = |worker: &Worker| Worker::has_ended(&worker.to_string());
        assert_eq!(ended(&this), Some(false));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let worker = Worker { pid, began: began(pid).unwrap(), ..this.clone() };
        assert_eq!(ended(&worker), Some(false));
        child.kill().unwrap();
        assert!((0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            ended(&worker) == Some(true)
        }));
        child.wait().unwrap();
        assert_eq!(ended(&Worker { began: "1".into(), ..this.clone() }), Some(true));
        assert_eq!(ended(&Worker { machine: "elsewhere".into(), ..this }), None);
        assert_eq!(Worker::has_ended("anything"), None);
    }
}
