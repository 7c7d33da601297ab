//! What is read at random is what is read in one pass.

use std::cell::RefCell;

use super::*;
use crate::SEGMENT_SIZE as S;
use crate::{LockedRandom, RandomOpener, ReadAt};

/// Bytes, and the reads that were made of them.
struct Source<'a> {
    bytes: &'a [u8],
    reads: RefCell<Vec<(u64, usize)>>,
}

impl ReadAt for Source<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.reads.borrow_mut().push((offset, out.len()));
        self.bytes.read_exact_at(offset, out)
    }
}

fn bytes_at(bytes: &[u8]) -> Source<'_> {
    Source { bytes, reads: RefCell::default() }
}

fn opened<R: ReadAt>(source: R, unlock: &Unlock) -> RandomOpener<R> {
    RandomOpener::open(source, unlock).unwrap_or_else(|error| panic!("{error:?}"))
}

fn refused(bytes: &[u8], unlock: &Unlock) -> Error {
    RandomOpener::open(bytes_at(bytes), unlock).map(|_| ()).unwrap_err()
}

#[test]
fn every_part_comes_as_it_was_sealed() {
    let identity = Identity::generate();
    for size in [0, 1, S - 1, S, S + 1, 2 * S, 3 * S + 17] {
        let (plaintext, sealed) = (sample(size), seal(&to(&[&identity]), &sample(size)));
        let opener = opened(bytes_at(&sealed), &with(&identity));
        assert_eq!(opener.size(), size as u64);
        let mut places: Vec<usize> = [0, 1, S - 1, S, S + 1, 2 * S, size / 2, size.saturating_sub(1), size].to_vec();
        places.retain(|place| *place <= size);
        for from in &places {
            for end in places.iter().filter(|end| from <= *end) {
                let mut out = vec![0; end - from];
                opener.read_exact_at(*from as u64, &mut out).unwrap();
                assert!(out == plaintext[*from..*end], "{from}..{end} of {size}");
            }
        }
    }
}

#[test]
fn one_read_for_the_header_and_one_for_each_part() {
    let identity = Identity::generate();
    let sealed = seal(&to(&[&identity]), &sample(4 * S + 10));
    let start = header_length(&sealed);
    let source = bytes_at(&sealed);
    let opener = opened(&source, &with(&identity));
    assert_eq!(source.reads.take(), [(0, 8_192)]);
    for (from, length, first, last) in
        [(0, 1, 0, 0), (S - 1, 1, 0, 0), (S - 1, 2, 0, 1), (S, S, 1, 1), (S, S + 1, 1, 2), (0, 4 * S + 10, 0, 4)]
    {
        opener.read_exact_at(from as u64, &mut vec![0; length]).unwrap();
        let (begin, end) = (start + first * (S + 32), (start + (last + 1) * (S + 32)).min(sealed.len()));
        assert_eq!(source.reads.take(), [(begin as u64, end - begin)], "{from} + {length}");
    }
    opener.read_exact_at(7, &mut []).unwrap();
    assert_eq!(source.reads.take(), []);
}

#[test]
fn a_long_header_takes_two_reads_and_a_short_source_no_more_than_it_has() {
    let identity = Identity::generate();
    for (recipients, reads) in [(70, 1), (100, 2), (600, 2)] {
        let keys = Recipients::keys(vec![identity.recipient(); recipients]).unwrap();
        let sealed = seal(&keys, &sample(10_000));
        let source = bytes_at(&sealed);
        opened(&source, &with(&identity));
        assert_eq!(source.reads.borrow().len(), reads, "{recipients}");
        let read: usize = source.reads.take().iter().map(|(_, length)| length).sum();
        assert_eq!(read, header_length(&sealed).max(8_192));
    }
    let sealed = seal(&to(&[&identity]), b"short");
    let source = bytes_at(&sealed);
    opened(&source, &with(&identity));
    assert_eq!(source.reads.take(), [(0, sealed.len())]);
}

