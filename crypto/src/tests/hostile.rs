//! Inputs and outputs that stutter, fail and end anywhere.

use super::*;
use crate::SEGMENT_SIZE as S;

/// Gives one byte a read, after an interruption each, and then ends or fails.
struct Stutter<'a> {
    rest: &'a [u8],
    interrupted: bool,
    end: Option<io::ErrorKind>,
}

impl Read for Stutter<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match (self.rest.split_first(), self.end) {
            (Some((byte, rest)), _) => {
                out[0] = *byte;
                self.rest = rest;
                Ok(1)
            }
            (None, None) => Ok(0),
            (None, Some(kind)) => Err(kind.into()),
        }
    }
}

fn stutter(rest: &[u8], end: Option<io::ErrorKind>) -> Stutter<'_> {
    Stutter { rest, interrupted: false, end }
}

#[test]
fn one_byte_a_read_with_interruptions() {
    let identity = Identity::generate();
    for size in [0, 1, S, S + 1] {
        let (plaintext, end) = open(stutter(&seal(&to(&[&identity]), &sample(size)), None), &with(&identity));
        end.unwrap();
        assert_eq!(plaintext, sample(size));
    }
}

#[test]
fn an_end_at_every_byte_is_an_error() {
    let identity = Identity::generate();
    for size in [0, 40] {
        let sealed = seal(&to(&[&identity]), &sample(size));
        for end in 0..sealed.len() {
            let (plaintext, result) = open(stutter(&sealed[..end], None), &with(&identity));
            let error = result.unwrap_err();
            assert!(plaintext.is_empty());
            match end.checked_sub(header_length(&sealed)) {
                None => assert!(
                    matches!(error, Error::CutShort { segment: None, offset } if offset == end as u64),
                    "{end}: {error:?}"
                ),
                Some(0..32) => assert!(
                    matches!(error, Error::CutShort { segment: Some(_), offset } if offset == end as u64),
                    "{end}: {error:?}"
                ),
                Some(_) => assert!(matches!(error, Error::SegmentTag { .. }), "{end}: {error:?}"),
            }
            assert!(error.is_damage());
        }
    }
}

