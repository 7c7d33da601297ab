//! Flags that several commands share: who an archive is for, and what opens it. As age has them.

use std::path::{Path, PathBuf};

use clap::Args;
use coffer_crypto::{Identity, Passphrase, Recipient, Recipients, Unlock, WorkFactor};

use crate::config::{Config, Source, parse_recipients, read_identities, read_secret};
use crate::pipeline::Sealing;
use crate::{Error, Result};

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
    fn said(&self, confirm: bool) -> Result<Option<Passphrase>> {
        match &self.passphrase_file {
            Some(file) => from_file(file).map(Some),
            None if self.passphrase => ask(confirm).map(Some),
            None => Ok(None),
        }
    }

    /// The passphrase from the flags, else from the file that the environment names.
    fn find(&self) -> Result<Option<Passphrase>> {
        match self.said(false)? {
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

fn ask(confirm: bool) -> Result<Passphrase> {
    let prompt = |text| {
        rpassword::prompt_password(text).map_err(|error| Error::file("asking for a passphrase on the terminal", error))
    };
    let text = prompt("Passphrase: ")?;
    if confirm && prompt("Once more: ")? != text {
        return Err(Error::Usage("the two passphrases are not the same".into()));
    }
    Ok(Passphrase::new(text)?)
}

/// Who can open what is written.
#[derive(Args)]
pub(super) struct SealFlags {
    /// Encrypt for this recipient (age1…); may be given several times
    #[arg(short, long, value_name = "RECIPIENT")]
    recipient: Vec<String>,
    /// Encrypt for the recipients in a file, one a line
    #[arg(short = 'R', long, value_name = "FILE")]
    recipients_file: Vec<PathBuf>,
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
        let recipients = self.recipients()?;
        let said = self.passphrase.said(true)?;
        match (said, recipients.is_empty()) {
            (Some(_), false) => Err(Error::Usage("a passphrase stands alone: leave the recipients out, or -p".into())),
            (Some(passphrase), true) => Ok(with_passphrase(passphrase)),
            (None, false) => Ok(Sealing::Sealed(Recipients::keys(recipients)?)),
            (None, true) => match from_environment()? {
                Some(passphrase) => Ok(with_passphrase(passphrase)),
                None => Sealing::default_for(source, &config.keys.load()?).map_err(teach),
            },
        }
    }

    fn recipients(&self) -> Result<Vec<Recipient>> {
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

fn with_passphrase(passphrase: Passphrase) -> Sealing {
    Sealing::Sealed(Recipients::Passphrase(passphrase, WorkFactor::CLI_WRITE))
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
