//! A real S3 server: Ceph's gateway, with a store of its own behind it.

use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::client::{Ask, Client, wait};
use super::cluster::{self, Place, Ports, Process};
use super::{Server, xml};
use crate::guardian::Guardian;

static SHARED: LazyLock<Result<Ceph>> = LazyLock::new(Ceph::start);

/// A gateway on two ports of 127.0.0.1, one of them for TLS, that knows one user, who may do everything. Dropped, it is
/// killed and all it holds is gone.
pub struct Ceph {
    folder: PathBuf,
    server: Server,
    secure: Server,
    gateway: Mutex<Option<Process>>,
    _store: (Process, Process),
    _guardian: Guardian,
}

impl Ceph {
    /// The server that all tests of this process share. Let it live: a test that stops it needs one of its own.
    ///
    /// # Errors
    /// It did not start; every call says why.
    pub fn shared() -> Result<&'static Self> {
        SHARED.as_ref().map_err(|error| anyhow!("the shared server: {error:#}"))
    }

    /// A new server with nothing in it, whose objects lie in memory.
    ///
    /// # Errors
    /// Ceph is not installed, or does not start.
    pub fn start() -> Result<Self> {
        Self::start_in(Place::Memory)
    }

    /// A new server whose objects lie on the disk of temporary files, for those that are too large for memory.
    ///
    /// # Errors
    /// Ceph is not installed, or does not start.
    pub fn start_on_disk() -> Result<Self> {
        Self::start_in(Place::Disk)
    }

    fn start_in(place: Place) -> Result<Self> {
        // Somebody may have been faster at a port that was free.
        Self::try_to_start_in(place).or_else(|_| Self::try_to_start_in(place))
    }

    fn try_to_start_in(place: Place) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("coffer-s3-").tempdir()?.keep();
        let guardian = Guardian::of(&folder, "KILL")?;
        let ports = Ports::free()?;
        cluster::prepare(&folder, &ports, place)
            .context("Ceph is not installed, or not whole: ./run ci installs it")?;
        let store = cluster::start_store(&folder).with_context(|| cluster::log(&folder))?;
        let server = Server {
            endpoint: format!("http://127.0.0.1:{}", ports.plain),
            access_key: "test".to_owned(),
            secret_key: "secret-of-test".to_owned(),
            region: "us-east-1".to_owned(),
        };
        let secure = server.at(&format!("https://127.0.0.1:{}", ports.secure));
        let ceph = Self { folder, server, secure, gateway: Mutex::new(None), _store: store, _guardian: guardian };
        ceph.run_gateway()?;
        ceph.make_user(&ceph.server)?;
        ceph.wait_until_it_answers()?;
        Ok(ceph)
    }

    /// How to reach it.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// How to reach it by TLS, with the same keys.
    #[must_use]
    pub fn secure_server(&self) -> &Server {
        &self.secure
    }

    /// The certificate of the authority that signed the server's, which nobody else trusts.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.crt")
    }

    /// A user who has no right on what others made, by keys that are of that name.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn create_user(&self, name: &str) -> Result<Server> {
        let (access_key, secret_key) = (name.to_owned(), format!("secret-of-{name}"));
        let user = Server { access_key, secret_key, ..self.server.clone() };
        self.make_user(&user)?;
        Ok(user)
    }

    /// Runs `radosgw-admin`, and gives back what it wrote to standard output.
    ///
    /// # Errors
    /// It failed: the message is its own.
    pub fn admin(&self, arguments: &[&str]) -> Result<String> {
        Ok(String::from_utf8(cluster::ceph("radosgw-admin", &self.folder, arguments)?)?)
    }

    /// Ends the gateway at once, as a crash would: every connection breaks. What it has said to be stored stays.
    ///
    /// # Errors
    /// It does not run.
    pub fn stop(&self) -> Result<()> {
        let running = self.gateway.lock().unwrap_or_else(PoisonError::into_inner).take();
        ensure!(running.is_some(), "the gateway does not run");
        Ok(())
    }

    /// Ends the gateway at once, if it runs, and starts it again on the same ports.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&self) -> Result<()> {
        self.stop().ok();
        self.run_gateway()?;
        self.wait_until_it_answers()
    }

    /// Its folder, which is removed with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        cluster::log(&self.folder)
    }

    fn run_gateway(&self) -> Result<()> {
        let process = cluster::start_gateway(&self.folder)?;
        *self.gateway.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        Ok(())
    }

    fn make_user(&self, user: &Server) -> Result<()> {
        let (name, secret) = (&user.access_key, &user.secret_key);
        let keys = ["--access-key", name, "--secret-key", secret];
        let arguments = [&["user", "create", "--uid", name, "--display-name", name], keys.as_slice()].concat();
        self.admin(&arguments).map(drop).with_context(|| cluster::log(&self.folder))
    }

    fn wait_until_it_answers(&self) -> Result<()> {
        let (client, started) = (Client::of(&self.server)?, Instant::now());
        let mut last = anyhow!("not asked");
        while started.elapsed() < Duration::from_secs(60) {
            match wait(client.ask(Ask::new("GET", "", None))) {
                Ok(reply) if xml::text(&reply.text(), "ID").is_some() => return Ok(()),
                Ok(reply) => bail!("this is not S3: {}", reply.text()),
                Err(error) => last = error,
            }
            let mut gateway = self.gateway.lock().unwrap_or_else(PoisonError::into_inner);
            ensure!(gateway.as_mut().is_some_and(|gateway| !gateway.has_ended()), "it ended:\n{}", self.log());
            drop(gateway);
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(last.context(format!("the gateway does not answer\n{}", self.log())))
    }
}
