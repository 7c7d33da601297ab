//! HTTP from outside: `curl` where a client behaves, a bare socket where it does not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Service;

/// What a call was answered with.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("the body is no JSON: {self:?}"))
    }

    /// A header's value; empty where the answer has none of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    /// Checks that it is a problem (RFC 9457) with that status, whose detail has each of `words`.
    ///
    /// # Errors
    /// It is not.
    pub fn ensure_problem(&self, status: u16, words: &[&str]) -> Result<()> {
        ensure!(self.status == status, "status {status} was due: {self:?}");
        ensure!(self.header("content-type").starts_with("application/problem+json"), "no problem+json: {self:?}");
        let problem = self.json()?;
        ensure!(problem.get("status").and_then(Value::as_u64) == Some(status.into()), "its status differs: {problem}");
        for member in ["type", "title", "detail"] {
            ensure!(problem.get(member).is_some_and(Value::is_string), "it has no {member}: {problem}");
        }
        let detail = problem.get("detail").and_then(Value::as_str).unwrap_or_default();
        let missing = words.iter().find(|word| !detail.contains(**word));
        ensure!(missing.is_none(), "{missing:?} is not in its detail: {problem}");
        Ok(())
    }
}

/// Runs a `curl` that was told where to go, and takes its answer apart.
pub(crate) fn curl(command: &mut Command) -> Result<Answer> {
    let output = command.args(["-D", "-"]).output().context("curl can't be run: ./run ci installs it")?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    // An interim answer (100 Continue) comes before the real one.
    while text.starts_with("HTTP/1.1 100") {
        text = text.split_once("\r\n\r\n").context("no end of headers")?.1.to_owned();
    }
    let (head, body) = text.split_once("\r\n\r\n").context("no end of headers")?;
    let (status, headers) = parse_head(head)?;
    Ok(Answer { status, headers, body: body.to_owned() })
}

/// One exchange over a bare socket, which the test can leave half-done.
pub struct RawExchange {
    stream: TcpStream,
}

impl RawExchange {
    /// Connects and sends the head of a POST with the token; `length` is the body's Content-Length.
    ///
    /// # Errors
    /// The service does not listen.
    pub fn post(service: &Service, path: &str, length: u64) -> Result<Self> {
        let mut stream = TcpStream::connect(service.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Length: {length}\r\n\r\n",
            service.address(),
            service.token()
        );
        stream.write_all(head.as_bytes())?;
        Ok(Self { stream })
    }

    /// Sends some of the body.
    ///
    /// # Errors
    /// The service has broken the connection off.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Reads the head of the answer: its status and headers. What was read of the body behind it is lost.
    ///
    /// # Errors
    /// The service breaks off, or answers with something else.
    pub fn read_head(&mut self) -> Result<(u16, Vec<(String, String)>)> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).context("the answer has no head")?;
            ensure!(head.len() < 65_536, "the answer has no end to its head");
            head.extend_from_slice(&byte);
        }
        parse_head(String::from_utf8_lossy(&head).trim_end())
    }

    /// Reads the head of an answer and at least `bytes` of its body, and no more: the id of its transfer.
    ///
    /// # Errors
    /// The answer is not 200, or ends before.
    pub fn read_and_stop(&mut self, bytes: usize) -> Result<String> {
        let (status, headers) = self.read_head()?;
        ensure!(status == 200, "status {status}");
        let (mut buffer, mut seen) = ([0; 8_192], 0);
        while seen < bytes {
            let length = match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            ensure!(length > 0, "the answer ends after {seen} bytes");
            seen += length;
        }
        Ok(header(&headers, "coffer-transfer").to_owned())
    }

    /// Reads whatever still comes, until nothing does.
    pub fn drain(mut self) {
        let mut buffer = [0; 8_192];
        while self.stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
    }
}

fn parse_head(head: &str) -> Result<(u16, Vec<(String, String)>)> {
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Ok((status.parse()?, headers))
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> &'h str {
    headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}
