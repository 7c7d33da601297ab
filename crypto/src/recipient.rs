//! Whom an archive is sealed to: public keys, or one passphrase.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Passphrase, Result, WorkFactor};

/// A public key (`age1…`, X25519) that archives can be sealed to. It opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recipient(age::x25519::Recipient);

impl Recipient {
    pub(crate) fn as_age(&self) -> &age::x25519::Recipient {
        &self.0
    }
}

impl From<age::x25519::Recipient> for Recipient {
    fn from(recipient: age::x25519::Recipient) -> Self {
        Self(recipient)
    }
}

/// Takes `age1…`, with or without white space around it. An error names what is wrong and never repeats the text: it
/// may be a secret.
impl FromStr for Recipient {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let recipient = text.parse().map(Self).map_err(|_| Error::Recipient { reason: what_it_is_instead(text) })?;
        if LOW_ORDER.contains(&recipient.to_string().as_str()) {
            return Err(Error::Recipient { reason: "it is a weak key, which everybody could open" });
        }
        Ok(recipient)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whom an archive is sealed to. A passphrase stands alone (age's rule for scrypt).
#[derive(Debug)]
pub enum Recipients {
    /// Each of these can open the archive. At least one, as [`Recipients::keys`] checks; sealing to none is an error.
    Keys(Vec<Recipient>),
    /// Whoever knows the passphrase can open the archive, at the cost of this work for each try.
    Passphrase(Passphrase, WorkFactor),
}

impl Recipients {
    /// Takes at least one public key.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] where there is none: nobody could open the archive.
    pub fn keys(recipients: Vec<Recipient>) -> Result<Self> {
        if recipients.is_empty() {
            return Err(Error::Unusable { reason: "no recipient was given" });
        }
        Ok(Self::Keys(recipients))
    }
}

fn what_it_is_instead(text: &str) -> &'static str {
    let starts = |prefix: &str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if starts("AGE-SECRET-KEY-") || starts("AGE-PLUGIN-") {
        "it is an identity, which is secret: give the recipient that belongs to it (age1…)"
    } else if starts("COFFER-SIGNING-KEY-") {
        "it is a signing key, which is secret and opens nothing: give a recipient (age1…)"
    } else if starts("ssh-") {
        "SSH keys are not taken: make a key with age-keygen and give its recipient (age1…)"
    } else if !starts("age1") {
        "a recipient begins with age1"
    } else if text.len() > X25519_LENGTH {
        "it is too long for an X25519 recipient, and keys of plugins are not taken"
    } else {
        "it is mistyped or cut off: its checksum does not fit"
    }
}

/// `age1` and 58 characters.
const X25519_LENGTH: usize = 62;

/// Points of low order on Curve25519 and its twist, and each with the bit set that X25519 ignores: with them a shared
/// secret is zero (RFC 7748, section 6.1), at which age panics.
const LOW_ORDER: [&str; 14] = [
    "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z",
    "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya",
    "age1anlllllllllllllllllllllllllllllllllllllllllllllllals4n2t7m",
    "age1ahlllllllllllllllllllllllllllllllllllllllllllllllalsn46ayy",
    "age1amlllllllllllllllllllllllllllllllllllllllllllllllalselrwrv",
    "age1ur4h5lpmgxu2u9jku0a0r87ydtdqnr0tnsetrlvxvgz3vh6fhqqqzyt4v9",
    "age1t7wft09r2zxzfvwsk92eeql0tvzyghxytqwgapkcyf8dm5ylz9ts6wm9s8",
    "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqzqqsuwj9m",
    "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqzqqk67yly",
    "age1anllllllllllllllllllllllllllllllllllllllllllllllllls3hcv9z",
    "age1ahlllllllllllllllllllllllllllllllllllllllllllllllllsh3g6la",
    "age1amlllllllllllllllllllllllllllllllllllllllllllllllllsam3fc4",
    "age1ur4h5lpmgxu2u9jku0a0r87ydtdqnr0tnsetrlvxvgz3vh6fhzqqxqejhu",
    "age1t7wft09r2zxzfvwsk92eeql0tvzyghxytqwgapkcyf8dm5ylz8ts72fzt7",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identity;

    #[test]
    fn reads_what_it_prints() {
        let recipient = Identity::generate().recipient();
        assert_eq!(recipient.to_string().parse::<Recipient>().unwrap(), recipient);
        assert_eq!(format!(" {recipient}\n").parse::<Recipient>().unwrap(), recipient);
    }

    #[test]
    fn names_what_is_wrong_and_repeats_no_secret() {
        let secret = Identity::generate().to_secret_text();
        let signing_key = crate::SigningKey::generate().unwrap().to_secret_text();
        let mut mistyped = Identity::generate().recipient().to_string();
        mistyped.replace_range(20..21, if &mistyped[20..21] == "q" { "p" } else { "q" });
        for (text, said) in [
            (secret.as_str(), "it is an identity, which is secret"),
            (&secret.to_lowercase(), "it is an identity, which is secret"),
            (&secret[..40], "it is an identity, which is secret"),
            (&signing_key, "it is a signing key, which is secret"),
            (&mistyped, "mistyped"),
            ("age1", "mistyped"),
            ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", "SSH keys"),
            ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "plugins"),
            ("hunter2", "begins with age1"),
            ("äöü", "begins with age1"),
            ("", "begins with age1"),
        ] {
            let message = text.parse::<Recipient>().unwrap_err().to_string();
            assert!(message.contains(said), "{message}");
            assert!(text.is_empty() || !message.contains(text), "{message}");
        }
    }

    #[test]
    fn refuses_keys_that_everybody_could_open() {
        for text in LOW_ORDER {
            assert!(text.parse::<age::x25519::Recipient>().is_ok(), "{text}");
            let message = text.parse::<Recipient>().unwrap_err().to_string();
            assert!(message.contains("weak"), "{message}");
        }
    }

    #[test]
    fn refuses_an_empty_list() {
        assert!(matches!(Recipients::keys(Vec::new()), Err(Error::Unusable { .. })));
    }
}
