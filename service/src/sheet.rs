//! The recovery sheet: an identity to be printed and put away, and what else to keep.

use std::path::{Path, PathBuf};

use coffer_crypto::Identity;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use crate::config::{Config, write_secret};
use crate::{Error, Result};

const NAME: &str = "recovery-sheet.txt";

/// The sheet for an identity: its text, the same as a QR code, and what to keep where.
///
/// # Errors
/// [`Error::Usage`] where the text does not fit into a QR code, which that of an identity does.
pub(crate) fn text(identity: &Identity, config: Option<&Config>) -> Result<String> {
    let secret = identity.to_secret_text();
    let code =
        QrCode::new(secret.as_bytes()).map_err(|error| Error::Usage(format!("no QR code can be made: {error}")))?;
    // Dark on light where ink is dark, as a printer has it.
    let code = code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).build();
    let vaults = config.map_or_else(String::new, |config| {
        let vaults: Vec<_> =
            config.vaults.iter().map(|vault| format!("     {} ({})", vault.url(), vault.name)).collect();
        format!("\n{}", vaults.join("\n"))
    });
    Ok(format!(
        "COFFER RECOVERY SHEET\n\
         \n\
         Whoever has this sheet can read every backup that is sealed for it. Without it, or another holder's\n\
         identity, nobody can: the backups are lost. Print it, put it where you keep deeds, and delete the file.\n\
         \n\
         Recipient (public)    {recipient}\n\
         Identity (secret)     {secret}\n\
         \n\
         The identity as a QR code:\n\
         \n\
         {code}\n\
         \n\
         What to keep, and where\n\
         1. This sheet: on paper, in two places that no one fire, thief or flood reaches.\n\
         2. The backups: a copy outside of the machine and of the provider that runs it.{vaults}\n\
         3. coffer.toml, and the passwords and keys that it names: with the machine's other secrets.\n\
         \n\
         To restore on an empty machine: install coffer, write the identity above into the file coffer.key as one line,\n\
         write a coffer.toml that says where the vault is and where each source shall have its apps, such as\n\
         \n\
         \x20   [keys]\n\
         \x20   identity_file = \"coffer.key\"\n\
         \x20   [[vault]]\n\
         \x20   name = \"main\"\n\
         \x20   url = \"file:/where/the/vault/is\"\n\
         \x20   [[source]]\n\
         \x20   name = \"local\"\n\
         \x20   database = \"sqlite:apps/{{app}}/data.db\"\n\
         \x20   objects = \"file:apps/{{app}}/files\"\n\
         \n\
         and run in the same folder\n\
         \n\
         \x20   coffer backups rescan\n\
         \x20   coffer restore latest --into SOURCE/APP\n\
         \n\
         docs/OPERATING.md has every step; docs/RECOVERY.md does it without coffer, with age, openssl, gzip and tar.\n",
        recipient = identity.recipient(),
        secret = *secret,
    ))
}

/// Writes the sheet beside the identity, for its owner alone, where there is none yet; tells where.
pub(crate) fn write_beside(identity_file: &Path, sheet: &str) -> Result<Option<PathBuf>> {
    let path = identity_file.with_file_name(NAME);
    if path.exists() {
        return Ok(None);
    }
    write_secret(&path, sheet)?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_identity_and_its_code() {
        let identity = Identity::generate();
        let sheet = text(&identity, None).unwrap();
        assert!(sheet.contains(&*identity.to_secret_text()) && sheet.contains(&identity.recipient().to_string()));
        assert!(sheet.lines().filter(|line| line.contains('█')).count() >= 15, "{sheet}");
        assert!(sheet.lines().all(|line| line.chars().count() <= 120), "{sheet}");
    }
}
