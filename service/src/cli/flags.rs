//! Flags that several commands share: who an archive is for, and what opens it. As age has them.

use std::path::{Path, PathBuf};

use clap::Args;
use coffer_crypto::{Identity, Passphrase, Recipient, Recipients, Unlock, WorkFactor};

use crate::config::{Config, Source, parse_recipients, read_identities, read_secret};
use crate::pipeline::{ReadKeys, Sealing, Trust};
use crate::{Error, Result};

/// How a new passphrase is asked for, and one that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asking {
    Once,
    Twice,
}

/// A passphrase, never as a flag's value.
#[derive(Args)]
pub(super) struct PassphraseFlags {
    /// Ask for a passphrase
    #[arg(short, long, conflicts_with = "passphrase_file")]
    passphrase: bool,
    /// Read the passphrase from the first line of a file
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseFlags {
    /// The passphrase from the flags alone.
    fn said(&self, asking: Asking) -> Result<Option<Passphrase>> {
        match &self.passphrase_file {
            Some(file) => from_file(file).map(Some),
            None if self.passphrase => ask("Passphrase", asking).map(Some),
            None => Ok(None),
        }
    }

    /// The passphrase from the flags, else from the file that the environment names.
    fn find(&self) -> Result<Option<Passphrase>> {
        match self.said(Asking::Once)? {
            Some(passphrase) => Ok(Some(passphrase)),
            None => from_environment(),
        }
    }
}

fn from_environment() -> Result<Option<Passphrase>> {
    crate::config::environment("COFFER_PASSPHRASE_FILE").map(|file| from_file(Path::new(&file))).transpose()
}

fn from_file(file: &Path) -> Result<Passphrase> {
    let text = read_secret(file)?;
    Ok(Passphrase::new(text.lines().next().unwrap_or_default())?)
}

fn ask(what: &str, asking: Asking) -> Result<Passphrase> {
    let prompt = |text: &str| {
        rpassword::prompt_password(text).map_err(|error| Error::file("asking for a passphrase on the terminal", error))
    };
    let text = prompt(&format!("{what}: "))?;
    if asking == Asking::Twice && prompt("Once more: ")? != text {
        return Err(Error::Usage("the two passphrases are not the same".into()));
    }
    Ok(Passphrase::new(text)?)
}

/// Public keys for which an archive is sealed.
#[derive(Args)]
pub(super) struct RecipientFlags {
    /// Encrypt for this recipient (age1…); may be given several times
    #[arg(short, long, value_name = "RECIPIENT")]
    recipient: Vec<String>,
    /// Encrypt for the recipients in a file, one a line
    #[arg(short = 'R', long, value_name = "FILE")]
    recipients_file: Vec<PathBuf>,
}

impl RecipientFlags {
    fn read(&self) -> Result<Vec<Recipient>> {
        let mut recipients = parse_recipients(&self.recipient, "-r")?;
        for file in &self.recipients_file {
            let text = read_secret(file)?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            let lines: Vec<_> = lines.map(str::to_owned).collect();
            recipients.extend(parse_recipients(&lines, &file.display().to_string())?);
        }
        Ok(recipients)
    }
}

/// Who can open what is written.
#[derive(Args)]
pub(super) struct SealFlags {
    #[command(flatten)]
    recipients: RecipientFlags,
    #[command(flatten)]
    passphrase: PassphraseFlags,
    /// Write a plain .tar.gz that everybody can read
    #[arg(long, conflicts_with_all = ["recipient", "recipients_file", "passphrase", "passphrase_file"])]
    no_encryption: bool,
}

impl SealFlags {
    /// How to close the archive: as the flags say, else as the environment and the configuration do.
    pub(super) fn sealing(&self, config: &Config, source: &Source) -> Result<Sealing> {
        if self.no_encryption {
            return if config.keys.require_encryption {
                Err(Error::Forbidden("the configuration says require_encryption: leave --no-encryption out".into()))
            } else {
                Ok(Sealing::Plain)
            };
        }
        let recipients = self.recipients.read()?;
        if let Some(said) = sealed_for(recipients, self.passphrase.said(Asking::Twice)?)? {
            return Ok(Sealing::Sealed(said));
        }
        match from_environment()? {
            Some(passphrase) => Ok(Sealing::Sealed(by(passphrase))),
            None => Sealing::default_for(source, &config.keys.load()?).map_err(teach),
        }
    }
}

/// What the flags say; none where they say nothing.
fn sealed_for(recipients: Vec<Recipient>, passphrase: Option<Passphrase>) -> Result<Option<Recipients>> {
    match (passphrase, recipients.is_empty()) {
        (Some(_), false) => {
            Err(Error::Usage("a passphrase stands alone: leave it out, or the recipients (-r, -R)".into()))
        }
        (Some(passphrase), true) => Ok(Some(by(passphrase))),
        (None, false) => Ok(Some(Recipients::keys(recipients)?)),
        (None, true) => Ok(None),
    }
}

fn by(passphrase: Passphrase) -> Recipients {
    Recipients::Passphrase(passphrase, WorkFactor::CLI_WRITE)
}

fn teach(error: Error) -> Error {
    match error {
        Error::Usage(why) => Error::Usage(format!(
            "{why}: -r RECIPIENT, -p or --no-encryption (`coffer keygen` makes an identity and its recipient, and the \
             first `coffer serve` without a configuration makes one by itself)"
        )),
        other => other,
    }
}

/// What opens an archive.
#[derive(Args)]
pub(super) struct UnlockFlags {
    /// Open with the identities in this file (AGE-SECRET-KEY-1…); may be given several times
    #[arg(short, long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseFlags,
}

impl UnlockFlags {
    /// Everything that there is to try: the flags' identities, else the configuration's, and a passphrase.
    pub(super) fn unlock(&self, config: &Config) -> Result<Unlock> {
        let mut identities: Vec<Identity> = Vec::new();
        for file in &self.identity {
            identities.extend(read_identities(file)?);
        }
        if self.identity.is_empty() {
            identities = config.keys.load()?.identities;
        }
        Ok(Unlock { identities, passphrase: self.passphrase.find()?, max_work_factor: WorkFactor::CLI_READ_MAX })
    }
}

/// For whom an archive is sealed anew.
#[derive(Args)]
pub(super) struct NewSealFlags {
    #[command(flatten)]
    recipients: RecipientFlags,
    /// Ask for a new passphrase, which then opens the archive in place of keys
    #[arg(long, conflicts_with = "new_passphrase_file")]
    new_passphrase: bool,
    /// Read the new passphrase from the first line of a file
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
}

impl NewSealFlags {
    /// Who can open it from now on; nobody is taken from the configuration.
    pub(super) fn recipients(&self) -> Result<Recipients> {
        let passphrase = match &self.new_passphrase_file {
            Some(file) => Some(from_file(file)?),
            None if self.new_passphrase => Some(ask("New passphrase", Asking::Twice)?),
            None => None,
        };
        sealed_for(self.recipients.read()?, passphrase)?.ok_or_else(|| {
            Error::Usage(
                "say who shall open it: -r RECIPIENT, -R FILE, --new-passphrase or --new-passphrase-file".into(),
            )
        })
    }
}

/// What opens an archive, and whose word is taken.
#[derive(Args)]
pub(super) struct ReadFlags {
    #[command(flatten)]
    unlock: UnlockFlags,
    /// Take the archive only if the owner of this public key has signed it (64 hexadecimal digits); may be given several
    /// times, one is enough
    ///
    /// The seal proves that an archive is whole, and not who wrote it: whoever knows a recipient can make one, and whoever
    /// can open one can change it. A signature proves that too, for the rows and the content of every file; not for what a
    /// store tells of a file beside (content type, headers, metadata, time). `coffer keygen --signing` makes the two keys.
    /// Exit code 13 where the archive is unsigned or somebody else signed it. A signature that does not hold is refused
    /// without this too.
    #[arg(long, value_name = "KEY")]
    trust: Vec<String>,
}

impl ReadFlags {
    pub(super) fn keys(&self, config: &Config) -> Result<ReadKeys> {
        Ok(ReadKeys {
            trust: Trust::parse(&self.trust, "--trust")?,
            unlock: self.unlock.unlock(config)?,
            expected: None,
        })
    }
}
