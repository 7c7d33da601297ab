//! The catalogue in PostgreSQL, which several processes share, and a catalogue of a later version.

use anyhow::{Context, Result, ensure};
use coffer_tests::postgres::Postgres;
use coffer_tests::vault::{STATE, Settings, VAULT, archives, ask, attempts, back_up, leftovers, listed, text};
use coffer_tests::{Coffer, assert_same_app, tool};

const COFFER: &str = env!("CARGO_BIN_EXE_coffer");

/// A service with its state in PostgreSQL, under a login whose password stands in a file.
fn with_postgres(server: &Postgres, login: &str) -> Result<(Coffer, String)> {
    let database = server.fresh_database("state")?;
    server.create_login(login)?;
    server.psql(database.name(), &format!("GRANT ALL ON SCHEMA public TO {login}"))?;
    let coffer = Coffer::new(COFFER)?.with_variable("COFFER_STATE_PASSWORD_FILE", "state.password");
    std::fs::write(coffer.path("state.password"), format!("{login}\n"))?;
    let state = format!("postgres://{login}@127.0.0.1:{}/{}", server.port(), database.name());
    Settings { state: &state, ..Settings::default() }.write(&coffer)?;
    coffer.run_well(["keygen", "-o", "coffer-data/coffer.key"])?;
    std::fs::write(coffer.path("coffer-data/token"), "0123456789abcdef0123456789abcdef")?;
    Ok((coffer, database.name().to_owned()))
}

#[test]
fn everything_works_with_the_state_in_postgresql() -> Result<()> {
    let server = Postgres::shared()?;
    let (coffer, database) = with_postgres(server, "state_one")?;
    coffer.app("one").fill_small()?;
    let id = back_up(&coffer, "local/one")?;
    ask(&coffer, 10, &["backup", "local/none"]).ok();
    let before = listed(&coffer)?;
    ensure!(before.len() == 1 && attempts(&coffer, "failed")?.len() <= 1, "{before:?}");
    coffer.run_well(["restore", &id, "--into", "local/two"])?;
    assert_same_app(&coffer.app("one"), &coffer.app("two"))?;
    // What it knows comes back from the vault.
    server
        .psql(&database, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO state_one")?;
    ensure!(listed(&coffer)?.is_empty());
    ask(&coffer, 0, &["backups", "rescan"])?;
    ensure!(listed(&coffer)? == before);
    back_up(&coffer, "local/one")?;
    let pruned = ask(&coffer, 0, &["backups", "prune", "--keep-last", "1"])?;
    ensure!(pruned.pointer("/gone/0/id").and_then(|gone| gone.as_str()) == Some(&id), "{pruned}");
    let service = coffer.serve()?;
    let token = "Authorization: Bearer 0123456789abcdef0123456789abcdef";
    let job = service.call("/v1/apps/local/one/backups", &["-X", "POST", "-H", token])?;
    ensure!(job.status == 202, "{job:?}");
    let path = format!("/v1/jobs/{}", text(&job.json()?, "id")?);
    for _ in 0..200 {
        let job = service.call(&path, &["-H", token])?.json()?;
        match text(&job, "state")? {
            "done" => return Ok(()),
            "queued" | "running" => std::thread::sleep(std::time::Duration::from_millis(50)),
            _ => anyhow::bail!("{job}"),
        }
    }
    anyhow::bail!("the job does not end")
}

/// Each clears up behind the dead before it begins, and nothing of the living.
#[test]
fn processes_that_share_a_state_do_not_disturb_each_other() -> Result<()> {
    let (coffer, _) = with_postgres(Postgres::shared()?, "state_two")?;
    for app in 0..6 {
        coffer.app(&format!("app{app}")).fill_large(4)?;
    }
    let mut runs = Vec::new();
    for app in 0..6 {
        runs.push(coffer.command().args(["backup", &format!("local/app{app}"), "local/app0"]).spawn()?);
    }
    for run in &mut runs {
        ensure!(run.wait()?.success());
    }
    ensure!(listed(&coffer)?.len() == 11 && archives(&coffer.path(VAULT))?.len() == 11, "{:?}", listed(&coffer)?);
    ensure!(leftovers(&coffer.path(VAULT))?.is_empty() && attempts(&coffer, "failed")?.is_empty());
    Ok(())
}

#[test]
fn a_state_that_can_not_be_used_is_named_and_its_password_is_not() -> Result<()> {
    let (coffer, _) = with_postgres(Postgres::shared()?, "state_three")?;
    coffer.app("one").fill_small()?;
    let wrong = coffer.command().env("COFFER_STATE_PASSWORD_FILE", "wrong").args(["backups", "list"]).output()?;
    std::fs::write(coffer.path("wrong"), "geheim")?;
    let refused = coffer.command().env("COFFER_STATE_PASSWORD_FILE", "wrong").args(["backups", "list"]).output()?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&wrong.stderr);
    ensure!(refused.status.code() == Some(1) && said.contains("state") && !said.contains("geheim"), "{said}");
    Ok(())
}

#[test]
fn a_state_of_a_later_version_is_left_alone() -> Result<()> {
    let coffer = Coffer::new(COFFER)?;
    coffer.make_identity()?;
    coffer.app("one").fill_small()?;
    back_up(&coffer, "local/one")?;
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'x', 1, x'00', 0)";
    let state = coffer.path(STATE);
    tool("sqlite3", [state.to_str().context("no UTF-8")?, later])?;
    coffer.run(["backups", "list"])?.ends_with(1, &["state.db", "later version"])?;
    coffer.run(["backup", "local/one"])?.ends_with(1, &["later version"])
}
