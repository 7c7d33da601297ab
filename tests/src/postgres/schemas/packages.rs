//! Applications' schemas, by the scripts that their packages install them with.

use std::path::Path;

use anyhow::{Context, Result};

use super::fetch::{debian, npm, pypi};
use super::{create_schema, run};
use crate::postgres::{Db, identifier, literal, path};
use crate::tool;

/// Network monitoring: 173 tables, 226 foreign keys, functions and triggers, 130,000 rows.
pub(super) fn zabbix(db: &Db<'_>, schema: &str) -> Result<()> {
    let scripts = debian("zabbix-server-pgsql")?.join("usr/share/zabbix-server-pgsql");
    create_schema(db, schema)?;
    for script in ["schema.sql.gz", "images.sql.gz", "data.sql.gz"] {
        let sql = tool("gzip", ["-cd", path(&scripts.join(script))])?;
        run(db, schema, &String::from_utf8(sql)?).context(script)?;
    }
    Ok(())
}

/// A DHCP server: PL/pgSQL functions and triggers.
pub(super) fn kea(db: &Db<'_>, schema: &str) -> Result<()> {
    create_schema(db, schema)?;
    run_file(db, schema, &debian("kea-admin")?.join("usr/share/kea/scripts/pgsql/dhcpdb_create.pgsql"))
}

/// Monitoring: domains with checks, enums.
pub(super) fn icingadb(db: &Db<'_>, schema: &str) -> Result<()> {
    create_schema(db, schema)?;
    run_file(db, schema, &debian("icingadb")?.join("usr/share/icingadb/schema/pgsql/schema.sql"))
}

/// A task queue: enums, composite types, PL/pgSQL triggers.
pub(super) fn procrastinate(db: &Db<'_>, schema: &str) -> Result<()> {
    create_schema(db, schema)?;
    run_file(db, schema, &pypi("procrastinate", "3.10.0")?.join("procrastinate/sql/schema.sql"))
}

/// A job queue: generated and identity columns, row-level security, a composite type.
pub(super) fn graphile_worker(db: &Db<'_>, schema: &str) -> Result<()> {
    create_schema(db, schema)?;
    let folder = npm("graphile-worker", "0.18.0")?.join("sql");
    let entries = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut migrations = entries.collect::<Result<Vec<_>>>()?;
    migrations.sort();
    for migration in migrations {
        // As its own migrations do it.
        let sql = std::fs::read_to_string(&migration)?.replace(":GRAPHILE_WORKER_SCHEMA", &identifier(schema));
        run(db, schema, &format!("BEGIN; {sql}\n; COMMIT")).with_context(|| migration.display().to_string())?;
    }
    let job = format!("{}.add_job('task', '{{\"a\": 1}}'::json)", identifier(schema));
    run(db, schema, &format!("SELECT {job}; SELECT {job}"))
}

/// A job queue: tables partitioned by list, functions that make further partitions.
pub(super) fn pg_boss(db: &Db<'_>, schema: &str) -> Result<()> {
    create_schema(db, schema)?;
    let package = npm("pg-boss", "12.38.0")?;
    let (plans, about) = (package.join("dist/plans.js"), package.join("package.json"));
    let create = format!("plans.create({}, require({}).pgboss.schema)", js(&identifier(schema)), js(path(&about)));
    let script = format!("import({}).then(plans => console.log({create}))", js(path(&plans)));
    run(db, schema, &String::from_utf8(tool("node", ["-e", &script])?)?)?;
    for (queue, partition) in [("one", "true"), ("two", "true"), ("three", "false")] {
        let (name, options) =
            (literal(queue), literal(&format!(r#"{{"policy": "standard", "partition": {partition}}}"#)));
        run(db, schema, &format!("SELECT create_queue({name}, {options}::jsonb)"))?;
        run(
            db,
            schema,
            &format!("INSERT INTO job (name, data) SELECT {name}, to_jsonb(n) FROM generate_series(1, 9) n"),
        )?;
    }
    Ok(())
}

fn run_file(db: &Db<'_>, schema: &str, file: &Path) -> Result<()> {
    let sql = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    run(db, schema, &sql).with_context(|| file.display().to_string())
}

fn js(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
