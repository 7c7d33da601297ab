//! Patterns in which `{app}` stands for the app's name: paths, and the names of databases, schemas and logins.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::name::Name;
use crate::{Error, Result};

/// What stands for the app's name in a pattern.
pub(super) const PLACE: &str = "{app}";

/// A path in which `{app}` stands for the app's name.
#[derive(Debug, Clone)]
pub struct Pattern {
    path: String,
}

impl Pattern {
    pub(super) fn new(base: &Path, path: &str) -> Self {
        Self { path: base.join(path).to_string_lossy().into_owned() }
    }

    pub(super) fn has_place(&self) -> bool {
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
    pub(super) fn list(&self) -> Result<Vec<Name>> {
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

/// The name of a thing in a server, in which `{app}` stands for the app's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamePattern {
    name: String,
}

impl NamePattern {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.name
    }

    /// How often `{app}` stands in it.
    pub(super) fn places(&self) -> usize {
        self.name.matches(PLACE).count()
    }

    pub(super) fn has_place(&self) -> bool {
        self.places() > 0
    }

    /// The name for one app.
    pub(super) fn fill(&self, app: &Name) -> String {
        self.name.replace(PLACE, app.as_str())
    }

    /// The app whose name makes `name` of this pattern. There is one at most: how long it is follows from how long `name` is.
    pub(super) fn app(&self, name: &str) -> Option<Name> {
        let literal_bytes = self.name.len() - self.places() * PLACE.len();
        let app_bytes = name.len().checked_sub(literal_bytes)?.checked_div(self.places())?;
        let start = self.name.find(PLACE)?;
        let app = name.get(start..start + app_bytes)?.parse().ok()?;
        (self.fill(&app) == name).then_some(app)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_app_exactly() {
        for (pattern, name, app) in [
            ("tenant_{app}", "tenant_acme", Some("acme")),
            ("tenant_{app}", "tenant_tenant_a", Some("tenant_a")),
            ("{app}_t", "a_t_t", Some("a_t")),
            ("{app}", "a.b-c", Some("a.b-c")),
            ("x{app}y", "xyy", Some("y")),
            ("{app}_{app}", "ab_ab", Some("ab")),
            ("{app}_{app}", "a_b_a_b", Some("a_b")),
            ("{app}{app}", "abab", Some("ab")),
            ("{app}_{app}", "ab_ba", None),
            ("{app}{app}", "aba", None),
            ("tenant_{app}", "tenant_", None),
            ("tenant_{app}", "tenant", None),
            ("tenant_{app}", "Tenant_acme", None),
            ("tenant_{app}", "tenant_coffer_x", None),
            ("tenant_{app}", "tenant_a b", None),
            ("tenant_{app}", "tenant_é", None),
            ("é{app}", "e_acme", None),
            ("tenant_{app}_x", "tenant_acme_y", None),
            ("tenant", "tenant", None),
        ] {
            let found = NamePattern::new(pattern).app(name);
            assert_eq!(found.as_ref().map(Name::as_str), app, "{pattern} {name}");
        }
    }
}
