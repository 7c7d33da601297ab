//! Backups over REST: jobs that are asked for and followed, the catalogue in pages, archives by ranges.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_tests::vault::{VAULT, archives, field, listed, text};
use coffer_tests::{Coffer, Service, assert_same_app, shell, tool};
use serde_json::Value;

/// How long a small job may take on a busy machine.
const SOON: Duration = Duration::from_secs(30);

fn with_app() -> Result<(Coffer, Service)> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.app("a").fill_small()?;
    let service = coffer.serve()?;
    Ok((coffer, service))
}

/// Asks for a job: the path that its `Location` tells, and its first state.
fn begin(service: &Service, path: &str, arguments: &[&str]) -> Result<(String, Value)> {
    let answer = service.call(path, &[["-X", "POST"].as_slice(), arguments].concat())?;
    ensure!(answer.status == 202, "{answer:?}");
    let (location, job) = (answer.header("location").to_owned(), answer.json()?);
    ensure!(location == format!("/v1/jobs/{}", text(&job, "id")?), "{location} is not that of {job}");
    Ok((location, job))
}

/// The job once it is over.
fn ended(service: &Service, location: &str) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let answer = service.call(location, &[])?;
        ensure!(answer.status == 200, "{answer:?}");
        let job = answer.json()?;
        if matches!(text(&job, "state")?, "done" | "failed" | "cancelled") {
            return Ok(job);
        }
        ensure!(begun.elapsed() < SOON, "it still runs: {job}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Backs up an app, and gives the backup's id.
fn back_up(service: &Service, app: &str) -> Result<String> {
    let (location, _) = begin(service, &format!("/v1/apps/local/{app}/backups"), &[])?;
    let job = ended(service, &location)?;
    ensure!(field(&job, "state") == "done" && field(&job, "error").is_null(), "{job}");
    Ok(text(&job, "backup")?.to_owned())
}

#[test]
fn a_backup_is_a_job_that_is_asked_for_once_by_its_key() -> Result<()> {
    let (coffer, service) = with_app()?;
    let path = "/v1/apps/local/a/backups";
    let (location, job) = begin(&service, path, &["-H", "Idempotency-Key: night-1"])?;
    for (name, value) in [("kind", "backup"), ("source", "local"), ("app", "a")] {
        ensure!(job[name] == value, "{name}: {job}");
    }
    let (again, _) = begin(&service, path, &["-H", "Idempotency-Key: night-1"])?;
    ensure!(again == location, "the same key gave another job");
    let done = ended(&service, &location)?;
    ensure!(done["state"] == "done" && done["bytes"].as_u64() > Some(200_000), "{done}");
    // Afterwards, too; another key is another backup.
    let (again, _) = begin(&service, path, &["-H", "Idempotency-Key: night-1"])?;
    let (other, _) = begin(&service, path, &["-H", "Idempotency-Key: night-2"])?;
    ensure!(again == location && other != location, "{location}, {again}, {other}");
    ended(&service, &other)?;
    ensure!(listed(&coffer)?.len() == 2, "{:?}", listed(&coffer)?);
    let jobs = service.call("/v1/jobs", &[])?.json()?;
    ensure!(jobs["jobs"].as_array().is_some_and(|jobs| jobs.len() == 2), "{jobs}");

    // One that comes to nothing says why; an app that is not there may be refused at once.
    shell(coffer.app("a").folder(), "ln -s readme.txt files/link")?;
    let (location, _) = begin(&service, path, &[])?;
    let failed = ended(&service, &location)?;
    ensure!(failed["state"] == "failed" && failed["error"].to_string().contains("link"), "{failed}");
    let none = service.call("/v1/apps/local/none/backups", &["-X", "POST"])?;
    if none.status == 202 {
        let failed = ended(&service, none.header("location"))?;
        ensure!(failed["state"] == "failed" && failed["error"].to_string().contains("none"), "{failed}");
    } else {
        none.ensure_problem(404, &["none"])?;
    }
    service.call("/v1/jobs/job_none", &[])?.ensure_problem(404, &[])?;
    ensure!(listed(&coffer)?.len() == 2 && archives(&coffer.path(VAULT))?.len() == 2);
    // Nothing of it without the token.
    for path in ["/v1/backups", "/v1/jobs", path] {
        let asked = tool("curl", ["-sS", "-o", "/dev/null", "-w", "%{http_code}", &service.url(path)])?;
        ensure!(asked == b"401", "{path} is answered without a token: {}", String::from_utf8_lossy(&asked));
    }
    Ok(())
}

#[test]
fn the_catalogue_comes_in_pages_and_one_by_one() -> Result<()> {
    let (coffer, service) = with_app()?;
    coffer.app("z").fill_small()?;
    let made =
        ["a", "z", "a", "a", "z"].map(|app| back_up(&service, app)).into_iter().collect::<Result<BTreeSet<_>>>()?;
    ensure!(made.len() == 5, "{made:?}");
    let (mut seen, mut pages, mut cursor) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let next = cursor.map(|cursor| format!("cursor={cursor}"));
        let arguments = next.iter().flat_map(|next| ["--data-urlencode", next]);
        let answer = service.call("/v1/backups?limit=2", &["-G"].into_iter().chain(arguments).collect::<Vec<_>>())?;
        ensure!(answer.status == 200, "{answer:?}");
        let page = answer.json()?;
        let backups = page["backups"].as_array().context("no backups")?;
        pages.push(backups.len());
        seen.extend(backups.iter().map(|backup| text(backup, "id").map(str::to_owned)).collect::<Result<Vec<_>>>()?);
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
        ensure!(pages.len() < 6, "it does not end");
    }
    ensure!(pages == [2, 2, 1], "{pages:?}");
    ensure!(seen.iter().cloned().collect::<BTreeSet<_>>() == made && seen.len() == 5, "{seen:?}");
    let of_z = service.call("/v1/backups?source=local&app=z&state=good", &[])?.json()?;
    let of_z = of_z["backups"].as_array().context("no backups")?;
    ensure!(of_z.len() == 2 && of_z.iter().all(|backup| backup["app"] == "z"), "{of_z:?}");
    // What is told over REST is what the command line tells.
    for (id, backup) in listed(&coffer)? {
        let one = service.call(&format!("/v1/backups/{id}"), &[])?.json()?;
        for name in ["id", "source", "app", "state", "created", "bytes", "rows", "tables", "objects"] {
            ensure!(one[name] == backup[name], "{name}: {one} and {backup}");
        }
    }
    service.call("/v1/backups/bk_0123456789abcdef0123456789abcdef", &[])?.ensure_problem(404, &[])?;
    service.call("/v1/backups?limit=many", &[])?.ensure_problem(400, &[])?;
    service.call("/v1/backups?cursor=rubbish!", &[])?.ensure_problem(400, &[])
}

