//! `coffer apps`.

use serde::Serialize;

use super::report::Report;
use crate::Result;
use crate::config::{Config, Listing};

#[derive(Serialize)]
struct Listed {
    apps: Vec<String>,
    unlisted: Vec<String>,
}

/// Lists what the sources hold.
pub(super) async fn run(config: &Config, report: &Report) -> Result<()> {
    let Listing { apps, unlisted } = config.apps().await?;
    unlisted.iter().for_each(|why| report.status(why));
    if apps.is_empty() && unlisted.is_empty() {
        let places: Vec<_> = config.sources.iter().map(|source| source.database.masked()).collect();
        report.status(&format!("no apps: nothing matches {}", places.join(", ")));
    }
    let apps: Vec<_> = apps.iter().map(ToString::to_string).collect();
    let text = apps.join("\n");
    if !text.is_empty() || report.is_json() {
        report.summary(&text, &Listed { apps, unlisted })?;
    }
    Ok(())
}
