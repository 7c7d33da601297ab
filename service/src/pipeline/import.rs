//! Import: an archive into an app, whole or not at all.

mod objects;
mod rows;
mod some;

use std::sync::Arc;

use bytes::Bytes;
use coffer_archive::{Event, Manifest, ObjectHeader, RowEncoding, Summary};
use coffer_storage::{Blueprint, Engine, EngineKind, Import, Loaded, ObjectSwap};

use super::archive_in::{Arrived, READING_BYTES, read_archive};
use super::budget::Permit;
use super::pipe::Receiver;
use super::{App, ArchiveInput, ArchivePlace, Budget, ReadKeys, Transfer};
use crate::failpoint::failpoint;
use crate::staging::{Existing, Landed, Staging};
use crate::{Error, Result};
use objects::Objects;
use rows::{Extent, Rows};
use some::{READING_SOME_BYTES, Selection, read_some};

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
    /// What became of what was there.
    pub landed: Landed,
    /// What the user should know of it.
    pub notices: Vec<String>,
}

/// Brings an archive into an app: one that is new or empty or, where that is asked for, in the place of one that is there. Nothing of
/// it can be seen in the app before the whole archive has been checked and what was loaded has been compared with it; after an error
/// the app is as it was.
///
/// # Errors
/// [`coffer_storage::Error::NotEmpty`] where the app holds something that is not to be replaced; [`Error::Busy`] where another import
/// of it is under way; whatever is wrong with the archive.
pub async fn import(
    app: &App,
    origin: Origin,
    keys: ReadKeys,
    transfer: &Arc<Transfer>,
    staging: &Staging,
    existing: Existing,
) -> Result<Imported> {
    let lease = staging.begin(app, existing).await?;
    let budget = staging.budget();
    let (import, swap) = (lease.import().clone(), lease.objects());
    let mut target = Target { app, budget, transfer, import, swap, rows: Rows::NotBegun, objects: None };
    let Waiting { manifest, summary, loaded, _reserve } = match target.bring_in(origin, keys).await {
        Ok(waiting) => waiting,
        Err(error) => {
            target.discard().await;
            lease.give_up().await;
            // Who stops an import often ends its input, too.
            return Err(transfer.check().err().unwrap_or(error));
        }
    };
    let landed = match lease.land(loaded, target.swap.clone(), transfer).await {
        Ok(landed) => landed,
        Err(failed) => return Err(failed.give_up().await),
    };
    transfer.add_vanished(summary.objects.vanished);
    transfer.add_skipped(manifest.skipped.len() as u64);
    let notices = target.notices(&manifest, &summary, &landed);
    Ok(Imported { manifest, summary, landed, notices })
}

/// What an import takes.
pub enum Origin {
    /// All of an archive, as it comes.
    Whole(ArchiveInput),
    /// Some entries of one that can be read at random: those that one of these globs tells, tables whole.
    Part(ArchivePlace, Vec<String>),
}

/// All that is to land.
struct Waiting {
    manifest: Manifest,
    summary: Summary,
    loaded: Box<dyn Loaded>,
    /// Memory that is the import's until its end.
    _reserve: Permit,
}

/// The app in the making.
struct Target<'a> {
    app: &'a App,
    budget: &'a Budget,
    transfer: &'a Arc<Transfer>,
    import: Import,
    swap: Option<Arc<dyn ObjectSwap>>,
    rows: Rows,
    objects: Option<Objects>,
}

impl Target<'_> {
    /// Takes the archive in, to where it only waits for the swap.
    async fn bring_in(&mut self, origin: Origin, keys: ReadKeys) -> Result<Waiting> {
        let (reading_bytes, extent) = match &origin {
            Origin::Whole(_) => (READING_BYTES, Extent::Whole),
            Origin::Part(..) => (READING_SOME_BYTES, Extent::Part),
        };
        // Both at once: who held one and waited for the other could wait for ever.
        let staging_bytes = self.app.objects.as_ref().map_or(0, |objects| objects.staging_bytes());
        let reserve = self.budget.reserve(reading_bytes + LOADING_BYTES + staging_bytes);
        let _reserve = self.transfer.or_cancelled(reserve).await?;
        let mut arriving = match origin {
            Origin::Whole(input) => read_archive(input, keys, self.budget, self.transfer),
            Origin::Part(place, only) => read_some(&place, keys, Selection::of(only)?, self.budget, self.transfer),
        };
        let (manifest, summary) = self.take_all(&mut arriving).await?;
        let loaded = self.rows.end(&summary, extent, self.transfer).await?;
        failpoint("loaded");
        if let Some(swap) = &self.swap
            && let Err(error) = self.transfer.or_cancelled(async { Ok(swap.plan().await?) }).await
        {
            tell(self.transfer, loaded.discard().await);
            return Err(error);
        }
        failpoint("planned");
        Ok(Waiting { manifest, summary, loaded, _reserve })
    }

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

    /// Objects come first: the folders that both may need are theirs to remove.
    async fn begin(&mut self, blueprint: Blueprint) -> Result<()> {
        if let Some((objects, swap)) = self.app.objects.as_ref().zip(self.swap.as_ref()) {
            self.objects = Some(Objects::begin_swap(Arc::clone(objects), Arc::clone(swap)).await?);
        }
        self.rows.begin(self.app.database.as_ref(), blueprint, &self.import).await?;
        failpoint("loading");
        Ok(())
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

    fn notices(&self, manifest: &Manifest, summary: &Summary, landed: &Landed) -> Vec<String> {
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
        let left_alone = (landed.left_alone > 0).then(|| {
            format!(
                "{} objects were stored by others while the app was being replaced, and stand as they were stored",
                landed.left_alone
            )
        });
        stripped.into_iter().chain(vanished).chain(left_out(&manifest.skipped)).chain(left_alone).collect()
    }

    /// Ends what is on its way. What waits is yet to be taken away.
    async fn discard(&mut self) {
        if let Some(objects) = &mut self.objects {
            objects.stop().await;
        }
        self.rows.discard(self.transfer).await;
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
