//! Import: an archive into an app that is new or empty, whole or not at all.

mod objects;
mod rows;

use std::sync::Arc;

use bytes::Bytes;
use coffer_archive::{Event, Manifest, ObjectHeader, RowEncoding, Summary};
use coffer_storage::{Blueprint, Engine, EngineKind};

use super::archive_in::{Arrived, READING_BYTES, read_archive};
use super::pipe::Receiver;
use super::{App, ArchiveInput, Budget, ReadKeys, Transfer};
use crate::{Error, Result};
use objects::Objects;
use rows::Rows;

/// What an import's stages hold by construction beside the reading of the archive: the database's cache, a row.
const LOADING_BYTES: u64 = 4 << 20;
/// How many things that an archive lacks a notice names.
const NAMED: usize = 20;

/// What an import brought.
#[derive(Debug)]
pub struct Imported {
    /// What the archive said at its front.
    pub manifest: Manifest,
    /// What now stands in the app.
    pub summary: Summary,
    /// What the user should know of it.
    pub notices: Vec<String>,
}

/// Brings an archive into an app that is new or empty. Nothing of it can be seen in the app before the whole archive has
/// been checked and what was loaded has been compared with it; after an error nothing of it is left.
///
/// # Errors
/// [`coffer_storage::Error::NotEmpty`] where the app holds something; whatever is wrong with the archive.
pub async fn import(
    app: &App,
    input: ArchiveInput,
    keys: ReadKeys,
    budget: &Budget,
    transfer: &Arc<Transfer>,
) -> Result<Imported> {
    app.must_be_empty().await?;
    // Both at once: who held one and waited for the other could wait for ever.
    let staging_bytes = app.objects.as_ref().map_or(0, |objects| objects.staging_bytes());
    let _reserve = budget.reserve(READING_BYTES + LOADING_BYTES + staging_bytes).await?;
    let mut arriving = read_archive(input, keys, budget, transfer);
    let mut target = Target { app, budget, transfer, rows: Rows::NotBegun, objects: None };
    let taken = target.take_all(&mut arriving).await;
    let landed = match taken {
        Ok(arrived) => target.land(&arrived.1).await.map(|()| arrived),
        Err(error) => Err(error),
    };
    match landed {
        Ok((manifest, summary)) => {
            transfer.add_vanished(summary.objects.vanished);
            transfer.add_skipped(manifest.skipped.len() as u64);
            let notices = target.notices(&manifest, &summary);
            Ok(Imported { manifest, summary, notices })
        }
        Err(error) => {
            target.discard().await;
            Err(error)
        }
    }
}

/// The app in the making.
struct Target<'a> {
    app: &'a App,
    budget: &'a Budget,
    transfer: &'a Arc<Transfer>,
    rows: Rows,
    objects: Option<Objects>,
}

