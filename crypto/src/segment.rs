//! One segment: sealed and opened in place, with no I/O and no allocation.

use std::fmt;

use aes::Aes256Enc;
use ctr::cipher::{InnerIvInit, StreamCipher};
use ctr::{Ctr128BE, CtrCore, flavors};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::{Error, Result};

/// The plaintext of a segment in bytes; the last may hold less.
pub const SEGMENT_SIZE: usize = 65_536;

/// A segment's tag in bytes. It follows the ciphertext.
pub const TAG_SIZE: usize = 32;

/// A full segment on the wire, in bytes.
pub(crate) const SEALED_SIZE: usize = SEGMENT_SIZE + TAG_SIZE;

/// AES blocks in a segment: by so much the counter goes up from one to the next.
const BLOCKS: u128 = 4_096;

/// A segment's place in its archive, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentNumber(u64);

impl SegmentNumber {
    /// The first segment of an archive.
    pub const FIRST: Self = Self(0);

    /// The segment after this one.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] after the last number: counters never wrap.
    pub fn next(self) -> Result<Self> {
        self.0.checked_add(1).map(Self).ok_or(Error::TooLong)
    }

    /// The number, counted from 0.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The AES counter block at which the segment's keystream begins. Can't wrap: it is below 2⁷⁶.
    fn counter(self) -> [u8; 16] {
        (u128::from(self.0) * BLOCKS).to_be_bytes()
    }
}

impl From<u64> for SegmentNumber {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for SegmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether more segments follow. The tag covers it, so that an archive can't be cut between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Others follow: the segment is full.
    Inner,
    /// The last one.
    Final,
}

impl Position {
    fn opposite(self) -> Self {
        match self {
            Self::Inner => Self::Final,
            Self::Final => Self::Inner,
        }
    }
}

/// What seals and opens the segments of one archive: AES-256-CTR (NIST SP 800-38A), then HMAC-SHA-256 over number,
/// position and ciphertext. Segments don't depend on each other, and threads may share the keys. Wiped when dropped.
pub struct SegmentKeys {
    encrypt: Aes256Enc,
    authenticate: Hmac<Sha256>,
}

impl SegmentKeys {
    pub(crate) fn new(encrypt: Aes256Enc, authenticate: Hmac<Sha256>) -> Self {
        Self { encrypt, authenticate }
    }

    /// Turns plaintext into ciphertext in place and gives its tag. Never seal two plaintexts under one number: together
    /// their ciphertexts show both.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] where the length does not fit the position, and [`Error::EmptySegment`] for an empty segment
    /// that is not the first; the buffer is then as it was.
    pub fn seal(&self, segment: SegmentNumber, position: Position, buffer: &mut [u8]) -> Result<[u8; TAG_SIZE]> {
        check_length(segment, position, buffer.len())?;
        self.apply_keystream(segment, buffer);
        Ok(self.mac(segment, position, buffer).finalize().into_bytes().into())
    }

    /// Checks the tag, in constant time, and then turns ciphertext into plaintext in place.
    ///
    /// # Errors
    ///
    /// [`Error::SegmentTag`] where the tag does not hold, otherwise as [`SegmentKeys::seal`]; the buffer is then as it
    /// was.
    pub fn open(
        &self,
        segment: SegmentNumber,
        position: Position,
        buffer: &mut [u8],
        tag: &[u8; TAG_SIZE],
    ) -> Result<()> {
        if !self.holds(segment, position, buffer, tag) {
            return Err(Error::SegmentTag { segment });
        }
        check_length(segment, position, buffer.len())?;
        self.apply_keystream(segment, buffer);
        Ok(())
    }

    /// As [`SegmentKeys::open`] for a segment as it stands on the wire, tag included; gives its plaintext.
    ///
    /// # Errors
    ///
    /// Tells a segment that is whole at its place, and wrong only in whether others follow: [`Error::CutShort`] where
    /// they should and the archive ends after `offset` bytes, [`Error::TrailingData`] where they should not.
    pub(crate) fn open_sealed<'a>(
        &self,
        segment: SegmentNumber,
        position: Position,
        sealed: &'a mut [u8],
        offset: u64,
    ) -> Result<&'a mut [u8]> {
        let cut_short = Error::CutShort { segment: Some(segment), offset };
        let Some((buffer, tag)) = sealed.split_last_chunk_mut::<TAG_SIZE>() else {
            return Err(cut_short);
        };
        match self.open(segment, position, buffer, tag) {
            Err(Error::SegmentTag { .. }) if self.holds(segment, position.opposite(), buffer, tag) => {
                Err(match position {
                    Position::Final => cut_short,
                    Position::Inner => Error::TrailingData { segment },
                })
            }
            Err(error) => Err(error),
            Ok(()) => Ok(buffer),
        }
    }

    /// Whether a tag is that of this ciphertext at this place.
    fn holds(&self, segment: SegmentNumber, position: Position, ciphertext: &[u8], tag: &[u8; TAG_SIZE]) -> bool {
        self.mac(segment, position, ciphertext).verify(tag.into()).is_ok()
    }

    fn mac(&self, segment: SegmentNumber, position: Position, ciphertext: &[u8]) -> Hmac<Sha256> {
        let last = match position {
            Position::Inner => 0,
            Position::Final => 1,
        };
        self.authenticate.clone().chain_update(segment.0.to_le_bytes()).chain_update([last]).chain_update(ciphertext)
    }

    fn apply_keystream(&self, segment: SegmentNumber, buffer: &mut [u8]) {
        let counter = segment.counter();
        let core = CtrCore::<&Aes256Enc, flavors::Ctr128BE>::inner_iv_init(&self.encrypt, &counter.into());
        Ctr128BE::from_core(core).apply_keystream(buffer);
    }
}

