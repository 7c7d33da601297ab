//! What an archive is of, what it lacks, and which app takes it.

use async_trait::async_trait;
use bytes::Bytes;
use coffer_archive::{Compression, Engine, Manifest, RowEncoding, Writer};
use coffer_storage::{
    Blueprint, Database, Dump, EngineKind, Import, ImportId, Load, Loaded, Occupancy, Result as StorageResult, RowChunk,
};

use super::*;

/// A database whose blueprint says more than it does itself.
struct Lossy {
    inner: SqliteDatabase,
    skipped: Vec<String>,
}

struct LossyDump {
    inner: Box<dyn Dump>,
    blueprint: Blueprint,
}

#[async_trait]
impl Database for Lossy {
    async fn occupancy(&self) -> StorageResult<Occupancy> {
        self.inner.occupancy().await
    }

    async fn dump(&self) -> StorageResult<Box<dyn Dump>> {
        let inner = self.inner.dump().await?;
        let blueprint = Blueprint { skipped: self.skipped.clone(), ..inner.blueprint().clone() };
        Ok(Box::new(LossyDump { inner, blueprint }))
    }

    async fn load_for(&self, blueprint: Blueprint, import: &Import) -> StorageResult<Box<dyn Load>> {
        self.inner.load_for(blueprint, import).await
    }

    async fn bring_back(&self, replaced: &ImportId, import: &Import) -> StorageResult<Box<dyn Loaded>> {
        self.inner.bring_back(replaced, import).await
    }

    async fn has_landed(&self, import: &Import, mark: &str) -> StorageResult<bool> {
        self.inner.has_landed(import, mark).await
    }

    async fn roll_back(&self, import: &Import) -> StorageResult<()> {
        self.inner.roll_back(import).await
    }

    async fn settle(&self, import: &Import) -> StorageResult<()> {
        self.inner.settle(import).await
    }

    async fn replaced_bytes(&self, import: &ImportId) -> StorageResult<Option<u64>> {
        self.inner.replaced_bytes(import).await
    }

    async fn drop_replaced(&self, import: &ImportId) -> StorageResult<()> {
        self.inner.drop_replaced(import).await
    }
}

#[async_trait]
impl Dump for LossyDump {
    fn blueprint(&self) -> &Blueprint {
        &self.blueprint
    }

    fn sequences(&self) -> Bytes {
        self.inner.sequences()
    }

    async fn next(&mut self) -> StorageResult<Option<RowChunk>> {
        self.inner.next().await
    }

    fn notices(&mut self) -> Vec<String> {
        self.inner.notices()
    }
}

