//! `coffer config check`.

use std::path::Path;

use clap::Args;
use coffer_crypto::Recipient;
use serde::Serialize;

use super::buckets::{Bucket, S3InForce, try_buckets, try_folders};
use super::report::Report;
use crate::Result;
use crate::catalog::Catalog;
use crate::config::{
    Config, DatabasePattern, HookCommand, ObjectsPattern, Schedule, Source, StatePlace, VaultKind, VaultPlace,
};

#[derive(Serialize)]
struct InForce {
    file: Option<String>,
    listen: String,
    memory: String,
    idle_timeout: String,
    keep_replaced: String,
    token_file: String,
    state: String,
    recipients: Vec<String>,
    identity_file: Option<String>,
    signing_key_file: Option<String>,
    signing_public_key: Option<String>,
    require_encryption: bool,
    trust: Vec<String>,
    vaults: Vec<VaultInForce>,
    schedules: Vec<ScheduleInForce>,
    sources: Vec<SourceInForce>,
    buckets: Vec<Bucket>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct SourceInForce {
    name: String,
    database: String,
    database_password: Option<String>,
    schema: Option<String>,
    import_database: Option<String>,
    import_database_password: Option<String>,
    objects: Option<String>,
    recipients: Vec<String>,
    before: Option<String>,
    after: Option<String>,
    s3: Option<S3InForce>,
}

#[derive(Serialize)]
struct VaultInForce {
    name: String,
    url: String,
    bandwidth: Option<String>,
    s3: Option<S3InForce>,
}

impl VaultInForce {
    fn of(vault: &VaultPlace) -> Self {
        let bandwidth = vault.bandwidth.map(|most| most.to_string());
        Self { name: vault.name.to_string(), url: vault.url(), bandwidth, s3: S3InForce::of_vault(&vault.kind) }
    }
}

#[derive(Serialize)]
struct ScheduleInForce {
    name: String,
    apps: Vec<String>,
    cron: Option<String>,
    keep: Option<String>,
}

impl ScheduleInForce {
    fn of(schedule: &Schedule) -> Self {
        let keep = schedule.keep.as_ref().map(ToString::to_string);
        Self { name: schedule.name.to_string(), apps: schedule.apps().collect(), cron: schedule.cron.clone(), keep }
    }
}

impl SourceInForce {
    fn of(source: &Source) -> Self {
        let in_force = Self {
            name: source.name.to_string(),
            database: String::new(),
            database_password: None,
            schema: None,
            import_database: None,
            import_database_password: None,
            objects: source.objects.as_ref().map(ObjectsPattern::url),
            s3: source.objects.as_ref().and_then(S3InForce::of),
            recipients: texts(&source.recipients),
            before: source.hooks.before.as_ref().map(ToString::to_string),
            after: source.hooks.after.as_ref().map(ToString::to_string),
        };
        match &source.database {
            DatabasePattern::Sqlite(path) => Self { database: format!("sqlite:{}", path.as_str()), ..in_force },
            DatabasePattern::Postgres(pattern) => {
                let (database_password, import_database_password) = pattern.passwords();
                Self {
                    database: pattern.database().to_owned(),
                    database_password: Some(database_password),
                    schema: Some(pattern.schema().to_owned()),
                    import_database: pattern.import_database().map(str::to_owned),
                    import_database_password,
                    ..in_force
                }
            }
        }
    }
}

fn texts(recipients: &[Recipient]) -> Vec<String> {
    recipients.iter().map(ToString::to_string).collect()
}

/// Show what is in force, and try out what the buckets can do
///
/// Of a secret it tells where it is, and never what. The state is opened, and in each bucket of a source or vault two small objects are stored, listed, read and
/// deleted, where no app is: a server that lacks something is told of, and exit code 1 where one lacks what is needed.
#[derive(Args)]
pub(super) struct Check {
    /// Ask no server
    #[arg(long)]
    offline: bool,
}

impl Check {
    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let tried = if self.offline { Vec::new() } else { try_buckets(config).await? };
        let others = if self.offline { Ok(()) } else { try_others(config).await };
        let (buckets, failures): (Vec<_>, Vec<_>) = tried.into_iter().unzip();
        show(config, buckets, report)?;
        failures.into_iter().flatten().next().map_or(others, Err)
    }
}

