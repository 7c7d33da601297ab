//! What a first start without a configuration makes: an identity, and the sheet that tells what to do with it.

use std::io::IsTerminal;

use super::report::Report;
use crate::config::Config;
use crate::{Result, sheet};

/// Makes the identity where there is no configuration and none is there yet, and writes its recovery sheet beside it. The sheet is shown
/// where somebody looks: it is a secret, and a log is no place for it.
pub(super) fn first_start(config: &Config, report: &Report) -> Result<()> {
    if !config.is_default() || !config.keys.make_identity()? {
        return Ok(());
    }
    let Some(file) = &config.keys.identity_file else { return Ok(()) };
    let keys = config.keys.load()?;
    let Some(identity) = keys.identities.first() else { return Ok(()) };
    report.note(&format!(
        "{} was made: it alone opens what is written here. Copy it off this machine now.",
        file.display()
    ));
    let sheet = sheet::text(identity, Some(config))?;
    if let Some(path) = sheet::write_beside(file, &sheet)? {
        report.note(&format!("{} is to be printed and put away: the identity as text and QR code", path.display()));
    }
    if std::io::stdout().is_terminal() && !report.is_json() {
        report.summary(&sheet, &())?;
    }
    Ok(())
}
