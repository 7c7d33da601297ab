//! An archive for other recipients.

use super::*;
use crate::SEGMENT_SIZE as S;
use crate::{Rewrapped, rewrap_header};

fn passphrase(text: &str) -> Recipients {
    Recipients::Passphrase(Passphrase::new(text).unwrap(), cheap())
}

/// The rewrapped archive, made as a caller makes it.
fn rewrapped(sealed: &[u8], unlock: &Unlock, recipients: &Recipients) -> Vec<u8> {
    let (mut input, mut out) = (sealed, Vec::new());
    let Rewrapped { archive_id, old_header_bytes, new_header_bytes } =
        rewrap_header(&mut input, unlock, recipients, &mut out).unwrap();
    assert_eq!(old_header_bytes, header_length(sealed) as u64);
    assert_eq!(input.len(), sealed.len() - header_length(sealed), "not a byte is read beyond the header");
    assert_eq!((new_header_bytes, out.len()), (out.len() as u64, header_length(&out)));
    assert_eq!(out[out.len() - 48..out.len() - 32], *archive_id.as_bytes());
    io::copy(&mut input, &mut out).unwrap();
    out
}

fn opens_to(sealed: &[u8], unlock: &Unlock, expected: &[u8]) {
    let (plaintext, end) = open(sealed, unlock);
    end.unwrap();
    assert!(plaintext == expected);
}

#[test]
fn the_new_recipients_open_it_and_the_old_ones_do_not() {
    let [old, older, new, newer] = [(); 4].map(|()| Identity::generate());
    let plaintext = sample(2 * S + 3);
    let sealed = seal(&to(&[&old, &older]), &plaintext);
    let out = rewrapped(&sealed, &with(&older), &to(&[&new, &newer]));
    for identity in [&new, &newer] {
        opens_to(&out, &with(identity), &plaintext);
    }
    for identity in [&old, &older] {
        let (_, result) = open(out.as_slice(), &with(identity));
        assert!(matches!(result, Err(Error::WrongKey(WrongKey::Identities))));
        opens_to(&sealed, &with(identity), &plaintext);
    }
    assert_eq!(segments(&out), segments(&sealed));
    let id = |sealed: &[u8], unlock: &Unlock| Opener::new(sealed, unlock).map(|opener| opener.archive_id()).unwrap();
    assert_eq!(id(&out, &with(&new)), id(&sealed, &with(&old)));
}

#[test]
fn between_passphrases_and_keys_both_ways() {
    let identity = Identity::generate();
    let by_passphrase = seal(&passphrase("open sesame"), b"treasure");
    let by_key = rewrapped(&by_passphrase, &with_passphrase("open sesame"), &to(&[&identity]));
    opens_to(&by_key, &with(&identity), b"treasure");
    let by_other = rewrapped(&by_key, &with(&identity), &passphrase("open barley"));
    opens_to(&by_other, &with_passphrase("open barley"), b"treasure");
    let (_, result) = open(by_other.as_slice(), &with_passphrase("open sesame"));
    assert!(matches!(result, Err(Error::WrongKey(WrongKey::Passphrase))));
    let again = rewrapped(&by_other, &with_passphrase("open barley"), &passphrase("open barley"));
    assert_ne!(again[..header_length(&again)], by_other[..header_length(&by_other)], "no two envelopes are the same");
}

#[test]
fn what_can_t_be_opened_or_is_damaged_is_not_rewrapped_and_nothing_is_written() {
    let (identity, other) = (Identity::generate(), Identity::generate());
    let sealed = seal(&to(&[&identity]), b"x");
    let mut changed = sealed.clone();
    changed[header_length(&sealed) - 40] ^= 1;
    let refused = |input: &[u8], unlock: &Unlock, recipients: &Recipients| {
        let mut out = Vec::new();
        let error = rewrap_header(&mut &*input, unlock, recipients, &mut out).unwrap_err();
        assert!(out.is_empty());
        error
    };
    let to_other = to(&[&other]);
    assert!(matches!(refused(&sealed, &with(&other), &to_other), Error::WrongKey(WrongKey::Identities)));
    assert!(matches!(refused(&changed, &with(&identity), &to_other), Error::HeaderTag));
    assert!(matches!(
        refused(&sealed[..header_length(&sealed) - 1], &with(&identity), &to_other),
        Error::CutShort { segment: None, .. }
    ));
    assert!(matches!(refused(&sealed, &with(&identity), &Recipients::Keys(Vec::new())), Error::Unusable { .. }));
    assert!(matches!(refused(b"\x1f\x8b", &with(&identity), &to_other), Error::NotSealed));
}

#[test]
fn damage_in_the_segments_stays() {
    let identity = Identity::generate();
    let mut sealed = seal(&to(&[&identity]), b"x");
    *sealed.last_mut().unwrap() ^= 1;
    let out = rewrapped(&sealed, &with(&identity), &to(&[&identity]));
    assert!(matches!(open(out.as_slice(), &with(&identity)).1, Err(Error::SegmentTag { .. })));
}

#[test]
fn an_output_that_fails_is_an_error() {
    let identity = Identity::generate();
    let sealed = seal(&to(&[&identity]), b"x");
    let mut place = [0; 100];
    let result = rewrap_header(&mut sealed.as_slice(), &with(&identity), &to(&[&identity]), &mut place.as_mut_slice());
    assert!(matches!(result, Err(Error::Io(_))));
}
