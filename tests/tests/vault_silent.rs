//! A vault in a bucket whose server takes connections and says nothing: Ctrl-C ends what waits for it, whatever it waits for.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use coffer_tests::vault::{STATE, Settings, VAULT, back_up, listed};
use coffer_tests::{Coffer, folder_listing, shell};

const MAIN: (&str, &str) = ("main", "file:coffer-data/vault");
const FAR: (&str, &str) = ("far", "s3://bucket/vault");
const NO_UPLOADS: &str = "<ListMultipartUploadsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                          <Bucket>bucket</Bucket><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";

/// A server that takes requests and answers none, but for the one that it may know.
struct Silent {
    port: u16,
    waiting: Arc<AtomicUsize>,
}

impl Silent {
    /// One that tells, or does not, that there are no unfinished uploads: with that every run begins.
    fn start(lists_uploads: bool) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (port, waiting) = (listener.local_addr()?.port(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&waiting);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || take(connection, lists_uploads, &counter).ok());
            }
        });
        Ok(Self { port, waiting })
    }

    /// How many requests it has left without an answer.
    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}

fn take(mut connection: TcpStream, lists_uploads: bool, waiting: &AtomicUsize) -> std::io::Result<()> {
    let mut input = BufReader::new(connection.try_clone()?);
    loop {
        let (mut request, mut line) = (String::new(), String::new());
        if input.read_line(&mut request)? == 0 {
            return Ok(());
        }
        while input.read_line(&mut line)? > "\r\n".len() {
            line.clear();
        }
        if !(lists_uploads && request.starts_with("GET ") && request.contains("uploads")) {
            break;
        }
        write!(connection, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{NO_UPLOADS}", NO_UPLOADS.len())?;
    }
    waiting.fetch_add(1, Ordering::SeqCst);
    std::io::copy(&mut input, &mut std::io::sink()).map(drop)
}

/// A small app `local/a` with one backup in the first vault, a folder.
fn with_backup() -> Result<(Coffer, String)> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    let coffer = coffer.with_variable("AWS_ACCESS_KEY_ID", "nobody").with_variable("AWS_SECRET_ACCESS_KEY", "nothing");
    Settings::default().write(&coffer)?;
    coffer.run_well(["keygen", "-o", "coffer-data/coffer.key"])?;
    coffer.app("a").fill_small()?;
    let id = back_up(&coffer, "local/a")?;
    Ok((coffer, id))
}

fn configure(coffer: &Coffer, vaults: &[(&str, &str)], server: &Silent, keys: &str) -> Result<()> {
    let s3 = format!("[s3]\nendpoint = \"http://127.0.0.1:{}\"\nregion = \"us-east-1\"\n", server.port);
    let keys = format!("{}\n{keys}", Settings::default().keys);
    Settings { keys: &keys, vaults, more: &s3, ..Settings::default() }.write(coffer)
}

/// Sends Ctrl-C once the server is waited for: it has five seconds, and then ends as what was interrupted.
fn ensure_interruptible(command: &mut Command, server: &Silent) -> Result<()> {
    let (begun, before) = (Instant::now(), server.waiting());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    while server.waiting() == before && child.try_wait()?.is_none() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(200));
    if let Some(status) = child.try_wait()? {
        bail!("it did not wait for the server: {status}");
    }
    shell(std::path::Path::new("/"), &format!("kill -INT {}", child.id()))?;
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_secs(5) {
        if let Some(status) = child.try_wait()? {
            ensure!(status.code() == Some(130), "it ended with {status}");
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    bail!("it still ran 5 s after Ctrl-C")
}

/// Tries each of these, and tells all that can't be interrupted; nothing is changed by any of them.
fn ensure_all(coffer: &Coffer, server: &Silent, commands: &[&[&str]]) -> Result<()> {
    let before = (folder_listing(&coffer.path(VAULT))?, listed(coffer)?);
    let mut wrong = Vec::new();
    for arguments in commands {
        if let Err(error) = ensure_interruptible(coffer.command().args(*arguments), server) {
            wrong.push(format!("{}: {error:#}", arguments.join(" ")));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let files = folder_listing(&coffer.path(VAULT))?.into_iter().filter(|path| std::path::Path::new(path).is_file());
    let left = files.filter(|path| !before.0.contains(path)).collect::<Vec<_>>();
    ensure!(left.is_empty() && listed(coffer)? == before.1, "{left:?} is left, and {:?} is listed", listed(coffer)?);
    Ok(())
}

#[test]
fn ctrl_c_ends_what_begins_with_a_server_that_says_nothing() -> Result<()> {
    let server = Silent::start(false)?;
    let (coffer, _) = with_backup()?;
    for vaults in [[MAIN, FAR], [FAR, MAIN]] {
        configure(&coffer, &vaults, &server, "")?;
        let commands: [&[&str]; 4] = [
            &["backup", "local/a"],
            &["backups", "copy", "--to", "far", "--all"],
            &["backups", "rewrap", "--all"],
            &["backups", "rescan"],
        ];
        ensure_all(&coffer, &server, &commands).with_context(|| format!("{vaults:?}"))?;
    }
    Ok(())
}

#[test]
fn ctrl_c_ends_what_writes_to_a_server_that_says_nothing_any_more() -> Result<()> {
    let server = Silent::start(true)?;
    let (coffer, _) = with_backup()?;
    configure(&coffer, &[FAR, MAIN], &server, "")?;
    ensure_all(&coffer, &server, &[&["backup", "local/a"]])?;
    configure(&coffer, &[MAIN, FAR], &server, "")?;
    let commands: [&[&str]; 2] = [&["backups", "copy", "--to", "far", "--all"], &["backups", "rescan"]];
    ensure_all(&coffer, &server, &commands)
}

#[test]
fn ctrl_c_ends_what_reads_from_a_server_that_says_nothing_any_more() -> Result<()> {
    let server = Silent::start(true)?;
    let (coffer, id) = with_backup()?;
    let made = coffer.run_well(["keygen", "-o", "new.key"])?;
    let made = String::from_utf8(made)?;
    let recipient = made.split_whitespace().next().context("no recipient")?;
    configure(&coffer, &[FAR, MAIN], &server, &format!("recipients = [\"{recipient}\"]"))?;
    // As it is once it was copied and the folder lost.
    shell(coffer.folder(), &format!("sqlite3 {STATE} \"UPDATE copies SET vault = 'far'\""))?;
    let commands: [&[&str]; 3] =
        [&["backups", "copy", "--to", "main", &id], &["backups", "rewrap", &id], &["backups", "rescan"]];
    ensure_all(&coffer, &server, &commands)
}
