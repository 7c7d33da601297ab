//! Who wrote an archive: a signature over its id and the digest of its index.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{SIGNATURE_LENGTH, Signer};
use zeroize::Zeroizing;

use crate::hex::{self, Case};
use crate::{ArchiveId, Error, Result};

const KEY_SIZE: usize = 32;
const DIGEST_SIZE: usize = 32;
const CONTEXT: &[u8; 18] = b"coffer/1 signature";
const MESSAGE_SIZE: usize = CONTEXT.len() + 16 + DIGEST_SIZE;

/// What a secret key begins with as text.
const PREFIX: &str = "COFFER-SIGNING-KEY-1";

/// The secret key of whoever writes archives (Ed25519, RFC 8032), wiped when dropped.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Gives a key that nobody knows, from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the operating system has no random numbers.
    pub fn generate() -> Result<Self> {
        let mut secret = Zeroizing::new([0; KEY_SIZE]);
        getrandom::fill(secret.as_mut_slice()).map_err(std::io::Error::from)?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&secret)))
    }

    /// Reads the text of a key file: one key, with comments (`#`) and blank lines around it.
    ///
    /// # Errors
    ///
    /// [`Error::SigningKey`] with the line that is no signing key or a second one, and [`Error::Unusable`] where the
    /// file holds none. Neither repeats the text.
    pub fn parse_file(text: &str) -> Result<Self> {
        let mut lines = (1..)
            .zip(text.lines().map(str::trim))
            .filter(|(_, content)| !content.is_empty() && !content.starts_with('#'));
        let (line, content) = lines.next().ok_or(Error::Unusable { reason: "the signing key file holds no key" })?;
        let key = Self::parse_line(content, line)?;
        match lines.next() {
            Some((line, _)) => Err(Error::SigningKey { line, reason: "the file holds more than one key" }),
            None => Ok(key),
        }
    }

    /// The secret as text, for a file or a secret store: `COFFER-SIGNING-KEY-1` and 64 hexadecimal digits in upper case.
    #[must_use]
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 2 * KEY_SIZE));
        text.push_str(PREFIX);
        let digits = self.0.as_bytes().iter().flat_map(|byte| [byte >> 4, byte & 15]);
        text.extend(
            digits.filter_map(|digit| char::from_digit(digit.into(), 16)).map(|digit| digit.to_ascii_uppercase()),
        );
        text
    }

    /// The public key that belongs to this one.
    #[must_use]
    pub fn public(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    /// Signs an archive. The same archive has the same signature each time.
    ///
    /// What is signed are 66 bytes: `coffer/1 signature`, the 16 bytes of the id and the 32 bytes of the index digest,
    /// the two raw and not as hexadecimal digits. In `summary.json` the key and the signature stand as 64 and 128
    /// hexadecimal digits in lower case.
    #[must_use]
    pub fn sign(&self, archive: ArchiveId, index_digest: &[u8; DIGEST_SIZE]) -> [u8; SIGNATURE_LENGTH] {
        self.0.sign(&message(archive, index_digest)).to_bytes()
    }

    fn parse_line(content: &str, line: usize) -> Result<Self> {
        let mut secret = Zeroizing::new([0; KEY_SIZE]);
        match content.strip_prefix(PREFIX) {
            Some(digits) if hex::decode(digits, Case::Upper, secret.as_mut_slice()) => {
                Ok(Self(ed25519_dalek::SigningKey::from_bytes(&secret)))
            }
            _ => Err(Error::SigningKey { line, reason: what_it_is_instead(content) }),
        }
    }
}

/// Takes `COFFER-SIGNING-KEY-1…`, with or without white space around it. An error never repeats the text.
impl FromStr for SigningKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse_line(text.trim(), 1)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// The public key of whoever writes archives: what a reader trusts. No secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// Checks that the owner of this key signed an archive of this id with an index of this digest: by that, everything
    /// in it. What is signed is told at [`SigningKey::sign`].
    ///
    /// # Errors
    ///
    /// [`Error::Signature`] where the signature does not hold. One that only other verifiers would take (RFC 8032 leaves
    /// a choice at points of low order) does not.
    pub fn verify(
        &self,
        archive: ArchiveId,
        index_digest: &[u8; DIGEST_SIZE],
        signature: &[u8; SIGNATURE_LENGTH],
    ) -> Result<()> {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(&message(archive, index_digest), &signature).map_err(|_| Error::Signature)
    }
}

