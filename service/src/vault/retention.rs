//! Retention: which backups of an app are kept, and why.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::{Error, Result};

/// How many backups are kept by each rule. A backup is kept where one rule keeps it.
///
/// `last` keeps the newest ones. The others cut time into hours, days, weeks (ISO 8601, from Monday), months and years of UTC, and keep
/// the newest backup of each of so many of them, counted back from the newest, in which there is a backup at all: a gap in the
/// backups makes nothing go. What is younger than `minimum_age` stays in any case, and so does the newest of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest.
    pub last: u32,
    /// One for each of so many hours.
    pub hourly: u32,
    /// One for each of so many days.
    pub daily: u32,
    /// One for each of so many weeks.
    pub weekly: u32,
    /// One for each of so many months.
    pub monthly: u32,
    /// One for each of so many years.
    pub yearly: u32,
    /// Nothing younger goes.
    pub minimum_age: Duration,
}

/// What becomes of one backup.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict<T> {
    /// The backup.
    pub backup: T,
    /// Why it is kept; nothing where it goes.
    pub kept_by: Vec<String>,
}

type Period = fn(DateTime) -> String;

impl Keep {
    /// Refuses rules that keep nothing, which nobody means.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check(&self) -> Result<()> {
        let keeps = self.all().any(|(_, count)| count > 0);
        match keeps {
            true => Ok(()),
            false => Err(Error::Usage(
                "keep says of nothing that it stays: name last, hourly, daily, weekly, monthly or yearly".into(),
            )),
        }
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, u32)> {
        [("last", self.last)].into_iter().chain(self.counts().map(|(rule, count, _)| (rule, count)))
    }

    fn counts(&self) -> [(&'static str, u32, Period); 5] {
        [
            ("hourly", self.hourly, |at| format!("{}T{:02}", at.date(), at.hour())),
            ("daily", self.daily, |at| at.date().to_string()),
            ("weekly", self.weekly, |at| {
                let week = at.date().iso_week_date();
                format!("{}-W{:02}", week.year(), week.week())
            }),
            ("monthly", self.monthly, |at| format!("{}-{:02}", at.year(), at.month())),
            ("yearly", self.yearly, |at| at.year().to_string()),
        ]
    }

    /// Why each of `times`, which come newest first, is kept.
    fn reasons(&self, times: &[Timestamp], now: Timestamp) -> Vec<Vec<String>> {
        let mut reasons: Vec<Vec<String>> = vec![Vec::new(); times.len()];
        for (number, reasons) in (1..=self.last).zip(&mut reasons) {
            reasons.push(format!("last {number} of {}", self.last));
        }
        for (rule, count, period) in self.counts() {
            let (mut left, mut before) = (count, None);
            for (time, reasons) in times.iter().zip(&mut reasons) {
                let period = period(time.to_zoned(TimeZone::UTC).datetime());
                if left > 0 && before.as_ref() != Some(&period) {
                    left -= 1;
                    reasons.push(format!("{rule} {period}"));
                }
                before = Some(period);
            }
        }
        for (time, reasons) in times.iter().zip(&mut reasons) {
            if now.duration_since(*time).unsigned_abs() < self.minimum_age {
                reasons.push("younger than minimum_age".into());
            }
        }
        reasons
    }
}

/// As it is written: `last 7, daily 14`.
impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<_> =
            self.all().filter(|(_, count)| *count > 0).map(|(rule, count)| format!("{rule} {count}")).collect();
        f.write_str(&rules.join(", "))?;
        match self.minimum_age {
            Duration::ZERO => Ok(()),
            age => write!(f, ", minimum age {age:?}"),
        }
    }
}

/// Judges the good backups of one app, each with the time of its state; gives them newest first. Every one of `keeps` is heard; where
/// there is none, all are kept. What is of the future, by a clock that was wrong, is kept and takes no other's place.
pub fn judge<T>(backups: Vec<(Timestamp, T)>, keeps: &[&Keep], now: Timestamp) -> Vec<Verdict<T>> {
    let (mut future, mut backups): (Vec<_>, Vec<_>) = backups.into_iter().partition(|(time, _)| *time > now);
    future.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let kept_by = || vec!["its time lies in the future: look at the clocks".to_owned()];
    let future = future.into_iter().map(|(_, backup)| Verdict { backup, kept_by: kept_by() });
    backups.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let times: Vec<_> = backups.iter().map(|(time, _)| *time).collect();
    let mut reasons: Vec<Vec<String>> = vec![Vec::new(); times.len()];
    for keep in keeps {
        for (all, more) in reasons.iter_mut().zip(keep.reasons(&times, now)) {
            all.extend(more.into_iter().filter(|reason| !all.contains(reason)).collect::<Vec<_>>());
        }
    }
    if keeps.is_empty() {
        reasons.iter_mut().for_each(|reasons| reasons.push("no rule is for this app".into()));
    } else if let Some(newest) = reasons.first_mut().filter(|reasons| reasons.is_empty()) {
        newest.push("the last good one".into());
    }
    let judged = backups.into_iter().zip(reasons);
    future.chain(judged.map(|((_, backup), kept_by)| Verdict { backup, kept_by })).collect()
}

#[cfg(test)]
mod tests;
