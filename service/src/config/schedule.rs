//! A schedule: which apps are backed up together, and which of their backups are kept.

use std::time::Duration;

use glob::Pattern;
use serde::Deserialize;

use super::units::parse_duration;
use crate::name::{AppName, Name};
use crate::vault::Keep;
use crate::{Error, Result};

/// `[[schedule]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleSection {
    name: String,
    apps: Vec<String>,
    cron: Option<String>,
    keep: Option<KeepSection>,
}

/// `keep` as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeepSection {
    last: Option<u32>,
    hourly: Option<u32>,
    daily: Option<u32>,
    weekly: Option<u32>,
    monthly: Option<u32>,
    yearly: Option<u32>,
    minimum_age: Option<String>,
}

/// Which apps, and what is kept of them.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Its name.
    pub name: Name,
    /// When it is due; nothing is started by it yet.
    pub cron: Option<String>,
    /// What is kept; none keeps everything.
    pub keep: Option<Keep>,
    apps: Vec<Pattern>,
}

impl Schedule {
    pub(super) fn new(section: ScheduleSection) -> Result<Self> {
        let ScheduleSection { name, apps, cron, keep } = section;
        let about = |error: Error| match error {
            Error::Usage(why) => Error::Usage(format!("[[schedule]] {name:?}: {why}")),
            other => other,
        };
        Ok(Self {
            apps: apps.iter().map(|text| app_pattern(text)).collect::<Result<_>>().map_err(about)?,
            keep: keep.map(KeepSection::keep).transpose().map_err(about)?,
            cron,
            name: name.parse().map_err(about)?,
        })
    }

    /// The patterns of its apps' names.
    pub fn apps(&self) -> impl Iterator<Item = String> {
        self.apps.iter().map(|pattern| pattern.as_str().to_owned())
    }

    /// Whether the app is one of its own.
    #[must_use]
    pub fn has(&self, app: &AppName) -> bool {
        let app = app.to_string();
        self.apps.iter().any(|pattern| pattern.matches(&app))
    }
}

/// Apps by their names, such as `crm/*`.
fn app_pattern(text: &str) -> Result<Pattern> {
    if !text.contains('/') {
        return Err(Error::Usage(format!("{text:?} names no apps: write them as SOURCE/APP, such as crm/*")));
    }
    Pattern::new(text).map_err(|error| Error::Usage(format!("{text:?} is no pattern: {error}")))
}

impl KeepSection {
    fn keep(self) -> Result<Keep> {
        let Self { last, hourly, daily, weekly, monthly, yearly, minimum_age } = self;
        let number = Option::unwrap_or_default;
        let keep = Keep {
            last: number(last),
            hourly: number(hourly),
            daily: number(daily),
            weekly: number(weekly),
            monthly: number(monthly),
            yearly: number(yearly),
            minimum_age: minimum_age.map(|text| parse_duration(&text)).transpose()?.unwrap_or(Duration::ZERO),
        };
        keep.check()?;
        Ok(keep)
    }
}
