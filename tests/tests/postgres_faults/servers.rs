//! Servers that go half-way, that only follow, and whose disk is full.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use coffer_tests::postgres::{Db, Postgres};
use coffer_tests::{RawExchange, say, shell, tool};

use super::{
    LARGE, Running, SMALL, SOON, archive_of, ensure_comes_back, ensure_no_export, sent, source, wait_for_rows, with_app,
};

/// Ways for a server to go.
const ENDS: [&str; 3] = ["terminated", "killed", "stopped"];

fn end_server(db: &Db<'_>, how: &str) -> Result<()> {
    let ours =
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'coffer' AND datname = current_database() LIMIT 1";
    match how {
        "terminated" => ensure!(db.server().kill_backends(db.name())? > 0, "nobody was there"),
        "killed" => drop(shell("/".as_ref(), &format!("kill -9 {}", db.query(ours)?))?),
        _ => db.server().stop()?,
    }
    Ok(())
}

/// Makes sure that the server takes connections again.
fn begin_server(db: &Db<'_>, how: &str) -> Result<()> {
    if how == "stopped" {
        db.server().restart()?;
    }
    let started = Instant::now();
    while db.query("SELECT 1").is_err() {
        ensure!(started.elapsed() < Duration::from_secs(30), "it does not come back");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn a_server_that_goes_during_an_export_leaves_no_archive() -> Result<()> {
    let server = Postgres::start()?;
    let tenants = with_app(&server, "gone", LARGE)?;
    let service = tenants.serve()?;
    for how in ENDS {
        // To a pipe, which does not take back what it was given.
        let mut export = Running::export(&tenants)?;
        let mut archive = export.read(1 << 20)?;
        end_server(&tenants.db, how)?;
        let outcome = export.end()?;
        outcome.ends_with(1, &["events"]).context(how)?;
        archive.extend_from_slice(&outcome.stdout);
        std::fs::write(tenants.coffer.path("cut.tar.gz"), &archive)?;
        begin_server(&tenants.db, how)?;
        ensure!(archive.len() > 1 << 20 && archive.len() < 98 << 20, "it had {} bytes", archive.len());
        tenants.coffer.run(["verify", "cut.tar.gz"])?.ends_with(13, &[]).context(how)?;
        tenants.restore("cut.tar.gz", "two", &[])?.ends_with(13, &[]).context(how)?;
        ensure!(tenants.things_in("tenant_two")? == 0, "half an archive was restored");

        // Over HTTP.
        let request = r#"{"encryption":"none","compression":"none"}"#;
        let mut client = RawExchange::post(&service, "/v1/apps/crm/one/export", request.len() as u64)?;
        client.send(request.as_bytes())?;
        let id = client.read_and_stop(1 << 20)?;
        end_server(&tenants.db, how)?;
        let drained = std::thread::spawn(move || client.drain());
        let transfer = service.transfer_ended(&id, SOON)?;
        ensure!(transfer["state"] == "failed", "{how}: {transfer}");
        ensure!(
            transfer["error"]["type"].as_str().is_some_and(|kind| kind.ends_with("unreachable")),
            "{how}: {transfer}"
        );
        drop(drained.join());
        begin_server(&tenants.db, how)?;
    }
    // Before its first word.
    server.stop()?;
    ensure_no_export(&tenants, &[], &["can't be reached"])?;
    let answer = service.call("/v1/apps/crm/one/export", &["-X", "POST", "-d", "{\"encryption\":\"none\"}"])?;
    answer.ensure_problem(503, &["can't be reached"])?;
    ensure!(!answer.header("retry-after").is_empty(), "{answer:?}");
    service.call("/v1/apps", &[])?.ensure_problem(503, &["can't be reached"])?;
    server.restart()?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    ensure_comes_back(&tenants, "events")
}

#[test]
fn a_server_that_goes_once_the_rows_are_read_is_told_or_not_needed() -> Result<()> {
    let server = Postgres::start()?;
    let tenants = with_app(&server, "behind", SMALL)?;
    tenants.configure(&format!("{}\nobjects = \"file:objects/{{app}}\"", source(&tenants.db.superuser_url())))?;
    coffer_tests::large_files(&tenants.coffer.path("objects/one"), 96)?;
    let mut export = Running::export(&tenants)?;
    let mut archive = export.read(8 << 20)?;
    server.stop()?;
    let outcome = export.end()?;
    archive.extend_from_slice(&outcome.stdout);
    std::fs::write(tenants.coffer.path("x.tar.gz"), &archive)?;
    server.restart()?;
    say(format!("a server that goes behind the rows: exit code {}", outcome.code));
    let verified = tenants.coffer.run(["verify", "x.tar.gz"])?;
    ensure!((verified.code == 0) == (outcome.code == 0), "{outcome:?} {verified:?}");
    if outcome.code == 0 {
        ensure_comes_back(&tenants, "notes")?;
    }
    Ok(())
}

#[test]
fn a_server_that_goes_during_an_import_leaves_nothing() -> Result<()> {
    let server = Postgres::start()?;
    let tenants = with_app(&server, "gone_in", LARGE)?;
    let archive = archive_of(&tenants)?;
    let service = tenants.serve()?;
    for how in ENDS {
        for (at, bytes) in [("among the rows", archive.len() / 2), ("before the commit", archive.len() - 64)] {
            let mut client = sent(&service, &archive, bytes)?;
            if at == "among the rows" {
                wait_for_rows(&tenants)?;
            } else {
                // All has been built, and only the word that the archive is whole is missing.
                tenants.wait_for(
                    "SELECT count(*) FROM pg_stat_activity a WHERE application_name = 'coffer' AND datname = current_database() \
                     AND state = 'idle in transaction' AND query NOT LIKE 'COPY%' AND clock_timestamp() - state_change > '300 ms'",
                    "1",
                )?;
            }
            end_server(&tenants.db, how)?;
            client.send(&archive[bytes..]).ok();
            let (status, _) = client.read_head().with_context(|| format!("{how} {at}"))?;
            ensure!(status == 503, "{how} {at}: status {status}");
            begin_server(&tenants.db, how)?;
            tenants.wait_until_gone()?;
            ensure!(tenants.things_in("tenant_two")? == 0, "{how} {at}: something is left");
            ensure!(
                tenants.db.query("SELECT to_regnamespace('tenant_two') IS NULL")? == "t",
                "{how} {at}: the schema is left"
            );
        }
    }
    ensure_comes_back(&tenants, "events")
}

#[test]
fn a_server_that_goes_while_an_archives_views_are_filled_leaves_nothing() -> Result<()> {
    let server = Postgres::start()?;
    let tenants = with_app(&server, "gone_late", SMALL)?;
    let slow = "CREATE MATERIALIZED VIEW tenant_one.slow AS SELECT pg_sleep(1)::text AS slept";
    tenants.db.psql(slow)?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    for how in ENDS {
        let outcome = std::thread::scope(|scope| {
            let import = scope.spawn(|| tenants.restore("x.tar.gz", "two", &["--allow-code"]));
            tenants.wait_for(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'REFRESH%' AND application_name = 'coffer'",
                "1",
            )?;
            end_server(&tenants.db, how)?;
            import.join().map_err(|_| anyhow!("panicked"))?
        })?;
        outcome.ends_with(1, &["REFRESH MATERIALIZED VIEW"]).context(how)?;
        begin_server(&tenants.db, how)?;
        ensure!(tenants.things_in("tenant_two")? == 0, "{how}: something is left");
    }
    tenants.restore("x.tar.gz", "two", &["--allow-code"])?.ends_with(0, &[])
}

#[test]
fn a_standby_is_as_good_but_for_what_it_does_not_have() -> Result<()> {
    let primary = Postgres::start()?;
    let tenants = with_app(&primary, "stand", SMALL)?;
    let standby = primary.standby()?;
    standby.wait_for_replay(&primary)?;
    let primary_url = tenants.db.superuser_url();
    tenants.configure(&source(&standby.superuser_url(tenants.db.name())))?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    ensure!(String::from_utf8(tenants.coffer.run_well(["apps"])?)?.contains("crm/one"), "it is not listed");
    tenants.restore("x.tar.gz", "two", &[])?.ends_with(1, &["standby"])?;
    tenants.configure(&source(&primary_url))?;
    ensure_comes_back(&tenants, "notes")?;
    tenants.db.psql("CREATE UNLOGGED TABLE tenant_one.fleeting AS SELECT 1 AS id")?;
    standby.wait_for_replay(&primary)?;
    tenants.export("one", "y.tar.gz", &[])?.ends_with(0, &[])?;
    std::fs::remove_file(tenants.coffer.path("x.tar.gz"))?;
    tenants.configure(&source(&standby.superuser_url(tenants.db.name())))?;
    ensure_no_export(&tenants, &[], &["fleeting"])
}

/// A disk of 48 MiB that a server keeps databases on, unmounted when dropped.
struct SmallDisk(std::path::PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        tool("umount", ["-l".as_ref(), self.0.as_os_str()]).ok();
    }
}

#[test]
fn a_full_disk_of_the_server_is_told_and_leaves_nothing() -> Result<()> {
    let server = Postgres::start()?;
    let folder = server.folder().join("small");
    std::fs::create_dir(&folder)?;
    if tool(
        "mount",
        ["-t", "tmpfs", "-o", "size=48m,mode=0777", "coffer-tests"]
            .map(AsRef::as_ref)
            .into_iter()
            .chain([folder.as_os_str()]),
    )
    .is_err()
    {
        say("SKIPPED: a full disk needs the right to mount a tmpfs");
        return Ok(());
    }
    let disk = SmallDisk(folder.clone());
    shell(&folder, "mkdir space; chmod 700 space; chown --reference=../data space")?;
    let tenants = with_app(&server, "full", LARGE)?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    server.psql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", folder.join("space").display()))?;
    server.psql("postgres", "CREATE DATABASE small TEMPLATE template0 TABLESPACE small")?;
    tenants.configure(&source(&server.superuser_url("small")))?;
    tenants.restore("x.tar.gz", "two", &[])?.ends_with(1, &["space"])?;
    let service = tenants.serve()?;
    let path = tenants.coffer.path("x.tar.gz");
    let arguments = ["-X", "POST", "-T", path.to_str().context("not UTF-8")?];
    service.call("/v1/apps/crm/two/import", &arguments)?.ensure_problem(507, &["space"])?;
    ensure!(server.query("small", "SELECT to_regnamespace('tenant_two') IS NULL")? == "t", "something is left");
    server.stop()?;
    drop(disk);
    Ok(())
}