#[test]
fn an_empty_archive_is_checked_at_once() {
    let identity = Identity::generate();
    let sealed = seal(&to(&[&identity]), b"");
    let source = bytes_at(&sealed);
    opened(&source, &with(&identity));
    assert_eq!(source.reads.borrow()[1..], [(header_length(&sealed) as u64, 32)]);
    for place in 1..=32 {
        let mut changed = sealed.clone();
        changed[sealed.len() - place] ^= 1;
        assert!(matches!(refused(&changed, &with(&identity)), Error::SegmentTag { segment } if segment.as_u64() == 0));
    }
}

#[test]
fn parts_that_are_not_there_are_named() {
    let identity = Identity::generate();
    let sealed = seal(&to(&[&identity]), &sample(S));
    let opener = opened(bytes_at(&sealed), &with(&identity));
    for (from, length) in [(S as u64, 1), (S as u64 + 1, 0), (0, S + 1), (u64::MAX, 0), (u64::MAX, 2)] {
        let mut out = vec![7; length];
        let error = opener.read_exact_at(from, &mut out).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(&from.to_string()) && message.contains("65536"), "{message}");
        assert!(error.kind() == io::ErrorKind::UnexpectedEof && matches!(inner(error), Error::Io(_)));
        assert_eq!(out, vec![7; length]);
    }
    opener.read_exact_at(S as u64, &mut []).unwrap();
}

#[test]
fn a_failed_read_leaves_the_buffer() {
    let identity = Identity::generate();
    let sealed = seal(&to(&[&identity]), &sample(3 * S));
    let mut changed = sealed.clone();
    changed[header_length(&sealed) + 2 * (S + 32)] ^= 1;
    let opener = opened(bytes_at(&changed), &with(&identity));
    let mut out = vec![7; 3 * S];
    let error = inner(opener.read_exact_at(0, &mut out).unwrap_err());
    assert!(matches!(error, Error::SegmentTag { segment } if segment.as_u64() == 2));
    assert!(out.iter().all(|byte| *byte == 7));
    opener.read_exact_at(0, &mut out[..2 * S]).unwrap();
    assert!(out[..2 * S] == sample(3 * S)[..2 * S]);
}

/// The plaintext of an archive read at random, all of it at once.
fn read_all(bytes: &[u8], unlock: &Unlock) -> Result<Vec<u8>, Error> {
    let opener = RandomOpener::open(bytes_at(bytes), unlock)?;
    let mut out = vec![0; usize::try_from(opener.size()).unwrap()];
    opener.read_exact_at(0, &mut out).map_err(inner)?;
    Ok(out)
}

#[test]
fn a_source_that_was_cut_or_added_to_is_refused_as_a_stream_is() {
    let identity = Identity::generate();
    for size in [0, 5, S, S + 5, 2 * S] {
        let sealed = seal(&to(&[&identity]), &sample(size));
        let borders = [0, 1, 31, 32, 33, S - 1, S, S + 1, S + 31, S + 32, S + 33, S + 63, S + 64, S + 65];
        let cuts = borders.iter().filter_map(|back| sealed.len().checked_sub(*back)).map(|end| sealed[..end].to_vec());
        let added = borders.iter().map(|more| [&sealed[..], &vec![0; *more]].concat());
        for bytes in cuts.chain(added) {
            let case = format!("{} bytes of {}", bytes.len(), sealed.len());
            let (plaintext, streamed) = open(bytes.as_slice(), &with(&identity));
            match (streamed, read_all(&bytes, &with(&identity))) {
                (Ok(()), Ok(out)) => assert!(out == plaintext, "{case}"),
                (Err(one), Err(two)) if refused_at_its_end(&bytes) => {
                    assert!(one.is_damage() && two.is_damage(), "{case}")
                }
                (Err(one), Err(two)) => assert_eq!(format!("{one:?}"), format!("{two:?}"), "{case}"),
                (one, two) => panic!("{case}: {one:?}, {:?}", two.map(|_| ())),
            }
        }
    }
}

/// Whether the size alone is wrong and the fault may lie before the two segments that are then looked at.
fn refused_at_its_end(bytes: &[u8]) -> bool {
    let body = bytes.len() - header_length(bytes).min(bytes.len());
    body > 2 * (S + 32) && (1..=32).contains(&(body % (S + 32)))
}