/// The state, and the vaults that are folders. Nothing is made: neither is there before the first backup.
async fn try_others(config: &Config) -> Result<()> {
    try_folders(config)?;
    match &config.state {
        StatePlace::Sqlite(path) if !path.exists() => Ok(()),
        place => Catalog::open(place).await.map(drop),
    }
}

fn show(config: &Config, buckets: Vec<Bucket>, report: &Report) -> Result<()> {
    let keys = config.keys.load()?;
    let signing_key = config.keys.signing_key()?;
    let in_force = InForce {
        file: config.file.as_ref().map(|file| file.display().to_string()),
        listen: config.listen.clone(),
        memory: config.memory.to_string(),
        idle_timeout: format!("{:?}", config.idle_timeout),
        keep_replaced: format!("{:?}", config.keep_replaced),
        token_file: config.token_file.display().to_string(),
        recipients: texts(&keys.recipients),
        identity_file: config.keys.identity_file.as_ref().map(|file| file.display().to_string()),
        signing_key_file: config.keys.signing_key_file.as_ref().map(|file| file.display().to_string()),
        signing_public_key: signing_key.map(|key| key.public().to_string()),
        require_encryption: config.keys.require_encryption,
        trust: config.keys.trust.clone(),
        state: config.state.masked(),
        vaults: config.vaults.iter().map(VaultInForce::of).collect(),
        schedules: config.schedules.iter().map(ScheduleInForce::of).collect(),
        sources: config.sources.iter().map(SourceInForce::of).collect(),
        warnings: warnings(config, &keys, &buckets),
        buckets,
    };
    let text = toml::to_string(&in_force).unwrap_or_default();
    report.summary(text.trim_end(), &in_force)?;
    in_force.warnings.iter().for_each(|warning| report.note(&format!("warning: {warning}")));
    Ok(())
}

fn warnings(config: &Config, keys: &crate::config::Keys, buckets: &[Bucket]) -> Vec<String> {
    let mut warnings: Vec<_> = buckets.iter().flat_map(Bucket::warnings).collect();
    if let Some(file) = &config.keys.identity_file {
        let file_name = file.display();
        if !file.exists() {
            warnings.push(format!("{file_name} does not exist: archives can be written, and not opened here"));
        }
    }
    warnings.extend(config.one_holder());
    let due = config.schedules.iter().filter(|schedule| schedule.cron.is_some());
    warnings.extend(due.map(|schedule| {
        format!(
            "schedule {}: this version starts nothing by its cron: call `coffer backup` from cron or a CronJob",
            schedule.name
        )
    }));
    for schedule in &config.schedules {
        let apps = schedule.apps().filter(|apps| !config.sources.iter().any(|source| source.could_be_of(apps)));
        warnings.extend(apps.map(|apps| format!("schedule {}: {apps:?} means no source that there is", schedule.name)));
    }
    for vault in &config.vaults {
        if let VaultKind::Folder(path) = &vault.kind
            && !path.exists()
        {
            warnings.push(format!(
                "vault {}: there is no folder {}: the first backup makes it",
                vault.name,
                path.display()
            ));
        }
    }
    for source in &config.sources {
        let hooks = [&source.hooks.before, &source.hooks.after].into_iter().flatten();
        let missing = hooks.map(HookCommand::program).filter(|program| !Path::new(program).exists());
        warnings.extend(missing.map(|program| format!("source {}: there is no program {program}", source.name)));
    }
    if config.vaults.is_empty() {
        warnings.push("there is no [[vault]]: no backups can be kept".into());
    }
    for source in &config.sources {
        if let DatabasePattern::Postgres(pattern) = &source.database {
            warnings.extend(pattern.warnings().iter().map(|warning| format!("source {}: {warning}", source.name)));
        }
    }
    if keys.recipients.is_empty() {
        warnings.push("there is no recipient: each export must name one, or a passphrase".into());
    }
    if !config.token_file.exists() {
        let made = if config.is_default() { "`coffer serve` makes it" } else { "`coffer serve` needs it" };
        warnings.push(format!("{} does not exist: {made}", config.token_file.display()));
    }
    warnings
}
