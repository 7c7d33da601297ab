//! Apps that are replaced: what one holds, what an import left beside it, and binaries that end where they are told to.

mod folder;
mod servers;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::{Coffer, Outcome, Random, TarEntry, tar_entries, tool};

pub use folder::{Folder, assert_same_objects, assert_same_state};
pub use servers::{Servers, Settings};

/// The places at which a binary of the tests ends itself, in their order. Up to `swapping` an app is the old one afterwards.
pub const FAILPOINTS: [&str; 12] = [
    "begun",
    "loading",
    "loaded",
    "planned",
    "prepared",
    "publishing",
    "published",
    "swapping",
    "swapped",
    "landed",
    "published-rest",
    "settled",
];
/// Of these, those that an undo comes by.
pub const FAILPOINTS_OF_UNDO: [&str; 9] =
    ["begun", "prepared", "publishing", "published", "swapping", "swapped", "landed", "published-rest", "settled"];
/// A time before every import: whoever says it lets an undo drop all that was written since.
pub const LONG_AGO: &str = "2000-01-01T00:00:00Z";
/// How long what has been asked for may take on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// What an app can be filled with: each differs from the others in rows, tables, and objects that are the same, changed or only there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// What is replaced.
    Old,
    /// What replaces it.
    New,
    /// What replaces that.
    Third,
}

impl Edition {
    /// What stands in each of its rows.
    #[must_use]
    pub fn marker(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
            Self::Third => "third",
        }
    }

    /// How many rows it has in its table `items`.
    #[must_use]
    pub fn rows(self) -> u32 {
        match self {
            Self::Old => 1_500,
            Self::New => 2_500,
            Self::Third => 700,
        }
    }

    /// Its objects: names, contents and a word that is kept as metadata where that can be.
    fn objects(self) -> Vec<(String, Vec<u8>, &'static str)> {
        let own = Random::new(u64::from(self.rows())).number();
        let mut objects = vec![
            ("same.bin".to_owned(), Random::new(1).bytes(200_000), "same"),
            ("deep/er/same.txt".into(), b"the same".to_vec(), "same"),
            ("empty".into(), Vec::new(), "same"),
            ("changed.bin".into(), Random::new(own).bytes(300_000), "same"),
            ("in place.txt".into(), format!("{:>8}", self.marker()).into_bytes(), "same"),
            ("only its metadata.txt".into(), b"the same".to_vec(), self.marker()),
            (format!("only/{}/ü 100%+.bin", self.marker()), Random::new(own + 1).bytes(50_000), self.marker()),
            ("large.bin".into(), Random::new(own + 2).bytes((5 << 20) + 77_777), "same"),
        ];
        for n in 0..24 {
            let marker = self.marker();
            objects.push(match n % 4 {
                0 => (format!("many/{n:02}"), format!("the same {n}").into_bytes(), "same"),
                1 => (format!("many/{n:02}"), format!("{marker} {n}").into_bytes(), "same"),
                _ => (format!("many/{n:02}-{marker}"), format!("{n}").into_bytes(), "same"),
            });
        }
        objects
    }
}

/// Where apps are, and what tells what was left there.
pub trait Place: Sync {
    /// The binary, whose sources hold the apps.
    fn coffer(&self) -> &Coffer;

    /// An app by its full name, `SOURCE/APP`.
    fn name(&self, app: &str) -> String;

    /// Makes an app that is not there.
    ///
    /// # Errors
    /// It can't be made.
    fn make(&self, app: &str, edition: Edition) -> Result<()>;

    /// What imports have left that is no app: staging, kept copies, locks, uploads.
    ///
    /// # Errors
    /// It can't be looked at.
    fn traces(&self) -> Result<Vec<String>>;

    /// What there is of an app: nothing where it is not there.
    ///
    /// # Errors
    /// It can't be looked at.
    fn parts(&self, app: &str) -> Result<Vec<String>>;
}

