//! Jobs and downloads over REST, told as they were: while they wait, when they are cancelled, and when the service goes away under them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_tests::vault::{
    Settings, VAULT, archives, attempts, back_up, ensure_only_good, field, leftovers, listed, text,
};
use coffer_tests::{Coffer, Random, Service, assert_same_app, shell};
use serde_json::Value;

/// How long a small job may take on a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// How many jobs run at once.
const AT_ONCE: usize = 4;
const LOST: &str = "ask for it again";

/// A configuration whose vault takes at most so much a second, and a small app `local/a`.
fn with_bandwidth(bandwidth: &str) -> Result<Coffer> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    let vault = format!("[[vault]]\nname = \"main\"\nurl = \"file:{VAULT}\"\nbandwidth = \"{bandwidth}\"\n");
    Settings { vaults: &[], more: &vault, ..Settings::default() }.write(&coffer)?;
    coffer.run_well(["keygen", "-o", "coffer-data/coffer.key"])?;
    std::fs::write(coffer.path("coffer-data/token"), "0123456789abcdef0123456789abcdef")?;
    coffer.app("a").fill_small()?;
    Ok(coffer)
}

/// An app whose archive has some `kibibytes`.
fn make_app(coffer: &Coffer, name: &str, kibibytes: usize) -> Result<()> {
    coffer.app(name).sqlite(&["CREATE TABLE t(x); INSERT INTO t VALUES (1)"])?;
    coffer.app(name).put("large.bin", &Random::new(5).bytes(kibibytes << 10))
}

/// Asks for a job.
fn begin(service: &Service, path: &str, arguments: &[&str]) -> Result<Value> {
    let answer = service.call(path, &[["-X", "POST"].as_slice(), arguments].concat())?;
    ensure!(answer.status == 202, "{answer:?}");
    answer.json()
}

fn begin_backup(service: &Service, app: &str) -> Result<Value> {
    begin(service, &format!("/v1/apps/local/{app}/backups"), &[])
}

/// How a job stands now.
fn now(service: &Service, job: &Value) -> Result<Value> {
    let answer = service.call(&format!("/v1/jobs/{}", text(job, "id")?), &[])?;
    ensure!(answer.status == 200, "{answer:?}");
    answer.json()
}

