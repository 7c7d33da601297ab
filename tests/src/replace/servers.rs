//! Apps of which each is a schema of PostgreSQL and a prefix in a bucket.

use anyhow::Result;
use bytes::Bytes;

use super::{Edition, Place};
use crate::Coffer;
use crate::postgres::Db;
use crate::s3::{Bucket, Put, Server};

/// The source `crm`.
pub struct Servers<'a> {
    coffer: Coffer,
    db: Db<'a>,
    bucket: Bucket,
}

/// How the binary goes to the servers.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The bucket's server, where it is not the bucket's own.
    pub server: Option<&'a Server>,
    /// Lines under `[s3]`.
    pub s3: &'a str,
}

impl<'a> Servers<'a> {
    /// Schemas of a database and prefixes of a bucket. Pass `env!("CARGO_BIN_EXE_coffer")`.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn new(program: &str, db: Db<'a>, bucket: Bucket) -> Result<Self> {
        let mut coffer = Coffer::new(program)?;
        for (name, value) in bucket.server().environment() {
            coffer = coffer.with_variable(name, value);
        }
        std::fs::create_dir(coffer.path("coffer-data"))?;
        std::fs::write(coffer.path("coffer-data/token"), "0123456789abcdef0123456789abcdef")?;
        let servers = Self { coffer, db, bucket };
        servers.configure(Settings { server: None, s3: "" })?;
        Ok(servers)
    }

    /// Writes the configuration anew.
    ///
    /// # Errors
    /// It can't be written.
    pub fn configure(&self, settings: Settings<'_>) -> Result<()> {
        let server = settings.server.unwrap_or_else(|| self.bucket.server());
        let text = format!(
            "[server]\ntoken_file = \"coffer-data/token\"\n[state]\nurl = \"sqlite:coffer-data/state.db\"\n\
             [s3]\nendpoint = \"{}\"\nregion = \"{}\"\n{}\n\
             [[source]]\nname = \"crm\"\ndatabase = {:?}\nschema = \"tenant_{{app}}\"\nobjects = \"s3://{}/apps/{{app}}\"\n",
            server.endpoint,
            server.region,
            settings.s3,
            self.db.superuser_url(),
            self.bucket.name()
        );
        Ok(std::fs::write(self.coffer.path("coffer.toml"), text)?)
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &Db<'a> {
        &self.db
    }

    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }
}

impl Place for Servers<'_> {
    fn coffer(&self) -> &Coffer {
        &self.coffer
    }

    fn name(&self, app: &str) -> String {
        format!("crm/{app}")
    }

    fn make(&self, app: &str, edition: Edition) -> Result<()> {
        let (marker, rows) = (edition.marker(), edition.rows());
        self.db.psql(&format!(
            "CREATE SCHEMA tenant_{app};
             SET search_path = tenant_{app};
             CREATE SEQUENCE counter START {rows};
             CREATE TABLE items (id int PRIMARY KEY, marker text NOT NULL, payload text);
             INSERT INTO items SELECT n, '{marker}', repeat(md5('{marker}' || n), 20) FROM generate_series(1, {rows}) n;
             CREATE INDEX by_marker ON items (marker);
             CREATE TABLE only_{marker} (id int PRIMARY KEY DEFAULT nextval('counter'), item int REFERENCES items, word text);
             INSERT INTO only_{marker} (item, word) VALUES (1, '{marker}'), (2, NULL);"
        ))?;
        let objects = edition.objects().into_iter().map(|(name, content, word)| Put {
            key: format!("apps/{app}/{name}"),
            body: Bytes::from(content),
            headers: vec![("x-amz-meta-edition".into(), word.into()), ("content-type".into(), "text/plain".into())],
        });
        self.bucket.fill(objects.collect::<Vec<_>>())
    }

    fn traces(&self) -> Result<Vec<String>> {
        let schemas = self.db.query("SELECT nspname FROM pg_namespace WHERE nspname ~ '^coffer_'")?;
        let ours = |key: &String| key.contains("/coffer_") || key.contains(".coffer-");
        let mut traces: Vec<_> = schemas.lines().map(str::to_owned).collect();
        traces.extend(self.bucket.objects()?.into_keys().filter(ours));
        traces.extend(self.bucket.multipart_uploads()?);
        Ok(traces)
    }

    fn parts(&self, app: &str) -> Result<Vec<String>> {
        let schema = format!("SELECT nspname FROM pg_namespace WHERE nspname = 'tenant_{app}'");
        let mut parts: Vec<_> = self.db.query(&schema)?.lines().map(str::to_owned).collect();
        let prefix = format!("apps/{app}/");
        parts.extend(self.bucket.objects()?.into_keys().filter(|key| key.starts_with(&prefix)));
        Ok(parts)
    }
}