/// Takes 64 hexadecimal digits in lower case, with or without white space around them. An error never repeats the text:
/// it may be a secret.
impl FromStr for VerifyingKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (text, mut bytes) = (text.trim(), [0; KEY_SIZE]);
        if text.starts_with(PREFIX) {
            return Err(Error::Unusable {
                reason: "not a verifying key: it is a signing key, which is secret; give the public key that belongs to it",
            });
        }
        if !hex::decode(text, Case::Lower, &mut bytes) {
            return Err(Error::Unusable {
                reason: "not a verifying key: that has 64 hexadecimal digits in lower case",
            });
        }
        match ed25519_dalek::VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            Ok(_) => Err(Error::Unusable { reason: "not a verifying key: it is weak, anybody could sign for it" }),
            Err(_) => Err(Error::Unusable { reason: "not a verifying key: it is mistyped, no key has these digits" }),
        }
    }
}

/// 64 hexadecimal digits in lower case.
impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn message(archive: ArchiveId, index_digest: &[u8; DIGEST_SIZE]) -> [u8; MESSAGE_SIZE] {
    let mut message = [0; MESSAGE_SIZE];
    let parts = CONTEXT.iter().chain(archive.as_bytes()).chain(index_digest);
    message.iter_mut().zip(parts).for_each(|(place, byte)| *place = *byte);
    message
}

