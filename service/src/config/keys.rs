//! Who can read what is written: recipients, the service's identity, and the files that hold secrets.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coffer_crypto::{Identity, Recipient, SigningKey};

use crate::{Error, Result};

/// What the configuration says of keys; no secret is in memory yet.
#[derive(Debug, Clone)]
pub struct KeyFiles {
    /// Who can open what is written, beside the identity.
    pub recipients: Vec<Recipient>,
    /// The identity that the service opens archives with.
    pub identity_file: Option<PathBuf>,
    /// The key that signs what is written.
    pub signing_key_file: Option<PathBuf>,
    /// Whether an archive may be written plain.
    pub require_encryption: bool,
    /// Whose signatures restores from a vault take, beside the service's own; public keys.
    pub trust: Vec<String>,
}

/// The keys themselves.
pub struct Keys {
    /// The service's own; none where it writes what it can't read.
    pub identities: Vec<Identity>,
    /// Who can open what is written where nobody else is named.
    pub recipients: Vec<Recipient>,
}

impl KeyFiles {
    /// Reads the identity, where one is configured and there.
    ///
    /// # Errors
    /// [`Error::File`] where the file can't be read, [`Error::Crypto`] where it holds no identity.
    pub fn load(&self) -> Result<Keys> {
        let identities = match &self.identity_file {
            Some(path) if path.exists() => read_identities(path)?,
            _ => Vec::new(),
        };
        let own = self.recipients.is_empty().then(|| identities.iter().map(Identity::recipient));
        let recipients = own.map_or_else(|| self.recipients.clone(), Iterator::collect);
        Ok(Keys { identities, recipients })
    }

    /// Reads the signing key, where one is configured. A file that is not there is an error: what is written would lack a
    /// signature in silence.
    ///
    /// # Errors
    /// [`Error::File`] where the file can't be read, [`Error::Crypto`] where it holds no signing key.
    pub fn signing_key(&self) -> Result<Option<Arc<SigningKey>>> {
        let Some(path) = &self.signing_key_file else { return Ok(None) };
        let about = |error: coffer_crypto::Error| Error::from(error).about(path.display().to_string());
        Ok(Some(Arc::new(SigningKey::parse_file(&read_secret(path)?).map_err(about)?)))
    }

    /// Makes the identity where its file is missing; tells whether it did.
    ///
    /// # Errors
    /// [`Error::File`] where it can't be written.
    pub fn make_identity(&self) -> Result<bool> {
        let Some(path) = self.identity_file.as_ref().filter(|path| !path.exists()) else { return Ok(false) };
        let identity = Identity::generate();
        let text = format!("# public key: {}\n{}\n", identity.recipient(), *identity.to_secret_text());
        write_secret(path, &text)?;
        Ok(true)
    }
}

/// Reads age recipients. One that is none is named by its place, as it may be a secret in the wrong one.
///
/// # Errors
/// [`Error::Usage`] naming `place` and the number.
pub fn parse_recipients(texts: &[String], place: &str) -> Result<Vec<Recipient>> {
    let parse = |(position, text): (usize, &String)| {
        text.parse().map_err(|error| Error::Usage(format!("recipient {} of {place}: {error}", position + 1)))
    };
    texts.iter().enumerate().map(parse).collect()
}

/// Reads an age identity file.
///
/// # Errors
/// [`Error::File`] where it can't be read, [`Error::Crypto`] where it holds no identity.
pub fn read_identities(path: &Path) -> Result<Vec<Identity>> {
    let text = read_secret(path)?;
    Ok(Identity::parse_file(&text)?)
}

/// Reads a file with a secret in it: small, or it is another file.
///
/// # Errors
/// [`Error::File`] naming it.
pub fn read_secret(path: &Path) -> Result<String> {
    const MOST: u64 = 1 << 20;
    let name = || format!("{}", path.display());
    let metadata = fs::metadata(path).map_err(|error| Error::file(name(), error))?;
    if metadata.len() > MOST {
        return Err(Error::Usage(format!("{} is over 1 MiB: it holds no secret", path.display())));
    }
    fs::read_to_string(path).map_err(|error| Error::file(name(), error))
}

/// Writes a new file that only its owner can read.
///
/// # Errors
/// [`Error::File`] naming it, where it is there already or can't be written.
pub fn write_secret(path: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| Error::file(format!("writing {}", path.display()), error))
}
