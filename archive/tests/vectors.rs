//! Archives in files, each with the outcome that the format asks of a reader. `vectors/make.py` makes them, from the
//! format and without this crate, and tells what the lines of their heads mean.

use std::any::Any;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use coffer_archive::{Limits, Listed, RandomReader, ReadAt, Reader};
use libdeflater::Decompressor;

/// With fewer files in the folder, some were lost.
const VECTORS_AT_LEAST: usize = 700;
/// Honest archives among them.
const WHOLE_AT_LEAST: usize = 40;

/// One file: an archive and what a reader must say of it.
struct Vector {
    name: String,
    expect: Vec<String>,
    says: String,
    archive: Vec<u8>,
}

impl Vector {
    fn parse(name: String, file: &[u8]) -> Result<Self, String> {
        let end = file.windows(2).position(|pair| pair == b"\n\n").ok_or("it has no head")?;
        let (head, body) = file.split_at(end);
        let head = std::str::from_utf8(head).map_err(|error| error.to_string())?;
        let value = |key: &str| head.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        let needed = |key: &str| value(key).ok_or(format!("its head has no {key}"));
        let length = needed("length")?.parse().map_err(|_| "its length is no number")?;
        let archive = unpack(body.get(2..).unwrap_or_default(), needed("body")?, length)?;
        if needed("comment")?.is_empty() {
            return Err("its comment tells no rule".into());
        }
        let expect: Vec<_> = needed("expect")?.split(" or ").map(str::to_owned).collect();
        let known = ["whole", "NotAnArchive", "Version", "CutShort", "Member", "Entry", "Limit"];
        match expect.iter().find(|outcome| !known.contains(&outcome.as_str())) {
            Some(outcome) => Err(format!("it expects {outcome:?}, which is no outcome")),
            None => Ok(Self { name, expect, says: value("says").unwrap_or_default().into(), archive }),
        }
    }

    fn is_whole(&self) -> bool {
        self.expect == ["whole"]
    }

    /// Where to break it off: at each byte, but for those that take long to unpack.
    fn breaks(&self) -> impl Iterator<Item = usize> {
        let is_large = self.name.starts_with("large-");
        (0..self.archive.len()).step_by(if is_large { self.archive.len() / 50 } else { 1 })
    }
}

fn unpack(body: &[u8], form: &str, length: usize) -> Result<Vec<u8>, String> {
    let mut archive = vec![0; length];
    let found = match form {
        "raw" if body.len() == length => return Ok(body.to_vec()),
        "zlib" => Decompressor::new().zlib_decompress(body, &mut archive).map_err(|error| error.to_string())?,
        _ => return Err(format!("its body of {} bytes is not {length} {form} ones", body.len())),
    };
    if found == length { Ok(archive) } else { Err(format!("its body unpacks to {found} bytes")) }
}

/// Every vector of the folder, in the order of their names.
fn vectors() -> Result<Vec<Vector>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut vectors = Vec::new();
    for file in fs::read_dir(folder).map_err(|error| error.to_string())? {
        let path = file.map_err(|error| error.to_string())?.path();
        if path.extension().is_some_and(|extension| extension == "vector") {
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let file = fs::read(&path).map_err(|error| format!("{name}: {error}"))?;
            vectors.push(Vector::parse(name.clone(), &file).map_err(|why| format!("{name}: {why}"))?);
        }
    }
    vectors.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(vectors)
}

/// Gives an archive in pieces, perhaps with an interruption before each, and ends or fails where it is told to.
struct Source<'a> {
    rest: &'a [u8],
    piece: usize,
    interrupts: bool,
    interrupt_next: bool,
    fails: bool,
}

impl<'a> Source<'a> {
    fn whole(archive: &'a [u8]) -> Self {
        Self { rest: archive, piece: usize::MAX, interrupts: false, interrupt_next: false, fails: false }
    }

    fn byte_by_byte(archive: &'a [u8]) -> Self {
        Self { piece: 1, ..Self::whole(archive) }
    }

    fn interrupted(archive: &'a [u8]) -> Self {
        Self { piece: 7, interrupts: true, interrupt_next: true, ..Self::whole(archive) }
    }

    fn failing(archive: &'a [u8]) -> Self {
        Self { fails: true, ..Self::whole(archive) }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if std::mem::replace(&mut self.interrupt_next, false) {
            return Err(ErrorKind::Interrupted.into());
        }
        self.interrupt_next = self.interrupts;
        if self.rest.is_empty() && self.fails && !space.is_empty() {
            return Err(io::Error::other("the line is down"));
        }
        let piece = self.piece.min(space.len());
        self.rest.read(space.get_mut(..piece).unwrap_or_default())
    }
}

/// What a reader made of an archive: `whole`, or the variant of its error; and the error's text.
#[derive(Debug, PartialEq)]
struct Outcome {
    variant: String,
    text: String,
}

