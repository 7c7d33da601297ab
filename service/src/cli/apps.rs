//! `coffer apps`.

use serde::Serialize;

use super::report::Report;
use crate::Result;
use crate::config::Config;
use crate::name::AppName;

#[derive(Serialize)]
struct Listed {
    apps: Vec<String>,
}

/// Lists what the sources hold.
pub(super) fn run(config: &Config, report: &Report) -> Result<()> {
    let mut apps = Vec::new();
    for source in &config.sources {
        let named = |app| AppName { source: source.name.clone(), app }.to_string();
        apps.extend(source.apps()?.into_iter().map(named));
    }
    if apps.is_empty() {
        let places: Vec<_> = config.sources.iter().map(|source| source.database.as_str()).collect();
        report.status(&format!("no apps: nothing matches {}", places.join(", ")));
    }
    let text = apps.join("\n");
    if !text.is_empty() || report.is_json() {
        report.summary(&text, &Listed { apps })?;
    }
    Ok(())
}
