//! A server's folder: its data, its settings, its start and end, by PostgreSQL's own programs.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::{SUPERUSER, cache_folder, path, publish};
use crate::guardian::Guardian;
use crate::tool;

/// Whom a server runs as where we are root, which PostgreSQL refuses to be.
const UNPRIVILEGED: &str = "nobody";

/// Nothing here has to outlive a crash of the machine.
const SETTINGS: [(&str, &str); 10] = [
    ("listen_addresses", "127.0.0.1"),
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "200"),
    ("shared_buffers", "64MB"),
    ("wal_level", "replica"),
    ("max_wal_senders", "8"),
    ("max_locks_per_transaction", "256"),
    ("log_line_prefix", "%m [%p] %u@%d "),
];

/// The folder of PostgreSQL's programs: Debian's newest, else what `pg_config` tells.
///
/// # Errors
/// There is none.
pub fn binaries() -> Result<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = folders.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_version = |version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"));
    match versions.filter(|&version| of_version(version).join("initdb").exists()).max() {
        Some(version) => Ok(of_version(version)),
        None => {
            let told = tool("pg_config", ["--bindir"]).context("PostgreSQL is not installed: ./run ci installs it")?;
            Ok(String::from_utf8(told)?.trim().into())
        }
    }
}

/// PostgreSQL's major version, by its program.
pub(super) fn major_version() -> Result<u32> {
    let told = String::from_utf8(tool(path(&binaries()?.join("postgres")), ["--version"])?)?;
    let version = told.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    let major = version.and_then(|version| version.split(['.', 'b', 'r']).next());
    major.and_then(|major| major.parse().ok()).with_context(|| format!("no version: {told}"))
}

/// A new folder that the server may write, and what removes it.
pub(super) fn guarded_folder() -> Result<(PathBuf, Guardian)> {
    let folder = tempfile::Builder::new().prefix("coffer-pg-").tempdir()?.keep();
    let guardian = Guardian::of(&folder, "QUIT")?;
    give_to_server(&folder)?;
    Ok((folder, guardian))
}

pub(super) fn give_to_server(path: &Path) -> Result<()> {
    if is_root()? {
        tool("chown", ["-R".as_ref(), UNPRIVILEGED.as_ref(), path.as_os_str()])?;
    }
    Ok(())
}

/// A new data folder, copied from one that `initdb` has made for all.
pub(super) fn make_data(folder: &Path) -> Result<()> {
    let (data, template) = (folder.join("data"), cache_folder()?.join(format!("postgresql-{}", major_version()?)));
    if template.join("PG_VERSION").exists() {
        return copy(&template, &data);
    }
    let password = folder.join("password");
    std::fs::write(&password, SUPERUSER)?;
    give_to_server(&password)?;
    let mut initdb = as_server("initdb", folder)?;
    initdb.args(["-D", path(&data), "-U", SUPERUSER, "--pwfile", path(&password), "--no-sync", "--data-checksums"]);
    initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]);
    ended_well(&mut initdb)?;
    let unfinished = template.with_extension(std::process::id().to_string());
    copy(&data, &unfinished)?;
    publish(&unfinished, &template)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    tool("cp", ["-a", "--reflink=auto", path(from), path(to)]).map(drop)
}

/// Adds settings, of which the last of a name holds from the next start on.
pub(super) fn configure(folder: &Path, settings: &[(&str, &str)]) -> Result<()> {
    let file = folder.join("data/postgresql.conf");
    let mut text = std::fs::read_to_string(&file)?;
    for (name, value) in SETTINGS.iter().chain(settings) {
        text.push_str(&format!("{name} = '{value}'\n"));
    }
    Ok(std::fs::write(file, text)?)
}

/// Starts the server on a port, or on one that is free, and waits until it takes connections.
pub(super) fn start(folder: &Path, port: Option<u16>) -> Result<u16> {
    for _ in 0..5 {
        let chosen = port.map_or_else(free_port, Ok)?;
        let mut start = as_server("pg_ctl", folder)?;
        start.args(["-D", path(&folder.join("data")), "-l", path(&folder.join("log")), "-w", "-t", "60", "start"]);
        start.args(["-o", &format!("-p {chosen} -k {}", path(folder))]).stdout(Stdio::null()).stderr(Stdio::null());
        if start.status().context("pg_ctl can't be run")?.success() {
            return Ok(chosen);
        }
        let log = std::fs::read(folder.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        // Somebody was faster at the port that was free.
        ensure!(port.is_none() && log.contains("could not bind"), "PostgreSQL does not start:\n{log}");
        std::fs::write(folder.join("log"), "")?;
    }
    bail!("PostgreSQL found no free port")
}

pub(super) fn stop(folder: &Path) -> Result<()> {
    let mut stop = as_server("pg_ctl", folder)?;
    ended_well(stop.args(["-D", path(&folder.join("data")), "-m", "immediate", "-w", "stop"])).map(drop)
}

pub(super) fn process_id(folder: &Path) -> Result<u32> {
    let file = std::fs::read_to_string(folder.join("data/postmaster.pid")).context("the server does not run")?;
    Ok(file.lines().next().unwrap_or_default().trim().parse()?)
}

/// A certificate for `localhost` and its key, good for a day.
pub(super) fn make_certificate(folder: &Path) -> Result<()> {
    let (certificate, key) = (folder.join("server.crt"), folder.join("server.key"));
    let subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    let files = ["-keyout", path(&key), "-out", path(&certificate)];
    let kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
    tool("openssl", kind.iter().chain(&subject).chain(&files))?;
    tool("chmod", ["600", path(&key)])?;
    give_to_server(&key)
}

pub(super) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// One of PostgreSQL's programs, or one named by its path, as the user that servers run as.
pub(super) fn as_server(program: &str, folder: &Path) -> Result<Command> {
    let program = binaries()?.join(program);
    let mut command = match is_root()? {
        true => {
            let mut command = Command::new("setpriv");
            command.args([&format!("--reuid={UNPRIVILEGED}"), "--regid=nogroup", "--clear-groups"]).arg(program);
            command
        }
        false => Command::new(program),
    };
    command.current_dir(folder).env("HOME", folder).stdin(Stdio::null());
    Ok(command)
}

/// Runs a command, which has to end with 0, and gives back what it wrote to standard output.
pub(super) fn ended_well(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("{command:?} can't be run"))?;
    ensure!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn is_root() -> Result<bool> {
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}