impl Outcome {
    fn of(source: Source) -> Self {
        let panicked = |cause: Box<dyn Any + Send>| Self {
            variant: "a panic".into(),
            text: cause.downcast_ref::<String>().cloned().unwrap_or_else(|| "of no words".into()),
        };
        catch_unwind(AssertUnwindSafe(|| Self::read(source))).unwrap_or_else(panicked)
    }

    fn read(source: Source) -> Self {
        let mut reader = Reader::new(source, Limits::default());
        loop {
            match reader.next_event() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    assert!(reader.next_event().is_err(), "a reader that has failed goes on");
                    assert!(reader.into_verified_summary().is_none(), "a reader that has failed vouches");
                    let variant = format!("{error:?}").split([' ', '(']).next().unwrap_or_default().to_owned();
                    return Self { variant, text: error.to_string() };
                }
            }
        }
        assert!(matches!(reader.next_event(), Ok(None)), "a reader at the end goes on");
        assert!(reader.into_verified_summary().is_some(), "a reader at the end does not vouch");
        Self { variant: "whole".into(), text: String::new() }
    }
}

/// An archive in memory, read at any place.
struct Bytes<'a>(&'a [u8]);

impl ReadAt for Bytes<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = start.checked_add(out.len()).and_then(|end| self.0.get(start..end));
        out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Reads every entry of the index at random, and looks each path up; whether all of it could be read.
fn read_at_random(archive: &[u8]) -> coffer_archive::Result<()> {
    let reader = RandomReader::open(Bytes(archive), Limits::default())?;
    reader.manifest()?;
    let mut paths = Vec::new();
    let mut failure = None;
    reader.list(|listed| {
        paths.push(listed.path().to_owned());
        if let Listed::Entry(entry) | Listed::Void(entry) = listed {
            failure = reader.read(&entry, &mut io::sink()).err().or(failure.take());
        }
        Ok(())
    })?;
    for path in paths {
        reader.find(&path)?;
    }
    failure.map_or(Ok(()), Err)
}

/// What is wrong with the reader's view of a vector, if anything is.
fn judge(vector: &Vector) -> Option<String> {
    let Vector { name, expect, says, archive } = vector;
    let outcome = Outcome::of(Source::whole(archive));
    if !expect.contains(&outcome.variant) {
        return Some(format!(
            "{name}: it should be {}, and is {} {:?}",
            expect.join(" or "),
            outcome.variant,
            outcome.text
        ));
    }
    if !outcome.text.contains(says.as_str()) {
        return Some(format!("{name}: {:?} does not say {says:?}", outcome.text));
    }
    let otherwise = [Source::byte_by_byte(archive), Source::interrupted(archive)].into_iter().map(Outcome::of);
    let other = otherwise.into_iter().find(|other| *other != outcome)?;
    Some(format!("{name}: {outcome:?} read whole, {other:?} read in pieces"))
}

/// Where the archive is taken although it breaks off, or refused for another reason.
fn judge_broken(vector: &Vector) -> Option<String> {
    vector.breaks().find_map(|at| {
        let (start, _) = vector.archive.split_at(at);
        let (cut, failed) = (Outcome::of(Source::whole(start)), Outcome::of(Source::failing(start)));
        // So few bytes may be the start of anything.
        let cut_short = cut.variant == "CutShort" || (at < 4 && cut.variant == "NotAnArchive");
        let failed_so = failed.variant == "Io" && failed.text == "the line is down";
        (!cut_short || !failed_so).then(|| format!("{}: broken off at byte {at}: {cut:?}, {failed:?}", vector.name))
    })
}

fn report(wrong: &[String], of: usize) {
    assert!(wrong.is_empty(), "{} of {of} vectors fail:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_vector_has_its_outcome_however_it_is_fed() {
    let vectors = vectors().unwrap();
    let whole = vectors.iter().filter(|vector| vector.is_whole()).count();
    assert!(vectors.len() >= VECTORS_AT_LEAST, "only {} vectors are left", vectors.len());
    assert!(whole >= WHOLE_AT_LEAST, "only {whole} honest vectors are left");
    report(&vectors.iter().filter_map(judge).collect::<Vec<_>>(), vectors.len());
}

#[test]
fn what_is_whole_can_be_read_at_random_and_nothing_panics() {
    let vectors = vectors().unwrap();
    let judge = |vector: &Vector| {
        let read = catch_unwind(|| read_at_random(&vector.archive).map_err(|error| error.to_string()));
        match read {
            Err(_) => Some(format!("{}: a panic", vector.name)),
            Ok(Err(error)) if vector.is_whole() => Some(format!("{}: {error}", vector.name)),
            Ok(_) => None,
        }
    };
    report(&vectors.iter().filter_map(judge).collect::<Vec<_>>(), vectors.len());
}

#[test]
fn a_whole_archive_that_breaks_off_anywhere_is_never_whole() {
    let vectors = vectors().unwrap();
    let whole: Vec<_> = vectors.iter().filter(|vector| vector.is_whole()).collect();
    report(&whole.iter().filter_map(|vector| judge_broken(vector)).collect::<Vec<_>>(), whole.len());
}
