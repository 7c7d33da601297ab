//! Commands that run before and after a backup of an app.

use std::fmt;
use std::time::Duration;

use super::pattern::PLACE;
use super::units::parse_duration;
use crate::name::Name;
use crate::{Error, Result};

const TIMEOUT: Duration = Duration::from_secs(60);

/// What runs around a backup; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    /// Runs first: what fails here fails the backup.
    pub before: Option<HookCommand>,
    /// Runs last, whether the backup is good or not.
    pub after: Option<HookCommand>,
}

/// A program and its arguments, in which `{app}` stands for the app's name.
#[derive(Debug, Clone)]
pub struct HookCommand {
    words: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}

impl Hooks {
    pub(super) fn new(before: Option<Vec<String>>, after: Option<Vec<String>>, timeout: Option<&str>) -> Result<Self> {
        let timeout = timeout.map_or(Ok(TIMEOUT), parse_duration)?;
        let command = |key: &str, words: Option<Vec<String>>| match words {
            Some(words) if words.first().is_none_or(String::is_empty) => {
                Err(Error::Usage(format!("{key} names no program: write it as [\"/path/of/program\", \"argument\"]")))
            }
            Some(words) if words.first().is_some_and(|program| !program.starts_with('/')) => {
                Err(Error::Usage(format!("{key} must name its program by its whole path, from / on")))
            }
            words => Ok(words.map(|words| HookCommand { words, timeout })),
        };
        Ok(Self { before: command("before", before)?, after: command("after", after)? })
    }
}

/// As it is set, with its time limit.
impl fmt::Display for HookCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (within {:?})", self.words.join(" "), self.timeout)
    }
}

impl HookCommand {
    /// The program's name.
    #[must_use]
    pub fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The program and its arguments for one app.
    pub fn words(&self, app: &Name) -> impl Iterator<Item = String> {
        self.words.iter().map(|word| word.replace(PLACE, app.as_str()))
    }
}
