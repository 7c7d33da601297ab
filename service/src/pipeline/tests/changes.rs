//! Objects that change, or go, while they are exported.

use coffer_archive::{Compression, Event, Limits, Reader};
use coffer_crypto::Opener;
use coffer_storage::{Error as StorageError, ObjectKey};

use super::*;

/// Where a store fails, and how.
type Failure = (FaultPoint, fn() -> StorageError);

impl Place {
    /// The app with an empty object and one that is too large to be read ahead, and with faults in them, one within the other, the
    /// first one innermost.
    fn restless(&self, faults: &[Failure]) -> App {
        let files = self.root("a").join("files");
        std::fs::remove_dir_all(files.join("sub")).ok();
        std::fs::write(files.join("large"), (0..5_000_000_u32).map(|n| n.to_le_bytes()[1]).collect::<Vec<_>>())
            .unwrap();
        let fault = |number: usize| {
            let (point, error) = faults.get(number).copied().unwrap_or((FaultPoint::GetByte(u64::MAX), gone));
            Fault::new(point, error)
        };
        let objects = LocalFolder::new(files);
        let objects = Faulty::new(Faulty::new(Faulty::new(objects, fault(0)), fault(1)), fault(2));
        let mut app = self.app("a");
        app.objects = Some(Arc::new(objects));
        app
    }

    /// How the objects stand in an archive: their keys, and whether each is another attempt.
    fn attempts(&self, archive: &[u8]) -> Vec<(String, bool)> {
        let identities = Identity::parse_file(&self.identity.to_secret_text()).unwrap();
        let opener = Opener::new(archive, &Unlock { identities, ..Unlock::default() }).unwrap();
        let mut reader = Reader::new(opener, Limits::default());
        let mut attempts = Vec::new();
        while let Some(event) = reader.next_event().unwrap() {
            let text = |key| String::from_utf8(key).unwrap();
            match event {
                Event::Object(header) => attempts.push((text(header.key), false)),
                Event::ObjectAgain(header) => attempts.push((text(header.key), true)),
                _ => {}
            }
        }
        attempts
    }
}

fn changed() -> StorageError {
    StorageError::Changed { key: ObjectKey::try_from(b"large".to_vec()).unwrap() }
}

fn gone() -> StorageError {
    StorageError::NotFound { what: "the object".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changes_is_read_again_and_comes_back_whole() {
    let place = Place::new();
    for faults in [
        vec![(FaultPoint::GetByte(300_000), changed as fn() -> StorageError)],
        // Counted over all attempts: the first ends after 300,000 bytes, the second after 100,000 of its own.
        vec![(FaultPoint::GetByte(300_000), changed), (FaultPoint::GetByte(400_000), changed)],
    ] {
        let times = faults.len();
        let archive = place.export(place.restless(&faults)).await.unwrap();
        let large = place.attempts(&archive).into_iter().filter(|(key, _)| key == "large");
        assert_eq!(large.map(|(_, again)| again).collect::<Vec<_>>(), [vec![false], vec![true; times]].concat());
        let app = place.app(&format!("b{times}"));
        let imported = place.import(&app, &archive).await.unwrap();
        assert_eq!(imported.summary.objects.count, 2);
        let files = |app: &str| place.root(app).join("files/large");
        assert_eq!(std::fs::read(files("a")).unwrap(), std::fs::read(files(&app.name.app.to_string())).unwrap());
    }
}

/// What is read ahead stands nowhere yet: it is read again, and the archive has one attempt alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_object_that_changes_leaves_no_trace_of_it() {
    let place = Place::new();
    let objects = LocalFolder::new(place.root("a").join("files"));
    let mut app = place.app("a");
    let fault = |byte: u64| Fault::new(FaultPoint::GetByte(byte), changed);
    app.objects = Some(Arc::new(Faulty::new(Faulty::new(objects, fault(300_000)), fault(400_000))));
    let archive = place.export(app).await.unwrap();
    assert!(place.attempts(&archive).iter().all(|(_, again)| !again));
    let imported = place.import(&place.app("b"), &archive).await.unwrap();
    assert_eq!(imported.summary.objects.count, 3);
    let large = |app: &str| std::fs::read(place.root(app).join("files/large")).unwrap();
    assert_eq!(large("a"), large("b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_never_rests_fails_the_export_by_its_name() {
    let place = Place::new();
    let faults = [300_000, 400_000, 500_000].map(|byte| (FaultPoint::GetByte(byte), changed as fn() -> StorageError));
    let failed = place.export(place.restless(&faults)).await.unwrap_err();
    assert_eq!(failed.outcome(), Outcome::Changed);
    assert!(failed.to_string().contains("large"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_gone_is_told_of() {
    let place = Place::new();
    let archive = place.export(place.restless(&[(FaultPoint::Get(1), gone)])).await.unwrap();
    assert_eq!(place.attempts(&archive), [("empty".to_owned(), false)]);
    let imported = place.import(&place.app("b"), &archive).await.unwrap();
    assert_eq!((imported.summary.objects.count, imported.summary.objects.vanished), (1, 1));
    assert!(matches!(imported.notices.as_slice(), [told] if told.starts_with("1 objects were deleted")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changes_and_then_goes_fails_the_export_by_its_name() {
    let place = Place::new();
    let faults = [(FaultPoint::GetByte(300_000), changed as fn() -> StorageError), (FaultPoint::Get(2), gone)];
    let failed = place.export(place.restless(&faults)).await.unwrap_err();
    assert_eq!(failed.outcome(), Outcome::Changed);
    assert!(failed.to_string().contains("large was deleted"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_is_not_kept_is_told_once_for_all_attempts() {
    let place = Place::new();
    let dump = place.app("a").database.dump().await.unwrap();
    let mut writer = writer(dump.blueprint(), Compression::default());
    writer.sequences(&dump.sequences()).unwrap();
    let header = coffer_archive::ObjectHeader {
        key: b"one".to_vec(),
        size: 4,
        user: [("owner".to_owned(), "me".to_owned())].into(),
        ..Default::default()
    };
    for _ in 0..2 {
        writer.begin_object(&header).unwrap();
        writer.object_bytes(b"vo").unwrap();
        writer.void_object().unwrap();
    }
    writer.begin_object(&header).unwrap();
    writer.object_bytes(b"good").unwrap();
    writer.end_object().unwrap();
    let archive = writer.finish(|_| None).unwrap().0;
    let imported = place.import(&place.app("b"), &archive).await.unwrap();
    assert!(matches!(imported.notices.as_slice(), [told] if told.starts_with("1 objects")), "{:?}", imported.notices);
    assert_eq!(std::fs::read(place.root("b").join("files/one")).unwrap(), b"good");
}
