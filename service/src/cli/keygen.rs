//! `coffer keygen`.

use std::path::PathBuf;

use clap::Args;
use coffer_crypto::{Identity, SigningKey};
use serde_json::{Value, json};

use super::report::Report;
use crate::config::write_secret;
use crate::{Error, Result, sheet};

/// Make an identity: the secret that opens archives, and the recipient that they are sealed for
///
/// Whoever has it can open what is sealed for its recipient; without it nobody can. With --signing it makes the key that
/// signs archives in its place: named as `signing_key_file` in [keys] of the configuration, it signs all that is exported,
/// and --trust PUBLIC-KEY takes nothing else.
#[derive(Args)]
pub(super) struct Keygen {
    /// Make a signing key (Ed25519) in place of an identity, and print its public key, which goes to --trust
    #[arg(long)]
    signing: bool,
    /// Write the secret to a new file that only you can read [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a sheet to be printed and put away to another such file: the identity as text and QR code, and what to keep where
    #[arg(long, value_name = "FILE", conflicts_with = "signing", requires = "output")]
    sheet: Option<PathBuf>,
}

/// A secret, and what of it everybody may know.
struct Made {
    public: String,
    secret: String,
    /// What to do with it, by the file's name.
    advice: fn(&str) -> String,
    summary: fn(&str, &str) -> Value,
}

impl Keygen {
    pub(super) fn run(self, report: &Report) -> Result<()> {
        let Made { public, secret, advice, summary } = if self.signing { signing_key()? } else { identity() };
        let text = format!("# public key: {public}\n{secret}");
        match &self.output {
            Some(file) => {
                // The sheet first: an identity of which its user was told nothing would be in the way of the next try.
                if let Some(path) = &self.sheet {
                    let identity = Identity::parse_file(&text)?;
                    let sheet = identity.first().map(|identity| sheet::text(identity, None)).transpose()?;
                    write_secret(path, &sheet.unwrap_or_default())?;
                }
                if let Err(error) = write_secret(file, &format!("{text}\n")) {
                    drop(self.sheet.as_ref().map(std::fs::remove_file));
                    return Err(error);
                }
                let file = file.display().to_string();
                report.summary(&format!("{public}\n{}", advice(&file)), &summary(&public, &file))
            }
            None if report.is_json() => Err(Error::Usage("with --json the secret goes to a file: add -o FILE".into())),
            None => report.summary(&text, &()),
        }
    }
}

fn identity() -> Made {
    let identity = Identity::generate();
    Made {
        public: identity.recipient().to_string(),
        secret: identity.to_secret_text().to_string(),
        advice: |file| format!("The identity is in {file}: keep a copy where this machine's loss does not reach."),
        summary: |recipient, file| json!({ "recipient": recipient, "identity_file": file }),
    }
}

fn signing_key() -> Result<Made> {
    let key = SigningKey::generate()?;
    Ok(Made {
        public: key.public().to_string(),
        secret: key.to_secret_text().to_string(),
        advice: |file| {
            format!(
                "The signing key is in {file}: set it as signing_key_file in [keys], and give the public key above to \
                 whoever restores, for --trust."
            )
        },
        summary: |public_key, file| json!({ "public_key": public_key, "signing_key_file": file }),
    })
}
