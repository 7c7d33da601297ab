//! `pgbouncer` in front of a server.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Postgres, SUPERUSER, cluster, path};
use crate::guardian::Guardian;

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A connection pool on a port of 127.0.0.1; dropped, it is killed.
pub struct Bouncer {
    port: u16,
    _guardian: Guardian,
}

impl Bouncer {
    pub(super) fn start(server: &Postgres, mode: &str) -> Result<Self> {
        ensure!(PathBuf::from(PROGRAM).exists(), "pgbouncer is not installed: ./run ci installs it");
        let (folder, guardian) = cluster::guarded_folder()?;
        let (port, program) = (cluster::free_port()?, PROGRAM);
        let logins = "SELECT format('\"%s\" \"%s\"', rolname, rolname) FROM pg_roles WHERE rolcanlogin";
        std::fs::write(folder.join("users"), server.query("postgres", logins)? + "\n")?;
        let (of_server, here) = (server.port(), path(&folder));
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={of_server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = plain\nauth_file = {here}/users\npool_mode = {mode}\n\
             logfile = {here}/log\npidfile = {here}/pgbouncer.pid\nadmin_users = {SUPERUSER}\nmax_client_conn = 200\n"
        );
        let file = folder.join("settings.ini");
        std::fs::write(&file, settings)?;
        let mut command = cluster::as_server(program, &folder)?;
        command.args(["-d", path(&file)]).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().context("pgbouncer can't be run")?;
        ensure!(status.success(), "pgbouncer: {status}");
        wait_for(port).with_context(|| std::fs::read_to_string(folder.join("log")).unwrap_or_default())?;
        Ok(Self { port, _guardian: guardian })
    }

    /// The URL of a database behind it for a login whose password is its name.
    #[must_use]
    pub fn url(&self, database: &str, user: &str) -> String {
        format!("postgres://{user}:{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn wait_for(port: u16) -> Result<()> {
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(started.elapsed() < Duration::from_secs(10), "pgbouncer does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
