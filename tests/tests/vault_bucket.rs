//! A vault in a bucket: what its lock keeps stays, and archives there are rewrapped and copied like those in a folder.

use anyhow::{Context, Result, ensure};
use coffer_tests::assert_same_app;
use coffer_tests::s3::{Bench, Bucket, server};
use coffer_tests::vault::{Settings, ask, back_up, listed, text};

/// The binary with a vault in a bucket and one in a folder.
fn with_vaults(bucket: Bucket) -> Result<Bench> {
    let bench = Bench::of(env!("CARGO_BIN_EXE_coffer"), bucket, "")?;
    configure(&bench, "identity_file = \"coffer-data/coffer.key\"")?;
    bench.coffer.run_well(["keygen", "-o", "coffer-data/coffer.key"])?;
    bench.coffer.app("one").fill_large(12)?;
    Ok(bench)
}

fn configure(bench: &Bench, keys: &str) -> Result<()> {
    let server = bench.proxy.server();
    let url = format!("s3://{}/vault", bench.bucket.name());
    let s3 = format!("[s3]\nendpoint = \"{}\"\nregion = \"{}\"\n", server.endpoint, server.region);
    let vaults = [("main", url.as_str()), ("folder", "file:copies")];
    Settings { keys, vaults: &vaults, more: &s3, ..Settings::default() }.write(&bench.coffer)
}

#[test]
fn what_the_bucket_locks_stays_and_is_told() -> Result<()> {
    let bench = with_vaults(server()?.lockable_bucket()?)?;
    let (coffer, bucket) = (&bench.coffer, &bench.bucket);
    let ids = [back_up(coffer, "local/one")?, back_up(coffer, "local/one")?, back_up(coffer, "local/one")?];
    let mut order: Vec<_> = listed(coffer)?.into_values().collect();
    order.sort_by_key(|backup| (backup["created"].to_string(), backup["id"].to_string()));
    let oldest = text(&order[0], "id")?.to_owned();
    let key = bucket.objects()?.into_keys().find(|key| key.contains(&oldest) && key.ends_with(".coffer"));
    let key = key.context("no archive")?;
    let held = "<LegalHold><Status>ON</Status></LegalHold>";
    let reply = bucket.request("PUT", Some(&key), &[("legal-hold", "")], &[], held)?;
    ensure!(reply.status == 200, "{}", reply.text());
    let dry = ask(coffer, 0, &["backups", "prune", "--keep-last", "1", "--dry-run"])?;
    let pruned = ask(coffer, 0, &["backups", "prune", "--keep-last", "1"])?;
    for told in [&dry, &pruned] {
        let locked = told["locked"].as_array().context("no list")?;
        ensure!(
            locked.len() == 1 && locked[0]["id"] == oldest && locked[0]["why"].to_string().contains("legal hold"),
            "{told}"
        );
        ensure!(told["gone"].as_array().is_some_and(|gone| gone.len() == 1), "{told}");
    }
    ensure!(listed(coffer)?.len() == ids.len() - 1 && bucket.head(&key)?.is_some());
    coffer.run(["backups", "delete", &oldest])?.ends_with(1, &["locked", "legal hold"])?;
    coffer.run_well(["verify", &oldest])?;
    let free = "<LegalHold><Status>OFF</Status></LegalHold>";
    ensure!(bucket.request("PUT", Some(&key), &[("legal-hold", "")], &[], free)?.status == 200);
    coffer.run_well(["backups", "delete", &oldest])?;
    ensure!(bucket.head(&key)?.is_none());
    Ok(())
}

#[test]
fn archives_in_a_bucket_are_copied_out_rewrapped_and_copied_back() -> Result<()> {
    let bench = with_vaults(server()?.bucket()?)?;
    let (coffer, bucket) = (&bench.coffer, &bench.bucket);
    let id = back_up(coffer, "local/one")?;
    ask(coffer, 0, &["backups", "copy", "--to", "folder", "--all"])?;
    let made = coffer.run_well(["keygen", "-o", "coffer-data/new.key"])?;
    let recipient = String::from_utf8(made)?.lines().next().context("no recipient")?.to_owned();
    configure(&bench, &format!("identity_file = \"coffer-data/coffer.key\"\nrecipients = [\"{recipient}\"]"))?;
    let rewrapped = ask(coffer, 0, &["backups", "rewrap", "--all"])?;
    ensure!(rewrapped["rewrapped"] == 1, "{rewrapped}");
    configure(&bench, "identity_file = \"coffer-data/new.key\"")?;
    coffer.run_well(["verify", &id])?;
    coffer.run(["verify", &id, "-i", "coffer-data/coffer.key"])?.ends_with(12, &[])?;
    // The bucket loses it; the folder gives it back.
    for key in bucket.objects()?.into_keys() {
        bucket.delete(&key)?;
    }
    ask(coffer, 0, &["backups", "rescan"])?;
    let left = listed(coffer)?;
    ensure!(left[&id]["vaults"] == serde_json::json!(["folder"]), "{left:?}");
    ask(coffer, 0, &["backups", "copy", "--to", "main", &id])?;
    std::fs::remove_dir_all(coffer.path("copies"))?;
    coffer.run_well(["restore", &id, "--into", "local/two"])?;
    assert_same_app(&coffer.app("one"), &coffer.app("two"))
}
