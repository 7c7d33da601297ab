//! PostgreSQL: an app that is one schema of a database.

use async_trait::async_trait;

use super::{Blueprint, Database, Dump, Load, Loaded, Occupancy};
use crate::{Import, ImportId, Result};

mod address;
mod build;
mod catalog;
mod copy_out;
mod dependents;
mod documents;
mod draw;
mod dump;
mod grants;
mod graph;
mod keep;
mod load;
mod locks;
mod names;
mod pooler;
mod quote;
mod readers;
mod remains;
mod replacement;
mod sequences;
mod session;
mod snapshot;
mod stage;
mod statements;
mod swap;
mod target;

pub use address::PostgresAddress;

/// Where an app is.
#[derive(Clone, Debug)]
pub struct PostgresPlace {
    /// The server, the database in it, and the login that reads it.
    pub address: PostgresAddress,
    /// The app's schema.
    pub schema: String,
    /// Whether anything else of the database is the app's.
    pub scope: PostgresScope,
    /// The login under which an archive's SQL runs; where there is none, that of `address`, and nothing that is code.
    pub import_address: Option<PostgresAddress>,
}

impl PostgresPlace {
    /// The login that imports.
    const fn import_login(&self) -> &PostgresAddress {
        match &self.import_address {
            Some(address) => address,
            None => &self.address,
        }
    }
}

/// How much of a database is one app's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostgresScope {
    /// The schema alone.
    Schema,
    /// All of it, so that whatever stands beside the schema can't be carried.
    Database,
}

/// What is asked for beside the usual.
#[derive(Clone, Copy, Debug, Default)]
pub struct PostgresOptions {
    /// An export leaves out what can't be carried, and says so in the blueprint.
    pub skip_unsupported: bool,
    /// An import runs views, functions, triggers and policies of an archive with the rights of `address`.
    pub allow_code: bool,
    /// An import renames the schema in the bodies of functions that name it.
    pub rewrite_bodies: bool,
    /// An import restores owners and grants.
    pub grants: bool,
}

/// An app's schema in a PostgreSQL database.
#[derive(Clone, Debug)]
pub struct PostgresDatabase {
    place: PostgresPlace,
    options: PostgresOptions,
    patience: swap::Patience,
}

impl PostgresDatabase {
    /// The app at a place, which need not exist.
    #[must_use]
    pub fn new(place: PostgresPlace, options: PostgresOptions) -> Self {
        Self { place, options, patience: swap::Patience::default() }
    }

    /// The same, whose swaps wait for others no longer than this, for readers and for locks each.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn waiting_for(self, wait: std::time::Duration) -> Self {
        Self { patience: swap::Patience { readers: wait, locks: wait }, ..self }
    }
}

#[async_trait]
impl Database for PostgresDatabase {
    async fn occupancy(&self) -> Result<Occupancy> {
        target::occupancy(&self.place).await
    }

    async fn dump(&self) -> Result<Box<dyn Dump>> {
        Ok(Box::new(dump::PostgresDump::start(self).await?))
    }

    async fn load_for(&self, blueprint: Blueprint, import: &Import) -> Result<Box<dyn Load>> {
        Ok(Box::new(load::PostgresLoad::start(self, blueprint, import).await?))
    }

    async fn bring_back(&self, replaced: &ImportId, import: &Import) -> Result<Box<dyn Loaded>> {
        Ok(Box::new(replacement::Replacement::of_replaced(self, replaced, import).await?))
    }

    async fn has_landed(&self, import: &Import, mark: &str) -> Result<bool> {
        remains::has_landed(self, import, mark).await
    }

    async fn roll_back(&self, import: &Import) -> Result<()> {
        remains::roll_back(self, import).await
    }

    /// A swap needs nothing that it does not take away itself.
    async fn settle(&self, _: &Import) -> Result<()> {
        Ok(())
    }

    async fn replaced_bytes(&self, import: &ImportId) -> Result<Option<u64>> {
        remains::replaced_bytes(self, import).await
    }

    async fn drop_replaced(&self, import: &ImportId) -> Result<()> {
        remains::drop_replaced(self, import).await
    }
}