/// Makes the apps `a`, `b` and `c`, which are old, new and third, and unsealed archives of them by these names.
///
/// # Errors
/// One can't be made.
pub fn set_up(place: &dyn Place) -> Result<()> {
    for (app, edition) in [("a", Edition::Old), ("b", Edition::New), ("c", Edition::Third)] {
        place.make(app, edition)?;
        place.coffer().run_well(["export", &place.name(app), "--no-encryption", "-o", edition.marker()])?;
    }
    Ok(())
}

/// What an app holds: each entry of its archive, but for what tells when it was made.
pub type Fingerprint = BTreeMap<String, String>;

/// What the app `a` of [`set_up`] holds, and what it holds once an archive of `b` has replaced it: what `b` does, but for rights, which
/// stay those of the place. It is the old one again.
///
/// # Errors
/// It is not, or holds something else than `b`.
pub fn both(place: &dyn Place) -> Result<(Fingerprint, Fingerprint)> {
    let (coffer, name) = (place.coffer(), place.name("a"));
    let old = fingerprint(coffer, &name)?;
    coffer.run(["restore", "new", "--into", &name, "--replace"])?.ends_with(0, &[])?;
    let new = fingerprint(coffer, &name)?;
    let without_rights = |fingerprint: &Fingerprint| {
        let mut fingerprint = fingerprint.clone();
        fingerprint.remove("database/sequences.json");
        fingerprint
    };
    let archived = fingerprint(coffer, &place.name("b"))?;
    ensure!(without_rights(&new) == without_rights(&archived), "it is not what the archive holds");
    ensure!(old != new && old.len() > 20, "{old:?}");
    undo(coffer, &name)?.ends_with(0, &[])?;
    ensure_holds(coffer, &name, &old)?;
    ensure_no_traces(place)?;
    Ok((old, new))
}

/// Looks at an app through an export of it.
///
/// # Errors
/// It can't be exported, or its archive is none.
pub fn fingerprint(coffer: &Coffer, name: &str) -> Result<Fingerprint> {
    let entries = entries(coffer, name)?.into_iter();
    let told = entries.filter(|entry| {
        entry.path != "manifest.json" && entry.path != "summary.json" && !entry.path.starts_with("index/")
    });
    Ok(told.map(|entry| (entry.path.clone(), digest(&entry))).collect())
}

/// The entries of an app's archive, unsealed.
///
/// # Errors
/// It can't be exported, or its archive is none.
pub fn entries(coffer: &Coffer, name: &str) -> Result<Vec<TarEntry>> {
    let folder = tempfile::tempdir_in(coffer.folder())?;
    let archive = folder.path().join("x.tar.gz");
    let arguments = ["export", name, "--no-encryption", "--compression", "none", "-o"].map(AsRef::as_ref);
    coffer.run_well(arguments.into_iter().chain([archive.as_os_str()]))?;
    tar_entries(&tool("gzip", ["-dc".as_ref(), archive.as_os_str()])?)
}

