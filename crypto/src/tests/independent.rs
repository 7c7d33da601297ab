//! The format once more, straight from the RFCs and with one call each, to check ours against.

use aes::Aes256;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::*;
use crate::SEGMENT_SIZE as S;

/// HKDF-SHA-256 for 32 bytes, spelled out: extract, and one round of expand (RFC 5869).
fn derived(key: &ArchiveKey, id: ArchiveId, info: &str) -> [u8; 32] {
    let extracted = mac(id.as_bytes(), key.as_bytes());
    mac(&extracted, &[info.as_bytes(), &[1]].concat())
}

/// HMAC-SHA-256 spelled out (RFC 2104).
fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let padded = |pad: u8| (0..64).map(|i| key.get(i).copied().unwrap_or(0) ^ pad).collect::<Vec<u8>>();
    let inside = Sha256::digest([padded(0x36), message.to_vec()].concat());
    Sha256::digest([padded(0x5c), inside.to_vec()].concat()).into()
}

pub(super) fn tag(key: &ArchiveKey, id: ArchiveId, number: u64, last: u8, ciphertext: &[u8]) -> [u8; 32] {
    let key = derived(key, id, "coffer/1 authenticate");
    mac(&key, &[&number.to_le_bytes()[..], &[last], ciphertext].concat())
}

#[test]
fn the_keystream_runs_on_and_each_tag_is_an_hmac() {
    let identity = Identity::generate();
    let (key, id) = (ArchiveKey::from([0x5a; 32]), ArchiveId::from([0xc3; 16]));
    let plaintext = sample(3 * S + 1_234);
    let mut sealer = Sealer::with_key(Vec::new(), &to(&[&identity]), &key, id).unwrap();
    sealer.write_all(&plaintext).unwrap();
    let sealed = sealer.finish().unwrap();

    let mut expected = plaintext;
    let encrypt = derived(&key, id, "coffer/1 encrypt");
    ctr::Ctr128BE::<Aes256>::new(&encrypt.into(), &[0; 16].into()).apply_keystream(&mut expected);

    let segments = segments(&sealed);
    assert_eq!(segments.len(), 4);
    for ((segment, ciphertext), number) in segments.iter().zip(expected.chunks(S)).zip(0..) {
        let (body, tag_there) = segment.split_last_chunk::<32>().unwrap();
        assert!(body == ciphertext, "segment {number}");
        assert_eq!(*tag_there, tag(&key, id, number, u8::from(number == 3), ciphertext), "segment {number}");
    }
}

#[test]
fn the_header_is_laid_out_as_the_format_says() {
    let identity = Identity::generate();
    let (key, id) = (ArchiveKey::from([1; 32]), ArchiveId::from([2; 16]));
    let sealed = Sealer::with_key(Vec::new(), &to(&[&identity]), &key, id).unwrap().finish().unwrap();
    let length = header_length(&sealed);
    assert_eq!(sealed.len(), length + 32);
    assert_eq!(sealed[..8], *b"coffer/1");
    assert!(sealed[12..].starts_with(b"age-encryption.org/v1\n-> X25519 "));
    assert_eq!(sealed[length - 48..length - 32], [2; 16]);
    let expected = mac(&derived(&key, id, "coffer/1 header"), &sealed[..length - 32]);
    assert_eq!(sealed[length - 32..length], expected);
}

#[test]
fn the_spelled_out_hmac_is_the_library_s() {
    let library = Hmac::<Sha256>::new_from_slice(b"key").unwrap().chain_update(b"message").finalize().into_bytes();
    assert_eq!(mac(b"key", b"message"), <[u8; 32]>::from(library));
}
