//! Apps whose objects are in a bucket, and the binary that is to carry them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use rusqlite::Connection;

use super::{Bucket, Content, Proxy, Server, server};
use crate::{Coffer, Outcome};

/// The binary, with a source `shop` whose databases are files and whose objects are in a bucket, behind a proxy.
pub struct Bench {
    /// The binary in its folder.
    pub coffer: Coffer,
    /// The bucket, past the proxy.
    pub bucket: Bucket,
    /// What the binary talks to.
    pub proxy: Proxy,
}

impl Bench {
    /// A new bucket, and a configuration that names it. Pass `env!("CARGO_BIN_EXE_coffer")`.
    ///
    /// # Errors
    /// There is no server.
    pub fn new(program: &str) -> Result<Self> {
        Self::of(program, server()?.bucket()?, "")
    }

    /// With this bucket, and further lines under `[s3]`.
    ///
    /// # Errors
    /// No folder can be made.
    pub fn of(program: &str, bucket: Bucket, settings: &str) -> Result<Self> {
        let proxy = Proxy::start(bucket.server())?;
        let mut coffer = Coffer::new(program)?;
        for (name, value) in bucket.server().environment() {
            coffer = coffer.with_variable(name, value);
        }
        std::fs::create_dir(coffer.path("coffer-data"))?;
        std::fs::write(coffer.path("coffer-data/token"), "0123456789abcdef0123456789abcdef")?;
        let bench = Self { coffer, bucket, proxy };
        bench.configure(bench.proxy.server(), settings)?;
        Ok(bench)
    }

    /// Writes the configuration anew.
    ///
    /// # Errors
    /// It can't be written.
    pub fn configure(&self, server: &Server, settings: &str) -> Result<()> {
        let text = format!(
            "[server]\ntoken_file = \"coffer-data/token\"\n[s3]\nendpoint = \"{}\"\nregion = \"{}\"\nstall_timeout = \"2s\"\nattempts = 8\n{settings}\n\
             [[source]]\nname = \"shop\"\ndatabase = \"sqlite:{{app}}.db\"\nobjects = \"s3://{}/apps/{{app}}\"\n",
            server.endpoint,
            server.region,
            self.bucket.name()
        );
        Ok(std::fs::write(self.coffer.path("coffer.toml"), text)?)
    }

    /// Makes an app's database; its objects are whatever is put under [`Bench::key`].
    ///
    /// # Errors
    /// It can't be made.
    pub fn make_app(&self, app: &str) -> Result<()> {
        let database = Connection::open(self.database(app))?;
        Ok(database.execute_batch(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT);
             INSERT INTO item VALUES (1, 'one'), (2, 'two'), (3, NULL);",
        )?)
    }

    /// Where an app's database is.
    #[must_use]
    pub fn database(&self, app: &str) -> PathBuf {
        self.coffer.path(&format!("{app}.db"))
    }

    /// The bucket's key of an app's object.
    #[must_use]
    pub fn key(app: &str, name: &str) -> String {
        format!("apps/{app}/{name}")
    }

    /// Exports an app into a file of the folder, unsealed.
    ///
    /// # Errors
    /// The binary can't be run.
    pub fn export(&self, app: &str, archive: &str) -> Result<Outcome> {
        self.coffer.run(["export", &format!("shop/{app}"), "--no-encryption", "-o", archive])
    }

    /// Restores an archive into an app.
    ///
    /// # Errors
    /// The binary can't be run.
    pub fn restore(&self, archive: &str, app: &str) -> Result<Outcome> {
        self.coffer.run(["restore", archive, "--into", &format!("shop/{app}")])
    }

    /// Runs the binary with further variables; it has to end well, and within `limit`.
    ///
    /// # Errors
    /// It stands still, or fails.
    pub fn run_within(&self, arguments: &[&str], variables: &[(&str, &str)], limit: Duration) -> Result<()> {
        let mut child = self.coffer.command().args(arguments).envs(variables.iter().copied()).spawn()?;
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if begun.elapsed() > limit {
                child.kill()?;
                child.wait()?;
                bail!("{arguments:?} with {variables:?} stands still");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        ensure!(status.success(), "{arguments:?} with {variables:?} ended with {status}");
        Ok(())
    }

    /// An app's objects by their own names, each read whole.
    ///
    /// # Errors
    /// One can't be read.
    pub fn objects(&self, app: &str) -> Result<BTreeMap<String, Content>> {
        let prefix = Self::key(app, "");
        let all = self.bucket.contents_below(&prefix)?.into_iter();
        Ok(all.filter_map(|(key, content)| Some((key.strip_prefix(&prefix)?.to_owned(), content))).collect())
    }

    /// Sees that two apps hold the same objects, with the same metadata.
    ///
    /// # Errors
    /// The first that differs.
    pub fn assert_same_objects(&self, one: &str, other: &str) -> Result<()> {
        let (one, other) = (self.objects(one)?, self.objects(other)?);
        for (key, content) in &one {
            ensure!(other.get(key) == Some(content), "{key:?}: {content:?} and {:?}", other.get(key));
        }
        ensure!(one.len() == other.len(), "{} objects and {}", one.len(), other.len());
        Ok(())
    }

    /// Sees that nothing of an app is there: no row, no object, no part of one, no lock.
    ///
    /// # Errors
    /// What is there.
    pub fn assert_absent(&self, app: &str) -> Result<()> {
        let prefix = Self::key(app, "");
        let objects: Vec<_> = self.bucket.objects()?.into_keys().filter(|key| key.starts_with(&prefix)).collect();
        ensure!(objects.is_empty(), "objects are left: {objects:?}");
        let uploads = self.bucket.multipart_uploads()?;
        ensure!(uploads.is_empty(), "uploads are left: {uploads:?}");
        ensure!(!self.database(app).exists(), "a database is left");
        Ok(())
    }

    /// Sees that an archive is whole, by the binary itself.
    ///
    /// # Errors
    /// It is not.
    pub fn verify(&self, archive: &str) -> Result<()> {
        self.coffer.run_well(["verify", archive]).map(drop)
    }

    /// A file of the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.coffer.path(name)
    }

    /// Sees that there is no such file, nor one beside it that was begun.
    ///
    /// # Errors
    /// There is.
    pub fn assert_no_file(&self, name: &str) -> Result<()> {
        let names = std::fs::read_dir(self.coffer.folder())?.flatten().map(|entry| entry.file_name());
        let found: Vec<_> = names.filter(|found| found.to_string_lossy().contains(name)).collect();
        ensure!(found.is_empty(), "there is {found:?}");
        ensure!(!Path::new(name).exists(), "there is {name}");
        Ok(())
    }
}