#[test]
fn an_error_at_every_byte_is_an_error() {
    let identity = Identity::generate();
    let sealed = seal(&to(&[&identity]), &sample(40));
    for end in 0..=sealed.len() {
        let (plaintext, result) = open(stutter(&sealed[..end], Some(io::ErrorKind::ConnectionReset)), &with(&identity));
        assert!(plaintext.is_empty());
        match result {
            Err(Error::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
            other => panic!("{end}: {other:?}"),
        }
    }
}

#[test]
fn a_read_without_room_reads_nothing() {
    let identity = Identity::generate();
    let sealed = seal(&to(&[&identity]), &sample(S + 1));
    let mut opener = Opener::new(&sealed[..header_length(&sealed) + S + 40], &with(&identity)).unwrap();
    for (given, segments_read) in [(0, 0), (S, 1)] {
        assert_eq!(opener.read(&mut vec![0; given]).unwrap(), given);
        assert_eq!(opener.read(&mut []).unwrap(), 0);
        assert_eq!(opener.segments_read(), segments_read);
    }
    assert!(opener.read(&mut [0]).is_err());
}

#[test]
fn ends_around_the_borders_of_segments_are_errors() {
    let identity = Identity::generate();
    let plaintext = sample(2 * S + 100);
    let sealed = seal(&to(&[&identity]), &plaintext);
    let start = header_length(&sealed);
    for border in [0, S, S + 32, 2 * S + 32, 2 * (S + 32), 2 * (S + 32) + 100] {
        for end in (start + border).saturating_sub(2)..start + border + 3 {
            let (read, result) = open(&sealed[..end], &with(&identity));
            let error = result.unwrap_err();
            assert!(error.is_damage(), "{end}: {error:?}");
            assert!(plaintext.starts_with(&read) && read.len() % S == 0);
        }
    }
    for (count, whole) in [(1, 0), (2, S)] {
        let (read, result) = open(&sealed[..start + count * (S + 32)], &with(&identity));
        assert_eq!(read.len(), whole, "the last one that there is is not released: it is not the final one");
        assert!(matches!(result, Err(Error::CutShort { segment: Some(n), .. }) if n.as_u64() == count as u64 - 1));
    }
}

#[test]
fn one_byte_a_read_an_end_and_an_error_around_the_borders_of_two_segments() {
    let identity = Identity::generate();
    let plaintext = sample(S + 7);
    let sealed = seal(&to(&[&identity]), &plaintext);
    let start = header_length(&sealed);
    for border in [start, start + S, start + S + 32, sealed.len() - 32, sealed.len()] {
        for end in border - 1..=(border + 1).min(sealed.len()) {
            let whole = if end > start + S + 32 { S } else { 0 };
            let (read, result) = open(stutter(&sealed[..end], None), &with(&identity));
            if end < sealed.len() {
                assert!(
                    result.unwrap_err().is_damage() && read.len() == whole && plaintext.starts_with(&read),
                    "{end}"
                );
            } else {
                assert!(result.is_ok() && read == plaintext);
            }
            let broken = stutter(&sealed[..end], Some(io::ErrorKind::TimedOut));
            let (read, result) = open(broken, &with(&identity));
            assert!(matches!(result, Err(Error::Io(error)) if error.kind() == io::ErrorKind::TimedOut), "{end}");
            assert!(read.len() == whole && plaintext.starts_with(&read), "{end}: nothing of an unchecked segment");
        }
    }
}

#[test]
fn a_header_to_rewrap_may_stutter_end_and_fail_at_every_byte() {
    let identity = Identity::generate();
    let sealed = seal(&to(&[&identity]), &sample(40));
    let start = header_length(&sealed);
    let rewrap = |input: &mut Stutter<'_>| {
        let mut out = Vec::new();
        let result = crate::rewrap_header(input, &with(&identity), &to(&[&identity]), &mut out);
        assert!(result.is_ok() || out.is_empty());
        result
    };
    for end in 0..start {
        let result = rewrap(&mut stutter(&sealed[..end], None));
        assert!(matches!(result, Err(Error::CutShort { segment: None, offset }) if offset == end as u64), "{end}");
        let result = rewrap(&mut stutter(&sealed[..end], Some(io::ErrorKind::ConnectionReset)));
        assert!(matches!(result, Err(Error::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset), "{end}");
    }
    let mut input = stutter(&sealed, Some(io::ErrorKind::ConnectionReset));
    assert_eq!(rewrap(&mut input).unwrap().old_header_bytes, start as u64);
    assert_eq!(input.rest.len(), sealed.len() - start, "not a byte beyond");
}

/// Takes so many bytes, and then fails once.
struct Full {
    taken: Vec<u8>,
    room: usize,
    failed: bool,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.room - self.taken.len());
        if n == 0 && !bytes.is_empty() && !self.failed {
            self.failed = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let n = if self.failed { bytes.len() } else { n };
        self.room = self.room.max(self.taken.len() + n);
        self.taken.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn after_a_failed_write_nothing_more_is_written() {
    let identity = Identity::generate();
    for room in [1_000, S, S + 2_000] {
        let mut out = Full { taken: Vec::new(), room, failed: false };
        let mut sealer = Sealer::new(&mut out, &to(&[&identity])).unwrap();
        let error = sealer.write_all(&sample(4 * S)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(sealer.write_all(b"more").is_err());
        assert!(sealer.flush().is_err());
        assert!(sealer.finish().is_err());
        assert_eq!(out.taken.len(), room);
        assert!(open(out.taken.as_slice(), &with(&identity)).1.unwrap_err().is_damage());
    }
}

/// Takes a byte a write, after an interruption each.
struct Trickle(Vec<u8>, bool);

impl Write for Trickle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.0.extend(bytes.first());
        Ok(bytes.len().min(1))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_takes_little_gets_all() {
    let identity = Identity::generate();
    let mut sealer = Sealer::new(Trickle(Vec::new(), false), &to(&[&identity])).unwrap();
    sealer.write_all(&sample(S + 3)).unwrap();
    let sealed = sealer.finish().unwrap().0;
    let mut out = Trickle(Vec::new(), false);
    let rewrapped =
        crate::rewrap_header(&mut sealed.as_slice(), &with(&identity), &to(&[&identity]), &mut out).unwrap();
    out.0.extend_from_slice(&sealed[header_length(&sealed)..]);
    assert_eq!(rewrapped.new_header_bytes, header_length(&out.0) as u64);
    for sealed in [sealed, out.0] {
        let (plaintext, end) = open(sealed.as_slice(), &with(&identity));
        assert!(end.is_ok() && plaintext == sample(S + 3));
    }
}

#[test]
fn a_dropped_sealer_leaves_a_cut_archive() {
    let identity = Identity::generate();
    for size in [0, 10, S, S + 1, 2 * S] {
        let mut out = Vec::new();
        let mut sealer = Sealer::new(&mut out, &to(&[&identity])).unwrap();
        sealer.write_all(&sample(size)).unwrap();
        drop(sealer);
        assert!(
            matches!(open(out.as_slice(), &with(&identity)).1, Err(Error::CutShort { segment: Some(_), .. })),
            "{size}"
        );
    }
}
