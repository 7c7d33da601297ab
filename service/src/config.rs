//! What an operator set: from a flag, the environment or `coffer.toml`, in this order, checked when it is read.

mod file;
mod hooks;
mod keys;
mod login;
mod password;
mod pattern;
mod postgres;
mod s3;
mod schedule;
mod source;
mod state;
mod units;
mod vault;

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use coffer_crypto::Recipient;
use coffer_storage::S3Client;
pub(crate) use file::environment;
pub use hooks::{HookCommand, Hooks};
pub use keys::{KeyFiles, Keys, parse_recipients, read_identities, read_secret, write_secret};
pub use pattern::Pattern;
pub use postgres::PostgresPattern;
pub use s3::BucketPattern;
pub use schedule::Schedule;
pub use source::{DatabasePattern, ObjectsPattern, Source};
pub use state::{StateLogin, StatePlace};
pub use units::ByteSize;
pub(crate) use units::parse_duration;
pub use vault::{VaultKind, VaultPlace};

use crate::name::{AppName, Name};
use crate::pipeline::{ArchivePlace, Trust};
use crate::{Error, Result};
use file::ConfigFile;

/// The file that is read where no other is named.
const DEFAULT_FILE: &str = "coffer.toml";
/// Where everything is where there is no file.
const DEFAULT_FOLDER: &str = "coffer-data";
/// The state where nothing is said of it: below [`DEFAULT_FOLDER`], and beside a file.
const DEFAULT_STATES: [&str; 2] = ["state.db", "coffer.db"];

/// What is in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that it was read from; none for the default.
    pub file: Option<PathBuf>,
    /// The address to listen on.
    pub listen: String,
    /// The budget that all transfers share.
    pub memory: ByteSize,
    /// How long a peer may give or take no byte.
    pub idle_timeout: Duration,
    /// How long what an import replaces is kept for an undo; zero is not at all.
    pub keep_replaced: Duration,
    /// The file that holds the token with every right.
    pub token_file: PathBuf,
    /// Who can read what is written.
    pub keys: KeyFiles,
    /// The server of archives that are named by `s3://…`.
    pub s3: S3Client,
    /// Where the service keeps its own state.
    pub state: StatePlace,
    /// Where backups are kept: the first one takes them, others are for copies.
    pub vaults: Vec<VaultPlace>,
    /// The families of apps.
    pub sources: Vec<Source>,
    /// Which apps are backed up together, and what is kept of them.
    pub schedules: Vec<Schedule>,
}

/// What the sources hold.
#[derive(Debug)]
pub struct Listing {
    /// The apps, source by source.
    pub apps: Vec<AppName>,
    /// The sources whose apps can't be listed, each with the reason.
    pub unlisted: Vec<String>,
}

impl Config {
    /// Reads the file named, or `coffer.toml` where it is there, or takes the default in `./coffer-data`.
    ///
    /// # Errors
    /// [`Error::Usage`] naming file, line and key of what is unknown, missing or contradictory.
    pub fn load(named: Option<&Path>) -> Result<Self> {
        let default = Path::new(DEFAULT_FILE);
        let path = named.or_else(|| default.exists().then_some(default));
        let parsed = path.map(ConfigFile::read).transpose()?.unwrap_or_default();
        let base = match path {
            Some(path) => path.parent().unwrap_or(Path::new("")).to_owned(),
            None => PathBuf::from(DEFAULT_FOLDER),
        };
        Self::assemble(path, &base, parsed, file::environment)
    }