#[test]
fn an_archive_comes_whole_and_by_ranges() -> Result<()> {
    let (coffer, service) = with_app()?;
    let id = back_up(&service, "a")?;
    let whole = std::fs::read(archives(&coffer.path(VAULT))?.get(&id).context("no archive")?)?;
    let path = format!("/v1/backups/{id}/archive");
    let file = coffer.path("part");
    let to = file.to_str().context("not UTF-8")?;
    let fetch = |arguments: &[&str]| -> Result<_> {
        std::fs::remove_file(&file).ok();
        let answer = service.call(&path, &[["-o", to].as_slice(), arguments].concat())?;
        Ok((answer, std::fs::read(&file).unwrap_or_default()))
    };
    let (answer, body) = fetch(&[])?;
    let etag = answer.header("etag").to_owned();
    ensure!(answer.status == 200 && body == whole, "{answer:?}");
    ensure!(etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'), "{etag} is no strong tag");
    ensure!(answer.header("content-length") == whole.len().to_string(), "{answer:?}");
    ensure!(answer.header("accept-ranges") == "bytes", "{answer:?}");
    ensure!(answer.header("content-type") == "application/vnd.coffer", "{answer:?}");
    std::fs::rename(&file, coffer.path("x.coffer"))?;
    coffer.run_well(["verify", "x.coffer"])?;

    let of_all = |range: &str| format!("bytes {range}/{}", whole.len());
    let last = whole.len() - 1;
    let (ten, tail) = (whole.get(whole.len() - 10..), format!("{}-{last}", whole.len() - 10));
    let (open, beyond) = (format!("{}-", whole.len() - 10), format!("{}-99999999", whole.len() - 10));
    for (asked, told, due) in [
        ("100-199", "100-199", whole.get(100..200)),
        ("0-0", "0-0", whole.get(..1)),
        ("-10", tail.as_str(), ten),
        (open.as_str(), tail.as_str(), ten),
        (beyond.as_str(), tail.as_str(), ten),
    ] {
        let (answer, body) = fetch(&["-r", asked])?;
        ensure!(answer.status == 206 && answer.header("content-range") == of_all(told), "{asked}: {answer:?}");
        ensure!(Some(body.as_slice()) == due, "{asked}: other bytes");
        ensure!(answer.header("etag") == etag, "{asked}: {answer:?}");
    }
    let (answer, body) = fetch(&["-r", "100-199", "-H", &format!("If-Range: {etag}")])?;
    ensure!(answer.status == 206 && Some(body.as_slice()) == whole.get(100..200), "{answer:?}");
    let (answer, body) = fetch(&["-r", "100-199", "-H", "If-Range: \"another\""])?;
    ensure!(answer.status == 200 && body == whole, "{answer:?}");
    let (answer, _) = fetch(&["-r", &format!("{}-", whole.len())])?;
    ensure!(answer.status == 416 && answer.header("content-range") == of_all("*"), "{answer:?}");
    // A download that broke off goes on.
    std::fs::write(&file, whole.get(..50_000).context("too short")?)?;
    ensure!(service.call(&path, &["-C", "-", "-o", to])?.status == 206 && std::fs::read(&file)? == whole);
    Ok(())
}

#[test]
fn a_backup_comes_back_by_a_job_and_is_deleted() -> Result<()> {
    let (coffer, service) = with_app()?;
    let (first, second) = (back_up(&service, "a")?, back_up(&service, "a")?);
    let restore = format!("/v1/backups/{first}/restore");
    let (location, job) = begin(&service, &restore, &["--json", r#"{"into":"local/b"}"#])?;
    ensure!(job["kind"] == "restore" && job["app"] == "b" && job["backup"] == first.as_str(), "{job}");
    ensure!(ended(&service, &location)?["state"] == "done");
    assert_same_app(&coffer.app("a"), &coffer.app("b"))?;
    // Into what is not empty it fails, by a job or at once.
    let again = service.call(&restore, &["--json", r#"{"into":"local/b"}"#])?;
    let why = match again.status {
        202 => ended(&service, again.header("location"))?["error"].to_string(),
        _ => again.body.clone(),
    };
    ensure!([202, 409].contains(&again.status) && why.contains("not empty"), "{again:?}: {why}");
    service.call(&restore, &["--json", r#"{"to":"local/c"}"#])?.ensure_problem(400, &[])?;

    let one = format!("/v1/backups/{first}");
    ensure!(service.call(&one, &["-X", "DELETE"])?.status == 204);
    service.call(&one, &[])?.ensure_problem(404, &[])?;
    service.call(&one, &["-X", "DELETE"])?.ensure_problem(404, &[])?;
    service.call(&format!("{one}/archive"), &[])?.ensure_problem(404, &[])?;
    service.call(&restore, &["--json", r#"{"into":"local/c"}"#])?.ensure_problem(404, &[])?;
    ensure!(archives(&coffer.path(VAULT))?.into_keys().eq([second]));
    // What the identity's loss would mean is told until somebody else can open the backups too.
    let ready = String::from_utf8(tool("curl", ["-fsS", &service.url("/readyz")])?)?;
    let [ok, warning] = ready.lines().collect::<Vec<_>>()[..] else { anyhow::bail!("{ready}") };
    ensure!(ok == "ok" && warning.starts_with("warning: "), "{ready}");
    Ok(())
}
