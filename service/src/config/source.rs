//! A source: patterns that tell where each app's database and objects are, and which apps there are.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use coffer_crypto::Recipient;

use super::file::SourceSection;
use super::keys::parse_recipients;
use crate::name::Name;
use crate::{Error, Result};

/// What stands for the app's name in a pattern.
const PLACE: &str = "{app}";

/// A family of apps.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name.
    pub name: Name,
    /// Where each app's SQLite database is.
    pub database: Pattern,
    /// Where each app's objects are, if it has any.
    pub objects: Option<Pattern>,
    /// Who can open its archives, in place of those in `[keys]`.
    pub recipients: Vec<Recipient>,
}

impl Source {
    /// The one source where there is no configuration file.
    pub(super) fn local(base: &Path) -> Result<Self> {
        Ok(Self {
            name: "local".parse()?,
            database: Pattern::new(base, "apps/{app}/data.db"),
            objects: Some(Pattern::new(base, "apps/{app}/files")),
            recipients: Vec::new(),
        })
    }

    pub(super) fn new(base: &Path, section: SourceSection) -> Result<Self> {
        let SourceSection { name, database, objects, recipients } = section;
        let pattern = |key: &str, scheme: &str, url: &str| match url.strip_prefix(scheme) {
            Some(path) if !path.is_empty() => Ok(Pattern::new(base, path)),
            _ => {
                let url = url.split_once(':').map_or("…", |(scheme, _)| scheme);
                let why =
                    format!("[[source]] {name:?}: {key} = \"{url}:…\" is not known; this version takes {scheme}PATH");
                Err(Error::Usage(why))
            }
        };
        let source = Self {
            database: pattern("database", "sqlite:", &database)?,
            objects: objects.map(|url| pattern("objects", "file:", &url)).transpose()?,
            recipients: parse_recipients(&recipients, &format!("[[source]] {name:?}"))?,
            name: name.parse()?,
        };
        if source.objects.as_ref().is_some_and(|objects| objects.has_place() != source.database.has_place()) {
            let why = format!("[[source]] {name:?}: {PLACE} must stand in both database and objects, or in neither");
            return Err(Error::Usage(why));
        }
        match &source.objects {
            Some(objects) if Path::new(&source.database.path).starts_with(&objects.path) => Err(Error::Usage(format!(
                "[[source]] {:?}: the database stands in the objects' folder, and would be one of them: keep them apart",
                source.name.as_str()
            ))),
            _ => Ok(source),
        }
    }

    /// The apps whose database is there, by name.
    ///
    /// # Errors
    /// [`Error::File`] where a folder can't be listed.
    pub fn apps(&self) -> Result<Vec<Name>> {
        if !self.database.has_place() {
            return Ok(self.database.fill(&self.name).exists().then(|| self.name.clone()).into_iter().collect());
        }
        let mut apps = self.database.list()?;
        if self.database.path.ends_with(PLACE) {
            let all = apps.clone();
            apps.retain(|app| !all.iter().any(|other| is_beside(app, other)));
        }
        Ok(apps)
    }

    /// Refuses the name of an app that this source can't have.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the source has one app, of its own name.
    pub fn check(&self, app: &Name) -> Result<()> {
        if self.database.has_place() || *app == self.name {
            return Ok(());
        }
        Err(Error::NotFound(format!("source {0} has one app alone: {0}/{0}", self.name)))
    }
}

/// Whether a name is that of a file that SQLite keeps beside the other's database.
fn is_beside(name: &Name, database: &Name) -> bool {
    let rest = name.as_str().strip_prefix(database.as_str());
    rest.is_some_and(|rest| ["-wal", "-shm", "-journal"].contains(&rest))
}

/// A path in which `{app}` stands for the app's name.
#[derive(Debug, Clone)]
pub struct Pattern {
    path: String,
}

impl Pattern {
    fn new(base: &Path, path: &str) -> Self {
        Self { path: base.join(path).to_string_lossy().into_owned() }
    }

    fn has_place(&self) -> bool {
        self.path.contains(PLACE)
    }

    /// The path for one app.
    #[must_use]
    pub fn fill(&self, app: &Name) -> PathBuf {
        PathBuf::from(self.path.replace(PLACE, app.as_str()))
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// The apps for which the path is there: the first component with `{app}` in it is listed, and the rest asked for.
    fn list(&self) -> Result<Vec<Name>> {
        let mut folder = PathBuf::new();
        let mut found = BTreeSet::new();
        for component in Path::new(&self.path).components() {
            let text = component.as_os_str().to_string_lossy();
            let Some((before, after)) = text.split_once(PLACE).filter(|_| matches!(component, Component::Normal(_)))
            else {
                folder.push(component);
                continue;
            };
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
            let after = after.split(PLACE).next().unwrap_or_default();
            self.list_folder(folder, before, after, &mut found)?;
            break;
        }
        Ok(found.into_iter().collect())
    }

    fn list_folder(&self, folder: &Path, before: &str, after: &str, found: &mut BTreeSet<Name>) -> Result<()> {
        let failed = |error| Error::file(format!("listing {}", folder.display()), error);
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(before)) else { continue };
            // Where `{app}` stands twice in a component, its length tells which part is the name.
            let candidates = rest.match_indices(after).filter_map(|(end, _)| rest.get(..end)).chain([rest]);
            let app = candidates.filter_map(|app| app.parse::<Name>().ok()).find(|app| self.fill(app).exists());
            found.extend(app);
        }
        Ok(())
    }
}
