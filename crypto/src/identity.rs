//! What opens an archive: secret keys, or a passphrase.

use std::fmt;
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::{Error, Passphrase, Recipient, Result, WorkFactor};

/// A secret key (`AGE-SECRET-KEY-1…`, X25519), wiped when dropped.
pub struct Identity(age::x25519::Identity);

impl Identity {
    /// Gives a key that nobody knows, from the operating system's random numbers.
    #[must_use]
    pub fn generate() -> Self {
        Self(age::x25519::Identity::generate())
    }

    /// The public key that belongs to this one.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        self.0.to_public().into()
    }

    /// The secret as text, for a file or a secret store: `AGE-SECRET-KEY-1…`.
    #[must_use]
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string().expose_secret().to_owned())
    }

    /// Reads the text of an identity file as `age-keygen` writes it: one identity a line, with comments (`#`) and blank
    /// lines between.
    ///
    /// # Errors
    ///
    /// [`Error::Identity`] with the line that is no identity, and [`Error::Unusable`] where the file holds none.
    /// Neither repeats the text.
    pub fn parse_file(text: &str) -> Result<Vec<Self>> {
        let identities = (1..)
            .zip(text.lines().map(str::trim))
            .filter(|(_, content)| !content.is_empty() && !content.starts_with('#'))
            .map(|(line, content)| Self::parse_line(content, line))
            .collect::<Result<Vec<_>>>()?;
        if identities.is_empty() {
            return Err(Error::Unusable { reason: "the identity file holds no identity" });
        }
        Ok(identities)
    }

    pub(crate) fn as_age(&self) -> &age::x25519::Identity {
        &self.0
    }

    fn parse_line(content: &str, line: usize) -> Result<Self> {
        content.parse().map(Self).map_err(|_| Error::Identity { line, reason: what_it_is_instead(content) })
    }
}

/// Takes `AGE-SECRET-KEY-1…`, with or without white space around it. An error never repeats the text.
impl FromStr for Identity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse_line(text.trim(), 1)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

/// What a reader has to open an archive with, and how much work a passphrase may be. [`Unlock::default`] opens nothing.
#[derive(Debug)]
pub struct Unlock {
    /// Tried one after the other on an archive that is sealed to public keys.
    pub identities: Vec<Identity>,
    /// Tried on an archive that is sealed with a passphrase.
    pub passphrase: Option<Passphrase>,
    /// The most work that an archive may ask for. One that asks for more is refused before any is done.
    pub max_work_factor: WorkFactor,
}

impl Default for Unlock {
    fn default() -> Self {
        Self { identities: Vec::new(), passphrase: None, max_work_factor: WorkFactor::SERVICE_READ_MAX }
    }
}

fn what_it_is_instead(text: &str) -> &'static str {
    if text.starts_with("COFFER-SIGNING-KEY-") {
        "it is a signing key, which opens nothing: give an identity (AGE-SECRET-KEY-1…)"
    } else if text.starts_with("age1") {
        "it is a recipient, which opens nothing: give the identity that belongs to it (AGE-SECRET-KEY-1…)"
    } else if text.starts_with("age-encryption.org/") || text.starts_with("-----BEGIN AGE") {
        "it is encrypted: open it with age -d first"
    } else if text.starts_with("-----BEGIN") {
        "SSH keys are not taken: make a key with age-keygen"
    } else if text.starts_with("AGE-PLUGIN-") {
        "keys of plugins are not taken"
    } else if text.starts_with("AGE-SECRET-KEY-1") {
        "it is mistyped or cut off: its checksum does not fit"
    } else {
        "an identity begins with AGE-SECRET-KEY-1"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        let identity = Identity::generate();
        let again: Identity = identity.to_secret_text().parse().unwrap();
        assert_eq!(again.recipient(), identity.recipient());
        assert!(identity.to_secret_text().starts_with("AGE-SECRET-KEY-1"));
        assert_eq!(format!("{identity:?}"), "Identity");
    }

    #[test]
    fn reads_an_identity_file() {
        let (one, two) = (Identity::generate(), Identity::generate());
        let text = format!(
            "# created: 2024-01-01T00:00:00Z\r\n# public key: {}\r\n{}\r\n\n  \n# the other\n{}",
            one.recipient(),
            *one.to_secret_text(),
            *two.to_secret_text(),
        );
        let read = Identity::parse_file(&text).unwrap();
        assert_eq!(read.iter().map(Identity::recipient).collect::<Vec<_>>(), [one.recipient(), two.recipient()]);
    }

    #[test]
    fn names_the_line_and_repeats_no_secret() {
        let secret = Identity::generate().to_secret_text();
        let recipient = Identity::generate().recipient().to_string();
        let signing_key = crate::SigningKey::generate().unwrap().to_secret_text();
        for (content, said) in [
            (&secret[..50], "mistyped"),
            (recipient.as_str(), "recipient"),
            ("AGE-PLUGIN-YUBIKEY-1QQQ", "plugins"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "SSH"),
            ("-----BEGIN AGE ENCRYPTED FILE-----", "age -d"),
            (signing_key.as_str(), "signing key"),
            ("hunter2", "begins with AGE-SECRET-KEY-1"),
        ] {
            let error = Identity::parse_file(&format!("# mine\n\n{content}\n")).unwrap_err();
            assert!(matches!(error, Error::Identity { line: 3, .. }), "{error:?}");
            let message = error.to_string();
            assert!(message.contains(said) && message.contains("line 3") && !message.contains(content), "{message}");
        }
    }

    #[test]
    fn refuses_a_file_without_identities() {
        assert!(matches!(Identity::parse_file("# nothing\n\n"), Err(Error::Unusable { .. })));
    }
}
