//! Random archives against programs that know nothing of us: gzip, zstd and GNU tar read what the writer makes, and the
//! reader takes what they pack.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use coffer_archive::{
    Compression, Engine, FORMAT, Limits, Manifest, ObjectHeader, Passing, Reader, RowEncoding, Summary, Writer,
    fingerprint,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
type Entries = BTreeMap<String, Vec<u8>>;

/// Numbers that look random and come again for the same seed (xorshift).
struct Random(u64);

impl Random {
    /// From `COFFER_TESTS_SEED`, else from the time; said, so that a failure can be run again.
    fn new() -> Outcome<Self> {
        #[expect(clippy::disallowed_methods, reason = "a test's seed")]
        let told = std::env::var("COFFER_TESTS_SEED").ok();
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_millis();
        let seed = told.map_or_else(
            || u64::try_from(now).map_err(io::Error::other),
            |seed| seed.parse().map_err(io::Error::other),
        )?;
        io::stderr().write_all(format!("COFFER_TESTS_SEED={seed}\n").as_bytes())?;
        Ok(Self(seed | 1))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        let noisy = self.below(2) == 0;
        (0..length)
            .map(|n| if noisy { self.below(256) } else { n / 50 % 7 })
            .map(|byte| byte.to_le_bytes()[0])
            .collect()
    }

    /// Sizes around every border that there is: blocks, members, nothing.
    fn size(&mut self) -> u64 {
        match self.below(6) {
            0 => 0,
            1 => 510 + self.below(5),
            2 => (256 << 10) - 1_026 + self.below(1_030),
            3 => self.below(700_000),
            _ => self.below(3_000),
        }
    }
}

/// An archive of random tables and objects.
fn random_archive(random: &mut Random, compression: Compression) -> coffer_archive::Result<Vec<u8>> {
    let schema = br#"{"tables":[{"name":"a"},{"name":"b/c"},{"name":"none"}]}"#;
    let manifest = Manifest {
        format: FORMAT.into(),
        archive_id: "0".repeat(32),
        created: "2026-01-01T00:00:00Z".into(),
        generator: "test".into(),
        source: "notes".into(),
        app: "acme".into(),
        engine: Engine { kind: "sqlite".into(), version: "3".into() },
        row_encoding: RowEncoding::Jsonl,
        fingerprint: fingerprint(schema, b"", b""),
        extensions: vec![],
        skipped: vec![],
    };
    let mut writer = Writer::new(Vec::new(), &manifest, compression)?;
    writer.structure(schema, b"", b"")?;
    for table in ["a", "b/c"] {
        for chunk in 0..random.below(4) {
            let rows = (0..=random.below(2_000)).map(|n| format!("[{chunk},{n}]\n")).collect::<String>();
            writer.rows(table, rows.as_bytes())?;
        }
    }
    writer.sequences(br#"{"sequences":[]}"#)?;
    for n in 0..random.below(40) {
        let size = random.size();
        let long = "x".repeat(usize::try_from(random.below(150)).unwrap_or(0));
        let key = format!("{n:03}/{long}{}", "ü a b".repeat(usize::from(random.below(3) == 0)));
        let header = ObjectHeader { key: (key + ".bin").into_bytes(), size, ..ObjectHeader::default() };
        match random.below(12) {
            0 => {
                writer.vanished_object(&header.key)?;
                continue;
            }
            1 => {
                writer.begin_object(&header)?;
                writer.object_bytes(&random.bytes(size / 2))?;
                writer.void_object()?;
            }
            _ => {}
        }
        writer.begin_object(&header)?;
        writer.object_bytes(&random.bytes(size))?;
        writer.end_object()?;
    }
    Ok(writer.finish(|_| None)?.0)
}

/// What a reader makes of an archive: its entries, the last of each path, and its summary.
fn read(mut reader: Reader<impl Read>) -> coffer_archive::Result<(Entries, Vec<String>, Summary)> {
    let (sender, seen) = mpsc::channel();
    reader.watch(move |passing| {
        let part = match passing {
            Passing::Begin { path, .. } => (Some(path.to_owned()), Vec::new()),
            Passing::Bytes(bytes) => (None, bytes.to_vec()),
            Passing::End => (None, Vec::new()),
        };
        sender.send(part).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe).into())
    });
    while reader.next_event()?.is_some() {}
    let summary = reader.into_verified_summary().ok_or_else(|| io::Error::other("no summary"))?;
    let (mut entries, mut order, mut last) = (Entries::new(), Vec::new(), String::new());
    for (path, bytes) in seen {
        if let Some(path) = path {
            entries.insert(path.clone(), Vec::new());
            order.retain(|other| *other != path);
            order.push(path.clone());
            last = path;
        }
        entries.entry(last.clone()).or_default().extend(bytes);
    }
    Ok((entries, order, summary))
}

/// Runs a program with bytes at its standard input, and gives what it wrote.
fn pipe(program: &str, arguments: &[&str], input: &[u8]) -> Outcome<Vec<u8>> {
    let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (mut stdin, input) = (child.stdin.take().ok_or("no input")?, input.to_vec());
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output()?;
    feeder.join().map_err(|_| "the feeder panicked")??;
    if output.status.success() { Ok(output.stdout) } else { Err(format!("{program}: {}", output.status).into()) }
}

fn unpacked(folder: &Path, entries: &Entries) -> Outcome<()> {
    for (path, content) in entries {
        if fs::read(folder.join(path))? != *content {
            return Err(format!("{path} came out otherwise").into());
        }
    }
    Ok(())
}

#[test]
fn gzip_zstd_and_gnu_tar_read_what_the_writer_makes_and_pack_what_the_reader_takes() -> Outcome<()> {
    let mut random = Random::new()?;
    for (compression, program) in [("gzip", "gzip"), ("zstd", "zstd"), ("none", "gzip")].repeat(3) {
        let archive = random_archive(&mut random, compression.parse()?)?;
        let (entries, order, summary) = read(Reader::new(archive.as_slice(), Limits::default()))?;
        let tar = pipe(program, &["-dc"], &archive)?;
        let folder = tempfile::tempdir()?;
        let place = folder.path().to_str().ok_or("a folder's name")?;
        pipe("tar", &["x", "--warning=no-unknown-keyword", "-C", place], &tar)?;
        unpacked(folder.path(), &entries)?;

        let names = order.join("\n");
        for format in ["gnu", "posix"] {
            let format = format!("--format={format}");
            let again = pipe("tar", &["c", &format, "--no-recursion", "-C", place, "-T", "-"], names.as_bytes())?;
            for (packer, options) in [("gzip", ["-c", "-9"]), ("zstd", ["-cq", "-5"])] {
                let packed = pipe(packer, &options, &again)?;
                let (found, _, told) = read(Reader::plain(packed.as_slice(), Limits::default()))?;
                assert_eq!((&found, &told), (&entries, &summary), "{packer} {format}");
            }
        }
    }
    Ok(())
}
