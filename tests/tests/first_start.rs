//! The first start without a configuration: an identity, a token, and a sheet to print and put away.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use coffer_tests::Coffer;

const COFFER: &str = env!("CARGO_BIN_EXE_coffer");
const SHEET: &str = "coffer-data/recovery-sheet.txt";

#[test]
fn the_sheet_has_what_opens_the_backups_and_nobody_else_can_read_it() -> Result<()> {
    let coffer = Coffer::new(COFFER)?;
    let key = std::fs::read_to_string(coffer.make_identity()?)?;
    let secret = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).context("no identity")?;
    let path = coffer.path(SHEET);
    let sheet = std::fs::read_to_string(&path)?;
    ensure!(sheet.contains(secret) && sheet.contains("coffer backups rescan"), "{sheet}");
    ensure!(sheet.lines().filter(|line| line.contains('█')).count() > 14, "there is no QR code:\n{sheet}");
    ensure!(std::fs::metadata(&path)?.permissions().mode() & 0o777 == 0o600, "others can read it");
    // It was printed and deleted: no later start makes it again, or another identity.
    std::fs::remove_file(&path)?;
    coffer.make_identity()?;
    ensure!(!path.exists() && std::fs::read_to_string(coffer.path("coffer-data/coffer.key"))? == key);
    Ok(())
}

#[test]
fn nothing_secret_is_said_where_a_log_may_hear_it() -> Result<()> {
    let coffer = Coffer::new(COFFER)?;
    coffer.app("one").fill_small()?;
    let made = coffer.run(["backup", "--all"])?;
    made.ends_with(0, &["coffer.key", "recovery-sheet.txt"])?;
    let said = made.stderr + &String::from_utf8_lossy(&made.stdout);
    ensure!(!said.contains("AGE-SECRET-KEY"), "{said}");
    ensure!(coffer.path(SHEET).exists(), "a backup that comes first makes no sheet");
    Ok(())
}

#[test]
fn a_sheet_comes_with_a_key_or_neither_is_there() -> Result<()> {
    let coffer = Coffer::new(COFFER)?;
    coffer.run_well(["keygen", "-o", "a.key", "--sheet", "a.txt"])?;
    let key = std::fs::read_to_string(coffer.path("a.key"))?;
    let secret = key.lines().find(|line| !line.starts_with('#')).context("no identity")?;
    ensure!(std::fs::read_to_string(coffer.path("a.txt"))?.contains(secret));
    coffer.run(["keygen", "-o", "b.key", "--sheet", "a.txt"])?.ends_with(1, &["a.txt"])?;
    ensure!(!coffer.path("b.key").exists(), "a key of which nobody was told is there");
    coffer.run(["keygen", "-o", "a.key", "--sheet", "b.txt"])?.ends_with(1, &["a.key"])?;
    ensure!(!coffer.path("b.txt").exists(), "a sheet of no key is there");
    Ok(())
}