fn what_it_is_instead(text: &str) -> &'static str {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.starts_with("AGE-SECRET-KEY-") {
        "it is an identity, which opens archives and signs none: give a signing key (COFFER-SIGNING-KEY-1…)"
    } else if text.starts_with("age1") {
        "it is a recipient, which signs nothing: give a signing key (COFFER-SIGNING-KEY-1…)"
    } else if text.len() == 2 * KEY_SIZE && text.bytes().all(lower) {
        "it looks like a verifying key, which is public: give the signing key that belongs to it (COFFER-SIGNING-KEY-1…)"
    } else if text.starts_with("-----BEGIN") {
        "keys of other programs are not taken: a signing key begins with COFFER-SIGNING-KEY-1"
    } else if text.starts_with(PREFIX) {
        "it is mistyped or cut off: 64 hexadecimal digits in upper case follow COFFER-SIGNING-KEY-1"
    } else {
        "a signing key begins with COFFER-SIGNING-KEY-1"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::hex;

    /// RFC 8032, section 7.1, test 1.
    const SECRET: &str = "9D61B19DEFFD5A60BA844AF492EC2CC44449C5697B326919703BAC031CAE7F60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn key() -> SigningKey {
        format!("{PREFIX}{SECRET}").parse().unwrap()
    }

    fn public() -> VerifyingKey {
        PUBLIC.parse().unwrap()
    }

    fn archive() -> (ArchiveId, [u8; 32]) {
        let count = |from: u8| move |i| from + u8::try_from(i).unwrap();
        (std::array::from_fn(count(0xa0)).into(), std::array::from_fn(count(0)))
    }

    fn bytes<const N: usize>(digits: &str) -> [u8; N] {
        let mut bytes = [0; N];
        assert!(hex::decode(digits, Case::Lower, &mut bytes));
        bytes
    }

    #[test]
    fn is_ed25519_as_rfc_8032_has_it() {
        assert_eq!(key().public(), public());
        assert_eq!(
            hex(&key().0.sign(b"").to_bytes()),
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bb\
             e24655141438e7a100b"
        );
    }

    /// The value from `openssl pkeyutl -sign -rawin` over the 66 bytes.
    #[test]
    fn signs_the_bytes_that_the_format_names() {
        let (id, digest) = archive();
        let signature = key().sign(id, &digest);
        assert_eq!(
            hex(&signature),
            "89ee3cea928839d5f05c7264649c44daddf50d4f0e4b0723e95745cc532a666562ac83e7c652d2e5550dc9ee0e1b2132a06376ffe5a73\
             63fbb23058f67121909"
        );
        public().verify(id, &digest, &signature).unwrap();
    }

    #[test]
    fn a_signature_holds_for_its_archive_its_digest_and_its_key_alone() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let (id, digest) = archive();
        let signature = key.sign(id, &digest);
        key.public().verify(id, &digest, &signature).unwrap();
        let refused = |result: Result<()>| assert!(matches!(result, Err(Error::Signature)), "{result:?}");
        refused(other.public().verify(id, &digest, &signature));
        for bit in 0..16 * 8 {
            let mut id = *id.as_bytes();
            id[bit / 8] ^= 1 << (bit % 8);
            refused(key.public().verify(id.into(), &digest, &signature));
        }
        for bit in 0..32 * 8 {
            let mut digest = digest;
            digest[bit / 8] ^= 1 << (bit % 8);
            refused(key.public().verify(id, &digest, &signature));
        }
        for bit in 0..64 * 8 {
            let mut signature = signature;
            signature[bit / 8] ^= 1 << (bit % 8);
            refused(key.public().verify(id, &digest, &signature));
        }
    }

    /// S + L is another number for the same S (RFC 8032, section 5.1.7), and R of low order is a choice that verifiers
    /// make differently.
    #[test]
    fn a_signature_has_one_form() {
        let (id, digest) = archive();
        let mut signature = key().sign(id, &digest);
        let order: [u8; 32] = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let mut carry = 0;
        for (place, add) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*place) + u16::from(add) + carry;
            (*place, carry) = ((sum & 0xff).try_into().unwrap(), sum >> 8);
        }
        assert!(matches!(public().verify(id, &digest, &signature), Err(Error::Signature)));
        assert!(matches!(public().verify(id, &digest, &[0; 64]), Err(Error::Signature)));
    }

    #[test]
    fn reads_what_it_prints_and_says_nothing_of_the_secret() {
        let key = SigningKey::generate().unwrap();
        let text = key.to_secret_text();
        assert_eq!((text.len(), text.capacity()), (84, 84));
        assert!(text.starts_with(PREFIX));
        assert_eq!(text.parse::<SigningKey>().unwrap().public(), key.public());
        assert_eq!(*self::key().to_secret_text(), format!("{PREFIX}{SECRET}"));
        assert_eq!(format!("{key:?}"), "SigningKey");
        assert_eq!(public().to_string(), PUBLIC);
        assert_eq!(format!(" {}\n", key.public()).parse::<VerifyingKey>().unwrap(), key.public());
        assert_ne!(key.public(), SigningKey::generate().unwrap().public());
    }

    #[test]
    fn reads_a_key_file() {
        let text = format!("# public key: {PUBLIC}\r\n\r\n  {PREFIX}{SECRET} \r\n# the end");
        assert_eq!(SigningKey::parse_file(&text).unwrap().public(), public());
        assert!(matches!(SigningKey::parse_file("# nothing\n\n"), Err(Error::Unusable { .. })));
        let two = format!("{PREFIX}{SECRET}\n\n{PREFIX}{SECRET}\n");
        assert!(
            matches!(SigningKey::parse_file(&two), Err(Error::SigningKey { line: 3, reason }) if reason.contains("more than one"))
        );
    }

    #[test]
    fn names_the_line_and_repeats_no_secret() {
        let identity = crate::Identity::generate();
        let (secret, recipient) = (identity.to_secret_text(), identity.recipient().to_string());
        let whole = format!("{PREFIX}{SECRET}");
        assert!(matches!("hunter2".parse::<SigningKey>(), Err(Error::SigningKey { line: 1, .. })));
        for (content, said) in [
            (secret.as_str(), "it is an identity"),
            (&recipient, "it is a recipient"),
            (PUBLIC, "looks like a verifying key"),
            ("-----BEGIN PRIVATE KEY-----", "other programs"),
            (&whole[..83], "mistyped"),
            (&format!("{whole}0"), "mistyped"),
            (&format!("{PREFIX}{}", SECRET.to_lowercase()), "mistyped"),
            (SECRET, "begins with COFFER"),
            (&PUBLIC[..63], "begins with COFFER"),
            (&format!("{}g", &PUBLIC[..63]), "begins with COFFER"),
            ("hunter2", "begins with COFFER"),
        ] {
            let error = SigningKey::parse_file(&format!("# mine\n\n{content}\n")).unwrap_err();
            assert!(matches!(error, Error::SigningKey { line: 3, .. }), "{error:?}");
            let message = error.to_string();
            assert!(message.contains(said) && message.contains("line 3") && !message.contains(content), "{message}");
        }
    }

    #[test]
    fn refuses_what_is_no_verifying_key() {
        let secret = key().to_secret_text();
        for (text, said) in [
            (secret.as_str(), "secret"),
            (&PUBLIC[..63], "64 hexadecimal digits"),
            (&PUBLIC.to_uppercase(), "64 hexadecimal digits"),
            ("", "64 hexadecimal digits"),
            ("0200000000000000000000000000000000000000000000000000000000000000", "mistyped"),
            ("0100000000000000000000000000000000000000000000000000000000000000", "weak"),
            ("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "weak"),
            ("0000000000000000000000000000000000000000000000000000000000000080", "weak"),
            ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", "weak"),
        ] {
            let message = text.parse::<VerifyingKey>().unwrap_err().to_string();
            assert!(message.contains(said) && (text.is_empty() || !message.contains(text)), "{text}: {message}");
        }
    }
}
