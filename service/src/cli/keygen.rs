//! `coffer keygen`.

use std::path::PathBuf;

use clap::Args;
use coffer_crypto::Identity;
use serde::Serialize;

use super::report::Report;
use crate::Result;
use crate::config::write_secret;

/// Make an identity: the secret that opens archives, and the recipient that they are sealed for
///
/// Whoever has it can open what is sealed for its recipient; without it nobody can.
#[derive(Args)]
pub(super) struct Keygen {
    /// Write the identity to a new file that only you can read [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made {
    recipient: String,
    identity_file: Option<PathBuf>,
}

impl Keygen {
    pub(super) fn run(self, report: &Report) -> Result<()> {
        let identity = Identity::generate();
        let recipient = identity.recipient().to_string();
        let text = format!("# public key: {recipient}\n{}", *identity.to_secret_text());
        match &self.output {
            Some(file) => {
                write_secret(file, &format!("{text}\n"))?;
                let told = format!(
                    "{recipient}\nThe identity is in {}: keep a copy where this machine's loss does not reach.",
                    file.display()
                );
                report.summary(&told, &Made { recipient, identity_file: self.output.clone() })?;
            }
            None if report.is_json() => {
                return Err(crate::Error::Usage("with --json the identity goes to a file: add -o FILE".into()));
            }
            None => report.summary(&text, &())?,
        }
        Ok(())
    }
}
