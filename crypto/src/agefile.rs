//! The key envelope: an age v1 file (<https://c2sp.org/age>) whose content is the archive's key.

use std::io::{self, BufRead, Read, Write};

use age::{DecryptError, Decryptor, EncryptError, Encryptor, scrypt};
use zeroize::Zeroizing;

use crate::fill::fill;
use crate::key::KEY_SIZE;
use crate::{ArchiveKey, Error, Passphrase, Recipients, Result, Unlock, WorkFactor, WrongKey};

/// Gives an age file that each recipient can open.
///
/// # Errors
///
/// [`Error::Unusable`] where there is no recipient.
pub(crate) fn wrap(key: &ArchiveKey, recipients: &Recipients) -> Result<Vec<u8>> {
    let encryptor = match recipients {
        Recipients::Keys(keys) => {
            Encryptor::with_recipients(keys.iter().map(|key| key.as_age() as &dyn age::Recipient))
        }
        Recipients::Passphrase(passphrase, work) => {
            let mut recipient = scrypt::Recipient::new(passphrase.as_secret().clone());
            recipient.set_work_factor(work.log2_n());
            Encryptor::with_recipients([&recipient as &dyn age::Recipient].into_iter())
        }
    };
    let mut file = encryptor.map_err(not_wrapped)?.wrap_output(Vec::new())?;
    file.write_all(key.as_bytes())?;
    Ok(file.finish()?)
}

/// Gives the key that is in an age file.
///
/// # Errors
///
/// [`Error::WrongKey`] where it does not open, [`Error::ExcessiveWork`] before any work is done, [`Error::KeyLength`]
/// where it holds something else than a key, otherwise [`Error::EnvelopeDamaged`].
pub(crate) fn unwrap(file: &[u8], unlock: &Unlock) -> Result<ArchiveKey> {
    let decryptor = Decryptor::new_buffered(HeaderFirst(file)).map_err(|_| Error::EnvelopeDamaged)?;
    let mut content = if decryptor.is_scrypt() {
        let passphrase = unlock.passphrase.as_ref().ok_or(Error::WrongKey(WrongKey::NeedsPassphrase))?;
        let identity = scrypt_identity(passphrase, unlock.max_work_factor);
        decryptor
            .decrypt([&identity as &dyn age::Identity].into_iter())
            .map_err(|error| not_unwrapped(&error, WrongKey::Passphrase, unlock.max_work_factor))?
    } else {
        if unlock.identities.is_empty() {
            return Err(Error::WrongKey(WrongKey::NeedsIdentity));
        }
        decryptor
            .decrypt(unlock.identities.iter().map(|identity| identity.as_age() as &dyn age::Identity))
            .map_err(|error| not_unwrapped(&error, WrongKey::Identities, unlock.max_work_factor))?
    };
    read_key(&mut content)
}

/// Reads one byte more than a key has, to see that there is none.
fn read_key(content: &mut impl Read) -> Result<ArchiveKey> {
    let mut bytes = Zeroizing::new([0; KEY_SIZE + 1]);
    let length = fill(content, bytes.as_mut_slice()).map_err(|_| Error::EnvelopeDamaged)?;
    match bytes.split_first_chunk::<KEY_SIZE>() {
        Some((key, _)) if length == KEY_SIZE => Ok(ArchiveKey::from(*key)),
        _ => Err(Error::KeyLength),
    }
}

fn scrypt_identity(passphrase: &Passphrase, max: WorkFactor) -> scrypt::Identity {
    let mut identity = scrypt::Identity::new(passphrase.as_secret().clone());
    identity.set_max_work_factor(max.log2_n());
    identity
}

fn not_wrapped(error: EncryptError) -> Error {
    match error {
        EncryptError::Io(error) => Error::Io(error),
        EncryptError::MissingRecipients => Error::Unusable { reason: "no recipient was given" },
        other => Error::Io(io::Error::other(other)),
    }
}

fn not_unwrapped(error: &DecryptError, wrong: WrongKey, max: WorkFactor) -> Error {
    match error {
        DecryptError::NoMatchingKeys | DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            Error::WrongKey(wrong)
        }
        DecryptError::ExcessiveWork { required, .. } => Error::ExcessiveWork { required: *required, max },
        _ => Error::EnvelopeDamaged,
    }
}

/// An age file that gives its whole header as one line. age parses again from the start after every line that it reads,
/// which takes time quadratic in a hostile header's lines: seconds for 64 KiB of short ones.
struct HeaderFirst<'a>(&'a [u8]);

impl HeaderFirst<'_> {
    /// The length of the header: to the end of its first line that begins with `---`. All, where there is no such line.
    fn header_length(&self) -> usize {
        let mut length = 0;
        for line in self.0.split_inclusive(|&byte| byte == b'\n') {
            length += line.len();
            if line.starts_with(b"---") {
                break;
            }
        }
        length
    }
}

impl Read for HeaderFirst<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl BufRead for HeaderFirst<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.0)
    }

    fn consume(&mut self, length: usize) {
        self.0.consume(length);
    }

    fn read_until(&mut self, _: u8, out: &mut Vec<u8>) -> io::Result<usize> {
        let (header, rest) = self.0.split_at(self.header_length());
        self.0 = rest;
        out.extend_from_slice(header);
        Ok(header.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_line_and_what_follows_is_left() {
        let header = [&b"age-encryption.org/v1\n"[..], &b"-> a\n\n".repeat(1_000), b"--- tag\n"].concat();
        let file = [&header[..], b"content\n---\n"].concat();
        let (mut input, mut read) = (HeaderFirst(&file), Vec::new());
        assert_eq!(input.read_until(b'\n', &mut read).unwrap(), header.len());
        assert_eq!((read, input.0), (header, &b"content\n---\n"[..]));
    }

    #[test]
    fn a_header_without_an_end_is_read_once() {
        let (mut input, mut read) = (HeaderFirst(b"age-encryption.org/v1\n-> a\n"), Vec::new());
        assert_eq!(input.read_until(b'\n', &mut read).unwrap(), 27);
        assert_eq!(input.read_until(b'\n', &mut read).unwrap(), 0);
    }
}