    /// The default, with everything in `folder` in place of `./coffer-data`, whatever the environment says.
    ///
    /// # Errors
    /// None but a defect of the program.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        Self::assemble(None, folder, ConfigFile::default(), |_| None)
    }

    /// Whether there is no file: then keys and token are made when they are first needed.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.file.is_none()
    }

    /// The source of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`] listing those there are.
    pub fn source(&self, name: &Name) -> Result<&Source> {
        self.sources.iter().find(|source| source.name == *name).ok_or_else(|| {
            let known: Vec<_> = self.sources.iter().map(|source| source.name.as_str()).collect();
            Error::NotFound(format!("there is no source \"{name}\"; the configuration has: {}", known.join(", ")))
        })
    }

    /// The vault of this name; the first one where none is named.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is none at all, [`Error::NotFound`] listing those there are.
    pub fn vault(&self, name: Option<&str>) -> Result<&VaultPlace> {
        let Some(name) = name else {
            return self.vaults.first().ok_or_else(|| {
                let why =
                    "there is no [[vault]] to keep backups in: add one with name = \"main\" and url = \"file:vault\"";
                Error::Usage(why.into())
            });
        };
        self.vaults.iter().find(|vault| vault.name.as_str() == name).ok_or_else(|| {
            let known: Vec<_> = self.vaults.iter().map(|vault| vault.name.as_str()).collect();
            Error::NotFound(format!("there is no vault {name:?}; the configuration has: {}", known.join(", ")))
        })
    }

    /// A warning where what is written can be opened by this service's own identity alone: with it, the backups would be lost.
    #[must_use]
    pub fn one_holder(&self) -> Option<String> {
        let keys = self.keys.load().ok()?;
        let own: HashSet<_> = keys.identities.iter().map(|identity| identity.recipient().to_string()).collect();
        let is_alone = |recipients: &[Recipient]| {
            !recipients.is_empty() && recipients.iter().all(|recipient| own.contains(&recipient.to_string()))
        };
        let named = self.sources.iter().filter(|source| !source.recipients.is_empty());
        let alone: Vec<_> =
            named.filter(|source| is_alone(&source.recipients)).map(|source| source.name.as_str()).collect();
        let of_all = is_alone(&keys.recipients) && self.sources.iter().any(|source| source.recipients.is_empty());
        let (what, place) = match (of_all, alone.as_slice()) {
            (true, _) => (String::new(), "[keys] recipients"),
            (false, []) => return None,
            (false, sources) => (format!(" of source {}", sources.join(", ")), "the recipients of that source"),
        };
        let file = self.keys.identity_file.as_ref()?.display();
        Some(format!(
            "the identity has no second holder: {file} alone opens what is written{what}; copy it off this machine, and add a second \
             recipient whose identity is kept elsewhere to {place}"
        ))
    }

    /// Where the archive is that `text` names: a file, or an object by its `s3://…`.
    ///
    /// # Errors
    /// [`Error::Usage`] where a bucket or key is missing.
    pub fn archive(&self, path: &Path) -> Result<ArchivePlace> {
        let object = path.to_str().map(|text| s3::object(text, &self.s3)).transpose()?.flatten();
        Ok(match object {
            Some((store, key)) => ArchivePlace::Object { store, key, name: path.display().to_string() },
            None => ArchivePlace::File(path.to_owned()),
        })
    }

    /// The apps of all sources.
    ///
    /// # Errors
    /// Those of [`Source::apps`], naming the source: nothing is left out of the list in silence.
    pub async fn apps(&self) -> Result<Listing> {
        let mut listing = Listing { apps: Vec::new(), unlisted: Vec::new() };
        for source in &self.sources {
            let named = |app| AppName { source: source.name.clone(), app };
            match source.unlisted() {
                Some(why) => {
                    listing.unlisted.push(format!("the apps of source {} can't be listed: {why}", source.name))
                }
                None => listing.apps.extend(source.apps().await?.into_iter().map(named)),
            }
        }
        Ok(listing)
    }

    fn assemble(
        path: Option<&Path>,
        base: &Path,
        parsed: ConfigFile,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let ConfigFile { server, keys, s3, state, vault, source, schedule } = parsed;
        let s3_settings = s3.clone().settings(base, &environment)?;
        let identity_default = path.is_none().then(|| "coffer.key".to_owned());
        let setting = |name: &str, from_file: Option<String>| environment(name).or(from_file);
        let in_base = |file: String| base.join(file);
        let sources = match path {
            None => vec![Source::local(base)?],
            Some(path) if source.is_empty() => {
                return Err(Error::Usage(format!("{}: there is no [[source]]: add one", path.display())));
            }
            Some(_) => source
                .into_iter()
                .map(|source| Source::new(base, source, &s3, &environment))
                .collect::<Result<Vec<_>>>()?,
        };
        check_names("source", sources.iter().map(|source| &source.name))?;
        check_variables(&sources, &environment)?;
        let vaults = match path {
            None => vec![VaultPlace::local(base)?],
            Some(_) => vault
                .into_iter()
                .map(|vault| VaultPlace::new(base, vault, &s3, &environment))
                .collect::<Result<Vec<_>>>()?,
        };
        let schedules = schedule.into_iter().map(Schedule::new).collect::<Result<Vec<_>>>()?;
        check_names("vault", vaults.iter().map(|vault| &vault.name))?;
        check_names("schedule", schedules.iter().map(|schedule| &schedule.name))?;
        check_places(&vaults)?;
        Trust::parse(&keys.trust, "[keys] trust")?;
        let [default_state, state_beside] = DEFAULT_STATES;
        let default_state = if path.is_none() { default_state } else { state_beside };
        let idle = setting("COFFER_SERVER_IDLE_TIMEOUT", server.idle_timeout);
        Ok(Self {
            file: path.map(Path::to_owned),
            listen: setting("COFFER_SERVER_LISTEN", server.listen).unwrap_or_else(|| "127.0.0.1:8484".into()),
            memory: setting("COFFER_SERVER_MEMORY", server.memory)
                .map_or(Ok(ByteSize::DEFAULT_BUDGET), |s| s.parse())?,
            idle_timeout: idle.map_or(Ok(units::IDLE_TIMEOUT), |text| units::parse_duration(&text))?,
            keep_replaced: setting("COFFER_SERVER_KEEP_REPLACED", server.keep_replaced)
                .map_or(Ok(units::KEEP_REPLACED), |text| units::parse_duration_or_none(&text))?,
            token_file: in_base(
                setting("COFFER_SERVER_TOKEN_FILE", server.token_file).unwrap_or_else(|| "token".into()),
            ),
            keys: KeyFiles {
                recipients: parse_recipients(&keys.recipients, "[keys] recipients")?,
                identity_file: setting("COFFER_KEYS_IDENTITY_FILE", keys.identity_file)
                    .or(identity_default)
                    .map(in_base),
                signing_key_file: setting("COFFER_KEYS_SIGNING_KEY_FILE", keys.signing_key_file).map(in_base),
                require_encryption: keys.require_encryption,
                trust: keys.trust,
            },
            s3: S3Client::new(s3_settings),
            state: StatePlace::new(base, state, default_state, &environment)?,
            vaults,
            sources,
            schedules,
        })
    }
}

