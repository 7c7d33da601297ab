//! What is read of an archive against a whole reading of it, and all that is refused.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use coffer_archive::{Engine, FORMAT, Manifest, ObjectHeader, RowEncoding, Signature, Summary, Writer, fingerprint};
use coffer_crypto::{ArchiveId, Identity, Recipients, Sealer, SigningKey, Unlock};
use tempfile::TempDir;

use super::super::super::archive_in::read_archive;
use super::super::super::{ArchiveInput, Direction, Expected, Trust};
use super::*;
use crate::Outcome;

/// A folder for archives, and the keys to them.
struct Place {
    folder: TempDir,
    identity: Identity,
    signer: SigningKey,
    id: ArchiveId,
    transfer: Arc<Transfer>,
}

/// What events bring.
#[derive(Debug, Default, PartialEq)]
struct Brought {
    documents: Vec<Vec<u8>>,
    rows: BTreeMap<String, Vec<u8>>,
    objects: Vec<(ObjectHeader, Vec<u8>)>,
    summary: Option<Summary>,
}

impl Brought {
    async fn of(mut arriving: Receiver<Arrived>) -> (Self, Result<()>) {
        let mut brought = Self::default();
        loop {
            match arriving.next().await {
                Ok(None) => return (brought, Ok(())),
                Ok(Some(Arrived::Verified(summary))) => brought.summary = Some(*summary),
                Ok(Some(Arrived::Event(event))) => brought.take(event),
                Err(error) => return (brought, Err(error)),
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Manifest(manifest) => self.documents.push(serde_json::to_vec(&*manifest).unwrap()),
            Event::Structure { schema, pre_data, post_data } => {
                self.documents.extend([schema, pre_data, post_data].map(|document| document.to_vec()));
            }
            Event::Sequences(sequences) => self.documents.push(sequences.to_vec()),
            Event::Rows { table, bytes } => self.rows.entry(table.to_string()).or_default().extend_from_slice(&bytes),
            Event::Object(header) => self.objects.push((*header, Vec::new())),
            Event::ObjectAgain(header) => *self.objects.last_mut().unwrap() = (*header, Vec::new()),
            Event::ObjectBytes(bytes) => self.objects.last_mut().unwrap().1.extend_from_slice(&bytes),
            Event::ObjectEnd => {}
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.objects.iter().map(|(header, _)| std::str::from_utf8(&header.key).unwrap()).collect()
    }

    fn tables(&self) -> Vec<&str> {
        self.rows.keys().map(String::as_str).collect()
    }
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            identity: Identity::generate(),
            signer: SigningKey::generate().unwrap(),
            id: ArchiveId::random().unwrap(),
            transfer: Transfer::begin(Direction::Import, None).unwrap(),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The archive that all of these tests read, signed.
    fn plain(&self, compression: &str) -> Vec<u8> {
        let schema = br#"{"tables":[{"name":"t"},{"name":"none"},{"name":"u"}]}"#;
        let mut writer = Writer::new(Vec::new(), &self.manifest(schema), compression.parse().unwrap()).unwrap();
        writer.structure(schema, b"", b"").unwrap();
        for table in ["t", "u"] {
            (0..3).for_each(|n| writer.rows(table, format!("[{n},\"{table}\"]\n").repeat(9_000).as_bytes()).unwrap());
        }
        writer.sequences(br#"{"sequences":[]}"#).unwrap();
        for (key, size) in [("a/b.png", 5), ("a/c/d.png", 900_000), ("a/e.txt", 0)] {
            object(&mut writer, key, size);
        }
        writer.begin_object(&header("f", 70_000)).unwrap();
        writer.void_object().unwrap();
        object(&mut writer, "f", 7);
        writer.vanished_object(b"g").unwrap();
        (0..300).for_each(|n| object(&mut writer, &format!("h/{n:03}"), 11_111 + n));
        let sign = |digest: &[u8; 32]| {
            let value = self.signer.sign(self.id, digest).iter().map(|byte| format!("{byte:02x}")).collect();
            Some(Signature { key: self.signer.public().to_string(), value })
        };
        writer.finish(sign).unwrap().0
    }

    fn sealed(&self, compression: &str) -> Vec<u8> {
        let recipients = Recipients::keys(vec![self.identity.recipient()]).unwrap();
        let mut sealer = Sealer::with_id(Vec::new(), &recipients, self.id).unwrap();
        sealer.write_all(&self.plain(compression)).unwrap();
        sealer.finish().unwrap()
    }

    fn manifest(&self, schema: &[u8]) -> Manifest {
        Manifest {
            format: FORMAT.into(),
            archive_id: self.id.to_string(),
            created: "2026-01-01T00:00:00Z".into(),
            generator: "test".into(),
            source: "notes".into(),
            app: "acme".into(),
            engine: Engine { kind: "sqlite".into(), version: "3".into() },
            row_encoding: RowEncoding::Jsonl,
            fingerprint: fingerprint(schema, b"", b""),
            extensions: vec![],
            skipped: vec![],
        }
    }

    fn keys(&self) -> ReadKeys {
        let identities = Identity::parse_file(&self.identity.to_secret_text()).unwrap();
        ReadKeys { unlock: Unlock { identities, ..Unlock::default() }, ..ReadKeys::default() }
    }

    async fn whole(&self, path: &Path) -> (Brought, Result<()>) {
        let input = ArchiveInput::open(path).unwrap();
        Brought::of(read_archive(input, self.keys(), &budget(), &self.transfer)).await
    }

    async fn read(&self, path: &Path, keys: ReadKeys, selection: Selection) -> (Brought, Result<()>) {
        let (place, budget) = (ArchivePlace::File(path.to_owned()), budget());
        let _reserve = budget.reserve(READING_SOME_BYTES).await.unwrap();
        Brought::of(read_some(&place, keys, selection, &budget, &self.transfer)).await
    }

    async fn only(&self, path: &Path, globs: &[&str]) -> Brought {
        let (brought, ended) = self.read(path, self.keys(), only(globs)).await;
        ended.unwrap();
        brought
    }

    /// How a reading is refused, of which nothing has come.
    async fn refused(&self, path: &Path, keys: ReadKeys, selection: Selection) -> (Outcome, String) {
        let (brought, ended) = self.read(path, keys, selection).await;
        assert_eq!(brought, Brought::default());
        let error = ended.unwrap_err();
        (error.outcome(), error.to_string())
    }
}

fn budget() -> Budget {
    Budget::new("16MiB".parse().unwrap())
}

fn only(globs: &[&str]) -> Selection {
    Selection::of(globs.iter().map(|glob| (*glob).to_owned())).unwrap()
}

fn header(key: &str, size: u64) -> ObjectHeader {
    let user = [("key".to_owned(), key.to_owned())].into();
    ObjectHeader { key: key.into(), size, content_type: Some("image/x".into()), user, ..Default::default() }
}

fn object(writer: &mut Writer<Vec<u8>>, key: &str, size: u64) {
    writer.begin_object(&header(key, size)).unwrap();
    let content: Vec<u8> =
        (0..u32::try_from(size).unwrap()).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    writer.object_bytes(&content).unwrap();
    writer.end_object().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_an_archive_comes_as_in_a_whole_reading() {
    let place = Place::new();
    for compression in ["gzip", "zstd", "none"] {
        for archive in [place.plain(compression), place.sealed(compression)] {
            let path = place.write("archive", &archive);
            let (whole, ended) = place.whole(&path).await;
            ended.unwrap();
            let (some, ended) = place.read(&path, place.keys(), Selection::all()).await;
            ended.unwrap();
            assert!(some == whole && some.objects.len() == 304, "{compression}");
            assert!(place.only(&path, &["**"]).await.rows == whole.rows);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_takes_what_it_names_and_its_summary_tells_of_that() {
    let place = Place::new();
    let path = place.write("archive", &place.sealed("gzip"));
    let whole = place.whole(&path).await.0;
    for (globs, tables, keys, vanished) in [
        (&["objects/a/*.png"][..], &[][..], &["a/b.png"][..], 0),
        (&["objects/a/", "objects/[fg]"], &[], &["a/b.png", "a/c/d.png", "a/e.txt", "f"], 1),
        (&["objects/**/*.png"], &[], &["a/b.png", "a/c/d.png"], 0),
        // One chunk stands for its table, wherever in it.
        (&["database/rows/u/00000001.jsonl"], &["u"], &[], 0),
        (&["database/rows/*/00000002.jsonl", "objects/f"], &["t", "u"], &["f"], 0),
        (&["database/**"], &["none", "t", "u"], &[], 0),
        (&["database/rows/none/*"], &["none"], &[], 0),
    ] {
        let some = place.only(&path, globs).await;
        let summary = some.summary.as_ref().unwrap();
        assert_eq!(some.documents, whole.documents, "{globs:?}");
        assert_eq!(some.keys(), keys, "{globs:?}");
        assert!(some.objects.iter().all(|object| whole.objects.contains(object)), "{globs:?}");
        assert!(some.rows.iter().all(|(table, rows)| whole.rows[table] == *rows), "{globs:?}");
        let with_rows: Vec<_> = tables.iter().copied().filter(|table| *table != "none").collect();
        assert_eq!(some.tables(), with_rows, "{globs:?}");
        let bytes: u64 = some.objects.iter().map(|(header, _)| header.size).sum();
        let objects = summary.objects;
        assert_eq!((objects.count, objects.bytes, objects.vanished), (keys.len() as u64, bytes, vanished), "{globs:?}");
        let told = &whole.summary.as_ref().unwrap().tables;
        let chosen: Vec<_> = told.iter().filter(|table| tables.contains(&table.name.as_str())).cloned().collect();
        assert_eq!(summary.tables, chosen, "{globs:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_is_not_read_again() {
    let place = Place::new();
    let path = place.write("archive", &place.plain("zstd"));
    let whole = place.whole(&path).await.0;
    let (sender, asked) = std::sync::mpsc::channel();
    let done = move |entry: &coffer_archive::Entry| {
        sender.send(entry.path.clone()).unwrap();
        Ok(entry.path.starts_with("objects/a/c") || entry.path == "database/rows/t/00000000.jsonl")
    };
    let selection = only(&["database/rows/t/*", "objects/a/**"]).without(done);
    let (some, ended) = place.read(&path, place.keys(), selection).await;
    ended.unwrap();
    assert_eq!(some.keys(), ["a/b.png", "a/e.txt"]);
    assert!(whole.rows["t"].ends_with(&some.rows["t"]) && some.rows["t"].len() == whole.rows["t"].len() / 3 * 2);
    // The counts are of all that was chosen, whenever it was done.
    let summary = some.summary.unwrap();
    assert_eq!((summary.objects.count, summary.tables.len()), (3, 1));
    let asked: Vec<_> = asked.iter().collect();
    let chunks = (0..3).map(|chunk| format!("database/rows/t/{chunk:08}.jsonl"));
    assert_eq!(
        asked,
        chunks.chain(["b.png", "c/d.png", "e.txt"].map(|key| format!("objects/a/{key}"))).collect::<Vec<_>>()
    );
    let failing = Selection::all().without(|_| Err(Error::Interrupted));
    assert!(matches!(place.read(&path, place.keys(), failing).await.1, Err(Error::Interrupted)));
}

#[tokio::test(flavor = "multi_thread")]
async fn little_is_read_of_an_archive_for_little_of_it() {
    let place = Place::new();
    let archive = place.sealed("none");
    let path = place.write("archive", &archive);
    place.only(&path, &["objects/a/b.png"]).await;
    let read = place.transfer.bytes();
    assert!(read > 300_000 && read < archive.len() as u64 / 2, "{read} of {}", archive.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_chosen_is_refused_by_name() {
    let place = Place::new();
    let path = place.write("archive", &place.sealed("gzip"));
    for (glob, outcome) in [
        ("objects/x*", Outcome::NotFound),
        ("objects/a", Outcome::NotFound),
        ("objects/g", Outcome::NotFound),
        ("database/rows/x/*", Outcome::NotFound),
        ("database/*.sql", Outcome::Usage),
        ("database/sequences.json", Outcome::Usage),
        ("manifest.json", Outcome::Usage),
        ("summary.json", Outcome::Usage),
        ("index/*", Outcome::Usage),
    ] {
        let (found, told) = place.refused(&path, place.keys(), only(&["objects/f", glob])).await;
        assert!(found == outcome && told.contains(glob), "{glob}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_archives_and_streams_are_refused() {
    let place = Place::new();
    let mut packed = Vec::new();
    let mut reader = std::io::Cursor::new(place.plain("gzip"));
    repack(&mut reader, &mut packed);
    let foreign = place.write("foreign.tar", &packed);
    for (path, outcome, word) in [
        (Path::new("-"), Outcome::Usage, "only once"),
        (Path::new("/dev/null"), Outcome::Usage, "only once"),
        (foreign.as_path(), Outcome::Usage, "another program"),
        (place.write("garbage", &[7; 3_000]).as_path(), Outcome::Damaged, "garbage"),
        (place.write("empty", b"").as_path(), Outcome::Damaged, "empty"),
        (place.folder.path().join("none").as_path(), Outcome::NotFound, "no archive"),
    ] {
        let (found, told) = place.refused(path, place.keys(), Selection::all()).await;
        assert!(found == outcome && told.contains(word), "{path:?}: {told}");
    }
}

/// The members of a plain archive without the lengths that ours have, as others write them.
fn repack(archive: &mut impl std::io::Read, out: &mut Vec<u8>) {
    // Ten bytes that all have, the length of what ours have beside, and the first of that: the member's length.
    let mut header = [0; 20];
    while archive.read_exact(&mut header).is_ok() {
        let extra = usize::from(u16::from_le_bytes([header[10], header[11]]));
        let length = u32::from_le_bytes([header[16], header[17], header[18], header[19]]) as usize;
        let mut rest = vec![0; length - header.len()];
        archive.read_exact(&mut rest).unwrap();
        out.extend_from_slice(&[0x1f, 0x8b, 8, 0]);
        out.extend_from_slice(&header[4..10]);
        out.extend_from_slice(&rest[extra - 8..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signed_it_and_which_it_is_are_asked_before_anything_comes() {
    let place = Place::new();
    let trust = |key: &SigningKey| Trust::parse(&[key.public().to_string()], "the test").unwrap();
    let expected = |app: &str| Some(Expected { id: place.id, app: app.parse().unwrap() });
    for archive in [place.plain("gzip"), place.sealed("gzip")] {
        let path = place.write("archive", &archive);
        let keys = |trust, expected| ReadKeys { trust, expected, ..place.keys() };
        let good = keys(trust(&place.signer), expected("notes/acme"));
        place.read(&path, good, only(&["objects/f"])).await.1.unwrap();
        let other = keys(trust(&SigningKey::generate().unwrap()), None);
        assert_eq!(place.refused(&path, other, Selection::all()).await.0, Outcome::Untrusted);
        let other = keys(Trust::default(), expected("notes/other"));
        assert_eq!(place.refused(&path, other, Selection::all()).await.0, Outcome::Damaged);
    }
    let sealed = place.write("sealed", &place.sealed("gzip"));
    assert_eq!(place.refused(&sealed, ReadKeys::default(), Selection::all()).await.0, Outcome::WrongKey);
}

/// Each segment hurt, and each length: as a whole reading, it ends in damage, and all that ends of objects is right.
#[tokio::test(flavor = "multi_thread")]
async fn damage_is_told_as_by_a_whole_reading() {
    let place = Place::new();
    let archive = place.sealed("gzip");
    let whole = place.whole(&place.write("archive", &archive)).await.0;
    let hurt = |at: usize| {
        let mut hurt = archive.clone();
        hurt[at] ^= 1;
        hurt
    };
    let cut = |length: usize| archive[..length].to_vec();
    let header_bytes = 1_000;
    let steps = (header_bytes..archive.len()).step_by(65_536);
    let (last, half) = (archive.len() - 1, archive.len() / 2);
    for changed in steps.map(hurt).chain([hurt(last), cut(last), cut(half), [&archive[..], b"x"].concat()]) {
        let path = place.write("hurt", &changed);
        let (some, ended) = place.read(&path, place.keys(), Selection::all()).await;
        assert_eq!(ended.unwrap_err().outcome(), Outcome::Damaged);
        assert!(some.summary.is_none());
        assert_eq!(place.whole(&path).await.1.unwrap_err().outcome(), Outcome::Damaged);
        let ended = some.objects.len().saturating_sub(1);
        assert_eq!(some.objects[..ended], whole.objects[..ended]);
    }
    // The last segments hold the index: nothing comes of an archive whose index is hurt.
    let path = place.write("hurt", &hurt(last - 20_000));
    place.refused(&path, place.keys(), only(&["objects/f"])).await;
}
