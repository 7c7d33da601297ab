//! Archives that somebody changed.

use super::*;
use crate::SEGMENT_SIZE as S;

#[test]
fn each_flipped_byte_is_an_error_of_its_kind() {
    let identity = Identity::generate();
    let sealed = seal(&to(&[&identity]), &sample(40));
    let start = header_length(&sealed);
    for place in 0..sealed.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut changed = sealed.clone();
            changed[place] ^= mask;
            let (plaintext, result) = open(changed.as_slice(), &with(&identity));
            let error = result.unwrap_err();
            assert!(plaintext.is_empty());
            let right = match place {
                0..7 => matches!(error, Error::NotSealed),
                7 => matches!(error, Error::UnsupportedVersion { version } if version == b'1' ^ mask),
                8..12 => matches!(
                    error,
                    Error::EnvelopeTooLong { .. } | Error::CutShort { segment: None, .. } | Error::EnvelopeDamaged
                ),
                _ if place < start - 48 => {
                    matches!(error, Error::EnvelopeDamaged | Error::WrongKey(WrongKey::Identities))
                }
                _ if place < start => matches!(error, Error::HeaderTag),
                _ => matches!(error, Error::SegmentTag { segment } if segment.as_u64() == 0),
            };
            assert!(right, "byte {place}: {error:?}");
        }
    }
}

/// The header of `sealed` before other segments.
fn replaced(sealed: &[u8], segments: &[&[u8]]) -> Vec<u8> {
    [&sealed[..header_length(sealed)], &segments.concat()].concat()
}

#[test]
fn segments_out_of_their_place_are_errors() {
    let identity = Identity::generate();
    let sealed = seal(&to(&[&identity]), &sample(3 * S + 9));
    let other = seal(&to(&[&identity]), &sample(3 * S + 9));
    let (own, foreign) = (segments(&sealed), segments(&other));
    let (plaintext, end) = open(replaced(&sealed, &own).as_slice(), &with(&identity));
    assert!(end.is_ok() && plaintext == sample(3 * S + 9));
    for (name, order, wrong) in [
        ("swapped", vec![own[0], own[2], own[1], own[3]], 1),
        ("repeated", vec![own[0], own[0], own[1], own[2], own[3]], 1),
        ("dropped", vec![own[0], own[2], own[3]], 1),
        ("first dropped", vec![own[1], own[2], own[3]], 0),
        ("foreign", vec![own[0], own[1], foreign[2], own[3]], 2),
        ("foreign end", vec![own[0], own[1], own[2], foreign[3]], 3),
        ("final too early", vec![own[0], own[3]], 1),
    ] {
        let (plaintext, result) = open(replaced(&sealed, &order).as_slice(), &with(&identity));
        let error = result.unwrap_err();
        assert!(matches!(error, Error::SegmentTag { segment } if segment.as_u64() == wrong), "{name}: {error:?}");
        assert!(plaintext == sample(usize::try_from(wrong).unwrap() * S), "{name}: all before, and nothing after");
    }
}

#[test]
fn the_header_of_another_archive_does_not_fit() {
    let identity = Identity::generate();
    let (one, other) = (seal(&to(&[&identity]), b"one"), seal(&to(&[&identity]), b"two"));
    let (_, result) = open(replaced(&one, &segments(&other)).as_slice(), &with(&identity));
    assert!(matches!(result, Err(Error::SegmentTag { .. })));

    let mut id_of_other = one.clone();
    let (here, there) = (header_length(&one) - 48, header_length(&other) - 48);
    id_of_other[here..here + 16].copy_from_slice(&other[there..there + 16]);
    assert!(matches!(open(id_of_other.as_slice(), &with(&identity)).1, Err(Error::HeaderTag)));
}

#[test]
fn bytes_after_the_end_are_errors() {
    let identity = Identity::generate();
    for size in [0, 1, S - 1, S, S + 1, 2 * S] {
        let sealed = seal(&to(&[&identity]), &sample(size));
        for more in [1, 31, 32, 33, S + 32, S + 33] {
            let longer = [sealed.clone(), vec![0; more]].concat();
            let (plaintext, result) = open(longer.as_slice(), &with(&identity));
            let error = result.unwrap_err();
            if size > 0 && size % S == 0 {
                assert!(
                    matches!(error, Error::TrailingData { segment } if segment.as_u64() == (size / S) as u64 - 1),
                    "{error:?}"
                );
            } else {
                assert!(error.is_damage(), "{size} + {more}: {error:?}");
            }
            assert!(plaintext.len() <= size.saturating_sub(1) / S * S);
        }
    }
}

#[test]
fn an_empty_final_segment_after_others_is_an_error() {
    let identity = Identity::generate();
    let (key, id) = (ArchiveKey::random().unwrap(), ArchiveId::random().unwrap());
    let mut sealer = Sealer::with_key(Vec::new(), &to(&[&identity]), &key, id).unwrap();
    sealer.write_all(&sample(S + 1)).unwrap();
    let sealed = sealer.finish().unwrap();
    let empty = independent::tag(&key, id, 1, 1, &[]);
    let (plaintext, result) = open(replaced(&sealed, &[segments(&sealed)[0], &empty]).as_slice(), &with(&identity));
    assert!(matches!(result, Err(Error::EmptySegment { segment }) if segment.as_u64() == 1));
    assert_eq!(plaintext.len(), S);
}

#[test]
fn other_files_are_told_apart() {
    let unlock = Unlock::default();
    for (bytes, right) in [
        (&b"\x1f\x8b\x08\x04 gzip"[..], false),
        (b"\x1f", false),
        (b"age-encryption.org/v1\n", false),
        (b"coffee/1", false),
        (b"coffer", false),
        (b"coffer/1", true),
        (b"coffer/2 and more", true),
    ] {
        assert_eq!(crate::is_sealed(bytes), right);
    }
    assert!(matches!(open(&b"\x1f\x8b"[..], &unlock).1, Err(Error::NotSealed)));
    assert!(matches!(open(&b"\x1f\x8b\x08\x04 gzip"[..], &unlock).1, Err(Error::NotSealed)));
    assert!(matches!(open(&b""[..], &unlock).1, Err(Error::CutShort { segment: None, offset: 0 })));
    assert!(matches!(open(&b"coffer/2"[..], &unlock).1, Err(Error::UnsupportedVersion { version: b'2' })));
    let endless = [&b"coffer/1"[..], &65_537_u32.to_le_bytes()].concat();
    assert!(matches!(open(endless.as_slice(), &unlock).1, Err(Error::EnvelopeTooLong { length: 65_537 })));
}