/// Refuses two vaults of which one holds the other, or is it: a copy from the one into the other would be none.
fn check_places(vaults: &[VaultPlace]) -> Result<()> {
    let place = |vault: &VaultPlace| match &vault.kind {
        VaultKind::Folder(path) => {
            let path = real(&std::path::absolute(path).unwrap_or_else(|_| path.clone()));
            PathBuf::from("/file").join(path.strip_prefix("/").unwrap_or(&path))
        }
        VaultKind::Bucket(_, url) => PathBuf::from("/s3").join(url.trim_start_matches(s3::SCHEME)),
    };
    for (position, vault) in vaults.iter().enumerate() {
        let mut others = vaults.iter().enumerate().filter(|(other, _)| *other != position);
        if let Some((_, other)) = others.find(|(_, other)| place(vault).starts_with(place(other))) {
            let (vault, other) = (&vault.name, &other.name);
            return Err(Error::Usage(format!(
                "[[vault]] {vault} lies in [[vault]] {other}: give each a place of its own"
            )));
        }
    }
    Ok(())
}

/// A path without links and dots, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let mut real = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(real.pop()),
            part => real.push(part),
        }
        real = real.canonicalize().unwrap_or(real);
    }
    real
}

/// Refuses two sections of one kind that have the same name.
fn check_names<'a>(kind: &str, names: impl Iterator<Item = &'a Name>) -> Result<()> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Error::Usage(format!("two [[{kind}]]s have the name {:?}", name.as_str())));
        }
    }
    Ok(())
}

/// Refuses a password in the environment that two sources would take.
fn check_variables(sources: &[Source], environment: &impl Fn(&str) -> Option<String>) -> Result<()> {
    let mut prefixes = HashMap::new();
    for source in sources.iter().filter(|source| matches!(source.database, DatabasePattern::Postgres(_))) {
        let prefix = postgres::variable_prefix(source.name.as_str());
        let Some(other) = prefixes.insert(prefix.clone(), &source.name) else { continue };
        let variables = ["DATABASE_PASSWORD", "IMPORT_DATABASE_PASSWORD"].map(|rest| format!("{prefix}_{rest}"));
        let mut variables = variables.into_iter().flat_map(|variable| [format!("{variable}_FILE"), variable]);
        let set = variables.find(|variable| environment(variable).is_some());
        if let Some(variable) = set {
            let why = format!("{variable} is that of source {other} and of source {}: rename one", source.name);
            return Err(Error::Usage(why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
