//! What holds for whole archives, through the public interface.

mod foreign;
mod hostile;
mod independent;
mod keys;
mod random;
mod rewrap;
mod round_trip;
mod tamper;

use std::io::{self, Read, Write};

use crate::{
    ArchiveId, ArchiveKey, Error, Identity, Opener, Passphrase, Recipients, SEGMENT_SIZE, Sealer, SegmentKeys, Unlock,
    WorkFactor, WrongKey,
};

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The keys of key 00…1f and id a0…af.
pub(crate) fn known_keys() -> SegmentKeys {
    let key = ArchiveKey::from(std::array::from_fn(|i| u8::try_from(i).unwrap()));
    key.segment_keys(ArchiveId::from(std::array::from_fn(|i| u8::try_from(0xa0 + i).unwrap())))
}

/// Bytes without a period that a segment's length divides.
fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

fn to(identities: &[&Identity]) -> Recipients {
    Recipients::keys(identities.iter().map(|identity| identity.recipient()).collect()).unwrap()
}

fn with(identity: &Identity) -> Unlock {
    Unlock { identities: vec![identity.to_secret_text().parse().unwrap()], ..Unlock::default() }
}

fn with_passphrase(text: &str) -> Unlock {
    Unlock { passphrase: Some(Passphrase::new(text).unwrap()), ..Unlock::default() }
}

fn cheap() -> WorkFactor {
    WorkFactor::new(2).unwrap()
}

fn seal(recipients: &Recipients, plaintext: &[u8]) -> Vec<u8> {
    let mut sealer = Sealer::new(Vec::new(), recipients).unwrap();
    sealer.write_all(plaintext).unwrap();
    sealer.finish().unwrap()
}

/// Reads to the end or to an error, and gives what came before it.
fn open(sealed: impl Read, unlock: &Unlock) -> (Vec<u8>, Result<(), Error>) {
    let mut opener = match Opener::new(sealed, unlock) {
        Ok(opener) => opener,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let (mut plaintext, mut buffer) = (Vec::new(), vec![0; 10_007]);
    loop {
        match opener.read(&mut buffer) {
            Ok(0) => return (plaintext, Ok(())),
            Ok(n) => plaintext.extend_from_slice(&buffer[..n]),
            Err(error) => {
                for again in [opener.read(&mut buffer), opener.read(&mut [])] {
                    assert_eq!(again.unwrap_err().kind(), error.kind(), "an error stays");
                }
                return (plaintext, Err(inner(error)));
            }
        }
    }
}

fn inner(error: io::Error) -> Error {
    assert!(error.get_ref().is_some_and(|error| error.is::<Error>()), "{error:?}");
    *error.into_inner().unwrap().downcast::<Error>().unwrap()
}

/// The offset of the first segment: after the envelope's length, the envelope, the id and the tag.
fn header_length(sealed: &[u8]) -> usize {
    60 + usize::try_from(u32::from_le_bytes(sealed[8..12].try_into().unwrap())).unwrap()
}

/// The segments as they stand on the wire.
fn segments(sealed: &[u8]) -> Vec<&[u8]> {
    sealed[header_length(sealed)..].chunks(SEGMENT_SIZE + 32).collect()
}
