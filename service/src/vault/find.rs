//! Finding a backup: by its id, the latest, or as of a time.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Vaults;
use crate::catalog::{Backup, BackupFilter, Place, State};
use crate::name::AppName;
use crate::pipeline::{ArchiveHead, ArchivePlace, Expected};
use crate::{Error, Result};

/// Which backup is meant.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// The one of this id, or whose id begins so.
    Id(String),
    /// The newest good one of an app.
    Latest(AppName),
    /// The newest good one of an app that is no younger than this.
    At(AppName, Timestamp),
}

/// A backup that was found.
pub struct Found {
    /// What is known of it.
    pub backup: Backup,
    /// The vault, and what stands there.
    pub place: Place,
    /// Where its archive is, to be read.
    pub archive: ArchivePlace,
    /// Which archive has to be there.
    pub expected: Expected,
}

/// A point in time as people write it: RFC 3339, or a day, which means its end in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointInTime(pub Timestamp);

impl FromStr for PointInTime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let end_of_day =
            |day: Date| day.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second().checked_sub(1);
        let day = text.parse::<Date>().ok().filter(|_| text.len() == "2026-11-21".len());
        let point = match day {
            Some(day) => end_of_day(day).and_then(|second| Timestamp::from_second(second).ok()),
            None => text.parse().ok(),
        };
        point.map(Self).ok_or_else(|| {
            Error::Usage(format!("{text:?} is no time: write it as 2026-11-21T03:00:00Z, or as a day, 2026-11-21"))
        })
    }
}

impl Vaults {
    /// The backup that is meant, where its archive is (in the first vault that has it), and which archive that has to be.
    ///
    /// # Errors
    /// [`Error::NotFound`] with what to do, also for an attempt that came to nothing; [`Error::Busy`] for one that is under way.
    pub async fn find(&self, wanted: &Wanted) -> Result<Found> {
        let backup = match wanted {
            Wanted::Id(text) => self.lookup(text).await?,
            // What a wrong clock has dated in the future is no latest one.
            Wanted::Latest(app) => self.newest(app, Timestamp::now()).await?,
            Wanted::At(app, time) => self.newest(app, *time).await?,
        };
        let id = &backup.record.id;
        match backup.state {
            State::Good => {}
            State::Deleting => return Err(Error::NotFound(format!("backup {id} is being deleted"))),
            State::Running => return Err(Error::Busy(format!("backup {id} is still being made: wait for it"))),
            State::Failed => {
                let why = backup.error.as_deref().unwrap_or("nobody knows why");
                return Err(Error::NotFound(format!("backup {id} failed, and there is no archive of it: {why}")));
            }
        }
        let expected = Expected { id: backup.record.id()?.archive(), app: backup.record.app()? };
        let mut failure = None;
        for vault in &self.inner.vaults {
            let Some(place) = backup.places.iter().find(|place| place.vault == vault.name()).cloned() else { continue };
            let archive = vault.archive(&place.path)?;
            match ArchiveHead::size_of(&archive).await {
                Ok(_) => return Ok(Found { backup, place, archive, expected }),
                Err(error) => {
                    tracing::warn!(backup = id, vault = vault.name(), %error, "a copy can't be had: another vault may have one");
                    failure.get_or_insert(error);
                }
            }
        }
        Err(failure.unwrap_or_else(|| {
            let vaults = backup.vaults.join(", ");
            Error::NotFound(format!("backup {id} is in no vault of the configuration, but in one named {vaults}"))
        }))
    }

    /// The backup of this id, or whose id begins so.
    ///
    /// # Errors
    /// Those of [`Catalog::backup`](crate::catalog::Catalog::backup).
    pub async fn lookup(&self, text: &str) -> Result<Backup> {
        let found = self.catalog().backup(text).await?;
        if matches!(found.state, State::Good | State::Failed) {
            return Ok(found);
        }
        // Whoever was at it may be gone.
        self.settle().await?;
        self.catalog().backup(&found.record.id).await
    }

    async fn newest(&self, app: &AppName, until: Timestamp) -> Result<Backup> {
        let filter = BackupFilter { until: Some(until), limit: 1, ..BackupFilter::good(app) };
        let found = self.catalog().backups(&filter).await?.into_iter().next();
        found.ok_or_else(|| {
            Error::NotFound(format!(
                "the catalogue has no good backup of {app} of {until:.0} or before: `coffer backups list` shows those there are, and `coffer \
                 backups rescan` takes up what stands in the vaults"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_meant_to_its_end() {
        let point = |text: &str| text.parse::<PointInTime>().unwrap().0.to_string();
        assert_eq!(point("2026-11-21"), "2026-11-21T23:59:59Z");
        assert_eq!(point("2026-11-21T03:00:00+01:00"), "2026-11-21T02:00:00Z");
        for wrong in ["", "yesterday", "2026-13-01", "2026-11-21T03:00:00"] {
            assert!(wrong.parse::<PointInTime>().is_err(), "{wrong}");
        }
    }
}