/// Waits until a job stands so, and checks that it never stands in any of the ways to end that are not that.
fn wait_for(service: &Service, job: &Value, state: &str) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let job = now(service, job)?;
        if field(&job, "state") == state {
            return Ok(job);
        }
        ensure!(field(&job, "finished").is_null() && begun.elapsed() < SOON, "{state} was due: {job}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// As many jobs as run at once, each at work on a large app, and two that wait.
fn busy(coffer: &Coffer, service: &Service) -> Result<(Vec<Value>, Vec<Value>)> {
    let ask = |n: usize| -> Result<Value> {
        let app = format!("large{n}");
        make_app(coffer, &app, 4 << 10)?;
        begin_backup(service, &app)
    };
    let running = (0..AT_ONCE).map(ask).collect::<Result<Vec<_>>>()?;
    let begun = Instant::now();
    while leftovers(&coffer.path(VAULT))?.len() < AT_ONCE {
        ensure!(begun.elapsed() < SOON, "they do not begin to write: {running:?}");
    }
    let waiting = (AT_ONCE..AT_ONCE + 2).map(ask).collect::<Result<Vec<_>>>()?;
    for job in &waiting {
        ensure!(field(&now(service, job)?, "state") == "queued", "it does not wait: {job}");
    }
    Ok((running, waiting))
}

fn ensure_vault_is_empty(coffer: &Coffer) -> Result<()> {
    let left = shell(coffer.folder(), &format!("find {VAULT} -mindepth 2 -type f"))?;
    ensure!(left.is_empty(), "something is left in the vault:\n{left}");
    ensure!(listed(coffer)?.is_empty(), "{:?}", listed(coffer)?);
    Ok(())
}

#[test]
fn a_key_is_for_one_request() -> Result<()> {
    let coffer = with_bandwidth("1GiB")?;
    let (first, second) = (back_up(&coffer, "local/a")?, back_up(&coffer, "local/a")?);
    let service = coffer.serve()?;
    let path = |id: &str| format!("/v1/backups/{id}/restore");
    let key = ["-H", "Idempotency-Key: k", "--json", r#"{"into":"local/x"}"#];
    let job = begin(&service, &path(&first), &key)?;
    let reused = service.call(&path(&second), &[["-X", "POST"].as_slice(), &key].concat())?;
    reused.ensure_problem(422, &["Idempotency-Key"])?;
    ensure!(reused.json()?["type"] == "urn:coffer:problem:key-reused", "{reused:?}");
    // The same request is the same job, also once it is done.
    wait_for(&service, &job, "done")?;
    ensure!(begin(&service, &path(&first), &key)?["id"] == job["id"], "the same request gave another job");
    let jobs = service.call("/v1/jobs", &[])?.json()?;
    ensure!(jobs["jobs"].as_array().is_some_and(|jobs| jobs.len() == 1), "{jobs}");
    // Under a key of its own the other one comes back as well.
    let key = ["-H", "Idempotency-Key: l", "--json", r#"{"into":"local/y"}"#];
    wait_for(&service, &begin(&service, &path(&second), &key)?, "done")?;
    assert_same_app(&coffer.app("a"), &coffer.app("x"))?;
    assert_same_app(&coffer.app("a"), &coffer.app("y"))
}

#[test]
fn a_download_is_told_of_as_it_went() -> Result<()> {
    let coffer = with_bandwidth("1GiB")?;
    // More than the system keeps on its way between two programs.
    make_app(&coffer, "large", 24 << 10)?;
    let id = back_up(&coffer, "local/large")?;
    let length = archives(&coffer.path(VAULT))?.get(&id).context("no archive")?.metadata()?.len();
    let service = coffer.serve()?;
    let path = format!("/v1/backups/{id}/archive");
    let fetch = |arguments: &[&str]| service.call(&path, &[["-o", "/dev/null"].as_slice(), arguments].concat());
    let whole = fetch(&[])?;
    let etag = whole.header("etag").to_owned();
    for (arguments, status, bytes) in [
        (&["-X", "GET"][..], 200, length),
        (&["-r", "100-199"][..], 206, 100),
        (&["-r", "100-"][..], 206, length - 100),
        (&["-r", "-10"][..], 206, 10),
        (&["-H", "If-None-Match: \"another\""][..], 200, length),
    ] {
        let answer = fetch(arguments)?;
        ensure!(answer.status == status && answer.header("content-length") == bytes.to_string(), "{answer:?}");
        let transfer = service.transfer_ended(answer.header("coffer-transfer"), SOON)?;
        ensure!(transfer["state"] == "done" && transfer["error"].is_null(), "{arguments:?}: {transfer}");
        ensure!(transfer["bytes"] == bytes, "{arguments:?}: {transfer}");
    }
    let head = fetch(&["-I"])?;
    for name in ["etag", "content-length", "content-type", "accept-ranges"] {
        ensure!(head.status == 200 && head.header(name) == whole.header(name), "{name}: {head:?} and {whole:?}");
    }
    // Nothing is under way for it, whether it is a transfer or not.
    let of_head = service.call(&format!("/v1/transfers/{}", head.header("coffer-transfer")), &[])?;
    ensure!(of_head.status == 404 || of_head.json()?["state"] == "done", "{of_head:?}");
    for known in [etag.clone(), "*".to_owned(), format!("\"another\", {etag}")] {
        let answer = service.call(&path, &["-H", &format!("If-None-Match: {known}")])?;
        ensure!(answer.status == 304 && answer.body.is_empty() && answer.header("etag") == etag, "{known}: {answer:?}");
    }
    let beyond = service.call(&path, &["-r", &format!("{length}-")])?;
    beyond.ensure_problem(416, &[&length.to_string()])?;
    ensure!(beyond.header("content-range") == format!("bytes */{length}"), "{beyond:?}");
    // One that its client left is not told of as done.
    let heads = coffer.path("heads");
    let mut leaving = service.curl(&path);
    leaving.args(["--limit-rate", "50k", "--max-time", "1", "-o", "/dev/null", "-D"]).arg(&heads);
    ensure!(!leaving.output()?.status.success(), "it had all of it within a second");
    let heads = std::fs::read_to_string(heads)?;
    let left = heads.lines().find_map(|line| line.strip_prefix("coffer-transfer:")).context("no transfer")?;
    let transfer = service.transfer_ended(left.trim(), SOON)?;
    ensure!(transfer["state"] == "failed" && transfer["bytes"].as_u64() < Some(length), "{transfer}");
    Ok(())
}

#[test]
fn a_backup_that_waited_is_of_the_time_at_which_it_was_made() -> Result<()> {
    let coffer = with_bandwidth("2MiB")?;
    let service = coffer.serve()?;
    for n in 0..AT_ONCE {
        make_app(&coffer, &format!("large{n}"), 1_536)?;
        begin_backup(&service, &format!("large{n}"))?;
    }
    let job = begin_backup(&service, "a")?;
    // Times are told in whole seconds.
    std::thread::sleep(Duration::from_millis(1_200));
    coffer.app("a").put("later.txt", b"later\n")?;
    let changed = shell(coffer.folder(), "date -u +%FT%TZ")?;
    ensure!(now(&service, &job)?["state"] == "queued", "it did not wait");
    let backup = text(&wait_for(&service, &job, "done")?, "backup")?.to_owned();
    let told = service.call(&format!("/v1/backups/{backup}"), &[])?.json()?;
    let created = text(&told, "created")?;
    ensure!(created >= changed.trim() && created > text(&job, "created")?, "{told} was asked for by {job}");
    let archive = archives(&coffer.path(VAULT))?.remove(&backup).context("no archive")?;
    ensure!(archive.display().to_string().contains(&created.replace(['-', ':'], "")), "{}", archive.display());
    // What it holds is of then.
    coffer.run_well(["restore", "--at", created, "--of", "local/a", "--into", "local/back"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("back"))
}

#[test]
fn a_job_that_is_cancelled_leaves_nothing() -> Result<()> {
    let coffer = with_bandwidth("1MiB")?;
    let service = coffer.serve()?;
    let (running, waiting) = busy(&coffer, &service)?;
    // Those that wait first, so that none of them gets its turn.
    for job in waiting.iter().chain(&running) {
        let path = format!("/v1/jobs/{}", text(job, "id")?);
        ensure!(service.call(&path, &["-X", "DELETE"])?.status == 202);
        let ended = wait_for(&service, job, "cancelled")?;
        ensure!(ended["finished"].is_string() && ended["error"].is_object() && ended["result"].is_null(), "{ended}");
        ensure!(service.call(&path, &["-X", "DELETE"])?.status == 202 && now(&service, job)? == ended);
    }
    ensure_vault_is_empty(&coffer)?;
    ensure!(attempts(&coffer, "failed")?.len() == AT_ONCE, "{:?}", attempts(&coffer, "failed")?);
    // Their turns are free again.
    wait_for(&service, &begin_backup(&service, "a")?, "done")?;
    ensure!(listed(&coffer)?.len() == 1);
    ensure_only_good(&coffer, &coffer.path(VAULT), &mut BTreeSet::new())
}

#[test]
fn jobs_of_a_service_that_was_killed_have_failed() -> Result<()> {
    let coffer = with_bandwidth("1MiB")?;
    let service = coffer.serve()?;
    let (running, waiting) = busy(&coffer, &service)?;
    // Killed by SIGKILL.
    drop(service);
    ensure!(!leftovers(&coffer.path(VAULT))?.is_empty(), "it was not killed in the middle");
    let service = coffer.serve()?;
    for job in running.iter().chain(&waiting) {
        let job = now(&service, job)?;
        ensure!(job["state"] == "failed" && job["error"].to_string().contains(LOST), "{job}");
    }
    ensure_vault_is_empty(&coffer)?;
    wait_for(&service, &begin_backup(&service, "a")?, "done").map(drop)
}

/// What is done within half a minute is done; what is not has failed, and nobody has cancelled it.
#[test]
fn a_service_that_is_stopped_lets_jobs_end_for_a_while() -> Result<()> {
    let coffer = with_bandwidth("128KiB")?;
    make_app(&coffer, "large", 8 << 10)?;
    let service = coffer.serve()?;
    let (slow, quick) = (begin_backup(&service, "large")?, begin_backup(&service, "a")?);
    wait_for(&service, &slow, "running")?;
    wait_for(&service, &quick, "running")?;
    shell(coffer.folder(), &format!("kill -TERM {}", service.process_id()))?;
    let begun = Instant::now();
    // Who has ended and was not waited for has no memory.
    while service.memory().resident().is_ok() {
        ensure!(begun.elapsed() < Duration::from_secs(45), "it does not stop");
        std::thread::sleep(Duration::from_millis(50));
    }
    let service = coffer.serve()?;
    let (slow, quick) = (now(&service, &slow)?, now(&service, &quick)?);
    ensure!(quick["state"] == "done", "{quick}");
    ensure!(slow["state"] == "failed" && slow["error"].to_string().contains(LOST), "{slow}");
    ensure!(leftovers(&coffer.path(VAULT))?.is_empty() && listed(&coffer)?.keys().eq([text(&quick, "backup")?]));
    ensure_only_good(&coffer, &coffer.path(VAULT), &mut BTreeSet::new())
}
