//! The pipeline over stores that fail: whatever fails, no archive is taken for whole and nothing of an import stays.

mod changes;
mod engines;

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use coffer_crypto::{ArchiveId, Identity, Recipients, Unlock};
use coffer_storage::testing::{Fault, FaultPoint, Faulty};
use coffer_storage::{LocalFolder, PostgresOptions, SqliteDatabase};
use tempfile::TempDir;

use super::*;
use crate::config::Config;
use crate::staging::{Existing, Staging};
use crate::{Error, Outcome, Result};

/// Apps in a folder of their own, and a budget that is small.
struct Place {
    folder: TempDir,
    config: Config,
    budget: Budget,
    identity: Identity,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::in_folder(folder.path()).unwrap();
        let place =
            Self { config, budget: Budget::new("16MiB".parse().unwrap()), identity: Identity::generate(), folder };
        let app = place.root("a");
        std::fs::create_dir_all(app.join("files/sub")).unwrap();
        let database = rusqlite::Connection::open(app.join("data.db")).unwrap();
        database.execute_batch("CREATE TABLE t (a, b); CREATE TABLE other (c)").unwrap();
        for row in 0..3 {
            database.execute("INSERT INTO t VALUES (?, zeroblob(1000000))", [row]).unwrap();
        }
        for (name, length) in [("empty", 0), ("large", 700_000), ("sub/small", 5)] {
            std::fs::write(app.join("files").join(name), vec![7; length]).unwrap();
        }
        place
    }

    fn root(&self, app: &str) -> PathBuf {
        self.folder.path().join("apps").join(app)
    }

    fn app(&self, name: &str) -> App {
        App::of(&self.config.sources[0], &name.parse().unwrap(), PostgresOptions::default()).unwrap()
    }

    /// The app with a fault in both of its stores.
    fn faulty(&self, name: &str, point: FaultPoint) -> App {
        let fault = || Fault::new(point, || coffer_storage::Error::NoSpace { what: "the test".into() });
        let mut app = self.app(name);
        app.database = Arc::new(Faulty::new(SqliteDatabase::new(self.root(name).join("data.db")), fault()));
        app.objects = Some(Arc::new(Faulty::new(LocalFolder::new(self.root(name).join("files")), fault())));
        app
    }

    async fn export(&self, app: App) -> Result<Vec<u8>> {
        let transfer = Transfer::begin(Direction::Export, None)?;
        let sealing = Sealing::Sealed(Recipients::keys(vec![self.identity.recipient()])?);
        let packing = Packing {
            sealing,
            compression: coffer_archive::Compression::default(),
            signing_key: None,
            archive_id: ArchiveId::random().unwrap(),
        };
        let export = Export::prepare(app, packing, self.budget.clone(), Arc::clone(&transfer)).await?;
        let mut archive = export.start(Duration::from_secs(10));
        let mut bytes = Vec::new();
        while let Some(piece) = archive.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    async fn import(&self, app: &App, archive: &[u8]) -> Result<Imported> {
        let transfer = Transfer::begin(Direction::Import, None)?;
        let secret = self.identity.to_secret_text();
        let unlock = Unlock { identities: Identity::parse_file(&secret)?, ..Unlock::default() };
        let input = ArchiveInput::new(Cursor::new(archive.to_vec()), "the test");
        let keys = ReadKeys { unlock, ..ReadKeys::default() };
        import(app, Origin::Whole(input), keys, &transfer, &self.staging().await, Existing::Refuse).await
    }

    async fn staging(&self) -> Staging {
        Staging::open(&self.config, self.budget.clone()).await.unwrap()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_whose_source_fails_never_ends_well() {
    let place = Place::new();
    for point in [
        FaultPoint::Chunk(0),
        FaultPoint::Chunk(2),
        FaultPoint::Page(0),
        FaultPoint::Get(2),
        FaultPoint::GetByte(0),
        FaultPoint::GetByte(500_000),
    ] {
        let failed = place.export(place.faulty("a", point)).await.unwrap_err();
        assert_eq!(failed.outcome(), Outcome::NoSpace, "{point:?}: {failed}");
    }
    place.export(place.faulty("a", FaultPoint::Commit)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_target_fails_leaves_nothing() {
    let place = Place::new();
    let archive = place.export(place.app("a")).await.unwrap();
    for point in [
        FaultPoint::Write(0),
        FaultPoint::Write(5),
        FaultPoint::Finish,
        FaultPoint::Put(0),
        FaultPoint::Put(2),
        FaultPoint::Commit,
    ] {
        let failed = place.import(&place.faulty("b", point), &archive).await.unwrap_err();
        assert_eq!(failed.outcome(), Outcome::NoSpace, "{point:?}: {failed}");
        assert_eq!(names(&place.folder.path().join("apps")), ["a"], "{point:?}");
    }
    // The database's commit alone fails, after the objects have landed.
    let mut half = place.faulty("b", FaultPoint::Commit);
    half.objects = place.app("b").objects;
    place.import(&half, &archive).await.unwrap_err();
    assert_eq!(names(&place.folder.path().join("apps")), ["a"]);

    let imported = place.import(&place.app("b"), &archive).await.unwrap();
    assert_eq!((imported.summary.tables[0].rows, imported.summary.objects.count), (3, 3));
    assert_eq!(names(&place.root("b").join("files")), ["empty", "large", "sub"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_cut_leaves_nothing() {
    let place = Place::new();
    let archive = place.export(place.app("a")).await.unwrap();
    for length in [0, 100, archive.len() / 2, archive.len() - 1] {
        let failed = place.import(&place.app("b"), &archive[..length]).await.unwrap_err();
        assert_eq!(failed.outcome(), Outcome::Damaged, "{length}: {failed}");
        assert_eq!(names(&place.folder.path().join("apps")), ["a"], "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_import_leaves_nothing() {
    let place = Place::new();
    let archive = place.export(place.app("a")).await.unwrap();
    let transfer = Transfer::begin(Direction::Import, None).unwrap();
    let secret = place.identity.to_secret_text();
    let unlock = Unlock { identities: Identity::parse_file(&secret).unwrap(), ..Unlock::default() };
    let (pieces, arriving) = pipe(1);
    pieces.send(archive[..archive.len() / 2].to_vec().into()).await.unwrap();
    let input = ArchiveInput::new(PipeReader::new(arriving), "a client that waits");
    let (app, running) = (place.app("b"), Arc::clone(&transfer));
    let staging = place.staging().await;
    let keys = ReadKeys { unlock, ..ReadKeys::default() };
    let importing =
        tokio::spawn(
            async move { import(&app, Origin::Whole(input), keys, &running, &staging, Existing::Refuse).await },
        );
    tokio::time::sleep(Duration::from_millis(200)).await;
    transfer.cancel(Cancel::Asked);
    assert!(matches!(importing.await.unwrap(), Err(Error::Interrupted)));
    assert_eq!(names(&place.folder.path().join("apps")), ["a"]);
    drop(pieces);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_transfers_than_the_budget_holds_wait_for_one_another() {
    let place = Arc::new(Place::new());
    let archive = Arc::new(place.export(place.app("a")).await.unwrap());
    let mut running = tokio::task::JoinSet::new();
    for number in 0..12 {
        let (place, archive) = (Arc::clone(&place), Arc::clone(&archive));
        running.spawn(async move {
            if number % 2 == 0 {
                place.export(place.app("a")).await.map(|_| ())
            } else {
                place.import(&place.app(&format!("b{number}")), &archive).await.map(|_| ())
            }
        });
    }
    let all = async {
        while let Some(done) = running.join_next().await {
            done.unwrap().unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("transfers wait for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_a_folder_can_not_keep_is_told() {
    let place = Place::new();
    let dump = place.app("a").database.dump().await.unwrap();
    let mut writer = writer(dump.blueprint(), coffer_archive::Compression::default());
    writer.sequences(&dump.sequences()).unwrap();
    for (key, user) in [("one", vec![("owner", "me")]), ("two", vec![])] {
        let user = user.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let header = coffer_archive::ObjectHeader { key: key.into(), user, ..Default::default() };
        writer.begin_object(&header).unwrap();
        writer.end_object().unwrap();
    }
    let archive = writer.finish(|_| None).unwrap().0;
    let imported = place.import(&place.app("b"), &archive).await.unwrap();
    assert!(matches!(imported.notices.as_slice(), [told] if told.starts_with("1 objects")), "{:?}", imported.notices);
}

/// A writer of an archive of the app, behind its structure.
fn writer(
    blueprint: &coffer_storage::Blueprint,
    compression: coffer_archive::Compression,
) -> coffer_archive::Writer<Vec<u8>> {
    let (schema, pre, post) = (&blueprint.schema, &blueprint.pre_data, &blueprint.post_data);
    let manifest = coffer_archive::Manifest {
        format: coffer_archive::FORMAT.into(),
        archive_id: "0".repeat(32),
        created: "2026-01-01T00:00:00Z".into(),
        generator: "test".into(),
        source: "local".into(),
        app: "a".into(),
        engine: coffer_archive::Engine { kind: "sqlite".into(), version: blueprint.engine.version.clone() },
        row_encoding: coffer_archive::RowEncoding::Jsonl,
        fingerprint: coffer_archive::fingerprint(schema, pre, post),
        extensions: vec![],
        skipped: vec![],
    };
    let mut writer = coffer_archive::Writer::new(Vec::new(), &manifest, compression).unwrap();
    writer.structure(schema, pre, post).unwrap();
    writer
}