impl Target<'_> {
    /// Takes the archive into staging, to its verified end.
    async fn take_all(&mut self, arriving: &mut Receiver<Arrived>) -> Result<(Manifest, Summary)> {
        let (mut manifest, mut summary) = (None, None);
        while let Some(arrived) = self.transfer.or_cancelled(arriving.next()).await? {
            match arrived {
                Arrived::Verified(found) => summary = Some(*found),
                Arrived::Event(Event::Manifest(found)) => manifest = Some(*found),
                Arrived::Event(Event::Structure { schema, pre_data, post_data }) => {
                    let manifest = manifest.as_ref().ok_or(Error::StageLost)?;
                    self.begin(blueprint(self.app, manifest, schema, pre_data, post_data)?).await?;
                }
                Arrived::Event(event) => self.take(event).await?,
            }
        }
        if let Some(objects) = &mut self.objects {
            self.transfer.or_cancelled(objects.settle()).await?;
        }
        manifest.zip(summary).ok_or(Error::StageLost)
    }

    /// Objects are staged first and discarded last: the folders that both may need are theirs to remove.
    async fn begin(&mut self, blueprint: Blueprint) -> Result<()> {
        if let Some(objects) = &self.app.objects {
            self.objects = Some(Objects::stage(Arc::clone(objects), self.budget).await?);
        }
        self.rows.begin(self.app.database.as_ref(), blueprint).await
    }

    async fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Manifest(_) | Event::Structure { .. } => {}
            Event::Rows { table, bytes } => self.rows.write(&table, bytes).await?,
            Event::Sequences(sequences) => self.rows.finish(sequences, self.transfer),
            // A store that takes nothing must not keep anybody from stopping.
            Event::Object(header) => {
                let transfer = self.transfer;
                transfer.or_cancelled(self.objects(&header)?.begin(*header)).await?;
            }
            Event::ObjectAgain(header) => {
                let transfer = self.transfer;
                transfer.or_cancelled(self.objects(&header)?.begin_again(*header)).await?;
            }
            Event::ObjectBytes(bytes) => {
                if let Some(objects) = &mut self.objects {
                    self.transfer.or_cancelled(objects.bytes(bytes)).await?;
                }
            }
            Event::ObjectEnd => {
                if let Some(objects) = &mut self.objects {
                    objects.end().await;
                }
                self.transfer.add_entry();
            }
        }
        Ok(())
    }

    /// The place for objects, which an app need not have.
    fn objects(&mut self, header: &ObjectHeader) -> Result<&mut Objects> {
        let source = &self.app.name.source;
        self.objects.as_mut().ok_or_else(|| {
            let key = String::from_utf8_lossy(&header.key);
            Error::Unfit(format!("the archive holds objects ({key:?}), and source {source} has no place for any"))
        })
    }

    /// Makes all of it visible: new objects first, then the rows by one step, which has been made ready before.
    async fn land(&mut self, summary: &Summary) -> Result<()> {
        let loaded = self.rows.prepare(summary, self.transfer).await?;
        if let Some(objects) = &self.objects {
            objects.commit(summary.objects.count).await?;
        }
        Ok(loaded.commit().await?)
    }

    fn notices(&self, manifest: &Manifest, summary: &Summary) -> Vec<String> {
        let stripped = self.objects.as_ref().map_or(0, |objects| objects.stripped);
        let stripped = (stripped > 0).then(|| {
            format!(
                "{stripped} objects had metadata (headers or user metadata) that the target does not keep: it is in the \
                 archive alone"
            )
        });
        let vanished = summary.objects.vanished;
        let vanished = (vanished > 0).then(|| {
            format!(
                "{vanished} objects were deleted while the archive was made, and are not in it: \
                 `coffer inspect --entries` names them"
            )
        });
        stripped.into_iter().chain(vanished).chain(left_out(&manifest.skipped)).collect()
    }

    /// Leaves nothing behind.
    async fn discard(&mut self) {
        let mut objects = self.objects.take();
        if let Some(objects) = &mut objects {
            objects.stop().await;
        }
        self.rows.discard(self.transfer).await;
        if let Some(objects) = objects {
            objects.discard(self.transfer).await;
        }
    }
}

/// A failure to clean up behind a failure: there is nobody else to tell.
fn tell(transfer: &Transfer, discarded: coffer_storage::Result<()>) {
    if let Err(error) = discarded {
        tracing::error!(%transfer, %error, "what an import had staged could not be removed");
    }
}

fn joined<T>(result: Result<T, tokio::task::JoinError>) -> Result<T> {
    result.map_err(|_| Error::StageLost)
}

/// What the app lacks that the one had of which the archive was made.
fn left_out(skipped: &[String]) -> Option<String> {
    let named: Vec<_> = skipped.iter().take(NAMED).map(|thing| thing.escape_debug().to_string()).collect();
    let more = match skipped.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more, which `coffer inspect` names"),
    };
    let named = named.join("; ");
    (!skipped.is_empty())
        .then(|| format!("the archive was made without what could not be carried, and the app lacks it: {named}{more}"))
}

fn blueprint(app: &App, manifest: &Manifest, schema: Bytes, pre_data: Bytes, post_data: Bytes) -> Result<Blueprint> {
    let (kind, row_encoding) = match (manifest.engine.kind.as_str(), manifest.row_encoding) {
        ("postgres", RowEncoding::Copy) => (EngineKind::Postgres, coffer_storage::RowEncoding::Copy),
        ("sqlite", RowEncoding::Jsonl) => (EngineKind::Sqlite, coffer_storage::RowEncoding::JsonLines),
        (kind, encoding) => {
            let why = format!(
                "the archive holds {encoding:?} rows of engine {kind:.100?}, which this version does not know: it takes Copy \
                 of \"postgres\" and Jsonl of \"sqlite\""
            );
            return Err(Error::Unfit(why));
        }
    };
    if kind != app.engine {
        return Err(Error::Unfit(format!(
            "the archive is of an app in {}, and {} is one in {}: import it into a source of its own engine",
            engine_name(kind),
            app.name,
            engine_name(app.engine)
        )));
    }
    if kind == EngineKind::Sqlite && !manifest.extensions.is_empty() {
        let why = format!(
            "the archive needs {} extensions ({:.100?}, …), which a SQLite database does not have",
            manifest.extensions.len(),
            manifest.extensions.first().map(String::as_str).unwrap_or_default()
        );
        return Err(Error::Unfit(why));
    }
    Ok(Blueprint {
        engine: Engine { kind, version: manifest.engine.version.clone() },
        row_encoding,
        schema,
        pre_data,
        post_data,
        tables: Vec::new(),
        extensions: manifest.extensions.clone(),
        skipped: manifest.skipped.clone(),
    })
}

fn engine_name(kind: EngineKind) -> &'static str {
    match kind {
        EngineKind::Postgres => "PostgreSQL",
        EngineKind::Sqlite => "SQLite",
    }
}