fn lossy(place: &Place, skipped: Vec<String>) -> App {
    let inner = SqliteDatabase::new(place.root("a").join("data.db"));
    let mut app = place.app("a");
    app.database = Arc::new(Lossy { inner, skipped });
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_archive_lacks_is_told_at_both_ends() {
    let place = Place::new();
    let skipped: Vec<_> = (0..25).map(|number| format!("foreign table \"f\u{7}{number}\"")).collect();
    let transfer = Transfer::begin(Direction::Export, None).unwrap();
    let packing = Packing {
        sealing: Sealing::Plain,
        compression: Compression::default(),
        signing_key: None,
        archive_id: ArchiveId::random().unwrap(),
    };
    let app = lossy(&place, skipped.clone());
    let export = Export::prepare(app, packing, place.budget.clone(), Arc::clone(&transfer)).await.unwrap();
    assert_eq!(export.skipped(), skipped);
    assert_eq!(transfer.state().skipped, 25);
    drop(export);

    let archive = place.export(lossy(&place, skipped.clone())).await.unwrap();
    let imported = place.import(&place.app("b"), &archive).await.unwrap();
    assert_eq!(imported.manifest.skipped, skipped);
    let [told] = imported.notices.as_slice() else { panic!("{:?}", imported.notices) };
    assert!(told.contains("f\\u{7}0") && told.contains("5 more") && !told.contains('\u{7}'), "{told}");

    let archive = place.export(place.app("a")).await.unwrap();
    assert_eq!(place.import(&place.app("c"), &archive).await.unwrap().notices, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_that_no_archive_can_have_is_refused_before_anything_is_answered() {
    let place = Place::new();
    let transfer = Transfer::begin(Direction::Export, None).unwrap();
    let packing = Packing {
        sealing: Sealing::Plain,
        compression: Compression::default(),
        signing_key: None,
        archive_id: ArchiveId::random().unwrap(),
    };
    let app = lossy(&place, vec!["x".repeat(1 << 20)]);
    let Err(error) = Export::prepare(app, packing, place.budget.clone(), transfer).await else {
        panic!("it would have been answered with 200");
    };
    assert_eq!(error.outcome(), Outcome::CannotCarry, "{error}");
    assert!(error.to_string().contains("manifest.json"), "{error}");
}

/// An archive without a table, that says it is of this engine.
fn archive_of(kind: &str, row_encoding: RowEncoding, extensions: &[&str]) -> Vec<u8> {
    let (schema, pre, post) = (&br#"{"tables":[]}"#[..], &b""[..], &b""[..]);
    let manifest = Manifest {
        format: coffer_archive::FORMAT.into(),
        archive_id: "0".repeat(32),
        created: "2026-01-01T00:00:00Z".into(),
        generator: "test".into(),
        source: "local".into(),
        app: "a".into(),
        engine: Engine { kind: kind.into(), version: "1".into() },
        row_encoding,
        fingerprint: coffer_archive::fingerprint(schema, pre, post),
        extensions: extensions.iter().map(|name| (*name).to_owned()).collect(),
        skipped: vec![],
    };
    let mut writer = Writer::new(Vec::new(), &manifest, Compression::default()).unwrap();
    writer.structure(schema, pre, post).unwrap();
    writer.sequences(br#"{"sequences":[]}"#).unwrap();
    writer.finish(|_| None).unwrap().0
}

/// A database that takes down with which blueprint a load was begun, and begins none.
#[derive(Default)]
struct Asked(std::sync::Mutex<Option<Blueprint>>);

#[async_trait]
impl Database for Asked {
    async fn occupancy(&self) -> StorageResult<Occupancy> {
        Ok(Occupancy::Missing)
    }

    async fn dump(&self) -> StorageResult<Box<dyn Dump>> {
        Err(coffer_storage::Error::Stopped { what: "the test" })
    }

    async fn load_for(&self, blueprint: Blueprint, _: &Import) -> StorageResult<Box<dyn Load>> {
        *self.0.lock().unwrap() = Some(blueprint);
        Err(coffer_storage::Error::Stopped { what: "the test" })
    }

    async fn bring_back(&self, _: &ImportId, _: &Import) -> StorageResult<Box<dyn Loaded>> {
        Err(coffer_storage::Error::Stopped { what: "the test" })
    }

    async fn has_landed(&self, _: &Import, _: &str) -> StorageResult<bool> {
        Ok(false)
    }

    async fn roll_back(&self, _: &Import) -> StorageResult<()> {
        Ok(())
    }

    async fn settle(&self, _: &Import) -> StorageResult<()> {
        Ok(())
    }

    async fn replaced_bytes(&self, _: &ImportId) -> StorageResult<Option<u64>> {
        Ok(None)
    }

    async fn drop_replaced(&self, _: &ImportId) -> StorageResult<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_takes_archives_of_its_own_engine_alone() {
    let place = Place::new();
    for (engine, kind, encoding, extensions, told) in [
        (EngineKind::Sqlite, "postgres", RowEncoding::Copy, &[][..], &["PostgreSQL", "SQLite", "local/b"][..]),
        (EngineKind::Postgres, "sqlite", RowEncoding::Jsonl, &[], &["PostgreSQL", "SQLite", "local/b"]),
        (EngineKind::Postgres, "postgres", RowEncoding::Jsonl, &[], &["Jsonl", "postgres"]),
        (EngineKind::Sqlite, "sqlite", RowEncoding::Copy, &[], &["Copy", "sqlite"]),
        (EngineKind::Postgres, "mysql", RowEncoding::Copy, &[], &["mysql"]),
        (EngineKind::Sqlite, "sqlite", RowEncoding::Jsonl, &["citext"], &["citext"]),
        (EngineKind::Sqlite, "sqlite", RowEncoding::Jsonl, &[], &[]),
        (EngineKind::Postgres, "postgres", RowEncoding::Copy, &["citext"], &[]),
    ] {
        let asked = Arc::new(Asked::default());
        let mut app = place.app("b");
        (app.database, app.engine) = (Arc::clone(&asked) as _, engine);
        let error = place.import(&app, &archive_of(kind, encoding, extensions)).await.unwrap_err();
        let begun = asked.0.lock().unwrap().take();
        if told.is_empty() {
            let blueprint = begun.expect("the engine was not asked");
            assert_eq!(blueprint.engine.kind, engine, "{error}");
            assert_eq!(blueprint.extensions, extensions, "{error}");
        } else {
            assert!(begun.is_none(), "{kind}: {error}");
            assert_eq!(error.outcome(), Outcome::CannotCarry, "{error}");
            assert!(told.iter().all(|word| error.to_string().contains(word)), "{error}");
        }
    }
}
