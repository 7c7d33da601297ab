//! `coffer serve` as a process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::http::{Answer, curl};
use crate::{Coffer, Memory};

const START_WITHIN: Duration = Duration::from_secs(20);
const LISTENING: &str = "listening on http://";

/// A service that listens on a port of its own; dropped, it is killed by its process id.
pub struct Service {
    child: Child,
    address: SocketAddr,
    token: String,
}

impl Service {
    pub(crate) fn start(coffer: &Coffer) -> Result<Self> {
        let mut command = coffer.command();
        command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("serve can't be started")?;
        let address = child.stderr.take().context("no standard error").and_then(address_told);
        let token = std::fs::read_to_string(coffer.path("coffer-data/token")).unwrap_or_default();
        match address {
            Ok(address) => Ok(Self { child, address, token: token.trim().to_owned() }),
            Err(error) => {
                child.kill().ok();
                child.wait().ok();
                Err(error)
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The token that the first start made.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its memory, now and at its peak.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory::of(self.child.id())
    }

    /// A `curl` with the token, ready for arguments: `--silent --show-error` and no more.
    #[must_use]
    pub fn curl(&self, path: &str) -> Command {
        let mut command = Command::new("curl");
        command.args(["-sS", "-H", &format!("Authorization: Bearer {}", self.token), &self.url(path)]);
        command.stdin(Stdio::null());
        command
    }

    /// Calls a path with the token and further arguments for `curl`.
    ///
    /// # Errors
    /// `curl` got no answer.
    pub fn call(&self, path: &str, arguments: &[&str]) -> Result<Answer> {
        curl(self.curl(path).args(arguments))
    }

    /// What the service says of a transfer.
    ///
    /// # Errors
    /// It knows none of that id.
    pub fn transfer(&self, id: &str) -> Result<Value> {
        let answer = self.call(&format!("/v1/transfers/{id}"), &[])?;
        ensure!(answer.status == 200, "{answer:?}");
        answer.json()
    }

    /// What the service says of a transfer once it is over.
    ///
    /// # Errors
    /// It still runs after `within`.
    pub fn transfer_ended(&self, id: &str, within: Duration) -> Result<Value> {
        let started = Instant::now();
        loop {
            let transfer = self.transfer(id)?;
            if transfer.get("state").and_then(Value::as_str) != Some("running") {
                return Ok(transfer);
            }
            ensure!(started.elapsed() < within, "it still runs after {within:?}: {transfer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Paths that the process has open, of those that contain `part`.
    ///
    /// # Errors
    /// The process is gone.
    pub fn open_files(&self, part: &str) -> Result<Vec<String>> {
        let folder = format!("/proc/{}/fd", self.process_id());
        let links = std::fs::read_dir(folder)?.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
        let paths = links.map(|path| path.to_string_lossy().into_owned());
        Ok(paths.filter(|path| path.contains(part)).collect())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Waits for the line that tells the address, and goes on draining what follows it.
fn address_told(stderr: ChildStderr) -> Result<SocketAddr> {
    let (sender, receiver) = sync_channel::<String>(1_024);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(std::io::Result::ok) {
            sender.try_send(line).ok();
        }
    });
    wait_for_address(&receiver)
}

fn wait_for_address(lines: &Receiver<String>) -> Result<SocketAddr> {
    let (started, mut said) = (Instant::now(), String::new());
    while let Ok(line) = lines.recv_timeout(START_WITHIN.saturating_sub(started.elapsed())) {
        if let Some((_, address)) = line.split_once(LISTENING) {
            return address.trim().trim_end_matches('/').parse().with_context(|| format!("no address: {line}"));
        }
        said.push_str(&line);
        said.push('\n');
    }
    bail!("serve does not listen:\n{said}")
}
