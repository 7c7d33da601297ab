//! Who wrote an archive: the signature in its summary, held against the keys that its reader trusts.

use coffer_archive::{Manifest, Signature, Summary};
use coffer_crypto::{ArchiveId, Unlock, VerifyingKey};

use crate::name::AppName;
use crate::{Error, Result};

/// All that a reader brings to an archive: what opens it, and whose word it takes.
#[derive(Default)]
pub struct ReadKeys {
    /// What opens it.
    pub unlock: Unlock,
    /// Who must have written it.
    pub trust: Trust,
    /// Which archive it must be, where that is known.
    pub expected: Option<Expected>,
}

/// An archive that was looked up under its name: another one in its place is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its id.
    pub id: ArchiveId,
    /// The app that it was made of.
    pub app: AppName,
}

impl ReadKeys {
    /// Holds an archive's manifest to what was expected.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub(super) fn check_expected(&self, manifest: &Manifest) -> Result<()> {
        let Some(Expected { id, app }) = &self.expected else { return Ok(()) };
        let is_it = manifest.archive_id == id.to_string()
            && manifest.source == app.source.as_str()
            && manifest.app == app.app.as_str();
        if is_it {
            return Ok(());
        }
        Err(Error::Mismatch(format!(
            "another archive stands in the place of this backup: one of {:.200}/{:.200} of {:.40}, with the id {:.40}",
            manifest.source.escape_debug(),
            manifest.app.escape_debug(),
            manifest.created.escape_debug(),
            manifest.archive_id.escape_debug()
        )))
    }
}

/// The public keys of those whose archives are taken. Without any, unsigned ones and those of everybody are.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    keys: Vec<VerifyingKey>,
}

impl Trust {
    /// Takes archives that one of these keys has signed, and no others.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the place of what is no key; its text is not repeated.
    pub fn parse(texts: &[String], place: &str) -> Result<Self> {
        let parse = |(position, text): (usize, &String)| {
            text.parse().map_err(|error| Error::Usage(format!("key {} of {place}: {error}", position + 1)))
        };
        Ok(Self { keys: texts.iter().enumerate().map(parse).collect::<Result<_>>()? })
    }

    /// Whether anybody has to have signed.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Checks the signature of an archive whose index has the digest that its summary tells.
    ///
    /// # Errors
    /// One that is there and does not hold is damage, whether anybody was to be trusted or not; [`Error::Untrusted`]
    /// where the signature asked for is missing.
    pub(super) fn check(&self, id: ArchiveId, summary: &Summary) -> Result<()> {
        let signed_by = summary.signature.as_ref().map(|signature| verify(id, summary, signature)).transpose()?;
        match signed_by {
            _ if !self.is_asked_for() => Ok(()),
            Some(key) if self.keys.contains(&key) => Ok(()),
            Some(key) => Err(Error::Untrusted(format!(
                "the archive is signed by {key}, which is none of the keys to trust: get one from whom you trust, or add \
                 that key if you know whose it is"
            ))),
            None => Err(Error::Untrusted(
                "the archive is not signed, and a key to trust was given: whoever could open or write to it may have made \
                 it"
                .into(),
            )),
        }
    }
}

/// The id that a signature covers, of a plain archive: it stands in the manifest alone.
pub(super) fn manifest_id(text: &str) -> Result<ArchiveId> {
    text.parse().map_err(|_| Error::Mismatch(format!("the archive is damaged: its manifest has the id {text:?}")))
}

/// Whose signature it is, once it has been found to hold.
fn verify(id: ArchiveId, summary: &Summary, signature: &Signature) -> Result<VerifyingKey> {
    let malformed = |what: &str| Error::Mismatch(format!("the archive is damaged: its {what} is malformed"));
    let key: VerifyingKey = signature.key.parse().map_err(|_| malformed("signature's key"))?;
    let value = digits(&signature.value).ok_or_else(|| malformed("signature"))?;
    let digest = summary.index_digest().ok_or_else(|| malformed("index digest"))?;
    key.verify(id, &digest, &value)?;
    Ok(key)
}

/// The 64 bytes of 128 hexadecimal digits.
fn digits(text: &str) -> Option<[u8; 64]> {
    let mut bytes = [0; 64];
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