#[test]
fn bytes_in_memory_end() {
    let (bytes, mut out) = (&b"coffer"[..], [7; 2]);
    for offset in [5, 6, 7, u64::MAX] {
        assert_eq!(bytes.read_exact_at(offset, &mut out).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(out, [7; 2]);
    }
    bytes.read_exact_at(4, &mut out).unwrap();
    assert_eq!((&out, bytes.size()), (b"er", 6));
    bytes.read_exact_at(6, &mut []).unwrap();
}

#[test]
fn the_source_may_fail() {
    struct Broken(u64);
    impl ReadAt for Broken {
        fn size(&self) -> u64 {
            self.0
        }
        fn read_exact_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    for size in [1, 8_192, u64::MAX] {
        let result = RandomOpener::open(Broken(size), &Unlock::default()).map(|_| ());
        assert!(matches!(result, Err(Error::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset));
    }
}

/// Fails at the read of this number, or ends early, when a part of the buffer was filled.
struct Fragile<'a> {
    bytes: &'a [u8],
    size: usize,
    good_reads: RefCell<usize>,
}

impl ReadAt for Fragile<'_> {
    fn size(&self) -> u64 {
        self.size as u64
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let part = &self.bytes[start.min(self.bytes.len())..(start + out.len()).min(self.bytes.len())];
        out[..part.len()].copy_from_slice(part);
        match self.good_reads.replace_with(|left| left.saturating_sub(1)) {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ if part.len() < out.len() => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_source_that_fails_or_shrinks_gives_nothing_out() {
    let identity = Identity::generate();
    let sealed = seal(&Recipients::keys(vec![identity.recipient(); 100]).unwrap(), &sample(S + 9));
    let fragile = |end: usize, good_reads: usize| Fragile {
        bytes: &sealed[..end],
        size: sealed.len(),
        good_reads: good_reads.into(),
    };
    for good_reads in 0..2 {
        let result = RandomOpener::open(fragile(sealed.len(), good_reads), &with(&identity)).map(|_| ());
        assert!(matches!(result, Err(Error::Io(error)) if error.kind() == io::ErrorKind::TimedOut), "{good_reads}");
    }
    for (end, kind) in [
        (sealed.len(), io::ErrorKind::TimedOut),
        (sealed.len() - 1, io::ErrorKind::UnexpectedEof),
        (header_length(&sealed) + S + 32, io::ErrorKind::UnexpectedEof),
        (header_length(&sealed), io::ErrorKind::UnexpectedEof),
    ] {
        let good_reads = if kind == io::ErrorKind::TimedOut { 2 } else { 9 };
        let opener = opened(fragile(end, good_reads), &with(&identity));
        let mut out = vec![7; S + 9];
        let error = inner(opener.read_exact_at(0, &mut out).unwrap_err());
        assert!(matches!(error, Error::Io(error) if error.kind() == kind), "{end}");
        assert!(out.iter().all(|byte| *byte == 7));
    }
}

#[test]
fn waits_between_reading_and_opening_the_header() {
    let recipients = Recipients::Passphrase(Passphrase::new("open sesame").unwrap(), cheap());
    let sealed = seal(&recipients, b"treasure");
    let boxed: Box<dyn ReadAt> = Box::new(bytes_at(&sealed));
    let opener = LockedRandom::read(boxed).map(|locked| locked.unlock(&with_passphrase("open sesame")));
    let opener = opener.unwrap_or_else(|error| panic!("{error:?}")).unwrap_or_else(|error| panic!("{error:?}"));
    let mut out = [0; 4];
    opener.read_exact_at(4, &mut out).unwrap();
    assert_eq!(&out, b"sure");
    let id = opener.archive_id();
    assert_eq!(
        (id, opener.size()),
        (Opener::new(sealed.as_slice(), &with_passphrase("open sesame")).map(|opener| opener.archive_id()).unwrap(), 8)
    );
    let wrong = refused(&sealed, &with_passphrase("open wheat"));
    assert!(matches!(wrong, Error::WrongKey(WrongKey::Passphrase)));
}
