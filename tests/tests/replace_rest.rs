//! Imports that replace, over REST: what they answer, what is kept, and clients that leave or come together.

use anyhow::{Context, Result, ensure};
use coffer_tests::replace::{
    Folder, LONG_AGO, Place, assert_same_state, ensure_holds, ensure_no_traces, fingerprint, set_up, wait_until,
};
use coffer_tests::vault::{back_up, field, text};
use coffer_tests::{RawExchange, Service};
use serde_json::{Value, json};

const COFFER: &str = env!("CARGO_BIN_EXE_coffer");
const IMPORT: &str = "/v1/apps/local/a/import?replace=true";
const UNDO: &str = "/v1/apps/local/a/undo";

fn scene() -> Result<(Folder, Service)> {
    let place = Folder::new(COFFER, "WAL")?;
    set_up(&place)?;
    let service = place.coffer().serve()?;
    Ok((place, service))
}

/// The `-T` of a file of the folder.
fn file(place: &Folder, name: &str) -> Result<String> {
    Ok(place.coffer().path(name).to_str().context("not UTF-8")?.to_owned())
}

/// Imports an archive in the place of the app, which has to go well.
fn replace(place: &Folder, service: &Service, archive: &str) -> Result<Value> {
    let answer = service.call(IMPORT, &["-X", "POST", "-T", &file(place, archive)?])?;
    ensure!(answer.status == 200, "{answer:?}");
    answer.json()
}

fn kept(service: &Service) -> Result<Value> {
    let answer = service.call("/v1/apps/local/a", &[])?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(field(&answer.json()?, "kept").clone())
}

/// An import that has sent the first half of an archive, of which is being built.
fn half_sent(place: &Folder, service: &Service, archive: &[u8]) -> Result<RawExchange> {
    let mut client = RawExchange::post(service, IMPORT, archive.len() as u64)?;
    client.send(archive.get(..archive.len() / 2).context("no half")?)?;
    wait_until("the import has begun", || Ok(!place.traces()?.is_empty()))?;
    Ok(client)
}

#[test]
fn an_import_tells_what_is_kept_and_an_undo_takes_it() -> Result<()> {
    let (place, service) = scene()?;
    let coffer = place.coffer();
    let old = fingerprint(coffer, "local/a")?;
    let refused = service.call("/v1/apps/local/a/import", &["-X", "POST", "-T", &file(&place, "new")?])?;
    refused.ensure_problem(409, &["not empty"])?;
    ensure!(text(&refused.json()?, "type")?.ends_with(":not-empty") && kept(&service)?.is_null());
    let told = replace(&place, &service, "new")?;
    assert_same_state(&coffer.app("b"), &coffer.app("a"))?;
    let is_kept = kept(&service)?;
    ensure!(field(&is_kept, "bytes") == field(&told, "kept_bytes") && told["kept_bytes"].as_u64() > Some(1 << 20));
    ensure!(field(&is_kept, "until") == field(&told, "kept_until"), "{is_kept} and {told}");
    let replaced = text(&is_kept, "replaced")?.to_owned();

    for body in ["", "{}", &json!({ "discard_changes_since": "2999-01-01T00:00:00Z" }).to_string()] {
        let refused = service.call(UNDO, &["-X", "POST", "--data-binary", body])?;
        refused.ensure_problem(403, &[&replaced, "discard_changes_since"]).context(body.to_owned())?;
    }
    for body in ["{", r#"{"discard_changes_since": "yesterday"}"#, r#"{"discard": "2000-01-01T00:00:00Z"}"#] {
        service.call(UNDO, &["-X", "POST", "--data-binary", body])?.ensure_problem(400, &[])?;
    }
    assert_same_state(&coffer.app("b"), &coffer.app("a"))?;
    let body = json!({ "discard_changes_since": replaced }).to_string();
    let undone = service.call(UNDO, &["-X", "POST", "--data-binary", &body])?;
    ensure!(undone.status == 200, "{undone:?}");
    let undone = undone.json()?;
    ensure!(undone["undone"] == replaced.as_str() && undone["freed_bytes"] == is_kept["bytes"], "{undone}");
    ensure_holds(coffer, "local/a", &old)?;
    ensure!(kept(&service)?.is_null());
    service.call(UNDO, &["-X", "POST", "--data-binary", &body])?.ensure_problem(404, &["local/a"])?;
    ensure_no_traces(&place)
}