/// Of its content and its metadata. When it was last written and a server's own word for it may differ.
fn digest(entry: &TarEntry) -> String {
    let mut digest = Sha256::new();
    for (keyword, value) in &entry.pax {
        if keyword.starts_with("COFFER.") && keyword != "COFFER.etag" && keyword != "COFFER.attempt" {
            digest.update(format!("{keyword}={value}\n"));
        }
    }
    digest.update(&entry.content);
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks that an app holds this and nothing else.
///
/// # Errors
/// What differs.
pub fn ensure_holds(coffer: &Coffer, name: &str, expected: &Fingerprint) -> Result<()> {
    let found = fingerprint(coffer, name)?;
    let differing = expected.iter().filter(|(path, digest)| found.get(*path) != Some(digest)).map(|(path, _)| path);
    let more = found.keys().filter(|path| !expected.contains_key(*path));
    let (differing, more) = (differing.take(9).collect::<Vec<_>>(), more.take(9).collect::<Vec<_>>());
    ensure!(differing.is_empty() && more.is_empty(), "{name}: {differing:?} differ, {more:?} should not be there");
    Ok(())
}

/// Checks that no import has left anything, and that the journal has none.
///
/// # Errors
/// What is left.
pub fn ensure_no_traces(place: &dyn Place) -> Result<()> {
    let traces = place.traces()?;
    ensure!(traces.is_empty(), "something is left: {traces:?}");
    ensure!(journal(place.coffer())?.is_empty(), "the journal has {:?}", journal(place.coffer())?);
    Ok(())
}

/// The phases of the imports that the journal has.
///
/// # Errors
/// There is no state.
pub fn journal(coffer: &Coffer) -> Result<Vec<String>> {
    let states = ["coffer-data/state.db", "coffer.db"].map(|state| coffer.path(state));
    let state = states.iter().find(|state| state.exists()).context("there is no state")?;
    let command = ["-readonly", "-cmd", ".timeout 5000"].map(AsRef::as_ref);
    let query = "SELECT phase FROM imports ORDER BY begun".as_ref();
    let phases = tool("sqlite3", command.into_iter().chain([state.as_os_str(), query]))?;
    Ok(String::from_utf8(phases)?.lines().map(str::to_owned).collect())
}

/// Runs the binary to its end with further variables.
///
/// # Errors
/// It can't be run.
pub fn run_with(coffer: &Coffer, variables: &[(&str, &str)], arguments: &[&str]) -> Result<Outcome> {
    let output = coffer.command().args(arguments).envs(variables.iter().copied()).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Outcome { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr })
}

/// Runs the binary, which has to end itself by SIGKILL at a place.
///
/// # Errors
/// It ends otherwise.
pub fn run_to(coffer: &Coffer, failpoint: &str, keep: &str, arguments: &[&str]) -> Result<()> {
    let mut command = coffer.command();
    command.args(arguments).env("COFFER_FAILPOINT", failpoint).env("COFFER_SERVER_KEEP_REPLACED", keep);
    let output = command.stdout(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.signal() == Some(9), "{failpoint}: {arguments:?} ended with {}: {said}", output.status);
    Ok(())
}

/// Brings back what is kept of an app, and lets go of all that was written since.
///
/// # Errors
/// The binary can't be run.
pub fn undo(coffer: &Coffer, name: &str) -> Result<Outcome> {
    coffer.run(["restore", "--undo", name, "--discard-changes-since", LONG_AGO])
}

/// Who sees to an import whose process is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `coffer recover`.
    Command,
    /// A service that starts.
    Service,
    /// The next import of the app.
    Import,
}

impl Way {
    /// Each in its turn.
    #[must_use]
    pub fn of(round: usize) -> Self {
        match round % 3 {
            0 => Self::Command,
            1 => Self::Service,
            _ => Self::Import,
        }
    }

    /// Lets that happen, to its end. An import is one of `archive` in the place of the app, which is then undone.
    ///
    /// # Errors
    /// It fails, or nothing is done soon.
    pub fn recover(self, place: &dyn Place, app: &str, archive: &str) -> Result<()> {
        let (coffer, name) = (place.coffer(), place.name(app));
        match self {
            Self::Command => coffer.run(["recover"])?.ends_with(0, &[])?,
            Self::Service => {
                let _service = coffer.serve()?;
                wait_until("the service sees to it", || Ok(journal(coffer)?.iter().all(|phase| phase == "kept")))?;
            }
            Self::Import => {
                coffer.run(["restore", archive, "--into", &name, "--replace"])?.ends_with(0, &[])?;
                undo(coffer, &name)?.ends_with(0, &[]).context("an undo of the import that came by")?;
            }
        }
        let left = journal(coffer)?;
        ensure!(left.iter().all(|phase| phase == "kept"), "{self:?}: the journal has {left:?}");
        Ok(())
    }
}

/// Waits until something is so.
///
/// # Errors
/// It is not within half a minute.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !is_so()? {
        ensure!(begun.elapsed() < SOON, "not within {SOON:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