impl fmt::Debug for SegmentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SegmentKeys")
    }
}

/// A longer segment would use the keystream of the next one.
fn check_length(segment: SegmentNumber, position: Position, length_bytes: usize) -> Result<()> {
    match (position, length_bytes) {
        (Position::Final, 0) if segment != SegmentNumber::FIRST => Err(Error::EmptySegment { segment }),
        (Position::Final, 0..=SEGMENT_SIZE) | (Position::Inner, SEGMENT_SIZE) => Ok(()),
        _ => Err(Error::Unusable { reason: "a segment holds 65536 bytes, and only the last one may hold fewer" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{hex, known_keys};

    const PLAINTEXT: &[u8] = b"the plaintext of a segment\n";

    /// The keys of `key.rs`'s vector; ciphertexts from `openssl enc -aes-256-ctr -K … -iv …`, tags from Python's
    /// `hmac`.
    #[test]
    fn seals_as_openssl_does() {
        for (number, ciphertext, tag) in [
            (
                0,
                "40581b4148704eaf27c93dd8ab5bc308db763d9c3f6fc0ebbbfa15",
                "49b0e16ffa2d0437ad67c075971dac253b5564f236ef1a66c084463c26fcb8b8",
            ),
            (
                1,
                "afa4463916db9ec97c7b55a7cd7f8afaaa3a78e7ecf71e9a4d5333",
                "fbc4f0e1ade5a7a2ec02e1ac945c353093286eb72358f47c6d291547faa01eda",
            ),
            (
                1 << 40,
                "2ca24e3c94dcd8269b1fe48c37e99e451bdcc3a067570c7f470b3b",
                "9b1e8aa0454ffe23a29512038a26918639b9835d5941cf63750884ff3fc312a1",
            ),
        ] {
            let mut buffer = PLAINTEXT.to_vec();
            let sealed = known_keys().seal(SegmentNumber(number), Position::Final, &mut buffer).unwrap();
            assert_eq!((hex(&buffer).as_str(), hex(&sealed).as_str()), (ciphertext, tag), "segment {number}");
            known_keys().open(SegmentNumber(number), Position::Final, &mut buffer, &sealed).unwrap();
            assert_eq!(buffer, PLAINTEXT);
        }
    }

    #[test]
    fn opens_in_its_place_alone_and_leaves_the_buffer_otherwise() {
        let keys = known_keys();
        let mut buffer = vec![7; SEGMENT_SIZE];
        let tag = keys.seal(SegmentNumber(3), Position::Inner, &mut buffer).unwrap();
        let sealed = buffer.clone();
        for (number, position) in [(2, Position::Inner), (4, Position::Inner), (3, Position::Final)] {
            let error = keys.open(SegmentNumber(number), position, &mut buffer, &tag).unwrap_err();
            assert!(matches!(error, Error::SegmentTag { segment } if segment.as_u64() == number));
            assert_eq!(buffer, sealed);
        }
        keys.open(SegmentNumber(3), Position::Inner, &mut buffer, &tag).unwrap();
        assert_eq!(buffer, vec![7; SEGMENT_SIZE]);
    }

    #[test]
    fn refuses_lengths_that_would_share_keystream() {
        for (number, position, length) in [
            (0, Position::Inner, SEGMENT_SIZE - 1),
            (0, Position::Inner, SEGMENT_SIZE + 1),
            (0, Position::Final, SEGMENT_SIZE + 1),
            (1, Position::Final, 0),
        ] {
            let mut buffer = vec![7; length];
            assert!(known_keys().seal(SegmentNumber(number), position, &mut buffer).is_err());
            assert_eq!(buffer, vec![7; length]);
        }
    }

    #[test]
    fn an_empty_segment_with_a_true_tag_is_refused_unless_it_is_the_first() {
        let keys = known_keys();
        let tag = keys.mac(SegmentNumber(1), Position::Final, &[]).finalize().into_bytes().into();
        let error = keys.open(SegmentNumber(1), Position::Final, &mut [], &tag).unwrap_err();
        assert!(matches!(error, Error::EmptySegment { segment } if segment.as_u64() == 1));
        let tag = keys.seal(SegmentNumber::FIRST, Position::Final, &mut []).unwrap();
        keys.open(SegmentNumber::FIRST, Position::Final, &mut [], &tag).unwrap();
    }

    #[test]
    fn numbers_end_and_do_not_wrap() {
        let last = SegmentNumber(u64::MAX);
        assert!(matches!(last.next(), Err(Error::TooLong)));
        let mut buffer = PLAINTEXT.to_vec();
        let tag = known_keys().seal(last, Position::Final, &mut buffer).unwrap();
        known_keys().open(last, Position::Final, &mut buffer, &tag).unwrap();
        assert_eq!(buffer, PLAINTEXT);
    }
}