#[test]
fn a_backup_is_restored_in_the_place_of_its_app() -> Result<()> {
    let (place, service) = scene()?;
    let coffer = place.coffer();
    let id = back_up(coffer, "local/b")?;
    let path = format!("/v1/backups/{id}/restore");
    let job = |body: &str| -> Result<Value> {
        let answer = service.call(&path, &["--json", body])?;
        ensure!(answer.status == 202, "{answer:?}");
        let mut job = answer.json()?;
        wait_until("the job ends", || {
            job = service.call(answer.header("location"), &[])?.json()?;
            Ok(!matches!(text(&job, "state")?, "queued" | "running"))
        })?;
        Ok(job)
    };
    // It is refused at once, or once the job runs.
    let refused = service.call(&path, &["--json", r#"{"into":"local/a"}"#])?;
    if refused.status == 202 {
        let failed = job(r#"{"into":"local/a","replace":false}"#)?;
        ensure!(failed["state"] == "failed" && failed["error"].to_string().contains("not empty"), "{failed}");
    } else {
        refused.ensure_problem(409, &["not empty"])?;
    }
    let done = job(r#"{"into":"local/a","replace":true}"#)?;
    ensure!(done["state"] == "done", "{done}");
    assert_same_state(&coffer.app("b"), &coffer.app("a"))?;
    ensure!(kept(&service)?["bytes"].as_u64() > Some(1 << 20));
    let body = json!({ "discard_changes_since": LONG_AGO }).to_string();
    let undone = service.call(UNDO, &["-X", "POST", "--data-binary", &body])?;
    ensure!(undone.status == 200, "{undone:?}");
    ensure_no_traces(&place)
}

#[test]
fn a_client_that_leaves_leaves_the_old_app() -> Result<()> {
    let (place, service) = scene()?;
    let coffer = place.coffer();
    let (old, archive) = (fingerprint(coffer, "local/a")?, std::fs::read(coffer.path("new"))?);
    for _ in 0..3 {
        drop(half_sent(&place, &service, &archive)?);
        wait_until("nothing is left", || Ok(ensure_no_traces(&place).is_ok()))?;
        ensure_holds(coffer, "local/a", &old)?;
    }
    replace(&place, &service, "new")?;
    assert_same_state(&coffer.app("b"), &coffer.app("a"))
}

#[test]
fn a_service_that_stops_takes_back_what_it_was_at() -> Result<()> {
    let (place, service) = scene()?;
    let coffer = place.coffer();
    let (old, archive) = (fingerprint(coffer, "local/a")?, std::fs::read(coffer.path("new"))?);
    // It is killed; whoever starts next does it.
    let client = half_sent(&place, &service, &archive)?;
    drop(service);
    drop(client);
    ensure!(!place.traces()?.is_empty(), "a service that was killed has cleaned up");
    ensure_holds(coffer, "local/a", &old)?;
    let service = coffer.serve()?;
    wait_until("the next service sees to it", || Ok(ensure_no_traces(&place).is_ok()))?;
    ensure_holds(coffer, "local/a", &old)?;
    replace(&place, &service, "new")?;
    assert_same_state(&coffer.app("b"), &coffer.app("a"))
}

#[test]
fn of_ten_imports_of_an_app_one_goes_on() -> Result<()> {
    let (place, service) = scene()?;
    let coffer = place.coffer();
    let archive = std::fs::read(coffer.path("new"))?;
    replace(&place, &service, "third")?;
    let mut first = half_sent(&place, &service, &archive)?;
    let third = file(&place, "third")?;
    std::thread::scope(|scope| {
        let other = || service.call(IMPORT, &["-X", "POST", "-T", &third]);
        let others: Vec<_> = (0..9).map(|_| scope.spawn(other)).collect();
        for other in others {
            let answer = other.join().map_err(|_| anyhow::anyhow!("panicked"))??;
            answer.ensure_problem(409, &["under way"])?;
            ensure!(text(&answer.json()?, "type")?.ends_with(":busy"), "{answer:?}");
        }
        anyhow::Ok(())
    })?;
    let body = json!({ "discard_changes_since": LONG_AGO }).to_string();
    service.call(UNDO, &["-X", "POST", "--data-binary", &body])?.ensure_problem(409, &["under way"])?;
    coffer.run(["restore", "third", "--into", "local/a", "--replace"])?.ends_with(11, &["under way"])?;
    // One that runs is nobody's to recover.
    coffer.run(["recover"])?.ends_with(0, &[])?;
    first.send(archive.get(archive.len() / 2..).context("no half")?)?;
    let (status, _) = first.read_head()?;
    ensure!(status == 200, "the first one's status is {status}");
    assert_same_state(&coffer.app("b"), &coffer.app("a"))?;
    // Twice kept: by the first of all, and by this.
    for app in ["c", "old"] {
        let undone = service.call(UNDO, &["-X", "POST", "--data-binary", &body])?;
        ensure!(undone.status == 200, "{app}: {undone:?}");
    }
    ensure_no_traces(&place)
}

/// Started together, with nobody who holds the first one open: as many as win come one after the other, and each is whole.
#[test]
fn imports_that_start_together_are_whole_or_refused() -> Result<()> {
    let (place, service) = scene()?;
    let coffer = place.coffer();
    let expected = ["b", "c"].map(|app| fingerprint(coffer, &format!("local/{app}")));
    let expected = expected.into_iter().collect::<Result<Vec<_>>>()?;
    let files = [file(&place, "new")?, file(&place, "third")?];
    let won = std::thread::scope(|scope| {
        let one = |n: usize| service.call(IMPORT, &["-X", "POST", "-T", &files[n % 2]]);
        let all: Vec<_> = (0..10).map(|n| scope.spawn(move || one(n))).collect();
        let mut won = 0;
        for one in all {
            let answer = one.join().map_err(|_| anyhow::anyhow!("panicked"))??;
            ensure!(matches!(answer.status, 200 | 409), "{answer:?}");
            won += usize::from(answer.status == 200);
        }
        anyhow::Ok(won)
    })?;
    ensure!(won > 0, "all of them were refused");
    ensure!(expected.contains(&fingerprint(coffer, "local/a")?), "the app is none of the two");
    coffer.run(["recover"])?.ends_with(0, &["no import"])
}
