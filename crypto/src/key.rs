//! The key of an archive, and the three keys that are made from it.

use std::fmt;

use aes::Aes256Enc;
use aes::cipher::KeyInit;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{ArchiveId, Error, Result, SegmentKeys};

pub(crate) const KEY_SIZE: usize = 32;

/// The secret that opens one archive, wiped when dropped. Made fresh for every writing.
#[derive(ZeroizeOnDrop)]
pub struct ArchiveKey([u8; KEY_SIZE]);

impl ArchiveKey {
    /// Gives a key that nobody knows, from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the operating system has no random numbers.
    pub fn random() -> Result<Self> {
        let mut key = Self([0; KEY_SIZE]);
        getrandom::fill(&mut key.0).map_err(std::io::Error::from)?;
        Ok(key)
    }

    /// The keys that encrypt and authenticate the segments of the archive `id`.
    #[must_use]
    pub fn segment_keys(&self, id: ArchiveId) -> SegmentKeys {
        let encrypt = self.derive(id, b"coffer/1 encrypt");
        let authenticate = self.derive(id, b"coffer/1 authenticate");
        SegmentKeys::new(Aes256Enc::new((&*encrypt).into()), hmac_sha256(&authenticate))
    }

    pub(crate) fn header_key(&self, id: ArchiveId) -> HeaderKey {
        HeaderKey(self.derive(id, b"coffer/1 header"))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; KEY_SIZE] {
        &self.0
    }

    /// HKDF-SHA-256 (RFC 5869) with the archive's id as salt.
    #[expect(clippy::expect_used, reason = "HKDF-SHA-256 gives up to 8,160 bytes, and this asks for 32")]
    fn derive(&self, id: ArchiveId, info: &[u8]) -> Zeroizing<[u8; KEY_SIZE]> {
        let mut key = Zeroizing::new([0; KEY_SIZE]);
        Hkdf::<Sha256>::new(Some(id.as_bytes()), &self.0)
            .expand(info, key.as_mut_slice())
            .expect("32 bytes are within HKDF's limit");
        key
    }
}

impl From<[u8; KEY_SIZE]> for ArchiveKey {
    fn from(bytes: [u8; KEY_SIZE]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for ArchiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArchiveKey")
    }
}

/// The key of the header's tag.
pub(crate) struct HeaderKey(Zeroizing<[u8; KEY_SIZE]>);

impl HeaderKey {
    pub(crate) fn tag(&self, header: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.0).chain_update(header).finalize().into_bytes().into()
    }

    /// Checks a header's tag in constant time.
    pub(crate) fn check(&self, header: &[u8], tag: &[u8; 32]) -> Result<()> {
        hmac_sha256(&self.0).chain_update(header).verify(tag.into()).map_err(|_| Error::HeaderTag)
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
fn hmac_sha256(key: &[u8; KEY_SIZE]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::hex;

    fn key_and_id() -> (ArchiveKey, ArchiveId) {
        let key = ArchiveKey(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        let id = ArchiveId::from(std::array::from_fn(|i| u8::try_from(0xa0 + i).unwrap()));
        (key, id)
    }

    /// Key 00…1f, id a0…af; the values from Python's `hmac`: extract, then one round of expand.
    #[test]
    fn derives_the_keys_of_the_format() {
        let (key, id) = key_and_id();
        for (info, expected) in [
            ("coffer/1 header", "07358160f907dd39fdbe036ae80ae44540686a792d9a1908cc44f4f6d3eb6dad"),
            ("coffer/1 encrypt", "158ea2e5d35aef9fbeed873bd40b065ef7fc61e35c9fdedf95cb1ae35e1884cb"),
            ("coffer/1 authenticate", "f9d4332b281429b4ce01143fecd79e9771494f508b96b4321093ae9131ede354"),
        ] {
            assert_eq!(hex(key.derive(id, info.as_bytes()).as_slice()), expected, "{info}");
        }
    }

    #[test]
    fn tags_a_header_with_its_own_key() {
        let (key, id) = key_and_id();
        let tag = key.header_key(id).tag(b"coffer/1 bytes of a header");
        assert_eq!(hex(&tag), "27f8e1c02d571e57e9682e0c76ce26ef3b6bb6f2d11d33cae32714c0fdd17af3");
        assert!(key.header_key(id).check(b"coffer/1 bytes of a header", &tag).is_ok());
        assert!(matches!(key.header_key(id).check(b"coffer/1 bytes of a headeR", &tag), Err(Error::HeaderTag)));
    }

    #[test]
    fn says_nothing_of_itself() {
        assert_eq!(format!("{:?}", key_and_id().0), "ArchiveKey");
    }
}
